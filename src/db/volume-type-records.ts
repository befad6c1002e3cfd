// Volume types and the projects that may use those which are not public. They belong to no project, so they change
// under the lock of the catalog; the names in rows of volumes follow by foreign key.
import { type Selectable, type SqlBool, sql } from 'kysely';
import { VbsError } from '../core/errors.ts';
import type { ProjectId, VolumeTypeId } from '../core/ids.ts';
import type { VolumeType } from '../core/model.ts';
import { type Condition, equals, type ListSpec, listRows } from './list-rows.ts';
import type { ListPage, ListResult, VolumeTypeChanges, VolumeTypeFilter, VolumeTypeSortKey } from './record-types.ts';
import type { Scope } from './scope.ts';
import { toFlag, type VolumeTypeTable, withoutUndefined } from './tables.ts';

const SORT_COLUMNS: ListSpec<VolumeTypeSortKey>['columns'] = {
  id: sql`type_id`,
  name: sql`name`,
  createdAt: sql`created_at`,
  updatedAt: sql`coalesce(updated_at, -1)`,
};

export class VolumeTypeRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /** @throws VOLUME_TYPE_EXISTS when another type has the name */
  async insert(type: Omit<VolumeType, 'updatedAt'>): Promise<void> {
    const row = {
      type_id: type.typeId,
      name: type.name,
      description: type.description,
      is_public: toFlag(type.isPublic),
      extra_specs: JSON.stringify(type.extraSpecs),
      created_at: type.createdAt,
      updated_at: null,
    };
    await this.#withName(type.name, () => this.#scope.executor.insertInto('volume_types').values(row).execute());
  }

  async get(typeId: VolumeTypeId): Promise<VolumeType | undefined> {
    const row = await this.#select().where('type_id', '=', typeId).executeTakeFirst();
    return row === undefined ? undefined : toVolumeType(row);
  }

  async findByName(name: string): Promise<VolumeType | undefined> {
    // What no database takes as a text is no name, and PostgreSQL would fail to look it up.
    if (!name.isWellFormed() || name.includes('\0')) return undefined;
    const row = await this.#select().where('name', '=', name).executeTakeFirst();
    return row === undefined ? undefined : toVolumeType(row);
  }

  /** All of them, by name. */
  async listAll(): Promise<VolumeType[]> {
    return (await this.#select().orderBy('name').execute()).map(toVolumeType);
  }

  /** @throws MARKER_NOT_FOUND */
  async list(filter: VolumeTypeFilter, page: ListPage<VolumeTypeSortKey>): Promise<ListResult<VolumeType>> {
    const { executor } = this.#scope;
    const { isPublic, visibleTo } = filter;
    const spec: ListSpec<VolumeTypeSortKey> = {
      table: 'volume_types',
      columns: SORT_COLUMNS,
      visible: visibleTo === undefined ? [] : [isVisibleTo(visibleTo)],
      filters: equals('is_public', isPublic === undefined ? undefined : toFlag(isPublic)),
    };
    const { rows, ...counted } = await listRows<Selectable<VolumeTypeTable>, VolumeTypeSortKey>(executor, spec, page);
    return { items: rows.map(toVolumeType), ...counted };
  }

  /** @throws VOLUME_TYPE_EXISTS when the new name is taken */
  async update(typeId: VolumeTypeId, changes: VolumeTypeChanges): Promise<void> {
    const values = withoutUndefined({
      name: changes.name,
      description: changes.description,
      is_public: changes.isPublic === undefined ? undefined : toFlag(changes.isPublic),
      extra_specs: changes.extraSpecs === undefined ? undefined : JSON.stringify(changes.extraSpecs),
      updated_at: changes.updatedAt,
    });
    if (Object.keys(values).length === 0) return;
    await this.#withName(changes.name ?? '', () =>
      this.#scope.executor.updateTable('volume_types').set(values).where('type_id', '=', typeId).execute(),
    );
  }

  /**
   * With its access list and the quotas that speak of it. @throws VOLUME_TYPE_IN_USE, also when a volume of this type
   * was made since the caller saw that there is none
   */
  async delete({ typeId, name }: Pick<VolumeType, 'typeId' | 'name'>): Promise<void> {
    const { executor, capabilities } = this.#scope;
    await executor.deleteFrom('quota_limits').where('type_id', '=', typeId).execute();
    await executor.deleteFrom('quota_defaults').where('type_id', '=', typeId).execute();
    try {
      await executor.deleteFrom('volume_types').where('type_id', '=', typeId).execute();
    } catch (error) {
      if (capabilities.isForeignKeyViolation(error))
        throw new VbsError('VOLUME_TYPE_IN_USE', { name }, { cause: error });
      throw error;
    }
  }

  /** Some volume of some project, or some snapshot, is of this type. */
  async isInUse(name: string): Promise<boolean> {
    for (const table of ['volumes', 'snapshots'] as const) {
      const query = this.#scope.executor
        .selectFrom(table)
        .select('project_id')
        .where('volume_type', '=', name)
        .limit(1);
      if ((await query.executeTakeFirst()) !== undefined) return true;
    }
    return false;
  }

  async grant(typeId: VolumeTypeId, projectId: ProjectId): Promise<void> {
    const row = { type_id: typeId, project_id: projectId };
    await this.#scope.executor.insertInto('volume_type_access').values(row).execute();
  }

  async revoke(typeId: VolumeTypeId, projectId: ProjectId): Promise<void> {
    await this.#scope.executor
      .deleteFrom('volume_type_access')
      .where('type_id', '=', typeId)
      .where('project_id', '=', projectId)
      .execute();
  }

  async listAccess(typeId: VolumeTypeId): Promise<ProjectId[]> {
    const rows = await this.#scope.executor
      .selectFrom('volume_type_access')
      .select('project_id')
      .where('type_id', '=', typeId)
      .orderBy('project_id')
      .execute();
    // The cast: `grant` takes project ids only.
    return rows.map((row) => row.project_id as ProjectId);
  }

  async #withName<T>(name: string, write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (error) {
      if (name !== '' && this.#scope.capabilities.isUniqueViolation(error)) {
        throw new VbsError('VOLUME_TYPE_EXISTS', { name }, { cause: error });
      }
      throw error;
    }
  }

  #select() {
    return this.#scope.executor.selectFrom('volume_types').selectAll();
  }
}

function isVisibleTo(projectId: ProjectId): Condition {
  return sql<SqlBool>`(is_public = 1 or type_id in
    (select type_id from volume_type_access where project_id = ${projectId}))`;
}

function toVolumeType(row: Selectable<VolumeTypeTable>): VolumeType {
  // Casts: rows hold only what `insert` and `update` took from typed values.
  return {
    typeId: row.type_id as VolumeTypeId,
    name: row.name,
    description: row.description,
    isPublic: row.is_public === 1,
    extraSpecs: JSON.parse(row.extra_specs) as Record<string, string>,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
