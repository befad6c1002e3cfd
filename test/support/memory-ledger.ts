// The catalog as the engine sees it, in memory: for tests of the engine without a database. It keeps the rules of
// src/engine/README.md that the engine relies on; the real records are tested against the same rules in test/contract.
import { VbsError } from '../../src/core/errors.ts';
import {
  type AttemptId,
  type BackupId,
  type CatalogId,
  type JobId,
  newUuid,
  type PackId,
  type ProjectId,
  type VolumeId,
} from '../../src/core/ids.ts';
import type {
  BackupCommit,
  CommittedBackup,
  EpochState,
  Hook,
  JobClaim,
  KeyLedger,
  PackLedger,
  PackLocation,
  PackUse,
  TrashItem,
  TrashLedger,
  WrappedKeyRow,
} from '../../src/core/ledger.ts';
import { packObjectName, recordName } from '../../src/core/object-names.ts';

type PackRow = PackLocation & { projectId: ProjectId; jobId: JobId; state: 'writing' | 'live' | 'retired' };
type BackupRow = CommittedBackup & { volumeId: VolumeId; isDeleted: boolean; sequence: number };

export class MemoryLedger implements PackLedger, KeyLedger, TrashLedger {
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
  readonly condemned = new Map<PackId, Uint8Array>();
  #trash: (TrashItem & { isRecord: boolean })[] = [];
  #sequence = 0;

  async catalogId(): Promise<CatalogId> {
    return this.#catalogId;
  }

  async listKeys(): Promise<readonly WrappedKeyRow[]> {
    return [...this.#keys];
  }

  async saveKey(row: WrappedKeyRow): Promise<void> {
    this.#keys.push(row);
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
  ): Promise<{ parent: CommittedBackup | undefined }> {
    const attempts = this.attempts.get(claim.jobId) ?? [];
    attempts.push({ backupId: backup.backupId, attemptId: backup.attemptId });
    this.attempts.set(claim.jobId, attempts);
    const pinned = [...(this.pins.get(claim.jobId) ?? [])].map((backupId) => this.backups.get(backupId));
    const candidates = [...this.backups.values()].filter((row) => row.volumeId === backup.volumeId && !row.isDeleted);
    const newest = candidates.sort((a, b) => b.sequence - a.sequence)[0];
    const parent = pinned[0] ?? (backup.isIncremental ? newest : undefined);
    if (parent) this.pins.set(claim.jobId, new Set([parent.backupId]));
    return { parent };
  }

  async pinBackup(claim: JobClaim, backupId: BackupId): Promise<CommittedBackup | undefined> {
    const row = this.backups.get(backupId);
    if (!row || row.isDeleted) return undefined;
    this.pins.set(claim.jobId, (this.pins.get(claim.jobId) ?? new Set()).add(backupId));
    return row;
  }

  async reservePacks(claim: JobClaim, packs: readonly PackLocation[]): Promise<void> {
    for (const pack of packs) {
      this.packs.set(pack.packId, { ...pack, projectId: claim.projectId, jobId: claim.jobId, state: 'writing' });
    }
  }

  async listOwnPacks(claim: JobClaim): Promise<readonly PackLocation[]> {
    return [...this.packs.values()].filter((pack) => pack.jobId === claim.jobId && pack.state === 'writing');
  }

  async usePack(claim: JobClaim, packId: PackId): Promise<PackUse | undefined> {
    const pack = this.packs.get(packId);
    if (pack?.state !== 'live' || pack.projectId !== claim.projectId) return undefined;
    this.uses.set(claim.jobId, (this.uses.get(claim.jobId) ?? new Set()).add(packId));
    return this.#use(pack);
  }

  async findPacksByHooks(projectId: ProjectId, hooks: readonly Hook[]): Promise<ReadonlyMap<Hook, readonly PackId[]>> {
    const isLive = (packId: PackId) => {
      const pack = this.packs.get(packId);
      return pack?.state === 'live' && pack.projectId === projectId;
    };
    return new Map(hooks.map((hook) => [hook, (this.hooks.get(hook) ?? []).filter(isLive)]));
  }

  async locatePacks(projectId: ProjectId, packIds: readonly PackId[]): Promise<readonly PackUse[]> {
    return packIds.flatMap((packId) => {
      const pack = this.packs.get(packId);
      return pack && pack.projectId === projectId ? [this.#use(pack)] : [];
    });
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
    const named = new Set(commit.packs.map((pack) => pack.packId));
    for (const pack of this.packs.values()) {
      if (pack.jobId !== claim.jobId || pack.state !== 'writing') continue;
      if (named.has(pack.packId)) pack.state = 'live';
      else this.#retire(pack);
    }
    for (const attempt of this.attempts.get(claim.jobId) ?? []) {
      if (attempt.attemptId === attemptId) continue;
      this.#discard(claim.projectId, recordName(claim.projectId, attempt.backupId, attempt.attemptId), true);
    }
    this.#sequence += 1;
    const row = { backupId, projectId: claim.projectId, attemptId, recordSha256, volumeId, isDeleted: false };
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

  async confirmTrash(items: readonly TrashItem[], _nowAt: number): Promise<void> {
    const gone = new Set(items.map((item) => item.trashId));
    this.#trash = this.#trash.filter((item) => !gone.has(item.trashId));
  }

  async listProjectsWithTrash(_nowAt: number): Promise<readonly ProjectId[]> {
    return [...new Set(this.#trash.map((item) => item.projectId))];
  }

  #use(pack: PackRow): PackUse {
    const { packId, kind, objectId } = pack;
    const condemned = this.condemned.get(packId) ?? null;
    return { packId, kind, objectId, condemned, bad: this.bad.get(packId) ?? null };
  }

  #retire(pack: PackRow): void {
    pack.state = 'retired';
    this.#discard(pack.projectId, packObjectName(pack.projectId, pack), false);
  }

  #discard(projectId: ProjectId, objectName: string, isRecord: boolean): void {
    this.#sequence += 1;
    this.#trash.push({ trashId: this.#sequence, projectId, objectName, isRecord });
  }
}
