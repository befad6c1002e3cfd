// Gives space back: deletes what the catalog has put into the trash, for one project at a time, at once after deletions
// and failed jobs, and with the hourly upkeep. Deleting is idempotent, so a sweep that failed is simply done again.
import { VbsError } from '../core/errors.ts';
import type { ProjectId } from '../core/ids.ts';
import type { TrashLedger } from '../core/ledger.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Clock, Logger } from '../core/ports.ts';

export type TrashSweeperDeps = {
  readonly ledger: TrashLedger;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: Metrics;
  /** The engine's sweep of one project. @throws STORAGE_IO, EPOCH_CONFLICT */
  readonly sweepTrash: (projectId: ProjectId) => Promise<{ readonly deletedCount: number }>;
};

export class TrashSweeper {
  readonly #deps: TrashSweeperDeps;
  /** Last sweep of each project that has one under way: two at once would only do the same work twice. */
  readonly #sweeps = new Map<ProjectId, Promise<unknown>>();

  constructor(deps: TrashSweeperDeps) {
    this.#deps = deps;
  }

  /** Deletes all that may go now, after a sweep that is under way already. */
  async sweepProject(projectId: ProjectId): Promise<void> {
    const earlier = this.#sweeps.get(projectId) ?? Promise.resolve();
    // What the earlier one met is told to whoever waits for it; this one begins either way.
    const sweep = earlier.then(
      () => this.#deps.sweepTrash(projectId),
      () => this.#deps.sweepTrash(projectId),
    );
    this.#sweeps.set(projectId, sweep);
    try {
      const { deletedCount } = await sweep;
      if (deletedCount > 0) this.#deps.logger.debug({ projectId, deletedCount }, 'swept');
    } finally {
      if (this.#sweeps.get(projectId) === sweep) this.#sweeps.delete(projectId);
    }
  }

  /** Like `sweepProject`, for callers whose own work does not depend on it: a failure is logged and mended later. */
  async trySweepProject(projectId: ProjectId): Promise<void> {
    try {
      await this.sweepProject(projectId);
    } catch (error) {
      this.#deps.logger.warn({ projectId, err: error }, 'sweep failed; it is tried again within the hour');
      this.#deps.metrics?.failed(error instanceof VbsError ? error.code : 'INTERNAL');
    }
  }

  /** Sweeps every project that has trash; what fails is logged and waits for the next time. */
  async sweepAll(signal: AbortSignal): Promise<void> {
    for (const projectId of await this.#deps.ledger.listProjectsWithTrash(this.#deps.clock.now())) {
      if (signal.aborted) return;
      await this.trySweepProject(projectId);
    }
  }
}
