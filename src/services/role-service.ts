// Roles and who has them where. There are three, with fixed meanings (contract 1.5); they are given in projects only.
import { VbsError } from '../core/errors.ts';
import type { ProjectId, UserId } from '../core/ids.ts';
import { type Project, ROLES, type Role, type User } from '../core/model.ts';
import type { CatalogRecords } from '../db/catalog.ts';
import { type Caller, requireRole } from './caller.ts';
import { type DirectoryDeps, requireAdminLeft, requireLiveProject, requireUser } from './identity-rules.ts';
import { ROLE_IDS, type RoleView } from './identity-types.ts';

export type RoleGrantRef = { readonly userId: UserId; readonly projectId: ProjectId; readonly role: Role };
export type RoleGrantFilter = { readonly [Key in keyof RoleGrantRef]?: RoleGrantRef[Key] | undefined };
/** With names, for those who asked for them. */
export type RoleGrantView = RoleGrantRef & { readonly userName: string; readonly projectName: string };

export class RoleService {
  readonly #deps: DirectoryDeps;

  constructor(deps: DirectoryDeps) {
    this.#deps = deps;
  }

  listRoles(): readonly RoleView[] {
    return ROLES.map((name) => ({ id: ROLE_IDS[name], name }));
  }

  /** @throws ROLE_NOT_FOUND */
  getRole(roleId: string): RoleView {
    const role = this.listRoles().find(({ id }) => id === roleId.replaceAll('-', '').toLowerCase());
    if (role === undefined) throw new VbsError('ROLE_NOT_FOUND', { roleId: roleId.slice(0, 64) });
    return role;
  }

  /** @throws ROLE_DENIED, USER_NOT_FOUND, PROJECT_NOT_FOUND */
  async listGranted(caller: Caller, userId: UserId, projectId: ProjectId): Promise<readonly RoleView[]> {
    requireRole(caller, 'admin');
    const { catalog } = this.#deps;
    await requireBoth(catalog, userId, projectId);
    return (await catalog.users.listRoles(userId, projectId)).map((name) => ({ id: ROLE_IDS[name], name }));
  }

  /** @throws ROLE_DENIED, USER_NOT_FOUND, PROJECT_NOT_FOUND, ROLE_ASSIGNMENT_NOT_FOUND */
  async requireGrant(caller: Caller, grant: RoleGrantRef): Promise<void> {
    const roles = await this.listGranted(caller, grant.userId, grant.projectId);
    if (!roles.some(({ name }) => name === grant.role)) throw new VbsError('ROLE_ASSIGNMENT_NOT_FOUND', grant);
  }

  /** Harmless twice. @throws ROLE_DENIED, USER_NOT_FOUND, PROJECT_NOT_FOUND */
  async grant(caller: Caller, { userId, projectId, role }: RoleGrantRef): Promise<void> {
    requireRole(caller, 'admin');
    const { catalog, logger } = this.#deps;
    await catalog.administer(async (records) => {
      await requireBoth(records, userId, projectId);
      await records.users.assignRole(userId, projectId, role);
    });
    logger.info({ userId, projectId, role, by: caller.userId }, 'role given');
  }

  /**
   * Tokens lose the role at once; application credentials that pass it on are deleted.
   * @throws ROLE_DENIED, USER_NOT_FOUND, PROJECT_NOT_FOUND, ROLE_ASSIGNMENT_NOT_FOUND, LAST_ADMIN
   */
  async revoke(caller: Caller, grant: RoleGrantRef): Promise<void> {
    requireRole(caller, 'admin');
    const { catalog, logger } = this.#deps;
    const { userId, projectId, role } = grant;
    await catalog.administer(async (records) => {
      const { users, applicationCredentials } = records;
      await requireBoth(records, userId, projectId);
      if (!(await users.listRoles(userId, projectId)).includes(role)) {
        throw new VbsError('ROLE_ASSIGNMENT_NOT_FOUND', grant);
      }
      await users.removeRole(userId, projectId, role);
      for (const { credentialId, roles } of await applicationCredentials.listByUser(userId, projectId)) {
        if (roles.includes(role)) await applicationCredentials.delete(credentialId);
      }
      await requireAdminLeft(records);
    });
    logger.info({ ...grant, by: caller.userId }, 'role taken away');
  }

  /** @throws ROLE_DENIED */
  async listGrants(caller: Caller, filter: RoleGrantFilter): Promise<readonly RoleGrantView[]> {
    requireRole(caller, 'admin');
    const { users, projects } = this.#deps.catalog;
    const grants = await users.listGrants(filter);
    const userNames = new Map((await users.list()).map(({ userId, name }) => [userId, name]));
    const projectNames = new Map((await projects.list()).map(({ projectId, name }) => [projectId, name]));
    return grants.map((grant) => ({
      ...grant,
      userName: userNames.get(grant.userId) ?? '',
      projectName: projectNames.get(grant.projectId) ?? '',
    }));
  }
}

async function requireBoth(
  records: Pick<CatalogRecords, 'users' | 'projects'>,
  userId: UserId,
  projectId: ProjectId,
): Promise<{ user: User; project: Project }> {
  return { user: await requireUser(records, userId), project: await requireLiveProject(records, projectId) };
}
