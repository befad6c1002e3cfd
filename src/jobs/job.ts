// What a handler of jobs is and gets. Handlers live in services; the runner in job-runner.ts calls them.
import type { VbsError } from '../core/errors.ts';
import type { JobClaim } from '../core/ledger.ts';
import type { Job, JobKind, Progress } from '../core/model.ts';

export type JobContext = {
  /** As it was when it was taken. */
  readonly job: Job;
  readonly claim: JobClaim;
  /** Aborted at shutdown (reason SHUTTING_DOWN) and when the claim is lost (reason JOB_FENCED). */
  readonly signal: AbortSignal;
  /** Notes how far the job is; fields that are absent keep their value. Cheap: call it as often as you like. */
  report(progress: Partial<Progress>): void;
};

export type JobHandler = {
  /**
   * Does the work and ends the job in its own last transaction, together with the new state of the resource.
   * May be called again after a crash at any moment: it must take up what it finds.
   * @throws JobPostponed to be called again later; VbsError: retried when retryable, else `fail` follows.
   */
  run(context: JobContext): Promise<void>;
  /** Ends the job as failed and puts the resources right, in one transaction. May be called again. */
  fail(context: JobContext, error: VbsError): Promise<void>;
};

export type JobHandlers = Readonly<Record<JobKind, JobHandler>>;

/** Thrown by `run`: not now, and not counted as a failure. */
export class JobPostponed extends Error {
  readonly delayMs: number;

  constructor(delayMs: number) {
    super(`Postponed by ${delayMs} ms`);
    this.name = 'JobPostponed';
    this.delayMs = delayMs;
  }
}
