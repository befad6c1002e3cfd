// Projects: owners of everything else.
import type { Selectable } from 'kysely';
import type { ProjectId, UserId } from '../core/ids.ts';
import type { Project } from '../core/model.ts';
import type { Scope } from './scope.ts';
import type { ProjectTable } from './tables.ts';

export class ProjectRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async insert(project: Project): Promise<void> {
    const row = {
      project_id: project.projectId,
      name: project.name,
      domain_id: project.domainId,
      description: project.description,
      created_at: project.createdAt,
      epoch: null,
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

  #select() {
    return this.#scope.executor.selectFrom('projects').selectAll();
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
  };
}
