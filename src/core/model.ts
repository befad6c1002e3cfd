// The resources of the service as every layer above the catalog sees them. Rows and wire shapes stay in db/ and api/.
import type { AttemptId, BackupId, JobId, ProjectId, SnapshotId, UserId, VolumeId } from './ids.ts';

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
