// What of backups is not in their records, or was changed after they were made, and which of it the repository does not
// know yet. The row is made in the transaction of the change, so that no change is forgotten by a crash; the label is
// written after it.
import { type Selectable, sql } from 'kysely';
import type { AttemptId, BackupId, ProjectId } from '../core/ids.ts';
import type { BackupLabel } from '../core/ledger.ts';
import { labelOf } from '../core/object-names.ts';
import { ROW_BATCH_COUNT, splitIntoBatches } from './batches.ts';
import type { Executor } from './database.ts';
import { toTagRows } from './ledger-adoption.ts';
import { toOrigin, toOriginColumns } from './origin-columns.ts';
import type { BackupTable } from './tables.ts';

/** Something that a label holds has changed. */
export async function noteLabelChange(executor: Executor, backupId: BackupId): Promise<void> {
  await executor
    .insertInto('labels')
    .values({ backup_id: backupId, revision: 1, saved_revision: 0 })
    .onConflict((conflict) => conflict.column('backup_id').doUpdateSet({ revision: sql<number>`labels.revision + 1` }))
    .execute();
}

/**
 * After objects were deleted: a label among them may be one that was written while its deletion was under way, its
 * backup's id having been given again. It is written once more.
 */
export async function renewDeletedLabels(
  executor: Executor,
  projectId: ProjectId,
  deletedNames: readonly string[],
): Promise<void> {
  const backupIds = deletedNames.flatMap((name) => labelOf(projectId, name) ?? []);
  for (const batch of splitIntoBatches(backupIds, ROW_BATCH_COUNT)) {
    const rows = await executor
      .selectFrom('backups')
      .select('backup_id')
      .where('backup_id', 'in', batch)
      .where('project_id', '=', projectId)
      .where('is_record_trashed', '=', 0)
      .where('deleted_at', 'is', null)
      .execute();
    // The cast is the brand.
    for (const row of rows) await noteLabelChange(executor, row.backup_id as BackupId);
  }
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
    .select('labels.revision')
    .selectAll('backups')
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
  const { revision, name, description, updated_at: updatedAt } = row;
  const metadata = JSON.parse(row.metadata) as Record<string, string>;
  const own = { backupId, revision, name, description, tags, metadata };
  return { ...own, origin: toOrigin(row), updatedAt, imported: toImported(row) };
}

function toImported({ record_backup_id, attempt_id, created_at }: Selectable<BackupTable>): BackupLabel['imported'] {
  if (record_backup_id === null) return undefined;
  // Casts: rows hold only what was inserted from typed values, and labels are only of what is committed.
  return { recordBackupId: record_backup_id as BackupId, attemptId: attempt_id as AttemptId, createdAt: created_at };
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
  for (const batch of splitIntoBatches(labels, ROW_BATCH_COUNT)) {
    const newer = await findNewer(executor, projectId, batch);
    if (newer.length === 0) continue;
    for (const label of newer) {
      const query = executor.updateTable('backups').set(toColumns(label));
      await query.where('backup_id', '=', label.backupId).execute();
    }
    const backupIds = newer.map(({ backupId }) => backupId);
    await executor.deleteFrom('backup_tags').where('backup_id', 'in', backupIds).execute();
    for (const tags of splitIntoBatches(newer.flatMap(toTagRows), ROW_BATCH_COUNT)) {
      await executor.insertInto('backup_tags').values(tags).execute();
    }
    await executor
      .insertInto('labels')
      .values(newer.map(({ backupId, revision }) => ({ backup_id: backupId, revision, saved_revision: revision })))
      .onConflict((conflict) =>
        conflict.column('backup_id').doUpdateSet(({ ref }) => ({
          revision: ref('excluded.revision'),
          saved_revision: ref('excluded.saved_revision'),
        })),
      )
      .execute();
    count += newer.length;
  }
  return count;
}

/** Labels of backups that exist, each newer than what the catalog has. */
async function findNewer(
  executor: Executor,
  projectId: ProjectId,
  labels: readonly BackupLabel[],
): Promise<BackupLabel[]> {
  const rows = await executor
    .selectFrom('backups')
    .leftJoin('labels', 'labels.backup_id', 'backups.backup_id')
    .select(['backups.backup_id', 'backups.attempt_id', 'labels.revision'])
    .where(
      'backups.backup_id',
      'in',
      labels.map(({ backupId }) => backupId),
    )
    .where('backups.project_id', '=', projectId)
    .where('backups.deleted_at', 'is', null)
    .execute();
  const known = new Map<string, (typeof rows)[number]>(rows.map((row) => [row.backup_id, row]));
  return labels.filter(({ backupId, revision, imported }) => {
    const row = known.get(backupId);
    if (row === undefined || (row.revision ?? 0) >= revision) return false;
    // The label of an earlier backup that had the same id says nothing of this one.
    return imported === undefined || imported.attemptId === row.attempt_id;
  });
}

/** What the label does not say stays as it is. */
function toColumns({ name, description, metadata, origin, updatedAt, imported }: BackupLabel) {
  return {
    ...{ name, description, metadata: JSON.stringify(metadata) },
    ...(origin === undefined ? {} : toOriginColumns(origin)),
    ...(updatedAt === undefined ? {} : { updated_at: updatedAt }),
    ...(imported === undefined ? {} : { record_backup_id: imported.recordBackupId, created_at: imported.createdAt }),
  };
}
