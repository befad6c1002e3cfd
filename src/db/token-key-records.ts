// Keys that sign tokens. The newest signs; older ones stay until no token of theirs can be alive.
import type { TokenKey } from '../core/model.ts';
import type { Scope } from './scope.ts';

export class TokenKeyRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async insert(key: TokenKey): Promise<void> {
    const { keyId, secret, createdAt, keepUntil } = key;
    const row = { key_id: keyId, secret, created_at: createdAt, keep_until: keepUntil };
    await this.#scope.executor.insertInto('token_keys').values(row).execute();
  }

  /** Newest first. */
  async list(): Promise<TokenKey[]> {
    const rows = await this.#scope.executor
      .selectFrom('token_keys')
      .selectAll()
      .orderBy('created_at', 'desc')
      .orderBy('key_id')
      .execute();
    return rows.map((row) => ({
      keyId: row.key_id,
      secret: row.secret,
      createdAt: row.created_at,
      keepUntil: row.keep_until,
    }));
  }

  /** Never shortens. False when there is no such key any more. */
  async keepUntil(keyId: string, keepUntil: number): Promise<boolean> {
    const result = await this.#scope.executor
      .updateTable('token_keys')
      .set((row) => ({
        keep_until: row.case().when('keep_until', '<', keepUntil).then(keepUntil).else(row.ref('keep_until')).end(),
      }))
      .where('key_id', '=', keyId)
      .executeTakeFirst();
    return result.numUpdatedRows > 0n;
  }

  /** Every key but one, or only those of them that no token can need by `expiredBy`. */
  async deleteOthers(keyId: string, expiredBy?: number): Promise<void> {
    await this.#scope.executor
      .deleteFrom('token_keys')
      .where('key_id', '!=', keyId)
      .$if(expiredBy !== undefined, (query) => query.where('keep_until', '<', Number(expiredBy)))
      .execute();
  }
}
