// Prune's side of the catalog (src/engine/README.md): what keeps slots alive, and what is condemned. Callers hold the
// project's lock wherever something is decided. There is no fence: a prune of any age decides by what it finds now.
import type { Selectable } from 'kysely';
import { bitmapEnd, countBitmap, uniteWithUnmarked } from '../core/bitmap.ts';
import type { AttemptId, BackupId, ObjectId, PackId, ProjectId, VolumeId } from '../core/ids.ts';
import type { CondemnOutcome, CondemnRequest, LivePack, PackLocation, RecordRef, RootBackup } from '../core/ledger.ts';
import { packIdOf, packObjectName, recordName } from '../core/object-names.ts';
import { ROW_BATCH_COUNT, splitIntoBatches } from './batches.ts';
import type { Executor } from './database.ts';
import { toLocation, toUse } from './ledger-packs.ts';
import { trashObjects, trashRecords } from './ledger-trash.ts';
import type { PackTable } from './tables.ts';

/**
 * Every committed backup, whatever its status, until its record is confirmed deleted; and whatever is pinned. A record
 * whose deletion was confirmed once is gone for good: what a late write brings back goes with the second deletion.
 */
export async function listRoots(executor: Executor, projectId: ProjectId): Promise<RootBackup[]> {
  const rows = await executor
    .selectFrom('backups')
    .select(['backup_id', 'attempt_id', 'record_sha256', 'volume_id', 'is_record_trashed', 'record_backup_id'])
    .where('project_id', '=', projectId)
    .where('attempt_id', 'is not', null)
    .where('record_sha256', 'is not', null)
    .where(({ and, or, exists, eb, selectFrom }) =>
      or([
        and([
          eb('deleted_at', 'is', null),
          or([
            eb('is_record_trashed', '=', 0),
            exists(
              selectFrom('trash')
                .select('trash.trash_id')
                .whereRef('trash.backup_id', '=', 'backups.backup_id')
                .where('trash.is_record', '=', 1)
                .where('trash.deleted_at', 'is', null),
            ),
          ]),
        ]),
        exists(selectFrom('pins').select('pins.job_id').whereRef('pins.backup_id', '=', 'backups.backup_id')),
      ]),
    )
    .orderBy('backup_id')
    .execute();
  return rows.flatMap((row) =>
    row.attempt_id === null || row.record_sha256 === null
      ? []
      : [
          {
            // Casts: the row holds only what the commit took from typed values.
            backupId: row.backup_id as BackupId,
            recordBackupId: (row.record_backup_id ?? row.backup_id) as BackupId,
            projectId,
            volumeId: row.volume_id as VolumeId,
            attemptId: row.attempt_id as AttemptId,
            recordSha256: row.record_sha256,
            isBeingDeleted: row.is_record_trashed === 1,
          },
        ],
  );
}

export async function listLivePacks(
  executor: Executor,
  projectId: ProjectId,
  afterNumber: number,
  limit: number,
): Promise<LivePack[]> {
  const rows = await executor
    .selectFrom('packs')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('state', '=', 'live')
    .where('pack_number', '>', afterNumber)
    .orderBy('pack_number')
    .limit(limit)
    .execute();
  return await toLivePacks(executor, rows);
}

export async function condemnSlots(
  executor: Executor,
  projectId: ProjectId,
  request: CondemnRequest,
  nowAt: number,
): Promise<CondemnOutcome> {
  const untilAt = await readQuarantine(executor, projectId);
  if (untilAt !== undefined && untilAt > nowAt) {
    return { status: 'quarantined', untilAt };
  }
  const roots = await listRoots(executor, projectId);
  const unmarked = roots.filter((root) => !request.markedAttemptIds.has(root.attemptId));
  if (unmarked.length > 0) {
    return { status: 'roots-unmarked', roots: unmarked };
  }
  const outcome = { status: 'done' as const, condemnedCount: 0, retired: [] as Retired[], passedOver: [] as PackId[] };
  for (const batch of splitIntoBatches(request.packs, ROW_BATCH_COUNT)) {
    const rows = await executor
      .selectFrom('packs')
      .selectAll()
      .where('project_id', '=', projectId)
      .where('state', '=', 'live')
      .where(
        'pack_id',
        'in',
        batch.map((pack) => pack.packId),
      )
      .execute();
    const used = await readUsed(
      executor,
      rows.map((row) => row.pack_id),
    );
    const wishes = new Map<string, (typeof batch)[number]>(batch.map((pack) => [pack.packId, pack]));
    for (const row of rows) {
      const wish = wishes.get(row.pack_id);
      if (wish === undefined) {
        continue;
      }
      if (used.has(row.pack_id)) {
        await passOver(executor, row, wish.closesWhenUsed);
        outcome.passedOver.push(wish.packId);
      } else {
        outcome.condemnedCount += await condemnPack(executor, projectId, row, wish.marked, outcome.retired);
      }
    }
  }
  return outcome;
}

type Retired = { readonly packId: PackId; readonly storedBytes: number };

/** Nothing is condemned in a pack that a job uses: it may have taken a slot that no manifest tells of yet. */
async function passOver(executor: Executor, row: Selectable<PackTable>, closes: boolean): Promise<void> {
  if (closes && row.is_closed === 0) {
    await executor.updateTable('packs').set({ is_closed: 1 }).where('pack_id', '=', row.pack_id).execute();
  }
}

/** Answers how many slots were not condemned before. */
async function condemnPack(
  executor: Executor,
  projectId: ProjectId,
  row: Selectable<PackTable>,
  marked: Uint8Array | null,
  retired: Retired[],
): Promise<number> {
  // A row that contradicts what manifests say of its pack is nothing to decide by.
  if (bitmapEnd(marked) > row.slot_count) {
    return 0;
  }
  const condemned = uniteWithUnmarked(row.condemned, marked, row.slot_count);
  const condemnedCount = countBitmap(condemned);
  const newCount = condemnedCount - countBitmap(row.condemned);
  const isEmpty = condemnedCount === row.slot_count;
  // Closed for this prune's sake alone: what is left of the pack is as good as any. Damage keeps a pack closed.
  const reopens = row.is_closed === 1 && row.bad === null;
  if (isEmpty) {
    await retirePack(executor, projectId, row, condemned);
    retired.push({ packId: row.pack_id as PackId, storedBytes: row.stored_bytes });
  } else if (newCount > 0 || reopens) {
    await executor
      .updateTable('packs')
      .set({ condemned, ...(reopens ? { is_closed: 0 as const } : {}) })
      .where('pack_id', '=', row.pack_id)
      .execute();
  }
  return newCount;
}

/** Its object goes into the trash, and so does what a compaction may be writing. The id never comes back. */
async function retirePack(
  executor: Executor,
  projectId: ProjectId,
  row: Selectable<PackTable>,
  condemned: Uint8Array,
): Promise<void> {
  await executor
    .updateTable('packs')
    .set({ state: 'retired', condemned, next_object_id: null })
    .where('pack_id', '=', row.pack_id)
    .execute();
  await executor.deleteFrom('hooks').where('pack_number', '=', row.pack_number).execute();
  const objectIds = [row.object_id, ...(row.next_object_id === null ? [] : [row.next_object_id])];
  await trashVersions(executor, projectId, row, objectIds);
}

/** Puts stored versions of a pack into the trash. */
export async function trashVersions(
  executor: Executor,
  projectId: ProjectId,
  row: Pick<Selectable<PackTable>, 'pack_id' | 'kind' | 'object_id'>,
  objectIds: readonly string[],
): Promise<void> {
  const names = objectIds.map((objectId) =>
    // The cast: object ids of rows were taken from typed values.
    packObjectName(projectId, { ...toLocation(row), objectId: objectId as ObjectId }),
  );
  await trashObjects(executor, projectId, names);
}

export async function retireSpare(
  executor: Executor,
  projectId: ProjectId,
  { spare, objectId }: { readonly spare: PackLocation; readonly objectId: ObjectId },
  nowAt: number,
): Promise<boolean> {
  const untilAt = await readQuarantine(executor, projectId);
  if (untilAt !== undefined && untilAt > nowAt) {
    return false;
  }
  const row = await executor
    .selectFrom('packs')
    .selectAll()
    .where('pack_id', '=', spare.packId)
    .where('project_id', '=', projectId)
    .where('kind', '=', spare.kind)
    .where('state', '=', 'live')
    .where('object_id', '=', objectId)
    .where('bad', 'is', null)
    .where('verified_at', '>', 0)
    .executeTakeFirst();
  if (row === undefined || row.object_id === spare.objectId || row.next_object_id === spare.objectId) {
    return false;
  }
  await trashVersions(executor, projectId, row, [spare.objectId]);
  return true;
}

export async function readQuarantine(executor: Executor, projectId: ProjectId): Promise<number | undefined> {
  const row = await executor
    .selectFrom('projects')
    .select('condemn_after')
    .where('project_id', '=', projectId)
    .executeTakeFirst();
  return row?.condemn_after ?? undefined;
}

/** Answers the records that the catalog does not know; those that it knows to be dead go into the trash. */
export async function reviewRecords(
  executor: Executor,
  projectId: ProjectId,
  records: readonly RecordRef[],
  { isDryRun }: { readonly isDryRun: boolean },
): Promise<RecordRef[]> {
  const unknown: RecordRef[] = [];
  for (const batch of splitIntoBatches(records, ROW_BATCH_COUNT)) {
    const known = await readKnownAttempts(executor, projectId, batch);
    for (const record of batch) {
      const state = known.get(record.attemptId);
      if (state === 'dead' && !isDryRun) {
        await trashRecords(executor, projectId, record, [record.attemptId]);
      } else if (state === undefined) {
        unknown.push(record);
      }
    }
  }
  return unknown;
}

/**
 * `kept`: committed, in the making, or in the trash. `dead`: of an attempt that did not commit, whose job has ended,
 * and that was in the trash once: it came back by a late write.
 */
async function readKnownAttempts(
  executor: Executor,
  projectId: ProjectId,
  records: readonly RecordRef[],
): Promise<Map<AttemptId, 'kept' | 'dead'>> {
  const known = new Map<AttemptId, 'kept' | 'dead'>();
  const attemptIds = records.map((record) => record.attemptId);
  const attempts = await executor
    .selectFrom('attempts')
    .innerJoin('backups', 'backups.backup_id', 'attempts.backup_id')
    .leftJoin('jobs', 'jobs.job_id', 'attempts.job_id')
    .select(['attempts.attempt_id', 'backups.attempt_id as committed_id', 'backups.deleted_at', 'jobs.status'])
    .where('attempts.attempt_id', 'in', attemptIds)
    .where('backups.project_id', '=', projectId)
    .execute();
  for (const row of attempts) {
    const isOpen = row.status === 'INIT' || row.status === 'RUNNING';
    const isNeeded = row.committed_id === row.attempt_id && row.deleted_at === null;
    known.set(row.attempt_id as AttemptId, isOpen || isNeeded ? 'kept' : 'dead');
  }
  const committed = await executor
    .selectFrom('backups')
    .select('attempt_id')
    .where('project_id', '=', projectId)
    .where('attempt_id', 'in', attemptIds)
    .where('deleted_at', 'is', null)
    .execute();
  for (const row of committed) {
    known.set(row.attempt_id as AttemptId, 'kept');
  }
  const names = new Map(records.map((record) => [recordName(projectId, record.backupId, record.attemptId), record]));
  const trashed = await executor
    .selectFrom('trash')
    .select('object_name')
    .where('project_id', '=', projectId)
    .where('object_name', 'in', [...names.keys()])
    .execute();
  for (const row of trashed) {
    const record = names.get(row.object_name);
    if (record !== undefined) {
      known.set(record.attemptId, 'kept');
    }
  }
  return known;
}

export async function giveUpRecord(executor: Executor, projectId: ProjectId, record: RecordRef): Promise<boolean> {
  const unknown = await reviewRecords(executor, projectId, [record], { isDryRun: true });
  if (unknown.length === 0) {
    return false;
  }
  await trashRecords(executor, projectId, record, [record.attemptId]);
  return true;
}

export async function findUnnamed(
  executor: Executor,
  projectId: ProjectId,
  objectNames: readonly string[],
): Promise<string[]> {
  const unnamed: string[] = [];
  for (const batch of splitIntoBatches(objectNames, ROW_BATCH_COUNT)) {
    const packIds = batch.flatMap((name) => packIdOf(projectId, name) ?? []);
    const packs =
      packIds.length === 0
        ? []
        : await executor
            .selectFrom('packs')
            .select(['pack_id', 'kind', 'object_id', 'next_object_id'])
            .where('pack_id', 'in', packIds)
            .where('project_id', '=', projectId)
            .where('state', '<>', 'retired')
            .execute();
    const trashed = await executor
      .selectFrom('trash')
      .select('object_name')
      .where('project_id', '=', projectId)
      .where('object_name', 'in', batch)
      .execute();
    const named = new Set(trashed.map((row) => row.object_name));
    for (const row of packs) {
      for (const objectId of [row.object_id, row.next_object_id]) {
        named.add(packObjectName(projectId, { ...toLocation(row), objectId: objectId as ObjectId }));
      }
    }
    unnamed.push(...batch.filter((name) => !named.has(name)));
  }
  return unnamed;
}

/** Rows of packs with what uses say of them. */
export async function toLivePacks(executor: Executor, rows: readonly Selectable<PackTable>[]): Promise<LivePack[]> {
  const used = await readUsed(
    executor,
    rows.map((row) => row.pack_id),
  );
  return rows.map((row) => toLivePack(row, used));
}

async function readUsed(executor: Executor, packIds: readonly string[]): Promise<Set<string>> {
  const used = new Set<string>();
  for (const batch of splitIntoBatches(packIds, ROW_BATCH_COUNT)) {
    const rows = await executor.selectFrom('uses').select('pack_id').distinct().where('pack_id', 'in', batch).execute();
    for (const row of rows) {
      used.add(row.pack_id);
    }
  }
  return used;
}

function toLivePack(row: Selectable<PackTable>, used: ReadonlySet<string>): LivePack {
  return {
    ...toUse(row),
    packNumber: row.pack_number,
    slotCount: row.slot_count,
    droppedCount: row.dropped_count,
    storedBytes: row.stored_bytes,
    isInUse: used.has(row.pack_id),
    isClosed: row.is_closed === 1,
  };
}

/** Changes whenever a committed backup or the object of a live pack comes or goes; what is measured from them holds. */
export async function readUsageState(executor: Executor, projectId: ProjectId): Promise<string> {
  const backups = await executor
    .selectFrom('backups')
    .select(({ fn }) => [fn.countAll<number>().as('count'), fn.max('attempt_id').as('last')])
    .where('project_id', '=', projectId)
    .where('attempt_id', 'is not', null)
    .where('is_record_trashed', '=', 0)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  const packs = await executor
    .selectFrom('packs')
    .select(({ fn }) => [
      fn.countAll<number>().as('count'),
      fn.sum<number>('stored_bytes').as('bytes'),
      fn.max('pack_number').as('last'),
    ])
    .where('project_id', '=', projectId)
    .where('state', '=', 'live')
    .executeTakeFirst();
  return JSON.stringify([backups?.count, backups?.last, packs?.count, String(packs?.bytes), packs?.last]);
}
