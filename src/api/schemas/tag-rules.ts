// What keys and values of tags may be, place by place (contract 3.2). Pure: the codes are those of whoever asks.
import { countCodePoints, isJsonObject, isStorableText, readKey } from './parse.ts';

export const TAG_COUNT_MAX = 10;

/** Which signs a text may have. */
type Signs =
  /** Letters, digits, `-` and `_`. */
  | 'words'
  /** All but U+0000 to U+001F and the documented ones. */
  | 'most'
  /** Whatever can be stored. */
  | 'any';

export type TagRule = {
  readonly keyLengthMax: number;
  readonly keySigns: Signs;
  readonly valueLengthMax: number;
  readonly valueSigns: Signs;
};

/** Backups; of policies each call has its own rule. */
export const BACKUP_TAG: TagRule = { keyLengthMax: 36, keySigns: 'most', valueLengthMax: 43, valueSigns: 'most' };
export const POLICY_TAG: TagRule = { keyLengthMax: 36, keySigns: 'words', valueLengthMax: 43, valueSigns: 'words' };
export const POLICY_BATCH_TAG: TagRule = { ...POLICY_TAG, keySigns: 'most' };
export const POLICY_BATCH_DELETE_TAG: TagRule = {
  keyLengthMax: 127,
  keySigns: 'most',
  valueLengthMax: 255,
  valueSigns: 'any',
};
export const SEARCHED_TAG: TagRule = { keyLengthMax: 127, keySigns: 'any', valueLengthMax: 255, valueSigns: 'any' };

const FORBIDDEN_SIGNS: ReadonlySet<string> = new Set('=*<>\\,|/');

/** What is wrong with a tag or one of its texts; the codes differ by family and call. */
export type TagFaults = {
  /** Builds the error for a bad tag; `reason` is a part of a sentence. */
  readonly invalid: (reason: string) => Error;
  /** Builds the error for too many of them. */
  readonly tooMany: (limit: number) => Error;
};

/** @throws faults.invalid */
export function checkTagKey(key: unknown, rule: TagRule, faults: TagFaults): string {
  const text = checkText(key, 'key', rule.keyLengthMax, rule.keySigns, faults);
  if (text === '') throw faults.invalid('a key is empty');
  return text;
}

/** @throws faults.invalid */
export function checkTagValue(value: unknown, rule: TagRule, faults: TagFaults): string {
  return checkText(value, 'value', rule.valueLengthMax, rule.valueSigns, faults);
}

/** `{key, value}`, both present. @throws faults.invalid */
export function checkTag(tag: unknown, rule: TagRule, faults: TagFaults): { key: string; value: string } {
  if (!isJsonObject(tag)) throw faults.invalid('each must have key and value');
  const key = checkTagKey(readKey(tag, 'key'), rule, faults);
  return { key, value: checkTagValue(readKey(tag, 'value'), rule, faults) };
}

/** A list whose keys are distinct. @throws faults.invalid, faults.tooMany */
export function checkTagList<Entry extends { readonly key: string }>(
  list: unknown,
  faults: TagFaults,
  options: { readonly countMax: number },
  check: (entry: unknown) => Entry,
): Entry[] {
  if (!Array.isArray(list)) throw faults.invalid('they must be a list');
  if (list.length > options.countMax) throw faults.tooMany(options.countMax);
  const entries = list.map(check);
  if (new Set(entries.map(({ key }) => key)).size < entries.length) throw faults.invalid('a key occurs twice');
  return entries;
}

function checkText(value: unknown, part: 'key' | 'value', lengthMax: number, signs: Signs, faults: TagFaults): string {
  if (typeof value !== 'string') throw faults.invalid(`a ${part} is missing`);
  if (countCodePoints(value) > lengthMax) throw faults.invalid(`a ${part} is longer than ${lengthMax} characters`);
  if (!hasOnly(value, signs)) throw faults.invalid(`a ${part} has illegal characters`);
  return value;
}

function hasOnly(text: string, signs: Signs): boolean {
  switch (signs) {
    case 'words':
      return /^[A-Za-z0-9_-]*$/.test(text);
    case 'most':
      return text.isWellFormed() && ![...text].some((sign) => sign < ' ' || FORBIDDEN_SIGNS.has(sign));
    case 'any':
      return isStorableText(text);
  }
}
