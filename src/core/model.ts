// The resources of the service as every layer above the catalog sees them. Rows and wire shapes stay in db/ and api/.
import type {
  AttemptId,
  BackupId,
  JobId,
  PolicyId,
  ProjectId,
  SharingId,
  SnapshotId,
  TaskId,
  UserId,
  VolumeId,
} from './ids.ts';

export type Role = 'admin' | 'member' | 'reader';

export type Project = {
  readonly projectId: ProjectId;
  readonly name: string;
  readonly domainId: string;
  readonly description: string;
  readonly createdAt: number;
};

export type User = {
  readonly userId: UserId;
  readonly name: string;
  readonly domainId: string;
  readonly passwordHash: string;
  readonly isEnabled: boolean;
};

/** Contract 5.2; this program enters only some of them by itself, a client may set others. */
export type VolumeStatus =
  | 'creating'
  | 'available'
  | 'in-use'
  | 'backing-up'
  | 'restoring-backup'
  | 'extending'
  | 'deleting'
  | 'error'
  | 'error_restoring'
  | 'error_extending'
  | 'error_deleting';

export type Volume = {
  readonly volumeId: VolumeId;
  readonly projectId: ProjectId;
  readonly userId: UserId;
  readonly name: string | null;
  readonly description: string | null;
  readonly status: VolumeStatus;
  /** Exact; the API's `size` is this rounded up to GiB. */
  readonly sizeBytes: number;
  readonly volumeType: string;
  readonly availabilityZone: string;
  readonly driver: 'file';
  /** The driver's reference; empty until the disk exists. */
  readonly source: string;
  readonly isAdopted: boolean;
  /** True from `create` until something was written to the disk. */
  readonly isFresh: boolean;
  readonly isBootable: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  /** Backup the volume was made from. */
  readonly sourceBackupId: BackupId | null;
  readonly createdAt: number;
  readonly updatedAt: number | null;
};

/** Contract 5.1. */
export type BackupStatus =
  | 'creating'
  | 'available'
  | 'restoring'
  | 'deleting'
  | 'error'
  | 'error_restoring'
  | 'error_deleting';

export type Tag = { readonly key: string; readonly value: string };

/** Which family a request came through; it decides how a description is shown (contract 5.7). */
export type Dialect = 'vbs' | 'native';

export type Backup = {
  readonly backupId: BackupId;
  readonly projectId: ProjectId;
  readonly userId: UserId;
  readonly volumeId: VolumeId;
  readonly jobId: JobId;
  /** The policy that made it, also when that policy is gone; null = made by hand. */
  readonly policyId: PolicyId | null;
  readonly name: string | null;
  readonly description: string | null;
  readonly status: BackupStatus;
  readonly dialect: Dialect;
  readonly sizeBytes: number;
  readonly container: string | null;
  readonly availabilityZone: string | null;
  readonly snapshotId: SnapshotId | null;
  readonly isIncrementalRequested: boolean;
  readonly isIncremental: boolean;
  readonly parentId: BackupId | null;
  /** An increment was made on top of this one and still exists. */
  readonly hasDependents: boolean;
  readonly objectCount: number;
  /** Bytes that this backup added to the repository. */
  readonly storedBytes: number;
  readonly consistency: 'snapshot' | 'quiescent' | 'fuzzy' | null;
  readonly dataTimestampAt: number | null;
  readonly failReason: string | null;
  /** Committed attempt: set once the data is durable and restorable, whatever the status. */
  readonly attemptId: AttemptId | null;
  /** SHA-256 of the committed record. */
  readonly recordSha256: Uint8Array | null;
  readonly tags: readonly Tag[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly updatedAt: number | null;
};

/** A backup shown to another project, which may read it and make volumes from it, and nothing else. */
export type Sharing = {
  readonly sharingId: SharingId;
  readonly backupId: BackupId;
  readonly fromProjectId: ProjectId;
  /** It need not exist here: clients share to projects that they only know by id. */
  readonly toProjectId: ProjectId;
  readonly createdAt: number;
  readonly updatedAt: number | null;
};

export type JobKind = 'backup' | 'delete-backup' | 'restore' | 'export' | 'delete-volume';
export type JobStatus = 'INIT' | 'RUNNING' | 'SUCCESS' | 'FAIL';

/** Bytes of volume handled so far. `totalBytes` 0 while unknown. */
export type Progress = {
  readonly totalBytes: number;
  /** Read from the volume (backup) or written to it (restore). */
  readonly doneBytes: number;
  /** Known without reading: holes, unchanged extents. */
  readonly skippedBytes: number;
  /** Added to the repository, after compression. */
  readonly storedBytes: number;
};

export const NO_PROGRESS: Progress = { totalBytes: 0, doneBytes: 0, skippedBytes: 0, storedBytes: 0 };

export type Job = {
  readonly jobId: JobId;
  readonly projectId: ProjectId;
  readonly kind: JobKind;
  readonly status: JobStatus;
  readonly backupId: BackupId | null;
  readonly volumeId: VolumeId | null;
  readonly snapshotId: SnapshotId | null;
  /** Raised each time a worker takes the job; a worker with an older number may no longer change anything. */
  readonly attempt: number;
  /** What the handler needs beyond the ids, for example `{ force: true }`. */
  readonly payload: Readonly<Record<string, unknown>>;
  readonly progress: Progress;
  /** A code of core/errors.ts. */
  readonly errorCode: string | null;
  readonly failReason: string | null;
  readonly createdAt: number;
  /** When the current attempt was taken. */
  readonly startedAt: number | null;
  readonly endedAt: number | null;
};

export const WEEK_DAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'] as const;
export type WeekDay = (typeof WEEK_DAYS)[number];

/** On which local days a policy runs (contract 5.4). */
export type Recurrence =
  /** Days d of the month with (d - 1) mod `everyDays` = 0. */
  | { readonly kind: 'interval'; readonly everyDays: number }
  /** In the order in which they were given. */
  | { readonly kind: 'week'; readonly weekDays: readonly WeekDay[] };

export type RetentionRule =
  | { readonly kind: 'count'; readonly keepCount: number }
  | { readonly kind: 'days'; readonly keepDays: number };

/** When a policy runs, and in which zone its days are counted. */
export type Schedule = {
  /** Comma-separated full hours in UTC as they were given, ascending by local time: `22:00,00:00,02:00`. */
  readonly startTime: string;
  /** `UTC+02:00`; a fixed offset. */
  readonly timeZone: string;
  readonly recurrence: Recurrence;
};

export type Policy = {
  readonly policyId: PolicyId;
  readonly projectId: ProjectId;
  /** Who made it; its backups belong to the same user. */
  readonly userId: UserId;
  readonly name: string;
  readonly isDefault: boolean;
  readonly schedule: Schedule;
  readonly retention: RetentionRule;
  readonly keepsFirstOfMonth: boolean;
  /** `ON`. */
  readonly isEnabled: boolean;
  readonly tags: readonly Tag[];
  readonly volumeCount: number;
  /** The due time that nobody has claimed yet; null while the policy is off. */
  readonly nextRunAt: number | null;
  readonly createdAt: number;
  readonly updatedAt: number | null;
};

/** Contract 5.5. */
export const TASK_STATUSES = [
  'WAITING',
  'RUNNING',
  'EXECUTE_SUCCESS',
  'EXECUTE_FAIL',
  'EXECUTE_TIMEOUT',
  'SKIP',
] as const;
export type TaskStatus = (typeof TASK_STATUSES)[number];

/** One volume's part of one run of a policy. */
export type Task = {
  readonly taskId: TaskId;
  readonly projectId: ProjectId;
  readonly policyId: PolicyId;
  readonly volumeId: VolumeId;
  readonly status: TaskStatus;
  /** The full hour that was due; null when somebody asked for the run. */
  readonly dueAt: number | null;
  /** Null for tasks that never began a backup; likewise the two ids. */
  readonly backupName: string | null;
  readonly backupId: BackupId | null;
  readonly jobId: JobId | null;
  /** A code of core/errors.ts. */
  readonly errorCode: string | null;
  readonly message: string | null;
  readonly createdAt: number;
  /** Not before: start jitter. */
  readonly runAfter: number;
  readonly finishedAt: number | null;
};

/** A volume in a policy. */
export type PolicyVolume = { readonly volume: Volume; readonly associatedAt: number };
