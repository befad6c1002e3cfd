// What a rebuild enters into an empty catalog (src/engine/README.md, "Rebuilding the catalog"), in large statements.
// All of it may run again: what is there already stays as it is.
import type { AttemptId, BackupId, JobId, ProjectId } from '../core/ids.ts';
import type { AdoptedBackup, AdoptedPack, RecordRef, WrappedKeyRow } from '../core/ledger.ts';
import { ROW_BATCH_COUNT, splitIntoBatches } from './batches.ts';
import type { Executor } from './database.ts';
import { toBackupRow, toPackRow, toTagRows } from './ledger-adoption.ts';
import { saveKey } from './ledger-keys.ts';

export async function enterKeys(executor: Executor, rows: readonly WrappedKeyRow[]): Promise<void> {
  // One by one: each takes the next number, and the order says which key is for writing.
  for (const row of rows) {
    await saveKey(executor, row);
  }
}

export async function enterPacks(
  executor: Executor,
  projectId: ProjectId,
  jobId: JobId,
  packs: readonly Omit<AdoptedPack, 'needed'>[],
): Promise<void> {
  for (const batch of splitIntoBatches(packs, ROW_BATCH_COUNT)) {
    await executor
      .insertInto('packs')
      .values(batch.map((pack) => toPackRow(projectId, jobId, pack)))
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}

export async function enterBackups(
  executor: Executor,
  projectId: ProjectId,
  jobId: JobId,
  backups: readonly Omit<AdoptedBackup, 'packs'>[],
): Promise<AttemptId[]> {
  const entered: AttemptId[] = [];
  for (const batch of splitIntoBatches(backups, ROW_BATCH_COUNT)) {
    await executor
      .insertInto('backups')
      .values(batch.map((backup) => toBackupRow(projectId, jobId, backup)))
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    const rows = await executor
      .selectFrom('backups')
      .select('attempt_id')
      .where('project_id', '=', projectId)
      .where(
        'attempt_id',
        'in',
        batch.map((backup) => backup.attemptId),
      )
      .execute();
    const found = new Set(rows.map((row) => row.attempt_id));
    const known = batch.filter((backup) => found.has(backup.attemptId));
    entered.push(...known.map((backup) => backup.attemptId));
    for (const tags of splitIntoBatches(known.flatMap(toTagRows), ROW_BATCH_COUNT)) {
      await executor
        .insertInto('backup_tags')
        .values(tags)
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    }
  }
  return entered;
}

export async function listEntered(
  executor: Executor,
  projectId: ProjectId,
): Promise<(RecordRef & { readonly parentId: BackupId | null; readonly recordSha256: Uint8Array })[]> {
  const rows = await executor
    .selectFrom('backups')
    .select(['backup_id', 'attempt_id', 'parent_id', 'record_sha256'])
    .where('project_id', '=', projectId)
    .execute();
  // Casts: they were entered from typed values.
  return rows.flatMap(({ backup_id, attempt_id, parent_id, record_sha256 }) =>
    attempt_id === null || record_sha256 === null
      ? []
      : [
          {
            backupId: backup_id as BackupId,
            attemptId: attempt_id as AttemptId,
            parentId: parent_id as BackupId | null,
            recordSha256: record_sha256,
          },
        ],
  );
}
