// What a backup keeps of its volume, backups that stand on the record of another one, and records that a sweep has not
// begun to delete.
import { sql } from 'kysely';
import type { Capabilities, Executor } from '../database.ts';

export async function extendBackups(executor: Executor, { textType: text }: Capabilities): Promise<void> {
  await sql`alter table backups add column record_backup_id ${text}`.execute(executor);
  await sql`alter table backups add column is_volume_bootable bigint not null default 0`.execute(executor);
  await sql`alter table backups add column volume_metadata ${text} not null default '{}'`.execute(executor);
  await sql`create index backups_by_attempt on backups (attempt_id) where attempt_id is not null`.execute(executor);
  await sql`alter table trash add column is_taken bigint not null default 0`.execute(executor);
  // A sweep of the version before may have begun with any of them.
  await sql`update trash set is_taken = 1`.execute(executor);
}
