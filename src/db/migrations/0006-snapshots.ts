// Snapshots of volumes, and which snapshot or volume a volume was made from.
import { sql } from 'kysely';
import type { Capabilities, Executor } from '../database.ts';

export async function createSnapshots(executor: Executor, { textType: text }: Capabilities): Promise<void> {
  // A volume goes after its snapshots: the reference refuses any other order.
  await sql`create table snapshots (
    snapshot_id ${text} primary key, project_id ${text} not null references projects, user_id ${text} not null,
    volume_id ${text} not null references volumes, name ${text}, description ${text}, status ${text} not null,
    size_bytes bigint not null, driver ${text} not null, source ${text} not null, consistency ${text},
    frozen_at bigint, progress_percent bigint not null, is_bootable bigint not null, volume_type ${text} not null
    references volume_types (name) on update cascade,
    availability_zone ${text} not null, metadata ${text} not null, created_at bigint not null,
    updated_at bigint)`.execute(executor);
  await sql`create index snapshots_by_project on snapshots (project_id, created_at, snapshot_id)`.execute(executor);
  await sql`create index snapshots_by_volume on snapshots (volume_id, created_at, snapshot_id)`.execute(executor);
  // Sources may be deleted afterwards, so these refer to nothing.
  await sql`alter table volumes add column source_snapshot_id ${text}`.execute(executor);
  await sql`alter table volumes add column source_volume_id ${text}`.execute(executor);
  await sql`create index volumes_by_source_snapshot on volumes (source_snapshot_id)
    where source_snapshot_id is not null`.execute(executor);
  await sql`create index volumes_by_source_volume on volumes (source_volume_id)
    where source_volume_id is not null`.execute(executor);
}
