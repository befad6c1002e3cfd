// The catalog as the engine sees it, in memory: for tests of the engine without a database. It keeps the rules of
// src/engine/README.md that the engine relies on; the real records are tested against the same rules in test/contract.
import { countBitmap, countCommon, subtractBitmap, uniteBitmaps, uniteWithUnmarked } from '../../src/core/bitmap.ts';
import { VbsError } from '../../src/core/errors.ts';
import {
  type AttemptId,
  type BackupId,
  type CatalogId,
  type JobId,
  type KeyId,
  newUuid,
  type ObjectId,
  type PackId,
  type ProjectId,
  type VolumeId,
} from '../../src/core/ids.ts';
import type {
  AdoptedBackup,
  AdoptionLedger,
  BackupCommit,
  BackupFinding,
  BackupLabel,
  BaselineState,
  CommittedBackup,
  CompactionResult,
  CompactionStart,
  CondemnOutcome,
  CondemnRequest,
  EpochState,
  Hook,
  JobClaim,
  KeyLedger,
  LivePack,
  PackFinding,
  PackLedger,
  PackLocation,
  PackUse,
  PruneLedger,
  RecordRef,
  RootBackup,
  TrashItem,
  TrashLedger,
  VerificationState,
  VerifyLedger,
  WrappedKeyRow,
} from '../../src/core/ledger.ts';
import { packObjectName, recordName } from '../../src/core/object-names.ts';

type PackRow = PackLocation & {
  projectId: ProjectId;
  jobId: JobId;
  state: 'writing' | 'live' | 'retired';
  packNumber: number;
  slotCount: number;
  droppedCount: number;
  storedBytes: number;
  isClosed: boolean;
  nextObjectId: ObjectId | null;
};
type BackupRow = CommittedBackup & { volumeId: VolumeId; isDeleted: boolean; sequence: number };

export class MemoryLedger implements PackLedger, KeyLedger, TrashLedger, PruneLedger, AdoptionLedger, VerifyLedger {
  readonly #catalogId = newUuid<CatalogId>();
  readonly #keys: WrappedKeyRow[] = [];
  readonly #epochs = new Map<ProjectId, number>();
  readonly packs = new Map<PackId, PackRow>();
  readonly backups = new Map<BackupId, BackupRow>();
  readonly pins = new Map<JobId, Set<BackupId>>();
  readonly uses = new Map<JobId, Set<PackId>>();
  readonly attempts = new Map<JobId, { backupId: BackupId; attemptId: AttemptId }[]>();
  readonly hooks = new Map<Hook, PackId[]>();
  readonly bad = new Map<PackId, Uint8Array>();
  readonly baselines = new Map<VolumeId, BaselineState & { readonly backupId: BackupId }>();
  readonly condemned = new Map<PackId, Uint8Array>();
  /** Jobs by the attempts that they ever began. */
  readonly #writers = new Map<AttemptId, JobId>();
  readonly labels = new Map<BackupId, BackupLabel>();
  readonly unreadable = new Map<BackupId, string>();
  /** Reasons of backups that are marked damaged. */
  readonly damaged = new Map<BackupId, string>();
  readonly verifiedAt = new Map<PackId, number>();
  /** Instants before which nothing is condemned. */
  readonly quarantines = new Map<ProjectId, number>();
  #trash: (TrashItem & { isRecord: boolean })[] = [];
  #sequence = 0;

  async catalogId(): Promise<CatalogId> {
    return this.#catalogId;
  }

  async listKeys(): Promise<readonly WrappedKeyRow[]> {
    return [...this.#keys];
  }

  async saveKey(row: WrappedKeyRow): Promise<void> {
    const index = this.#keys.findIndex(({ keyId }) => keyId === row.keyId);
    if (index === -1) this.#keys.push(row);
    else this.#keys[index] = row;
  }

  async claimRepository(row: WrappedKeyRow): Promise<{ readonly isFirst: boolean }> {
    if (this.#keys.some(({ projectId }) => projectId === null)) return { isFirst: false };
    this.#keys.push(row);
    return { isFirst: true };
  }

  async deleteKeys(keyIds: readonly KeyId[]): Promise<void> {
    const rest = this.#keys.filter(({ keyId }) => !keyIds.includes(keyId));
    this.#keys.splice(0, this.#keys.length, ...rest);
  }

  async readEpoch(projectId: ProjectId): Promise<EpochState | undefined> {
    const epoch = this.#epochs.get(projectId);
    return epoch === undefined ? undefined : { catalogId: this.#catalogId, epoch };
  }

  async startEpoch(projectId: ProjectId): Promise<EpochState> {
    const epoch = this.#epochs.get(projectId) ?? 0;
    this.#epochs.set(projectId, epoch);
    return { catalogId: this.#catalogId, epoch };
  }

  async raiseEpoch(projectId: ProjectId): Promise<EpochState> {
    const epoch = (this.#epochs.get(projectId) ?? 0) + 1;
    this.#epochs.set(projectId, epoch);
    return { catalogId: this.#catalogId, epoch };
  }

  async beginBackup(
    claim: JobClaim,
    backup: { backupId: BackupId; volumeId: VolumeId; attemptId: AttemptId; isIncremental: boolean },
  ): Promise<{ parent: CommittedBackup | undefined; baseline: BaselineState | undefined }> {
    const attempts = this.attempts.get(claim.jobId) ?? [];
    attempts.push({ backupId: backup.backupId, attemptId: backup.attemptId });
    this.#writers.set(backup.attemptId, claim.jobId);
    this.attempts.set(claim.jobId, attempts);
    const pinned = [...(this.pins.get(claim.jobId) ?? [])].map((backupId) => this.backups.get(backupId));
    const candidates = [...this.backups.values()].filter((row) => row.volumeId === backup.volumeId && !row.isDeleted);
    const newest = candidates.sort((a, b) => b.sequence - a.sequence)[0];
    const parent = pinned[0] ?? (backup.isIncremental ? newest : undefined);
    if (parent) this.pins.set(claim.jobId, new Set([parent.backupId]));
    const baseline = this.baselines.get(backup.volumeId);
    return { parent, baseline: parent && baseline?.backupId === parent.backupId ? baseline : undefined };
  }

  async pinBackup(claim: JobClaim, backupId: BackupId): Promise<CommittedBackup | undefined> {
    const row = this.backups.get(backupId);
    if (!row || row.isDeleted) return undefined;
    this.pins.set(claim.jobId, (this.pins.get(claim.jobId) ?? new Set()).add(backupId));
    return row;
  }

  async reservePacks(claim: JobClaim, packs: readonly PackLocation[]): Promise<void> {
    for (const pack of packs) {
      this.#sequence += 1;
      this.packs.set(pack.packId, {
        ...pack,
        projectId: claim.projectId,
        jobId: claim.jobId,
        state: 'writing',
        packNumber: this.#sequence,
        slotCount: 0,
        droppedCount: 0,
        storedBytes: 0,
        isClosed: false,
        nextObjectId: null,
      });
    }
  }

  async listOwnPacks(claim: JobClaim): Promise<readonly PackLocation[]> {
    return [...this.packs.values()].filter((pack) => pack.jobId === claim.jobId && pack.state === 'writing');
  }

  async usePack(claim: JobClaim, packId: PackId): Promise<PackUse | undefined> {
    const pack = this.packs.get(packId);
    if (pack?.state !== 'live' || pack.projectId !== claim.projectId) return undefined;
    if (pack.isClosed && !this.uses.get(claim.jobId)?.has(packId)) return undefined;
    this.uses.set(claim.jobId, (this.uses.get(claim.jobId) ?? new Set()).add(packId));
    return this.#use(pack);
  }

  async findPacksByHooks(projectId: ProjectId, hooks: readonly Hook[]): Promise<ReadonlyMap<Hook, readonly PackId[]>> {
    const isLive = (packId: PackId) => {
      const pack = this.packs.get(packId);
      return pack?.state === 'live' && pack.projectId === projectId && !pack.isClosed;
    };
    return new Map(hooks.map((hook) => [hook, (this.hooks.get(hook) ?? []).filter(isLive)]));
  }

  async locatePacks(projectId: ProjectId, packIds: readonly PackId[]): Promise<readonly PackUse[]> {
    return packIds.flatMap((packId) => {
      const pack = this.packs.get(packId);
      return pack && pack.projectId === projectId && pack.state !== 'retired' ? [this.#use(pack)] : [];
    });
  }

  async listDamagedPacks(projectId: ProjectId): Promise<readonly PackId[]> {
    return [...this.bad.keys()].filter((packId) => this.packs.get(packId)?.projectId === projectId);
  }

  async addHooks(_projectId: ProjectId, entries: readonly { hook: Hook; packId: PackId }[]): Promise<void> {
    for (const { hook, packId } of entries) this.hooks.set(hook, [packId, ...(this.hooks.get(hook) ?? [])].slice(0, 4));
  }

  async commitBackup(claim: JobClaim, volumeId: VolumeId, commit: BackupCommit): Promise<void> {
    const { backupId, attemptId, recordSha256 } = commit;
    const uses = this.uses.get(claim.jobId) ?? new Set();
    if (commit.usedPackIds.some((packId) => !uses.has(packId))) {
      throw new VbsError('COMMIT_CHECK_FAILED', { backupId, reason: 'a use is missing' });
    }
    const named = new Map(commit.packs.map((pack) => [pack.packId, pack]));
    for (const pack of this.packs.values()) {
      if (pack.jobId !== claim.jobId || pack.state !== 'writing') continue;
      const written = named.get(pack.packId);
      if (written) Object.assign(pack, { ...written, state: 'live' });
      else this.#retire(pack);
    }
    for (const attempt of this.attempts.get(claim.jobId) ?? []) {
      if (attempt.attemptId === attemptId) continue;
      this.#discard(claim.projectId, recordName(claim.projectId, attempt.backupId, attempt.attemptId), true);
    }
    this.baselines.delete(volumeId);
    if (commit.baseline) this.baselines.set(volumeId, { ...commit.baseline, backupId });
    this.#sequence += 1;
    const own = { backupId, recordBackupId: backupId, projectId: claim.projectId };
    const row = { ...own, attemptId, recordSha256, volumeId, isDeleted: false };
    this.backups.set(backupId, { ...row, sequence: this.#sequence });
    this.endJob(claim);
  }

  /** Ends the job of `claim` for good: its uncommitted packs and records become trash. */
  async failBackup(claim: JobClaim): Promise<void> {
    for (const pack of this.packs.values()) {
      if (pack.jobId === claim.jobId && pack.state === 'writing') this.#retire(pack);
    }
    for (const { backupId, attemptId } of this.attempts.get(claim.jobId) ?? []) {
      this.#discard(claim.projectId, recordName(claim.projectId, backupId, attemptId), true);
    }
    this.endJob(claim);
  }

  endJob(claim: JobClaim): void {
    this.pins.delete(claim.jobId);
    this.uses.delete(claim.jobId);
    this.attempts.delete(claim.jobId);
  }

  /** Marks a backup deleted and puts its record in the trash; its packs stay until a prune. */
  async deleteBackup(backupId: BackupId): Promise<void> {
    const row = this.backups.get(backupId);
    if (!row) return;
    row.isDeleted = true;
    this.#discard(row.projectId, recordName(row.projectId, backupId, row.attemptId), true);
  }

  async listTrash(projectId: ProjectId, limit: number, _nowAt: number): Promise<readonly TrashItem[]> {
    const own = this.#trash.filter((item) => item.projectId === projectId);
    const records = own.filter((item) => item.isRecord);
    return (records.length > 0 ? records : own).slice(0, limit);
  }

  async takeTrash(_projectId: ProjectId, items: readonly TrashItem[]): Promise<readonly TrashItem[]> {
    const names = new Map(this.#trash.map((item) => [item.trashId, item.objectName]));
    return items.filter((item) => names.get(item.trashId) === item.objectName);
  }

  async confirmTrash(items: readonly TrashItem[], _nowAt: number): Promise<void> {
    const gone = new Set(items.map((item) => item.trashId));
    this.#trash = this.#trash.filter((item) => !gone.has(item.trashId));
  }

  async listProjectsWithTrash(_nowAt: number): Promise<readonly ProjectId[]> {
    return [...new Set(this.#trash.map((item) => item.projectId))];
  }

  async listRoots(projectId: ProjectId): Promise<readonly RootBackup[]> {
    const pinned = new Set([...this.pins.values()].flatMap((backupIds) => [...backupIds]));
    const isRoot = (row: BackupRow) =>
      !row.isDeleted || pinned.has(row.backupId) || this.#isTrash(projectId, recordNameOf(row));
    return [...this.backups.values()]
      .filter((row) => row.projectId === projectId && isRoot(row))
      .map((row) => ({ ...row, isBeingDeleted: row.isDeleted }));
  }

  async reviewRecords(
    projectId: ProjectId,
    records: readonly RecordRef[],
    { isDryRun }: { readonly isDryRun: boolean },
  ): Promise<{ unknown: readonly RecordRef[] }> {
    const committed = new Set([...this.backups.values()].map((row) => row.attemptId));
    const unknown = records.filter(({ backupId, attemptId }) => {
      const jobId = this.#writers.get(attemptId);
      const name = recordName(projectId, backupId, attemptId);
      const isKept =
        (committed.has(attemptId) && !this.backups.get(backupId)?.isDeleted) || this.#isTrash(projectId, name);
      const isOpen = jobId !== undefined && this.attempts.has(jobId);
      if (isKept || isOpen) return false;
      if (jobId === undefined && !committed.has(attemptId)) return true;
      if (!isDryRun) this.#discard(projectId, name, true);
      return false;
    });
    return { unknown };
  }

  async findUnnamed(projectId: ProjectId, objectNames: readonly string[]): Promise<readonly string[]> {
    const named = new Set<string>();
    for (const pack of this.packs.values()) {
      if (pack.state !== 'retired') named.add(packObjectName(pack.projectId, pack));
      if (pack.nextObjectId) named.add(packObjectName(pack.projectId, { ...pack, objectId: pack.nextObjectId }));
    }
    return objectNames.filter((name) => !named.has(name) && !this.#isTrash(projectId, name));
  }

  /** Nothing here says when an object was last read. */
  async retireSpare(): Promise<boolean> {
    return false;
  }

  async giveUpRecord(projectId: ProjectId, record: RecordRef): Promise<boolean> {
    const { unknown } = await this.reviewRecords(projectId, [record], { isDryRun: true });
    if (unknown.length > 0) this.#discard(projectId, recordName(projectId, record.backupId, record.attemptId), true);
    return unknown.length > 0;
  }

  async listLivePacks(projectId: ProjectId, afterNumber: number, limit: number): Promise<readonly LivePack[]> {
    return [...this.packs.values()]
      .filter((pack) => pack.projectId === projectId && pack.state === 'live' && pack.packNumber > afterNumber)
      .sort((a, b) => a.packNumber - b.packNumber)
      .slice(0, limit)
      .map((pack) => ({ ...pack, ...this.#use(pack), isInUse: this.#isUsed(pack.packId) }));
  }

  async condemnSlots(projectId: ProjectId, request: CondemnRequest, nowAt: number): Promise<CondemnOutcome> {
    const untilAt = await this.readQuarantine(projectId);
    if (untilAt !== undefined && untilAt > nowAt) return { status: 'quarantined', untilAt };
    const roots = (await this.listRoots(projectId)).filter((root) => !request.markedAttemptIds.has(root.attemptId));
    if (roots.length > 0) return { status: 'roots-unmarked', roots };
    const outcome = {
      status: 'done' as const,
      condemnedCount: 0,
      retired: [] as { packId: PackId; storedBytes: number }[],
      passedOver: [] as PackId[],
    };
    for (const { packId, marked, closesWhenUsed } of request.packs) {
      const pack = this.packs.get(packId);
      if (pack?.state !== 'live' || pack.projectId !== projectId) continue;
      if (this.#isUsed(packId)) {
        pack.isClosed ||= closesWhenUsed;
        outcome.passedOver.push(packId);
        continue;
      }
      const before = this.condemned.get(packId) ?? null;
      const condemned = uniteWithUnmarked(before, marked, pack.slotCount);
      outcome.condemnedCount += countBitmap(condemned) - countBitmap(before);
      this.condemned.set(packId, condemned);
      pack.isClosed = this.bad.has(packId);
      if (countBitmap(condemned) < pack.slotCount) continue;
      this.#retire(pack);
      outcome.retired.push({ packId, storedBytes: pack.storedBytes });
    }
    return outcome;
  }

  async readQuarantine(projectId: ProjectId): Promise<number | undefined> {
    return this.quarantines.get(projectId);
  }

  async dropCompactions(projectId: ProjectId): Promise<void> {
    for (const pack of this.packs.values()) {
      if (pack.projectId === projectId) this.#dropNext(pack);
    }
  }

  async beginCompaction(
    projectId: ProjectId,
    packId: PackId,
    nextObjectId: ObjectId,
  ): Promise<CompactionStart | undefined> {
    const pack = this.packs.get(packId);
    if (pack?.state !== 'live' || pack.projectId !== projectId) return undefined;
    this.#dropNext(pack);
    pack.nextObjectId = nextObjectId;
    return { ...this.#use(pack), nextObjectId };
  }

  async finishCompaction(projectId: ProjectId, result: CompactionResult): Promise<boolean> {
    const pack = this.packs.get(result.packId);
    if (!pack) return false;
    const { objectId, nextObjectId, presentCount, storedBytes, healed } = result;
    if (pack.state === 'live' && pack.objectId === nextObjectId) return true;
    const isStill = pack.state === 'live' && pack.objectId === objectId && pack.nextObjectId === nextObjectId;
    const lost = isStill ? objectId : nextObjectId;
    this.#discard(projectId, packObjectName(projectId, { ...pack, objectId: lost }), false);
    if (!isStill) return false;
    this.#setBad(pack.packId, subtractBitmap(this.bad.get(pack.packId), healed));
    const droppedCount = pack.slotCount - presentCount;
    this.packs.set(result.packId, { ...pack, objectId: nextObjectId, nextObjectId: null, droppedCount, storedBytes });
    return true;
  }

  async listPacksToVerify(projectId: ProjectId, beforeAt: number, limit: number): Promise<readonly LivePack[]> {
    const ageOf = ({ packId }: { readonly packId: PackId }) => this.verifiedAt.get(packId) ?? 0;
    const packs = await this.listLivePacks(projectId, -1, this.packs.size);
    return packs
      .filter((pack) => ageOf(pack) < beforeAt)
      .sort((a, b) => ageOf(a) - ageOf(b))
      .slice(0, limit);
  }

  async noteFinding(projectId: ProjectId, finding: PackFinding): Promise<boolean> {
    const { packId, objectId, sound, bad, verifiedAt } = finding;
    const pack = this.packs.get(packId);
    if (pack?.state !== 'live' || pack.projectId !== projectId || pack.objectId !== objectId) return false;
    const kept = verifiedAt === undefined ? subtractBitmap(this.bad.get(packId), sound) : null;
    this.#setBad(packId, uniteBitmaps(kept, bad));
    if (verifiedAt !== undefined) this.verifiedAt.set(packId, verifiedAt);
    return true;
  }

  async noteBackup(projectId: ProjectId, finding: BackupFinding, _nowAt: number): Promise<boolean> {
    const row = this.backups.get(finding.backupId);
    if (row?.attemptId !== finding.attemptId || row.projectId !== projectId || row.isDeleted) return false;
    if (!finding.isSound) {
      this.damaged.set(finding.backupId, finding.reason);
      return true;
    }
    if ([...finding.reached].some(([packId, slots]) => countCommon(this.bad.get(packId), slots) > 0)) return false;
    this.damaged.delete(finding.backupId);
    return true;
  }

  async listDamagedBackups(projectId: ProjectId): Promise<readonly (RootBackup & { readonly reason: string })[]> {
    const roots = await this.listRoots(projectId);
    return roots.flatMap((root) => {
      const reason = this.damaged.get(root.backupId);
      return reason === undefined ? [] : [{ ...root, reason }];
    });
  }

  async readVerification(projectId: ProjectId): Promise<VerificationState> {
    const packs = await this.listLivePacks(projectId, -1, this.packs.size);
    const ages = packs.map(({ packId }) => this.verifiedAt.get(packId) ?? 0);
    return {
      packCount: packs.length,
      storedBytes: packs.reduce((total, pack) => total + pack.storedBytes, 0),
      neverVerifiedCount: ages.filter((age) => age === 0).length,
      oldestVerifiedAt: ages.length === 0 ? undefined : Math.min(...ages),
      damagedPackCount: packs.filter(({ packId }) => this.bad.has(packId)).length,
    };
  }

  #setBad(packId: PackId, bad: Uint8Array | null): void {
    const needed = subtractBitmap(bad, this.condemned.get(packId));
    if (needed === null) this.bad.delete(packId);
    else this.bad.set(packId, needed);
  }

  async abandonCompaction(
    projectId: ProjectId,
    { packId, nextObjectId }: { readonly packId: PackId; readonly nextObjectId: ObjectId },
  ): Promise<void> {
    const pack = this.packs.get(packId);
    if (!pack || pack.objectId === nextObjectId) return;
    if (pack.nextObjectId === nextObjectId) pack.nextObjectId = null;
    this.#discard(projectId, packObjectName(projectId, { ...pack, objectId: nextObjectId }), false);
  }

  async quarantine(projectId: ProjectId, untilAt: number): Promise<void> {
    this.quarantines.set(projectId, Math.max(untilAt, this.quarantines.get(projectId) ?? 0));
  }

  async repairPack(
    projectId: ProjectId,
    fromObjectId: ObjectId,
    to: PackLocation & { readonly presentCount: number; readonly storedBytes: number },
    { fromTrash } = { fromTrash: false },
  ): Promise<boolean> {
    const pack = this.packs.get(to.packId);
    const name = packObjectName(projectId, to);
    if (!fromTrash && this.#isTrash(projectId, name)) return false;
    if (pack?.state !== 'live' || pack.objectId !== fromObjectId) return false;
    const { objectId, presentCount, storedBytes } = to;
    const droppedCount = Math.max(0, pack.slotCount - presentCount);
    this.packs.set(to.packId, { ...pack, objectId, storedBytes, droppedCount, nextObjectId: null });
    this.#trash = this.#trash.filter(({ objectName }) => objectName !== name);
    return true;
  }

  async findUncommitted(projectId: ProjectId, records: readonly RecordRef[]): Promise<readonly RecordRef[]> {
    return records.filter(({ backupId, attemptId }) => {
      const pack = [...this.packs.values()].find((row) => row.jobId === this.#writers.get(attemptId));
      return this.#writers.has(attemptId) && !this.backups.has(backupId) && pack?.projectId === projectId;
    });
  }

  async adoptBackup(
    projectId: ProjectId,
    backup: AdoptedBackup,
    { isSetBack }: { readonly isSetBack: boolean; readonly nowAt: number },
  ): Promise<string | undefined> {
    const { backupId, attemptId, recordSha256, volumeId } = backup;
    const writerId = this.#writers.get(attemptId);
    if (this.backups.has(backupId) || (writerId && !isSetBack)) return 'the catalog has a backup of this id';
    for (const { packId, objectId, replacedObjectId = objectId, needed } of backup.packs) {
      const known = this.packs.get(packId);
      const hasObject = known?.objectId === replacedObjectId;
      const isAsBefore = known?.state === 'live' ? hasObject : isSetBack && (hasObject || known?.state === 'retired');
      if (known && !isAsBefore) return `pack ${packId} changed`;
      if (!isSetBack && countCommon(this.condemned.get(packId), needed) > 0) return `pack ${packId} has lost chunks`;
    }
    const jobId = writerId ?? newUuid<JobId>();
    const claim = { jobId, attempt: 1, projectId };
    for (const pack of backup.packs) {
      const known = this.packs.get(pack.packId);
      this.#trash = this.#trash.filter(({ objectName }) => objectName !== packObjectName(projectId, pack));
      const condemned = subtractBitmap(this.condemned.get(pack.packId), pack.needed);
      if (condemned) this.condemned.set(pack.packId, condemned);
      else this.condemned.delete(pack.packId);
      if (known?.state === 'live' && known.objectId === pack.objectId) continue;
      if (known?.state !== 'live') await this.reservePacks(claim, [pack]);
      const { objectId, presentCount, storedBytes } = pack;
      const slotCount = Math.max(known?.slotCount ?? 0, pack.slotCount);
      const row = { state: 'live', objectId, nextObjectId: null, slotCount, storedBytes };
      Object.assign(this.packs.get(pack.packId) ?? {}, { ...row, droppedCount: slotCount - presentCount });
    }
    this.#sequence += 1;
    const row = { backupId, recordBackupId: backupId, projectId, attemptId, recordSha256, volumeId, isDeleted: false };
    this.backups.set(backupId, { ...row, sequence: this.#sequence });
    const name = recordName(projectId, backupId, attemptId);
    this.#trash = this.#trash.filter(({ objectName }) => objectName !== name);
    for (const pack of await this.listOwnPacks(claim)) this.#retire(this.packs.get(pack.packId) as PackRow);
    this.endJob(claim);
    return undefined;
  }

  async markUnreadable(_projectId: ProjectId, backupId: BackupId, reason: string): Promise<void> {
    this.unreadable.set(backupId, reason);
  }

  async applyLabels(_projectId: ProjectId, labels: readonly BackupLabel[]): Promise<number> {
    const newer = labels.filter(
      ({ backupId, revision }) => this.backups.has(backupId) && (this.labels.get(backupId)?.revision ?? 0) < revision,
    );
    for (const label of newer) this.labels.set(label.backupId, label);
    return newer.length;
  }

  async takeOverEpoch(projectId: ProjectId, storedEpoch: number): Promise<EpochState> {
    const epoch = Math.max(storedEpoch, this.#epochs.get(projectId) ?? 0) + 1;
    this.#epochs.set(projectId, epoch);
    return { catalogId: this.#catalogId, epoch };
  }

  /** As if the catalog were older than this attempt. */
  forgetAttempt(attemptId: AttemptId): void {
    this.#writers.delete(attemptId);
  }

  /** As if all of it were swept and confirmed. */
  forgetTrash(): void {
    this.#trash = [];
  }

  #dropNext(pack: PackRow): void {
    if (pack.nextObjectId === null) return;
    const name = packObjectName(pack.projectId, { ...pack, objectId: pack.nextObjectId });
    pack.nextObjectId = null;
    this.#discard(pack.projectId, name, false);
  }

  #isUsed(packId: PackId): boolean {
    return [...this.uses.values()].some((packIds) => packIds.has(packId));
  }

  #isTrash(projectId: ProjectId, objectName: string): boolean {
    return this.#trash.some((item) => item.projectId === projectId && item.objectName === objectName);
  }

  #use(pack: PackRow): PackUse {
    const { packId, kind, objectId } = pack;
    const condemned = this.condemned.get(packId) ?? null;
    return { packId, kind, objectId, condemned, bad: this.bad.get(packId) ?? null };
  }

  #retire(pack: PackRow): void {
    pack.state = 'retired';
    this.#dropNext(pack);
    this.#discard(pack.projectId, packObjectName(pack.projectId, pack), false);
  }

  #discard(projectId: ProjectId, objectName: string, isRecord: boolean): void {
    if (this.#isTrash(projectId, objectName)) return;
    this.#sequence += 1;
    this.#trash.push({ trashId: this.#sequence, projectId, objectName, isRecord });
  }
}

function recordNameOf({ projectId, backupId, attemptId }: BackupRow): string {
  return recordName(projectId, backupId, attemptId);
}
