// The job that removes a volume's disk and then its row. An adopted disk is let go untouched; backups stay.
import type { VbsError } from '../core/errors.ts';
import type { JobContext, JobHandler } from '../jobs/job.ts';
import { failedOutcome, type HandlerDeps } from './handler-deps.ts';
import { requireJobVolume } from './subjects.ts';
import { toVolumeRef } from './volume-disk.ts';

export class DeleteVolumeHandler implements JobHandler {
  readonly #deps: HandlerDeps;

  constructor(deps: HandlerDeps) {
    this.#deps = deps;
  }

  async run({ job, claim }: JobContext): Promise<void> {
    const { catalog, drivers, clock } = this.#deps;
    const volume = await requireJobVolume(catalog, job);
    await drivers.driver(volume.driver).delete(toVolumeRef(volume));
    await catalog.transact(claim.projectId, async ({ jobs, volumes }) => {
      await jobs.requireClaim(claim);
      await volumes.delete(volume.volumeId);
      await jobs.end(claim, { status: 'SUCCESS' }, clock.now());
    });
  }

  async fail({ job, claim }: JobContext, error: VbsError): Promise<void> {
    const updatedAt = this.#deps.clock.now();
    await this.#deps.catalog.transact(claim.projectId, async ({ jobs, volumes }) => {
      await jobs.requireClaim(claim);
      if (job.volumeId !== null) await volumes.update(job.volumeId, { status: 'error_deleting', updatedAt });
      await jobs.end(claim, failedOutcome(error), updatedAt);
    });
  }
}
