// Which request a job came from, for messages about it. And damaged backups are counted for metrics whenever somebody
// asks, so they get an index: nearly always it is empty.
import { sql } from 'kysely';
import type { Capabilities, Executor } from '../database.ts';

export async function addJobRequests(executor: Executor, { textType: text }: Capabilities): Promise<void> {
  await sql`alter table jobs add column request_id ${text}`.execute(executor);
  await sql`alter table messages add column request_id ${text}`.execute(executor);
  await sql`create index backups_damaged on backups (backup_id) where is_damaged = 1`.execute(executor);
}
