// The job that writes a backup over a volume, or fills a new one.
import { isVbsError, type VbsError } from '../core/errors.ts';
import type { JobClaim } from '../core/ledger.ts';
import type { BackupStatus, Volume, VolumeStatus } from '../core/model.ts';
import { CONFIG_NAME, packIdOf } from '../core/object-names.ts';
import { restoreBackup } from '../engine/restore-writer.ts';
import type { JobContext, JobHandler } from '../jobs/job.ts';
import { failedOutcome, type HandlerDeps } from './handler-deps.ts';
import { readRestorePayload } from './job-payloads.ts';
import { requireJobBackup, requireJobVolume } from './subjects.ts';
import { makeDisk, toVolumeRef } from './volume-disk.ts';

export class RestoreHandler implements JobHandler {
  readonly #deps: HandlerDeps;

  constructor(deps: HandlerDeps) {
    this.#deps = deps;
  }

  async run(context: JobContext): Promise<void> {
    const { catalog, drivers, repository } = this.#deps;
    const { job, claim, signal, report } = context;
    const { backupId } = await requireJobBackup(catalog, job);
    const { volume, isFresh } = await this.#prepareVolume(context);
    await using target = await drivers.driver(volume.driver).openTarget(toVolumeRef(volume), { isFresh }, signal);
    // Beyond the backup's end a new volume must read zero; an old one keeps what it has there (contract 5.10).
    const zeroBeyond = readRestorePayload(job).isNewVolume;
    await restoreBackup(repository, { claim, backupId, target, zeroBeyond, report, signal });
    await this.#finish(claim, volume);
  }

  /** The volume is half written: it says so. The backup is as good as before, unless it is what could not be read. */
  async fail({ job, claim }: JobContext, error: VbsError): Promise<void> {
    const isDamaged = await this.#isDamage(error);
    const updatedAt = this.#deps.clock.now();
    await this.#deps.catalog.transact(claim.projectId, async (records) => {
      await records.jobs.requireClaim(claim);
      if (job.backupId !== null) {
        const status: BackupStatus = isDamaged ? 'error_restoring' : 'available';
        // A damaged backup is no parent for increments until it is repaired.
        const damage = isDamaged ? { isDamaged, failReason: error.message } : {};
        await records.backups.update(job.backupId, { status, ...damage, updatedAt });
      }
      const packId = isDamaged ? packIdOf(job.projectId, String(error.details.object)) : undefined;
      // Or the next backup of the same disk would find its chunks there and be as unreadable as this one.
      if (packId !== undefined) await records.ledger.distrustPack(job.projectId, packId);
      const volume = job.volumeId === null ? undefined : await records.volumes.get(job.projectId, job.volumeId);
      if (volume !== undefined) {
        const status: VolumeStatus = volume.source === '' ? 'error' : 'error_restoring';
        await records.volumes.update(volume.volumeId, { status, isFresh: false, updatedAt });
      }
      await records.jobs.end(claim, failedOutcome(error), updatedAt);
    });
  }

  /** A store that is not mounted lacks every object: what it holds is as good as before. */
  async #isDamage(error: VbsError): Promise<boolean> {
    if (!isVbsError(error, 'OBJECT_NOT_FOUND')) return isVbsError(error, 'DATA_CORRUPT');
    const looked = this.#deps.repository.store.head(CONFIG_NAME);
    return await looked.then(
      (config) => config !== undefined,
      () => false, // It cannot even be looked at; the restore's own error is the one to tell.
    );
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
      if (job?.backupId) await backups.update(job.backupId, { status: 'available', updatedAt: endedAt });
      await volumes.update(volumeId, { status: 'available', updatedAt: endedAt });
      await jobs.end(claim, { status: 'SUCCESS' }, endedAt);
    });
  }
}
