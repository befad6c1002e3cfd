// Volume types, attachments, quotas of projects, states of services, and messages about what failed.
import { sql } from 'kysely';
import type { Capabilities, Executor } from '../database.ts';

export async function extendVolumes(executor: Executor, { textType: text }: Capabilities): Promise<void> {
  await createTypes(executor, text);
  await sql`alter table volumes add column is_readonly bigint`.execute(executor);
  await sql`alter table volumes add column image_metadata ${text} not null default '{}'`.execute(executor);
  await sql`create table volume_attachments (
    attachment_id ${text} primary key, volume_id ${text} not null references volumes on delete cascade,
    project_id ${text} not null references projects, server_id ${text}, host_name ${text}, device ${text},
    mode ${text}, status ${text} not null, connector ${text}, created_at bigint not null, updated_at bigint,
    attached_at bigint)`.execute(executor);
  await sql`create index volume_attachments_by_volume on volume_attachments (volume_id)`.execute(executor);
  await sql`create index volume_attachments_by_project
    on volume_attachments (project_id, created_at, attachment_id)`.execute(executor);
  await sql`create table quota_limits (
    project_id ${text} not null references projects, resource ${text} not null, type_id ${text} not null,
    hard_limit bigint not null, primary key (project_id, resource, type_id))`.execute(executor);
  await sql`create index quota_limits_by_type on quota_limits (type_id)`.execute(executor);
  // Limits of every project that has none of its own.
  await sql`create table quota_defaults (
    resource ${text} not null, type_id ${text} not null, hard_limit bigint not null,
    primary key (resource, type_id))`.execute(executor);
  await sql`create table service_states (
    service ${text} not null, host ${text} not null, is_disabled bigint not null, disabled_reason ${text},
    updated_at bigint not null, primary key (service, host))`.execute(executor);
  await sql`create table messages (
    message_id ${text} primary key, project_id ${text} not null references projects, event ${text} not null,
    resource_type ${text} not null, resource_id ${text} not null, error_code ${text} not null,
    detail ${text} not null, job_id ${text}, created_at bigint not null)`.execute(executor);
  await sql`create index messages_by_project on messages (project_id, created_at, message_id)`.execute(executor);
  await sql`create index messages_by_age on messages (created_at)`.execute(executor);
}

/** The name of a volume's type follows the type, and a type with volumes cannot go: the database sees to both. */
async function createTypes(executor: Executor, text: Capabilities['textType']): Promise<void> {
  await sql`create table volume_types (
    type_id ${text} primary key, name ${text} not null unique, description ${text}, is_public bigint not null,
    extra_specs ${text} not null, created_at bigint not null, updated_at bigint)`.execute(executor);
  await sql`create table volume_type_access (
    type_id ${text} not null references volume_types on delete cascade, project_id ${text} not null,
    primary key (type_id, project_id))`.execute(executor);
  await sql`insert into volume_types (type_id, name, description, is_public, extra_specs, created_at) values (
    '6f1d2b34-8c05-4e7a-9b21-3d5e7f908a1c', '__DEFAULT__', 'Raw disk image or block device', 1, '{}', 0)`.execute(
    executor,
  );
  await sql`alter table volumes
    add column type_name ${text} references volume_types (name) on update cascade`.execute(executor);
  // There was no other type before.
  await sql`update volumes set type_name = '__DEFAULT__'`.execute(executor);
  await sql`alter table volumes drop column volume_type`.execute(executor);
  await sql`alter table volumes rename column type_name to volume_type`.execute(executor);
  await sql`create index volumes_by_type on volumes (volume_type)`.execute(executor);
}
