// The job that makes the disk of a volume from a snapshot, or from another volume as it is when the job begins.
import type { VbsError } from '../core/errors.ts';
import type { Volume } from '../core/model.ts';
import type { JobContext, JobHandler } from '../jobs/job.ts';
import type { DriverVolume } from '../volumes/volume.ts';
import { failedOutcome, type HandlerDeps } from './handler-deps.ts';
import { readSnapshotPayload } from './job-payloads.ts';
import { requireJobSnapshot, requireJobVolume, requireVolume } from './subjects.ts';
import { toSnapshotRef, toVolumeRef } from './volume-disk.ts';

export class CopyVolumeHandler implements JobHandler {
  readonly #deps: HandlerDeps;

  constructor(deps: HandlerDeps) {
    this.#deps = deps;
  }

  async run(context: JobContext): Promise<void> {
    const { catalog, drivers, clock } = this.#deps;
    const { job, claim } = context;
    const volume = await requireJobVolume(catalog, job);
    // What an earlier try left under the volume's name: nobody was ever told of it.
    await drivers.driver(volume.driver).delete(toVolumeRef(volume));
    const { source, sizeBytes } = await this.#copy(context, volume);
    const updatedAt = clock.now();
    await catalog.transact(claim.projectId, async ({ jobs, volumes }) => {
      await jobs.requireClaim(claim);
      const changes = { status: 'available', source, sizeBytes, isFresh: false, updatedAt } as const;
      await volumes.update(volume.volumeId, changes);
      await jobs.end(claim, { status: 'SUCCESS' }, updatedAt);
    });
  }

  /** The volume stays for its owner to see and delete; it has no disk. */
  async fail({ job, claim }: JobContext, error: VbsError): Promise<void> {
    const updatedAt = this.#deps.clock.now();
    await this.#deps.catalog.transact(claim.projectId, async ({ jobs, volumes }) => {
      await jobs.requireClaim(claim);
      if (job.volumeId !== null) await volumes.update(job.volumeId, { status: 'error', updatedAt });
      await jobs.end(claim, failedOutcome(error), updatedAt);
    });
  }

  async #copy({ job, signal, report }: JobContext, volume: Volume): Promise<DriverVolume> {
    const { catalog, drivers, repository } = this.#deps;
    const { throttles } = repository;
    const driver = drivers.driver(volume.driver);
    const { volumeId, sizeBytes, sourceVolumeId, projectId } = volume;
    const control = { signal, report, throttles };
    if (sourceVolumeId === null) {
      const snapshot = await requireJobSnapshot(catalog, job);
      return await driver.createFromSnapshot(volumeId, sizeBytes, toSnapshotRef(snapshot), control);
    }
    const source = await requireVolume(catalog, projectId, sourceVolumeId);
    const { isAttached } = readSnapshotPayload(job);
    const options = { isAttached: isAttached || source.status === 'in-use', force: false };
    return await driver.createFromVolume(volumeId, sizeBytes, toVolumeRef(source), options, control);
  }
}
