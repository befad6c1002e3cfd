// Pages of a list: filters, keys to sort by, a marker to go on after, an offset, and the count of all matches.
import { type Expression, type RawBuilder, type SqlBool, sql } from 'kysely';
import { VbsError } from '../core/errors.ts';
import { LIST_LIMIT_MAX } from '../core/limits.ts';
import type { Executor } from './database.ts';
import type { ListPage, SortDirection } from './record-types.ts';

export type Condition = RawBuilder<SqlBool>;

export type ListSpec<Key extends string> = {
  readonly table:
    | 'backups'
    | 'jobs'
    | 'messages'
    | 'policies'
    | 'shared_backups'
    | 'snapshots'
    | 'tasks'
    | 'traces'
    | 'volume_attachments'
    | 'volume_types'
    | 'volumes';
  /** What each key sorts by: never null, for a null is neither before nor after anything. */
  readonly columns: Readonly<Record<Key | 'id' | 'createdAt', RawBuilder<unknown>>>;
  /** What the caller may see at all; a marker must be among it. */
  readonly visible: readonly Condition[];
  readonly filters: readonly Condition[];
};

type SortTerm = { readonly column: RawBuilder<unknown>; readonly direction: SortDirection };

/** @throws MARKER_NOT_FOUND */
export async function listRows<Row, Key extends string>(
  executor: Executor,
  spec: ListSpec<Key>,
  page: ListPage<Key>,
): Promise<{ rows: Row[]; totalCount?: number }> {
  const terms = planSort(spec, page);
  const conditions = [...spec.visible, ...spec.filters];
  const counted = page.withTotalCount === true ? { totalCount: await countRows(executor, spec, conditions) } : {};
  if (page.markerId !== undefined) {
    const values = await readMarker(executor, spec, terms, page.markerId);
    conditions.push(afterMarker(terms, values));
  }
  const limit = Math.min(page.limit, LIST_LIMIT_MAX);
  if (limit <= 0) {
    return { rows: [], ...counted };
  }
  let query = executor
    .selectFrom(sql<Row>`${sql.table(spec.table)}`.as('listed'))
    .selectAll()
    .where(allOf(conditions));
  for (const term of terms) {
    query = query.orderBy(term.column, term.direction);
  }
  const rows = await query
    .limit(limit)
    .offset(page.offset ?? 0)
    .execute();
  // The cast: `selectAll` of one source yields its row, which Kysely cannot see through a type parameter.
  return { rows: rows as Row[], ...counted };
}

export function allOf(conditions: readonly Condition[]): Condition {
  return conditions.length === 0 ? sql<SqlBool>`1 = 1` : sql<SqlBool>`(${sql.join(conditions, sql` and `)})`;
}

/** `column = value`, or nothing when no value is asked for. */
export function equals(column: string, value: string | number | undefined): Condition[] {
  return value === undefined ? [] : [sql<SqlBool>`${sql.ref(column)} = ${value}`];
}

function planSort<Key extends string>(spec: ListSpec<Key>, page: ListPage<Key>): SortTerm[] {
  const asked = page.sort !== undefined && page.sort.length > 0 ? page.sort : undefined;
  const sort = asked ?? [{ key: 'createdAt' as const, direction: 'desc' as const }];
  const terms = sort.map(({ key, direction }) => ({ column: spec.columns[key], direction }));
  if (sort.some(({ key }) => key === 'id')) {
    return terms;
  }
  const direction = sort.at(-1)?.direction ?? 'desc';
  return [...terms, { column: spec.columns.id, direction }];
}

async function countRows<Key extends string>(
  executor: Executor,
  spec: ListSpec<Key>,
  conditions: readonly Condition[],
): Promise<number> {
  const row = await executor
    .selectFrom(sql`${sql.table(spec.table)}`.as('listed'))
    .select((query) => query.fn.countAll<number>().as('count'))
    .where(allOf(conditions))
    .executeTakeFirstOrThrow();
  return row.count;
}

async function readMarker<Key extends string>(
  executor: Executor,
  spec: ListSpec<Key>,
  terms: readonly SortTerm[],
  markerId: string,
): Promise<unknown[]> {
  const row: Record<string, unknown> | undefined = await executor
    .selectFrom(sql`${sql.table(spec.table)}`.as('listed'))
    .select(terms.map((term, index) => term.column.as(`key_${index}`)))
    .where(allOf([...spec.visible, sql<SqlBool>`${spec.columns.id} = ${markerId}`]))
    .executeTakeFirst();
  if (row === undefined) {
    throw new VbsError('MARKER_NOT_FOUND', { marker: markerId });
  }
  return terms.map((_term, index) => row[`key_${index}`]);
}

/** Rows behind the marker: the first key that differs decides, each in its own direction. */
function afterMarker(terms: readonly SortTerm[], values: readonly unknown[]): Condition {
  const branches: Expression<SqlBool>[] = terms.map((term, index) => {
    const sames = terms.slice(0, index).map((same, at) => sql<SqlBool>`${same.column} = ${values[at]}`);
    const beyond =
      term.direction === 'asc'
        ? sql<SqlBool>`${term.column} > ${values[index]}`
        : sql<SqlBool>`${term.column} < ${values[index]}`;
    return allOf([...sames, beyond]);
  });
  return sql<SqlBool>`(${sql.join(branches, sql` or `)})`;
}
