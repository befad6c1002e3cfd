// Users: made, changed and removed by admins; everybody sees themselves and changes their own password.
import { VbsError } from '../core/errors.ts';
import { newHexId, type ProjectId, type UserId } from '../core/ids.ts';
import type { Project, User } from '../core/model.ts';
import { type Caller, requireRole } from './caller.ts';
import { type DirectoryDeps, requireAdminLeft, requireSelfOrAdmin, requireUser } from './identity-rules.ts';
import { DEFAULT_DOMAIN } from './identity-types.ts';
import type { PasswordChecker } from './password-checker.ts';

export type CreateUserInput = {
  readonly name: string;
  /** Null: no password; then nobody can log in with one. */
  readonly password: string | null;
  readonly description: string;
  readonly email: string | null;
  readonly defaultProjectId: ProjectId | null;
  readonly isEnabled: boolean;
};

/** What is absent stays. */
export type UpdateUserInput = { readonly [Key in keyof CreateUserInput]?: CreateUserInput[Key] | undefined };

export type UserFilter = { readonly name?: string | undefined; readonly isEnabled?: boolean | undefined };

export class UserService {
  readonly #deps: DirectoryDeps & { readonly passwords: PasswordChecker };

  constructor(deps: DirectoryDeps & { readonly passwords: PasswordChecker }) {
    this.#deps = deps;
  }

  /** @throws ROLE_DENIED, USER_EXISTS */
  async create(caller: Caller, input: CreateUserInput): Promise<User> {
    requireRole(caller, 'admin');
    const { catalog, passwords, logger } = this.#deps;
    const { password, ...rest } = input;
    const passwordHash = password === null ? '' : await passwords.hash(password);
    const userId = newHexId<UserId>();
    const user = await catalog.administer(async (records) => {
      await this.#requireFreeName(records, input.name);
      await records.users.insert({ ...rest, userId, domainId: DEFAULT_DOMAIN.id, passwordHash });
      return await requireUser(records, userId);
    });
    logger.info({ userId, by: caller.userId }, 'user made');
    return user;
  }

  /** All for an admin. @throws ROLE_DENIED */
  async list(caller: Caller, filter: UserFilter): Promise<readonly User[]> {
    requireRole(caller, 'admin');
    const users = await this.#deps.catalog.users.list();
    return users.filter(
      (user) => user.name === (filter.name ?? user.name) && user.isEnabled === (filter.isEnabled ?? user.isEnabled),
    );
  }

  /** Oneself, or any for an admin. @throws ROLE_DENIED, USER_NOT_FOUND */
  async get(caller: Caller, userId: UserId): Promise<User> {
    requireSelfOrAdmin(caller, userId);
    return await requireUser(this.#deps.catalog, userId);
  }

  /** Those in which the user has a role. @throws ROLE_DENIED, USER_NOT_FOUND */
  async listProjects(caller: Caller, userId: UserId): Promise<readonly Project[]> {
    await this.get(caller, userId);
    return await this.#deps.catalog.projects.listByUser(userId);
  }

  /**
   * A new password, and being disabled, end all tokens of the user.
   * @throws ROLE_DENIED, USER_NOT_FOUND, USER_EXISTS, LAST_ADMIN
   */
  async update(caller: Caller, userId: UserId, input: UpdateUserInput): Promise<User> {
    requireRole(caller, 'admin');
    const { catalog, passwords, logger } = this.#deps;
    const { password, name, ...rest } = input;
    const passwordHash = typeof password === 'string' ? await passwords.hash(password) : password;
    const user = await catalog.administer(async (records) => {
      const known = await requireUser(records, userId);
      if (name !== undefined && name !== known.name) await this.#requireFreeName(records, name);
      const endsTokens = input.isEnabled === false;
      const hash = passwordHash === null ? '' : passwordHash;
      await records.users.update(userId, { ...rest, name, passwordHash: hash, endsTokens });
      if (input.isEnabled === false) await requireAdminLeft(records);
      return await requireUser(records, userId);
    });
    logger.info({ userId, by: caller.userId, fields: Object.keys(input) }, 'user changed');
    return user;
  }

  /** Roles, application credentials and tokens go with the user; volumes and backups stay. @throws as `update` */
  async delete(caller: Caller, userId: UserId): Promise<void> {
    requireRole(caller, 'admin');
    const { catalog, logger } = this.#deps;
    await catalog.administer(async (records) => {
      await requireUser(records, userId);
      await records.applicationCredentials.deleteAll({ userId });
      await records.users.removeGrants({ userId });
      await records.users.delete(userId);
      await requireAdminLeft(records);
    });
    logger.info({ userId, by: caller.userId }, 'user removed');
  }

  /** One's own, with the old one as proof; ends all tokens of the user. @throws ROLE_DENIED, CREDENTIALS_INVALID */
  async changePassword(
    caller: Caller,
    userId: UserId,
    { original, next, address }: { readonly original: string; readonly next: string; readonly address: string },
  ): Promise<void> {
    if (caller.userId !== userId) throw new VbsError('ROLE_DENIED');
    const { catalog, passwords } = this.#deps;
    const known = await requireUser(catalog, userId);
    const stored = known.passwordHash === '' ? undefined : known.passwordHash;
    const isRight = await passwords.check({ subject: userId, address }, original, stored);
    if (!isRight) throw new VbsError('CREDENTIALS_INVALID');
    const passwordHash = await passwords.hash(next);
    await catalog.administer(async (records) => {
      const { passwordHash: current } = await requireUser(records, userId);
      // Somebody else was faster: what proved the right to change it no longer holds.
      if (current !== known.passwordHash) throw new VbsError('CREDENTIALS_INVALID');
      await records.users.update(userId, { passwordHash });
    });
  }

  async #requireFreeName({ users }: Pick<DirectoryDeps['catalog'], 'users'>, name: string): Promise<void> {
    if ((await users.findByName(DEFAULT_DOMAIN.id, name)) !== undefined) throw new VbsError('USER_EXISTS', { name });
  }
}
