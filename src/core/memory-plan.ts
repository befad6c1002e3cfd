// How much of a volume and of the repository's tables is in memory at once, from a budget. Pure.
import { MIB } from './bytes.ts';
import { SEGMENT_SIZE_BYTES, TRAILER_CACHE_BYTES } from './limits.ts';

/** What the engine may have in memory besides the program itself. */
export type MemoryPlan = {
  /** Segments of 4 MiB that one backup has under way per pipeline thread. */
  readonly segmentsPerThread: number;
  /** Reads of up to 4 MiB that one restore has under way per pipeline thread. */
  readonly fetchesPerThread: number;
  /** Of the trailers of packs, in the whole process. */
  readonly trailerCacheBytes: number;
  /** Manifest pages that one reader keeps; each takes up to 26 KiB. */
  readonly pageCacheCount: number;
};

/** Measured to be enough: one segment is read, one waits for its decision, one is sealed or written. */
export const DEFAULT_MEMORY_PLAN: MemoryPlan = {
  segmentsPerThread: 3,
  fetchesPerThread: 2,
  trailerCacheBytes: TRAILER_CACHE_BYTES,
  pageCacheCount: 16,
};

/** A segment as it was read, and what it is sealed to: incompressible data does not shrink. */
const UNDER_WAY_BYTES = 2 * SEGMENT_SIZE_BYTES;
/** More only waits: the disk and the threads are busy all the time with fewer. */
const SEGMENTS_PER_THREAD_MAX = 8;
const FETCHES_PER_THREAD_MAX = 4;
/** Eight trailers of the usual size: fewer would be read again and again. */
const TRAILER_CACHE_MIN_BYTES = 8 * MIB;
/** One page a level, and one of a neighbour. */
const PAGE_CACHE_MIN = 4;
const PAGE_CACHE_MAX = 64;

/**
 * Divides `budgetBytes`: a third for trailers, the rest for what `jobCount` backups or restores have under way on
 * `threadCount` threads. Of each at least what the work needs at all is planned, also when the budget is smaller.
 */
export function planMemory(budgetBytes: number, threadCount: number, jobCount: number): MemoryPlan {
  const trailerCacheBytes = Math.max(TRAILER_CACHE_MIN_BYTES, Math.floor(budgetBytes / 3));
  const laneBytes = (budgetBytes - trailerCacheBytes) / (threadCount * jobCount);
  const segmentsPerThread = clamp(Math.floor(laneBytes / UNDER_WAY_BYTES), 1, SEGMENTS_PER_THREAD_MAX);
  return {
    segmentsPerThread,
    // One less: a read is not cut to segments, and what it opens to is as large as itself.
    fetchesPerThread: clamp(segmentsPerThread - 1, 1, FETCHES_PER_THREAD_MAX),
    trailerCacheBytes,
    pageCacheCount: clamp(Math.floor(trailerCacheBytes / (3 * MIB)), PAGE_CACHE_MIN, PAGE_CACHE_MAX),
  };
}

/** What a plan takes at most. */
export function plannedBytes(plan: MemoryPlan, threadCount: number, jobCount: number): number {
  return plan.trailerCacheBytes + plan.segmentsPerThread * UNDER_WAY_BYTES * threadCount * jobCount;
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}
