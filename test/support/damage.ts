// Ways to damage bytes, and what must come of it.
import assert from 'node:assert/strict';
import { type ErrorCode, isVbsError } from '../../src/core/errors.ts';

/** A copy with one bit turned over: bit 0 is the lowest of byte 0. Beyond the end it counts from the start again. */
export function flipBit(bytes: Uint8Array, bitIndex: number): Buffer {
  const copy = Buffer.from(bytes);
  const byteIndex = Math.floor(bitIndex / 8) % copy.length;
  copy[byteIndex] = (copy[byteIndex] ?? 0) ^ (1 << (bitIndex % 8));
  return copy;
}

/** What `work` yields, or undefined when it fails with one of `codes`. Any other error is passed on. */
export function tryUnlessCorrupt<T>(work: () => T, codes: readonly ErrorCode[] = ['DATA_CORRUPT']): T | undefined {
  try {
    return work();
  } catch (error) {
    if (isVbsError(error) && codes.includes(error.code)) return undefined;
    throw error;
  }
}

/** Fails unless `work` throws DATA_CORRUPT (or one of `codes`) that names `object`. */
export function assertCorrupt(work: () => unknown, object?: string, codes: readonly ErrorCode[] = ['DATA_CORRUPT']) {
  assert.throws(work, (error) => {
    assert(isVbsError(error), `${error} is no VbsError`);
    assert(codes.includes(error.code), `${error.code}: ${error.message}`);
    if (object !== undefined && error.code === 'DATA_CORRUPT') assert.equal(error.details.object, object);
    return true;
  });
}
