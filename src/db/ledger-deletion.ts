// Deleting a backup (src/engine/README.md): the record goes through the trash, and only when its deletion is confirmed
// does the backup cease to be a root. Callers hold the project's lock and have checked the fence.
import type { AttemptId, BackupId, JobId } from '../core/ids.ts';
import type { JobClaim } from '../core/ledger.ts';
import { labelName } from '../core/object-names.ts';
import { trashBaselines } from './baseline-records.ts';
import type { Executor } from './database.ts';
import { endJob } from './job-records.ts';
import { discardWriter, readAttempts } from './ledger-backups.ts';
import { findHolder, moveAttempt } from './ledger-imports.ts';
import { isPinnedByOthers } from './ledger-pins.ts';
import { isAnyRecordLeft, trashObjects, trashRecords } from './ledger-trash.ts';
import type { DeletionState } from './record-types.ts';

export async function takeForDeletion(executor: Executor, claim: JobClaim, backupId: BackupId): Promise<DeletionState> {
  const backup = await readBackup(executor, claim, backupId);
  if (backup === undefined) {
    return 'ready';
  }
  const isCommitted = backup.attempt_id !== null;
  if (backup.is_record_trashed === 0) {
    const isBusy = isCommitted
      ? await isPinnedByOthers(executor, claim.jobId, backupId)
      : await isWriterRunning(executor, backup.job_id);
    if (isBusy) {
      return 'pinned';
    }
    if (!isCommitted) {
      await discardWriter(executor, claim, backup.job_id as JobId);
    }
    const { attempt_id: committedId, record_backup_id } = backup;
    // The cast: the row took it from a typed value.
    const recordBackupId = (record_backup_id ?? backupId) as BackupId;
    await trashBackup(executor, claim, { backupId, recordBackupId, committedId });
  }
  const mustWait = isCommitted && (await isAnyRecordLeft(executor, claim.projectId, backupId));
  return mustWait ? 'trashed' : 'ready';
}

export async function finishDeletion(
  executor: Executor,
  claim: JobClaim,
  backupId: BackupId,
  endedAt: number,
): Promise<boolean> {
  const backup = await readBackup(executor, claim, backupId);
  if (backup !== undefined) {
    const isRoot = backup.attempt_id !== null && (await isAnyRecordLeft(executor, claim.projectId, backupId));
    if (backup.is_record_trashed === 0 || isRoot) {
      return false;
    }
    await trashBaselines(executor, { backupId });
    await executor.deleteFrom('backup_tags').where('backup_id', '=', backupId).execute();
    await executor.deleteFrom('sharings').where('backup_id', '=', backupId).execute();
    await executor
      .updateTable('backups')
      .set({ deleted_at: endedAt, updated_at: endedAt })
      .where('backup_id', '=', backupId)
      .execute();
  }
  await endJob(executor, claim, { status: 'SUCCESS' }, endedAt);
  return true;
}

async function readBackup(executor: Executor, claim: JobClaim, backupId: BackupId) {
  return await executor
    .selectFrom('backups')
    .select(['attempt_id', 'is_record_trashed', 'job_id', 'record_backup_id'])
    .where('backup_id', '=', backupId)
    .where('project_id', '=', claim.projectId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
}

type TrashedBackup = {
  readonly backupId: BackupId;
  readonly recordBackupId: BackupId;
  readonly committedId: string | null;
};

/** From here on nobody can pin the backup, and the sweep deletes its record before anything else of the project. */
async function trashBackup(
  executor: Executor,
  claim: JobClaim,
  { backupId, recordBackupId, committedId }: TrashedBackup,
): Promise<void> {
  const { projectId } = claim;
  const attemptIds = new Set(await readAttempts(executor, backupId));
  // The cast: the commit took it from a typed value.
  const ownId = committedId as AttemptId | null;
  const heirId = ownId === null ? undefined : await findHolder(executor, projectId, ownId, backupId);
  if (ownId !== null && heirId !== undefined) {
    // Another backup stands on the same record, which goes with the last of them only.
    attemptIds.delete(ownId);
    await moveAttempt(executor, ownId, heirId);
  } else if (ownId !== null) {
    attemptIds.add(ownId);
  }
  await trashRecords(executor, projectId, { backupId, recordBackupId }, [...attemptIds]);
  await trashObjects(executor, projectId, [labelName(projectId, backupId)]);
  await executor.updateTable('backups').set({ is_record_trashed: 1 }).where('backup_id', '=', backupId).execute();
}

async function isWriterRunning(executor: Executor, jobId: string): Promise<boolean> {
  const row = await executor
    .selectFrom('jobs')
    .select('job_id')
    .where('job_id', '=', jobId)
    .where('status', 'in', ['INIT', 'RUNNING'])
    .executeTakeFirst();
  return row !== undefined;
}
