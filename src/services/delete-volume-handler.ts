// The job that removes a volume's disk, with the snapshots of it, and then the rows. An adopted disk is let go
// untouched; backups stay.
import type { VbsError } from '../core/errors.ts';
import type { JobContext, JobHandler } from '../jobs/job.ts';
import { sweepBaselines } from './baseline-sweeper.ts';
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
    const driver = drivers.driver(volume.driver);
    // Those that were there when the deletion was accepted: since then the volume's status permits no new ones.
    const taken = await catalog.snapshots.listOfVolume(volume.projectId, volume.volumeId);
    // The disk first: it may be in use and stay, and then the snapshots are whole.
    await driver.delete(toVolumeRef(volume));
    for (const { snapshotId } of taken) await driver.removeSnapshot(snapshotId);
    await catalog.transact(claim.projectId, async ({ jobs, snapshots, volumes }) => {
      await jobs.requireClaim(claim);
      for (const { snapshotId } of taken) await snapshots.delete(snapshotId);
      await volumes.delete(volume.volumeId);
      await jobs.end(claim, { status: 'SUCCESS' }, clock.now());
    });
    await sweepBaselines(this.#deps);
  }

  async fail({ job, claim }: JobContext, error: VbsError): Promise<void> {
    const updatedAt = this.#deps.clock.now();
    await this.#deps.catalog.transact(claim.projectId, async ({ jobs, snapshots, volumes }) => {
      await jobs.requireClaim(claim);
      if (job.volumeId !== null) {
        for (const { snapshotId } of await snapshots.listOfVolume(job.projectId, job.volumeId)) {
          await snapshots.update(snapshotId, { status: 'error_deleting', updatedAt });
        }
        await volumes.update(job.volumeId, { status: 'error_deleting', updatedAt });
      }
      await jobs.end(claim, failedOutcome(error), updatedAt);
    });
  }
}
