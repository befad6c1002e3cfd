// Tags of backups (contract 3.2).
import { VbsError } from '../../core/errors.ts';
import type { Tag } from '../../core/model.ts';
import { countCodePoints, isJsonObject, readKey } from './parse.ts';

const TAG_COUNT_MAX = 10;
const TAG_KEY_LENGTH_MAX = 36;
const TAG_VALUE_LENGTH_MAX = 43;
/** What no key or value may hold: U+0000 to U+001F and the documented signs. */
const FORBIDDEN_SIGNS: ReadonlySet<string> = new Set('=*<>\\,|/');

/** @throws BACKUP_TAG_INVALID, BACKUP_TAGS_TOO_MANY */
export function checkBackupTags(value: unknown): Tag[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new VbsError('BACKUP_TAG_INVALID', { reason: 'they must be a list' });
  if (value.length > TAG_COUNT_MAX) throw new VbsError('BACKUP_TAGS_TOO_MANY');
  const tags = value.map(checkTag);
  if (new Set(tags.map((tag) => tag.key)).size < tags.length) {
    throw new VbsError('BACKUP_TAG_INVALID', { reason: 'a key occurs twice' });
  }
  return tags;
}

function checkTag(value: unknown): Tag {
  if (!isJsonObject(value)) throw new VbsError('BACKUP_TAG_INVALID', { reason: 'each must have key and value' });
  const tag = {
    key: checkText(value, 'key', TAG_KEY_LENGTH_MAX),
    value: checkText(value, 'value', TAG_VALUE_LENGTH_MAX),
  };
  if (tag.key === '') throw new VbsError('BACKUP_TAG_INVALID', { reason: 'a key is empty' });
  return tag;
}

function checkText(tag: Readonly<Record<string, unknown>>, part: 'key' | 'value', max: number): string {
  const text = readKey(tag, part);
  if (typeof text !== 'string') throw new VbsError('BACKUP_TAG_INVALID', { reason: `a ${part} is missing` });
  if (countCodePoints(text) > max) {
    throw new VbsError('BACKUP_TAG_INVALID', { reason: `a ${part} is longer than ${max} characters` });
  }
  if (!text.isWellFormed() || [...text].some(isForbidden)) {
    throw new VbsError('BACKUP_TAG_INVALID', { reason: `a ${part} has illegal characters` });
  }
  return text;
}

function isForbidden(sign: string): boolean {
  return sign < ' ' || FORBIDDEN_SIGNS.has(sign);
}
