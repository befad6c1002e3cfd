// What is due from time to time and by nobody's request: sweeping trash, trying failed deletions again, retention,
// forgetting old jobs, tasks, traces and dead revocations.
import { newUuid } from '../core/ids.ts';
import {
  JOB_KEEP_DAYS,
  LIST_LIMIT_MAX,
  MESSAGE_KEEP_DAYS,
  RUN_KEEP_DAYS,
  TASK_KEEP_DAYS,
  TRACE_KEEP_DAYS,
  UPKEEP_INTERVAL_MS,
} from '../core/limits.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Clock, Logger } from '../core/ports.ts';
import type { Catalog } from '../db/catalog.ts';
import type { VolumeRegistry } from '../volumes/volume-registry.ts';
import { sweepBaselines } from './baseline-sweeper.ts';
import type { LabelKeeper } from './label-keeper.ts';
import { NOTHING_COUNTED } from './maintenance-counts.ts';
import type { RetentionRunner } from './retention-runner.ts';
import type { TokenKeys } from './token-keys.ts';
import type { TrashSweeper } from './trash-sweeper.ts';

export type UpkeepDeps = {
  readonly catalog: Catalog;
  readonly drivers: VolumeRegistry;
  readonly sweeper: TrashSweeper;
  readonly retention: RetentionRunner;
  readonly tokenKeys: Pick<TokenKeys, 'tidyUp'>;
  readonly labels: Pick<LabelKeeper, 'saveAll'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: Metrics;
};

const DAY_MS = 24 * 3600 * 1000;

export class Upkeep {
  readonly #deps: UpkeepDeps;
  readonly #abort = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();
  /** Of the round that is under way. */
  #failureCount = 0;

  constructor(deps: UpkeepDeps) {
    this.#deps = deps;
  }

  /** Does everything now and then every hour, in the background. */
  start(): void {
    this.#timer = setInterval(() => this.#beginRound(), UPKEEP_INTERVAL_MS);
    this.#timer.unref();
    this.#beginRound();
  }

  /** Begins nothing more and waits for what is under way. */
  async stop(): Promise<void> {
    this.#abort.abort();
    clearInterval(this.#timer);
    await this.#round;
  }

  /** One round; what fails is logged and comes again with the next. */
  async runOnce(): Promise<void> {
    const { clock, metrics } = this.#deps;
    const nowAt = clock.now();
    this.#failureCount = 0;
    await this.#doAll(nowAt);
    const isDone = this.#failureCount === 0;
    metrics?.maintained({ ...NOTHING_COUNTED, operation: 'upkeep', isDone, durationMs: clock.now() - nowAt });
  }

  async #doAll(nowAt: number): Promise<void> {
    const { catalog, sweeper, retention, labels, tokenKeys } = this.#deps;
    await this.#try('trash', () => sweeper.sweepAll(this.#abort.signal));
    await this.#try('baselines', () => sweepBaselines(this.#deps));
    await this.#try('deletions', () => this.#retryDeletions());
    await this.#try('labels', () => labels.saveAll(this.#abort.signal));
    await this.#try('retention', () => retention.applyAll(this.#abort.signal));
    await this.#try('tasks', () => catalog.tasks.deleteEndedBefore(nowAt - TASK_KEEP_DAYS * DAY_MS));
    await this.#try('runs', () => catalog.policies.deleteRunsBefore(nowAt - RUN_KEEP_DAYS * DAY_MS));
    await this.#try('jobs', () => catalog.jobs.deleteEndedBefore(nowAt - JOB_KEEP_DAYS * DAY_MS));
    await this.#try('messages', () => catalog.messages.deleteBefore(nowAt - MESSAGE_KEEP_DAYS * DAY_MS));
    await this.#try('traces', () => catalog.traces.deleteBefore(nowAt - TRACE_KEEP_DAYS * DAY_MS));
    await this.#try('tokens', () => tokenKeys.tidyUp());
  }

  /** Nobody can use or delete a backup whose deletion failed: unless it is tried again, its space is lost for ever. */
  async #retryDeletions(): Promise<void> {
    const { catalog, clock } = this.#deps;
    const { items } = await catalog.backups.list({ status: 'error_deleting' }, { limit: LIST_LIMIT_MAX });
    for (const { projectId, backupId, volumeId } of items) {
      if (this.#abort.signal.aborted) return;
      const createdAt = clock.now();
      await catalog.transact(projectId, async ({ backups, jobs }) => {
        const current = await backups.get(projectId, backupId);
        if (current?.status !== 'error_deleting') return;
        await jobs.insert({ jobId: newUuid(), projectId, kind: 'delete-backup', backupId, volumeId, createdAt });
        await backups.update(backupId, { status: 'deleting', updatedAt: createdAt });
      });
    }
  }

  #beginRound(): void {
    this.#round = this.#round.then(() => this.runOnce());
  }

  async #try(subject: string, work: () => Promise<unknown>): Promise<void> {
    if (this.#abort.signal.aborted) return;
    try {
      await work();
    } catch (error) {
      this.#failureCount += 1;
      this.#deps.logger.error({ subject, err: error }, 'upkeep failed; it is tried again within the hour');
    }
  }
}
