// Cuts a volume into what must be read: pages of 64 MiB, in them segments of 4 MiB, in them runs of chunks that may
// hold data and may have changed. Lazy, in volume order, so that a volume of any size costs the memory of one page.
import { setImmediate } from 'node:timers/promises';
import { alignDown } from '../core/bytes.ts';
import {
  CHUNK_SIZE_BYTES,
  PAGE_ENTRY_COUNT,
  PAGE_WALK_COUNT,
  SEGMENT_CHUNK_COUNT,
  SEGMENT_SIZE_BYTES,
} from '../core/limits.ts';
import type { Extent } from '../volumes/extent.ts';
import type { VolumeSource } from '../volumes/volume.ts';
import type { BasePage, SharedPage, UnchangedParts } from './unchanged-parts.ts';

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

/** A page that is made of what is read, and of what its base keeps. */
export type PlannedPage = {
  readonly type: 'page';
  readonly pageIndex: number;
  readonly entryCount: number;
  readonly lengthBytes: number;
  /** Segments with something to read; all else of the page is as in the base, or zeros without one. */
  readonly segments: readonly PlannedSegment[];
  readonly base: BasePage | undefined;
};

/** A page of some level that is taken from the parent as it is. */
export type PlannedShare = { readonly type: 'share'; readonly page: SharedPage; readonly lengthBytes: number };

const PAGE_SPAN_BYTES = PAGE_ENTRY_COUNT * CHUNK_SIZE_BYTES;

/** `unchanged`: what need not be read; absent, everything that may hold data is. */
export async function* planPages(
  source: VolumeSource,
  signal: AbortSignal,
  unchanged?: UnchangedParts,
): AsyncGenerator<PlannedPage | PlannedShare, void> {
  let stepCount = 0;
  for (let offsetBytes = 0; offsetBytes < source.sizeBytes; ) {
    // A sparse volume has pages without end that make nobody wait for anything: the event loop would stand still.
    if (stepCount % PAGE_WALK_COUNT === 0) await setImmediate();
    stepCount += 1;
    signal.throwIfAborted();
    const pageIndex = offsetBytes / PAGE_SPAN_BYTES;
    const page = await unchanged?.sharedPageAt(pageIndex);
    const spanBytes = PAGE_SPAN_BYTES * PAGE_ENTRY_COUNT ** (page?.level ?? 0);
    const lengthBytes = Math.min(spanBytes, source.sizeBytes - offsetBytes);
    if (page) yield { type: 'share', page, lengthBytes };
    else yield await planPage(source, { offsetBytes, lengthBytes }, await unchanged?.basePageAt(pageIndex), signal);
    offsetBytes += lengthBytes;
  }
}

async function planPage(
  source: VolumeSource,
  { offsetBytes, lengthBytes }: Extent,
  base: BasePage | undefined,
  signal: AbortSignal,
): Promise<PlannedPage> {
  const entryCount = Math.ceil(lengthBytes / CHUNK_SIZE_BYTES);
  const mustRead = Uint8Array.from({ length: entryCount }, (_, entry) => (base?.mustRead(entry) === false ? 0 : 1));
  const marks = mustRead.includes(1) ? await markData(source, { offsetBytes, lengthBytes }, signal) : mustRead;
  mustRead.forEach((wanted, entry) => {
    if (wanted === 0) marks[entry] = 0;
  });
  const segments: PlannedSegment[] = [];
  for (let firstEntry = 0; firstEntry < entryCount; firstEntry += SEGMENT_CHUNK_COUNT) {
    const segment = planSegment(marks, firstEntry, offsetBytes, lengthBytes);
    if (segment) segments.push(segment);
  }
  return { type: 'page', pageIndex: offsetBytes / PAGE_SPAN_BYTES, entryCount, lengthBytes, segments, base };
}

/** 1 for each chunk of `range` that may hold data. */
async function markData(source: VolumeSource, range: Extent, signal: AbortSignal): Promise<Uint8Array> {
  const marks = new Uint8Array(Math.ceil(range.lengthBytes / CHUNK_SIZE_BYTES));
  for await (const extent of source.dataExtents(range, signal)) {
    const first = alignDown(extent.offsetBytes - range.offsetBytes, CHUNK_SIZE_BYTES) / CHUNK_SIZE_BYTES;
    const end = Math.ceil((extent.offsetBytes + extent.lengthBytes - range.offsetBytes) / CHUNK_SIZE_BYTES);
    marks.fill(1, first, end);
  }
  return marks;
}

/** Runs of the marked chunks from `firstEntry` on, a segment at most; undefined when none is marked. */
export function planSegment(
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
