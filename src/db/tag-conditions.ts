// Searches by tags (contract 3.17) as conditions of a list: the same for every kind of resource that has tags.
import { type SqlBool, sql } from 'kysely';
import type { TagMatch, TagSearch, TagValues } from '../core/tag-search.ts';
import { allOf, type Condition } from './list-rows.ts';

/** Where the tags of the listed rows are: `listed.<owner>` has those rows of `table` that name it. */
export type TagPlace = { readonly table: 'backup_tags' | 'policy_tags'; readonly owner: 'backup_id' | 'policy_id' };

export function tagConditions(search: TagSearch, place: TagPlace): Condition[] {
  const match = (list: readonly TagMatch[]): Condition[] => list.map((wanted) => hasTag(wanted, place));
  const { tags, tagsAny, notTags, notTagsAny, nameLike } = search;
  return [
    ...match(tags ?? []),
    ...(tagsAny === undefined ? [] : [anyOf(match(tagsAny))]),
    ...(notTags === undefined ? [] : [not(allOf(match(notTags)))]),
    ...(notTagsAny === undefined ? [] : [not(anyOf(match(notTagsAny)))]),
    ...(nameLike === undefined ? [] : [nameContains(nameLike)]),
  ];
}

/** Pairs in the order of keys and values, gathered by key. */
export function groupTagValues(pairs: readonly { readonly key: string; readonly value: string }[]): TagValues[] {
  const groups = new Map<string, string[]>();
  for (const { key, value } of pairs) {
    const values = groups.get(key) ?? [];
    values.push(value);
    groups.set(key, values);
  }
  return [...groups].map(([key, values]) => ({ key, values }));
}

function hasTag({ key, values }: TagMatch, { table, owner }: TagPlace): Condition {
  const hasValue = values.length === 0 ? sql<SqlBool>`1 = 1` : sql<SqlBool>`tagged.value in (${sql.join(values)})`;
  return sql<SqlBool>`exists (select 1 from ${sql.table(table)} as tagged
    where ${sql.ref(`tagged.${owner}`)} = ${sql.ref(`listed.${owner}`)} and tagged.key = ${key} and ${hasValue})`;
}

/** No conditions: none holds. */
function anyOf(conditions: readonly Condition[]): Condition {
  return conditions.length === 0 ? sql<SqlBool>`1 = 0` : sql<SqlBool>`(${sql.join(conditions, sql` or `)})`;
}

function not(condition: Condition): Condition {
  return sql<SqlBool>`not ${condition}`;
}

/** In either case of ASCII letters: the databases agree on no more. `_` and `%` are letters like any other. */
function nameContains(text: string): Condition {
  const lower = text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
  const pattern = `%${lower.replaceAll(/[\\%_]/g, (sign) => `\\${sign}`)}%`;
  return sql<SqlBool>`lower(name) like ${pattern} escape ${'\\'}`;
}
