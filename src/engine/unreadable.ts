// When a backup meets damage in what it could build on, it must not fail: it stores again what cannot be relied on.
import { isVbsError } from '../core/errors.ts';

/**
 * The object is damaged, gone, or on a part of the medium that cannot be read. A store that is away altogether answers
 * the same, and then the writing fails.
 */
export function isUnreadable(error: unknown): boolean {
  return isVbsError(error, 'DATA_CORRUPT') || isVbsError(error, 'OBJECT_NOT_FOUND') || isVbsError(error, 'STORAGE_IO');
}

/** Runs `read` once more when the store failed: what a moment's trouble hides would otherwise be stored again. */
export async function readTwice<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!isVbsError(error, 'STORAGE_IO')) throw error;
    return await read();
  }
}
