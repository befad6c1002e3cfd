// Envelopes of native lists (contract 1.8): `<collection>`, `<collection>_links` and `count`.
import type { ListResult } from '../../services/list-page.ts';
import { nextLink } from './links.ts';

export type PageView<Item> = {
  readonly collection: string;
  readonly result: ListResult<Item>;
  readonly limit: number;
  readonly withCount: boolean;
  readonly origin: string;
  /** The request target, path with query. */
  readonly url: string;
  idOf(item: Item): string;
  view(item: Item): Record<string, unknown>;
};

export function viewPage<Item>(options: PageView<Item>): Record<string, unknown> {
  const { collection, result, limit } = options;
  const last = result.items.at(-1);
  // A full page may have a successor; clients cope with an empty one.
  const isFull = last !== undefined && result.items.length >= limit;
  const [path = '', query = ''] = options.url.split('?', 2);
  return {
    [collection]: result.items.map((item) => options.view(item)),
    ...(isFull
      ? {
          [`${collection}_links`]: [
            nextLink({ origin: options.origin, path, query, limit, lastId: options.idOf(last) }),
          ],
        }
      : {}),
    ...(options.withCount ? { count: result.totalCount ?? result.items.length } : {}),
  };
}
