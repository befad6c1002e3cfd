// Takes queued jobs and runs their handlers: at most so many at once on this host, the projects in turn, tried again
// after passing trouble, taken over from runners that died. Every change of a job is a fenced row in the catalog; what
// is kept here is lost with the process and no loss.
import { VbsError } from '../core/errors.ts';
import type { JobId, ProjectId } from '../core/ids.ts';
import type { JobClaim } from '../core/ledger.ts';
import {
  JOB_COPY_MAX,
  JOB_CRASH_MAX,
  JOB_DELETE_MAX,
  JOB_FAILURE_MAX,
  JOB_LEASE_MS,
  JOB_POLL_MS,
  JOB_PROGRESS_WRITE_MS,
  JOB_RETRY_DELAY_MS,
} from '../core/limits.ts';
import { type AttemptOutcome, type Metrics, noMetrics } from '../core/metrics.ts';
import type { Job, JobKind } from '../core/model.ts';
import type { Clock, Logger } from '../core/ports.ts';
import type { Catalog } from '../db/catalog.ts';
import type { Lease, TakenJob } from '../db/record-types.ts';
import { type JobContext, type JobHandlers, JobPostponed } from './job.ts';
import { JobMeter } from './job-meter.ts';
import type { LiveProgress } from './progress.ts';
import { planTurns } from './turns.ts';

type RunningJob = {
  readonly taken: TakenJob;
  readonly context: JobContext;
  readonly abort: AbortController;
  readonly meter: JobMeter;
  readonly begunAt: number;
  done: Promise<void>;
};

export type JobRunnerDeps = {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: Metrics;
  readonly handlers: JobHandlers;
  /**
   * Backups, restores, exports and verifications at once; snapshots and copies have places of their own, and deletions
   * too.
   */
  readonly maxJobs: number;
  /** Names this process in the rows of its jobs. */
  readonly runnerId: string;
};

/** Kinds that share places. */
const KIND_GROUPS: readonly (readonly JobKind[])[] = [
  ['backup', 'restore', 'export', 'verify'],
  ['create-snapshot', 'copy-volume', 'revert-volume'],
  ['delete-backup', 'delete-volume', 'delete-snapshot', 'import-backup'],
];
const HEARTBEAT_MS = JOB_LEASE_MS / 3;
const RETRY_FACTOR = 4;

export class JobRunner {
  readonly #deps: JobRunnerDeps;
  readonly #metrics: Metrics;
  readonly #running = new Map<JobId, RunningJob>();
  readonly #held = new Map<JobId, JobClaim>();
  /** When each project was last served, as a turn number. */
  readonly #turns = new Map<ProjectId, number>();
  #lastTurn = 0;
  #state: 'new' | 'started' | 'stopping' = 'new';
  #timer: NodeJS.Timeout | undefined;
  #upkeep: Promise<void> = Promise.resolve();
  #filling: Promise<void> | undefined;
  #isWoken = false;
  #heartbeatAt = 0;

  constructor(deps: JobRunnerDeps) {
    this.#deps = deps;
    this.#metrics = deps.metrics ?? noMetrics;
  }

  /** Takes over what an earlier process left (at once where there can be only one), then begins to take jobs. */
  async start(): Promise<void> {
    const { catalog, clock } = this.#deps;
    if (catalog.capabilities.isSingleProcess) {
      await catalog.jobs.expireLeases();
    }
    this.#state = 'started';
    this.#heartbeatAt = clock.now() + HEARTBEAT_MS;
    this.#schedule();
    this.wake();
  }

  /** Aborts what runs, waits until it has let go, and leaves its jobs in the queue. */
  async stop(): Promise<void> {
    this.#state = 'stopping';
    clearTimeout(this.#timer);
    await this.#upkeep;
    await this.#filling;
    const running = [...this.#running.values()];
    for (const { abort } of running) {
      abort.abort(new VbsError('SHUTTING_DOWN'));
    }
    await Promise.all(running.map((job) => job.done));
  }

  /** Looks for jobs now instead of at the next poll: call it after a job was queued and committed. */
  wake(): void {
    if (this.#state !== 'started') {
      return;
    }
    this.#isWoken = true;
    this.#filling ??= this.#fillWhileWoken().finally(() => {
      this.#filling = undefined;
      if (this.#isWoken) {
        this.wake();
      }
    });
  }

  /** How far a job of this process is; undefined when it does not run here (its row says what is known then). */
  progressOf(jobId: JobId): LiveProgress | undefined {
    return this.#running.get(jobId)?.meter.describe();
  }

  /** For a job that its maker runs itself (`JobRecords.insertTaken`). */
  newLease(): Lease {
    return { runnerId: this.#deps.runnerId, leaseUntil: this.#deps.clock.now() + JOB_LEASE_MS };
  }

  /** Keeps the lease of such a job alive until the function that it returns is called. */
  hold(claim: JobClaim): () => void {
    this.#held.set(claim.jobId, claim);
    return () => {
      this.#held.delete(claim.jobId);
    };
  }

  #schedule(): void {
    this.#timer = setTimeout(
      () => {
        this.#upkeep = this.#keepUp().finally(() => {
          if (this.#state === 'started') {
            this.#schedule();
          }
        });
      },
      Math.min(JOB_POLL_MS, JOB_PROGRESS_WRITE_MS),
    );
  }

  async #keepUp(): Promise<void> {
    this.wake();
    try {
      const nowAt = this.#deps.clock.now();
      if (nowAt >= this.#heartbeatAt) {
        this.#heartbeatAt = nowAt + HEARTBEAT_MS;
        await this.#renewLeases();
      }
      await Promise.all([...this.#running.values()].map((job) => job.meter.save(this.#deps.catalog.jobs)));
    } catch (error) {
      this.#deps.logger.warn({ error: String(error) }, 'the catalog could not be told how the jobs are');
    }
  }

  async #renewLeases(): Promise<void> {
    const { leaseUntil } = this.newLease();
    const { jobs } = this.#deps.catalog;
    for (const { taken, abort } of [...this.#running.values()]) {
      if (!(await jobs.heartbeat(taken.claim, leaseUntil)) && this.#running.has(taken.job.jobId)) {
        const { jobId, attempt } = taken.claim;
        abort.abort(new VbsError('JOB_FENCED', { jobId, attempt }));
      }
    }
    for (const claim of [...this.#held.values()]) {
      if (!(await jobs.heartbeat(claim, leaseUntil))) {
        this.#held.delete(claim.jobId);
      }
    }
  }

  async #fillWhileWoken(): Promise<void> {
    while (this.#isWoken && this.#state === 'started') {
      this.#isWoken = false;
      try {
        await this.#fillPlaces();
      } catch (error) {
        this.#deps.logger.warn({ error: String(error) }, 'jobs could not be taken; trying again at the next poll');
      }
    }
  }

  /** Takes jobs until no place is free or none is left. Each round takes at most one of each project. */
  async #fillPlaces(): Promise<void> {
    const { catalog, clock } = this.#deps;
    for (let hasTaken = true; hasTaken && this.#state === 'started'; ) {
      hasTaken = false;
      const nowAt = clock.now();
      const kinds = KIND_GROUPS.flatMap((group) => (this.#freePlaces(group) > 0 ? group : []));
      const excludedIds = [...this.#running.keys(), ...this.#held.keys()];
      const listed = await catalog.jobs.listRunnable({ kinds, excludedIds, nowAt });
      for (const job of planTurns(listed, this.#turns)) {
        const group = KIND_GROUPS.find((each) => each.includes(job.kind)) ?? [];
        if (this.#freePlaces(group) > 0 && this.#state === 'started') {
          hasTaken = (await this.#take(job, nowAt)) || hasTaken;
        }
      }
    }
  }

  #freePlaces(group: readonly JobKind[]): number {
    return (
      this.#placesOf(group) - [...this.#running.values()].filter(({ taken }) => group.includes(taken.job.kind)).length
    );
  }

  #placesOf(group: readonly JobKind[]): number {
    if (group.includes('backup')) return this.#deps.maxJobs;
    return group.includes('copy-volume') ? JOB_COPY_MAX : JOB_DELETE_MAX;
  }

  async #take(job: Job, nowAt: number): Promise<boolean> {
    const { catalog, logger } = this.#deps;
    const taken = await catalog.jobs.take(job, this.newLease(), nowAt);
    if (taken === undefined) {
      return false;
    }
    this.#lastTurn += 1;
    this.#turns.set(job.projectId, this.#lastTurn);
    logger.info({ jobId: job.jobId, kind: job.kind, attempt: taken.claim.attempt }, 'job taken');
    this.#begin(taken);
    return true;
  }

  #begin(taken: TakenJob): void {
    const { job, claim } = taken;
    const abort = new AbortController();
    const { clock } = this.#deps;
    const meter = new JobMeter(claim, clock);
    const context: JobContext = { job, claim, signal: abort.signal, report: (progress) => meter.report(progress) };
    const begunAt = clock.now();
    const running: RunningJob = { taken, context, abort, meter, begunAt, done: Promise.resolve() };
    this.#running.set(job.jobId, running);
    this.#metrics.attemptBegun(job.kind);
    running.done = this.#run(running).finally(() => {
      this.#running.delete(job.jobId);
      this.wake();
    });
  }

  /** Never rejects: what cannot be settled now is left to the lease, and whoever takes the job next. */
  async #run(running: RunningJob): Promise<void> {
    const outcome = await this.#attempt(running);
    const { taken, begunAt, meter } = running;
    const durationMs = this.#deps.clock.now() - begunAt;
    this.#metrics.attemptEnded({ kind: taken.job.kind, outcome, durationMs, progress: meter.progress });
  }

  async #attempt(running: RunningJob): Promise<AttemptOutcome> {
    const { job } = running.taken;
    const { catalog, handlers, logger } = this.#deps;
    try {
      try {
        requireSurvival(running.taken);
        await handlers[job.kind].run(running.context);
        await running.meter.saveCompleted(catalog.jobs);
        logger.info({ jobId: job.jobId, kind: job.kind }, 'job done');
        return 'succeeded';
      } catch (error) {
        return await this.#settle(running, error);
      }
    } catch (error) {
      logger.error({ jobId: job.jobId, error: describe(error) }, 'job left to be taken again when its lease ends');
      return 'lost';
    }
  }

  /** Decides what becomes of a job whose `run` threw. */
  async #settle(running: RunningJob, error: unknown): Promise<AttemptOutcome> {
    const { catalog, clock, handlers, logger } = this.#deps;
    const { job, claim, failures } = running.taken;
    const current = await catalog.jobs.get(job.projectId, job.jobId);
    if (current?.status !== 'RUNNING' || current.attempt !== claim.attempt) {
      // Ended although `run` threw: the answer of its last commit was lost. Or somebody else has taken the job.
      logger.info({ jobId: job.jobId, status: current?.status, error: describe(error) }, 'job let go');
      if (current?.attempt !== claim.attempt || current.status === 'INIT') return 'lost';
      return current.status === 'SUCCESS' ? 'succeeded' : 'failed';
    }
    if (this.#state === 'stopping') {
      await catalog.jobs.putBack(claim, clock.now());
      return 'postponed';
    }
    if (error instanceof JobPostponed) {
      await catalog.jobs.putBack(claim, clock.now() + error.delayMs);
      return 'postponed';
    }
    const failure = error instanceof VbsError ? error : new VbsError('INTERNAL', {}, { cause: error });
    logger.warn({ jobId: job.jobId, kind: job.kind, failures: failures + 1, error: describe(error) }, 'job failed');
    this.#metrics.failed(failure.code);
    if (failure.spec.isRetryable && failures + 1 < JOB_FAILURE_MAX) {
      const delayMs = JOB_RETRY_DELAY_MS * RETRY_FACTOR ** failures;
      await catalog.jobs.putBack(claim, clock.now() + delayMs, failure.message);
      return 'retried';
    }
    await handlers[job.kind].fail(running.context, failure);
    return 'failed';
  }
}

/** Attempts that were postponed or put back at shutdown do not count: a deletion may wait for days for a reader. */
function requireSurvival({ job, crashes, lastError }: TakenJob): void {
  if (crashes >= JOB_CRASH_MAX) {
    const reason = lastError ?? 'the process ended in the middle of each';
    throw new VbsError('JOB_ABANDONED', { jobId: job.jobId, attempts: JOB_CRASH_MAX, reason });
  }
}

/** With the stack where the error is none of ours: then it is a bug that somebody has to find. */
function describe(error: unknown): string {
  if (error instanceof VbsError) {
    return `${error.code}: ${error.message}`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
