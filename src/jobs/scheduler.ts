// Looks once a second what policies are due, claims it (run-claim.ts), lets waiting tasks begin, and watches those that
// run. All that it knows is in the catalog: any number of schedulers may look at once, and each may die at any moment.
import { VbsError } from '../core/errors.ts';
import type { PolicyId, TaskId } from '../core/ids.ts';
import { RUN_CATCH_UP_MS, SCHEDULER_BATCH_COUNT, SCHEDULER_POLL_MS, WATCHDOG_INTERVAL_MS } from '../core/limits.ts';
import type { Policy, Task } from '../core/model.ts';
import type { Clock, Logger } from '../core/ports.ts';
import type { Catalog } from '../db/catalog.ts';
import type { DueRun, WatchedTask } from '../db/policy-types.ts';
import { type ClaimOutcome, claimDueRun, firstUnclaimedAfter } from './run-claim.ts';

export type SchedulerDeps = {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Turns a WAITING task into RUNNING or a failure, in one transaction; does nothing when it waits no more. */
  readonly startTask: (task: Task) => Promise<void>;
  readonly startJitterMs: number;
  /** Tasks that take longer are EXECUTE_TIMEOUT; their backups go on. */
  readonly taskTimeoutMs: number;
  /** So are tasks whose job runs this long without handling a byte. */
  readonly taskStallMs: number;
};

export class Scheduler {
  readonly #deps: SchedulerDeps;
  #state: 'new' | 'started' | 'stopped' = 'new';
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();
  /** Undefined: due times have not been compared with the clock yet. */
  #lookedAt: number | undefined;
  #watchedAt: number | undefined;

  constructor(deps: SchedulerDeps) {
    this.#deps = deps;
  }

  /** Looks now and from then on once a second, in the background. */
  start(): void {
    this.#state = 'started';
    this.#schedule(0);
  }

  /** Begins nothing more and waits for what is under way. */
  async stop(): Promise<void> {
    this.#state = 'stopped';
    clearTimeout(this.#timer);
    await this.#round;
  }

  /** Looks now instead of at the next poll: call it after a run was entered and committed. */
  wake(): void {
    if (this.#state === 'started') void this.lookOnce();
  }

  /** One look, after those under way. Returns when all that was due has been claimed and handed over. Never rejects. */
  async lookOnce(): Promise<void> {
    this.#round = this.#round.then(() => this.#look());
    await this.#round;
  }

  #schedule(delayMs: number): void {
    this.#timer = setTimeout(async () => {
      await this.lookOnce();
      if (this.#state === 'started') this.#schedule(SCHEDULER_POLL_MS);
    }, delayMs);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    if (this.#state === 'stopped') return;
    const nowAt = this.#deps.clock.now();
    await this.#try('aligning', () => this.#align(nowAt));
    await this.#try('claiming', () => this.#claimAll(nowAt));
    await this.#try('starting', () => this.#startAll(nowAt));
    await this.#try('watching', () => this.#watch(nowAt));
  }

  async #try(subject: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#deps.logger.error({ subject, err: error }, 'the scheduler failed; it tries again within seconds');
    }
  }

  /** At the start and whenever the clock was set back: no due time may lie beyond the first one that has not run. */
  async #align(nowAt: number): Promise<void> {
    const isBack = this.#lookedAt === undefined || nowAt < this.#lookedAt;
    if (isBack) {
      for (const policy of await this.#deps.catalog.policies.listEnabled()) await this.#alignPolicy(policy, nowAt);
    }
    this.#lookedAt = nowAt;
  }

  async #alignPolicy({ projectId, policyId }: Policy, nowAt: number): Promise<void> {
    const { catalog, logger } = this.#deps;
    await catalog.transact(projectId, async (records) => {
      const policy = await records.policies.get(projectId, policyId);
      if (policy === undefined || policy.nextRunAt === null) return;
      // What was due before the schedule was made is not due by it.
      const validFrom = policy.updatedAt ?? policy.createdAt;
      const fromAt = validFrom > nowAt ? nowAt : Math.max(validFrom, nowAt - RUN_CATCH_UP_MS);
      const firstAt = await firstUnclaimedAfter(records, policy, fromAt);
      if (policy.nextRunAt <= firstAt) return;
      await records.policies.moveNextRun(policyId, policy.nextRunAt, firstAt);
      const fields = { policyId, from: new Date(policy.nextRunAt).toISOString(), to: new Date(firstAt).toISOString() };
      logger.warn(fields, 'the clock was ahead: the next run of the policy comes sooner than noted');
    });
  }

  /** The earliest first, one due time at a time, until nothing is due. */
  async #claimAll(nowAt: number): Promise<void> {
    const failed = new Set<PolicyId>();
    for (;;) {
      const due = await this.#deps.catalog.policies.listDue(nowAt, SCHEDULER_BATCH_COUNT + failed.size);
      const open = due.filter(({ policyId }) => !failed.has(policyId));
      if (open.length === 0 || this.#state === 'stopped') return;
      for (const run of open) {
        if (!(await this.#claim(run, nowAt))) failed.add(run.policyId);
      }
    }
  }

  /** False when it failed: the others go on, and this one is tried again with the next look. */
  async #claim({ projectId, policyId, dueAt }: DueRun, nowAt: number): Promise<boolean> {
    const { catalog, startJitterMs, logger } = this.#deps;
    const fields = { policyId, dueAt: new Date(dueAt).toISOString() };
    try {
      const outcome = await catalog.transact(projectId, async (records): Promise<ClaimOutcome> => {
        const policy = await records.policies.get(projectId, policyId);
        if (policy?.nextRunAt !== dueAt) return 'lost';
        return await claimDueRun(records, policy, { nowAt, startJitterMs });
      });
      if (outcome === 'run') logger.info(fields, 'policy run claimed');
      if (outcome === 'missed') logger.warn(fields, 'policy run missed: recorded as SKIP');
      return true;
    } catch (error) {
      logger.error({ ...fields, err: error }, 'a policy run could not be claimed; it is tried again within seconds');
      return false;
    }
  }

  async #startAll(nowAt: number): Promise<void> {
    const { catalog, startTask, logger } = this.#deps;
    const failed = new Set<TaskId>();
    for (;;) {
      const waiting = await catalog.tasks.listWaiting(nowAt, SCHEDULER_BATCH_COUNT + failed.size);
      const open = waiting.filter(({ taskId }) => !failed.has(taskId));
      if (open.length === 0 || this.#state === 'stopped') return;
      for (const task of open) {
        const { taskId } = task;
        try {
          await startTask(task);
        } catch (error) {
          failed.add(taskId);
          logger.error({ taskId, err: error }, 'a task could not begin; it is tried again within seconds');
        }
      }
    }
  }

  /** Says loudly what takes too long. The job is left alone: its backup is valid whenever it completes. */
  async #watch(nowAt: number): Promise<void> {
    const { catalog } = this.#deps;
    const idleMs = this.#watchedAt === undefined ? WATCHDOG_INTERVAL_MS : nowAt - this.#watchedAt;
    if (idleMs >= 0 && idleMs < WATCHDOG_INTERVAL_MS) return;
    this.#watchedAt = nowAt;
    for (const task of await catalog.tasks.listWatched()) {
      const { handledBytes, seenBytes, seenAt } = task;
      // A job that waits for its turn, or has moved, has not stalled; nor has one seen by a clock that was ahead.
      const hasMoved = handledBytes === null || handledBytes !== seenBytes || seenAt > nowAt;
      if (hasMoved) await catalog.tasks.noteProgress(task.taskId, handledBytes ?? 0, nowAt);
      const reason = this.#findDelay(task, hasMoved, nowAt);
      if (reason !== undefined) await this.#timeOut(task, reason, nowAt);
    }
  }

  #findDelay({ createdAt, seenAt }: WatchedTask, hasMoved: boolean, nowAt: number): string | undefined {
    const { taskTimeoutMs, taskStallMs } = this.#deps;
    if (nowAt - createdAt >= taskTimeoutMs) return `${describeMs(nowAt - createdAt)} since it was created`;
    if (hasMoved || nowAt - seenAt < taskStallMs) return undefined;
    return `no progress for ${describeMs(nowAt - seenAt)}`;
  }

  async #timeOut({ projectId, policyId, taskId, volumeId }: WatchedTask, reason: string, nowAt: number): Promise<void> {
    const { catalog, logger } = this.#deps;
    const { code: errorCode, message } = new VbsError('POLICY_TASK_TIMEOUT', { reason });
    const failure = { errorCode, message };
    const isEnded = await catalog.transact(projectId, ({ tasks }) =>
      tasks.end(taskId, { status: 'EXECUTE_TIMEOUT', failure, finishedAt: nowAt }),
    );
    if (isEnded) logger.error({ projectId, policyId, taskId, volumeId, reason }, 'a policy task timed out');
  }
}

function describeMs(durationMs: number): string {
  return `${Math.floor(durationMs / 60_000)} min`;
}
