// Backups with their tags. A deleted backup's row stays as a tombstone, which nothing here shows, until its record is
// swept; committing and deleting are in the ledger.
import { type Selectable, type SqlBool, sql, type Updateable } from 'kysely';
import type { AttemptId, BackupId, JobId, PolicyId, ProjectId, SnapshotId, UserId, VolumeId } from '../core/ids.ts';
import type { Backup, BackupStatus, Tag } from '../core/model.ts';
import type { TagValues } from '../core/tag-search.ts';
import type { Executor } from './database.ts';
import { findParentRow, type ParentQuery } from './ledger-backups.ts';
import { noteLabelChange } from './ledger-labels.ts';
import { type Condition, equals, type ListSpec, listRows } from './list-rows.ts';
import type { PolicyBackup } from './policy-types.ts';
import type {
  BackupChanges,
  BackupFilter,
  BackupSortKey,
  ImportedDescription,
  ListPage,
  ListResult,
  NewBackup,
} from './record-types.ts';
import type { Scope } from './scope.ts';
import { type BackupTable, toFlag, withoutUndefined } from './tables.ts';
import { groupTagValues, type TagPlace, tagConditions } from './tag-conditions.ts';

type BackupRow = Selectable<BackupTable>;

const SORT_COLUMNS: ListSpec<BackupSortKey>['columns'] = {
  id: sql`backup_id`,
  name: sql`coalesce(name, '')`,
  status: sql`status`,
  size: sql`size_bytes`,
  createdAt: sql`created_at`,
  updatedAt: sql`coalesce(updated_at, -1)`,
  volumeId: sql`volume_id`,
  container: sql`coalesce(container, '')`,
  availabilityZone: sql`coalesce(availability_zone, '')`,
};

const TAG_PLACE: TagPlace = { table: 'backup_tags', owner: 'backup_id' };

const NO_METADATA: Readonly<Record<string, string>> = Object.freeze({});

const EXISTS: Condition = sql<SqlBool>`deleted_at is null`;

export class BackupRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /** Enters a backup in state `creating`, with its tags. */
  async insert(backup: NewBackup): Promise<void> {
    await this.#scope.executor.insertInto('backups').values(toRow(backup)).execute();
    await this.#insertTags(backup.backupId, backup.tags);
  }

  async get(projectId: ProjectId, backupId: BackupId): Promise<Backup | undefined> {
    const rows = await this.#select().where('backup_id', '=', backupId).where('project_id', '=', projectId).execute();
    return (await this.#complete(rows))[0];
  }

  /** In whichever project. */
  async find(backupId: BackupId): Promise<Backup | undefined> {
    const rows = await this.#select().where('backup_id', '=', backupId).execute();
    return (await this.#complete(rows))[0];
  }

  /** Of one volume, those that one policy made: what retention looks at. */
  async listByPolicy(projectId: ProjectId, policyId: PolicyId, volumeId: VolumeId): Promise<PolicyBackup[]> {
    const rows = await this.#select()
      .where('project_id', '=', projectId)
      .where('policy_id', '=', policyId)
      .where('volume_id', '=', volumeId)
      .execute();
    // Casts: rows hold only what `insert`, `update` and the ledger took from typed values.
    return rows.map((row) => ({
      backupId: row.backup_id as BackupId,
      name: row.name,
      status: row.status as BackupStatus,
      isDamaged: row.is_damaged === 1,
      createdAt: row.created_at,
    }));
  }

  /** Names of the volume's backups that exist. */
  async listNames(projectId: ProjectId, volumeId: VolumeId): Promise<Set<string>> {
    const rows = await this.#scope.executor
      .selectFrom('backups')
      .select('name')
      .where('project_id', '=', projectId)
      .where('volume_id', '=', volumeId)
      .where('name', 'is not', null)
      .where('deleted_at', 'is', null)
      .execute();
    return new Set(rows.map((row) => row.name ?? ''));
  }

  /** Those of the ids that exist, in whichever project and order. */
  async listByIds(backupIds: readonly BackupId[]): Promise<Backup[]> {
    if (backupIds.length === 0) return [];
    return await this.#complete(await this.#select().where('backup_id', 'in', backupIds).execute());
  }

  /** Takes the place of all tags that the backup has. */
  async replaceTags(backupId: BackupId, tags: readonly Tag[]): Promise<void> {
    await this.#scope.executor.deleteFrom('backup_tags').where('backup_id', '=', backupId).execute();
    await this.#insertTags(backupId, tags);
    await noteLabelChange(this.#scope.executor, backupId);
  }

  /** All tags of the project's backups, by key; the values of each in order. */
  async listTagValues(projectId: ProjectId): Promise<TagValues[]> {
    const rows = await this.#scope.executor
      .selectFrom('backup_tags')
      .innerJoin('backups', 'backups.backup_id', 'backup_tags.backup_id')
      .select(['backup_tags.key', 'backup_tags.value'])
      .distinct()
      .where('backups.project_id', '=', projectId)
      .where('backups.deleted_at', 'is', null)
      .orderBy('backup_tags.key')
      .orderBy('backup_tags.value')
      .execute();
    return groupTagValues(rows);
  }

  async update(backupId: BackupId, changes: BackupChanges): Promise<void> {
    const columns: Updateable<BackupTable> = withoutUndefined({
      status: changes.status,
      name: changes.name,
      description: changes.description,
      fail_reason: changes.failReason,
      size_bytes: changes.sizeBytes,
      snapshot_id: changes.snapshotId,
      metadata: changes.metadata === undefined ? undefined : JSON.stringify(changes.metadata),
      is_damaged: changes.isDamaged === undefined ? undefined : toFlag(changes.isDamaged),
      updated_at: changes.updatedAt,
    });
    if (Object.keys(columns).length > 0) {
      await this.#scope.executor.updateTable('backups').set(columns).where('backup_id', '=', backupId).execute();
    }
    const labelled = [changes.name, changes.description, changes.metadata];
    if (labelled.some((value) => value !== undefined)) {
      await noteLabelChange(this.#scope.executor, backupId);
    }
  }

  /** Takes over what the record of an imported backup says. */
  async describeImport(backupId: BackupId, { updatedAt, ...record }: ImportedDescription): Promise<void> {
    const columns: Updateable<BackupTable> = {
      volume_id: record.volumeId,
      parent_id: record.parentId,
      is_incremental: toFlag(record.isIncremental),
      consistency: record.consistency,
      object_count: record.objectCount,
      stored_bytes: record.storedBytes,
      data_timestamp_at: record.dataTimestampAt,
      updated_at: updatedAt,
    };
    await this.#scope.executor.updateTable('backups').set(columns).where('backup_id', '=', backupId).execute();
    // It may be called otherwise than the record says.
    await noteLabelChange(this.#scope.executor, backupId);
  }

  /** What an increment would be made on now: of the backups in these states, the one with the newest data. */
  async findParent(query: ParentQuery, statuses: readonly BackupStatus[]): Promise<BackupId | undefined> {
    const row = await findParentRow(this.#scope.executor, query, statuses);
    return row?.backup_id as BackupId | undefined;
  }

  /** Its record, or data that it leads to, cannot be read: nor can any other backup that stands on the same record. */
  async markDamaged(backupId: BackupId, changes: Pick<BackupChanges, 'failReason' | 'updatedAt'>): Promise<void> {
    const { executor } = this.#scope;
    const own = await executor.selectFrom('backups').select('attempt_id').where('backup_id', '=', backupId).execute();
    const attemptId = own[0]?.attempt_id;
    if (attemptId !== undefined && attemptId !== null) {
      await executor.updateTable('backups').set({ is_damaged: 1 }).where('attempt_id', '=', attemptId).execute();
    }
    await this.update(backupId, { ...changes, isDamaged: true });
  }

  /** A backup of the volume is in creation, or was when its deletion was forced and its job has not ended yet. */
  async isBeingCreated(projectId: ProjectId, volumeId: VolumeId): Promise<boolean> {
    const row = await this.#select()
      .where('project_id', '=', projectId)
      .where('volume_id', '=', volumeId)
      .where(({ or, and, exists, selectFrom, ref, eb }) =>
        or([
          eb('status', '=', 'creating'),
          and([
            eb('status', '=', 'deleting'),
            exists(
              selectFrom('jobs')
                .select('jobs.job_id')
                .where('jobs.job_id', '=', ref('backups.job_id'))
                .where('jobs.status', 'in', ['INIT', 'RUNNING']),
            ),
          ]),
        ]),
      )
      .executeTakeFirst();
    return row !== undefined;
  }

  /** Its record is in the trash: the backup can only go. */
  async isRecordTrashed(backupId: BackupId): Promise<boolean> {
    const row = await this.#select()
      .where('backup_id', '=', backupId)
      .where('is_record_trashed', '=', 1)
      .executeTakeFirst();
    return row !== undefined;
  }

  /** Backups of the volume that exist, in whatever state. */
  async countByVolume(projectId: ProjectId, volumeId: VolumeId): Promise<number> {
    const row = await this.#scope.executor
      .selectFrom('backups')
      .select((query) => query.fn.countAll<number>().as('count'))
      .where('project_id', '=', projectId)
      .where('volume_id', '=', volumeId)
      .where('deleted_at', 'is', null)
      .executeTakeFirstOrThrow();
    return row.count;
  }

  /** @throws MARKER_NOT_FOUND */
  async list(filter: BackupFilter, page: ListPage<BackupSortKey>): Promise<ListResult<Backup>> {
    const { executor } = this.#scope;
    const spec: ListSpec<BackupSortKey> = {
      table: 'backups',
      columns: SORT_COLUMNS,
      visible: [EXISTS, ...equals('project_id', filter.projectId)],
      filters: this.#conditions(filter),
    };
    const { rows, ...counted } = await listRows<BackupRow, BackupSortKey>(executor, spec, page);
    return { items: await this.#complete(rows), ...counted };
  }

  #conditions(filter: BackupFilter): Condition[] {
    const { capabilities } = this.#scope;
    const like = (column: string, text: string | undefined): Condition[] =>
      text === undefined ? [] : [capabilities.contains(column, text)];
    return [
      ...equals('name', filter.name),
      ...equals('status', filter.status),
      ...equals('volume_id', filter.volumeId),
      ...like('name', filter.nameLike),
      ...like('status', filter.statusLike),
      ...like('volume_id', filter.volumeIdLike),
      ...(filter.tags === undefined ? [] : tagConditions(filter.tags, TAG_PLACE)),
    ];
  }

  async #insertTags(backupId: BackupId, tags: readonly Tag[]): Promise<void> {
    if (tags.length === 0) return;
    const rows = tags.map(({ key, value }, index) => ({ backup_id: backupId, tag_index: index, key, value }));
    await this.#scope.executor.insertInto('backup_tags').values(rows).execute();
  }

  #select() {
    return this.#scope.executor.selectFrom('backups').selectAll().where('deleted_at', 'is', null);
  }

  /** Adds what other rows say of these: tags, and whether increments stand on them. */
  async #complete(rows: readonly BackupRow[]): Promise<Backup[]> {
    if (rows.length === 0) {
      return [];
    }
    const backupIds = rows.map((row) => row.backup_id);
    const tags = await readTags(this.#scope.executor, backupIds);
    const parentIds = await readParents(this.#scope.executor, backupIds);
    return rows.map((row) => toBackup(row, tags.get(row.backup_id) ?? [], parentIds.has(row.backup_id)));
  }
}

async function readTags(executor: Executor, backupIds: readonly string[]): Promise<Map<string, Tag[]>> {
  const rows = await executor
    .selectFrom('backup_tags')
    .selectAll()
    .where('backup_id', 'in', backupIds)
    .orderBy('backup_id')
    .orderBy('tag_index')
    .execute();
  const tags = new Map<string, Tag[]>();
  for (const { backup_id, key, value } of rows) {
    const list = tags.get(backup_id) ?? [];
    list.push({ key, value });
    tags.set(backup_id, list);
  }
  return tags;
}

/** Those of the backups on which an increment was made that still exists. */
async function readParents(executor: Executor, backupIds: readonly string[]): Promise<Set<string | null>> {
  const rows = await executor
    .selectFrom('backups')
    .select('parent_id')
    .distinct()
    .where('parent_id', 'in', backupIds)
    .where('deleted_at', 'is', null)
    .execute();
  return new Set(rows.map((row) => row.parent_id));
}

function toRow(backup: NewBackup) {
  return {
    backup_id: backup.backupId,
    project_id: backup.projectId,
    user_id: backup.userId,
    volume_id: backup.volumeId,
    job_id: backup.jobId,
    policy_id: backup.policyId ?? null,
    name: backup.name,
    description: backup.description,
    status: 'creating',
    dialect: backup.dialect,
    size_bytes: backup.sizeBytes,
    container: backup.container,
    availability_zone: backup.availabilityZone,
    snapshot_id: backup.snapshotId,
    is_incremental_requested: toFlag(backup.isIncrementalRequested),
    is_incremental: toFlag(false),
    parent_id: backup.parentId ?? null,
    object_count: 0,
    stored_bytes: 0,
    consistency: null,
    data_timestamp_at: backup.dataTimestampAt ?? null,
    fail_reason: null,
    attempt_id: backup.imported?.attemptId ?? null,
    record_sha256: backup.imported?.recordSha256 ?? null,
    metadata: JSON.stringify(backup.metadata),
    is_damaged: toFlag(false),
    is_record_trashed: toFlag(false),
    record_backup_id: backup.imported?.recordBackupId ?? null,
    is_volume_bootable: toFlag(backup.sourceVolume.isBootable),
    volume_metadata: JSON.stringify(backup.sourceVolume.metadata),
    created_at: backup.createdAt,
    updated_at: null,
    deleted_at: null,
  };
}

function toBackup(row: BackupRow, tags: readonly Tag[], hasDependents: boolean): Backup {
  // Casts: rows hold only what `insert`, `update` and the ledger took from typed values.
  return {
    backupId: row.backup_id as BackupId,
    projectId: row.project_id as ProjectId,
    userId: row.user_id as UserId,
    volumeId: row.volume_id as VolumeId,
    jobId: row.job_id as JobId,
    policyId: row.policy_id as PolicyId | null,
    name: row.name,
    description: row.description,
    status: row.status as BackupStatus,
    dialect: row.dialect as Backup['dialect'],
    sizeBytes: row.size_bytes,
    container: row.container,
    availabilityZone: row.availability_zone,
    snapshotId: row.snapshot_id as SnapshotId | null,
    isIncrementalRequested: row.is_incremental_requested === 1,
    isIncremental: row.is_incremental === 1,
    parentId: row.parent_id as BackupId | null,
    hasDependents,
    objectCount: row.object_count,
    storedBytes: row.stored_bytes,
    consistency: row.consistency as Backup['consistency'],
    dataTimestampAt: row.data_timestamp_at,
    failReason: row.fail_reason,
    attemptId: row.attempt_id as AttemptId | null,
    recordSha256: row.record_sha256,
    recordBackupId: (row.record_backup_id ?? row.backup_id) as BackupId,
    sourceVolume: {
      isBootable: row.is_volume_bootable === 1,
      metadata: parseMetadata(row.volume_metadata),
    },
    tags,
    metadata: parseMetadata(row.metadata),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

/** Most backups have none, and lists have many backups. */
function parseMetadata(text: string): Readonly<Record<string, string>> {
  // The cast: the column holds only what `insert` and `update` wrote.
  return text === '{}' ? NO_METADATA : (JSON.parse(text) as Record<string, string>);
}
