// The job that makes a backup: snapshot, engine, commit (ARCHITECTURE.md, "The life of a backup").
import type { VbsError } from '../core/errors.ts';
import type { Backup, Job, Volume } from '../core/model.ts';
import type { CatalogRecords } from '../db/catalog.ts';
import { writeBackup } from '../engine/backup-writer.ts';
import type { HookEntry } from '../engine/dedup-index.ts';
import type { JobContext, JobHandler } from '../jobs/job.ts';
import type { VolumeSource } from '../volumes/volume.ts';
import { failedOutcome, type HandlerDeps } from './handler-deps.ts';
import { readBackupPayload } from './job-payloads.ts';
import { requireJobBackup, requireJobVolume } from './subjects.ts';
import { toVolumeRef } from './volume-disk.ts';

/** Hooks entered in one transaction: about 0.2 s. */
const HOOK_BATCH_COUNT = 4096;

export class BackupHandler implements JobHandler {
  readonly #deps: HandlerDeps;

  constructor(deps: HandlerDeps) {
    this.#deps = deps;
  }

  async run(context: JobContext): Promise<void> {
    const { catalog, repository, clock, sweeper, retention } = this.#deps;
    const { job, claim, signal, report } = context;
    const backup = await requireJobBackup(catalog, job);
    const volume = await requireJobVolume(catalog, job);
    await using source = await this.#openSource(context, volume);
    const { commit, hooks } = await writeBackup(repository, {
      claim,
      backupId: backup.backupId,
      volumeId: volume.volumeId,
      isIncremental: backup.isIncrementalRequested,
      source,
      describe: describeBackup(backup, volume),
      report,
      signal,
    });
    const endedAt = clock.now();
    // When the answer to this gets lost, the runner looks up whether the job has ended: it is never assumed.
    await catalog.transact(claim.projectId, async (records) => {
      await records.ledger.commitBackup(claim, commit, endedAt);
      await showPreviousStatus(records, job, endedAt);
      await records.tasks.endByJob(job.jobId, { status: 'EXECUTE_SUCCESS', finishedAt: endedAt });
    });
    await this.#keepHooks(job, hooks);
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
  async #openSource({ job, claim, signal }: JobContext, volume: Volume): Promise<VolumeSource> {
    const { catalog, drivers } = this.#deps;
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

/** Ends `backing-up`, in the transaction that ends the job. */
async function showPreviousStatus({ volumes }: CatalogRecords, job: Job, updatedAt: number): Promise<void> {
  const { previousStatus } = readBackupPayload(job);
  if (previousStatus === null || job.volumeId === null) return;
  const volume = await volumes.get(job.projectId, job.volumeId);
  if (volume?.status === 'backing-up') await volumes.update(volume.volumeId, { status: previousStatus, updatedAt });
}

function describeBackup(backup: Backup, volume: Volume) {
  const { name, description, tags, createdAt } = backup;
  return { name, description, tags, createdAt, volumeName: volume.name, driver: volume.driver };
}
