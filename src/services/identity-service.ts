// Who may come in, and as whom: built-in user and project, tokens by password or by token, their verification and end.
// Nothing here, not even the time it takes, tells whether a user exists.
import { randomBytes } from 'node:crypto';
import { VbsError } from '../core/errors.ts';
import { newHexId, type ProjectId, parseHexId, type UserId } from '../core/ids.ts';
import type { Project, Role, User } from '../core/model.ts';
import type { Clock } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import { type Caller, hasRole } from './caller.ts';
import { hashPassword, PASSWORD_COST, type PasswordCost, verifyPassword } from './password.ts';
import { openToken, passwordStamp, signToken, type TokenPayload } from './token.ts';

export type DomainRef = { readonly id: string } | { readonly name: string };
export type UserRef = { readonly id: string } | { readonly name: string; readonly domain: DomainRef };
export type ProjectRef = { readonly id: string } | { readonly name: string; readonly domain: DomainRef };

export type AuthIdentity =
  | { readonly method: 'password'; readonly user: UserRef; readonly password: string }
  | { readonly method: 'token'; readonly tokenId: string }
  /** Any other method that the request names (application_credential, totp, ...). */
  | { readonly method: 'other'; readonly name: string };

export type AuthScope =
  | { readonly kind: 'project'; readonly project: ProjectRef }
  | { readonly kind: 'domain'; readonly domain: DomainRef }
  | { readonly kind: 'unscoped' };

/** Every identity must be right, and all of them the same user's. At least one. */
export type AuthRequest = { readonly identities: readonly AuthIdentity[]; readonly scope: AuthScope };

export type DomainView = { readonly id: string; readonly name: string };
export type RoleView = { readonly id: string; readonly name: Role };

/** What the body of a token shows, without the catalog of endpoints: that is the API's. */
export type TokenView = {
  readonly methods: readonly string[];
  readonly auditIds: readonly string[];
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly user: { readonly id: UserId; readonly name: string; readonly domain: DomainView };
  readonly project: { readonly id: ProjectId; readonly name: string; readonly domain: DomainView } | null;
  readonly domain: DomainView | null;
  readonly roles: readonly RoleView[];
};

export type IdentityServiceDeps = {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly tokenLifeMs: number;
  /** Of new password hashes; that of password.ts unless set. */
  readonly passwordCost?: PasswordCost;
};

/** The one domain; Keystone's own default has these names too. */
export const DEFAULT_DOMAIN: DomainView = { id: 'default', name: 'Default' };
const ADMIN_USER_NAME = 'admin';
const ADMIN_PROJECT_NAME = 'admin';
const ADMIN_ROLES: readonly Role[] = ['admin', 'member'];
/** Ids of roles on the wire; fixed, so that a client may remember them. */
const ROLE_IDS: Readonly<Record<Role, string>> = {
  admin: '3d7f4a1e9c0b48d2a65e8f7b1c2d3e40',
  member: '70d1f6a2b9c84e05a3d7f1e29b6c4850',
  reader: 'b52c9e07d14f4a6d8e3107f2c6a5d9b8',
};
/** 96 bits: 16 letters that can be copied from a terminal. */
const PASSWORD_SIZE_BYTES = 12;
const AUDIT_ID_SIZE_BYTES = 16;

/** A user who proved to be one, and by what. `parent` is the token that a new one is made from. */
type ProvenUser = { readonly user: User; readonly methods: readonly string[]; readonly parent?: TokenPayload };

type VerifiedToken = {
  readonly payload: TokenPayload;
  readonly user: User;
  readonly project: Project | null;
  readonly roles: readonly Role[];
};

export class IdentityService {
  readonly #catalog: Catalog;
  readonly #clock: Clock;
  readonly #tokenLifeMs: number;
  readonly #passwordCost: PasswordCost;
  #signingKey: Buffer | undefined;

  constructor(deps: IdentityServiceDeps) {
    this.#catalog = deps.catalog;
    this.#clock = deps.clock;
    this.#tokenLifeMs = deps.tokenLifeMs;
    this.#passwordCost = deps.passwordCost ?? PASSWORD_COST;
  }

  /**
   * Makes the user, project and roles that a new installation begins with. A given password replaces the stored one;
   * without one, a password is drawn for a new user and returned this one time.
   */
  async ensureBuiltIns(options: { readonly adminPassword?: string }): Promise<{ generatedPassword?: string }> {
    const { adminPassword } = options;
    const known = await this.#catalog.users.findByName(DEFAULT_DOMAIN.id, ADMIN_USER_NAME);
    if (known !== undefined) {
      const isCurrent = adminPassword === undefined || (await verifyPassword(adminPassword, known.passwordHash));
      const passwordHash = isCurrent ? known.passwordHash : await hashPassword(adminPassword, this.#passwordCost);
      await this.#catalog.administer((records) => this.#putBuiltIns(records, passwordHash));
      return {};
    }
    const generatedPassword = adminPassword ?? randomBytes(PASSWORD_SIZE_BYTES).toString('base64url');
    const passwordHash = await hashPassword(generatedPassword, this.#passwordCost);
    await this.#catalog.administer((records) => this.#putBuiltIns(records, passwordHash));
    return adminPassword === undefined ? { generatedPassword } : {};
  }

  async #putBuiltIns(records: CatalogRecords, passwordHash: string): Promise<void> {
    const { users, projects } = records;
    const domainId = DEFAULT_DOMAIN.id;
    const user = await users.findByName(domainId, ADMIN_USER_NAME);
    const userId = user?.userId ?? newHexId<UserId>();
    if (user === undefined) {
      await users.insert({ userId, name: ADMIN_USER_NAME, domainId, passwordHash, isEnabled: true });
    } else if (user.passwordHash !== passwordHash) {
      await users.update(userId, { passwordHash });
    }
    const project = await projects.findByName(domainId, ADMIN_PROJECT_NAME);
    const projectId = project?.projectId ?? newHexId<ProjectId>();
    if (project === undefined) {
      const description = 'Made at the first start';
      await projects.insert({
        projectId,
        name: ADMIN_PROJECT_NAME,
        domainId,
        description,
        createdAt: this.#clock.now(),
      });
    }
    for (const role of ADMIN_ROLES) await users.assignRole(userId, projectId, role);
  }

  /**
   * @throws AUTH_METHOD_UNSUPPORTED, SERVICE_BUSY; CREDENTIALS_INVALID for everything else: unknown or disabled user,
   * wrong password, invalid token, scope unknown or without a role.
   */
  async issueToken(request: AuthRequest): Promise<{ tokenId: string; token: TokenView }> {
    const proven = await this.#proveUser(request.identities);
    const target = await this.#findTarget(proven.user, request.scope);
    const issuedAt = this.#clock.now();
    const auditId = randomBytes(AUDIT_ID_SIZE_BYTES).toString('base64url');
    const { parent } = proven;
    const payload: TokenPayload = {
      v: 1,
      ids: parent?.ids[0] === undefined ? [auditId] : [auditId, parent.ids[0]],
      user: proven.user.userId,
      stamp: passwordStamp(proven.user.passwordHash),
      project: target.project?.projectId ?? null,
      domain: target.domainId,
      methods: [...proven.methods],
      iat: issuedAt,
      // A token made from a token ends with it, or a stolen one could be renewed for ever.
      exp: parent?.exp ?? issuedAt + this.#tokenLifeMs,
    };
    const tokenId = signToken(payload, await this.#key());
    return { tokenId, token: describe({ payload, user: proven.user, ...target }) };
  }

  /** @throws TOKEN_INVALID when the token is malformed, forged, expired, revoked, or its user or project is no more. */
  async authenticate(tokenId: string): Promise<Caller> {
    const verified = await this.#verify(tokenId);
    if (verified === undefined) throw new VbsError('TOKEN_INVALID');
    const { payload, user, project, roles } = verified;
    return {
      userId: user.userId,
      userName: user.name,
      projectId: project?.projectId ?? null,
      projectName: project?.name ?? null,
      roles,
      issuedAt: payload.iat,
      expiresAt: payload.exp,
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

  /** Projects in which the caller has a role. */
  async listProjects(caller: Caller): Promise<readonly Project[]> {
    return await this.#catalog.projects.listByUser(caller.userId);
  }

  /** The caller's own projects, or any for an admin. @throws PROJECT_NOT_FOUND */
  async getProject(caller: Caller, projectId: ProjectId): Promise<Project> {
    const project = await this.#catalog.projects.get(projectId);
    const mayRead =
      hasRole(caller, 'admin') || (await this.#catalog.users.listRoles(caller.userId, projectId)).length > 0;
    if (project === undefined || !mayRead) throw new VbsError('PROJECT_NOT_FOUND', { projectId });
    return project;
  }

  async #proveUser(identities: readonly AuthIdentity[]): Promise<ProvenUser> {
    // Before any password is tried: an unknown method makes the whole request fail whoever asks.
    for (const identity of identities) {
      if (identity.method === 'other') throw new VbsError('AUTH_METHOD_UNSUPPORTED', { method: identity.name });
    }
    let proven: ProvenUser | undefined;
    for (const identity of identities) {
      const next = await this.#proveIdentity(identity);
      if (proven !== undefined && proven.user.userId !== next.user.userId) throw new VbsError('CREDENTIALS_INVALID');
      const methods = [...new Set([...(proven?.methods ?? []), ...next.methods])];
      const parent = proven?.parent ?? next.parent;
      proven = { user: next.user, methods, ...(parent === undefined ? {} : { parent }) };
    }
    if (proven === undefined) throw new VbsError('CREDENTIALS_INVALID');
    return proven;
  }

  async #proveIdentity(identity: AuthIdentity): Promise<ProvenUser> {
    if (identity.method === 'token') {
      const verified = await this.#verify(identity.tokenId);
      if (verified === undefined) throw new VbsError('CREDENTIALS_INVALID');
      const methods = [...new Set([...verified.payload.methods, 'token'])];
      return { user: verified.user, methods, parent: verified.payload };
    }
    if (identity.method === 'password') {
      const user = await this.#findUser(identity.user);
      const isRight = await verifyPassword(identity.password, user?.passwordHash, this.#passwordCost);
      if (user !== undefined && isRight && user.isEnabled) return { user, methods: ['password'] };
    }
    throw new VbsError('CREDENTIALS_INVALID');
  }

  async #findUser(reference: UserRef): Promise<User | undefined> {
    if ('name' in reference) {
      const isKnownDomain = isDefaultDomain(reference.domain);
      return isKnownDomain ? await this.#catalog.users.findByName(DEFAULT_DOMAIN.id, reference.name) : undefined;
    }
    const userId = parseHexId<UserId>(reference.id);
    return userId === undefined ? undefined : await this.#catalog.users.get(userId);
  }

  async #findTarget(
    user: User,
    scope: AuthScope,
  ): Promise<{ project: Project | null; domainId: string | null; roles: readonly Role[] }> {
    if (scope.kind === 'unscoped') return { project: null, domainId: null, roles: [] };
    if (scope.kind === 'domain') {
      const roles = isDefaultDomain(scope.domain) ? await this.#listDomainRoles(user.userId) : [];
      if (roles.length === 0) throw new VbsError('CREDENTIALS_INVALID');
      return { project: null, domainId: DEFAULT_DOMAIN.id, roles };
    }
    const project = await this.#findProject(scope.project);
    const roles = project === undefined ? [] : await this.#catalog.users.listRoles(user.userId, project.projectId);
    if (project === undefined || roles.length === 0) throw new VbsError('CREDENTIALS_INVALID');
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

  /** Roles are read anew each time, so that taking one away holds for tokens that are out already. */
  async #verify(tokenId: string): Promise<VerifiedToken | undefined> {
    const payload = openToken(tokenId, await this.#key(), this.#clock.now());
    if (payload === undefined) return undefined;
    const { users, projects } = this.#catalog;
    if (await users.isTokenRevoked(ownAuditId(payload))) return undefined;
    // Casts: both were ids when the payload was signed, and nobody else can sign one.
    const user = await users.get(payload.user as UserId);
    if (user === undefined || !user.isEnabled || passwordStamp(user.passwordHash) !== payload.stamp) return undefined;
    if (payload.project === null) {
      const roles = payload.domain === null ? [] : await this.#listDomainRoles(user.userId);
      return { payload, user, project: null, roles };
    }
    const project = await projects.get(payload.project as ProjectId);
    if (project === undefined) return undefined;
    return { payload, user, project, roles: await users.listRoles(user.userId, project.projectId) };
  }

  async #key(): Promise<Buffer> {
    this.#signingKey ??= await this.#catalog.meta.signingKey();
    return this.#signingKey;
  }
}

function isDefaultDomain(domain: DomainRef): boolean {
  if ('id' in domain) return domain.id === DEFAULT_DOMAIN.id;
  // Keystone compares names without case, and clients are configured with either spelling.
  return domain.name.toLowerCase() === DEFAULT_DOMAIN.name.toLowerCase();
}

function ownAuditId(payload: TokenPayload): string {
  return payload.ids[0] ?? '';
}

function describe({ payload, user, project, roles }: VerifiedToken): TokenView {
  return {
    methods: payload.methods,
    auditIds: payload.ids,
    issuedAt: payload.iat,
    expiresAt: payload.exp,
    user: { id: user.userId, name: user.name, domain: DEFAULT_DOMAIN },
    project: project === null ? null : { id: project.projectId, name: project.name, domain: DEFAULT_DOMAIN },
    domain: payload.domain === null ? null : DEFAULT_DOMAIN,
    roles: roles.map((name) => ({ id: ROLE_IDS[name], name })),
  };
}
