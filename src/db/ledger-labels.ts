// What was changed of backups after they were made, and which of it the repository does not know yet. The row is made
// in the transaction of the change, so that no change is forgotten by a crash; the label is written after it.
import { sql } from 'kysely';
import type { BackupId, ProjectId } from '../core/ids.ts';
import type { BackupLabel } from '../core/ledger.ts';
import type { Executor } from './database.ts';

/** Something that a label holds has changed. */
export async function noteLabelChange(executor: Executor, backupId: BackupId): Promise<void> {
  await executor
    .insertInto('labels')
    .values({ backup_id: backupId, revision: 1, saved_revision: 0 })
    .onConflict((conflict) => conflict.column('backup_id').doUpdateSet({ revision: sql<number>`labels.revision + 1` }))
    .execute();
}

function selectUnsaved(executor: Executor) {
  return executor
    .selectFrom('labels')
    .innerJoin('backups', 'backups.backup_id', 'labels.backup_id')
    .whereRef('labels.saved_revision', '<', 'labels.revision')
    .where('backups.attempt_id', 'is not', null)
    .where('backups.is_record_trashed', '=', 0)
    .where('backups.deleted_at', 'is', null);
}

export async function listUnsavedLabels(
  executor: Executor,
  limit: number,
): Promise<{ projectId: ProjectId; backupId: BackupId }[]> {
  const rows = await selectUnsaved(executor)
    .select(['backups.project_id', 'backups.backup_id'])
    .orderBy('labels.backup_id')
    .limit(limit)
    .execute();
  return rows.map((row) => ({ projectId: row.project_id as ProjectId, backupId: row.backup_id as BackupId }));
}

/** Row and tags must be of one moment: callers hold the project's lock. */
export async function readUnsavedLabel(
  executor: Executor,
  projectId: ProjectId,
  backupId: BackupId,
): Promise<BackupLabel | undefined> {
  const row = await selectUnsaved(executor)
    .select(['labels.revision', 'backups.name', 'backups.description', 'backups.metadata'])
    .where('backups.project_id', '=', projectId)
    .where('backups.backup_id', '=', backupId)
    .executeTakeFirst();
  if (row === undefined) {
    return undefined;
  }
  const tags = await executor
    .selectFrom('backup_tags')
    .select(['key', 'value'])
    .where('backup_id', '=', backupId)
    .orderBy('tag_index')
    .execute();
  const { revision, name, description } = row;
  const metadata = JSON.parse(row.metadata) as Record<string, string>;
  return { backupId, revision, name, description, tags, metadata };
}

export async function confirmLabel(executor: Executor, backupId: BackupId, revision: number): Promise<void> {
  await executor
    .updateTable('labels')
    .set({ saved_revision: revision })
    .where('backup_id', '=', backupId)
    .where('saved_revision', '<', revision)
    .execute();
}

export async function applyLabels(
  executor: Executor,
  projectId: ProjectId,
  labels: readonly BackupLabel[],
): Promise<number> {
  let count = 0;
  for (const label of labels) {
    const { backupId, revision, name, description, metadata } = label;
    const backup = await executor
      .selectFrom('backups')
      .leftJoin('labels', 'labels.backup_id', 'backups.backup_id')
      .select('labels.revision')
      .where('backups.backup_id', '=', backupId)
      .where('backups.project_id', '=', projectId)
      .where('backups.deleted_at', 'is', null)
      .executeTakeFirst();
    if (backup === undefined || (backup.revision ?? 0) >= revision) {
      continue;
    }
    const columns = { name, description, metadata: JSON.stringify(metadata) };
    await executor.updateTable('backups').set(columns).where('backup_id', '=', backupId).execute();
    await executor.deleteFrom('backup_tags').where('backup_id', '=', backupId).execute();
    const tags = label.tags.map(({ key, value }, tag_index) => ({ backup_id: backupId, tag_index, key, value }));
    if (tags.length > 0) {
      await executor.insertInto('backup_tags').values(tags).execute();
    }
    await executor
      .insertInto('labels')
      .values({ backup_id: backupId, revision, saved_revision: revision })
      .onConflict((conflict) => conflict.column('backup_id').doUpdateSet({ revision, saved_revision: revision }))
      .execute();
    count += 1;
  }
  return count;
}
