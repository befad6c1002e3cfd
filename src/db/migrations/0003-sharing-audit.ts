// Sharings of backups, audit traces, and what searches by tags need.
import { sql } from 'kysely';
import type { Capabilities, Executor } from '../database.ts';

export async function createSharingAndAudit(executor: Executor, { textType: text }: Capabilities): Promise<void> {
  // The project that it is shared with need not exist here.
  await sql`create table sharings (
    sharing_id ${text} primary key, backup_id ${text} not null references backups,
    from_project_id ${text} not null references projects, to_project_id ${text} not null, created_at bigint not null,
    updated_at bigint, unique (backup_id, to_project_id))`.execute(executor);
  await sql`create index sharings_by_owner on sharings (from_project_id, created_at, sharing_id)`.execute(executor);
  await sql`create index sharings_by_target on sharings (to_project_id, created_at, sharing_id)`.execute(executor);
  // Lists filter and sort sharings by columns of their backups too.
  await sql`create view shared_backups as select sharings.sharing_id, sharings.backup_id, sharings.from_project_id,
    sharings.to_project_id, sharings.created_at, sharings.updated_at, backups.name, backups.status, backups.volume_id,
    backups.size_bytes, backups.container, backups.availability_zone
    from sharings inner join backups on backups.backup_id = sharings.backup_id
    where backups.deleted_at is null`.execute(executor);
  await sql`create table traces (
    trace_id ${text} primary key, project_id ${text} not null references projects, user_id ${text}, user_name ${text},
    trace_name ${text} not null, resource_type ${text} not null, resource_id ${text} not null, resource_name ${text},
    job_id ${text}, details ${text} not null, created_at bigint not null)`.execute(executor);
  await sql`create index traces_by_project on traces (project_id, created_at, trace_id)`.execute(executor);
  await sql`create index traces_by_resource on traces (project_id, resource_id, created_at, trace_id)`.execute(
    executor,
  );
  await sql`create index traces_by_age on traces (created_at)`.execute(executor);
  await sql`create index backup_tags_by_key on backup_tags (backup_id, key, value)`.execute(executor);
}
