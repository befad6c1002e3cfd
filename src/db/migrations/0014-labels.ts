// Which backups were changed after they were made, and how much of that the repository knows.
import { sql } from 'kysely';
import type { Capabilities, Executor } from '../database.ts';

export async function createLabels(executor: Executor, { textType: text }: Capabilities): Promise<void> {
  await sql`create table labels (
    backup_id ${text} primary key references backups on delete cascade, revision bigint not null,
    saved_revision bigint not null)`.execute(executor);
  await sql`create index labels_unsaved on labels (backup_id) where saved_revision < revision`.execute(executor);
}
