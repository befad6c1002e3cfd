// The tables of version 1. Flags are 0/1, instants epoch ms, JSON text; what each column means is in ../tables.ts.
import { sql } from 'kysely';
import type { Capabilities, Executor } from '../database.ts';

export async function createFirstTables(executor: Executor, capabilities: Capabilities): Promise<void> {
  for (const group of [createIdentity, createResources, createJobs, createLedger]) {
    await group(executor, capabilities);
  }
}

async function createIdentity(executor: Executor, { textType: text, binaryType }: Capabilities): Promise<void> {
  await sql`create table projects (
    project_id ${text} primary key, name ${text} not null, domain_id ${text} not null, description ${text} not null,
    created_at bigint not null, epoch bigint, unique (domain_id, name))`.execute(executor);
  await sql`create table users (
    user_id ${text} primary key, name ${text} not null, domain_id ${text} not null, password_hash ${text} not null,
    is_enabled bigint not null, unique (domain_id, name))`.execute(executor);
  await sql`create table role_assignments (
    user_id ${text} not null references users, project_id ${text} not null references projects, role ${text} not null,
    primary key (user_id, project_id, role))`.execute(executor);
  await sql`create table revoked_tokens (
    token_id ${text} primary key, expires_at bigint not null)`.execute(executor);
  await sql`create index revoked_tokens_by_expiry on revoked_tokens (expires_at)`.execute(executor);
  await sql`create table meta (name ${text} primary key, value ${text} not null)`.execute(executor);
  await sql`create table keys (
    key_id ${text} primary key, project_id ${text} references projects, wrapped ${binaryType} not null)`.execute(
    executor,
  );
}

async function createResources(executor: Executor, { textType: text, binaryType }: Capabilities): Promise<void> {
  await sql`create table volumes (
    volume_id ${text} primary key, project_id ${text} not null references projects, user_id ${text} not null,
    name ${text}, description ${text}, status ${text} not null, size_bytes bigint not null,
    volume_type ${text} not null, availability_zone ${text} not null, driver ${text} not null, source ${text} not null,
    is_adopted bigint not null, is_fresh bigint not null, is_bootable bigint not null, metadata ${text} not null,
    source_backup_id ${text}, created_at bigint not null, updated_at bigint)`.execute(executor);
  await sql`create index volumes_by_project on volumes (project_id, created_at, volume_id)`.execute(executor);
  await sql`create unique index volumes_by_source on volumes (source) where source <> ''`.execute(executor);
  await sql`create table backups (
    backup_id ${text} primary key, project_id ${text} not null references projects, user_id ${text} not null,
    volume_id ${text} not null, job_id ${text} not null, name ${text}, description ${text}, status ${text} not null,
    dialect ${text} not null, size_bytes bigint not null, container ${text}, availability_zone ${text},
    snapshot_id ${text}, is_incremental_requested bigint not null, is_incremental bigint not null, parent_id ${text},
    object_count bigint not null, stored_bytes bigint not null, consistency ${text}, data_timestamp_at bigint,
    fail_reason ${text}, attempt_id ${text}, record_sha256 ${binaryType}, metadata ${text} not null,
    is_damaged bigint not null, is_record_trashed bigint not null, created_at bigint not null, updated_at bigint,
    deleted_at bigint)`.execute(executor);
  await sql`create index backups_by_project on backups (project_id, created_at, backup_id)`.execute(executor);
  await sql`create index backups_by_volume on backups (project_id, volume_id, created_at, backup_id)`.execute(executor);
  await sql`create index backups_by_parent on backups (parent_id)`.execute(executor);
  await sql`create index backups_by_job on backups (job_id)`.execute(executor);
  await sql`create index backups_gone on backups (project_id) where deleted_at is not null`.execute(executor);
  await sql`create table backup_tags (
    backup_id ${text} not null references backups on delete cascade, tag_index bigint not null, key ${text} not null,
    value ${text} not null, primary key (backup_id, tag_index))`.execute(executor);
  await sql`create table baselines (
    volume_id ${text} primary key, backup_id ${text} not null, driver ${text} not null,
    state ${text} not null)`.execute(executor);
  await sql`create index baselines_by_backup on baselines (backup_id)`.execute(executor);
}

async function createJobs(executor: Executor, { textType: text }: Capabilities): Promise<void> {
  await sql`create table jobs (
    job_id ${text} primary key, project_id ${text} not null references projects, kind ${text} not null,
    status ${text} not null, backup_id ${text}, volume_id ${text}, snapshot_id ${text}, attempt bigint not null,
    failures bigint not null, crashes bigint not null, last_error ${text}, payload ${text} not null,
    total_bytes bigint not null, done_bytes bigint not null, skipped_bytes bigint not null,
    stored_bytes bigint not null, error_code ${text}, fail_reason ${text}, created_at bigint not null,
    started_at bigint, ended_at bigint, run_after bigint not null, runner_id ${text},
    lease_until bigint)`.execute(executor);
  await sql`create index jobs_by_project on jobs (project_id, created_at, job_id)`.execute(executor);
  // The runner looks once a second: only jobs that have not ended are in this index.
  await sql`create index jobs_open on jobs (project_id, created_at, job_id)
    where status in ('INIT', 'RUNNING')`.execute(executor);
  await sql`create index jobs_by_end on jobs (ended_at)`.execute(executor);
}

async function createLedger(executor: Executor, capabilities: Capabilities): Promise<void> {
  const { textType: text, binaryType, identityType, keyOnlyTable } = capabilities;
  // Names of records outlive the jobs that wrote them, hence no reference to jobs here or in packs.
  await sql`create table attempts (
    attempt_id ${text} primary key, job_id ${text} not null, attempt bigint not null,
    backup_id ${text} not null references backups)`.execute(executor);
  await sql`create index attempts_by_backup on attempts (backup_id)`.execute(executor);
  await sql`create index attempts_by_job on attempts (job_id)`.execute(executor);
  await sql`create table packs (
    pack_number ${identityType}, pack_id ${text} not null unique, project_id ${text} not null references projects,
    kind ${text} not null, state ${text} not null, job_id ${text} not null, object_id ${text} not null,
    next_object_id ${text}, condemned ${binaryType}, bad ${binaryType}, is_closed bigint not null,
    slot_count bigint not null, stored_bytes bigint not null)`.execute(executor);
  await sql`create index packs_by_job on packs (job_id, pack_number)`.execute(executor);
  await sql`create index packs_by_project on packs (project_id, state)`.execute(executor);
  await sql`create table pins (
    job_id ${text} not null references jobs, backup_id ${text} not null references backups,
    primary key (job_id, backup_id))`.execute(executor);
  await sql`create index pins_by_backup on pins (backup_id)`.execute(executor);
  await sql`create table uses (
    job_id ${text} not null references jobs, pack_id ${text} not null references packs (pack_id),
    primary key (job_id, pack_id))`.execute(executor);
  await sql`create index uses_by_pack on uses (pack_id)`.execute(executor);
  await sql`create table trash (
    trash_id ${identityType}, project_id ${text} not null references projects, object_name ${text} not null,
    is_record bigint not null, backup_id ${text}, deleted_at bigint, unique (project_id, object_name))`.execute(
    executor,
  );
  await sql`create index trash_by_backup on trash (backup_id)`.execute(executor);
  await sql`create index trash_by_project on trash (project_id, is_record, deleted_at)`.execute(executor);
  await sql`create table hooks (
    hook ${binaryType} not null, pack_number bigint not null references packs (pack_number) on delete cascade,
    primary key (hook, pack_number)) ${keyOnlyTable}`.execute(executor);
  await sql`create index hooks_by_pack on hooks (pack_number)`.execute(executor);
}
