// Small readers for request bodies and query values. They throw VbsError only, whatever they are given: the documented
// codes and their order are the contract, so no general validator speaks to clients.
import { VbsError } from '../../core/errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** A request body before anybody judged it; what is wrong with it is told only when its turn has come. */
export type ParsedBody =
  | { readonly kind: 'absent' }
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'broken' }
  | { readonly kind: 'unsupported'; readonly contentType: string };

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An own property: `{}`.constructor and its like are not part of anybody's request. */
export function readKey(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** @throws MEDIA_TYPE_UNSUPPORTED, REQUEST_MALFORMED */
export function requireJson(body: ParsedBody): unknown {
  switch (body.kind) {
    case 'json':
      return body.value;
    case 'unsupported':
      throw new VbsError('MEDIA_TYPE_UNSUPPORTED', { contentType: body.contentType });
    case 'broken':
      throw new VbsError('REQUEST_MALFORMED', { reason: 'the body is not JSON' });
    case 'absent':
      throw new VbsError('REQUEST_MALFORMED', { reason: 'a body is required' });
  }
}

/** `{"<key>": {...}}`. @throws MEDIA_TYPE_UNSUPPORTED, REQUEST_MALFORMED */
export function requireEnvelope(body: ParsedBody, key: string): JsonObject {
  const value = requireJson(body);
  if (!isJsonObject(value)) throw new VbsError('REQUEST_MALFORMED', { reason: 'the body is not an object' });
  const inner = readKey(value, key);
  if (!isJsonObject(inner)) throw new VbsError('REQUEST_MALFORMED', { reason: `the body has no object "${key}"` });
  return inner;
}

/** `{"<name>": parameters}`, as actions are asked for. @throws MEDIA_TYPE_UNSUPPORTED, REQUEST_MALFORMED */
export function requireAction(body: ParsedBody): { readonly name: string; readonly parameters: unknown } {
  const value = requireJson(body);
  const [action, ...others] = isJsonObject(value) ? Object.entries(value) : [];
  if (action === undefined || others.length > 0) {
    throw new VbsError('REQUEST_MALFORMED', { reason: 'the body names exactly one action' });
  }
  return { name: action[0], parameters: action[1] };
}

/** A text in lower case; '' when it is none. */
export function readWord(object: unknown, key: string): string {
  const value = isJsonObject(object) ? readKey(object, key) : undefined;
  return typeof value === 'string' ? value.toLowerCase() : '';
}

export function unknownAction(name: string): VbsError {
  return invalidField('action', `${name.slice(0, 64)} is not offered`);
}

/** @throws REQUEST_FIELD_INVALID naming the first key that is not in `known`. */
export function refuseUnknownKeys(object: JsonObject, known: readonly string[], where: string): void {
  for (const key of Object.keys(object)) {
    if (!known.includes(key)) throw invalidField(`${where}.${key.slice(0, 64)}`, 'this key is not known');
  }
}

export function invalidField(field: string, reason: string): VbsError {
  return new VbsError('REQUEST_FIELD_INVALID', { field, reason });
}

/** A value that was refused, for the message about it. Objects may have a `toString` that is none. */
export function showValue(value: unknown): string {
  return typeof value === 'object' && value !== null ? 'an object' : String(value).slice(0, 64);
}

export function countCodePoints(text: string): number {
  let count = 0;
  for (const _codePoint of text) count += 1;
  return count;
}

/** True for what every store of ours can hold: whole code points, and no NUL (PostgreSQL refuses it). */
export function isStorableText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

/** A string of at most `max` code points; null and absent are null. @throws REQUEST_FIELD_INVALID */
export function readNullableText(object: JsonObject, key: string, field: string, max: number): string | null {
  const value = readKey(object, key);
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string' || !isStorableText(value)) throw invalidField(field, 'it must be a string');
  if (countCodePoints(value) > max) throw invalidField(field, `it is longer than ${max} characters`);
  return value;
}

const TRUE_WORDS: ReadonlySet<string> = new Set(['true', '1', 'yes', 'on', 't', 'y']);
const FALSE_WORDS: ReadonlySet<string> = new Set(['false', '0', 'no', 'off', 'f', 'n']);

/** The words of contract 1.10, any case. @throws REQUEST_FIELD_INVALID */
export function parseBooleanWord(value: unknown, field: string): boolean {
  if (typeof value === 'boolean') return value;
  const word = (typeof value === 'string' ? value : '').trim().toLowerCase();
  if (TRUE_WORDS.has(word)) return true;
  if (FALSE_WORDS.has(word)) return false;
  throw invalidField(field, 'it must be true or false');
}

/** A body boolean with a default for absent. @throws REQUEST_FIELD_INVALID */
export function readBoolean(object: JsonObject, key: string, field: string, fallback: boolean): boolean {
  const value = readKey(object, key);
  return value === undefined ? fallback : parseBooleanWord(value, field);
}

/** An integer, or its digits as a string (native clients send both). Undefined when it is neither. */
export function parseInteger(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : undefined;
  if (typeof value !== 'string' || !/^[+-]?\d{1,15}$/.test(value.trim())) return undefined;
  return Number(value.trim());
}

const METADATA_TEXT_MAX = 255;

/** A map of strings. @throws REQUEST_FIELD_INVALID */
export function parseMetadata(value: unknown, field: string, keyPattern?: RegExp): Record<string, string> {
  if (!isJsonObject(value)) throw invalidField(field, 'it must be an object');
  const entries: [string, string][] = [];
  for (const [key, text] of Object.entries(value)) {
    if (key === '' || countCodePoints(key) > METADATA_TEXT_MAX || !isStorableText(key)) {
      throw invalidField(field, `keys have 1 to ${METADATA_TEXT_MAX} characters`);
    }
    if (keyPattern !== undefined && !keyPattern.test(key)) throw invalidField(field, 'a key has illegal characters');
    if (typeof text !== 'string' || !isStorableText(text)) throw invalidField(field, 'values must be strings');
    if (countCodePoints(text) > METADATA_TEXT_MAX) {
      throw invalidField(field, `a value is longer than ${METADATA_TEXT_MAX} characters`);
    }
    entries.push([key, text]);
  }
  return Object.fromEntries(entries);
}

type Defined<Shape> = { [Key in keyof Shape]?: Exclude<Shape[Key], undefined> };

/** The same object without keys that are undefined, which exact optional properties do not take. */
export function dropUndefined<Shape extends object>(shape: Shape): Defined<Shape> {
  // The cast says what the filter does.
  return Object.fromEntries(Object.entries(shape).filter(([, value]) => value !== undefined)) as Defined<Shape>;
}
