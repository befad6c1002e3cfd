// How jobs on backups are entered, inside the transaction of whoever decided on them: a caller, a policy, retention.
import { VbsError } from '../core/errors.ts';
import { type BackupId, newUuid } from '../core/ids.ts';
import type { Backup, Job } from '../core/model.ts';
import type { CatalogRecords } from '../db/catalog.ts';
import type { NewJob } from '../db/record-types.ts';

/** Enters a job; without a backup id, one is drawn for the backup that the job will make. */
export async function queueJob(
  { jobs }: Pick<CatalogRecords, 'jobs'>,
  draft: Omit<NewJob, 'jobId' | 'backupId'> & { readonly backupId?: BackupId },
): Promise<Job & { readonly backupId: BackupId }> {
  const jobId = newUuid<Job['jobId']>();
  const backupId = draft.backupId ?? newUuid<BackupId>();
  await jobs.insert({ ...draft, jobId, backupId });
  const job = await jobs.get(draft.projectId, jobId);
  // It was inserted in this very transaction.
  if (job === undefined) throw new VbsError('JOB_NOT_QUEUED');
  return { ...job, backupId };
}

/** Marks the backup `deleting` and enters the job that removes it. Whether it may go has been checked. */
export async function enterDeletion(
  records: Pick<CatalogRecords, 'jobs' | 'backups'>,
  backup: Backup,
  createdAt: number,
  requestId?: string,
): Promise<Job> {
  const { projectId, backupId, volumeId, snapshotId } = backup;
  const subject = { projectId, backupId, volumeId, snapshotId };
  const job = await queueJob(records, { ...subject, kind: 'delete-backup', requestId, createdAt });
  await records.backups.update(backupId, { status: 'deleting', updatedAt: createdAt });
  return job;
}
