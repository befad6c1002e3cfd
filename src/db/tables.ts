// The tables of the catalog as Kysely sees them: flags are 0/1, instants epoch ms and JSON text on both databases.
import type { ColumnType, Generated } from 'kysely';

type Flag = 0 | 1;
/** Set by the insert, never changed. */
type Fixed<T> = ColumnType<T, T, never>;

export type ProjectTable = {
  project_id: Fixed<string>;
  name: string;
  domain_id: Fixed<string>;
  description: string;
  created_at: Fixed<number>;
  /** Null until the project has an epoch object in the store. */
  epoch: number | null;
  is_enabled: Generated<Flag>;
  token_generation: Generated<number>;
  /** Tombstone: the project is gone for everybody, the row still owns what the repository has not let go. */
  deleted_at: Generated<number | null>;
  /** Prune condemns nothing before this instant: the project was adopted a short time ago. */
  condemn_after: Generated<number | null>;
};

export type UserTable = {
  user_id: Fixed<string>;
  name: string;
  domain_id: Fixed<string>;
  password_hash: string;
  is_enabled: Flag;
  description: Generated<string>;
  email: Generated<string | null>;
  default_project_id: Generated<string | null>;
  token_generation: Generated<number>;
};

export type ApplicationCredentialTable = {
  credential_id: Fixed<string>;
  user_id: Fixed<string>;
  project_id: Fixed<string>;
  name: Fixed<string>;
  description: Fixed<string | null>;
  secret_hash: Fixed<string>;
  /** JSON array. */
  roles: Fixed<string>;
  is_unrestricted: Fixed<Flag>;
  expires_at: Fixed<number | null>;
  created_at: Fixed<number>;
};

export type TokenKeyTable = {
  key_id: Fixed<string>;
  secret: Fixed<Uint8Array>;
  created_at: Fixed<number>;
  keep_until: number;
};

export type RoleAssignmentTable = { user_id: Fixed<string>; project_id: Fixed<string>; role: Fixed<string> };

export type RevokedTokenTable = { token_id: Fixed<string>; expires_at: number };

export type VolumeTable = {
  volume_id: Fixed<string>;
  project_id: Fixed<string>;
  user_id: string;
  name: string | null;
  description: string | null;
  status: string;
  size_bytes: number;
  volume_type: string;
  availability_zone: string;
  driver: string;
  source: string;
  is_adopted: Flag;
  is_fresh: Flag;
  is_bootable: Flag;
  metadata: string;
  source_backup_id: string | null;
  source_snapshot_id: string | null;
  source_volume_id: string | null;
  created_at: Fixed<number>;
  updated_at: number | null;
  /** Null = nobody has said. */
  is_readonly: Flag | null;
  image_metadata: string;
};

export type VolumeTypeTable = {
  type_id: Fixed<string>;
  name: string;
  description: string | null;
  is_public: Flag;
  extra_specs: string;
  created_at: Fixed<number>;
  updated_at: number | null;
};

/** Projects that may use a type which is not public. */
export type VolumeTypeAccessTable = { type_id: Fixed<string>; project_id: Fixed<string> };

export type AttachmentTable = {
  attachment_id: Fixed<string>;
  volume_id: Fixed<string>;
  project_id: Fixed<string>;
  server_id: string | null;
  host_name: string | null;
  device: string | null;
  mode: string | null;
  status: string;
  /** JSON, as the client gave it; null while there is none. */
  connector: string | null;
  created_at: Fixed<number>;
  updated_at: number | null;
  attached_at: number | null;
};

/** `type_id` is empty for what counts volumes of all types. */
export type QuotaLimitTable = {
  project_id: Fixed<string>;
  resource: Fixed<string>;
  type_id: Fixed<string>;
  hard_limit: number;
};
export type QuotaDefaultTable = { resource: Fixed<string>; type_id: Fixed<string>; hard_limit: number };

export type ServiceStateTable = {
  service: Fixed<string>;
  host: Fixed<string>;
  is_disabled: Flag;
  disabled_reason: string | null;
  updated_at: number;
};

export type MessageTable = {
  message_id: Fixed<string>;
  project_id: Fixed<string>;
  event: Fixed<string>;
  resource_type: Fixed<string>;
  resource_id: Fixed<string>;
  error_code: Fixed<string>;
  detail: Fixed<string>;
  job_id: Fixed<string | null>;
  request_id: Fixed<string | null>;
  created_at: Fixed<number>;
};

export type BackupTable = {
  backup_id: Fixed<string>;
  project_id: Fixed<string>;
  /** This, and all else of BackupOrigin, is changed only by labels: earlier records do not say it. */
  user_id: string;
  /** All zeros until an import has read it from the record. */
  volume_id: string;
  job_id: Fixed<string>;
  name: string | null;
  description: string | null;
  status: string;
  dialect: string;
  size_bytes: number;
  container: string | null;
  availability_zone: string | null;
  snapshot_id: string | null;
  is_incremental_requested: Flag;
  is_incremental: Flag;
  parent_id: string | null;
  object_count: number;
  stored_bytes: number;
  consistency: string | null;
  data_timestamp_at: number | null;
  fail_reason: string | null;
  /** Committed attempt; null while no record is known to be whole. */
  attempt_id: string | null;
  record_sha256: Uint8Array | null;
  metadata: string;
  /** Verify or a read found it unreadable: no parent for others until repaired. */
  is_damaged: Flag;
  /** Its record is in the trash; nobody may pin it any more. */
  is_record_trashed: Flag;
  /** Set when a policy made it. */
  policy_id: string | null;
  /** Whose record an imported backup stands on; null: its own. */
  record_backup_id: string | null;
  /** Of the volume, at the time of the backup. */
  is_volume_bootable: Flag;
  volume_metadata: string;
  /** Of an imported backup its label says it. */
  created_at: number;
  updated_at: number | null;
  /** Tombstone: the backup is gone for everybody, the row still names its record. */
  deleted_at: number | null;
};

export type SnapshotTable = {
  snapshot_id: Fixed<string>;
  project_id: Fixed<string>;
  user_id: Fixed<string>;
  volume_id: Fixed<string>;
  name: string | null;
  description: string | null;
  status: string;
  size_bytes: Fixed<number>;
  driver: Fixed<string>;
  source: string;
  consistency: string | null;
  frozen_at: number | null;
  progress_percent: number;
  is_bootable: Fixed<Flag>;
  volume_type: Fixed<string>;
  availability_zone: Fixed<string>;
  metadata: string;
  created_at: Fixed<number>;
  updated_at: number | null;
};

export type BackupTagTable = { backup_id: string; tag_index: number; key: string; value: string };

export type JobTable = {
  job_id: Fixed<string>;
  project_id: Fixed<string>;
  kind: Fixed<string>;
  status: string;
  backup_id: string | null;
  volume_id: string | null;
  snapshot_id: string | null;
  attempt: number;
  failures: number;
  /** Takes of the job from runners that never gave it back. */
  crashes: number;
  last_error: string | null;
  payload: string;
  total_bytes: number;
  done_bytes: number;
  skipped_bytes: number;
  stored_bytes: number;
  error_code: string | null;
  fail_reason: string | null;
  created_at: Fixed<number>;
  started_at: number | null;
  ended_at: number | null;
  run_after: number;
  runner_id: string | null;
  lease_until: number | null;
  /** Null when nobody asked for it. */
  request_id: Fixed<string | null>;
};

export type AttemptTable = { attempt_id: string; job_id: string; attempt: number; backup_id: string };

export type PackTable = {
  /** Order of reservation; hooks refer to it because it is short. */
  pack_number: Generated<number>;
  pack_id: Fixed<string>;
  project_id: Fixed<string>;
  kind: Fixed<'data' | 'page'>;
  state: 'writing' | 'live' | 'retired';
  job_id: string;
  object_id: string;
  next_object_id: string | null;
  condemned: Uint8Array | null;
  bad: Uint8Array | null;
  is_closed: Flag;
  slot_count: number;
  /** Of the current object. */
  stored_bytes: number;
  /** Slots that compactions left out of the current object. */
  dropped_count: Generated<number>;
  /** When it was last verified as a whole, or else written; 0 = unknown, or wanted soon. */
  verified_at: Generated<number>;
};

export type PinTable = { job_id: string; backup_id: string };
export type UseTable = { job_id: string; pack_id: string };

export type SharingTable = {
  sharing_id: Fixed<string>;
  backup_id: Fixed<string>;
  from_project_id: Fixed<string>;
  to_project_id: Fixed<string>;
  created_at: Fixed<number>;
  updated_at: number | null;
};

/** A view: sharings of backups that exist, with what lists filter and sort by. */
export type SharedBackupView = SharingTable & {
  name: string | null;
  status: string;
  volume_id: string;
  size_bytes: number;
  container: string | null;
  availability_zone: string | null;
};

export type TraceTable = {
  trace_id: Fixed<string>;
  project_id: Fixed<string>;
  user_id: Fixed<string | null>;
  user_name: Fixed<string | null>;
  trace_name: Fixed<string>;
  resource_type: Fixed<string>;
  resource_id: Fixed<string>;
  resource_name: Fixed<string | null>;
  job_id: Fixed<string | null>;
  details: Fixed<string>;
  created_at: Fixed<number>;
};

export type TrashTable = {
  trash_id: Generated<number>;
  project_id: string;
  object_name: string;
  is_record: Flag;
  /** Whose record it is. */
  backup_id: string | null;
  /** When the first deletion was confirmed; null before. */
  deleted_at: number | null;
  /** A sweep may be deleting it: it cannot be taken back any more. */
  is_taken: Flag;
};

export type HookTable = { hook: Uint8Array; pack_number: number };
export type KeyTable = {
  key_id: string;
  project_id: string | null;
  wrapped: Uint8Array;
  /** Ascending in the order in which keys were first saved. */
  key_number: number;
};
export type BaselineTable = { volume_id: string; backup_id: string; driver: string; state: string };
export type BaselineTrashTable = { trash_id: Generated<number>; driver: string; state: string };

export type PolicyTable = {
  policy_id: Fixed<string>;
  project_id: Fixed<string>;
  user_id: Fixed<string>;
  name: string;
  is_default: Fixed<Flag>;
  start_time: string;
  time_zone: string;
  recurrence: string;
  retention: string;
  keeps_first_of_month: Flag;
  is_enabled: Flag;
  /** The due time that nobody has claimed yet; null while the policy is off. */
  next_run_at: number | null;
  created_at: Fixed<number>;
  updated_at: number | null;
};

export type PolicyTagTable = { policy_id: string; tag_index: number; key: string; value: string };
/** A volume is in one policy at most. */
export type PolicyVolumeTable = { volume_id: string; policy_id: string; associated_at: number };
/** Due times that were claimed and run. */
export type PolicyRunTable = { policy_id: string; due_at: number; claimed_at: number };

export type TaskTable = {
  task_id: Fixed<string>;
  project_id: Fixed<string>;
  policy_id: Fixed<string>;
  volume_id: Fixed<string>;
  status: string;
  due_at: Fixed<number | null>;
  backup_name: string | null;
  backup_id: string | null;
  job_id: string | null;
  error_code: string | null;
  message: string | null;
  created_at: Fixed<number>;
  run_after: Fixed<number>;
  finished_at: number | null;
  /** Bytes its job had handled when the watchdog last saw them change, and when that was. */
  seen_bytes: number;
  seen_at: number;
};

/** Of a backup that was changed after it was made. `saved_revision`: the one that the repository has; 0: none. */
export type LabelTable = { backup_id: string; revision: number; saved_revision: number };

export type MetaTable = { name: string; value: string };
export type MigrationTable = { name: string };

export type Tables = {
  projects: ProjectTable;
  users: UserTable;
  role_assignments: RoleAssignmentTable;
  revoked_tokens: RevokedTokenTable;
  application_credentials: ApplicationCredentialTable;
  token_keys: TokenKeyTable;
  volumes: VolumeTable;
  snapshots: SnapshotTable;
  volume_types: VolumeTypeTable;
  volume_type_access: VolumeTypeAccessTable;
  volume_attachments: AttachmentTable;
  quota_limits: QuotaLimitTable;
  quota_defaults: QuotaDefaultTable;
  service_states: ServiceStateTable;
  messages: MessageTable;
  backups: BackupTable;
  backup_tags: BackupTagTable;
  jobs: JobTable;
  attempts: AttemptTable;
  packs: PackTable;
  pins: PinTable;
  uses: UseTable;
  sharings: SharingTable;
  shared_backups: SharedBackupView;
  traces: TraceTable;
  trash: TrashTable;
  hooks: HookTable;
  keys: KeyTable;
  baselines: BaselineTable;
  baseline_trash: BaselineTrashTable;
  policies: PolicyTable;
  policy_tags: PolicyTagTable;
  policy_volumes: PolicyVolumeTable;
  policy_runs: PolicyRunTable;
  tasks: TaskTable;
  labels: LabelTable;
  meta: MetaTable;
  migrations: MigrationTable;
};

export function toFlag(value: boolean): Flag {
  return value ? 1 : 0;
}

/** What is undefined in a change leaves its column alone. */
export function withoutUndefined<T extends object>(values: T): T {
  // The cast: what is left out was undefined, which the type of a change allows anyway.
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}
