// Users, their roles in projects, and tokens that were revoked before their time.
import type { Selectable } from 'kysely';
import type { ProjectId, UserId } from '../core/ids.ts';
import type { Role, User } from '../core/model.ts';
import type { RoleAssignment } from './record-types.ts';
import type { Scope } from './scope.ts';
import { toFlag, type UserTable } from './tables.ts';

export class UserRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async insert(user: User): Promise<void> {
    const row = {
      user_id: user.userId,
      name: user.name,
      domain_id: user.domainId,
      password_hash: user.passwordHash,
      is_enabled: toFlag(user.isEnabled),
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

  async update(
    userId: UserId,
    changes: { readonly passwordHash?: string | undefined; readonly isEnabled?: boolean | undefined },
  ): Promise<void> {
    const values = {
      ...(changes.passwordHash === undefined ? {} : { password_hash: changes.passwordHash }),
      ...(changes.isEnabled === undefined ? {} : { is_enabled: toFlag(changes.isEnabled) }),
    };
    if (Object.keys(values).length > 0) {
      await this.#scope.executor.updateTable('users').set(values).where('user_id', '=', userId).execute();
    }
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
  };
}
