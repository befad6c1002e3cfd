// Sharings: which backups a project shows to others. Those of backups that are gone do not exist.
import { type Selectable, type SqlBool, sql } from 'kysely';
import type { BackupId, ProjectId, SharingId } from '../core/ids.ts';
import type { Sharing } from '../core/model.ts';
import { type Condition, equals, type ListSpec, listRows } from './list-rows.ts';
import type { ListPage, ListResult, SharingFilter, SharingSortKey } from './record-types.ts';
import type { Scope } from './scope.ts';
import type { SharedBackupView } from './tables.ts';

const SORT_COLUMNS: ListSpec<SharingSortKey>['columns'] = {
  id: sql`sharing_id`,
  createdAt: sql`created_at`,
  updatedAt: sql`coalesce(updated_at, -1)`,
  name: sql`coalesce(name, '')`,
  status: sql`status`,
  size: sql`size_bytes`,
  volumeId: sql`volume_id`,
  container: sql`coalesce(container, '')`,
};

export class SharingRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async insert(sharings: readonly Sharing[]): Promise<void> {
    const rows = sharings.map((sharing) => ({
      sharing_id: sharing.sharingId,
      backup_id: sharing.backupId,
      from_project_id: sharing.fromProjectId,
      to_project_id: sharing.toProjectId,
      created_at: sharing.createdAt,
      updated_at: sharing.updatedAt,
    }));
    if (rows.length > 0) await this.#scope.executor.insertInto('sharings').values(rows).execute();
  }

  /** One that the project gave or was given. */
  async get(projectId: ProjectId, sharingId: SharingId): Promise<Sharing | undefined> {
    const row = await this.#select().where('sharing_id', '=', sharingId).where(isPartyTo(projectId)).executeTakeFirst();
    return row === undefined ? undefined : toSharing(row);
  }

  /** All of one backup, oldest first. */
  async listByBackup(backupId: BackupId): Promise<Sharing[]> {
    const rows = await this.#select()
      .where('backup_id', '=', backupId)
      .orderBy('created_at')
      .orderBy('sharing_id')
      .execute();
    return rows.map(toSharing);
  }

  /** The sharing by which the project may read the backup. */
  async findGrant(toProjectId: ProjectId, backupId: BackupId): Promise<Sharing | undefined> {
    const row = await this.#select()
      .where('backup_id', '=', backupId)
      .where('to_project_id', '=', toProjectId)
      .executeTakeFirst();
    return row === undefined ? undefined : toSharing(row);
  }

  /** @throws MARKER_NOT_FOUND */
  async list(filter: SharingFilter, page: ListPage<SharingSortKey>): Promise<ListResult<Sharing>> {
    const { executor, capabilities } = this.#scope;
    const spec: ListSpec<SharingSortKey> = {
      table: 'shared_backups',
      columns: SORT_COLUMNS,
      visible: [
        sql<SqlBool>`${sql.ref(filter.isReceived ? 'to_project_id' : 'from_project_id')} = ${filter.projectId}`,
      ],
      filters: [
        ...equals('backup_id', filter.backupId),
        ...equals('from_project_id', filter.fromProjectId),
        ...equals('to_project_id', filter.toProjectId),
        ...equals('volume_id', filter.volumeId),
        ...equals('status', filter.status),
        ...equals('availability_zone', filter.availabilityZone),
        ...(filter.nameLike === undefined ? [] : [capabilities.contains('name', filter.nameLike)]),
      ],
    };
    const { rows, ...counted } = await listRows<Selectable<SharedBackupView>, SharingSortKey>(executor, spec, page);
    return { items: rows.map(toSharing), ...counted };
  }

  async delete(sharingId: SharingId): Promise<void> {
    await this.#scope.executor.deleteFrom('sharings').where('sharing_id', '=', sharingId).execute();
  }

  #select() {
    return this.#scope.executor.selectFrom('shared_backups').selectAll();
  }
}

function isPartyTo(projectId: ProjectId): Condition {
  return sql<SqlBool>`(from_project_id = ${projectId} or to_project_id = ${projectId})`;
}

function toSharing(row: Selectable<SharedBackupView>): Sharing {
  // Casts: rows hold only what `insert` took from typed values.
  return {
    sharingId: row.sharing_id as SharingId,
    backupId: row.backup_id as BackupId,
    fromProjectId: row.from_project_id as ProjectId,
    toProjectId: row.to_project_id as ProjectId,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
