// Wrapped keys, kept here as well as in the repository, and the epoch of each project.
import assert from 'node:assert/strict';
import { sql } from 'kysely';
import type { KeyId, ProjectId } from '../core/ids.ts';
import type { WrappedKeyRow } from '../core/ledger.ts';
import type { Executor } from './database.ts';

const FIRST_EPOCH = 1;

export async function listKeys(executor: Executor): Promise<WrappedKeyRow[]> {
  const rows = await executor.selectFrom('keys').selectAll().orderBy('key_number').orderBy('key_id').execute();
  // Casts: `saveKey` took them from typed values.
  return rows.map((row) => ({
    keyId: row.key_id as KeyId,
    projectId: row.project_id as ProjectId | null,
    wrapped: row.wrapped,
  }));
}

/** A key that is known already gets its new wrapping. */
export async function saveKey(executor: Executor, key: WrappedKeyRow): Promise<void> {
  await executor
    .insertInto('keys')
    .values({
      key_id: key.keyId,
      project_id: key.projectId,
      wrapped: key.wrapped,
      key_number: sql<number>`(select coalesce(max(key_number), 0) + 1 from keys)`,
    })
    .onConflict((conflict) => conflict.column('key_id').doUpdateSet({ wrapped: key.wrapped }))
    .execute();
}

/** Under the lock of the catalog. */
export async function claimRepository(executor: Executor, key: WrappedKeyRow): Promise<{ isFirst: boolean }> {
  const master = await executor.selectFrom('keys').select('key_id').where('project_id', 'is', null).executeTakeFirst();
  if (master !== undefined) return { isFirst: false };
  await saveKey(executor, key);
  return { isFirst: true };
}

export async function deleteKeys(executor: Executor, keyIds: readonly KeyId[]): Promise<void> {
  if (keyIds.length > 0) await executor.deleteFrom('keys').where('key_id', 'in', keyIds).execute();
}

export async function readEpoch(executor: Executor, projectId: ProjectId): Promise<number | undefined> {
  const row = await executor
    .selectFrom('projects')
    .select('epoch')
    .where('project_id', '=', projectId)
    .executeTakeFirst();
  return row?.epoch ?? undefined;
}

export async function startEpoch(executor: Executor, projectId: ProjectId): Promise<number> {
  await executor
    .updateTable('projects')
    .set({ epoch: FIRST_EPOCH })
    .where('project_id', '=', projectId)
    .where('epoch', 'is', null)
    .execute();
  const epoch = await readEpoch(executor, projectId);
  assert(epoch !== undefined, 'the project exists: its row is locked');
  return epoch;
}

export async function raiseEpoch(executor: Executor, projectId: ProjectId): Promise<number> {
  await executor
    .updateTable('projects')
    .set({ epoch: sql<number>`epoch + 1` })
    .where('project_id', '=', projectId)
    .execute();
  const epoch = await readEpoch(executor, projectId);
  assert(epoch !== undefined, 'an epoch is raised after it was started');
  return epoch;
}
