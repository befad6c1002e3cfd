// What the engine asks of the catalog (src/engine/README.md): rows before bytes, uses and pins before reading what
// others own. Every call is one short transaction under the row lock of the project, fenced by the job's attempt: when
// a newer attempt has taken the job, or the job has ended, the call throws JOB_FENCED and changes nothing.
import type { AttemptId, BackupId, CatalogId, JobId, KeyId, ObjectId, PackId, ProjectId, VolumeId } from './ids.ts';

/** A worker's right to act for a job. */
export type JobClaim = { readonly jobId: JobId; readonly attempt: number; readonly projectId: ProjectId };

/** `data` packs hold chunks, `page` packs hold manifest pages. */
export type PackKind = 'data' | 'page';

export type PackLocation = {
  readonly packId: PackId;
  readonly kind: PackKind;
  /** The current stored version. */
  readonly objectId: ObjectId;
};

/** Bitmaps have one bit a slot, least significant bit of byte 0 first; null or short means zeros. */
export type PackUse = PackLocation & { readonly condemned: Uint8Array | null; readonly bad: Uint8Array | null };

/** A committed backup, as a reader needs it. `projectId` is the owner's. */
export type CommittedBackup = {
  readonly backupId: BackupId;
  readonly projectId: ProjectId;
  readonly attemptId: AttemptId;
  readonly recordSha256: Uint8Array;
};

/** A hook: first 8 bytes of HMAC(hook key, chunk digest), as 16 hex digits. */
export type Hook = string;

export type PackLedger = {
  /**
   * Begins an attempt at a backup: notes the attempt id (it names the record), and pins the parent that an earlier
   * attempt chose, or else the newest committed, available, undamaged backup of the volume when `isIncremental`.
   */
  beginBackup(
    claim: JobClaim,
    backup: { backupId: BackupId; volumeId: VolumeId; attemptId: AttemptId; isIncremental: boolean },
  ): Promise<{ parent: CommittedBackup | undefined }>;
  /** Pins a committed backup for reading. Undefined when it is not (or no longer) restorable. */
  pinBackup(claim: JobClaim, backupId: BackupId): Promise<CommittedBackup | undefined>;
  /** Enters pack rows in state `writing`, owned by the job. */
  reservePacks(claim: JobClaim, packs: readonly PackLocation[]): Promise<void>;
  /** Packs that earlier attempts of this job reserved; their objects may or may not exist. */
  listOwnPacks(claim: JobClaim): Promise<readonly PackLocation[]>;
  /** Enters a use of another job's pack; undefined when it is not live or closed to new uses. */
  usePack(claim: JobClaim, packId: PackId): Promise<PackUse | undefined>;
  /** Live packs that hold chunks with these hooks, at most HOOK_PACK_MAX each, newest first. */
  findPacksByHooks(projectId: ProjectId, hooks: readonly Hook[]): Promise<ReadonlyMap<Hook, readonly PackId[]>>;
  /** Current objects of packs, condemned and bad slots included; unknown packs are left out. */
  locatePacks(projectId: ProjectId, packIds: readonly PackId[]): Promise<readonly PackUse[]>;
};

/** What the commit of a backup makes known (ARCHITECTURE.md). */
export type BackupCommit = {
  readonly backupId: BackupId;
  readonly attemptId: AttemptId;
  readonly recordSha256: Uint8Array;
  readonly parentId: BackupId | undefined;
  readonly isIncremental: boolean;
  readonly sizeBytes: number;
  readonly storedBytes: number;
  readonly objectCount: number;
  readonly consistency: 'snapshot' | 'quiescent' | 'fuzzy';
  readonly dataTimestampAt: number;
  /** The job's packs that the manifest refers to, of whichever attempt; the job's other packs are retired. */
  readonly packs: readonly { readonly packId: PackId; readonly slotCount: number; readonly storedBytes: number }[];
  /** Other jobs' packs that were deduplicated against: their uses must still be there. */
  readonly usedPackIds: readonly PackId[];
  /** State of the disk that the next backup may compare extents with, as its driver describes it. */
  readonly baseline?: { readonly driver: string; readonly state: Readonly<Record<string, unknown>> } | undefined;
};

/** A wrapped key as it is kept in the catalog too (docs/repository-format.md, "Keys"). */
export type WrappedKeyRow = {
  readonly keyId: KeyId;
  readonly projectId: ProjectId | null;
  readonly wrapped: Uint8Array;
};

/** The part of the catalog that says who may delete in a project's part of the store, and since when. */
export type EpochState = { readonly catalogId: CatalogId; readonly epoch: number };

export type TrashItem = { readonly trashId: number; readonly projectId: ProjectId; readonly objectName: string };

export type KeyLedger = {
  catalogId(): Promise<CatalogId>;
  listKeys(): Promise<readonly WrappedKeyRow[]>;
  saveKey(row: WrappedKeyRow): Promise<void>;
  /** Undefined until `startEpoch`: the project has nothing in the store. */
  readEpoch(projectId: ProjectId): Promise<EpochState | undefined>;
  /** Notes that the project's key and epoch object are in the store. Harmless twice. */
  startEpoch(projectId: ProjectId): Promise<EpochState>;
  /** Raises the epoch of the catalog by one and returns it; the store's follows. */
  raiseEpoch(projectId: ProjectId): Promise<EpochState>;
};

export type TrashLedger = {
  /**
   * Names that may be deleted now, records first: nothing else is listed while a record of the project is still to be
   * deleted. Names deleted once and due for their second deletion (a late PUT) are listed too.
   */
  listTrash(projectId: ProjectId, limit: number, nowAt: number): Promise<readonly TrashItem[]>;
  /** The names are durably gone: a first deletion is noted (and repeated a day later), a second removes the row. */
  confirmTrash(items: readonly TrashItem[], nowAt: number): Promise<void>;
  listProjectsWithTrash(nowAt: number): Promise<readonly ProjectId[]>;
};
