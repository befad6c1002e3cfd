// What goes into the records and how lists are asked for. Resources themselves are those of core/model.ts.
import type { BackupId, JobId, PolicyId, ProjectId, SnapshotId, UserId, VolumeId } from '../core/ids.ts';
import type { JobClaim } from '../core/ledger.ts';
import type { BackupStatus, Dialect, Job, JobKind, JobStatus, Role, Tag, Volume } from '../core/model.ts';
import type { TagSearch } from '../core/tag-search.ts';

export type SortDirection = 'asc' | 'desc';

export type ListPage<Key extends string> = {
  /** 0 answers an empty page; at most LIST_LIMIT_MAX. */
  readonly limit: number;
  readonly offset?: number | undefined;
  /** The page starts after this item; `offset` then counts from there. */
  readonly markerId?: string | undefined;
  /** Default: newest first. Ties are broken by id in the direction of the last key. */
  readonly sort?: readonly { readonly key: Key; readonly direction: SortDirection }[] | undefined;
  /** Count all matches before paging too. */
  readonly withTotalCount?: boolean | undefined;
};

/** `totalCount` only when it was asked for. */
export type ListResult<Item> = { readonly items: readonly Item[]; readonly totalCount?: number };

export type BackupSortKey =
  | 'id'
  | 'name'
  | 'status'
  | 'size'
  | 'createdAt'
  | 'updatedAt'
  | 'volumeId'
  | 'container'
  | 'availabilityZone';

export type BackupFilter = {
  /** Absent: every project. */
  readonly projectId?: ProjectId | undefined;
  readonly name?: string | undefined;
  readonly status?: string | undefined;
  readonly volumeId?: string | undefined;
  /** Substrings, case-sensitive. */
  readonly nameLike?: string | undefined;
  readonly statusLike?: string | undefined;
  readonly volumeIdLike?: string | undefined;
  readonly tags?: TagSearch | undefined;
};

/** A backup as it is accepted: `creating`, not committed. */
export type NewBackup = {
  readonly backupId: BackupId;
  readonly projectId: ProjectId;
  readonly userId: UserId;
  readonly volumeId: VolumeId;
  readonly jobId: JobId;
  /** Absent: made by hand. */
  readonly policyId?: PolicyId | undefined;
  readonly name: string | null;
  readonly description: string | null;
  readonly dialect: Dialect;
  readonly sizeBytes: number;
  readonly container: string | null;
  readonly availabilityZone: string | null;
  readonly snapshotId: SnapshotId | null;
  readonly isIncrementalRequested: boolean;
  readonly tags: readonly Tag[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly createdAt: number;
};

/** `isDamaged`: verify or a read found it unreadable; it is no parent any more until repaired. */
export type BackupChanges = {
  readonly status?: BackupStatus | undefined;
  readonly name?: string | null | undefined;
  readonly description?: string | null | undefined;
  readonly failReason?: string | null | undefined;
  readonly sizeBytes?: number | undefined;
  readonly snapshotId?: SnapshotId | null | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly isDamaged?: boolean | undefined;
  readonly updatedAt?: number | undefined;
};

export type VolumeSortKey =
  | 'id'
  | 'name'
  | 'status'
  | 'size'
  | 'createdAt'
  | 'updatedAt'
  | 'bootable'
  | 'availabilityZone'
  | 'volumeType';

export type VolumeFilter = {
  readonly projectId?: ProjectId | undefined;
  readonly name?: string | undefined;
  readonly nameLike?: string | undefined;
  readonly status?: string | undefined;
  readonly availabilityZone?: string | undefined;
  /** Every pair must be in the volume's metadata. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly isBootable?: boolean | undefined;
  readonly sizeGib?: number | undefined;
  readonly createdAt?: number | undefined;
  readonly updatedAt?: number | undefined;
};

export type NewVolume = Omit<Volume, 'updatedAt'>;

/** Values that are present are written; `undefined` leaves a column alone. */
export type VolumeChanges = Partial<{
  readonly [Key in keyof Omit<Volume, 'volumeId' | 'projectId' | 'createdAt'>]: Volume[Key] | undefined;
}>;

export type JobFilter = {
  readonly projectId?: ProjectId | undefined;
  readonly status?: JobStatus | undefined;
  readonly kind?: JobKind | undefined;
  readonly backupId?: BackupId | undefined;
  readonly volumeId?: VolumeId | undefined;
  /** Internal kinds (`export`) are left out unless asked for here or by `kind`. */
  readonly includeInternal?: boolean | undefined;
};

/** Of one project: what it shares, or what is shared with it. */
export type SharingFilter = {
  readonly projectId: ProjectId;
  readonly isReceived: boolean;
  readonly backupId?: string | undefined;
  readonly fromProjectId?: string | undefined;
  readonly toProjectId?: string | undefined;
  /** Of the backup. */
  readonly volumeId?: string | undefined;
  readonly status?: string | undefined;
  readonly availabilityZone?: string | undefined;
  /** Substring, case-sensitive. */
  readonly nameLike?: string | undefined;
};

/** All but `id` and the times are of the backup. */
export type SharingSortKey = 'id' | 'createdAt' | 'updatedAt' | 'name' | 'status' | 'size' | 'volumeId' | 'container';

export type TraceFilter = {
  readonly projectId: ProjectId;
  readonly traceName?: string | undefined;
  readonly resourceType?: string | undefined;
  readonly resourceId?: string | undefined;
  readonly userId?: string | undefined;
};

export type TraceSortKey = 'id' | 'createdAt';

export type OpenJobQuery = { readonly projectId: ProjectId; readonly kinds: readonly JobKind[] } & (
  | { readonly backupId: BackupId }
  | { readonly volumeId: VolumeId }
);

export type JobSortKey = 'id' | 'createdAt';

export type NewJob = {
  readonly jobId: JobId;
  readonly projectId: ProjectId;
  readonly kind: JobKind;
  readonly backupId?: BackupId | null | undefined;
  readonly volumeId?: VolumeId | null | undefined;
  readonly snapshotId?: SnapshotId | null | undefined;
  readonly payload?: Readonly<Record<string, unknown>> | undefined;
  readonly createdAt: number;
};

/** Who runs a job, and until when the others believe it without a sign of life. */
export type Lease = { readonly runnerId: string; readonly leaseUntil: number };

export type TakenJob = {
  readonly job: Job;
  readonly claim: JobClaim;
  /** Failed tries so far that count towards JOB_FAILURE_MAX. */
  readonly failures: number;
  /** How often it was taken from a runner that never gave it back. */
  readonly crashes: number;
  /** Why the last try failed. */
  readonly lastError: string | null;
};

export type JobOutcome =
  | { readonly status: 'SUCCESS' }
  | { readonly status: 'FAIL'; readonly errorCode: string; readonly failReason: string };

export type RoleAssignment = { readonly projectId: ProjectId; readonly role: Role };

export type QuotaUsage = {
  /** Backups that exist and are past creation. */
  readonly usedCount: number;
  readonly usedGib: number;
  /** Backups in creation. */
  readonly reservedCount: number;
  readonly reservedGib: number;
};

export type BackupFailure = { readonly errorCode: string; readonly failReason: string };

/** What a backup's deletion has to wait for. */
export type DeletionState =
  /** Another job reads it, or its own job is still writing it: come again later. */
  | 'pinned'
  /** Its record is in the trash; it stays a root until that is confirmed (`finishDeletion`). */
  | 'trashed'
  /** It never committed, or its record is known to be gone: `finishDeletion` ends it at once. */
  | 'ready';
