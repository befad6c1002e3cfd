// Identity where an external Keystone keeps users and tokens: each token is validated there, and the answer believed
// for a bounded time. Projects enter the catalog when they are first seen. Nothing is issued here.
import { createHash } from 'node:crypto';
import { Semaphore } from '../core/concurrency.ts';
import { VbsError } from '../core/errors.ts';
import { type ProjectId, parseHexId, type UserId } from '../core/ids.ts';
import type { KeystoneToken, KeystoneTokens } from '../core/keystone.ts';
import { KEYSTONE_CACHE_MAX, KEYSTONE_CALL_MAX, KEYSTONE_WAITING_MAX } from '../core/limits.ts';
import type { Role } from '../core/model.ts';
import type { Clock, Logger } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import type { Caller } from './caller.ts';

export type ExternalIdentityDeps = {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly keystone: KeystoneTokens;
  /** Ends in /v3; told to those who ask for what is not here. */
  readonly url: string;
  /** Longest time that an answer is believed; 0: every request asks. */
  readonly cacheMs: number;
  /** Lower-case names of Keystone's roles, and what they are here. Any other role is none. */
  readonly roles: ReadonlyMap<string, Role>;
};

type KnownProject = NonNullable<KeystoneToken['project']> & { readonly projectId: ProjectId };
type Entry = { readonly caller: Caller; readonly validUntil: number };

/** Ids of users that come from LDAP or a federation have 64 digits. */
const USER_ID_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;

export class ExternalIdentity {
  readonly #deps: ExternalIdentityDeps;
  /** By hash of the token; the oldest first. */
  readonly #entries = new Map<string, Entry>();
  /** Requests that ask about the same token at the same time share one question. */
  readonly #pending = new Map<string, Promise<Caller>>();
  readonly #calls = new Semaphore(KEYSTONE_CALL_MAX);

  constructor(deps: ExternalIdentityDeps) {
    this.#deps = deps;
  }

  /** @throws TOKEN_INVALID, KEYSTONE_UNAVAILABLE, SERVICE_BUSY */
  async authenticate(tokenId: string): Promise<Caller> {
    // The cache must not hold what could be used to log in.
    const key = createHash('sha256').update(tokenId).digest('base64');
    const entry = this.#entries.get(key);
    if (entry !== undefined && entry.validUntil > this.#deps.clock.now()) return entry.caller;
    this.#entries.delete(key);
    const pending = this.#pending.get(key);
    if (pending !== undefined) return await pending;
    if (this.#pending.size >= KEYSTONE_WAITING_MAX) throw new VbsError('SERVICE_BUSY');
    const question = this.#ask(key, tokenId).finally(() => this.#pending.delete(key));
    this.#pending.set(key, question);
    return await question;
  }

  /** @throws IDENTITY_EXTERNAL, as the two below */
  async issueToken(): Promise<never> {
    throw new VbsError('IDENTITY_EXTERNAL', { url: this.#deps.url });
  }

  async describeToken(): Promise<never> {
    return await this.issueToken();
  }

  async revokeToken(): Promise<never> {
    return await this.issueToken();
  }

  async #ask(key: string, tokenId: string): Promise<Caller> {
    const { clock, cacheMs } = this.#deps;
    const askedAt = clock.now();
    const token = await this.#validate(tokenId);
    if (token === undefined || token.expiresAt <= clock.now()) throw new VbsError('TOKEN_INVALID');
    const caller = await this.#toCaller(token);
    this.#remember(key, { caller, validUntil: Math.min(token.expiresAt, askedAt + cacheMs) });
    return caller;
  }

  async #validate(tokenId: string): Promise<KeystoneToken | undefined> {
    await this.#calls.acquire();
    try {
      return await this.#deps.keystone.validate(tokenId);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#deps.logger.error({ url: this.#deps.url, reason }, 'a token could not be validated');
      throw error;
    } finally {
      this.#calls.release();
    }
  }

  #remember(key: string, entry: Entry): void {
    if (this.#deps.cacheMs === 0) return;
    this.#entries.set(key, entry);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > KEYSTONE_CACHE_MAX && oldest !== undefined) this.#entries.delete(oldest);
  }

  async #toCaller(token: KeystoneToken): Promise<Caller> {
    const { userId, userName, issuedAt, expiresAt } = token;
    if (!USER_ID_PATTERN.test(userId)) throw new VbsError('TOKEN_INVALID');
    const project = this.#toProject(token);
    if (project !== null) await this.#enterProject(project);
    return {
      // The cast is the brand: the pattern above is all that can be asked of an id that others made.
      userId: userId as string as UserId,
      userName,
      projectId: project?.projectId ?? null,
      projectName: project?.name ?? null,
      roles: this.#mapRoles(token),
      issuedAt,
      expiresAt,
    };
  }

  #toProject({ project }: KeystoneToken): KnownProject | null {
    if (project === null) return null;
    const projectId = parseHexId<ProjectId>(project.id);
    if (projectId !== undefined) return { ...project, projectId };
    this.#deps.logger.warn({ projectId: project.id }, 'a project of Keystone has an id that cannot be used here');
    throw new VbsError('TOKEN_INVALID');
  }

  /** The admin of one domain of Keystone is not the admin of this service: there, they may look. */
  #mapRoles({ project, isSystemScoped, roleNames }: KeystoneToken): readonly Role[] {
    const mapped = roleNames.map((name) => this.#deps.roles.get(name.toLowerCase()));
    const roles = [...new Set(mapped.filter((role) => role !== undefined))];
    return project !== null || isSystemScoped || roles.length === 0 ? roles : ['reader'];
  }

  async #enterProject({ projectId, name, domainId }: KnownProject): Promise<void> {
    const { catalog, clock } = this.#deps;
    if ((await catalog.projects.get(projectId))?.name === name) return;
    await catalog.administer(async (records) => {
      await freeName(records, { projectId, name, domainId });
      const known = await records.projects.get(projectId);
      if (known !== undefined) return await records.projects.update(projectId, { name });
      const description = 'Of Keystone';
      await records.projects.insert({ projectId, name, domainId, description, createdAt: clock.now() });
    });
  }
}

/** Keystone lets a name be used again when its project is gone; whoever has it here is that project. */
async function freeName(
  { projects }: Pick<CatalogRecords, 'projects'>,
  { projectId, name, domainId }: Pick<KnownProject, 'projectId' | 'name' | 'domainId'>,
): Promise<void> {
  const namesake = await projects.findByName(domainId, name);
  if (namesake === undefined || namesake.projectId === projectId) return;
  await projects.update(namesake.projectId, { name: `${name} ${namesake.projectId}` });
}
