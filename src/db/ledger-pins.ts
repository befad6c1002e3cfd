// Pins: a job that reads a backup keeps it from being deleted.
import type { Selectable } from 'kysely';
import type { AttemptId, BackupId, JobId, ProjectId } from '../core/ids.ts';
import type { CommittedBackup, JobClaim } from '../core/ledger.ts';
import type { Executor } from './database.ts';
import type { BackupTable } from './tables.ts';

/** The project that owns a backup; undefined when there is none of this id. */
export async function findOwner(executor: Executor, backupId: BackupId): Promise<ProjectId | undefined> {
  const row = await executor
    .selectFrom('backups')
    .select('project_id')
    .where('backup_id', '=', backupId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  return row?.project_id as ProjectId | undefined;
}

/** Undefined when the backup is not restorable, or on its way out and not pinned by this job before. */
export async function pinBackup(
  executor: Executor,
  claim: JobClaim,
  backupId: BackupId,
): Promise<CommittedBackup | undefined> {
  const row = await executor
    .selectFrom('backups')
    .selectAll()
    .where('backup_id', '=', backupId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  const backup = row === undefined ? undefined : toCommitted(row);
  if (row === undefined || backup === undefined) {
    return undefined;
  }
  if (await isPinnedBy(executor, claim.jobId, backupId)) {
    return backup;
  }
  if (row.status === 'deleting' || row.status === 'error_deleting') {
    return undefined;
  }
  await insertPin(executor, claim, backupId);
  return backup;
}

export async function insertPin(
  executor: Executor,
  { jobId }: Pick<JobClaim, 'jobId'>,
  backupId: BackupId,
): Promise<void> {
  await executor.insertInto('pins').values({ job_id: jobId, backup_id: backupId }).execute();
}

export async function isPinnedBy(executor: Executor, jobId: JobId, backupId: BackupId): Promise<boolean> {
  const row = await executor
    .selectFrom('pins')
    .select('job_id')
    .where('job_id', '=', jobId)
    .where('backup_id', '=', backupId)
    .executeTakeFirst();
  return row !== undefined;
}

export async function isPinnedByOthers(executor: Executor, jobId: JobId, backupId: BackupId): Promise<boolean> {
  const row = await executor
    .selectFrom('pins')
    .select('job_id')
    .where('backup_id', '=', backupId)
    .where('job_id', '<>', jobId)
    .executeTakeFirst();
  return row !== undefined;
}

export async function releasePins(executor: Executor, claim: JobClaim): Promise<void> {
  await executor.deleteFrom('pins').where('job_id', '=', claim.jobId).execute();
}

/** Undefined unless the row names a record that is there to stay. */
export function toCommitted(row: Selectable<BackupTable>): CommittedBackup | undefined {
  if (row.attempt_id === null || row.record_sha256 === null || row.is_record_trashed === 1) {
    return undefined;
  }
  // Casts: the row holds only what the commit took from typed values.
  return {
    backupId: row.backup_id as BackupId,
    recordBackupId: (row.record_backup_id ?? row.backup_id) as BackupId,
    projectId: row.project_id as ProjectId,
    attemptId: row.attempt_id as AttemptId,
    recordSha256: row.record_sha256,
  };
}
