// Projects: owners of everything else. Deleted ones stay as tombstones that only the repository's upkeep still sees.
import type { Selectable } from 'kysely';
import { VbsError } from '../core/errors.ts';
import type { ProjectId, UserId } from '../core/ids.ts';
import type { Project } from '../core/model.ts';
import type { NewProject, ProjectChanges } from './record-types.ts';
import type { Scope } from './scope.ts';
import { type ProjectTable, toFlag, withoutUndefined } from './tables.ts';

/** What keeps a project from being deleted. */
export type ProjectContent = {
  readonly volumeCount: number;
  readonly backupCount: number;
  readonly openJobCount: number;
};

export class ProjectRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async insert(project: NewProject): Promise<void> {
    const row = {
      project_id: project.projectId,
      name: project.name,
      domain_id: project.domainId,
      description: project.description,
      created_at: project.createdAt,
      epoch: null,
      is_enabled: toFlag(project.isEnabled ?? true),
    };
    await this.#scope.executor.insertInto('projects').values(row).execute();
  }

  async get(projectId: ProjectId): Promise<Project | undefined> {
    const row = await this.#select().where('project_id', '=', projectId).executeTakeFirst();
    return row === undefined ? undefined : toProject(row);
  }

  async findByName(domainId: string, name: string): Promise<Project | undefined> {
    const row = await this.#select().where('domain_id', '=', domainId).where('name', '=', name).executeTakeFirst();
    return row === undefined ? undefined : toProject(row);
  }

  /** Callers have seen that no other project of the domain has the name. */
  async rename(projectId: ProjectId, { name, description }: Pick<Project, 'name' | 'description'>): Promise<void> {
    const { executor } = this.#scope;
    await executor.updateTable('projects').set({ name, description }).where('project_id', '=', projectId).execute();
  }

  /** Every project, by name. */
  async list(): Promise<Project[]> {
    const rows = await this.#select().orderBy('name').orderBy('project_id').execute();
    return rows.map(toProject);
  }

  /** Projects in which the user has a role, by name. */
  async listByUser(userId: UserId): Promise<Project[]> {
    const rows = await this.#select()
      .where('project_id', 'in', (query) =>
        query.selectFrom('role_assignments').select('project_id').where('user_id', '=', userId),
      )
      .orderBy('name')
      .orderBy('project_id')
      .execute();
    return rows.map(toProject);
  }

  async update(projectId: ProjectId, changes: ProjectChanges): Promise<void> {
    const { name, description, isEnabled, endsTokens = false } = changes;
    const flag = isEnabled === undefined ? undefined : toFlag(isEnabled);
    const values = withoutUndefined({ name, description, is_enabled: flag });
    if (Object.keys(values).length === 0 && !endsTokens) return;
    await this.#scope.executor
      .updateTable('projects')
      .set(values)
      .$if(endsTokens, (query) => query.set((row) => ({ token_generation: row('token_generation', '+', 1) })))
      .where('project_id', '=', projectId)
      .execute();
  }

  /** Makes a tombstone of it, frees its name, drops its policies. Holds the lock of its row from then on. */
  async bury(projectId: ProjectId, deletedAt: number): Promise<void> {
    await this.#scope.executor
      .updateTable('projects')
      .set({ name: `deleted ${projectId}`, deleted_at: deletedAt })
      .where('project_id', '=', projectId)
      .execute();
    await this.#scope.executor.deleteFrom('policies').where('project_id', '=', projectId).execute();
  }

  async countContent(projectId: ProjectId): Promise<ProjectContent> {
    const { executor } = this.#scope;
    const row = await executor
      .selectNoFrom([
        executor
          .selectFrom('volumes')
          .select((query) => query.fn.countAll<number>().as('count'))
          .where('project_id', '=', projectId)
          .as('volumes'),
        executor
          .selectFrom('backups')
          .select((query) => query.fn.countAll<number>().as('count'))
          .where('project_id', '=', projectId)
          .where('deleted_at', 'is', null)
          .as('backups'),
        executor
          .selectFrom('jobs')
          .select((query) => query.fn.countAll<number>().as('count'))
          .where('project_id', '=', projectId)
          .where('status', 'in', ['INIT', 'RUNNING'])
          .as('jobs'),
      ])
      .executeTakeFirstOrThrow();
    return { volumeCount: row.volumes ?? 0, backupCount: row.backups ?? 0, openJobCount: row.jobs ?? 0 };
  }

  /** @throws PROJECT_NOT_FOUND for the first that was deleted */
  async requireLive(projectIds: readonly ProjectId[]): Promise<void> {
    const row = await this.#scope.executor
      .selectFrom('projects')
      .select('project_id')
      .where('project_id', 'in', projectIds)
      .where('deleted_at', 'is not', null)
      .executeTakeFirst();
    if (row !== undefined) throw new VbsError('PROJECT_NOT_FOUND', { projectId: row.project_id });
  }

  #select() {
    return this.#scope.executor.selectFrom('projects').selectAll().where('deleted_at', 'is', null);
  }
}

function toProject(row: Selectable<ProjectTable>): Project {
  return {
    // Casts are the brands of ids: rows hold only ids that were made by core/ids.ts.
    projectId: row.project_id as ProjectId,
    name: row.name,
    domainId: row.domain_id,
    description: row.description,
    createdAt: row.created_at,
    isEnabled: row.is_enabled === 1,
    tokenGeneration: row.token_generation,
  };
}
