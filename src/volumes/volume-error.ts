// Turns what the operating system says about a disk into a code of core/errors.ts.
import { describeError, errnoOf, isOutOfSpace } from '../core/errno.ts';
import { VbsError } from '../core/errors.ts';

const UNAVAILABLE: readonly string[] = [
  'ENOENT',
  'EACCES',
  'EPERM',
  'ENOTDIR',
  'ELOOP',
  'EROFS',
  'ENXIO',
  'ENODEV',
  'ENOMEDIUM',
  'ESTALE',
];
const BUSY: readonly string[] = ['EBUSY', 'ETXTBSY', 'EAGAIN'];

/** The VbsError for a failure at the disk `source`; errors that are one already, or no fault of the system, stay. */
export function toVolumeError(error: unknown, source: string): unknown {
  const errno = errnoOf(error);
  if (errno === undefined || error instanceof VbsError) return error;
  const reason = describeError(error);
  if (isOutOfSpace(errno))
    return new VbsError('STORAGE_FULL', { reason: `disk ${source}: ${reason}` }, { cause: error });
  if (UNAVAILABLE.includes(errno)) return new VbsError('VOLUME_UNAVAILABLE', { source, reason }, { cause: error });
  if (BUSY.includes(errno)) return new VbsError('VOLUME_BUSY', { source, reason }, { cause: error });
  return new VbsError('VOLUME_IO', { source, reason }, { cause: error });
}

/** Runs `work` on the disk `source` with its failures translated. */
export async function onVolume<T>(source: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toVolumeError(error, source);
  }
}

/** `onVolume` for synchronous work. */
export function onVolumeSync<T>(source: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw toVolumeError(error, source);
  }
}
