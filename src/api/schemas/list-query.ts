// Paging, sorting and filter values of list queries (contract 1.8).
import { VbsError } from '../../core/errors.ts';
import { isUuid } from '../../core/ids.ts';
import { LIST_LIMIT_MAX } from '../../core/limits.ts';
import { invalidField, isStorableText, parseBooleanWord } from './parse.ts';

export type QueryValues = Readonly<Record<string, string | readonly string[] | undefined>>;

/** First value of a query key. @throws REQUEST_FIELD_INVALID for text that no store holds */
export function queryText(query: QueryValues, key: string): string | undefined {
  const value = Object.hasOwn(query, key) ? query[key] : undefined;
  const text = typeof value === 'string' ? value : value?.[0];
  if (text !== undefined && !isStorableText(text)) throw invalidField(key, 'it has illegal characters');
  return text;
}

/** @throws REQUEST_FIELD_INVALID */
export function queryBoolean(query: QueryValues, key: string): boolean | undefined {
  const text = queryText(query, key);
  return text === undefined ? undefined : parseBooleanWord(text, key);
}

/** @throws REQUEST_FIELD_INVALID */
export function queryCount(query: QueryValues, key: string): number | undefined {
  const text = queryText(query, key);
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw invalidField(key, 'it must be an integer from 0 on');
  return Number(text);
}

/** As queryText; an empty text is no filter on the VBS families (contract 1.10). @throws REQUEST_FIELD_INVALID */
export function filledText(query: QueryValues, key: string): string | undefined {
  const text = queryText(query, key);
  return text === '' ? undefined : text;
}

/** @throws REQUEST_FIELD_INVALID */
export function filledCount(query: QueryValues, key: string): number | undefined {
  return filledText(query, key) === undefined ? undefined : queryCount(query, key);
}

/** The id of the last item seen. @throws MARKER_NOT_FOUND for what can be no id at all */
export function filledMarker(query: QueryValues): string | undefined {
  return parseMarker(filledText(query, 'marker'));
}

/** The query without its empty values: on the VBS families they mean that nothing is asked (contract 1.10). */
export function withoutEmptyValues(query: QueryValues): QueryValues {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== ''));
}

type Direction = 'asc' | 'desc';

/** One page of a list, with the services' names of sort keys. An empty `sort` means newest first. */
export type PageRequest<Key extends string> = {
  readonly limit: number;
  readonly offset: number;
  readonly markerId?: string;
  readonly sort: readonly { readonly key: Key; readonly direction: Direction }[];
};

/** Wire names that may be sorted by, and what the services call them; null: taken without effect (contract 6.3, 16). */
export type SortKeys<Key extends string> = Readonly<Record<string, Key | null>>;

/** @throws REQUEST_FIELD_INVALID, MARKER_NOT_FOUND */
export function parseListPage<Key extends string>(query: QueryValues, keys: SortKeys<Key>): PageRequest<Key> {
  const limit = Math.min(queryCount(query, 'limit') ?? LIST_LIMIT_MAX, LIST_LIMIT_MAX);
  const offset = queryCount(query, 'offset') ?? 0;
  const sort = parseSort(query, keys);
  const markerId = parseMarker(queryText(query, 'marker'));
  return { limit, offset, sort, ...(markerId === undefined ? {} : { markerId }) };
}

/** @throws MARKER_NOT_FOUND for what can be no id at all */
function parseMarker(marker: string | undefined): string | undefined {
  if (marker === undefined) return undefined;
  if (!isUuid(marker)) throw new VbsError('MARKER_NOT_FOUND', { marker: marker.slice(0, 64) });
  return marker.toLowerCase();
}

function parseSort<Key extends string>(query: QueryValues, keys: SortKeys<Key>): PageRequest<Key>['sort'] {
  const sort = queryText(query, 'sort');
  const sortKey = queryText(query, 'sort_key');
  const sortDir = queryText(query, 'sort_dir');
  if (sort !== undefined && (sortKey !== undefined || sortDir !== undefined)) {
    throw invalidField('sort', 'it cannot be used together with sort_key and sort_dir');
  }
  if (sort === undefined && sortKey === undefined && sortDir === undefined) return [];
  const entries = sort?.split(',') ?? [`${sortKey ?? 'created_at'}:${sortDir ?? 'desc'}`];
  // Only the first mention of a key orders anything.
  const directions = new Map<Key, Direction>();
  for (const entry of entries) {
    const [wireKey = '', direction = 'desc', ...rest] = entry.split(':').map((part) => part.trim());
    const key = Object.hasOwn(keys, wireKey) ? keys[wireKey] : undefined;
    if (key === undefined || rest.length > 0) throw invalidField('sort', 'the key is not one to sort by');
    if (direction !== 'asc' && direction !== 'desc') throw invalidField('sort', 'the direction must be asc or desc');
    if (key !== null && !directions.has(key)) directions.set(key, direction);
  }
  return [...directions].map(([key, direction]) => ({ key, direction }));
}
