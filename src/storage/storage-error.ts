// Turns what the operating system says about a store's files into a code of core/errors.ts.
import { describeError, errnoOf, isOutOfSpace } from '../core/errno.ts';
import { VbsError } from '../core/errors.ts';

const MISSING: readonly string[] = ['ENOENT', 'ENOTDIR'];

/** True when the error says that there is no such file or folder. */
export function isMissing(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno !== undefined && MISSING.includes(errno);
}

/** The VbsError for a failure at `object`; errors that are one already, or no fault of the system, stay. */
export function toStorageError(error: unknown, object: string): unknown {
  const errno = errnoOf(error);
  if (errno === undefined || error instanceof VbsError) return error;
  const reason = describeError(error);
  if (isOutOfSpace(errno)) return new VbsError('STORAGE_FULL', { object, reason }, { cause: error });
  return new VbsError('STORAGE_IO', { object, reason }, { cause: error });
}

/** Runs `work` on `object` with its failures translated. */
export async function onObject<T>(object: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toStorageError(error, object);
  }
}

/** `onObject` for reading: a missing file is OBJECT_NOT_FOUND. */
export async function onExistingObject<T>(object: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isMissing(error)) throw new VbsError('OBJECT_NOT_FOUND', { object }, { cause: error });
    throw toStorageError(error, object);
  }
}
