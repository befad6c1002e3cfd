// How bodies of the policy family are opened, before their fields are judged (contract 3.7, 4.5).
import { VbsError } from '../../core/errors.ts';
import { isJsonObject, type JsonObject, type ParsedBody, readKey, requireJson } from './parse.ts';

/** A body that must be an object. @throws POLICY_BODY_EMPTY, MEDIA_TYPE_UNSUPPORTED, REQUEST_MALFORMED */
export function requirePolicyBody(body: ParsedBody): JsonObject {
  if (isEmpty(body)) throw new VbsError('POLICY_BODY_EMPTY');
  const value = requireJson(body);
  if (!isJsonObject(value)) throw new VbsError('REQUEST_MALFORMED', { reason: 'the body is not an object' });
  return value;
}

/** Calls without content: SDKs send nothing, `null` or `{}`. @throws MEDIA_TYPE_UNSUPPORTED, REQUEST_MALFORMED */
export function requireNoContent(body: ParsedBody): void {
  if (!isEmpty(body)) requirePolicyBody(body);
}

function isEmpty(body: ParsedBody): boolean {
  return body.kind === 'absent' || (body.kind === 'json' && body.value === null);
}

/** Null stands for absent: SDKs send it for what was not set. */
export function readGiven(object: JsonObject, key: string): unknown {
  return readKey(object, key) ?? undefined;
}

/** @throws POLICY_OBJECT_MISSING */
export function requireObject(object: JsonObject, key: string): JsonObject {
  const value = readKey(object, key);
  if (!isJsonObject(value)) throw new VbsError('POLICY_OBJECT_MISSING', { field: key });
  return value;
}

/** A list with at least one entry. @throws POLICY_OBJECT_MISSING, POLICY_RESOURCES_EMPTY */
export function requireEntries(object: JsonObject, key: string): readonly unknown[] {
  const value = readKey(object, key);
  if (!Array.isArray(value)) throw new VbsError('POLICY_OBJECT_MISSING', { field: key });
  if (value.length === 0) throw new VbsError('POLICY_RESOURCES_EMPTY');
  return value;
}

/** Looks at every string, names of members included. @throws POLICY_TEXT_FORBIDDEN */
export function refuseAngleBrackets(body: JsonObject): void {
  // A list of what is left to look at: a body may be nested deeper than the stack is high.
  const rest: unknown[] = [body];
  for (let value = rest.pop(); value !== undefined; value = rest.pop()) {
    if (typeof value === 'string' && /[<>]/.test(value)) throw new VbsError('POLICY_TEXT_FORBIDDEN');
    if (typeof value !== 'object' || value === null) continue;
    for (const [name, part] of Object.entries(value)) rest.push(name, part);
  }
}
