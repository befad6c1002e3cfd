// Records of earlier versions do not say who asked for their backups, and how: now labels do, of every backup there is.
import { sql } from 'kysely';
import type { Executor } from '../database.ts';

export async function labelAllBackups(executor: Executor): Promise<void> {
  await sql`insert into labels (backup_id, revision, saved_revision)
    select backup_id, 1, 0 from backups where attempt_id is not null and deleted_at is null
    on conflict (backup_id) do update set revision = labels.revision + 1`.execute(executor);
}
