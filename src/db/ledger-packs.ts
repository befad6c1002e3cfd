// Rows of packs: reserved before their bytes, used before they are deduplicated against, located before they are read.
import type { Selectable } from 'kysely';
import type { ObjectId, PackId, ProjectId } from '../core/ids.ts';
import type { JobClaim, PackLocation, PackUse } from '../core/ledger.ts';
import { PACK_SLOT_COUNT_MAX } from '../core/limits.ts';
import { ROW_BATCH_COUNT, splitIntoBatches } from './batches.ts';
import type { Executor } from './database.ts';
import type { PackTable } from './tables.ts';

export async function reservePacks(executor: Executor, claim: JobClaim, packs: readonly PackLocation[]): Promise<void> {
  for (const batch of splitIntoBatches(packs, ROW_BATCH_COUNT)) {
    const rows = batch.map((pack) => ({
      pack_id: pack.packId,
      project_id: claim.projectId,
      kind: pack.kind,
      state: 'writing' as const,
      job_id: claim.jobId,
      object_id: pack.objectId,
      next_object_id: null,
      condemned: null,
      bad: null,
      is_closed: 0 as const,
      slot_count: 0,
      stored_bytes: 0,
    }));
    await executor.insertInto('packs').values(rows).execute();
  }
}

/** In the order in which they were reserved. */
export async function listOwnPacks(executor: Executor, claim: JobClaim): Promise<PackLocation[]> {
  const rows = await executor
    .selectFrom('packs')
    .select(['pack_id', 'kind', 'object_id'])
    .where('job_id', '=', claim.jobId)
    .where('state', '=', 'writing')
    .orderBy('pack_number')
    .execute();
  return rows.map(toLocation);
}

export async function usePack(executor: Executor, claim: JobClaim, packId: PackId): Promise<PackUse | undefined> {
  const row = await executor
    .selectFrom('packs')
    .selectAll()
    .where('pack_id', '=', packId)
    .where('project_id', '=', claim.projectId)
    .where('state', '=', 'live')
    .executeTakeFirst();
  if (row === undefined) {
    return undefined;
  }
  const known = await executor
    .selectFrom('uses')
    .select('pack_id')
    .where('job_id', '=', claim.jobId)
    .where('pack_id', '=', packId)
    .executeTakeFirst();
  if (known === undefined) {
    if (row.is_closed === 1) {
      return undefined;
    }
    await executor.insertInto('uses').values({ job_id: claim.jobId, pack_id: packId }).execute();
  }
  return toUse(row);
}

/** Whoever found damage in a pack saw a part of it: all slots count as bad, and what is met again is stored again. */
export async function distrustPack(executor: Executor, projectId: ProjectId, packId: PackId): Promise<void> {
  const bad = Buffer.alloc(Math.ceil(PACK_SLOT_COUNT_MAX / 8), 0xff);
  await executor
    .updateTable('packs')
    // The scrub looks at it next, and finds out which slots really are bad.
    .set({ bad, is_closed: 1, verified_at: 0 })
    .where('pack_id', '=', packId)
    .where('project_id', '=', projectId)
    .execute();
}

export async function locatePacks(
  executor: Executor,
  projectId: ProjectId,
  packIds: readonly PackId[],
): Promise<PackUse[]> {
  const found: PackUse[] = [];
  for (const batch of splitIntoBatches(packIds, ROW_BATCH_COUNT)) {
    const rows = await executor
      .selectFrom('packs')
      .selectAll()
      .where('pack_id', 'in', batch)
      .where('project_id', '=', projectId)
      .where('state', '<>', 'retired')
      .execute();
    found.push(...rows.map(toUse));
  }
  return found;
}

export async function listDamagedPacks(executor: Executor, projectId: ProjectId): Promise<PackId[]> {
  const rows = await executor
    .selectFrom('packs')
    .select('pack_id')
    .where('project_id', '=', projectId)
    .where('state', '<>', 'retired')
    .where('bad', 'is not', null)
    .execute();
  return rows.map((row) => row.pack_id as PackId);
}

export function toLocation(row: Pick<Selectable<PackTable>, 'pack_id' | 'kind' | 'object_id'>): PackLocation {
  // Casts: the row holds only what `reservePacks` took from typed values.
  return { packId: row.pack_id as PackId, kind: row.kind, objectId: row.object_id as ObjectId };
}

export function toUse(row: Selectable<PackTable>): PackUse {
  return { ...toLocation(row), condemned: row.condemned, bad: row.bad };
}
