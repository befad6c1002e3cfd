// Policies, the volumes in them, the due times that were claimed, tasks; and which backups a policy made. What each
// column means is in ../tables.ts.
import { sql } from 'kysely';
import type { Capabilities, Executor } from '../database.ts';

export async function createPolicies(executor: Executor, { textType: text }: Capabilities): Promise<void> {
  await sql`create table policies (
    policy_id ${text} primary key, project_id ${text} not null references projects, user_id ${text} not null,
    name ${text} not null, is_default bigint not null, start_time ${text} not null, time_zone ${text} not null,
    recurrence ${text} not null, retention ${text} not null, keeps_first_of_month bigint not null,
    is_enabled bigint not null, next_run_at bigint, created_at bigint not null, updated_at bigint)`.execute(executor);
  await sql`create index policies_by_project on policies (project_id, created_at, policy_id)`.execute(executor);
  await sql`create unique index policies_default on policies (project_id) where is_default = 1`.execute(executor);
  await sql`create index policies_due on policies (next_run_at) where next_run_at is not null`.execute(executor);
  await sql`create table policy_tags (
    policy_id ${text} not null references policies on delete cascade, tag_index bigint not null, key ${text} not null,
    value ${text} not null, primary key (policy_id, tag_index), unique (policy_id, key))`.execute(executor);
  // Whatever deletes a volume takes it out of its policy.
  await sql`create table policy_volumes (
    volume_id ${text} primary key references volumes on delete cascade,
    policy_id ${text} not null references policies on delete cascade,
    associated_at bigint not null)`.execute(executor);
  await sql`create index policy_volumes_by_policy on policy_volumes (policy_id, associated_at, volume_id)`.execute(
    executor,
  );
  await sql`create table policy_runs (
    policy_id ${text} not null references policies on delete cascade, due_at bigint not null,
    claimed_at bigint not null, primary key (policy_id, due_at))`.execute(executor);
  await createTasks(executor, text);
  await sql`alter table backups add column policy_id ${text}`.execute(executor);
  await sql`create index backups_by_policy on backups (policy_id, volume_id) where policy_id is not null`.execute(
    executor,
  );
}

async function createTasks(executor: Executor, text: Capabilities['textType']): Promise<void> {
  // Tasks are of their policy; volumes, backups and jobs may go before them.
  await sql`create table tasks (
    task_id ${text} primary key, project_id ${text} not null references projects,
    policy_id ${text} not null references policies on delete cascade, volume_id ${text} not null,
    status ${text} not null, due_at bigint, backup_name ${text}, backup_id ${text}, job_id ${text}, error_code ${text},
    message ${text}, created_at bigint not null, run_after bigint not null, finished_at bigint,
    seen_bytes bigint not null, seen_at bigint not null)`.execute(executor);
  await sql`create index tasks_by_policy on tasks (policy_id, created_at, task_id)`.execute(executor);
  await sql`create index tasks_by_volume on tasks (volume_id, policy_id, created_at)`.execute(executor);
  await sql`create index tasks_by_job on tasks (job_id) where job_id is not null`.execute(executor);
  await sql`create index tasks_by_age on tasks (created_at)`.execute(executor);
  // The scheduler looks once a second: only tasks that have not ended are in this index.
  await sql`create index tasks_open on tasks (project_id, created_at, task_id)
    where status in ('WAITING', 'RUNNING')`.execute(executor);
}
