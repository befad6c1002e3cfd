// Users, projects and tokens that can be managed: state of accounts, application credentials, keys that sign tokens.
import { sql } from 'kysely';
import type { Capabilities, Executor } from '../database.ts';

export async function createIdentity(executor: Executor, capabilities: Capabilities): Promise<void> {
  const { textType: text, binaryType } = capabilities;
  await sql`alter table projects add column is_enabled bigint not null default 1`.execute(executor);
  await sql`alter table projects add column token_generation bigint not null default 0`.execute(executor);
  await sql`alter table projects add column deleted_at bigint`.execute(executor);
  await sql`alter table users add column description ${text} not null default ''`.execute(executor);
  await sql`alter table users add column email ${text}`.execute(executor);
  await sql`alter table users add column default_project_id ${text}`.execute(executor);
  await sql`alter table users add column token_generation bigint not null default 0`.execute(executor);
  await sql`create index role_assignments_by_project on role_assignments (project_id, user_id)`.execute(executor);
  await sql`create table application_credentials (
    credential_id ${text} primary key, user_id ${text} not null references users,
    project_id ${text} not null references projects, name ${text} not null, description ${text},
    secret_hash ${text} not null, roles ${text} not null, is_unrestricted bigint not null, expires_at bigint,
    created_at bigint not null, unique (user_id, name))`.execute(executor);
  await sql`create index application_credentials_by_project
    on application_credentials (project_id, user_id)`.execute(executor);
  await sql`create table token_keys (
    key_id ${text} primary key, secret ${binaryType} not null, created_at bigint not null,
    keep_until bigint not null)`.execute(executor);
  // The one key before there were several. Its tokens end with it: clients log in again.
  await sql`delete from meta where name = 'signing_key'`.execute(executor);
}
