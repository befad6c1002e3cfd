// Backups that stand on the record of another backup (src/engine/README.md, "Several backups on one record"): found and
// taken over under the project's lock, and let go so that the record outlives all but the last of them.
import type { AttemptId, BackupId, JobId, ProjectId } from '../core/ids.ts';
import type { RecordReference } from '../core/ledger.ts';
import { labelName, recordName } from '../core/object-names.ts';
import type { Executor } from './database.ts';

/**
 * Makes sure that the record stays until the caller's transaction has entered one more backup on it: another backup
 * stands on it, or its deletion was called off before a sweep had begun with it, or the catalog does not know it and
 * will not delete it. False: it is being deleted, or was. `isSetBack`: the record was just read, and the epoch keeps
 * every sweep from running, so that one that had begun says nothing.
 */
export async function keepRecord(
  executor: Executor,
  projectId: ProjectId,
  record: RecordReference,
  { isSetBack }: { readonly isSetBack: boolean } = { isSetBack: false },
): Promise<boolean> {
  if ((await findHolder(executor, projectId, record.attemptId)) !== undefined) return true;
  const objectName = recordName(projectId, record.recordBackupId, record.attemptId);
  const inTrash = executor.selectFrom('trash').selectAll().where('project_id', '=', projectId);
  const row = await inTrash.where('object_name', '=', objectName).executeTakeFirst();
  // An attempt that is known and has no backup is one that never became whole.
  if (row === undefined) return !(await isAttemptKnown(executor, record.attemptId));
  if (!isSetBack && (row.is_taken === 1 || row.deleted_at !== null)) return false;
  await executor.deleteFrom('trash').where('trash_id', '=', row.trash_id).execute();
  return true;
}

/** Another backup that keeps the record of this attempt: one that is not on its way out. */
export async function findHolder(
  executor: Executor,
  projectId: ProjectId,
  attemptId: AttemptId,
  exceptId?: BackupId,
): Promise<BackupId | undefined> {
  const row = await executor
    .selectFrom('backups')
    .select('backup_id')
    .where('project_id', '=', projectId)
    .where('attempt_id', '=', attemptId)
    .where('deleted_at', 'is', null)
    .where('is_record_trashed', '=', 0)
    .$if(exceptId !== undefined, (builder) => builder.where('backup_id', '<>', exceptId ?? ''))
    .orderBy('created_at')
    .orderBy('backup_id')
    .executeTakeFirst();
  return row?.backup_id as BackupId | undefined;
}

async function isAttemptKnown(executor: Executor, attemptId: AttemptId): Promise<boolean> {
  const query = executor.selectFrom('attempts').select('attempt_id').where('attempt_id', '=', attemptId);
  return (await query.executeTakeFirst()) !== undefined;
}

/**
 * Names the backup as one that its record's attempt belongs to, unless that already belongs to a backup that stays. An
 * attempt that belongs to none would be forgotten, and its record be taken for somebody else's.
 */
export async function noteAttempt(
  executor: Executor,
  backup: {
    readonly projectId: ProjectId;
    readonly attemptId: AttemptId;
    readonly backupId: BackupId;
    readonly jobId: JobId;
  },
): Promise<void> {
  const { projectId, attemptId, backupId, jobId } = backup;
  if ((await findHolder(executor, projectId, attemptId, backupId)) !== undefined) return;
  await executor
    .insertInto('attempts')
    .values({ attempt_id: attemptId, job_id: jobId, attempt: 0, backup_id: backupId })
    .onConflict((conflict) => conflict.column('attempt_id').doUpdateSet({ backup_id: backupId }))
    .execute();
}

/** Hands the attempt's name over to a backup that goes on standing on its record. */
export async function moveAttempt(executor: Executor, attemptId: AttemptId, heirId: BackupId): Promise<void> {
  await executor.updateTable('attempts').set({ backup_id: heirId }).where('attempt_id', '=', attemptId).execute();
}

/** A backup has the id, or one of another project had it: that tombstone is under another lock, and goes in a day. */
export async function isBackupIdTaken(executor: Executor, projectId: ProjectId, backupId: BackupId): Promise<boolean> {
  const row = await executor
    .selectFrom('backups')
    .select(['project_id', 'deleted_at'])
    .where('backup_id', '=', backupId)
    .executeTakeFirst();
  return row !== undefined && (row.deleted_at === null || row.project_id !== projectId);
}

/** Removes what is left of a backup that is gone, so that its id can be given again: the next one has a label too. */
export async function freeBackupId(executor: Executor, projectId: ProjectId, backupId: BackupId): Promise<void> {
  await executor
    .deleteFrom('trash')
    .where('project_id', '=', projectId)
    .where('object_name', '=', labelName(projectId, backupId))
    .execute();
  await executor.deleteFrom('attempts').where('backup_id', '=', backupId).execute();
  await executor.deleteFrom('backups').where('backup_id', '=', backupId).execute();
}
