// Which names of objects are allowed. Names are made by core/object-names.ts, so a bad one is a bug, not bad input; but
// it must never become a path outside the store.
import assert from 'node:assert/strict';
import { OBJECT_NAME_MAX, OBJECT_NAME_SEGMENT_MAX } from '../core/limits.ts';
import type { ObjectName } from './object-store.ts';

const SEGMENT_PATTERN = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/;

/** @throws AssertionError unless `name` is an object name. */
export function checkObjectName(name: ObjectName): void {
  assert(name.length <= OBJECT_NAME_MAX, `object name of ${name.length} characters`);
  assert(name.split('/').every(isObjectNameSegment), `bad object name ${JSON.stringify(name)}`);
}

/** @throws AssertionError unless `prefix` is '' or whole segments, each with its `/`. */
export function checkPrefix(prefix: string): void {
  if (prefix === '') return;
  assert(prefix.endsWith('/'), `prefix ${JSON.stringify(prefix)} does not end in "/"`);
  checkObjectName(prefix.slice(0, -1));
}

/** @throws AssertionError unless both are byte counts. */
export function checkByteRange(offsetBytes: number, lengthBytes: number): void {
  assert(Number.isSafeInteger(offsetBytes) && offsetBytes >= 0, `offset ${offsetBytes}`);
  assert(Number.isSafeInteger(lengthBytes) && lengthBytes >= 0, `length ${lengthBytes}`);
}

/** True when `segment` can stand between the slashes of a name. */
export function isObjectNameSegment(segment: string): boolean {
  return segment.length <= OBJECT_NAME_SEGMENT_MAX && SEGMENT_PATTERN.test(segment);
}
