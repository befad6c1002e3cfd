// Compaction's transactions (src/engine/README.md): the name of the next object is drawn before it has bytes, and made
// current by a compare-and-swap. Whoever loses puts its own name into the trash. Callers hold the project's lock.
import type { Selectable } from 'kysely';
import { subtractBitmap } from '../core/bitmap.ts';
import type { ObjectId, PackId, ProjectId } from '../core/ids.ts';
import type { CompactionResult, CompactionStart } from '../core/ledger.ts';
import type { Executor } from './database.ts';
import { toUse } from './ledger-packs.ts';
import { trashVersions } from './ledger-prune.ts';
import type { PackTable } from './tables.ts';

export async function beginCompaction(
  executor: Executor,
  projectId: ProjectId,
  packId: PackId,
  nextObjectId: ObjectId,
): Promise<CompactionStart | undefined> {
  const row = await readPack(executor, projectId, packId);
  if (row?.state !== 'live') {
    return undefined;
  }
  // One that was cut short, or that still runs and will lose: either way its object is not going to be current.
  if (row.next_object_id !== null) {
    await trashVersions(executor, projectId, row, [row.next_object_id]);
  }
  await setNext(executor, packId, nextObjectId);
  return { ...toUse(row), nextObjectId };
}

export async function finishCompaction(
  executor: Executor,
  projectId: ProjectId,
  result: CompactionResult,
): Promise<boolean> {
  const row = await readPack(executor, projectId, result.packId);
  if (row === undefined) {
    return false;
  }
  // The answer of this very transaction may have been lost and it runs again: the object is current then.
  if (row.state === 'live' && row.object_id === result.nextObjectId) {
    return true;
  }
  const isStill =
    row.state === 'live' && row.object_id === result.objectId && row.next_object_id === result.nextObjectId;
  if (!isStill) {
    await trashVersions(executor, projectId, row, [result.nextObjectId]);
    return false;
  }
  const { nextObjectId, presentCount, storedBytes, healed } = result;
  const droppedCount = row.slot_count - presentCount;
  const bad = subtractBitmap(subtractBitmap(row.bad, healed), row.condemned);
  await executor
    .updateTable('packs')
    .set({ object_id: nextObjectId, next_object_id: null, dropped_count: droppedCount, stored_bytes: storedBytes, bad })
    .where('pack_id', '=', result.packId)
    .execute();
  await trashVersions(executor, projectId, row, [result.objectId]);
  return true;
}

export async function abandonCompaction(
  executor: Executor,
  projectId: ProjectId,
  { packId, nextObjectId }: { readonly packId: PackId; readonly nextObjectId: ObjectId },
): Promise<void> {
  const row = await readPack(executor, projectId, packId);
  // It may have become current after all, its commit being one whose answer was lost.
  if (row === undefined || row.object_id === nextObjectId) {
    return;
  }
  if (row.next_object_id === nextObjectId) {
    await setNext(executor, packId, null);
  }
  await trashVersions(executor, projectId, row, [nextObjectId]);
}

export async function dropCompactions(executor: Executor, projectId: ProjectId): Promise<void> {
  const rows = await executor
    .selectFrom('packs')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('next_object_id', 'is not', null)
    .execute();
  for (const row of rows) {
    if (row.next_object_id !== null) {
      await trashVersions(executor, projectId, row, [row.next_object_id]);
      // The cast is the brand: the row was reserved under a typed id.
      await setNext(executor, row.pack_id as PackId, null);
    }
  }
}

async function setNext(executor: Executor, packId: PackId, nextObjectId: ObjectId | null): Promise<void> {
  await executor.updateTable('packs').set({ next_object_id: nextObjectId }).where('pack_id', '=', packId).execute();
}

async function readPack(
  executor: Executor,
  projectId: ProjectId,
  packId: PackId,
): Promise<Selectable<PackTable> | undefined> {
  return await executor
    .selectFrom('packs')
    .selectAll()
    .where('pack_id', '=', packId)
    .where('project_id', '=', projectId)
    .executeTakeFirst();
}
