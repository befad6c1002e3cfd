// The keys that sign tokens: the newest signs, older ones are honoured until the last of their tokens has expired.
import { randomBytes } from 'node:crypto';
import { VbsError } from '../core/errors.ts';
import { TOKEN_KEY_REFRESH_MS } from '../core/limits.ts';
import type { TokenKey } from '../core/model.ts';
import type { Clock } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import { type Caller, requireRole } from './caller.ts';

export type TokenKeysDeps = {
  readonly catalog: Catalog;
  readonly clock: Clock;
  /** Age at which a key stops signing; 0: never by itself. */
  readonly rotationMs: number;
};

/** A key as it may be shown. */
export type TokenKeyView = { readonly keyId: string; readonly createdAt: number; readonly isSigning: boolean };

const SECRET_SIZE_BYTES = 32;
const KEY_ID_SIZE_BYTES = 4;
/** The row of a key says how long it is needed; it says so this much ahead, so that few tokens need a write. */
const KEEP_AHEAD_MS = 24 * 3600 * 1000;
/** Least time between two looks for a key that is unknown: forged tokens name many. */
const LOOK_AGAIN_MS = 1000;
/** A key that another process has deleted in between is not deleted twice in a row. */
const SIGN_TRY_MAX = 3;

export class TokenKeys {
  readonly #deps: TokenKeysDeps;
  /** Newest first. */
  #keys: readonly TokenKey[] = [];
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(deps: TokenKeysDeps) {
    this.#deps = deps;
  }

  /** The key to sign a token with that expires at `expiresAt`. It will be kept until then. */
  async signingKey(expiresAt: number): Promise<TokenKey> {
    const { catalog } = this.#deps;
    for (let tries = 0; tries < SIGN_TRY_MAX; tries++) {
      const key = await this.#newest();
      if (key.keepUntil >= expiresAt) return key;
      const isThere = await catalog.tokenKeys.keepUntil(key.keyId, expiresAt + KEEP_AHEAD_MS);
      await this.#read();
      if (isThere) return key;
    }
    throw new VbsError('SERVICE_BUSY');
  }

  async find(keyId: string): Promise<TokenKey | undefined> {
    const known = this.#findCached(keyId);
    const ageMs = this.#deps.clock.now() - this.#readAt;
    if (known !== undefined ? ageMs < TOKEN_KEY_REFRESH_MS : ageMs >= 0 && ageMs < LOOK_AGAIN_MS) return known;
    await this.#read();
    return this.#findCached(keyId);
  }

  /** @throws ROLE_DENIED */
  async list(caller: Caller): Promise<readonly TokenKeyView[]> {
    requireRole(caller, 'admin');
    await this.#newest();
    await this.#read();
    return this.#keys.map(({ keyId, createdAt }, index) => ({ keyId, createdAt, isSigning: index === 0 }));
  }

  /** A new key signs from now on. With `endsTokens` every token so far ends, the caller's too. @throws ROLE_DENIED */
  async rotate(caller: Caller, options: { readonly endsTokens: boolean }): Promise<TokenKeyView> {
    requireRole(caller, 'admin');
    const { catalog } = this.#deps;
    const key = await catalog.administer(async (records) => {
      const fresh = await this.#insertKey(records);
      if (options.endsTokens) await records.tokenKeys.deleteOthers(fresh.keyId);
      return fresh;
    });
    await this.#read();
    return { keyId: key.keyId, createdAt: key.createdAt, isSigning: true };
  }

  /** Rotates when the time has come, and forgets keys and revocations that no living token needs any more. */
  async tidyUp(): Promise<void> {
    const { catalog, clock, rotationMs } = this.#deps;
    await catalog.administer(async (records) => {
      const [newest] = await records.tokenKeys.list();
      const isDue = newest === undefined || (rotationMs > 0 && newest.createdAt + rotationMs <= clock.now());
      const { keyId } = isDue ? await this.#insertKey(records) : newest;
      await records.tokenKeys.deleteOthers(keyId, clock.now());
      await records.users.dropExpiredRevocations(clock.now());
    });
    await this.#read();
  }

  async #newest(): Promise<TokenKey> {
    const isFresh = this.#deps.clock.now() - this.#readAt < TOKEN_KEY_REFRESH_MS;
    if (!isFresh || this.#keys[0] === undefined) await this.#read();
    const [newest] = this.#keys;
    if (newest !== undefined) return newest;
    const first = await this.#deps.catalog.administer(
      async (records) => (await records.tokenKeys.list())[0] ?? (await this.#insertKey(records)),
    );
    await this.#read();
    return first;
  }

  async #insertKey({ tokenKeys }: CatalogRecords): Promise<TokenKey> {
    const { clock } = this.#deps;
    const [newest] = await tokenKeys.list();
    const key: TokenKey = {
      keyId: randomBytes(KEY_ID_SIZE_BYTES).toString('hex'),
      secret: randomBytes(SECRET_SIZE_BYTES),
      // Later than the one before, also when both are made in the same millisecond or the clock was set back.
      createdAt: Math.max(clock.now(), (newest?.createdAt ?? 0) + 1),
      keepUntil: clock.now() + KEEP_AHEAD_MS,
    };
    await tokenKeys.insert(key);
    return key;
  }

  async #read(): Promise<void> {
    const readAt = this.#deps.clock.now();
    this.#keys = await this.#deps.catalog.tokenKeys.list();
    this.#readAt = readAt;
  }

  #findCached(keyId: string): TokenKey | undefined {
    return this.#keys.find((key) => key.keyId === keyId);
  }
}
