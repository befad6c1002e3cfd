// Reading of backups by a request: a job of its own pins them in the catalog, so that a deletion waits. It ends with
// the reading, or is ended by a runner when this process dies.
import { VbsError } from '../core/errors.ts';
import { type BackupId, newUuid, type ProjectId } from '../core/ids.ts';
import type { JobClaim } from '../core/ledger.ts';
import type { Backup } from '../core/model.ts';
import type { Clock } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import type { JobOutcome } from '../db/record-types.ts';
import type { JobRunner } from '../jobs/job-runner.ts';
import { requireBackup } from './subjects.ts';

export type ReadingJobDeps = {
  readonly catalog: Catalog;
  readonly runner: Pick<JobRunner, 'newLease' | 'hold'>;
  readonly clock: Clock;
};

export type ReadingJob = {
  readonly backup: Backup;
  readonly claim: JobClaim;
  end(outcome: JobOutcome): Promise<void>;
};

/** Begins the job. The caller ends it. @throws BACKUP_NOT_FOUND, BACKUP_NOT_AVAILABLE */
export async function beginReading(
  { catalog, runner, clock }: ReadingJobDeps,
  projectId: ProjectId,
  backupId: BackupId,
): Promise<ReadingJob> {
  const { backup, claim } = await catalog.transact(projectId, async (records) => {
    const found = await requireReadable(records, projectId, backupId);
    const { volumeId } = found;
    const job = { jobId: newUuid<JobClaim['jobId']>(), projectId, backupId, volumeId, createdAt: clock.now() };
    return { backup: found, claim: await records.jobs.insertTaken({ ...job, kind: 'export' }, runner.newLease()) };
  });
  const release = runner.hold(claim);
  const end = async (outcome: JobOutcome): Promise<void> => {
    release();
    await catalog.jobs.end(claim, outcome, clock.now());
  };
  return { backup, claim, end };
}

/** One that is being restored is only read, and readers do not disturb each other. */
export async function requireReadable(
  records: Pick<CatalogRecords, 'backups'>,
  projectId: ProjectId,
  backupId: BackupId,
): Promise<Backup> {
  const backup = await requireBackup(records, projectId, backupId);
  const { status } = backup;
  const isReadable = status === 'available' || status === 'restoring';
  if (!isReadable) throw new VbsError('BACKUP_NOT_AVAILABLE', { backupId, status });
  return backup;
}
