// The catalog's side of the repository (src/engine/README.md): rows before bytes, pins and uses, commit, deletion,
// trash. Every deciding call is one transaction under the row lock of the project that checks the fence first; what it
// does inside is in the ledger-*.ts files beside this one.
import { VbsError } from '../core/errors.ts';
import type { AttemptId, BackupId, CatalogId, JobId, PackId, ProjectId, VolumeId } from '../core/ids.ts';
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
} from '../core/ledger.ts';
import { HOOK_BATCH_COUNT } from '../core/limits.ts';
import { splitIntoBatches } from './batches.ts';
import type { Executor } from './database.ts';
import { requireClaim } from './fence.ts';
import { beginBackup, commitBackup, failBackup, isCommittedByJob } from './ledger-backups.ts';
import { finishDeletion, takeForDeletion } from './ledger-deletion.ts';
import { addHooks, findPacksByHooks } from './ledger-hooks.ts';
import { listKeys, raiseEpoch, readEpoch, saveKey, startEpoch } from './ledger-keys.ts';
import { distrustPack, listOwnPacks, locatePacks, reservePacks, usePack } from './ledger-packs.ts';
import { findOwner, insertPin, pinBackup, releasePins } from './ledger-pins.ts';
import { confirmTrash, listProjectsWithTrash, listTrash } from './ledger-trash.ts';
import { MetaRecords } from './meta-records.ts';
import type { BackupFailure, DeletionState } from './record-types.ts';
import type { Scope } from './scope.ts';

export class LedgerRecords implements PackLedger, KeyLedger, TrashLedger {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /** @throws JOB_FENCED, BACKUP_NOT_FOUND */
  async beginBackup(
    claim: JobClaim,
    backup: { backupId: BackupId; volumeId: VolumeId; attemptId: AttemptId; isIncremental: boolean },
  ): Promise<{ parent: CommittedBackup | undefined }> {
    return await this.#fenced(claim, async (executor) => ({ parent: await beginBackup(executor, claim, backup) }));
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

  async catalogId(): Promise<CatalogId> {
    return await new MetaRecords(this.#scope).catalogId();
  }

  async listKeys(): Promise<readonly WrappedKeyRow[]> {
    return await listKeys(this.#scope.executor);
  }

  async saveKey(row: WrappedKeyRow): Promise<void> {
    await saveKey(this.#scope.executor, row);
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

  async confirmTrash(items: readonly TrashItem[], nowAt: number): Promise<void> {
    for (const projectId of new Set(items.map((item) => item.projectId))) {
      const trashIds = items.filter((item) => item.projectId === projectId).map((item) => item.trashId);
      await this.#scope.transact([projectId], (executor) => confirmTrash(executor, projectId, trashIds, nowAt));
    }
  }

  async listProjectsWithTrash(nowAt: number): Promise<readonly ProjectId[]> {
    return await listProjectsWithTrash(this.#scope.executor, nowAt);
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
