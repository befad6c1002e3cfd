// Who may come in, and as whom: tokens by password, by token or by application credential, their verification and end.
// Nothing here, not even the time it takes, tells whether a user exists.
import { randomBytes } from 'node:crypto';
import { VbsError } from '../core/errors.ts';
import { type ApplicationCredentialId, type ProjectId, parseHexId, type UserId } from '../core/ids.ts';
import type { ApplicationCredential, Project, Role, User } from '../core/model.ts';
import type { Clock } from '../core/ports.ts';
import type { Catalog } from '../db/catalog.ts';
import { ensureBuiltIns } from './built-ins.ts';
import { type Caller, hasRole } from './caller.ts';
import {
  type ApplicationCredentialRef,
  type AuthIdentity,
  type AuthRequest,
  type AuthScope,
  DEFAULT_DOMAIN,
  isDefaultDomain,
  type ProjectRef,
  ROLE_IDS,
  type TokenView,
  type UserRef,
} from './identity-types.ts';
import { PASSWORD_COST, type PasswordCost } from './password.ts';
import type { PasswordChecker } from './password-checker.ts';
import { accountStamp, keyIdOf, openToken, signToken, type TokenPayload } from './token.ts';
import type { TokenKeys } from './token-keys.ts';

export type IdentityServiceDeps = {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly tokenKeys: TokenKeys;
  readonly passwords: PasswordChecker;
  readonly tokenLifeMs: number;
  /** Of the built-in user's password; that of password.ts unless set. */
  readonly passwordCost?: PasswordCost;
};

const AUDIT_ID_SIZE_BYTES = 16;
const UNKNOWN_ADDRESS = 'unknown';

/** A user who proved to be one, and by what. `parent` is the token that a new one is made from. */
type ProvenUser = {
  readonly user: User;
  readonly methods: readonly string[];
  readonly parent?: TokenPayload;
  readonly credential?: ApplicationCredential;
};

/** What a token is for. */
type Target = {
  readonly project: Project | null;
  readonly domainId: string | null;
  readonly roles: readonly Role[];
};

type VerifiedToken = {
  readonly payload: TokenPayload;
  readonly user: User;
  readonly project: Project | null;
  readonly credential: ApplicationCredential | null;
  readonly roles: readonly Role[];
};

export class IdentityService {
  readonly #deps: IdentityServiceDeps;
  readonly #catalog: Catalog;
  readonly #clock: Clock;

  constructor(deps: IdentityServiceDeps) {
    this.#deps = deps;
    this.#catalog = deps.catalog;
    this.#clock = deps.clock;
  }

  /** See built-ins.ts. */
  async ensureBuiltIns(options: { readonly adminPassword?: string }): Promise<{ generatedPassword?: string }> {
    const { catalog, clock, passwordCost = PASSWORD_COST } = this.#deps;
    return await ensureBuiltIns({ catalog, clock, passwordCost }, options);
  }

  /**
   * `address` is where the request comes from.
   * @throws AUTH_METHOD_UNSUPPORTED, SERVICE_BUSY; CREDENTIALS_INVALID for everything else: unknown or disabled user,
   * wrong password, too many wrong ones, invalid token, scope unknown or without a role.
   */
  async issueToken(request: AuthRequest, address = UNKNOWN_ADDRESS): Promise<{ tokenId: string; token: TokenView }> {
    const proven = await this.#proveUser(request.identities, address);
    const target = await this.#findTarget(proven, request.scope);
    const issuedAt = this.#clock.now();
    const auditId = randomBytes(AUDIT_ID_SIZE_BYTES).toString('base64url');
    const { parent, user, credential } = proven;
    const payload: TokenPayload = {
      v: 2,
      ids: parent?.ids[0] === undefined ? [auditId] : [auditId, parent.ids[0]],
      user: user.userId,
      stamp: accountStamp(user, target.project),
      project: target.project?.projectId ?? null,
      domain: target.domainId,
      cred: credential?.credentialId ?? null,
      methods: [...proven.methods],
      iat: issuedAt,
      exp: this.#expiryOf(issuedAt, proven),
    };
    const tokenId = signToken(payload, await this.#deps.tokenKeys.signingKey(payload.exp));
    return { tokenId, token: describe({ payload, user, credential: credential ?? null, ...target }) };
  }

  /** @throws TOKEN_INVALID when the token is malformed, forged, expired, revoked, or its user or project is no more. */
  async authenticate(tokenId: string): Promise<Caller> {
    const verified = await this.#verify(tokenId);
    if (verified === undefined) throw new VbsError('TOKEN_INVALID');
    const { payload, user, project, roles, credential } = verified;
    return {
      userId: user.userId,
      userName: user.name,
      projectId: project?.projectId ?? null,
      projectName: project?.name ?? null,
      roles,
      issuedAt: payload.iat,
      expiresAt: payload.exp,
      ...(credential?.isUnrestricted === false ? { isRestricted: true } : {}),
    };
  }

  /** Own tokens, or any for an admin. @throws SUBJECT_TOKEN_NOT_FOUND */
  async describeToken(caller: Caller, subjectTokenId: string): Promise<TokenView> {
    return describe(await this.#findSubject(caller, subjectTokenId));
  }

  /** Own tokens, or any for an admin. @throws SUBJECT_TOKEN_NOT_FOUND */
  async revokeToken(caller: Caller, subjectTokenId: string): Promise<void> {
    const { payload } = await this.#findSubject(caller, subjectTokenId);
    const auditId = ownAuditId(payload);
    await this.#catalog.administer(async ({ users }) => {
      await users.revokeToken(auditId, payload.exp);
      await users.dropExpiredRevocations(this.#clock.now());
    });
  }

  /** A token made from a token ends with it, or a stolen one could be renewed for ever. */
  #expiryOf(issuedAt: number, { parent, credential }: ProvenUser): number {
    const expiresAt = parent?.exp ?? issuedAt + this.#deps.tokenLifeMs;
    return Math.min(expiresAt, credential?.expiresAt ?? Number.POSITIVE_INFINITY);
  }

  async #proveUser(identities: readonly AuthIdentity[], address: string): Promise<ProvenUser> {
    // Before any password is tried: an unknown method makes the whole request fail whoever asks.
    for (const identity of identities) {
      if (identity.method === 'other') throw new VbsError('AUTH_METHOD_UNSUPPORTED', { method: identity.name });
    }
    let proven: ProvenUser | undefined;
    for (const identity of identities) {
      const next = await this.#proveIdentity(identity, address);
      if (proven !== undefined && proven.user.userId !== next.user.userId) throw new VbsError('CREDENTIALS_INVALID');
      const methods = [...new Set([...(proven?.methods ?? []), ...next.methods])];
      proven = { ...proven, ...next, methods };
    }
    if (proven === undefined) throw new VbsError('CREDENTIALS_INVALID');
    return proven;
  }

  async #proveIdentity(identity: AuthIdentity, address: string): Promise<ProvenUser> {
    if (identity.method === 'token') return await this.#proveByToken(identity.tokenId);
    if (identity.method === 'password') {
      const user = await this.#findUser(identity.user);
      const attempt = { subject: user?.userId ?? describeUserRef(identity.user), address };
      const stored = user?.passwordHash === '' ? undefined : user?.passwordHash;
      const isRight = await this.#deps.passwords.check(attempt, identity.password, stored);
      if (user !== undefined && isRight && user.isEnabled) return { user, methods: ['password'] };
    }
    if (identity.method === 'application_credential') {
      const credential = await this.#findCredential(identity.credential);
      const attempt = { subject: credential?.credentialId ?? describeCredentialRef(identity.credential), address };
      const isRight = await this.#deps.passwords.check(attempt, identity.secret, credential?.secretHash);
      const user = credential === undefined ? undefined : await this.#catalog.users.get(credential.userId);
      const isUsable = credential !== undefined && !hasExpired(credential, this.#clock.now());
      if (isUsable && isRight && user?.isEnabled === true) {
        return { user, methods: ['application_credential'], credential };
      }
    }
    throw new VbsError('CREDENTIALS_INVALID');
  }

  async #proveByToken(tokenId: string): Promise<ProvenUser> {
    const verified = await this.#verify(tokenId);
    if (verified === undefined) throw new VbsError('CREDENTIALS_INVALID');
    const { user, payload, credential } = verified;
    const methods = [...new Set([...payload.methods, 'token'])];
    return { user, methods, parent: payload, ...(credential === null ? {} : { credential }) };
  }

  async #findUser(reference: UserRef): Promise<User | undefined> {
    if ('name' in reference) {
      const isKnownDomain = isDefaultDomain(reference.domain);
      return isKnownDomain ? await this.#catalog.users.findByName(DEFAULT_DOMAIN.id, reference.name) : undefined;
    }
    const userId = parseHexId<UserId>(reference.id);
    return userId === undefined ? undefined : await this.#catalog.users.get(userId);
  }

  async #findCredential(reference: ApplicationCredentialRef): Promise<ApplicationCredential | undefined> {
    const { applicationCredentials } = this.#catalog;
    if ('id' in reference) {
      const credentialId = parseHexId<ApplicationCredentialId>(reference.id);
      return credentialId === undefined ? undefined : await applicationCredentials.get(credentialId);
    }
    const user = await this.#findUser(reference.user);
    return user === undefined ? undefined : await applicationCredentials.findByName(user.userId, reference.name);
  }

  async #findTarget({ user, credential }: ProvenUser, scope: AuthScope): Promise<Target> {
    if (credential !== undefined) return await this.#findCredentialTarget(credential, scope);
    if (scope.kind === 'unscoped') return { project: null, domainId: null, roles: [] };
    if (scope.kind === 'domain') {
      const roles = isDefaultDomain(scope.domain) ? await this.#listDomainRoles(user.userId) : [];
      if (roles.length === 0) throw new VbsError('CREDENTIALS_INVALID');
      return { project: null, domainId: DEFAULT_DOMAIN.id, roles };
    }
    const project = await this.#findProject(scope.project);
    const roles = project?.isEnabled === true ? await this.#listRoles(user.userId, project.projectId, null) : [];
    if (project === undefined || roles.length === 0) throw new VbsError('CREDENTIALS_INVALID');
    return { project, domainId: null, roles };
  }

  /** An application credential is for its own project; whoever names another scope gets none. */
  async #findCredentialTarget(credential: ApplicationCredential, scope: AuthScope): Promise<Target> {
    const project = await this.#catalog.projects.get(credential.projectId);
    const named = scope.kind === 'project' ? await this.#findProject(scope.project) : project;
    const isOwnScope = scope.kind !== 'domain' && named?.projectId === credential.projectId;
    const { userId, projectId } = credential;
    const roles = project?.isEnabled === true ? await this.#listRoles(userId, projectId, credential) : [];
    if (project === undefined || !isOwnScope || roles.length === 0) throw new VbsError('CREDENTIALS_INVALID');
    return { project, domainId: null, roles };
  }

  async #findProject(reference: ProjectRef): Promise<Project | undefined> {
    if ('name' in reference) {
      const isKnownDomain = isDefaultDomain(reference.domain);
      return isKnownDomain ? await this.#catalog.projects.findByName(DEFAULT_DOMAIN.id, reference.name) : undefined;
    }
    const projectId = parseHexId<ProjectId>(reference.id);
    return projectId === undefined ? undefined : await this.#catalog.projects.get(projectId);
  }

  /** What the user may do in the project, of that only what the credential passes on. */
  async #listRoles(
    userId: UserId,
    projectId: ProjectId,
    credential: ApplicationCredential | null,
  ): Promise<readonly Role[]> {
    const roles = await this.#catalog.users.listRoles(userId, projectId);
    return credential === null ? roles : roles.filter((role) => credential.roles.includes(role));
  }

  /**
   * Roles are given in projects only. Who is admin of one is admin of the domain that holds them; everybody else with a
   * role may look around: the Terraform providers log in with domain scope too, and give up when they may not.
   */
  async #listDomainRoles(userId: UserId): Promise<readonly Role[]> {
    const assignments = await this.#catalog.users.listRoleAssignments(userId);
    if (assignments.length === 0) return [];
    return assignments.some(({ role }) => role === 'admin') ? ['admin'] : ['reader'];
  }

  async #findSubject(caller: Caller, tokenId: string): Promise<VerifiedToken> {
    const verified = await this.#verify(tokenId);
    const mayRead = verified?.user.userId === caller.userId || hasRole(caller, 'admin');
    if (verified === undefined || !mayRead) throw new VbsError('SUBJECT_TOKEN_NOT_FOUND');
    return verified;
  }

  async #open(tokenId: string): Promise<TokenPayload | undefined> {
    const keyId = keyIdOf(tokenId);
    const key = keyId === undefined ? undefined : await this.#deps.tokenKeys.find(keyId);
    return key === undefined ? undefined : openToken(tokenId, key.secret, this.#clock.now());
  }

  /** Roles are read anew each time, so that taking one away holds for tokens that are out already. */
  async #verify(tokenId: string): Promise<VerifiedToken | undefined> {
    const payload = await this.#open(tokenId);
    if (payload === undefined) return undefined;
    const { users, projects } = this.#catalog;
    if (await users.isTokenRevoked(ownAuditId(payload))) return undefined;
    // Casts: these were ids when the payload was signed, and nobody else can sign one.
    const user = await users.get(payload.user as UserId);
    const project = payload.project === null ? null : await projects.get(payload.project as ProjectId);
    if (user?.isEnabled !== true || project === undefined || project?.isEnabled === false) return undefined;
    if (accountStamp(user, project) !== payload.stamp) return undefined;
    const credential = await this.#findOwnCredential(payload);
    if (credential === undefined) return undefined;
    if (project === null) {
      const roles = payload.domain === null ? [] : await this.#listDomainRoles(user.userId);
      return { payload, user, project, credential, roles };
    }
    const roles = await this.#listRoles(user.userId, project.projectId, credential);
    return { payload, user, project, credential, roles };
  }

  /** Null for tokens that were made without one; undefined when it is no more. */
  async #findOwnCredential(payload: TokenPayload): Promise<ApplicationCredential | null | undefined> {
    if (payload.cred === null) return null;
    // The cast as in #verify.
    const credential = await this.#catalog.applicationCredentials.get(payload.cred as ApplicationCredentialId);
    return credential === undefined || hasExpired(credential, this.#clock.now()) ? undefined : credential;
  }
}

function hasExpired({ expiresAt }: ApplicationCredential, nowAt: number): boolean {
  return expiresAt !== null && expiresAt <= nowAt;
}

/** The same for the same user that is not there, so that failures add up. */
function describeUserRef(reference: UserRef): string {
  return 'id' in reference ? `unknown id ${reference.id}` : `unknown name ${reference.name}`;
}

function describeCredentialRef(reference: ApplicationCredentialRef): string {
  return 'id' in reference ? `unknown credential ${reference.id}` : `${describeUserRef(reference.user)} credential`;
}

function ownAuditId(payload: TokenPayload): string {
  return payload.ids[0] ?? '';
}

function describe({ payload, user, project, roles, credential }: VerifiedToken): TokenView {
  return {
    methods: payload.methods,
    auditIds: payload.ids,
    issuedAt: payload.iat,
    expiresAt: payload.exp,
    user: { id: user.userId, name: user.name, domain: DEFAULT_DOMAIN },
    project: project === null ? null : { id: project.projectId, name: project.name, domain: DEFAULT_DOMAIN },
    domain: payload.domain === null ? null : DEFAULT_DOMAIN,
    roles: roles.map((name) => ({ id: ROLE_IDS[name], name })),
    applicationCredential:
      credential === null
        ? null
        : { id: credential.credentialId, name: credential.name, isRestricted: !credential.isUnrestricted },
  };
}
