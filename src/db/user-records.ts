// Users, their roles in projects, and tokens that were revoked before their time.
import type { Selectable } from 'kysely';
import type { ProjectId, UserId } from '../core/ids.ts';
import type { Role, User } from '../core/model.ts';
import type { NewUser, RoleAssignment, RoleGrant, RoleGrantFilter, UserChanges } from './record-types.ts';
import type { Scope } from './scope.ts';
import { toFlag, type UserTable, withoutUndefined } from './tables.ts';

export class UserRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async insert(user: NewUser): Promise<void> {
    const row = {
      user_id: user.userId,
      name: user.name,
      domain_id: user.domainId,
      password_hash: user.passwordHash,
      is_enabled: toFlag(user.isEnabled),
      description: user.description ?? '',
      email: user.email ?? null,
      default_project_id: user.defaultProjectId ?? null,
    };
    await this.#scope.executor.insertInto('users').values(row).execute();
  }

  async get(userId: UserId): Promise<User | undefined> {
    const row = await this.#select().where('user_id', '=', userId).executeTakeFirst();
    return row === undefined ? undefined : toUser(row);
  }

  async findByName(domainId: string, name: string): Promise<User | undefined> {
    const row = await this.#select().where('domain_id', '=', domainId).where('name', '=', name).executeTakeFirst();
    return row === undefined ? undefined : toUser(row);
  }

  /** By name. */
  async list(): Promise<User[]> {
    const rows = await this.#select().orderBy('name').orderBy('user_id').execute();
    return rows.map(toUser);
  }

  async update(userId: UserId, changes: UserChanges): Promise<void> {
    const { isEnabled, endsTokens = false } = changes;
    const values = withoutUndefined({
      name: changes.name,
      password_hash: changes.passwordHash,
      is_enabled: isEnabled === undefined ? undefined : toFlag(isEnabled),
      description: changes.description,
      email: changes.email,
      default_project_id: changes.defaultProjectId,
    });
    if (Object.keys(values).length === 0 && !endsTokens) return;
    await this.#scope.executor
      .updateTable('users')
      .set(values)
      .$if(endsTokens, (query) => query.set((row) => ({ token_generation: row('token_generation', '+', 1) })))
      .where('user_id', '=', userId)
      .execute();
  }

  /** The user's roles and application credentials must be gone. */
  async delete(userId: UserId): Promise<void> {
    await this.#scope.executor.deleteFrom('users').where('user_id', '=', userId).execute();
  }

  async count(): Promise<number> {
    const row = await this.#scope.executor
      .selectFrom('users')
      .select((query) => query.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    return row.count;
  }

  /** Harmless twice. */
  async assignRole(userId: UserId, projectId: ProjectId, role: Role): Promise<void> {
    await this.#scope.executor
      .insertInto('role_assignments')
      .values({ user_id: userId, project_id: projectId, role })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }

  async removeRole(userId: UserId, projectId: ProjectId, role: Role): Promise<void> {
    await this.#scope.executor
      .deleteFrom('role_assignments')
      .where('user_id', '=', userId)
      .where('project_id', '=', projectId)
      .where('role', '=', role)
      .execute();
  }

  async listRoles(userId: UserId, projectId: ProjectId): Promise<Role[]> {
    const assignments = await this.listRoleAssignments(userId);
    return assignments.filter((assignment) => assignment.projectId === projectId).map((assignment) => assignment.role);
  }

  async listRoleAssignments(userId: UserId): Promise<RoleAssignment[]> {
    const rows = await this.#scope.executor
      .selectFrom('role_assignments')
      .select(['project_id', 'role'])
      .where('user_id', '=', userId)
      .orderBy('project_id')
      .orderBy('role')
      .execute();
    // Casts: only `assignRole` and `insert` of projects write these columns.
    return rows.map((row) => ({ projectId: row.project_id as ProjectId, role: row.role as Role }));
  }

  /** Everybody's roles everywhere, or those that the filter names; by project, user, role. */
  async listGrants(filter: RoleGrantFilter): Promise<RoleGrant[]> {
    const { userId, projectId, role } = filter;
    const rows = await this.#scope.executor
      .selectFrom('role_assignments')
      .selectAll()
      .$if(userId !== undefined, (query) => query.where('user_id', '=', String(userId)))
      .$if(projectId !== undefined, (query) => query.where('project_id', '=', String(projectId)))
      .$if(role !== undefined, (query) => query.where('role', '=', String(role)))
      .orderBy('project_id')
      .orderBy('user_id')
      .orderBy('role')
      .execute();
    // Casts as in `listRoleAssignments`.
    return rows.map((row) => ({
      userId: row.user_id as UserId,
      projectId: row.project_id as ProjectId,
      role: row.role as Role,
    }));
  }

  async removeGrants(filter: { readonly userId: UserId } | { readonly projectId: ProjectId }): Promise<void> {
    const query = this.#scope.executor.deleteFrom('role_assignments');
    const narrowed =
      'userId' in filter
        ? query.where('user_id', '=', filter.userId)
        : query.where('project_id', '=', filter.projectId);
    await narrowed.execute();
  }

  /** Users who can act as admin: enabled, with the role in a project that is enabled. */
  async countAdmins(): Promise<number> {
    const row = await this.#scope.executor
      .selectFrom('role_assignments')
      .innerJoin('users', 'users.user_id', 'role_assignments.user_id')
      .innerJoin('projects', 'projects.project_id', 'role_assignments.project_id')
      .select((query) => query.fn.count<number>('users.user_id').distinct().as('count'))
      .where('role_assignments.role', '=', 'admin')
      .where('users.is_enabled', '=', 1)
      .where('projects.is_enabled', '=', 1)
      .where('projects.deleted_at', 'is', null)
      .executeTakeFirstOrThrow();
    return row.count;
  }

  /** `tokenId` is whatever names the token without being usable as one (an audit id or a hash). Harmless twice. */
  async revokeToken(tokenId: string, expiresAt: number): Promise<void> {
    await this.#scope.executor
      .insertInto('revoked_tokens')
      .values({ token_id: tokenId, expires_at: expiresAt })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }

  async isTokenRevoked(tokenId: string): Promise<boolean> {
    const row = await this.#scope.executor
      .selectFrom('revoked_tokens')
      .select('token_id')
      .where('token_id', '=', tokenId)
      .executeTakeFirst();
    return row !== undefined;
  }

  /** Forgets revocations of tokens that have expired by now. */
  async dropExpiredRevocations(nowAt: number): Promise<void> {
    await this.#scope.executor.deleteFrom('revoked_tokens').where('expires_at', '<', nowAt).execute();
  }

  #select() {
    return this.#scope.executor.selectFrom('users').selectAll();
  }
}

function toUser(row: Selectable<UserTable>): User {
  return {
    userId: row.user_id as UserId,
    name: row.name,
    domainId: row.domain_id,
    passwordHash: row.password_hash,
    isEnabled: row.is_enabled === 1,
    description: row.description,
    email: row.email,
    defaultProjectId: row.default_project_id as ProjectId | null,
    tokenGeneration: row.token_generation,
  };
}
