// What goes into the records and how lists are asked for. Resources themselves are those of core/model.ts.
import type { BackupId, JobId, PolicyId, ProjectId, SnapshotId, UserId, VolumeId, VolumeTypeId } from '../core/ids.ts';
import type { JobClaim, RecordReference } from '../core/ledger.ts';
import type {
  Attachment,
  Backup,
  BackupStatus,
  Dialect,
  Job,
  JobKind,
  JobStatus,
  Project,
  QuotaResource,
  Role,
  Snapshot,
  SourceVolume,
  Tag,
  User,
  Volume,
  VolumeType,
} from '../core/model.ts';
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
  readonly sourceVolume: SourceVolume;
  /** Known beforehand for backups of snapshots; the commit says when the data was frozen. */
  readonly dataTimestampAt?: number | undefined;
  /** What an increment is expected to be made on; the commit says what it was made on. */
  readonly parentId?: BackupId | undefined;
  /** The record that an imported backup stands on. */
  readonly imported?: RecordReference & { readonly recordSha256: Uint8Array };
  readonly createdAt: number;
};

/** What the record of an imported backup says of it. */
export type ImportedDescription = {
  readonly volumeId: VolumeId;
  readonly parentId: BackupId | null;
  readonly isIncremental: boolean;
  readonly consistency: NonNullable<Backup['consistency']>;
  readonly objectCount: number;
  readonly storedBytes: number;
  readonly dataTimestampAt: number;
  readonly updatedAt: number;
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
  readonly statusLike?: string | undefined;
  readonly descriptionLike?: string | undefined;
  readonly createdAt?: TimeFilter | undefined;
  readonly updatedAt?: TimeFilter | undefined;
};

export type TimeComparison = 'eq' | 'neq' | 'gt' | 'gte' | 'lt' | 'lte';
/** All of them must hold. Epoch ms. */
export type TimeFilter = readonly { readonly comparison: TimeComparison; readonly at: number }[];

export type VolumeTotals = { readonly count: number; readonly sizeGib: number };

/** Nobody has told a new volume to be read-only, nor anything of its image. */
export type NewVolume = Omit<Volume, 'updatedAt' | 'isReadonly' | 'imageMetadata'>;

/** Values that are present are written; `undefined` leaves a column alone. */
export type VolumeChanges = Partial<{
  readonly [Key in keyof Omit<Volume, 'volumeId' | 'projectId' | 'createdAt'>]: Volume[Key] | undefined;
}>;

export type SnapshotSortKey = 'id' | 'name' | 'status' | 'size' | 'createdAt' | 'updatedAt' | 'volumeId';

export type SnapshotFilter = {
  readonly projectId?: ProjectId | undefined;
  readonly name?: string | undefined;
  readonly status?: string | undefined;
  readonly volumeId?: string | undefined;
  readonly availabilityZone?: string | undefined;
  /** Substrings, case-sensitive. */
  readonly nameLike?: string | undefined;
  readonly statusLike?: string | undefined;
  readonly volumeIdLike?: string | undefined;
  /** Every pair must be in the snapshot's metadata. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
};

/** A snapshot as it is accepted: `creating`, without anything at the driver yet. */
export type NewSnapshot = Omit<
  Snapshot,
  'status' | 'source' | 'consistency' | 'frozenAt' | 'progressPercent' | 'updatedAt'
>;

export type SnapshotChanges = Partial<{
  readonly [Key in
    | 'name'
    | 'description'
    | 'status'
    | 'source'
    | 'consistency'
    | 'frozenAt'
    | 'progressPercent'
    | 'metadata'
    | 'updatedAt']: Snapshot[Key] | undefined;
}>;

export type AttachmentSortKey = 'id' | 'createdAt';
export type AttachmentFilter = {
  readonly projectId?: ProjectId | undefined;
  readonly volumeId?: string | undefined;
  readonly serverId?: string | undefined;
  readonly status?: string | undefined;
};
export type NewAttachment = Omit<Attachment, 'updatedAt'>;
export type AttachmentChanges = Partial<
  Pick<Attachment, 'hostName' | 'device' | 'mode' | 'status' | 'connector' | 'attachedAt' | 'updatedAt'>
>;

export type VolumeTypeSortKey = 'id' | 'name' | 'createdAt' | 'updatedAt';
export type VolumeTypeFilter = {
  readonly isPublic?: boolean | undefined;
  /** Public ones and those that the project was given access to. */
  readonly visibleTo?: ProjectId | undefined;
};
export type VolumeTypeChanges = Partial<
  Pick<VolumeType, 'name' | 'description' | 'isPublic' | 'extraSpecs' | 'updatedAt'>
>;

export type MessageSortKey = 'id' | 'createdAt' | 'event' | 'resourceType' | 'resourceId';
export type MessageFilter = {
  readonly projectId: ProjectId;
  readonly event?: string | undefined;
  readonly resourceType?: string | undefined;
  readonly resourceId?: string | undefined;
};

/** A limit that somebody set; `typeId` is empty for what counts volumes of all types. */
export type SetLimit = { readonly resource: QuotaResource; readonly typeId: VolumeTypeId | ''; readonly limit: number };

/** What exists, whatever its state, and what is still being made. */
export type Counted = { readonly used: number; readonly reserved: number };

/** What a project, or one type of volumes in it, takes up. */
export type StockUsage = {
  readonly volumes: Counted;
  readonly snapshots: Counted;
  /** GiB of volumes and snapshots, each rounded up. */
  readonly gigabytes: Counted;
};

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
  | { readonly snapshotId: SnapshotId }
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
  /** Of the request that asked for it; absent for what the service does by itself. */
  readonly requestId?: string | undefined;
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
export type RoleGrant = RoleAssignment & { readonly userId: UserId };
export type RoleGrantFilter = {
  readonly userId?: UserId | undefined;
  readonly projectId?: ProjectId | undefined;
  readonly role?: Role | undefined;
};

export type NewUser = Pick<User, 'userId' | 'name' | 'domainId' | 'passwordHash' | 'isEnabled'> &
  Partial<Pick<User, 'description' | 'email' | 'defaultProjectId'>>;
/** Values that are present are written; `endsTokens` ends every token of the user. */
export type UserChanges = Partial<{
  readonly [Key in 'name' | 'passwordHash' | 'isEnabled' | 'description' | 'email' | 'defaultProjectId']:
    | User[Key]
    | undefined;
}> & { readonly endsTokens?: boolean | undefined };

export type NewProject = Omit<Project, 'isEnabled' | 'tokenGeneration'> & { readonly isEnabled?: boolean };
/** As `UserChanges`, for tokens scoped to the project. */
export type ProjectChanges = Partial<{
  readonly [Key in 'name' | 'description' | 'isEnabled']: Project[Key] | undefined;
}> & { readonly endsTokens?: boolean | undefined };

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
