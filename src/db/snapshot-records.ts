// Snapshots: rows of the points in time that drivers keep of volumes.
import { type Selectable, sql, type Updateable } from 'kysely';
import { VbsError } from '../core/errors.ts';
import type { ProjectId, SnapshotId, UserId, VolumeId } from '../core/ids.ts';
import type { Snapshot, SnapshotStatus } from '../core/model.ts';
import { type Condition, equals, type ListSpec, listRows } from './list-rows.ts';
import type {
  ListPage,
  ListResult,
  NewSnapshot,
  SnapshotChanges,
  SnapshotFilter,
  SnapshotSortKey,
} from './record-types.ts';
import type { Scope } from './scope.ts';
import { type SnapshotTable, toFlag, withoutUndefined } from './tables.ts';

const SORT_COLUMNS: ListSpec<SnapshotSortKey>['columns'] = {
  id: sql`snapshot_id`,
  name: sql`coalesce(name, '')`,
  status: sql`status`,
  size: sql`size_bytes`,
  createdAt: sql`created_at`,
  updatedAt: sql`coalesce(updated_at, -1)`,
  volumeId: sql`volume_id`,
};

export class SnapshotRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /** @throws VOLUME_TYPE_NOT_FOUND when the type was renamed since the caller read the volume */
  async insert(snapshot: NewSnapshot): Promise<void> {
    const row = {
      snapshot_id: snapshot.snapshotId,
      project_id: snapshot.projectId,
      user_id: snapshot.userId,
      volume_id: snapshot.volumeId,
      name: snapshot.name,
      description: snapshot.description,
      status: 'creating',
      size_bytes: snapshot.sizeBytes,
      driver: snapshot.driver,
      source: '',
      consistency: null,
      frozen_at: null,
      progress_percent: 0,
      is_bootable: toFlag(snapshot.isBootable),
      volume_type: snapshot.volumeType,
      availability_zone: snapshot.availabilityZone,
      metadata: JSON.stringify(snapshot.metadata),
      created_at: snapshot.createdAt,
      updated_at: null,
    };
    try {
      await this.#scope.executor.insertInto('snapshots').values(row).execute();
    } catch (error) {
      if (!this.#scope.capabilities.isForeignKeyViolation(error)) throw error;
      // The volume is there and keeps its type, but the type may have another name by now.
      throw new VbsError('VOLUME_TYPE_NOT_FOUND', { volumeType: snapshot.volumeType }, { cause: error });
    }
  }

  async get(projectId: ProjectId, snapshotId: SnapshotId): Promise<Snapshot | undefined> {
    const row = await this.#select()
      .where('snapshot_id', '=', snapshotId)
      .where('project_id', '=', projectId)
      .executeTakeFirst();
    return row === undefined ? undefined : toSnapshot(row);
  }

  /** In whichever project. */
  async find(snapshotId: SnapshotId): Promise<Snapshot | undefined> {
    const row = await this.#select().where('snapshot_id', '=', snapshotId).executeTakeFirst();
    return row === undefined ? undefined : toSnapshot(row);
  }

  /** All of a volume, newest first. */
  async listOfVolume(projectId: ProjectId, volumeId: VolumeId): Promise<Snapshot[]> {
    const rows = await this.#select()
      .where('volume_id', '=', volumeId)
      .where('project_id', '=', projectId)
      .orderBy('created_at', 'desc')
      .orderBy('snapshot_id', 'desc')
      .execute();
    return rows.map(toSnapshot);
  }

  async update(snapshotId: SnapshotId, changes: SnapshotChanges): Promise<void> {
    const values = toColumns(changes);
    if (Object.keys(values).length === 0) return;
    await this.#scope.executor.updateTable('snapshots').set(values).where('snapshot_id', '=', snapshotId).execute();
  }

  async delete(snapshotId: SnapshotId): Promise<void> {
    await this.#scope.executor.deleteFrom('snapshots').where('snapshot_id', '=', snapshotId).execute();
  }

  /** @throws MARKER_NOT_FOUND */
  async list(filter: SnapshotFilter, page: ListPage<SnapshotSortKey>): Promise<ListResult<Snapshot>> {
    const spec: ListSpec<SnapshotSortKey> = {
      table: 'snapshots',
      columns: SORT_COLUMNS,
      visible: equals('project_id', filter.projectId),
      filters: this.#conditions(filter),
    };
    const { executor } = this.#scope;
    const { rows, ...counted } = await listRows<Selectable<SnapshotTable>, SnapshotSortKey>(executor, spec, page);
    return { items: rows.map(toSnapshot), ...counted };
  }

  #conditions(filter: SnapshotFilter): Condition[] {
    const { capabilities } = this.#scope;
    const like = (column: string, part: string | undefined) =>
      part === undefined ? [] : [capabilities.contains(column, part)];
    return [
      ...equals('name', filter.name),
      ...equals('status', filter.status),
      ...equals('volume_id', filter.volumeId),
      ...equals('availability_zone', filter.availabilityZone),
      ...like('name', filter.nameLike),
      ...like('status', filter.statusLike),
      ...like('volume_id', filter.volumeIdLike),
      ...Object.entries(filter.metadata ?? {}).map(([key, value]) => capabilities.hasMember('metadata', key, value)),
    ];
  }

  #select() {
    return this.#scope.executor.selectFrom('snapshots').selectAll();
  }
}

function toColumns(changes: SnapshotChanges): Updateable<SnapshotTable> {
  return withoutUndefined({
    name: changes.name,
    description: changes.description,
    status: changes.status,
    source: changes.source,
    consistency: changes.consistency,
    frozen_at: changes.frozenAt,
    progress_percent: changes.progressPercent,
    metadata: changes.metadata === undefined ? undefined : JSON.stringify(changes.metadata),
    updated_at: changes.updatedAt,
  });
}

function toSnapshot(row: Selectable<SnapshotTable>): Snapshot {
  // Casts: rows hold only what `insert` and `update` took from typed values.
  return {
    snapshotId: row.snapshot_id as SnapshotId,
    projectId: row.project_id as ProjectId,
    userId: row.user_id as UserId,
    volumeId: row.volume_id as VolumeId,
    name: row.name,
    description: row.description,
    status: row.status as SnapshotStatus,
    sizeBytes: row.size_bytes,
    driver: row.driver as Snapshot['driver'],
    source: row.source,
    consistency: row.consistency as Snapshot['consistency'],
    frozenAt: row.frozen_at,
    progressPercent: row.progress_percent,
    isBootable: row.is_bootable === 1,
    volumeType: row.volume_type,
    availabilityZone: row.availability_zone,
    metadata: JSON.parse(row.metadata) as Record<string, string>,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
