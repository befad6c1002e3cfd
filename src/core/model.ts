// The resources of the service as every layer above the catalog sees them. Rows and wire shapes stay in db/ and api/.
import type {
  ApplicationCredentialId,
  AttachmentId,
  AttemptId,
  BackupId,
  JobId,
  MessageId,
  PolicyId,
  ProjectId,
  SharingId,
  SnapshotId,
  TaskId,
  UserId,
  VolumeId,
  VolumeTypeId,
} from './ids.ts';

export const ROLES = ['admin', 'member', 'reader'] as const;
export type Role = (typeof ROLES)[number];

export type Project = {
  readonly projectId: ProjectId;
  readonly name: string;
  readonly domainId: string;
  readonly description: string;
  readonly createdAt: number;
  readonly isEnabled: boolean;
  /** Raised when all tokens so far must end. */
  readonly tokenGeneration: number;
};

export type User = {
  readonly userId: UserId;
  readonly name: string;
  readonly domainId: string;
  /** Empty: no password, so that nobody can log in with one. */
  readonly passwordHash: string;
  readonly isEnabled: boolean;
  readonly description: string;
  readonly email: string | null;
  readonly defaultProjectId: ProjectId | null;
  /** Raised when all tokens so far must end. */
  readonly tokenGeneration: number;
};

/** A login for a program: one user's rights in one project, or some of them, by a secret of its own. */
export type ApplicationCredential = {
  readonly credentialId: ApplicationCredentialId;
  readonly userId: UserId;
  readonly projectId: ProjectId;
  readonly name: string;
  readonly description: string | null;
  readonly secretHash: string;
  readonly roles: readonly Role[];
  /** Its tokens may make and delete application credentials. */
  readonly isUnrestricted: boolean;
  readonly expiresAt: number | null;
  readonly createdAt: number;
};

/** A key that tokens are signed with. */
export type TokenKey = {
  readonly keyId: string;
  readonly secret: Uint8Array;
  readonly createdAt: number;
  /** No token that it signed expires later. */
  readonly keepUntil: number;
};

/** Contract 5.2; this program enters only some of them by itself, a client may set others. */
export type VolumeStatus =
  | 'creating'
  | 'available'
  | 'reserved'
  | 'attaching'
  | 'in-use'
  | 'detaching'
  | 'maintenance'
  | 'backing-up'
  | 'restoring-backup'
  | 'extending'
  | 'reverting'
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
  /** It may be attached for reading only; null = nobody has said. Restores are not bound by it. */
  readonly isReadonly: boolean | null;
  /** What clients note about the system on a boot disk; without meaning here. */
  readonly imageMetadata: Readonly<Record<string, string>>;
  /** What the volume was made from: at most one of the three. The source may be gone since. */
  readonly sourceBackupId: BackupId | null;
  readonly sourceSnapshotId: SnapshotId | null;
  readonly sourceVolumeId: VolumeId | null;
  readonly createdAt: number;
  readonly updatedAt: number | null;
};

/** Contract 3.26. This program enters the first seven by itself; an admin may set others. */
export const SNAPSHOT_STATUSES = [
  'creating',
  'available',
  'backing-up',
  'restoring',
  'deleting',
  'error',
  'error_deleting',
  'deleted',
  'updating',
  'unmanaging',
] as const;
export type SnapshotStatus = (typeof SNAPSHOT_STATUSES)[number];

/** A point in time of a volume, kept by the driver beside it. Its bytes never change. */
export type Snapshot = {
  readonly snapshotId: SnapshotId;
  readonly projectId: ProjectId;
  readonly userId: UserId;
  readonly volumeId: VolumeId;
  readonly name: string | null;
  readonly description: string | null;
  readonly status: SnapshotStatus;
  /** Exact size of the volume when the snapshot was taken. */
  readonly sizeBytes: number;
  readonly driver: Volume['driver'];
  /** The driver's reference; empty until the snapshot is whole. */
  readonly source: string;
  /** What can be relied on for its bytes; null until it is whole. */
  readonly consistency: 'snapshot' | 'quiescent' | 'fuzzy' | null;
  /** When its bytes were frozen; null until it is whole. */
  readonly frozenAt: number | null;
  readonly progressPercent: number;
  /** As the volume was then: volumes made from the snapshot take these over. */
  readonly isBootable: boolean;
  readonly volumeType: string;
  readonly availabilityZone: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly updatedAt: number | null;
};

/** `attaching` and `attached` follow `reserved` once somebody has said who attaches the disk, and that it is done. */
export const ATTACHMENT_STATUSES = ['reserved', 'attaching', 'attached', 'detaching'] as const;
export type AttachmentStatus = (typeof ATTACHMENT_STATUSES)[number];

/** Who uses a volume, or is about to. The disk itself is opened by whoever attaches it, not here. */
export type Attachment = {
  readonly attachmentId: AttachmentId;
  readonly volumeId: VolumeId;
  readonly projectId: ProjectId;
  /** Compute's id of the server, when a server attaches it. */
  readonly serverId: string | null;
  readonly hostName: string | null;
  /** `/dev/vdb`: where the server sees it. */
  readonly device: string | null;
  readonly mode: 'rw' | 'ro' | null;
  readonly status: AttachmentStatus;
  /** What the client told about its host; null until it has. */
  readonly connector: Readonly<Record<string, unknown>> | null;
  readonly createdAt: number;
  readonly updatedAt: number | null;
  readonly attachedAt: number | null;
};

/** A kind of volume that users choose by name. */
export type VolumeType = {
  readonly typeId: VolumeTypeId;
  readonly name: string;
  readonly description: string | null;
  /** Otherwise only projects that were given access, and admins, may use it. */
  readonly isPublic: boolean;
  readonly extraSpecs: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly updatedAt: number | null;
};

/** The parts of the service that clients list by the names of Cinder's processes. */
export const SERVICE_NAMES = ['cinder-backup', 'cinder-scheduler', 'cinder-volume'] as const;
export type ServiceName = (typeof SERVICE_NAMES)[number];

export type ServiceState = {
  readonly service: ServiceName;
  readonly host: string;
  readonly isDisabled: boolean;
  readonly disabledReason: string | null;
  readonly updatedAt: number;
};

/** What is limited for a project (contract 3.27, 5.12). */
export const QUOTA_RESOURCES = [
  'volumes',
  'snapshots',
  'gigabytes',
  'perVolumeGigabytes',
  'backups',
  'backupGigabytes',
  'groups',
] as const;
export type QuotaResource = (typeof QUOTA_RESOURCES)[number];
/** -1 = unlimited. */
export type QuotaLimits = Readonly<Record<QuotaResource, number>>;

/** A note to the users of a project about something that failed after it had been accepted. */
export type Message = {
  readonly messageId: MessageId;
  readonly projectId: ProjectId;
  /** Kind of the job that failed, or `schedule-volume`. */
  readonly event: string;
  readonly resourceType: 'VOLUME' | 'VOLUME_SNAPSHOT' | 'VOLUME_BACKUP';
  readonly resourceId: string;
  /** A code of core/errors.ts. */
  readonly errorCode: string;
  readonly detail: string;
  readonly jobId: JobId | null;
  /** Of the request that asked for what failed; null when the service did it by itself. */
  readonly requestId: string | null;
  readonly createdAt: number;
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

/** What a backup keeps of its volume besides the bytes. */
export type SourceVolume = {
  readonly isBootable: boolean;
  readonly metadata: Readonly<Record<string, string>>;
};

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
  /** Whose record holds the data: its own, or that of another backup for one that was imported. */
  readonly recordBackupId: BackupId;
  /** What the volume was, for a restore to a new one. */
  readonly sourceVolume: SourceVolume;
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

export type JobKind =
  | 'backup'
  | 'delete-backup'
  | 'restore'
  | 'export'
  | 'verify'
  | 'import-backup'
  | 'delete-volume'
  | 'create-snapshot'
  | 'delete-snapshot'
  | 'copy-volume'
  | 'revert-volume';
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
