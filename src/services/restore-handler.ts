// The job that writes a backup over a volume, or fills a new one.
import type { VbsError } from '../core/errors.ts';
import type { JobClaim } from '../core/ledger.ts';
import type { BackupStatus, Volume, VolumeStatus } from '../core/model.ts';
import { restoreBackup } from '../engine/restore-writer.ts';
import type { JobContext, JobHandler } from '../jobs/job.ts';
import { failedOutcome, type HandlerDeps } from './handler-deps.ts';
import { readRestorePayload } from './job-payloads.ts';
import { requireJobVolume, requireRestoredBackup } from './subjects.ts';
import { makeDisk, toVolumeRef } from './volume-disk.ts';

export class RestoreHandler implements JobHandler {
  readonly #deps: HandlerDeps;

  constructor(deps: HandlerDeps) {
    this.#deps = deps;
  }

  async run(context: JobContext): Promise<void> {
    const { catalog, drivers, repository } = this.#deps;
    const { job, claim, signal, report } = context;
    const { backupId } = await requireRestoredBackup(catalog, job);
    const { volume, isFresh } = await this.#prepareVolume(context);
    await using target = await drivers.driver(volume.driver).openTarget(toVolumeRef(volume), { isFresh }, signal);
    // Beyond the backup's end a new volume must read zero; an old one keeps what it has there (contract 5.10).
    const zeroBeyond = readRestorePayload(job).isNewVolume;
    await restoreBackup(repository, { claim, backupId, target, zeroBeyond, report, signal });
    await this.#finish(claim, volume);
  }

  /** The volume is half written: it says so. The backup is as good as before, unless it is what could not be read. */
  async fail({ job, claim }: JobContext, error: VbsError): Promise<void> {
    const isDamaged = error.code === 'DATA_CORRUPT' || error.code === 'OBJECT_NOT_FOUND';
    const updatedAt = this.#deps.clock.now();
    const { catalog } = this.#deps;
    const ownerId = job.backupId === null ? undefined : (await catalog.backups.find(job.backupId))?.projectId;
    await catalog.transactAcross([claim.projectId, ownerId ?? claim.projectId], async (records) => {
      await records.jobs.requireClaim(claim);
      if (job.backupId !== null) {
        // A damaged backup is no parent for increments until it is repaired, whoever noticed.
        const damage = isDamaged ? { isDamaged, failReason: error.message, updatedAt } : {};
        const status: BackupStatus = isDamaged ? 'error_restoring' : 'available';
        const own = ownerId === claim.projectId ? { status, updatedAt } : {};
        await records.backups.update(job.backupId, { ...damage, ...own });
      }
      const volume = job.volumeId === null ? undefined : await records.volumes.get(job.projectId, job.volumeId);
      if (volume !== undefined) {
        const status: VolumeStatus = volume.source === '' ? 'error' : 'error_restoring';
        await records.volumes.update(volume.volumeId, { status, isFresh: false, updatedAt });
      }
      await records.jobs.end(claim, failedOutcome(error), updatedAt);
    });
  }

  /** Makes the disk of a new volume; from then on the volume counts as written to, whatever happens. */
  async #prepareVolume({ job, claim, signal }: JobContext): Promise<{ volume: Volume; isFresh: boolean }> {
    const { catalog, drivers, clock } = this.#deps;
    const volume = await requireJobVolume(catalog, job);
    const isWithoutDisk = volume.source === '';
    const made = isWithoutDisk ? await makeDisk(drivers.driver(volume.driver), volume, signal) : undefined;
    const status: VolumeStatus = 'restoring-backup';
    const changes = { ...made, status, isFresh: false, updatedAt: clock.now() };
    await catalog.transact(claim.projectId, async ({ jobs, volumes }) => {
      await jobs.requireClaim(claim);
      await volumes.update(volume.volumeId, changes);
    });
    // Only a disk that this very attempt made is sure to read zero: anyone may have written to an older one.
    return { volume: { ...volume, ...changes }, isFresh: isWithoutDisk };
  }

  async #finish(claim: JobClaim, { volumeId }: Volume): Promise<void> {
    const endedAt = this.#deps.clock.now();
    await this.#deps.catalog.transact(claim.projectId, async ({ jobs, backups, volumes }) => {
      await jobs.requireClaim(claim);
      const job = await jobs.get(claim.projectId, claim.jobId);
      // Another project's backup was never `restoring`; it is held by the pin, which ends with the job.
      const own = job?.backupId ? await backups.get(claim.projectId, job.backupId) : undefined;
      if (own !== undefined) await backups.update(own.backupId, { status: 'available', updatedAt: endedAt });
      await volumes.update(volumeId, { status: 'available', updatedAt: endedAt });
      await jobs.end(claim, { status: 'SUCCESS' }, endedAt);
    });
  }
}
