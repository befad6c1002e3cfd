// What drivers keep for baselines that nothing refers to any more, until it was removed; and a quick look at which
// packs have bad slots, which nearly always is none.
import { sql } from 'kysely';
import type { Capabilities, Executor } from '../database.ts';

export async function createBaselineTrash(
  executor: Executor,
  { textType: text, identityType }: Capabilities,
): Promise<void> {
  await sql`create table baseline_trash (
    trash_id ${identityType}, driver ${text} not null, state ${text} not null)`.execute(executor);
  await sql`create index packs_damaged on packs (project_id) where bad is not null`.execute(executor);
}
