// Facts about the catalog itself, each under a name; who it is, is drawn once, on first use.
import { type CatalogId, newUuid } from '../core/ids.ts';
import type { Scope } from './scope.ts';

export class MetaRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async catalogId(): Promise<CatalogId> {
    // The cast is the brand: only newUuid ever makes this value.
    return (await this.#getOrSet('catalog_id', () => newUuid<CatalogId>())) as CatalogId;
  }

  /** A fact that others keep here; undefined when never set. */
  async get(name: string): Promise<string | undefined> {
    const row = await this.#scope.executor
      .selectFrom('meta')
      .select('value')
      .where('name', '=', name)
      .executeTakeFirst();
    return row?.value;
  }

  async set(name: string, value: string): Promise<void> {
    await this.#scope.executor
      .insertInto('meta')
      .values({ name, value })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
      .execute();
  }

  async #getOrSet(name: string, draw: () => string): Promise<string> {
    const known = await this.get(name);
    if (known !== undefined) {
      return known;
    }
    // Whoever inserts first wins, and everybody reads the winner's value.
    await this.#scope.executor
      .insertInto('meta')
      .values({ name, value: draw() })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    const row = await this.#scope.executor
      .selectFrom('meta')
      .select('value')
      .where('name', '=', name)
      .executeTakeFirstOrThrow();
    return row.value;
  }
}
