// What prune keeps: how many slots a pack's object no longer has, and until when nothing may be condemned in a project
// that was adopted.
import { sql } from 'kysely';
import type { Executor } from '../database.ts';

export async function addPruneState(executor: Executor): Promise<void> {
  await sql`alter table packs add column dropped_count bigint not null default 0`.execute(executor);
  await sql`alter table projects add column condemn_after bigint`.execute(executor);
  // Prune goes through the packs of a project in the order of their numbers.
  await sql`create index packs_live on packs (project_id, pack_number) where state = 'live'`.execute(executor);
  await sql`create index packs_compacting on packs (project_id) where next_object_id is not null`.execute(executor);
}
