// Adoption's transactions (src/engine/README.md): what only the store knows gets rows. Callers hold the project's lock.
import type { Selectable } from 'kysely';
import { countCommon, subtractBitmap } from '../core/bitmap.ts';
import { type BackupId, type JobId, newUuid, type ObjectId, type ProjectId, type UserId } from '../core/ids.ts';
import type { AdoptedBackup, AdoptedPack, BackupOrigin, PackLocation, RecordRef } from '../core/ledger.ts';
import { packObjectName, recordName } from '../core/object-names.ts';
import { ROW_BATCH_COUNT, splitIntoBatches } from './batches.ts';
import type { Executor } from './database.ts';
import { endJob } from './job-records.ts';
import { keepRecord, noteAttempt } from './ledger-imports.ts';
import { retireWrittenPacks } from './ledger-trash.ts';
import { toOriginColumns } from './origin-columns.ts';
import type { PackTable } from './tables.ts';

export async function quarantine(executor: Executor, projectId: ProjectId, untilAt: number): Promise<void> {
  await executor
    .updateTable('projects')
    .set({ condemn_after: untilAt })
    .where('project_id', '=', projectId)
    .where((query) => query.or([query('condemn_after', 'is', null), query('condemn_after', '<', untilAt)]))
    .execute();
}

export async function repairPack(
  executor: Executor,
  projectId: ProjectId,
  {
    fromObjectId,
    to,
    fromTrash,
  }: {
    readonly fromObjectId: ObjectId;
    readonly to: PackLocation & { readonly presentCount: number; readonly storedBytes: number };
    readonly fromTrash: boolean;
  },
): Promise<boolean> {
  const objectName = packObjectName(projectId, to);
  // What is in the trash was dead before this catalog was set back, and is deleted at any moment.
  if (!fromTrash && (await isTrash(executor, projectId, objectName))) {
    return false;
  }
  const row = await executor
    .selectFrom('packs')
    .select('slot_count')
    .where('pack_id', '=', to.packId)
    .where('project_id', '=', projectId)
    .where('state', '=', 'live')
    .where('object_id', '=', fromObjectId)
    .executeTakeFirst();
  if (row === undefined) {
    return false;
  }
  const dropped_count = Math.max(0, row.slot_count - to.presentCount);
  const current = { object_id: to.objectId, next_object_id: null, stored_bytes: to.storedBytes };
  await executor
    .updateTable('packs')
    // Nobody has read this object.
    .set({ ...current, dropped_count, verified_at: 0 })
    .where('pack_id', '=', to.packId)
    .execute();
  await takeOutOfTrash(executor, projectId, [objectName]);
  return true;
}

type AdoptionOptions = { readonly isSetBack: boolean; readonly nowAt: number };

export async function adoptBackup(
  executor: Executor,
  projectId: ProjectId,
  backup: AdoptedBackup,
  options: AdoptionOptions,
): Promise<string | undefined> {
  const known = await executor
    .selectFrom('backups')
    .select(['project_id', 'job_id', 'attempt_id', 'deleted_at', 'is_record_trashed'])
    .where('backup_id', '=', backup.backupId)
    .executeTakeFirst();
  const isUnfinished =
    backup.recordBackupId === undefined &&
    known?.project_id === projectId &&
    known.attempt_id === null &&
    known.deleted_at === null &&
    known.is_record_trashed === 0;
  if (known !== undefined && !(isUnfinished && options.isSetBack)) {
    return 'the catalog has a backup of this id, which another attempt wrote or writes';
  }
  const { backupId, attemptId, recordBackupId = backupId } = backup;
  const refusal = await checkPacks(executor, projectId, backup.packs, options);
  if (refusal !== undefined) {
    return refusal;
  }
  const isImported = recordBackupId !== backupId;
  // Last of all that may refuse: it may call off a deletion.
  if (isImported && !(await keepRecord(executor, projectId, { recordBackupId, attemptId }, options))) {
    return 'the record that it stands on is being deleted';
  }
  if (known === undefined) {
    const jobId = newUuid<JobId>();
    await takePacks(executor, projectId, jobId, backup.packs, options);
    await insertBackup(executor, projectId, jobId, backup);
    if (isImported) await noteAttempt(executor, { projectId, attemptId, backupId, jobId });
    return undefined;
  }
  // The cast: `beginBackup` took it from a typed value.
  const jobId = known.job_id as JobId;
  await takePacks(executor, projectId, jobId, backup.packs, options);
  await takeOutOfTrash(executor, projectId, [recordName(projectId, backup.backupId, backup.attemptId)]);
  await executor
    .updateTable('backups')
    .set(committedColumns(backup))
    .where('backup_id', '=', backup.backupId)
    .execute();
  await endWriter(executor, projectId, jobId, options.nowAt);
  return undefined;
}

/** Why the packs cannot be relied on; undefined when they can. */
async function checkPacks(
  executor: Executor,
  projectId: ProjectId,
  packs: readonly AdoptedPack[],
  { isSetBack }: AdoptionOptions,
): Promise<string | undefined> {
  for (const batch of splitIntoBatches(packs, ROW_BATCH_COUNT)) {
    const packIds = batch.map((pack) => pack.packId);
    const rows = await executor.selectFrom('packs').selectAll().where('pack_id', 'in', packIds).execute();
    const byId = new Map(rows.map((row) => [row.pack_id, row]));
    for (const pack of batch) {
      const row = byId.get(pack.packId);
      if (row === undefined) {
        continue;
      }
      const hasObject = row.object_id === (pack.replacedObjectId ?? pack.objectId);
      // Nobody reads what is retired: any version of it that is there will do.
      const isAsSeen = row.state === 'live' ? hasObject : isSetBack && (hasObject || row.state === 'retired');
      if (!isAsSeen || row.project_id !== projectId) {
        return `pack ${pack.packId} is not what it was when it was looked at`;
      }
      if (!isSetBack && countCommon(row.condemned, pack.needed) > 0) {
        return `chunks of pack ${pack.packId} that it needs were condemned`;
      }
    }
  }
  return undefined;
}

/**
 * Packs without a row get one. Where `checkPacks` let them pass, those of writers that are taken for unfinished or
 * failed become live, those that were retired or compacted in vain too, and what is needed is condemned no more.
 */
async function takePacks(
  executor: Executor,
  projectId: ProjectId,
  jobId: JobId,
  packs: readonly AdoptedPack[],
  { isSetBack }: AdoptionOptions,
): Promise<void> {
  for (const batch of splitIntoBatches(packs, ROW_BATCH_COUNT)) {
    const rows = await executor
      .selectFrom('packs')
      .selectAll()
      .where(
        'pack_id',
        'in',
        batch.map((pack) => pack.packId),
      )
      .execute();
    const known = new Map<string, Selectable<PackTable>>(rows.map((row) => [row.pack_id, row]));
    await insertPacks(
      executor,
      projectId,
      jobId,
      batch.filter((pack) => !known.has(pack.packId)),
    );
    if (!isSetBack) {
      continue;
    }
    for (const pack of batch) {
      const row = known.get(pack.packId);
      if (row !== undefined && !isAsNeeded(row, pack)) {
        await executor.updateTable('packs').set(toNeeded(row, pack)).where('pack_id', '=', pack.packId).execute();
      }
    }
    const names = batch.map((pack) => packObjectName(projectId, pack));
    await takeOutOfTrash(executor, projectId, names);
  }
}

function isAsNeeded(row: Selectable<PackTable>, { objectId, needed }: AdoptedPack): boolean {
  return row.state === 'live' && row.object_id === objectId && countCommon(row.condemned, needed) === 0;
}

/** A compaction that is under way has copied what was condemned: it finds its name gone, and loses. */
function toNeeded(row: Selectable<PackTable>, pack: AdoptedPack) {
  const slot_count = Math.max(row.slot_count, pack.slotCount);
  return {
    state: 'live' as const,
    object_id: pack.objectId,
    next_object_id: null,
    condemned: subtractBitmap(row.condemned, pack.needed),
    slot_count,
    stored_bytes: pack.storedBytes,
    dropped_count: slot_count - pack.presentCount,
    // Nobody has read another object.
    verified_at: row.object_id === pack.objectId ? row.verified_at : 0,
  };
}

async function takeOutOfTrash(executor: Executor, projectId: ProjectId, names: readonly string[]): Promise<void> {
  await executor.deleteFrom('trash').where('project_id', '=', projectId).where('object_name', 'in', names).execute();
}

/** The job that wrote the backup has done its work, though this catalog did not know. */
async function endWriter(executor: Executor, projectId: ProjectId, jobId: JobId, nowAt: number): Promise<void> {
  await retireWrittenPacks(executor, projectId, jobId);
  const job = await executor.selectFrom('jobs').select('attempt').where('job_id', '=', jobId).executeTakeFirst();
  if (job !== undefined) {
    await endJob(executor, { jobId, projectId, attempt: job.attempt }, { status: 'SUCCESS' }, nowAt);
  }
}

export async function findUncommitted(
  executor: Executor,
  projectId: ProjectId,
  records: readonly RecordRef[],
): Promise<RecordRef[]> {
  const found = new Set<string>();
  for (const batch of splitIntoBatches(records, ROW_BATCH_COUNT)) {
    const attemptIds = batch.map((record) => record.attemptId);
    const rows = await executor
      .selectFrom('attempts')
      .innerJoin('backups', 'backups.backup_id', 'attempts.backup_id')
      .select('attempts.attempt_id')
      .where('attempts.attempt_id', 'in', attemptIds)
      .where('backups.project_id', '=', projectId)
      .where('backups.attempt_id', 'is', null)
      .where('backups.deleted_at', 'is', null)
      .where('backups.is_record_trashed', '=', 0)
      .execute();
    for (const row of rows) {
      found.add(row.attempt_id);
    }
  }
  return records.filter((record) => found.has(record.attemptId));
}

async function insertPacks(
  executor: Executor,
  projectId: ProjectId,
  jobId: JobId,
  packs: readonly AdoptedPack[],
): Promise<void> {
  for (const batch of splitIntoBatches(packs, ROW_BATCH_COUNT)) {
    const rows = batch.map((pack) => toPackRow(projectId, jobId, pack));
    await executor.insertInto('packs').values(rows).execute();
  }
}

export function toPackRow(projectId: ProjectId, jobId: JobId, pack: Omit<AdoptedPack, 'needed'>) {
  return {
    pack_id: pack.packId,
    project_id: projectId,
    kind: pack.kind,
    state: 'live' as const,
    job_id: jobId,
    object_id: pack.objectId,
    next_object_id: null,
    condemned: null,
    bad: null,
    is_closed: 0 as const,
    slot_count: pack.slotCount,
    stored_bytes: pack.storedBytes,
    dropped_count: pack.slotCount - pack.presentCount,
  };
}

function committedColumns(backup: Omit<AdoptedBackup, 'packs'>) {
  return {
    status: 'available',
    size_bytes: backup.sizeBytes,
    is_incremental: backup.isIncremental ? (1 as const) : (0 as const),
    parent_id: backup.parentId,
    object_count: backup.objectCount,
    stored_bytes: backup.storedBytes,
    consistency: backup.consistency,
    data_timestamp_at: backup.dataTimestampAt,
    fail_reason: null,
    attempt_id: backup.attemptId,
    record_sha256: backup.recordSha256,
    is_damaged: 0 as const,
  };
}

async function insertBackup(
  executor: Executor,
  projectId: ProjectId,
  jobId: JobId,
  backup: AdoptedBackup,
): Promise<void> {
  await executor
    .insertInto('backups')
    .values(toBackupRow(projectId, jobId, backup))
    .execute();
  const tags = toTagRows(backup);
  if (tags.length > 0) {
    await executor.insertInto('backup_tags').values(tags).execute();
  }
}

/** The row of a backup that only the store knew. */
export function toBackupRow(projectId: ProjectId, jobId: JobId, backup: Omit<AdoptedBackup, 'packs'>) {
  return {
    ...committedColumns(backup),
    ...toOriginColumns(backup.origin ?? unknownOrigin(backup)),
    backup_id: backup.backupId,
    project_id: projectId,
    volume_id: backup.volumeId,
    job_id: jobId,
    name: backup.name,
    description: backup.description,
    metadata: JSON.stringify(backup.metadata ?? {}),
    is_record_trashed: 0 as const,
    record_backup_id: backup.recordBackupId ?? null,
    is_volume_bootable: backup.isVolumeBootable === true ? (1 as const) : (0 as const),
    volume_metadata: JSON.stringify(backup.volumeMetadata ?? {}),
    created_at: backup.createdAt,
    updated_at: backup.recordedAt ?? null,
    deleted_at: null,
  };
}

/** Of a record of an earlier version. */
function unknownOrigin({ isIncremental }: Pick<AdoptedBackup, 'isIncremental'>): BackupOrigin {
  return {
    // The cast is the brand: nobody has this id.
    userId: '' as UserId,
    policyId: null,
    dialect: 'vbs',
    container: null,
    availabilityZone: null,
    snapshotId: null,
    isIncrementalRequested: isIncremental,
  };
}

export function toTagRows({ backupId, tags }: Pick<AdoptedBackup, 'backupId' | 'tags'>) {
  return tags.map(({ key, value }, tag_index) => ({ backup_id: backupId, tag_index, key, value }));
}

export async function markUnreadable(
  executor: Executor,
  projectId: ProjectId,
  backupId: BackupId,
  reason: string,
): Promise<void> {
  await executor
    .updateTable('backups')
    .set({ status: 'error', fail_reason: reason, is_damaged: 1 })
    .where('backup_id', '=', backupId)
    .where('project_id', '=', projectId)
    .where('is_record_trashed', '=', 0)
    .where('status', 'not in', ['deleting', 'error_deleting'])
    .execute();
}

/** The catalog's part of taking a project over: above everything that either of the two has said. */
export async function takeOverEpoch(executor: Executor, projectId: ProjectId, storedEpoch: number): Promise<number> {
  const row = await executor
    .selectFrom('projects')
    .select('epoch')
    .where('project_id', '=', projectId)
    .executeTakeFirstOrThrow();
  const epoch = Math.max(row.epoch ?? 0, storedEpoch) + 1;
  await executor.updateTable('projects').set({ epoch }).where('project_id', '=', projectId).execute();
  return epoch;
}

async function isTrash(executor: Executor, projectId: ProjectId, objectName: string): Promise<boolean> {
  const row = await executor
    .selectFrom('trash')
    .select('trash_id')
    .where('project_id', '=', projectId)
    .where('object_name', '=', objectName)
    .executeTakeFirst();
  return row !== undefined;
}
