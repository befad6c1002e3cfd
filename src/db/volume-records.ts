// Volumes: rows of disks that the service made or adopted.
import { type RawBuilder, type Selectable, type SqlBool, sql, type Updateable } from 'kysely';
import { GIB } from '../core/bytes.ts';
import { VbsError } from '../core/errors.ts';
import type { BackupId, ProjectId, SnapshotId, UserId, VolumeId } from '../core/ids.ts';
import type { Volume, VolumeStatus } from '../core/model.ts';
import { trashBaselines } from './baseline-records.ts';
import { allOf, type Condition, equals, type ListSpec, listRows } from './list-rows.ts';
import type {
  ListPage,
  ListResult,
  NewVolume,
  TimeComparison,
  TimeFilter,
  VolumeChanges,
  VolumeFilter,
  VolumeSortKey,
  VolumeTotals,
} from './record-types.ts';
import type { Scope } from './scope.ts';
import { toFlag, type VolumeTable, withoutUndefined } from './tables.ts';

const SORT_COLUMNS: ListSpec<VolumeSortKey>['columns'] = {
  id: sql`volume_id`,
  name: sql`coalesce(name, '')`,
  status: sql`status`,
  size: sql`size_bytes`,
  createdAt: sql`created_at`,
  updatedAt: sql`coalesce(updated_at, -1)`,
  bootable: sql`is_bootable`,
  availabilityZone: sql`availability_zone`,
  volumeType: sql`volume_type`,
};

export class VolumeRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /**
   * @throws VOLUME_ALREADY_MANAGED when another volume has this source; VOLUME_TYPE_NOT_FOUND, also when the type was
   * there a moment ago
   */
  async insert(volume: NewVolume): Promise<void> {
    const row = {
      volume_id: volume.volumeId,
      project_id: volume.projectId,
      created_at: volume.createdAt,
      user_id: volume.userId,
      name: volume.name,
      description: volume.description,
      status: volume.status,
      size_bytes: volume.sizeBytes,
      volume_type: volume.volumeType,
      availability_zone: volume.availabilityZone,
      driver: volume.driver,
      source: volume.source,
      is_adopted: toFlag(volume.isAdopted),
      is_fresh: toFlag(volume.isFresh),
      is_bootable: toFlag(volume.isBootable),
      metadata: JSON.stringify(volume.metadata),
      source_backup_id: volume.sourceBackupId,
      source_snapshot_id: volume.sourceSnapshotId,
      source_volume_id: volume.sourceVolumeId,
      updated_at: null,
      is_readonly: null,
      image_metadata: '{}',
    };
    await this.#write(volume, () => this.#scope.executor.insertInto('volumes').values(row).execute());
  }

  async get(projectId: ProjectId, volumeId: VolumeId): Promise<Volume | undefined> {
    const row = await this.#select()
      .where('volume_id', '=', volumeId)
      .where('project_id', '=', projectId)
      .executeTakeFirst();
    return row === undefined ? undefined : toVolume(row);
  }

  /** In whichever project. */
  async find(volumeId: VolumeId): Promise<Volume | undefined> {
    const row = await this.#select().where('volume_id', '=', volumeId).executeTakeFirst();
    return row === undefined ? undefined : toVolume(row);
  }

  /** In whichever project. */
  async findBySource(source: string): Promise<Volume | undefined> {
    const row = await this.#select().where('source', '=', source).where('source', '<>', '').executeTakeFirst();
    return row === undefined ? undefined : toVolume(row);
  }

  /** @throws VOLUME_ALREADY_MANAGED when `source` changes to that of another volume */
  async update(volumeId: VolumeId, changes: VolumeChanges): Promise<void> {
    const values = toColumns(changes);
    if (Object.keys(values).length > 0) {
      await this.#write(changes, () =>
        this.#scope.executor.updateTable('volumes').set(values).where('volume_id', '=', volumeId).execute(),
      );
    }
  }

  async delete(volumeId: VolumeId): Promise<void> {
    const { executor } = this.#scope;
    await trashBaselines(executor, { volumeId });
    await executor.deleteFrom('volumes').where('volume_id', '=', volumeId).execute();
  }

  /** @throws MARKER_NOT_FOUND */
  async list(filter: VolumeFilter, page: ListPage<VolumeSortKey>): Promise<ListResult<Volume>> {
    const { executor } = this.#scope;
    const spec: ListSpec<VolumeSortKey> = {
      table: 'volumes',
      columns: SORT_COLUMNS,
      visible: equals('project_id', filter.projectId),
      filters: this.#conditions(filter),
    };
    const { rows, ...counted } = await listRows<Selectable<VolumeTable>, VolumeSortKey>(executor, spec, page);
    return { items: rows.map(toVolume), ...counted };
  }

  #conditions(filter: VolumeFilter): Condition[] {
    const { capabilities } = this.#scope;
    const members = Object.entries(filter.metadata ?? {});
    return [
      ...equals('name', filter.name),
      ...(filter.nameLike === undefined ? [] : [capabilities.contains('name', filter.nameLike)]),
      ...equals('status', filter.status),
      ...(filter.statusLike === undefined ? [] : [capabilities.contains('status', filter.statusLike)]),
      ...(filter.descriptionLike === undefined ? [] : [capabilities.contains('description', filter.descriptionLike)]),
      ...equals('availability_zone', filter.availabilityZone),
      ...compareTimes('created_at', filter.createdAt),
      ...compareTimes('updated_at', filter.updatedAt),
      ...equals('is_bootable', filter.isBootable === undefined ? undefined : toFlag(filter.isBootable)),
      ...(filter.sizeGib === undefined ? [] : [isSizeGib(filter.sizeGib)]),
      ...members.map(([key, value]) => capabilities.hasMember('metadata', key, value)),
    ];
  }

  /** Count and size of what `list` would show. */
  async sum(filter: VolumeFilter): Promise<VolumeTotals> {
    const row = await this.#scope.executor
      .selectFrom('volumes')
      .select((query) => [
        query.fn.countAll<number>().as('count'),
        // PostgreSQL adds bigints up to a numeric, which would arrive as text.
        sql<number>`cast(coalesce(sum((size_bytes + ${sql.lit(GIB - 1)}) / ${sql.lit(GIB)}), 0) as bigint)`.as(
          'size_gib',
        ),
      ])
      .where(allOf([...equals('project_id', filter.projectId), ...this.#conditions(filter)]))
      .executeTakeFirstOrThrow();
    return { count: row.count, sizeGib: row.size_gib };
  }

  /** Every different metadata that is not empty. */
  async listMetadata(projectId: ProjectId | undefined): Promise<Volume['metadata'][]> {
    const rows = await this.#scope.executor
      .selectFrom('volumes')
      .select('metadata')
      .distinct()
      .where('metadata', '<>', '{}')
      .where(allOf(equals('project_id', projectId)))
      .orderBy('metadata')
      .execute();
    // The cast: `insert` and `update` write typed values only.
    return rows.map((row) => JSON.parse(row.metadata) as Record<string, string>);
  }

  async #write<T>({ source = '', volumeType }: VolumeChanges, write: () => Promise<T>): Promise<T> {
    const { capabilities } = this.#scope;
    try {
      return await write();
    } catch (error) {
      if (source !== '' && capabilities.isUniqueViolation(error)) {
        throw new VbsError('VOLUME_ALREADY_MANAGED', { reference: source }, { cause: error });
      }
      // Deleted or renamed since the caller saw it: no lock is common to volumes and types.
      if (volumeType !== undefined && capabilities.isForeignKeyViolation(error)) {
        throw new VbsError('VOLUME_TYPE_NOT_FOUND', { volumeType }, { cause: error });
      }
      throw error;
    }
  }

  #select() {
    return this.#scope.executor.selectFrom('volumes').selectAll();
  }
}

const OPERATORS: Readonly<Record<TimeComparison, RawBuilder<unknown>>> = {
  eq: sql`=`,
  neq: sql`<>`,
  gt: sql`>`,
  gte: sql`>=`,
  lt: sql`<`,
  lte: sql`<=`,
};

function compareTimes(column: 'created_at' | 'updated_at', filter: TimeFilter = []): Condition[] {
  return filter.map(({ comparison, at }) => sql<SqlBool>`${sql.ref(column)} ${OPERATORS[comparison]} ${at}`);
}

/** The API's size is in whole GiB, rounded up. */
function isSizeGib(sizeGib: number): Condition {
  return sql`(size_bytes > ${(sizeGib - 1) * GIB} and size_bytes <= ${sizeGib * GIB})`;
}

function toColumns(changes: VolumeChanges): Updateable<VolumeTable> {
  const columns: Updateable<VolumeTable> = {
    user_id: changes.userId,
    name: changes.name,
    description: changes.description,
    status: changes.status,
    size_bytes: changes.sizeBytes,
    volume_type: changes.volumeType,
    availability_zone: changes.availabilityZone,
    driver: changes.driver,
    source: changes.source,
    is_adopted: changes.isAdopted === undefined ? undefined : toFlag(changes.isAdopted),
    is_fresh: changes.isFresh === undefined ? undefined : toFlag(changes.isFresh),
    is_bootable: changes.isBootable === undefined ? undefined : toFlag(changes.isBootable),
    metadata: changes.metadata === undefined ? undefined : JSON.stringify(changes.metadata),
    source_backup_id: changes.sourceBackupId,
    source_snapshot_id: changes.sourceSnapshotId,
    source_volume_id: changes.sourceVolumeId,
    updated_at: changes.updatedAt,
    is_readonly:
      changes.isReadonly === undefined || changes.isReadonly === null ? changes.isReadonly : toFlag(changes.isReadonly),
    image_metadata: changes.imageMetadata === undefined ? undefined : JSON.stringify(changes.imageMetadata),
  };
  return withoutUndefined(columns);
}

export function toVolume(row: Selectable<VolumeTable>): Volume {
  // Casts: rows hold only what `insert` and `update` took from typed values.
  return {
    volumeId: row.volume_id as VolumeId,
    projectId: row.project_id as ProjectId,
    userId: row.user_id as UserId,
    name: row.name,
    description: row.description,
    status: row.status as VolumeStatus,
    sizeBytes: row.size_bytes,
    volumeType: row.volume_type,
    availabilityZone: row.availability_zone,
    driver: row.driver as Volume['driver'],
    source: row.source,
    isAdopted: row.is_adopted === 1,
    isFresh: row.is_fresh === 1,
    isBootable: row.is_bootable === 1,
    metadata: JSON.parse(row.metadata) as Record<string, string>,
    sourceBackupId: row.source_backup_id as BackupId | null,
    sourceSnapshotId: row.source_snapshot_id as SnapshotId | null,
    sourceVolumeId: row.source_volume_id as VolumeId | null,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    isReadonly: row.is_readonly === null ? null : row.is_readonly === 1,
    imageMetadata: JSON.parse(row.image_metadata) as Record<string, string>,
  };
}
