// Application credentials: a program's login that passes on some of its owner's roles in one project, and ends with
// them. The secret is shown once and kept as a hash.
import { randomBytes } from 'node:crypto';
import { VbsError } from '../core/errors.ts';
import { type ApplicationCredentialId, newHexId, type UserId } from '../core/ids.ts';
import type { ApplicationCredential, Role } from '../core/model.ts';
import type { CatalogRecords } from '../db/catalog.ts';
import type { Caller } from './caller.ts';
import { type DirectoryDeps, requireSelfOrAdmin, requireUser } from './identity-rules.ts';
import type { PasswordChecker } from './password-checker.ts';

export type CreateApplicationCredentialInput = {
  readonly name: string;
  readonly description: string | null;
  /** Null: one is drawn. */
  readonly secret: string | null;
  /** Null: all that the caller's token has. */
  readonly roles: readonly Role[] | null;
  readonly expiresAt: number | null;
  readonly isUnrestricted: boolean;
};

/** 384 bits, as 64 letters. */
const SECRET_SIZE_BYTES = 48;

export class ApplicationCredentialService {
  readonly #deps: DirectoryDeps & { readonly passwords: PasswordChecker };

  constructor(deps: DirectoryDeps & { readonly passwords: PasswordChecker }) {
    this.#deps = deps;
  }

  /**
   * For the project and with roles of the caller's own token. The answer is the only place where the secret is shown.
   * @throws ROLE_DENIED for another user, APPLICATION_CREDENTIAL_RESTRICTED, PROJECT_MISMATCH without a project,
   * APPLICATION_CREDENTIAL_EXISTS; REQUEST_FIELD_INVALID for roles that the caller lacks and for a time in the past
   */
  async create(
    caller: Caller,
    userId: UserId,
    input: CreateApplicationCredentialInput,
  ): Promise<{ credential: ApplicationCredential; secret: string }> {
    const { catalog, clock, logger } = this.#deps;
    const { projectId } = caller;
    if (caller.userId !== userId) throw new VbsError('ROLE_DENIED');
    requireUnrestricted(caller);
    if (projectId === null) throw new VbsError('PROJECT_MISMATCH', { projectId: 'of any kind' });
    const secret = input.secret ?? randomBytes(SECRET_SIZE_BYTES).toString('base64url');
    const credential: ApplicationCredential = {
      ...{ userId, projectId, name: input.name, description: input.description, expiresAt: input.expiresAt },
      credentialId: newHexId<ApplicationCredentialId>(),
      secretHash: await this.#deps.passwords.hash(secret),
      roles: input.roles ?? caller.roles,
      isUnrestricted: input.isUnrestricted,
      createdAt: clock.now(),
    };
    if (credential.expiresAt !== null && credential.expiresAt <= credential.createdAt) {
      throw new VbsError('REQUEST_FIELD_INVALID', { field: 'expires_at', reason: 'it is in the past' });
    }
    await catalog.administer(async (records) => {
      await requireUser(records, userId);
      await requireRoles(records, caller, credential);
      const known = await records.applicationCredentials.findByName(userId, input.name);
      if (known !== undefined) throw new VbsError('APPLICATION_CREDENTIAL_EXISTS', { name: input.name });
      await records.applicationCredentials.insert(credential);
    });
    logger.info({ credentialId: credential.credentialId, userId }, 'application credential made');
    return { credential, secret };
  }

  /** One's own, or any user's for an admin. @throws ROLE_DENIED, USER_NOT_FOUND */
  async list(
    caller: Caller,
    userId: UserId,
    filter: { readonly name?: string | undefined },
  ): Promise<readonly ApplicationCredential[]> {
    requireSelfOrAdmin(caller, userId);
    await requireUser(this.#deps.catalog, userId);
    const credentials = await this.#deps.catalog.applicationCredentials.listByUser(userId);
    return credentials.filter(({ name }) => name === (filter.name ?? name));
  }

  /** @throws ROLE_DENIED, APPLICATION_CREDENTIAL_NOT_FOUND */
  async get(caller: Caller, userId: UserId, credentialId: ApplicationCredentialId): Promise<ApplicationCredential> {
    requireSelfOrAdmin(caller, userId);
    return await requireCredential(this.#deps.catalog, userId, credentialId);
  }

  /**
   * Its tokens end with it.
   * @throws ROLE_DENIED, APPLICATION_CREDENTIAL_RESTRICTED, APPLICATION_CREDENTIAL_NOT_FOUND
   */
  async delete(caller: Caller, userId: UserId, credentialId: ApplicationCredentialId): Promise<void> {
    requireSelfOrAdmin(caller, userId);
    requireUnrestricted(caller);
    await this.#deps.catalog.administer(async (records) => {
      await requireCredential(records, userId, credentialId);
      await records.applicationCredentials.delete(credentialId);
    });
    this.#deps.logger.info({ credentialId, userId, by: caller.userId }, 'application credential removed');
  }
}

function requireUnrestricted(caller: Caller): void {
  if (caller.isRestricted === true) throw new VbsError('APPLICATION_CREDENTIAL_RESTRICTED');
}

/** In the catalog as well as in the token: a role may have been taken away since the request came in. */
async function requireRoles(
  { users }: Pick<CatalogRecords, 'users'>,
  caller: Caller,
  { userId, projectId, roles }: ApplicationCredential,
): Promise<void> {
  const held = await users.listRoles(userId, projectId);
  const missing = roles.find((role) => !held.includes(role) || !caller.roles.includes(role));
  if (missing === undefined && roles.length > 0) return;
  const reason = missing === undefined ? 'none are left to pass on' : `you do not have the role ${missing}`;
  throw new VbsError('REQUEST_FIELD_INVALID', { field: 'roles', reason });
}

async function requireCredential(
  { applicationCredentials }: Pick<CatalogRecords, 'applicationCredentials'>,
  userId: UserId,
  credentialId: ApplicationCredentialId,
): Promise<ApplicationCredential> {
  const credential = await applicationCredentials.get(credentialId);
  if (credential?.userId !== userId) throw new VbsError('APPLICATION_CREDENTIAL_NOT_FOUND', { credentialId });
  return credential;
}
