// The sparse index (docs/repository-format.md): hooks and the packs that hold their chunks. Derived data, short rows:
// half a million of them per TiB stored.
import type { PackId, ProjectId } from '../core/ids.ts';
import type { Hook } from '../core/ledger.ts';
import { HOOK_PACK_MAX } from '../core/limits.ts';
import { splitIntoBatches } from './batches.ts';
import type { Executor } from './database.ts';

const HOOK_ROW_BATCH_COUNT = 1000;

/** Live packs that take new uses, newest first. */
export async function findPacksByHooks(
  executor: Executor,
  projectId: ProjectId,
  hooks: readonly Hook[],
): Promise<Map<Hook, PackId[]>> {
  const found = new Map<Hook, PackId[]>();
  for (const batch of splitIntoBatches([...new Set(hooks)], HOOK_ROW_BATCH_COUNT)) {
    const rows = await executor
      .selectFrom('hooks')
      // A cross join is one whose order SQLite keeps: begun at the packs of the project it reads them all.
      .crossJoin('packs')
      .select(['hooks.hook', 'packs.pack_id'])
      .where('hooks.hook', 'in', batch.map(toBytes))
      .whereRef('packs.pack_number', '=', 'hooks.pack_number')
      .where('packs.project_id', '=', projectId)
      .where('packs.state', '=', 'live')
      .where('packs.is_closed', '=', 0)
      .orderBy('packs.pack_number', 'desc')
      .execute();
    for (const row of rows) {
      const hook = Buffer.from(row.hook).toString('hex');
      const packIds = found.get(hook) ?? [];
      found.set(hook, packIds);
      if (packIds.length < HOOK_PACK_MAX) {
        // The cast is the brand: the row was reserved under a typed id.
        packIds.push(row.pack_id as PackId);
      }
    }
  }
  return found;
}

export async function addHooks(
  executor: Executor,
  projectId: ProjectId,
  hooks: readonly { hook: Hook; packId: PackId }[],
): Promise<void> {
  const packNumbers = await readPackNumbers(executor, projectId, hooks);
  for (const batch of splitIntoBatches(hooks, HOOK_ROW_BATCH_COUNT)) {
    const rows = batch.flatMap(({ hook, packId }) => {
      const packNumber = packNumbers.get(packId);
      return packNumber === undefined ? [] : [{ hook: toBytes(hook), pack_number: packNumber }];
    });
    if (rows.length > 0) {
      await executor
        .insertInto('hooks')
        .values(rows)
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      await dropSurplus(
        executor,
        rows.map((row) => row.hook),
      );
    }
  }
}

async function readPackNumbers(
  executor: Executor,
  projectId: ProjectId,
  hooks: readonly { packId: PackId }[],
): Promise<Map<string, number>> {
  const numbers = new Map<string, number>();
  const packIds = [...new Set(hooks.map(({ packId }) => packId))];
  for (const batch of splitIntoBatches(packIds, HOOK_ROW_BATCH_COUNT)) {
    const rows = await executor
      .selectFrom('packs')
      .select(['pack_id', 'pack_number'])
      .where('pack_id', 'in', batch)
      .where('project_id', '=', projectId)
      .where('state', '=', 'live')
      .execute();
    for (const row of rows) {
      numbers.set(row.pack_id, row.pack_number);
    }
  }
  return numbers;
}

/** Keeps the newest HOOK_PACK_MAX packs of each hook. Projects do not share hooks: each has a hook key of its own. */
async function dropSurplus(executor: Executor, hooks: readonly Uint8Array[]): Promise<void> {
  const crowded = await executor
    .selectFrom('hooks')
    .select('hook')
    .where('hook', 'in', hooks)
    .groupBy('hook')
    .having((query) => query(query.fn.countAll<number>(), '>', HOOK_PACK_MAX))
    .execute();
  for (const { hook } of crowded) {
    const oldestKept = await executor
      .selectFrom('hooks')
      .select('pack_number')
      .where('hook', '=', hook)
      .orderBy('pack_number', 'desc')
      .offset(HOOK_PACK_MAX - 1)
      .limit(1)
      .executeTakeFirstOrThrow();
    await executor
      .deleteFrom('hooks')
      .where('hook', '=', hook)
      .where('pack_number', '<', oldestKept.pack_number)
      .execute();
  }
}

function toBytes(hook: Hook): Uint8Array {
  return Buffer.from(hook, 'hex');
}
