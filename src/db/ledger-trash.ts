// The trash: the only way by which anything is deleted from the store. Records go first, and nothing else of a project
// while one of them is still there: a record that exists is whole.

import type { AttemptId, BackupId, JobId, ProjectId } from '../core/ids.ts';
import type { TrashItem } from '../core/ledger.ts';
import { TRASH_SECOND_DELETE_MS } from '../core/limits.ts';
import { packObjectName, recordName } from '../core/object-names.ts';
import { ROW_BATCH_COUNT, splitIntoBatches } from './batches.ts';
import type { Executor } from './database.ts';
import { toLocation } from './ledger-packs.ts';

/** Puts the names of a backup's records (one an attempt) into the trash. Harmless twice. */
export async function trashRecords(
  executor: Executor,
  projectId: ProjectId,
  { backupId, recordBackupId = backupId }: { readonly backupId: BackupId; readonly recordBackupId?: BackupId },
  attemptIds: readonly AttemptId[],
): Promise<void> {
  const names = attemptIds.map((attemptId) => recordName(projectId, recordBackupId, attemptId));
  await insertTrash(executor, projectId, names, backupId);
}

/** Puts names of other objects into the trash. Harmless twice. */
export async function trashObjects(
  executor: Executor,
  projectId: ProjectId,
  objectNames: readonly string[],
): Promise<void> {
  await insertTrash(executor, projectId, objectNames, null);
}

/** Retires those packs of a job that were never made live, and puts their objects into the trash. */
export async function retireWrittenPacks(executor: Executor, projectId: ProjectId, jobId: JobId): Promise<void> {
  const rows = await executor
    .updateTable('packs')
    .set({ state: 'retired' })
    .where('job_id', '=', jobId)
    .where('project_id', '=', projectId)
    .where('state', '=', 'writing')
    .returning(['pack_id', 'kind', 'object_id'])
    .execute();
  const names = rows.map((row) => packObjectName(projectId, toLocation(row)));
  await trashObjects(executor, projectId, names);
}

export async function listTrash(
  executor: Executor,
  projectId: ProjectId,
  limit: number,
  nowAt: number,
): Promise<TrashItem[]> {
  const hasRecords = await isAnyRecordLeft(executor, projectId);
  const rows = await executor
    .selectFrom('trash')
    .select(['trash_id', 'object_name'])
    .where('project_id', '=', projectId)
    .where((query) =>
      query.or([query('deleted_at', 'is', null), query('deleted_at', '<=', nowAt - TRASH_SECOND_DELETE_MS)]),
    )
    .$if(hasRecords, (builder) => builder.where('is_record', '=', 1))
    .orderBy('is_record', 'desc')
    .orderBy('trash_id')
    .limit(limit)
    .execute();
  return rows.map((row) => ({ trashId: row.trash_id, projectId, objectName: row.object_name }));
}

/** Those of the items that are still in the trash; from here on nobody takes them back (ledger-imports.ts). */
export async function takeTrash(
  executor: Executor,
  projectId: ProjectId,
  items: readonly TrashItem[],
): Promise<TrashItem[]> {
  const taken = new Map<number, string>();
  for (const batch of splitIntoBatches(items, ROW_BATCH_COUNT)) {
    const rows = await executor
      .updateTable('trash')
      .set({ is_taken: 1 })
      .where('project_id', '=', projectId)
      .where(
        'trash_id',
        'in',
        batch.map((item) => item.trashId),
      )
      .returning(['trash_id', 'object_name'])
      .execute();
    for (const row of rows) taken.set(row.trash_id, row.object_name);
  }
  // By name too: a database that failed over gives numbers a second time.
  return items.filter((item) => taken.get(item.trashId) === item.objectName);
}

export async function confirmTrash(
  executor: Executor,
  projectId: ProjectId,
  trashIds: readonly number[],
  nowAt: number,
): Promise<void> {
  for (const batch of splitIntoBatches(trashIds, ROW_BATCH_COUNT)) {
    // Second deletions first: a row must not be noted and dropped by one and the same confirmation.
    await executor
      .deleteFrom('trash')
      .where('trash_id', 'in', batch)
      .where('project_id', '=', projectId)
      .where('deleted_at', '<=', nowAt - TRASH_SECOND_DELETE_MS)
      .execute();
    await executor
      .updateTable('trash')
      .set({ deleted_at: nowAt })
      .where('trash_id', 'in', batch)
      .where('project_id', '=', projectId)
      .where('deleted_at', 'is', null)
      .execute();
  }
  await dropSweptTombstones(executor, projectId);
}

export async function listProjectsWithTrash(executor: Executor, nowAt: number): Promise<ProjectId[]> {
  const rows = await executor
    .selectFrom('trash')
    .select('project_id')
    .distinct()
    .where((query) =>
      query.or([query('deleted_at', 'is', null), query('deleted_at', '<=', nowAt - TRASH_SECOND_DELETE_MS)]),
    )
    .orderBy('project_id')
    .execute();
  return rows.map((row) => row.project_id as ProjectId);
}

/** Some record of the backup (or, without one, of the project) is not yet confirmed deleted. */
export async function isAnyRecordLeft(executor: Executor, projectId: ProjectId, backupId?: BackupId): Promise<boolean> {
  const row = await executor
    .selectFrom('trash')
    .select('trash_id')
    .where('project_id', '=', projectId)
    .where('is_record', '=', 1)
    .where('deleted_at', 'is', null)
    .$if(backupId !== undefined, (builder) => builder.where('backup_id', '=', backupId ?? null))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

async function insertTrash(
  executor: Executor,
  projectId: ProjectId,
  objectNames: readonly string[],
  recordOf: BackupId | null,
): Promise<void> {
  for (const batch of splitIntoBatches(objectNames, ROW_BATCH_COUNT)) {
    const rows = batch.map((objectName) => ({
      project_id: projectId,
      object_name: objectName,
      is_record: recordOf === null ? (0 as const) : (1 as const),
      backup_id: recordOf,
      deleted_at: null,
      is_taken: 0 as const,
    }));
    await executor
      .insertInto('trash')
      .values(rows)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}

/** Tombstones are kept while a record of theirs may still turn up in the store, that is until the second deletion. */
async function dropSweptTombstones(executor: Executor, projectId: ProjectId): Promise<void> {
  const swept = executor
    .selectFrom('backups')
    .select('backup_id')
    .where('project_id', '=', projectId)
    .where('deleted_at', 'is not', null)
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('trash').select('trash_id').whereRef('trash.backup_id', '=', 'backups.backup_id'))),
    );
  await executor.deleteFrom('attempts').where('backup_id', 'in', swept).execute();
  await executor.deleteFrom('backups').where('backup_id', 'in', swept).execute();
}
