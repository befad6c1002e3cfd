// Projects: made, changed and removed by admins; everybody sees those in which they have a role.
import { VbsError } from '../core/errors.ts';
import { newHexId, type ProjectId } from '../core/ids.ts';
import type { Project } from '../core/model.ts';
import type { CatalogRecords } from '../db/catalog.ts';
import type { ProjectContent } from '../db/project-records.ts';
import { type Caller, hasRole, requireRole } from './caller.ts';
import { type DirectoryDeps, requireAdminLeft, requireLiveProject } from './identity-rules.ts';
import { DEFAULT_DOMAIN } from './identity-types.ts';

export type CreateProjectInput = { readonly name: string; readonly description: string; readonly isEnabled: boolean };
/** What is absent stays. */
export type UpdateProjectInput = { readonly [Key in keyof CreateProjectInput]?: CreateProjectInput[Key] | undefined };
export type ProjectFilter = { readonly name?: string | undefined; readonly isEnabled?: boolean | undefined };

export class ProjectService {
  readonly #deps: DirectoryDeps;

  constructor(deps: DirectoryDeps) {
    this.#deps = deps;
  }

  /** Enabled projects in which the caller has a role: those that a token may be scoped to. */
  async listOwn(caller: Caller): Promise<readonly Project[]> {
    const projects = await this.#deps.catalog.projects.listByUser(caller.userId);
    return projects.filter((project) => project.isEnabled);
  }

  /** All for an admin, else those in which the caller has a role. */
  async list(caller: Caller, filter: ProjectFilter): Promise<readonly Project[]> {
    const { projects } = this.#deps.catalog;
    const all = hasRole(caller, 'admin') ? await projects.list() : await projects.listByUser(caller.userId);
    return all.filter(
      ({ name, isEnabled }) => name === (filter.name ?? name) && isEnabled === (filter.isEnabled ?? isEnabled),
    );
  }

  /** The caller's own projects, or any for an admin. @throws PROJECT_NOT_FOUND */
  async get(caller: Caller, projectId: ProjectId): Promise<Project> {
    const { catalog } = this.#deps;
    const mayRead = hasRole(caller, 'admin') || (await catalog.users.listRoles(caller.userId, projectId)).length > 0;
    if (!mayRead) throw new VbsError('PROJECT_NOT_FOUND', { projectId });
    return await requireLiveProject(catalog, projectId);
  }

  /** @throws ROLE_DENIED, PROJECT_EXISTS */
  async create(caller: Caller, input: CreateProjectInput): Promise<Project> {
    requireRole(caller, 'admin');
    const { catalog, clock, logger } = this.#deps;
    const projectId = newHexId<ProjectId>();
    const createdAt = clock.now();
    const project = await catalog.administer(async (records) => {
      await requireFreeName(records, input.name);
      await records.projects.insert({ ...input, projectId, domainId: DEFAULT_DOMAIN.id, createdAt });
      return await requireLiveProject(records, projectId);
    });
    logger.info({ projectId, by: caller.userId }, 'project made');
    return project;
  }

  /**
   * Being disabled ends all tokens for the project; its policies go on.
   * @throws ROLE_DENIED, PROJECT_NOT_FOUND, PROJECT_EXISTS, LAST_ADMIN
   */
  async update(caller: Caller, projectId: ProjectId, input: UpdateProjectInput): Promise<Project> {
    requireRole(caller, 'admin');
    const { catalog, logger } = this.#deps;
    const project = await catalog.administer(async (records) => {
      const known = await requireLiveProject(records, projectId);
      if (input.name !== undefined && input.name !== known.name) await requireFreeName(records, input.name);
      await records.projects.update(projectId, { ...input, endsTokens: input.isEnabled === false });
      if (input.isEnabled === false) await requireAdminLeft(records);
      return await requireLiveProject(records, projectId);
    });
    logger.info({ projectId, by: caller.userId, fields: Object.keys(input) }, 'project changed');
    return project;
  }

  /**
   * Policies, roles and application credentials of the project go with it.
   * @throws ROLE_DENIED, PROJECT_NOT_FOUND, LAST_ADMIN; PROJECT_NOT_EMPTY while it has volumes, backups or open jobs
   */
  async delete(caller: Caller, projectId: ProjectId): Promise<void> {
    requireRole(caller, 'admin');
    const { catalog, clock, logger } = this.#deps;
    await catalog.administer(async (records) => {
      await requireLiveProject(records, projectId);
      // First, because it takes the lock of the project: from here on nothing can be added to it.
      await records.projects.bury(projectId, clock.now());
      const reason = describeContent(await records.projects.countContent(projectId));
      if (reason !== undefined) throw new VbsError('PROJECT_NOT_EMPTY', { projectId, reason });
      await records.applicationCredentials.deleteAll({ projectId });
      await records.users.removeGrants({ projectId });
      await requireAdminLeft(records);
    });
    logger.info({ projectId, by: caller.userId }, 'project removed');
  }
}

function describeContent({ volumeCount, backupCount, openJobCount }: ProjectContent): string | undefined {
  if (volumeCount > 0) return `${volumeCount} volumes`;
  if (backupCount > 0) return `${backupCount} backups`;
  return openJobCount > 0 ? `${openJobCount} jobs that have not ended` : undefined;
}

async function requireFreeName({ projects }: Pick<CatalogRecords, 'projects'>, name: string): Promise<void> {
  const known = await projects.findByName(DEFAULT_DOMAIN.id, name);
  if (known !== undefined) throw new VbsError('PROJECT_EXISTS', { name });
}
