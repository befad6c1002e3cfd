// Asks an external Keystone whether tokens are valid (Identity API v3, "Validate and show information for token").
// Every failure is KEYSTONE_UNAVAILABLE; that a token is not valid is an answer. Tokens and passwords are never logged.
import { VbsError } from '../core/errors.ts';
import type { KeystoneToken, KeystoneTokens } from '../core/keystone.ts';
import { KEYSTONE_ANSWER_MS } from '../core/limits.ts';
import type { Clock } from '../core/ports.ts';

export type KeystoneLogin = {
  readonly user: string;
  readonly userDomain: string;
  readonly password: string;
  readonly project: string;
  readonly projectDomain: string;
};

export type KeystoneClientDeps = {
  /** Ends in /v3. */
  readonly url: string;
  /** Of a user who may validate tokens; absent: each token validates itself. */
  readonly login?: KeystoneLogin;
  readonly clock: Clock;
};

type Answer = { readonly status: number; readonly headers: Headers; readonly body: unknown };
type ServiceToken = { readonly tokenId: string; readonly expiresAt: number };
type Json = Readonly<Record<string, unknown>>;

/** Our own token is replaced this long before it expires. */
const RENEW_AHEAD_MS = 60_000;
/** What can stand in a header; Keystone's tokens are shorter and of fewer letters. */
const TOKEN_PATTERN = /^[\x21-\x7e]{1,8192}$/;

export class KeystoneClient implements KeystoneTokens {
  readonly #deps: KeystoneClientDeps;
  #serviceToken: Promise<ServiceToken> | undefined;

  constructor(deps: KeystoneClientDeps) {
    this.#deps = deps;
  }

  async validate(tokenId: string): Promise<KeystoneToken | undefined> {
    if (!TOKEN_PATTERN.test(tokenId)) return undefined;
    const { login } = this.#deps;
    if (login === undefined) {
      const answer = await this.#ask(tokenId, tokenId);
      return answer === 'caller unknown' ? undefined : answer;
    }
    const own = await this.#logIn(login);
    const used = this.#serviceToken;
    const answer = await this.#ask(tokenId, own.tokenId);
    if (answer !== 'caller unknown') return answer;
    // Keystone has forgotten our token before its time: one new one, once.
    if (this.#serviceToken === used) this.#serviceToken = undefined;
    const again = await this.#ask(tokenId, (await this.#logIn(login)).tokenId);
    if (again === 'caller unknown') throw unavailable('it refuses the token that it has just issued to this service');
    return again;
  }

  async #ask(tokenId: string, callerTokenId: string): Promise<KeystoneToken | undefined | 'caller unknown'> {
    const headers = { 'x-auth-token': callerTokenId, 'x-subject-token': tokenId };
    const { status, body } = await this.#send('GET', '/auth/tokens?nocatalog', { headers });
    if (status === 404) return undefined;
    if (status === 401) return 'caller unknown';
    if (status === 403) throw unavailable('the user of this service may not validate tokens');
    if (status !== 200) throw unavailable(`it answered ${status}`);
    return readToken(body);
  }

  /** All who need one at the same time share one login; one that failed is not kept. */
  async #logIn(login: KeystoneLogin): Promise<ServiceToken> {
    const { clock } = this.#deps;
    for (let current = this.#serviceToken; current !== undefined; current = this.#serviceToken) {
      const token = await current;
      if (token.expiresAt > clock.now() + RENEW_AHEAD_MS) return token;
      if (this.#serviceToken === current) this.#serviceToken = undefined;
    }
    // Nothing is waited for since it was found missing, so nobody else can have begun.
    const fresh = this.#requestToken(login);
    this.#serviceToken = fresh;
    try {
      return await fresh;
    } catch (error) {
      if (this.#serviceToken === fresh) this.#serviceToken = undefined;
      throw error;
    }
  }

  async #requestToken({ user, userDomain, password, project, projectDomain }: KeystoneLogin): Promise<ServiceToken> {
    const identity = {
      methods: ['password'],
      password: { user: { name: user, domain: { name: userDomain }, password } },
    };
    const scope = { project: { name: project, domain: { name: projectDomain } } };
    const answer = await this.#send('POST', '/auth/tokens?nocatalog', { body: { auth: { identity, scope } } });
    if (answer.status === 401) throw unavailable('it refuses user and password of this service');
    const tokenId = answer.headers.get('x-subject-token');
    if (answer.status !== 201 || tokenId === null) throw unavailable(`it answered ${answer.status} to a login`);
    return { tokenId, expiresAt: readTime(objectAt(answer.body, 'token').expires_at) };
  }

  async #send(
    method: 'GET' | 'POST',
    tail: string,
    { headers = {}, body }: { readonly headers?: Readonly<Record<string, string>>; readonly body?: unknown },
  ): Promise<Answer> {
    try {
      const response = await fetch(`${this.#deps.url}${tail}`, {
        method,
        headers: { accept: 'application/json', 'content-type': 'application/json', ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        // A redirect could carry tokens to another place.
        redirect: 'error',
        signal: AbortSignal.timeout(KEYSTONE_ANSWER_MS),
      });
      const text = await response.text();
      return { status: response.status, headers: response.headers, body: parseJson(text) };
    } catch (error) {
      throw unavailable(describeCause(error), error);
    }
  }
}

function unavailable(reason: string, cause?: unknown): VbsError {
  return new VbsError('KEYSTONE_UNAVAILABLE', { reason }, cause === undefined ? {} : { cause });
}

/** fetch says only "fetch failed"; the reason is the innermost cause. */
function describeCause(error: unknown): string {
  let current = error;
  while (current instanceof Error && current.cause instanceof Error) current = current.cause;
  return current instanceof Error ? current.message || current.name : String(current);
}

/** Undefined for what is no JSON: a proxy's own page. The status says what there is to say. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readToken(body: unknown): KeystoneToken {
  const token = objectAt(body, 'token');
  const user = objectAt(token, 'user');
  const project = 'project' in token ? objectAt(token, 'project') : null;
  const roles = Array.isArray(token.roles) ? token.roles : [];
  return {
    userId: textAt(user, 'id'),
    userName: textAt(user, 'name'),
    project:
      project === null
        ? null
        : {
            id: textAt(project, 'id'),
            name: textAt(project, 'name'),
            domainId: textAt(objectAt(project, 'domain'), 'id'),
          },
    isSystemScoped: 'system' in token,
    roleNames: roles.filter(isObject).map((role) => textAt(role, 'name')),
    issuedAt: readTime(token.issued_at),
    expiresAt: readTime(token.expires_at),
  };
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function objectAt(value: unknown, key: string): Json {
  const member = isObject(value) ? value[key] : undefined;
  if (!isObject(member)) throw unavailable(`its answer has no ${key}: is the address that of Keystone v3?`);
  return member;
}

function textAt(object: Json, key: string): string {
  const value = object[key];
  if (typeof value !== 'string' || value === '') throw unavailable(`its answer has no ${key}`);
  return value;
}

function readTime(value: unknown): number {
  // Six digits of fraction are more than Date.parse promises to read.
  const text = typeof value === 'string' ? value.replace(/(\.\d{3})\d+/, '$1') : '';
  const at = Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);
  if (!Number.isSafeInteger(at)) throw unavailable('its answer has a time that is none');
  return at;
}
