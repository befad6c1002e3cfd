// When each pack was last read as a whole and found to be what it should be, or else written: what the scrub goes by.
import { sql } from 'kysely';
import type { Executor } from '../database.ts';

export async function addVerification(executor: Executor): Promise<void> {
  await sql`alter table packs add column verified_at bigint not null default 0`.execute(executor);
  await sql`create index packs_by_verification on packs (project_id, verified_at) where state = 'live'`.execute(
    executor,
  );
}
