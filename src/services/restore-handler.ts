// The job that writes a backup over a volume, or fills a new one.
import { isVbsError, VbsError } from '../core/errors.ts';
import type { JobClaim } from '../core/ledger.ts';
import { CHANGE_SAMPLE_COUNT } from '../core/limits.ts';
import type { BackupStatus, Job, Volume, VolumeStatus } from '../core/model.ts';
import { CONFIG_NAME, packIdOf } from '../core/object-names.ts';
import { type HeldBackup, type RestoreReport, restoreBackup } from '../engine/restore-writer.ts';
import type { JobContext, JobHandler } from '../jobs/job.ts';
import type { VolumeTarget } from '../volumes/volume.ts';
import { sweepBaselines } from './baseline-sweeper.ts';
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
    // Before the volume is touched: a deletion that was forced meanwhile may have been faster.
    if ((await catalog.ledger.pinBackup(claim, backupId)) === undefined) {
      throw new VbsError('BACKUP_NOT_FOUND', { backupId });
    }
    const { volume, isFresh } = await this.#prepareVolume(context);
    await using target = await drivers.driver(volume.driver).openTarget(toVolumeRef(volume), { isFresh }, signal);
    const { volumeId } = volume;
    const heldBackup = await this.#findHeldBackup(volume, target, signal);
    await this.#noteWriting(context, volume);
    // Beyond the backup's end a new volume must read zero; an old one keeps what it has there (contract 5.10).
    const { isNewVolume: zeroBeyond, verify } = readRestorePayload(job);
    const request = { claim, backupId, volumeId, target, heldBackup, verify, zeroBeyond, report, signal };
    const result = await restoreBackup(repository, request);
    await this.#finish(claim, volume, result);
    this.#deps.metrics?.restored(result);
  }

  /** Which backup the disk held at its baseline, and what was written to it since. */
  async #findHeldBackup(volume: Volume, target: VolumeTarget, signal: AbortSignal): Promise<HeldBackup | undefined> {
    if (target.readsZero) return undefined;
    const { volumeId } = volume;
    const baseline = await this.#deps.catalog.baselines.get(volumeId);
    if (!baseline) return undefined;
    const options = { sampleCount: CHANGE_SAMPLE_COUNT, random: Math.random };
    const found = await target.findChanges(baseline, options, signal);
    if (found.isKnown) return { backupId: baseline.backupId, changed: found.changed, sample: found.sample };
    this.#deps.logger.info({ volumeId, reason: found.reason }, 'the disk is compared with the backup as a whole');
    return undefined;
  }

  /**
   * A volume that is half written says so; one that no attempt wrote to is what it was. The backup is as good as
   * before, unless it is what could not be read.
   */
  async fail({ job, claim }: JobContext, error: VbsError): Promise<void> {
    const isDamaged = await this.#isDamage(error);
    const updatedAt = this.#deps.clock.now();
    const { catalog } = this.#deps;
    const ownerId = job.backupId === null ? undefined : (await catalog.backups.find(job.backupId))?.projectId;
    await catalog.transactAcross([claim.projectId, ownerId ?? claim.projectId], async (records) => {
      await records.jobs.requireClaim(claim);
      const isOwn = ownerId === claim.projectId;
      const backup =
        isOwn && job.backupId !== null ? await records.backups.get(claim.projectId, job.backupId) : undefined;
      if (backup?.status === 'restoring') {
        const status: BackupStatus = isDamaged ? 'error_restoring' : 'available';
        await records.backups.update(backup.backupId, { status, updatedAt });
      }
      // A damaged backup is no parent for increments until it is repaired, whoever noticed.
      if (isDamaged && job.backupId !== null) {
        await records.backups.markDamaged(job.backupId, { failReason: error.message, updatedAt });
      }
      const packId = isDamaged ? packIdOf(ownerId ?? claim.projectId, String(error.details.object)) : undefined;
      // Or the next backup of the same disk would find its chunks there and be as unreadable as this one.
      if (packId !== undefined) await records.ledger.distrustPack(ownerId ?? claim.projectId, packId);
      const volume = job.volumeId === null ? undefined : await records.volumes.get(job.projectId, job.volumeId);
      if (volume !== undefined) {
        // As it is now: this attempt was taken before it noted that it writes.
        const current = await records.jobs.get(job.projectId, job.jobId);
        const status = planFailedStatus(volume, current ?? job);
        await records.volumes.update(volume.volumeId, { status, isFresh: false, updatedAt });
      }
      await records.jobs.end(claim, failedOutcome(error), updatedAt);
    });
    if (isDamaged) this.#deps.scrubber.noteDamage(ownerId ?? claim.projectId);
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

  /** Durable before the first byte, and for all attempts to come. The baseline ends: we are not the disk's user. */
  async #noteWriting({ job, claim }: JobContext, { volumeId }: Volume): Promise<void> {
    await this.#deps.catalog.transact(claim.projectId, async ({ jobs, baselines }) => {
      await jobs.savePayload(claim, { ...job.payload, isTargetUntouched: false });
      await baselines.drop(volumeId);
    });
    await sweepBaselines(this.#deps);
  }

  async #finish(claim: JobClaim, { volumeId }: Volume, result: RestoreReport): Promise<void> {
    const endedAt = this.#deps.clock.now();
    await this.#deps.catalog.transact(claim.projectId, async ({ jobs, backups, volumes }) => {
      await jobs.requireClaim(claim);
      const job = await jobs.get(claim.projectId, claim.jobId);
      await jobs.savePayload(claim, { ...job?.payload, result });
      // Another project's backup was never `restoring`; it is held by the pin, which ends with the job.
      const backup = job?.backupId ? await backups.get(claim.projectId, job.backupId) : undefined;
      // Not when its deletion was forced meanwhile.
      if (backup?.status === 'restoring') {
        await backups.update(backup.backupId, { status: 'available', updatedAt: endedAt });
      }
      await volumes.update(volumeId, { status: 'available', updatedAt: endedAt });
      await jobs.end(claim, { status: 'SUCCESS' }, endedAt);
    });
  }
}

function planFailedStatus(volume: Volume, job: Job): VolumeStatus {
  const { isNewVolume, isTargetUntouched } = readRestorePayload(job);
  if (volume.source === '') return 'error';
  return isTargetUntouched && !isNewVolume ? 'available' : 'error_restoring';
}
