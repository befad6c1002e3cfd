// How fast a job goes and when it will be done: pure arithmetic over reports and the instants they came at.
import { PROGRESS_WINDOW_MS } from '../core/limits.ts';
import type { Progress } from '../core/model.ts';

export type LiveProgress = Progress & {
  /** 0 to 100, whole steps downwards: 100 only when everything is handled. */
  readonly percent: number;
  /** Bytes of volume handled a second, skipped ones not counted; 0 while unknown. */
  readonly rateBytesPerS: number;
  /** Seconds until the end at this rate, rounded up; null while unknown. */
  readonly etaS: number | null;
};

/** The rate so far; made by `startRate`, carried on by `advanceRate`. */
export type RateState = { readonly atMs: number; readonly doneBytes: number; readonly bytesPerMs: number | null };

export function startRate(atMs: number, doneBytes: number): RateState {
  return { atMs, doneBytes, bytesPerMs: null };
}

/**
 * Folds one more observation into an exponentially weighted average: an observation of `dt` weighs
 * 1 - exp(-dt / PROGRESS_WINDOW_MS), so how often reports come does not matter. Observations in the same millisecond
 * are put off to the next one, and a count that went back (a new attempt) starts the average anew.
 */
export function advanceRate(state: RateState, atMs: number, doneBytes: number): RateState {
  if (doneBytes < state.doneBytes) {
    return startRate(atMs, doneBytes);
  }
  const elapsedMs = atMs - state.atMs;
  if (elapsedMs <= 0) {
    return state;
  }
  const current = (doneBytes - state.doneBytes) / elapsedMs;
  const weight = 1 - Math.exp(-elapsedMs / PROGRESS_WINDOW_MS);
  const bytesPerMs = state.bytesPerMs === null ? current : state.bytesPerMs + weight * (current - state.bytesPerMs);
  return { atMs, doneBytes, bytesPerMs };
}

/** What to show for `progress` at the rate of `state`. */
export function describeProgress(progress: Progress, state?: RateState): LiveProgress {
  const bytesPerMs = state?.bytesPerMs ?? null;
  const leftBytes = Math.max(0, progress.totalBytes - progress.doneBytes - progress.skippedBytes);
  const hasRate = bytesPerMs !== null && bytesPerMs > 0;
  return {
    ...progress,
    percent: percentOf(progress),
    rateBytesPerS: hasRate ? Math.round(bytesPerMs * 1000) : 0,
    etaS: progress.totalBytes > 0 && hasRate ? Math.ceil(leftBytes / bytesPerMs / 1000) : null,
  };
}

/** Whole percent handled, rounded down; 0 while the total is unknown. */
export function percentOf(progress: Progress): number {
  if (progress.totalBytes <= 0) {
    return 0;
  }
  const share = (progress.doneBytes + progress.skippedBytes) / progress.totalBytes;
  return Math.min(100, Math.floor(share * 100));
}
