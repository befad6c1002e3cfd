// The order in which keys were saved: a project that has several writes with its last one.
import { sql } from 'kysely';
import type { Executor } from '../database.ts';

export async function addKeyNumbers(executor: Executor): Promise<void> {
  await sql`alter table keys add column key_number bigint not null default 0`.execute(executor);
}
