// What a batch of changes makes of a list of tags (contract 3.16). Pure; the same for policies and backups.
import type { Tag } from '../core/model.ts';
import type { TagChange } from '../core/tag-search.ts';

/** Tags that exist keep their place, new ones follow. */
export function applyTagChange(tags: readonly Tag[], change: TagChange): Tag[] {
  const values = new Map(tags.map(({ key, value }) => [key, value]));
  if (change.action === 'delete') {
    for (const { key, value } of change.tags) {
      if (value === undefined || values.get(key) === value) values.delete(key);
    }
  } else {
    for (const { key, value } of change.tags) values.set(key, value);
  }
  return [...values].map(([key, value]) => ({ key, value }));
}

export function isSameTags(left: readonly Tag[], right: readonly Tag[]): boolean {
  return (
    left.length === right.length &&
    left.every((tag, index) => tag.key === right[index]?.key && tag.value === right[index]?.value)
  );
}
