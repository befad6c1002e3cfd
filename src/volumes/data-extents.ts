// Which parts of an image file hold data, asked of the file system piece by piece while the backup goes on.
import { setImmediate } from 'node:timers/promises';
import { CHUNK_SIZE_BYTES, EXTENT_LOOKUP_COUNT } from '../core/limits.ts';
import { type Extent, extentEnd, joinExtents } from './extent.ts';
import type { SystemCalls } from './system-calls.ts';

/**
 * Data extents of the file `fd` within `range`, ascending and disjoint. Holes shorter than a chunk are passed over:
 * none of them can spare reading one.
 */
export async function* findDataExtents(
  fd: number,
  range: Extent,
  calls: SystemCalls,
  signal?: AbortSignal,
): AsyncIterable<Extent> {
  let pending: Extent | undefined;
  let lookupCount = 0;
  for (const extent of walkExtents(fd, range, calls)) {
    lookupCount += 1;
    if (lookupCount % EXTENT_LOOKUP_COUNT === 0) {
      signal?.throwIfAborted();
      await setImmediate();
    }
    if (pending && extent.offsetBytes - extentEnd(pending) < CHUNK_SIZE_BYTES) {
      pending = joinExtents(pending, extent);
      continue;
    }
    if (pending) yield pending;
    signal?.throwIfAborted();
    pending = extent;
  }
  if (pending) yield pending;
}

function* walkExtents(fd: number, range: Extent, calls: SystemCalls): Iterable<Extent> {
  const endBytes = extentEnd(range);
  let positionBytes = range.offsetBytes;
  while (positionBytes < endBytes) {
    const dataBytes = calls.seekData(fd, positionBytes);
    if (dataBytes === undefined || dataBytes >= endBytes) return;
    const holeBytes = Math.min(calls.seekHole(fd, dataBytes), endBytes);
    // Data of no length can only mean that the file is being cut; what is left is taken as data, and reading it tells.
    if (holeBytes <= dataBytes) return yield { offsetBytes: dataBytes, lengthBytes: endBytes - dataBytes };
    yield { offsetBytes: dataBytes, lengthBytes: holeBytes - dataBytes };
    positionBytes = holeBytes;
  }
}
