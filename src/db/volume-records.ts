// Volumes: rows of disks that the service made or adopted.
import { type Selectable, sql, type Updateable } from 'kysely';
import { GIB } from '../core/bytes.ts';
import { VbsError } from '../core/errors.ts';
import type { BackupId, ProjectId, UserId, VolumeId } from '../core/ids.ts';
import type { Volume, VolumeStatus } from '../core/model.ts';
import { type Condition, equals, type ListSpec, listRows } from './list-rows.ts';
import type { ListPage, ListResult, NewVolume, VolumeChanges, VolumeFilter, VolumeSortKey } from './record-types.ts';
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

  /** @throws VOLUME_ALREADY_MANAGED when another volume has this source */
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
      updated_at: null,
    };
    await this.#withSource(volume.source, () => this.#scope.executor.insertInto('volumes').values(row).execute());
  }

  async get(projectId: ProjectId, volumeId: VolumeId): Promise<Volume | undefined> {
    const row = await this.#select()
      .where('volume_id', '=', volumeId)
      .where('project_id', '=', projectId)
      .executeTakeFirst();
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
      await this.#withSource(changes.source ?? '', () =>
        this.#scope.executor.updateTable('volumes').set(values).where('volume_id', '=', volumeId).execute(),
      );
    }
  }

  async delete(volumeId: VolumeId): Promise<void> {
    const { executor } = this.#scope;
    await executor.deleteFrom('baselines').where('volume_id', '=', volumeId).execute();
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
      ...equals('availability_zone', filter.availabilityZone),
      ...equals('created_at', filter.createdAt),
      ...equals('updated_at', filter.updatedAt),
      ...equals('is_bootable', filter.isBootable === undefined ? undefined : toFlag(filter.isBootable)),
      ...(filter.sizeGib === undefined ? [] : [isSizeGib(filter.sizeGib)]),
      ...members.map(([key, value]) => capabilities.hasMember('metadata', key, value)),
    ];
  }

  async #withSource<T>(source: string, write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (error) {
      if (source !== '' && this.#scope.capabilities.isUniqueViolation(error)) {
        throw new VbsError('VOLUME_ALREADY_MANAGED', { reference: source }, { cause: error });
      }
      throw error;
    }
  }

  #select() {
    return this.#scope.executor.selectFrom('volumes').selectAll();
  }
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
    updated_at: changes.updatedAt,
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
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
