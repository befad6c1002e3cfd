// Helpers of the API's unit tests.
import assert from 'node:assert/strict';
import type { ParsedBody } from '../../../src/api/schemas/parse.ts';
import { type ErrorCode, VbsError } from '../../../src/core/errors.ts';

export function json(value: unknown): ParsedBody {
  return { kind: 'json', value };
}

/** Asserts that `run` throws the VbsError with `code`. */
export function expectCode(code: ErrorCode, run: () => unknown, about = ''): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof VbsError, `${about}: not a VbsError: ${String(error)}`);
    assert.equal(error.code, code, about);
    return true;
  });
}

/** Asserts that `run` returns, or throws nothing but a VbsError that is the caller's fault. */
export function expectNoSurprise(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof VbsError, `not a VbsError: ${String(error)}`);
    assert.ok(error.spec.status < 500, `${error.code} is no fault of the caller`);
  }
}
