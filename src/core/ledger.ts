// What the engine asks of the catalog (src/engine/README.md): rows before bytes, uses and pins before reading what
// others own. Every call is one short transaction under the row lock of the project, fenced by the job's attempt: when
// a newer attempt has taken the job, or the job has ended, the call throws JOB_FENCED and changes nothing.
import type {
  AttemptId,
  BackupId,
  CatalogId,
  JobId,
  KeyId,
  ObjectId,
  PackId,
  PolicyId,
  ProjectId,
  SnapshotId,
  UserId,
  VolumeId,
} from './ids.ts';

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
  /** Whose record it is: an imported backup stands on the record of another one (src/engine/README.md). */
  readonly recordBackupId: BackupId;
  readonly projectId: ProjectId;
  readonly attemptId: AttemptId;
  readonly recordSha256: Uint8Array;
};

/** A record in the part of the repository that belongs to a project. */
export type RecordReference = { readonly recordBackupId: BackupId; readonly attemptId: AttemptId };

/** State of a disk at a backup, as its driver describes it; opaque to everyone else. */
export type BaselineState = { readonly driver: string; readonly state: Readonly<Record<string, unknown>> };

/** A hook: first 8 bytes of HMAC(hook key, chunk digest), as 16 hex digits. */
export type Hook = string;

export type PackLedger = {
  /**
   * Begins an attempt at a backup: notes the attempt id (it names the record), and pins the parent that an earlier
   * attempt chose, or else the committed, available, undamaged backup of the volume with the newest data when
   * `isIncremental`; only data older than `parentBefore` counts, where it is given. `baseline` is the volume's, and
   * only when it was made for this very parent.
   */
  beginBackup(
    claim: JobClaim,
    backup: {
      backupId: BackupId;
      volumeId: VolumeId;
      attemptId: AttemptId;
      isIncremental: boolean;
      parentBefore?: number | undefined;
    },
  ): Promise<{ parent: CommittedBackup | undefined; baseline?: BaselineState | undefined }>;
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
  /** Packs with slots that were found bad; nearly always none. */
  listDamagedPacks(projectId: ProjectId): Promise<readonly PackId[]>;
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
  readonly baseline?: BaselineState | undefined;
  /** When the record was sealed, epoch ms: the backup shows it as its last change, so that a rebuild can too. */
  readonly recordedAt?: number | undefined;
};

/** Who asked for a backup, and how: what neither its data nor its volume says. */
export type BackupOrigin = {
  readonly userId: UserId;
  /** The policy that made it; null: made by hand. */
  readonly policyId: PolicyId | null;
  readonly dialect: 'vbs' | 'native';
  readonly container: string | null;
  readonly availabilityZone: string | null;
  /** The user's snapshot that was backed up instead of the volume. */
  readonly snapshotId: SnapshotId | null;
  readonly isIncrementalRequested: boolean;
};

/** A wrapped key as it is kept in the catalog too (docs/repository-format.md, "Keys"). */
export type WrappedKeyRow = {
  readonly keyId: KeyId;
  readonly projectId: ProjectId | null;
  readonly wrapped: Uint8Array;
};

/** What became of forgetting a project: jobs in the way, or done. */
export type DestructionOutcome = { readonly openJobCount: number } | { readonly backupCount: number };

/** The part of the catalog that says who may delete in a project's part of the store, and since when. */
export type EpochState = { readonly catalogId: CatalogId; readonly epoch: number };

export type TrashItem = { readonly trashId: number; readonly projectId: ProjectId; readonly objectName: string };

export type KeyLedger = {
  catalogId(): Promise<CatalogId>;
  /** In the order in which they were first saved: a project's last one is for writing. */
  listKeys(): Promise<readonly WrappedKeyRow[]>;
  /** A key that is known already gets its new wrapping, and keeps its place in the order. */
  saveKey(row: WrappedKeyRow): Promise<void>;
  /** Saves the first master key of a repository, unless there is one: of two creations at once, one wins. */
  claimRepository(row: WrappedKeyRow): Promise<{ readonly isFirst: boolean }>;
  deleteKeys(keyIds: readonly KeyId[]): Promise<void>;
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
  /**
   * To be called before anything of a list is deleted, with the epoch checked: answers those that are still in the
   * trash. Up to here a deletion can be called off, from here on it cannot.
   */
  takeTrash(projectId: ProjectId, items: readonly TrashItem[]): Promise<readonly TrashItem[]>;
  /** The names are durably gone: a first deletion is noted (and repeated a day later), a second removes the row. */
  confirmTrash(items: readonly TrashItem[], nowAt: number): Promise<void>;
  listProjectsWithTrash(nowAt: number): Promise<readonly ProjectId[]>;
};

/** A backup whose slots must stay, whatever its status: committed until its record is confirmed deleted, or pinned. */
export type RootBackup = CommittedBackup & {
  readonly volumeId: VolumeId;
  /** Its record is in the trash: it may be gone at any moment, and then this is a root no more. */
  readonly isBeingDeleted: boolean;
};

/** Names one record in the store: by the backup that it was written for, where that is another one. */
export type RecordRef = {
  readonly backupId: BackupId;
  readonly attemptId: AttemptId;
  readonly recordBackupId?: BackupId;
};

/** A `live` pack as prune sees it. */
export type LivePack = PackUse & {
  /** Order of reservation: the cursor of listings. */
  readonly packNumber: number;
  /** Slots ever given, present or not. */
  readonly slotCount: number;
  /** Slots that the current object no longer has: earlier compactions left them out. */
  readonly droppedCount: number;
  /** Of the current object. */
  readonly storedBytes: number;
  /** Some job takes chunks from it. */
  readonly isInUse: boolean;
  /** Nobody may enter a new use. */
  readonly isClosed: boolean;
};

export type CondemnRequest = {
  /** Attempts of all backups whose slots are in the marks. */
  readonly markedAttemptIds: ReadonlySet<AttemptId>;
  readonly packs: readonly {
    readonly packId: PackId;
    /** Slots that some root leads to. Bitmap. */
    readonly marked: Uint8Array | null;
    /** Worth it: when it is in use, it takes no new uses from now on, so that it cannot escape for ever. */
    readonly closesWhenUsed: boolean;
  }[];
};

export type CondemnOutcome =
  /** Nothing was changed: these are roots and not marked. Mark them and come again. */
  | { readonly status: 'roots-unmarked'; readonly roots: readonly RootBackup[] }
  /** Nothing was changed: the project was adopted a short time ago. */
  | { readonly status: 'quarantined'; readonly untilAt: number }
  | {
      readonly status: 'done';
      /** Slots that were not condemned before. */
      readonly condemnedCount: number;
      readonly retired: readonly { readonly packId: PackId; readonly storedBytes: number }[];
      /** Packs that somebody uses: for the next prune. */
      readonly passedOver: readonly PackId[];
    };

/** What a compaction works on, as its first transaction found it. */
export type CompactionStart = PackUse & { readonly nextObjectId: ObjectId };

export type CompactionResult = {
  readonly packId: PackId;
  readonly objectId: ObjectId;
  readonly nextObjectId: ObjectId;
  /** Slots that the next object holds. */
  readonly presentCount: number;
  readonly storedBytes: number;
  /** Slots that were bad and got their contents back. Bitmap. */
  readonly healed?: Uint8Array | undefined;
};

/**
 * Prune (src/engine/README.md). No job and no fence: any number of prunes may run, at any age, since each transaction
 * decides by what it finds under the row lock of the project.
 */
export type PruneLedger = {
  listRoots(projectId: ProjectId): Promise<readonly RootBackup[]>;
  /**
   * Which records of a listing the catalog does not know: they are roots. Those that it knows to be of no use (a
   * failed attempt that turned up again) go into the trash in the same transaction, unless it is a dry run.
   */
  reviewRecords(
    projectId: ProjectId,
    records: readonly RecordRef[],
    options: { readonly isDryRun: boolean },
  ): Promise<{ unknown: readonly RecordRef[] }>;
  /** Those of the names of packs' objects that no row speaks of. */
  findUnnamed(projectId: ProjectId, objectNames: readonly string[]): Promise<readonly string[]>;
  /** Gives up a record that the catalog does not know: it goes into the trash. False, and nothing, when it is known. */
  giveUpRecord(projectId: ProjectId, record: RecordRef): Promise<boolean>;
  /** Live packs with a number above `afterNumber`, in order of their numbers. */
  listLivePacks(projectId: ProjectId, afterNumber: number, limit: number): Promise<readonly LivePack[]>;
  /** One transaction: checks that every root is marked, then condemns what is not marked in packs without uses. */
  condemnSlots(projectId: ProjectId, request: CondemnRequest, nowAt: number): Promise<CondemnOutcome>;
  /**
   * Puts a stored version of a pack that no row names into the trash, if `objectId` is still the current object of its
   * pack, live, without bad slots, and read as a whole since it became that; never in the quarantine.
   */
  retireSpare(projectId: ProjectId, spare: PackLocation, objectId: ObjectId, nowAt: number): Promise<boolean>;
  /** Instant until which nothing may be condemned, if it is ahead. */
  readQuarantine(projectId: ProjectId): Promise<number | undefined>;
  /** Compactions that were cut short: what they may have written goes into the trash. */
  dropCompactions(projectId: ProjectId): Promise<void>;
  /** Draws the name of the next object and copies `condemned`. Undefined when the pack is not live. */
  beginCompaction(projectId: ProjectId, packId: PackId, nextObjectId: ObjectId): Promise<CompactionStart | undefined>;
  /**
   * Makes the next object current and puts the old one into the trash, if both are still those of the start; else the
   * next one goes there. Tells which.
   */
  finishCompaction(projectId: ProjectId, result: CompactionResult): Promise<boolean>;
  /** The next object will not be: its name goes into the trash. Harmless twice. */
  abandonCompaction(
    projectId: ProjectId,
    compaction: { readonly packId: PackId; readonly nextObjectId: ObjectId },
  ): Promise<void>;
};

/** A pack that a record refers to, as its object in the store has it. */
export type AdoptedPack = PackLocation & {
  readonly slotCount: number;
  readonly presentCount: number;
  readonly storedBytes: number;
  /** Slots that the record leads to. Bitmap. */
  readonly needed: Uint8Array;
  /** Current object of the pack's row, when it lacks some of them and this one is to take its place. */
  readonly replacedObjectId?: ObjectId | undefined;
};

/** A backup that only the store knows, found whole. */
export type AdoptedBackup = {
  readonly backupId: BackupId;
  readonly attemptId: AttemptId;
  readonly recordSha256: Uint8Array;
  readonly volumeId: VolumeId;
  readonly parentId: BackupId | null;
  readonly isIncremental: boolean;
  readonly name: string | null;
  readonly description: string | null;
  readonly tags: readonly { readonly key: string; readonly value: string }[];
  readonly consistency: 'snapshot' | 'quiescent' | 'fuzzy';
  readonly sizeBytes: number;
  readonly storedBytes: number;
  readonly objectCount: number;
  readonly createdAt: number;
  readonly dataTimestampAt: number;
  /** Of the volume when it was backed up; absent in records of earlier versions. */
  readonly isVolumeBootable?: boolean | undefined;
  readonly volumeMetadata?: Readonly<Record<string, string>> | undefined;
  /** These three are absent in records of earlier versions; a label may have them. */
  readonly origin?: BackupOrigin | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly recordedAt?: number | undefined;
  /** Whose record it stands on, when that is another backup's. */
  readonly recordBackupId?: BackupId | undefined;
  /** Of both kinds; those that the catalog has rows of too. */
  readonly packs: readonly AdoptedPack[];
};

/** Taking over a part of the store that this catalog does not know all of (src/engine/README.md). */
export type AdoptionLedger = {
  /** Nothing is condemned in the project before this instant. Never shortens what was said before. */
  quarantine(projectId: ProjectId, untilAt: number): Promise<void>;
  /**
   * Makes `to` the current object of a live pack whose row still names `fromObjectId`, which is gone from the store.
   * False, and nothing changed, when it does not, or when `to` is in the trash. `fromTrash`: it is taken out of there;
   * only while the epoch keeps every sweep from running.
   */
  repairPack(
    projectId: ProjectId,
    fromObjectId: ObjectId,
    to: PackLocation & { readonly presentCount: number; readonly storedBytes: number },
    options?: { readonly fromTrash: boolean },
  ): Promise<boolean>;
  /**
   * One transaction: rows of packs that have none, and the backup, available. A text, and nothing changed, when it
   * cannot be: it says why.
   */
  adoptBackup(
    projectId: ProjectId,
    backup: AdoptedBackup,
    options: {
      /**
       * This catalog was set back, or others worked without it: what it thinks unfinished or failed may have been
       * committed, and what it condemned, retired or put into the trash may have been used again. Only while the epoch
       * keeps every sweep from running: all that the backup needs is live again, condemned no more and no trash.
       */
      readonly isSetBack: boolean;
      readonly nowAt: number;
    },
  ): Promise<string | undefined>;
  /** Those of the records whose attempts are known and did not commit, so far as this catalog knows. */
  findUncommitted(projectId: ProjectId, records: readonly RecordRef[]): Promise<readonly RecordRef[]>;
  /** The backup cannot be restored: `error` with this reason. It stays a root until it is deleted. */
  markUnreadable(projectId: ProjectId, backupId: BackupId, reason: string): Promise<void>;
  /** Raises the epoch above both the catalog's and `storedEpoch`. */
  takeOverEpoch(projectId: ProjectId, storedEpoch: number): Promise<EpochState>;
  /** What was changed of backups after they were made, where the catalog has nothing newer; answers how many. */
  applyLabels(projectId: ProjectId, labels: readonly BackupLabel[]): Promise<number>;
};

/** What a record does not say of its backup, or not as it is now (docs/repository-format.md, "Labels"). */
export type BackupLabel = {
  readonly backupId: BackupId;
  /** From 1; a higher one replaces a lower one. */
  readonly revision: number;
  readonly name: string | null;
  readonly description: string | null;
  readonly tags: readonly { readonly key: string; readonly value: string }[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Absent in labels of earlier versions, as the next. */
  readonly origin?: BackupOrigin | undefined;
  /** When the backup was last changed, epoch ms. */
  readonly updatedAt?: number | null | undefined;
  /** The record that an imported backup stands on, and when it was imported. */
  readonly imported?: (RecordReference & { readonly createdAt: number }) | undefined;
};

/** Labels that changed in the catalog and are to be written to the store. */
export type LabelLedger = {
  /** Of committed backups that are not being deleted. */
  listUnsavedLabels(limit: number): Promise<readonly { readonly projectId: ProjectId; readonly backupId: BackupId }[]>;
  /** Undefined when nothing of the backup is to be written. */
  readUnsavedLabel(projectId: ProjectId, backupId: BackupId): Promise<BackupLabel | undefined>;
  /** The label is durable with this revision. */
  confirmLabel(projectId: ProjectId, backupId: BackupId, revision: number): Promise<void>;
};

/** What a rebuild enters into an empty catalog; every call may run again, and enters only what is missing. */
export type RebuildLedger = {
  /** All of them in one transaction, in this order. */
  enterKeys(rows: readonly WrappedKeyRow[]): Promise<void>;
  /** Live packs. */
  enterPacks(projectId: ProjectId, packs: readonly Omit<AdoptedPack, 'needed'>[]): Promise<void>;
  /** As after a commit: derived data. */
  addHooks(projectId: ProjectId, hooks: readonly { readonly hook: Hook; readonly packId: PackId }[]): Promise<void>;
  /** Available backups; answers the attempts that are entered now, by this call or an earlier one. */
  enterBackups(projectId: ProjectId, backups: readonly Omit<AdoptedBackup, 'packs'>[]): Promise<readonly AttemptId[]>;
  /** Every backup of the project. */
  listEntered(
    projectId: ProjectId,
  ): Promise<readonly (RecordRef & { readonly parentId: BackupId | null; readonly recordSha256: Uint8Array })[]>;
};

/** What a reading of one object of a pack came to. */
export type PackFinding = {
  readonly packId: PackId;
  /** The object that was read. */
  readonly objectId: ObjectId;
  /** Slots that were read and have their digests. Bitmap. */
  readonly sound: Uint8Array;
  /** Slots that cannot be had. Bitmap. */
  readonly bad: Uint8Array;
  /** Set when all of the object was read. */
  readonly verifiedAt?: number | undefined;
};

export type BackupFinding = RecordRef &
  (
    | { readonly isSound: false; readonly reason: string }
    /** `reached`: every slot that the backup leads to was read and is sound. Bitmaps. */
    | { readonly isSound: true; readonly reached: Iterable<readonly [PackId, Uint8Array]> }
  );

/** How far verification has come in a project. */
export type VerificationState = {
  readonly packCount: number;
  readonly storedBytes: number;
  /** Packs that were not verified since they were written by an older version of this program. */
  readonly neverVerifiedCount: number;
  /** Of the pack that waits longest; undefined without packs. */
  readonly oldestVerifiedAt: number | undefined;
  readonly damagedPackCount: number;
};

/** Verification (src/engine/README.md). No job and no fence: each transaction decides by what it finds. */
export type VerifyLedger = {
  /** Live packs that nobody has verified, written or distrusted since `beforeAt`, those that wait longest first. */
  listPacksToVerify(projectId: ProjectId, beforeAt: number, limit: number): Promise<readonly LivePack[]>;
  /** Marks bad slots and clears those that are sound. False, and nothing changed, when the object is not current. */
  noteFinding(projectId: ProjectId, finding: PackFinding): Promise<boolean>;
  /**
   * Marks a backup damaged, or takes the mark off. False, and nothing changed, when another attempt is committed, the
   * backup is gone, or one that is called sound leads to a slot that is bad by now.
   */
  noteBackup(projectId: ProjectId, finding: BackupFinding, nowAt: number): Promise<boolean>;
  /** Committed backups that are marked. */
  listDamagedBackups(projectId: ProjectId): Promise<readonly (RootBackup & { readonly reason: string })[]>;
  readVerification(projectId: ProjectId): Promise<VerificationState>;
};
