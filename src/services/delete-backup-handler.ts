// The job that removes a backup: its record first, confirmed gone, then the row (src/engine/README.md). The space of
// its chunks comes back with the next prune.
import assert from 'node:assert/strict';
import type { VbsError } from '../core/errors.ts';
import type { ProjectId } from '../core/ids.ts';
import { DELETE_RETRY_MS } from '../core/limits.ts';
import { type JobContext, type JobHandler, JobPostponed } from '../jobs/job.ts';
import { sweepBaselines } from './baseline-sweeper.ts';
import { failedOutcome, type HandlerDeps } from './handler-deps.ts';

export class DeleteBackupHandler implements JobHandler {
  readonly #deps: HandlerDeps;

  constructor(deps: HandlerDeps) {
    this.#deps = deps;
  }

  async run({ job, claim }: JobContext): Promise<void> {
    const { catalog, clock } = this.#deps;
    assert(job.backupId !== null, 'a deletion names its backup');
    const state = await catalog.ledger.takeForDeletion(claim, job.backupId);
    // A restore, an export or an increment in the making reads it: it goes when they are done.
    if (state === 'pinned') throw new JobPostponed(DELETE_RETRY_MS);
    const failure = state === 'trashed' ? await this.#sweep(claim.projectId) : undefined;
    const isGone = await catalog.ledger.finishDeletion(claim, job.backupId, clock.now());
    if (isGone) {
      this.#deps.pruner.noteDeletion(claim.projectId);
      return await sweepBaselines(this.#deps);
    }
    throw failure ? failure.error : new JobPostponed(DELETE_RETRY_MS);
  }

  /** What a sweep fails with may be the trouble of another object of the project. */
  async #sweep(projectId: ProjectId): Promise<{ readonly error: unknown } | undefined> {
    try {
      await this.#deps.sweeper.sweepProject(projectId);
      return undefined;
    } catch (error) {
      this.#deps.logger.warn({ projectId, err: error }, 'a sweep failed');
      return { error };
    }
  }

  async fail({ job, claim }: JobContext, error: VbsError): Promise<void> {
    const updatedAt = this.#deps.clock.now();
    await this.#deps.catalog.transact(claim.projectId, async ({ jobs, backups }) => {
      await jobs.requireClaim(claim);
      if (job.backupId !== null) {
        await backups.update(job.backupId, { status: 'error_deleting', failReason: error.message, updatedAt });
      }
      await jobs.end(claim, failedOutcome(error), updatedAt);
    });
  }
}
