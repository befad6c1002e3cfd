// The job that makes a backup: snapshot, engine, commit (ARCHITECTURE.md, "The life of a backup").
import type { VbsError } from '../core/errors.ts';
import type { BackupOrigin, JobClaim } from '../core/ledger.ts';
import type { Backup, Job, Snapshot, Volume } from '../core/model.ts';
import type { CatalogRecords } from '../db/catalog.ts';
import { writeBackup } from '../engine/backup-writer.ts';
import type { HookEntry } from '../engine/dedup-index.ts';
import type { JobContext, JobHandler } from '../jobs/job.ts';
import type { VolumeSource } from '../volumes/volume.ts';
import { frozenAtOf } from './backup-creation.ts';
import { sweepBaselines } from './baseline-sweeper.ts';
import { failedOutcome, type HandlerDeps } from './handler-deps.ts';
import { readBackupPayload } from './job-payloads.ts';
import { requireJobBackup, requireJobVolume, requireSnapshot } from './subjects.ts';
import { toSnapshotRef, toVolumeRef } from './volume-disk.ts';

/** Hooks entered in one transaction: about 0.2 s. */
const HOOK_BATCH_COUNT = 4096;

export class BackupHandler implements JobHandler {
  readonly #deps: HandlerDeps;

  constructor(deps: HandlerDeps) {
    this.#deps = deps;
  }

  async run(context: JobContext): Promise<void> {
    const { catalog, repository, clock, sweeper, retention, labels, scrubber, metrics } = this.#deps;
    const { job, claim, signal, report } = context;
    const backup = await requireJobBackup(catalog, job);
    const volume = await requireJobVolume(catalog, job);
    const snapshot = await findBackedUpSnapshot(catalog, job);
    await using source = await this.#openSource(context, volume, snapshot);
    const { commit, hooks, reading } = await writeBackup(repository, {
      claim,
      backupId: backup.backupId,
      volumeId: volume.volumeId,
      isIncremental: backup.isIncrementalRequested,
      parentBefore: snapshot && frozenAtOf(snapshot),
      source,
      describe: describeBackup(backup, volume),
      report,
      signal,
    });
    const endedAt = clock.now();
    // When the answer to this gets lost, the runner looks up whether the job has ended: it is never assumed.
    await catalog.transact(claim.projectId, async (records) => {
      await records.jobs.savePayload(claim, { ...job.payload, result: reading });
      await records.ledger.commitBackup(claim, commit, endedAt);
      await showPreviousStatus(records, job, endedAt);
      await records.tasks.endByJob(job.jobId, { status: 'EXECUTE_SUCCESS', finishedAt: endedAt });
    });
    // Only now: when a commit took place and its answer got lost, the next backup merely reads everything.
    source.keep();
    metrics?.diskRead(reading);
    await sweepBaselines(this.#deps);
    await this.#keepHooks(job, hooks);
    await labels.saveProject(job.projectId);
    // What was changed of it while it was made.
    await labels.saveBackup(job.projectId, backup.backupId);
    // What was damaged elsewhere may have been stored once more.
    await scrubber.noteNewData(claim.projectId);
    // Records of attempts that were cut short went into the trash with the commit.
    if (claim.attempt > 1) await sweeper.trySweepProject(claim.projectId);
    // Create first, delete afterwards (contract 5.5).
    if (backup.policyId !== null) await retention.tryApply(job.projectId, backup.policyId, volume.volumeId);
  }

  /** The backup turns to `error`; what its attempts stored goes into the trash, and out of the store. */
  async fail({ job, claim }: JobContext, error: VbsError): Promise<void> {
    const { catalog, sweeper, clock } = this.#deps;
    const { errorCode, failReason } = failedOutcome(error);
    const endedAt = clock.now();
    await this.#removeSnapshots(job, claim);
    await catalog.transact(claim.projectId, async (records) => {
      const { isCommitted } = await records.ledger.failBackup(claim, { errorCode, failReason }, endedAt);
      if (!isCommitted) await showPreviousStatus(records, job, endedAt);
      await records.tasks.endByJob(
        job.jobId,
        isCommitted
          ? { status: 'EXECUTE_SUCCESS', finishedAt: endedAt }
          : { status: 'EXECUTE_FAIL', failure: { errorCode, message: failReason }, finishedAt: endedAt },
      );
    });
    await sweeper.trySweepProject(claim.projectId);
  }

  /** Snapshots that attempts before this one left behind go first: they may fill the file system. */
  async #openSource(
    { job, claim, signal }: JobContext,
    volume: Volume,
    snapshot: Snapshot | undefined,
  ): Promise<VolumeSource> {
    const { catalog, drivers } = this.#deps;
    if (snapshot !== undefined) {
      return await drivers.driver(snapshot.driver).openSnapshotSource(toSnapshotRef(snapshot), signal);
    }
    const { snapshotId, force, previousStatus } = readBackupPayload(job);
    const driver = drivers.driver(volume.driver);
    const ref = toVolumeRef(volume);
    const { attempt } = claim;
    await driver.removeStaleSnapshots(ref, snapshotId, attempt);
    const isAttached = (previousStatus ?? volume.status) === 'in-use';
    const source = await driver.openSource(ref, { attempt, snapshotId, isAttached, force }, signal);
    try {
      await catalog.jobs.setSnapshot(claim, snapshotId);
      return source;
    } catch (error) {
      await source[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Of all attempts, before the job ends: afterwards nobody looks for them. That of a committed backup stays. */
  async #removeSnapshots(job: Job, claim: JobClaim): Promise<void> {
    const { catalog, drivers, logger } = this.#deps;
    const { backupId, volumeId, jobId } = job;
    if (backupId === null || volumeId === null || (await catalog.ledger.isCommitted(claim, backupId))) return;
    const volume = await catalog.volumes.get(job.projectId, volumeId);
    if (volume === undefined) return;
    const { snapshotId } = readBackupPayload(job);
    try {
      await drivers.driver(volume.driver).removeStaleSnapshots(toVolumeRef(volume), snapshotId, claim.attempt + 1);
    } catch (error) {
      logger.warn({ jobId, err: error }, 'snapshots of a failed backup could not be removed');
    }
  }

  /** Hooks only help later backups to find duplicates, so losing them must not turn a finished one into a failure. */
  async #keepHooks({ jobId, projectId }: Job, hooks: Iterable<HookEntry>): Promise<void> {
    try {
      // In short transactions: those of other jobs wait for each.
      let batch: HookEntry[] = [];
      for (const entry of hooks) {
        batch.push(entry);
        if (batch.length < HOOK_BATCH_COUNT) continue;
        await this.#deps.catalog.ledger.addHooks(projectId, batch);
        batch = [];
      }
      if (batch.length > 0) await this.#deps.catalog.ledger.addHooks(projectId, batch);
    } catch (error) {
      this.#deps.logger.warn({ jobId, err: error }, 'hooks were not kept; later backups may store some data again');
    }
  }
}

/** The user's snapshot that the job backs up; undefined when it backs the volume up. @throws SNAPSHOT_NOT_FOUND */
async function findBackedUpSnapshot(
  records: Pick<CatalogRecords, 'snapshots'>,
  job: Job,
): Promise<Snapshot | undefined> {
  const { isOfSnapshot, snapshotId } = readBackupPayload(job);
  return isOfSnapshot ? await requireSnapshot(records, job.projectId, snapshotId) : undefined;
}

/** Ends `backing-up`, in the transaction that ends the job. */
async function showPreviousStatus({ volumes, snapshots }: CatalogRecords, job: Job, updatedAt: number): Promise<void> {
  const { previousStatus, isOfSnapshot, snapshotId } = readBackupPayload(job);
  const snapshot = isOfSnapshot ? await snapshots.get(job.projectId, snapshotId) : undefined;
  if (snapshot?.status === 'backing-up') await snapshots.update(snapshotId, { status: 'available', updatedAt });
  if (previousStatus === null || job.volumeId === null) return;
  const volume = await volumes.get(job.projectId, job.volumeId);
  if (volume?.status === 'backing-up') await volumes.update(volume.volumeId, { status: previousStatus, updatedAt });
}

/** What is changed from here on comes into the label (label-keeper.ts). */
function describeBackup(backup: Backup, volume: Volume) {
  const { name, description, tags, metadata, createdAt, sourceVolume } = backup;
  const { isBootable: isVolumeBootable, metadata: volumeMetadata } = sourceVolume;
  const volumeSays = { volumeName: volume.name, driver: volume.driver, isVolumeBootable, volumeMetadata };
  return { name, description, tags, metadata, createdAt, ...volumeSays, origin: originOf(backup) };
}

function originOf(backup: Backup): BackupOrigin {
  const { userId, policyId, dialect, container, availabilityZone, snapshotId, isIncrementalRequested } = backup;
  return { userId, policyId, dialect, container, availabilityZone, snapshotId, isIncrementalRequested };
}
