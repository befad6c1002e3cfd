// What the program counts of its own work for operators to watch: the contract between those who do the work and
// whoever keeps the figures. Nothing of it may hold names or contents of users. Texts that become labels come from
// small fixed sets.
import type { ErrorCode } from './errors.ts';
import type { JobKind, Progress } from './model.ts';

/**
 * How one attempt at a job ended. `retried`: it failed and is tried again. `postponed`: put back without a failure,
 * also when the service stops. `lost`: somebody else has the job, or it is left to its lease.
 */
export type AttemptOutcome = 'succeeded' | 'failed' | 'retried' | 'postponed' | 'lost';

export type JobAttempt = {
  readonly kind: JobKind;
  readonly outcome: AttemptOutcome;
  readonly durationMs: number;
  /** As it was reported last. */
  readonly progress: Progress;
};

/** How a backup that was committed read its disk. */
export type DiskReading = {
  readonly mode: 'full' | 'scan' | 'changed-extents';
  /** Why a scan, where changed extents could have been asked for: one of a fixed set of texts. */
  readonly reason: string | null;
  readonly sampleCount: number;
  readonly mismatchCount: number;
};

/** Work on a project's repository, or the hourly upkeep, that ended; what does not apply to the operation is 0. */
export type MaintenanceWork = {
  readonly operation: string;
  readonly isDone: boolean;
  readonly durationMs: number;
  readonly freedBytes: number;
  /** Read and checked. */
  readonly verifiedBytes: number;
  /** Chunks and pages that got their contents back, and those that nobody has any more. */
  readonly healedCount: number;
  readonly lostCount: number;
  readonly mendedBackupCount: number;
};

export type ServedRequest = {
  readonly method: string;
  /** The pattern of the route, never the path. */
  readonly route: string;
  readonly status: number;
  readonly durationMs: number;
};

/** Cheap, and never throws: work does not fail because it is counted. */
export type Metrics = {
  /** Ended by `attemptEnded`, when nothing of the attempt goes on any more. */
  attemptBegun(kind: JobKind): void;
  attemptEnded(attempt: JobAttempt): void;
  diskRead(reading: DiskReading): void;
  restored(restore: { readonly mode: 'all' | 'compare' | 'changed-extents'; readonly writtenBytes: number }): void;
  /** By a job; what maintenance reads comes with `maintained`. */
  verified(readBytes: number): void;
  maintained(work: MaintenanceWork): void;
  /** Work in the background, or an attempt at a job, failed with this code. */
  failed(code: ErrorCode): void;
  served(request: ServedRequest): void;
};

function drop(): void {
  // Figures that nobody asked for are kept nowhere.
}

export const noMetrics: Metrics = {
  attemptBegun: drop,
  attemptEnded: drop,
  diskRead: drop,
  restored: drop,
  verified: drop,
  maintained: drop,
  failed: drop,
  served: drop,
};

/** What is so now, looked up whenever somebody asks. Of all projects together. */
export type CurrentState = {
  readonly jobs: readonly { readonly kind: JobKind; readonly isRunning: boolean; readonly count: number }[];
  /** Chunks and pages of live packs that are known to be bad, and the packs that hold them. */
  readonly damagedChunkCount: number;
  readonly damagedPackCount: number;
  /** Committed backups that are marked. */
  readonly damagedBackupCount: number;
  /** Live packs that wait for their first verification, or for one after they were distrusted. */
  readonly unverifiedPackCount: number;
  /** Of the live pack that waits longest, of those that were verified ever; undefined without any. */
  readonly oldestVerifiedAt: number | undefined;
  /** Something was not verified within the days promised. */
  readonly isScrubLate: boolean;
  readonly repositoryFreeBytes: number;
  readonly repositoryDiskBytes: number;
};
