// Cuts a volume into what must be read: pages of 64 MiB, in them segments of 4 MiB, in them runs of chunks that may
// hold data. Lazy, in volume order, so that a volume of any size costs the memory of one page.
import { setImmediate } from 'node:timers/promises';
import { alignDown } from '../core/bytes.ts';
import {
  CHUNK_SIZE_BYTES,
  PAGE_ENTRY_COUNT,
  PAGE_WALK_COUNT,
  SEGMENT_CHUNK_COUNT,
  SEGMENT_SIZE_BYTES,
} from '../core/limits.ts';
import type { VolumeSource } from '../volumes/volume.ts';

export type PlannedSegment = {
  /** Of the segment's first chunk in its page. */
  readonly firstEntry: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Pairs (first chunk, chunk count), relative to the segment. */
  readonly runs: readonly number[];
  /** Bytes of the runs. */
  readonly readBytes: number;
};

export type PlannedPage = {
  readonly pageIndex: number;
  readonly entryCount: number;
  readonly lengthBytes: number;
  /** Segments with something to read; all else of the page is zeros. */
  readonly segments: readonly PlannedSegment[];
};

const PAGE_SPAN_BYTES = PAGE_ENTRY_COUNT * CHUNK_SIZE_BYTES;

export async function* planPages(source: VolumeSource, signal: AbortSignal): AsyncGenerator<PlannedPage, void> {
  for (let offsetBytes = 0; offsetBytes < source.sizeBytes; offsetBytes += PAGE_SPAN_BYTES) {
    // A sparse volume has pages without end that make nobody wait for anything: the event loop would stand still.
    if ((offsetBytes / PAGE_SPAN_BYTES) % PAGE_WALK_COUNT === 0) await setImmediate();
    signal.throwIfAborted();
    const lengthBytes = Math.min(PAGE_SPAN_BYTES, source.sizeBytes - offsetBytes);
    const mayHoldData = new Uint8Array(Math.ceil(lengthBytes / CHUNK_SIZE_BYTES));
    for await (const extent of source.dataExtents({ offsetBytes, lengthBytes }, signal)) {
      const first = alignDown(extent.offsetBytes - offsetBytes, CHUNK_SIZE_BYTES) / CHUNK_SIZE_BYTES;
      const end = Math.ceil((extent.offsetBytes + extent.lengthBytes - offsetBytes) / CHUNK_SIZE_BYTES);
      mayHoldData.fill(1, first, end);
    }
    const segments: PlannedSegment[] = [];
    for (let firstEntry = 0; firstEntry < mayHoldData.length; firstEntry += SEGMENT_CHUNK_COUNT) {
      const segment = planSegment(mayHoldData, firstEntry, offsetBytes, lengthBytes);
      if (segment) segments.push(segment);
    }
    yield { pageIndex: offsetBytes / PAGE_SPAN_BYTES, entryCount: mayHoldData.length, lengthBytes, segments };
  }
}

function planSegment(
  mayHoldData: Uint8Array,
  firstEntry: number,
  pageOffsetBytes: number,
  pageLengthBytes: number,
): PlannedSegment | undefined {
  const startBytes = firstEntry * CHUNK_SIZE_BYTES;
  const lengthBytes = Math.min(SEGMENT_SIZE_BYTES, pageLengthBytes - startBytes);
  const marks = mayHoldData.subarray(firstEntry, firstEntry + SEGMENT_CHUNK_COUNT);
  const runs: number[] = [];
  let readBytes = 0;
  for (let chunk = marks.indexOf(1); chunk >= 0; ) {
    const hole = marks.indexOf(0, chunk);
    const end = hole < 0 ? marks.length : hole;
    runs.push(chunk, end - chunk);
    readBytes += Math.min(end * CHUNK_SIZE_BYTES, lengthBytes) - chunk * CHUNK_SIZE_BYTES;
    chunk = hole < 0 ? -1 : marks.indexOf(1, hole);
  }
  if (runs.length === 0) return undefined;
  return { firstEntry, offsetBytes: pageOffsetBytes + startBytes, lengthBytes, runs, readBytes };
}
