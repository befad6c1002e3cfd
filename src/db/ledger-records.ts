// The catalog's side of the repository (src/engine/README.md): rows before bytes, pins and uses, commit, deletion,
// trash. Every deciding call is one transaction under the row lock of the project that checks the fence first; what it
// does inside is in the ledger-*.ts files beside this one.
import { VbsError } from '../core/errors.ts';
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
} from '../core/ids.ts';
import type {
  AdoptedBackup,
  AdoptedPack,
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
  DestructionOutcome,
  EpochState,
  Hook,
  JobClaim,
  KeyLedger,
  LabelLedger,
  LivePack,
  PackFinding,
  PackLedger,
  PackLocation,
  PackUse,
  PruneLedger,
  RebuildLedger,
  RecordRef,
  RecordReference,
  RootBackup,
  TrashItem,
  TrashLedger,
  VerificationState,
  VerifyLedger,
  WrappedKeyRow,
} from '../core/ledger.ts';
import { HOOK_BATCH_COUNT } from '../core/limits.ts';
import { splitIntoBatches } from './batches.ts';
import type { Executor } from './database.ts';
import { requireClaim } from './fence.ts';
import {
  adoptBackup,
  findUncommitted,
  markUnreadable,
  quarantine,
  repairPack,
  takeOverEpoch,
} from './ledger-adoption.ts';
import { beginBackup, commitBackup, failBackup, isCommittedByJob } from './ledger-backups.ts';
import { abandonCompaction, beginCompaction, dropCompactions, finishCompaction } from './ledger-compaction.ts';
import { finishDeletion, takeForDeletion } from './ledger-deletion.ts';
import { forgetProject } from './ledger-destruction.ts';
import { addHooks, findPacksByHooks } from './ledger-hooks.ts';
import { freeBackupId, isBackupIdTaken, keepRecord, noteAttempt } from './ledger-imports.ts';
import { claimRepository, deleteKeys, listKeys, raiseEpoch, readEpoch, saveKey, startEpoch } from './ledger-keys.ts';
import { applyLabels, confirmLabel, listUnsavedLabels, readUnsavedLabel, renewDeletedLabels } from './ledger-labels.ts';
import { distrustPack, listDamagedPacks, listOwnPacks, locatePacks, reservePacks, usePack } from './ledger-packs.ts';
import { findOwner, insertPin, pinBackup, releasePins } from './ledger-pins.ts';
import {
  condemnSlots,
  findUnnamed,
  giveUpRecord,
  listLivePacks,
  listRoots,
  readQuarantine,
  readUsageState,
  retireSpare,
  reviewRecords,
} from './ledger-prune.ts';
import { enterBackups, enterKeys, enterPacks, listEntered } from './ledger-rebuild.ts';
import { confirmTrash, listProjectsWithTrash, listTrash, takeTrash } from './ledger-trash.ts';
import { listDamagedBackups, listPacksToVerify, noteBackup, noteFinding, readVerification } from './ledger-verify.ts';
import { MetaRecords } from './meta-records.ts';
import type { BackupFailure, DeletionState } from './record-types.ts';
import type { Scope } from './scope.ts';

type EngineLedgers = PackLedger & KeyLedger & TrashLedger & PruneLedger & AdoptionLedger & VerifyLedger;
type Ledgers = EngineLedgers & LabelLedger & RebuildLedger;

export class LedgerRecords implements Ledgers {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /** @throws JOB_FENCED, BACKUP_NOT_FOUND */
  async beginBackup(
    claim: JobClaim,
    backup: Parameters<PackLedger['beginBackup']>[1],
  ): Promise<{ parent: CommittedBackup | undefined; baseline?: BaselineState | undefined }> {
    return await this.#fenced(claim, (executor) => beginBackup(executor, claim, backup));
  }

  /** @throws JOB_FENCED */
  async pinBackup(claim: JobClaim, backupId: BackupId): Promise<CommittedBackup | undefined> {
    const ownerId = await findOwner(this.#scope.executor, backupId);
    if (ownerId === undefined) {
      return undefined;
    }
    // A pin counts in the project of the backup, the fence in that of the job: both are locked.
    const projectIds = ownerId === claim.projectId ? [ownerId] : [ownerId, claim.projectId];
    return await this.#scope.transact(projectIds, async (executor) => {
      await requireClaim(executor, claim);
      return await pinBackup(executor, claim, backupId);
    });
  }

  /**
   * Pins a backup for a job that is queued in the same transaction, before anybody works on it: the backup is another
   * project's, whose lock is held, and may be deleted at any time after. Finding it restorable is the caller's duty.
   */
  async pinForJob(jobId: JobId, backup: { readonly backupId: BackupId; readonly projectId: ProjectId }): Promise<void> {
    await this.#scope.transact([backup.projectId], (executor) => insertPin(executor, { jobId }, backup.backupId));
  }

  /** Drops the job's pins before it ends; ending a job drops them too. Harmless twice. */
  async releasePins(claim: JobClaim): Promise<void> {
    await this.#fenced(claim, (executor) => releasePins(executor, claim));
  }

  async reservePacks(claim: JobClaim, packs: readonly PackLocation[]): Promise<void> {
    await this.#fenced(claim, (executor) => reservePacks(executor, claim, packs));
  }

  async listOwnPacks(claim: JobClaim): Promise<readonly PackLocation[]> {
    return await this.#fenced(claim, (executor) => listOwnPacks(executor, claim));
  }

  async usePack(claim: JobClaim, packId: PackId): Promise<PackUse | undefined> {
    return await this.#fenced(claim, (executor) => usePack(executor, claim, packId));
  }

  async findPacksByHooks(projectId: ProjectId, hooks: readonly Hook[]): Promise<ReadonlyMap<Hook, readonly PackId[]>> {
    return await findPacksByHooks(this.#scope.executor, projectId, hooks);
  }

  async locatePacks(projectId: ProjectId, packIds: readonly PackId[]): Promise<readonly PackUse[]> {
    return await locatePacks(this.#scope.executor, projectId, packIds);
  }

  async listDamagedPacks(projectId: ProjectId): Promise<readonly PackId[]> {
    return await listDamagedPacks(this.#scope.executor, projectId);
  }

  /** A read found the pack damaged: no later backup takes anything from it. Harmless twice. */
  async distrustPack(projectId: ProjectId, packId: PackId): Promise<void> {
    await this.#scope.transact([projectId], (executor) => distrustPack(executor, projectId, packId));
  }

  /**
   * Enters hooks of committed packs, in transactions of bounded size; hooks of packs that are not live are left out.
   * Beyond HOOK_PACK_MAX packs of one hook the oldest go. Call it after the commit; harmless twice.
   */
  async addHooks(projectId: ProjectId, hooks: readonly { hook: Hook; packId: PackId }[]): Promise<void> {
    for (const batch of splitIntoBatches(hooks, HOOK_BATCH_COUNT)) {
      await this.#scope.transact([projectId], (executor) => addHooks(executor, projectId, batch));
    }
  }

  /**
   * Step 5 of a backup's life: packs live, backup available, baseline, job SUCCESS, all or nothing. When the answer of
   * the database got lost it is looked up whether the commit took place, and the call returns if it did; inside
   * `Catalog.transact` that is left to whoever commits the outer transaction (`isCommitted`).
   * @throws JOB_FENCED, COMMIT_CHECK_FAILED
   */
  async commitBackup(claim: JobClaim, commit: BackupCommit, endedAt: number): Promise<void> {
    try {
      await this.#fenced(claim, (executor) => commitBackup(executor, claim, commit, endedAt));
    } catch (error) {
      const isRefused = error instanceof VbsError && error.code === 'COMMIT_CHECK_FAILED';
      if (isRefused || this.#scope.isBound || !(await this.#isAttemptCommitted(commit))) {
        throw error;
      }
    }
  }

  /**
   * Whether the job's backup is committed, by whichever of its attempts. Not fenced: it is asked when the answer of a
   * commit was lost, and a job that committed has ended.
   */
  async isCommitted(claim: JobClaim, backupId: BackupId): Promise<boolean> {
    return await isCommittedByJob(this.#scope.executor, claim.jobId, backupId);
  }

  /**
   * Ends a backup's job for good: packs retired, objects and records to the trash, backup `error`, job FAIL; unless the
   * backup turns out to be committed, and then nothing is changed. @throws JOB_FENCED
   */
  async failBackup(claim: JobClaim, failure: BackupFailure, endedAt: number): Promise<{ isCommitted: boolean }> {
    return await this.#scope.transact([claim.projectId], (executor) => failBackup(executor, claim, failure, endedAt));
  }

  /** First step of a deletion: the record's name goes to the trash unless somebody reads it. @throws JOB_FENCED */
  async takeForDeletion(claim: JobClaim, backupId: BackupId): Promise<DeletionState> {
    return await this.#fenced(claim, (executor) => takeForDeletion(executor, claim, backupId));
  }

  /**
   * Last step of a deletion: backup gone (its row stays as a tombstone), job SUCCESS. False, and nothing changed, while
   * the record is not confirmed deleted. @throws JOB_FENCED
   */
  async finishDeletion(claim: JobClaim, backupId: BackupId, endedAt: number): Promise<boolean> {
    return await this.#fenced(claim, (executor) => finishDeletion(executor, claim, backupId, endedAt));
  }

  /**
   * Under the project's lock, before a backup is entered on a record that exists: the record stays, and the id is free
   * to be given. Says what is in the way otherwise.
   */
  async prepareImport(
    projectId: ProjectId,
    backupId: BackupId,
    record: RecordReference,
  ): Promise<'ready' | 'id taken' | 'record gone'> {
    return await this.#scope.transact([projectId], async (executor) => {
      // The record last: keeping it may call off a deletion, and what is refused must have changed nothing.
      if (await isBackupIdTaken(executor, projectId, backupId)) return 'id taken';
      if (!(await keepRecord(executor, projectId, record))) return 'record gone';
      await freeBackupId(executor, projectId, backupId);
      return 'ready';
    });
  }

  /** After the backup was entered, in the same transaction: its record's attempt stays known. */
  async noteImport(
    projectId: ProjectId,
    jobId: JobId,
    backupId: BackupId,
    { attemptId }: RecordReference,
  ): Promise<void> {
    const backup = { projectId, attemptId, backupId, jobId };
    await this.#scope.transact([projectId], (executor) => noteAttempt(executor, backup));
  }

  async catalogId(): Promise<CatalogId> {
    return await new MetaRecords(this.#scope).catalogId();
  }

  async listKeys(): Promise<readonly WrappedKeyRow[]> {
    return await listKeys(this.#scope.executor);
  }

  async saveKey(row: WrappedKeyRow): Promise<void> {
    await saveKey(this.#scope.executor, row);
  }

  async claimRepository(row: WrappedKeyRow): Promise<{ readonly isFirst: boolean }> {
    return await this.#scope.administer((executor) => claimRepository(executor, row));
  }

  async deleteKeys(keyIds: readonly KeyId[]): Promise<void> {
    await deleteKeys(this.#scope.executor, keyIds);
  }

  async forgetProject(projectId: ProjectId, deletedAt: number): Promise<DestructionOutcome> {
    return await this.#scope.transact([projectId], (executor) => forgetProject(executor, projectId, deletedAt));
  }

  async readEpoch(projectId: ProjectId): Promise<EpochState | undefined> {
    const epoch = await readEpoch(this.#scope.executor, projectId);
    return epoch === undefined ? undefined : { catalogId: await this.catalogId(), epoch };
  }

  async startEpoch(projectId: ProjectId): Promise<EpochState> {
    const catalogId = await this.catalogId();
    return await this.#scope.transact([projectId], async (executor) => ({
      catalogId,
      epoch: await startEpoch(executor, projectId),
    }));
  }

  async raiseEpoch(projectId: ProjectId): Promise<EpochState> {
    const catalogId = await this.catalogId();
    return await this.#scope.transact([projectId], async (executor) => ({
      catalogId,
      epoch: await raiseEpoch(executor, projectId),
    }));
  }

  async listTrash(projectId: ProjectId, limit: number, nowAt: number): Promise<readonly TrashItem[]> {
    return await listTrash(this.#scope.executor, projectId, limit, nowAt);
  }

  async takeTrash(projectId: ProjectId, items: readonly TrashItem[]): Promise<readonly TrashItem[]> {
    return await this.#scope.transact([projectId], (executor) => takeTrash(executor, projectId, items));
  }

  async confirmTrash(items: readonly TrashItem[], nowAt: number): Promise<void> {
    for (const projectId of new Set(items.map((item) => item.projectId))) {
      const own = items.filter((item) => item.projectId === projectId);
      const trashIds = own.map((item) => item.trashId);
      const names = own.map((item) => item.objectName);
      await this.#scope.transact([projectId], async (executor) => {
        await confirmTrash(executor, projectId, trashIds, nowAt);
        await renewDeletedLabels(executor, projectId, names);
      });
    }
  }

  async listProjectsWithTrash(nowAt: number): Promise<readonly ProjectId[]> {
    return await listProjectsWithTrash(this.#scope.executor, nowAt);
  }

  async listRoots(projectId: ProjectId): Promise<readonly RootBackup[]> {
    return await listRoots(this.#scope.executor, projectId);
  }

  async reviewRecords(
    projectId: ProjectId,
    records: readonly RecordRef[],
    options: { readonly isDryRun: boolean },
  ): Promise<{ unknown: readonly RecordRef[] }> {
    return await this.#scope.transact([projectId], async (executor) => ({
      unknown: await reviewRecords(executor, projectId, records, options),
    }));
  }

  async findUnnamed(projectId: ProjectId, objectNames: readonly string[]): Promise<readonly string[]> {
    return await findUnnamed(this.#scope.executor, projectId, objectNames);
  }

  async giveUpRecord(projectId: ProjectId, record: RecordRef): Promise<boolean> {
    return await this.#scope.transact([projectId], (executor) => giveUpRecord(executor, projectId, record));
  }

  async listLivePacks(projectId: ProjectId, afterNumber: number, limit: number): Promise<readonly LivePack[]> {
    return await listLivePacks(this.#scope.executor, projectId, afterNumber, limit);
  }

  async condemnSlots(projectId: ProjectId, request: CondemnRequest, nowAt: number): Promise<CondemnOutcome> {
    return await this.#scope.transact([projectId], (executor) => condemnSlots(executor, projectId, request, nowAt));
  }

  async retireSpare(projectId: ProjectId, spare: PackLocation, objectId: ObjectId, nowAt: number): Promise<boolean> {
    return await this.#scope.transact([projectId], (executor) =>
      retireSpare(executor, projectId, { spare, objectId }, nowAt),
    );
  }

  async readQuarantine(projectId: ProjectId): Promise<number | undefined> {
    return await readQuarantine(this.#scope.executor, projectId);
  }

  /** Changes whenever a committed backup or the object of a live pack comes or goes. */
  async readUsageState(projectId: ProjectId): Promise<string> {
    return await readUsageState(this.#scope.executor, projectId);
  }

  async dropCompactions(projectId: ProjectId): Promise<void> {
    await this.#scope.transact([projectId], (executor) => dropCompactions(executor, projectId));
  }

  async beginCompaction(
    projectId: ProjectId,
    packId: PackId,
    nextObjectId: ObjectId,
  ): Promise<CompactionStart | undefined> {
    return await this.#scope.transact([projectId], (executor) =>
      beginCompaction(executor, projectId, packId, nextObjectId),
    );
  }

  async finishCompaction(projectId: ProjectId, result: CompactionResult): Promise<boolean> {
    return await this.#scope.transact([projectId], (executor) => finishCompaction(executor, projectId, result));
  }

  async abandonCompaction(
    projectId: ProjectId,
    compaction: { readonly packId: PackId; readonly nextObjectId: ObjectId },
  ): Promise<void> {
    await this.#scope.transact([projectId], (executor) => abandonCompaction(executor, projectId, compaction));
  }

  async quarantine(projectId: ProjectId, untilAt: number): Promise<void> {
    await this.#scope.transact([projectId], (executor) => quarantine(executor, projectId, untilAt));
  }

  async repairPack(
    projectId: ProjectId,
    fromObjectId: ObjectId,
    to: PackLocation & { readonly presentCount: number; readonly storedBytes: number },
    { fromTrash } = { fromTrash: false },
  ): Promise<boolean> {
    return await this.#scope.transact([projectId], (executor) =>
      repairPack(executor, projectId, { fromObjectId, to, fromTrash }),
    );
  }

  async adoptBackup(
    projectId: ProjectId,
    backup: AdoptedBackup,
    options: { readonly isSetBack: boolean; readonly nowAt: number },
  ): Promise<string | undefined> {
    return await this.#scope.transact([projectId], (executor) => adoptBackup(executor, projectId, backup, options));
  }

  async findUncommitted(projectId: ProjectId, records: readonly RecordRef[]): Promise<readonly RecordRef[]> {
    return await findUncommitted(this.#scope.executor, projectId, records);
  }

  async markUnreadable(projectId: ProjectId, backupId: BackupId, reason: string): Promise<void> {
    await this.#scope.transact([projectId], (executor) => markUnreadable(executor, projectId, backupId, reason));
  }

  async takeOverEpoch(projectId: ProjectId, storedEpoch: number): Promise<EpochState> {
    const catalogId = await this.catalogId();
    return await this.#scope.transact([projectId], async (executor) => ({
      catalogId,
      epoch: await takeOverEpoch(executor, projectId, storedEpoch),
    }));
  }

  async applyLabels(projectId: ProjectId, labels: readonly BackupLabel[]): Promise<number> {
    return await this.#scope.transact([projectId], (executor) => applyLabels(executor, projectId, labels));
  }

  async listUnsavedLabels(limit: number): Promise<readonly { projectId: ProjectId; backupId: BackupId }[]> {
    return await listUnsavedLabels(this.#scope.executor, limit);
  }

  async readUnsavedLabel(projectId: ProjectId, backupId: BackupId): Promise<BackupLabel | undefined> {
    return await this.#scope.transact([projectId], (executor) => readUnsavedLabel(executor, projectId, backupId));
  }

  async confirmLabel(projectId: ProjectId, backupId: BackupId, revision: number): Promise<void> {
    await this.#scope.transact([projectId], (executor) => confirmLabel(executor, backupId, revision));
  }

  async enterKeys(rows: readonly WrappedKeyRow[]): Promise<void> {
    await this.#scope.administer((executor) => enterKeys(executor, rows));
  }

  async enterPacks(projectId: ProjectId, packs: readonly Omit<AdoptedPack, 'needed'>[]): Promise<void> {
    await this.#scope.transact([projectId], (executor) => enterPacks(executor, projectId, newUuid<JobId>(), packs));
  }

  async enterBackups(
    projectId: ProjectId,
    backups: readonly Omit<AdoptedBackup, 'packs'>[],
  ): Promise<readonly AttemptId[]> {
    return await this.#scope.transact([projectId], (executor) =>
      enterBackups(executor, projectId, newUuid<JobId>(), backups),
    );
  }

  async listEntered(projectId: ProjectId) {
    return await listEntered(this.#scope.executor, projectId);
  }

  async listPacksToVerify(projectId: ProjectId, beforeAt: number, limit: number): Promise<readonly LivePack[]> {
    return await listPacksToVerify(this.#scope.executor, projectId, beforeAt, limit);
  }

  async noteFinding(projectId: ProjectId, finding: PackFinding): Promise<boolean> {
    return await this.#scope.transact([projectId], (executor) => noteFinding(executor, projectId, finding));
  }

  async noteBackup(projectId: ProjectId, finding: BackupFinding, nowAt: number): Promise<boolean> {
    return await this.#scope.transact([projectId], (executor) => noteBackup(executor, projectId, finding, nowAt));
  }

  async listDamagedBackups(projectId: ProjectId): Promise<readonly (RootBackup & { readonly reason: string })[]> {
    return await listDamagedBackups(this.#scope.executor, projectId);
  }

  async readVerification(projectId: ProjectId): Promise<VerificationState> {
    return await readVerification(this.#scope.executor, projectId);
  }

  async #fenced<T>(claim: JobClaim, work: (executor: Executor) => Promise<T>): Promise<T> {
    return await this.#scope.transact([claim.projectId], async (executor) => {
      await requireClaim(executor, claim);
      return await work(executor);
    });
  }

  async #isAttemptCommitted(commit: BackupCommit): Promise<boolean> {
    const row = await this.#scope.executor
      .selectFrom('backups')
      .select('attempt_id')
      .where('backup_id', '=', commit.backupId)
      .executeTakeFirst();
    return row?.attempt_id === commit.attemptId;
  }
}
