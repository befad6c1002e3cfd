// Backups: accepted, listed, deleted, restored, read. Each request is checked and entered in one transaction under the
// project's lock, together with the job that does the work, so what was accepted survives any crash.
import { bytesToGib } from '../core/bytes.ts';
import { VbsError } from '../core/errors.ts';
import {
  type BackupId,
  newUuid,
  type PolicyId,
  type ProjectId,
  type SnapshotId,
  type UserId,
  type VolumeId,
} from '../core/ids.ts';
import type { Backup, Dialect, Job, Tag, Volume } from '../core/model.ts';
import type { Clock } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import { traceJob } from './audit.ts';
import { enterDeletion, queueJob } from './backup-entry.ts';
import {
  requireBackupPossible,
  requireBackupResettable,
  requireDeletable,
  requireRestorePossible,
} from './backup-rules.ts';
import { authorize, type Caller, hasRole } from './caller.ts';
import type { BackupExport, ExportOpener } from './export-opener.ts';
import type { BackupPayload, RestorePayload } from './job-payloads.ts';
import type { BackupPage, ListResult } from './list-page.ts';
import { type BackupQuotas, requireBackupQuota } from './quota.ts';
import { findReadableBackup, findVolumeUse, requireBackup, requireVolume } from './subjects.ts';

export type CreateBackupInput = {
  readonly volumeId: VolumeId;
  readonly name: string | null;
  readonly description: string | null;
  readonly tags: readonly Tag[];
  readonly snapshotId?: SnapshotId;
  /** False demands a full backup. */
  readonly isIncrementalRequested: boolean;
  /** Refuse instead of making a full backup when there is none to build on (contract 5.6). */
  readonly isBaseRequired?: boolean;
  /** `vbs`: in-use volumes are always allowed. `native`: they need `force`. */
  readonly dialect: Dialect;
  readonly container?: string | null;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly availabilityZone?: string | null;
  readonly force?: boolean;
};

export type BackupListFilter = {
  readonly name?: string;
  readonly status?: string;
  readonly volumeId?: string;
  /** Substrings (`name~` and so on). */
  readonly nameLike?: string;
  readonly statusLike?: string;
  readonly volumeIdLike?: string;
  /** Every project; from callers who are no admins it is ignored. */
  readonly allProjects?: boolean;
  /** With `allProjects`: this one only. */
  readonly projectId?: ProjectId;
};

/** -1 = unlimited; `backupsPerVolume` 0 = off (contract 5.12). */
export type BackupLimits = {
  readonly backups: number;
  readonly backupGigabytes: number;
  readonly backupsPerVolume: number;
};

export type BackupServiceDeps = {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly exports: ExportOpener;
  readonly limits: BackupLimits;
  readonly availabilityZone: string;
  /** Tells the job runner that there is work. */
  readonly wakeJobs: () => void;
};

export class BackupService {
  readonly #deps: BackupServiceDeps;

  constructor(deps: BackupServiceDeps) {
    this.#deps = deps;
  }

  /**
   * Enters a backup in state `creating` and the job that makes it. It is incremental when asked for and possible.
   * @throws VOLUME_NOT_FOUND, SNAPSHOT_NOT_FOUND, VOLUME_STATE_FORBIDS_BACKUP, BACKUP_IN_PROGRESS,
   * REQUEST_FIELD_INVALID, BACKUPS_PER_VOLUME_EXCEEDED, QUOTA_BACKUPS_EXCEEDED, QUOTA_BACKUP_GIGABYTES_EXCEEDED
   */
  async createBackup(
    caller: Caller,
    projectId: ProjectId,
    input: CreateBackupInput,
  ): Promise<{ job: Job; backup: Backup }> {
    authorize(caller, projectId, 'member');
    const { userId } = caller;
    const accepted = await this.#deps.catalog.transact(projectId, async (records) => {
      const entered = await this.enterBackup(records, { projectId, userId }, input);
      await traceJob(records, 'bksCreateBackup', { caller, ...entered });
      return entered;
    });
    this.#deps.wakeJobs();
    return accepted;
  }

  /**
   * The rules and rows of `createBackup`, inside a transaction of the project that somebody else commits; wake the jobs
   * then. What is refused is refused before anything was written. @throws as `createBackup`
   */
  async enterBackup(
    records: CatalogRecords,
    owner: { readonly projectId: ProjectId; readonly userId: UserId; readonly policyId?: PolicyId },
    input: CreateBackupInput,
  ): Promise<{ job: Job; backup: Backup }> {
    const { projectId } = owner;
    const volume = await requireVolume(records, projectId, input.volumeId);
    await this.#requireRoom(records, volume, input);
    const previousStatus = await this.#showBackingUp(records, volume, input.dialect);
    const payload: BackupPayload = { force: input.force === true, snapshotId: newUuid(), previousStatus };
    const { volumeId } = volume;
    const createdAt = this.#deps.clock.now();
    const job = await queueJob(records, { projectId, kind: 'backup', volumeId, payload, createdAt });
    await records.backups.insert({
      ...owner,
      backupId: job.backupId,
      volumeId,
      jobId: job.jobId,
      name: input.name,
      description: input.description,
      dialect: input.dialect,
      sizeBytes: volume.sizeBytes,
      container: input.container ?? null,
      availabilityZone: input.availabilityZone ?? this.#deps.availabilityZone,
      snapshotId: null,
      isIncrementalRequested: input.isIncrementalRequested,
      tags: input.tags,
      metadata: input.metadata ?? {},
      createdAt,
    });
    return { job, backup: await requireBackup(records, projectId, job.backupId) };
  }

  /**
   * The native API shows a volume as `backing-up` until its backup has ended (contract 3.20); through the VBS API it
   * keeps its status (contract 5.2). Returns the status to go back to, null when it was left alone.
   */
  async #showBackingUp(
    { volumes }: CatalogRecords,
    { volumeId, status }: Volume,
    dialect: Dialect,
  ): Promise<BackupPayload['previousStatus']> {
    if (dialect === 'vbs' || (status !== 'available' && status !== 'in-use')) return null;
    await volumes.update(volumeId, { status: 'backing-up', updatedAt: this.#deps.clock.now() });
    return status;
  }

  /** The checks of contract 3.1 that need the catalog, in its order: states, running operations, quotas. */
  async #requireRoom(records: CatalogRecords, volume: Volume, input: CreateBackupInput): Promise<void> {
    const { projectId, volumeId } = volume;
    const { snapshotId, dialect, force = false } = input;
    if (snapshotId !== undefined) throw new VbsError('SNAPSHOT_NOT_FOUND', { snapshotId });
    requireBackupPossible(volume, await findVolumeUse(records, volume), { dialect, force });
    if (input.isBaseRequired) {
      const { items } = await records.backups.list({ projectId, volumeId, status: 'available' }, { limit: 1 });
      const reason = 'the volume has no available backup to build on';
      if (items.length === 0) throw new VbsError('REQUEST_FIELD_INVALID', { field: 'incremental', reason });
    }
    const limit = this.#deps.limits.backupsPerVolume;
    if (limit > 0 && (await records.backups.countByVolume(projectId, volumeId)) >= limit) {
      throw new VbsError('BACKUPS_PER_VOLUME_EXCEEDED', { volumeId, limit });
    }
    requireBackupQuota(await this.#readQuotas(records, projectId), bytesToGib(volume.sizeBytes));
  }

  /**
   * Marks the backup `deleting`; a job removes it. Every other backup stays restorable (contract 5.9).
   * @throws BACKUP_NOT_FOUND, BACKUP_STATE_FORBIDS_DELETE
   */
  async deleteBackup(caller: Caller, projectId: ProjectId, backupId: BackupId): Promise<Job> {
    authorize(caller, projectId, 'member');
    const job = await this.#deps.catalog.transact(projectId, async (records) => {
      const backup = await requireBackup(records, projectId, backupId);
      requireDeletable(backup);
      const queued = await enterDeletion(records, backup, this.#deps.clock.now());
      await traceJob(records, 'bksDeleteBackup', { caller, job: queued, backup });
      return queued;
    });
    this.#deps.wakeJobs();
    return job;
  }

  /**
   * Deletes a backup in whatever state, for admins. What writes or reads it comes to its end first, and a deletion
   * that is queued already stays the only one. @throws BACKUP_NOT_FOUND
   */
  async forceDeleteBackup(caller: Caller, projectId: ProjectId, backupId: BackupId): Promise<Job> {
    authorize(caller, projectId, 'admin');
    const job = await this.#deps.catalog.transact(projectId, async (records) => {
      const backup = await requireBackup(records, projectId, backupId);
      const queued = await records.jobs.findOpen({ projectId, backupId, kinds: ['delete-backup'] });
      if (queued !== undefined) return queued;
      const entered = await enterDeletion(records, backup, this.#deps.clock.now());
      await traceJob(records, 'bksDeleteBackup', { caller, job: entered, backup });
      return entered;
    });
    this.#deps.wakeJobs();
    return job;
  }

  /**
   * Shows the backup in another state, for admins: the way out of one that nothing will end. Its data stays what it
   * is, so a backup that was found damaged is still no parent for increments.
   * @throws BACKUP_NOT_FOUND, BACKUP_STATE_FORBIDS_RESET
   */
  async resetBackup(
    caller: Caller,
    projectId: ProjectId,
    backupId: BackupId,
    status: 'available' | 'error',
  ): Promise<void> {
    authorize(caller, projectId, 'admin');
    const updatedAt = this.#deps.clock.now();
    await this.#deps.catalog.transact(projectId, async (records) => {
      const backup = await requireBackup(records, projectId, backupId);
      const job = await records.jobs.findOpen({ projectId, backupId, kinds: ['backup', 'restore', 'delete-backup'] });
      const isRecordTrashed = await records.backups.isRecordTrashed(backupId);
      requireBackupResettable(backup, { isJobOpen: job !== undefined, isRecordTrashed }, status);
      const reason = status === 'available' ? { failReason: null } : {};
      await records.backups.update(backupId, { status, ...reason, updatedAt });
    });
  }

  /**
   * Begins to write a backup over a volume of the same project. Only the owner of a backup may.
   * @throws RESTORE_BACKUP_NOT_FOUND, RESTORE_VOLUME_NOT_FOUND, BACKUP_NOT_OWNED, BACKUP_NOT_AVAILABLE,
   * RESTORE_VOLUME_IN_ERROR, RESTORE_VOLUME_NOT_AVAILABLE, RESTORE_VOLUME_BEING_BACKED_UP, RESTORE_VOLUME_TOO_SMALL
   */
  async restoreBackup(caller: Caller, projectId: ProjectId, backupId: BackupId, volumeId: VolumeId): Promise<Job> {
    authorize(caller, projectId, 'member');
    const job = await this.#deps.catalog.transact(projectId, async (records) => {
      const backup = await findReadableBackup(records, projectId, backupId);
      if (backup === undefined) throw new VbsError('RESTORE_BACKUP_NOT_FOUND', { backupId });
      const volume = await records.volumes.get(projectId, volumeId);
      if (volume === undefined) throw new VbsError('RESTORE_VOLUME_NOT_FOUND', { volumeId });
      if (backup.projectId !== projectId) throw new VbsError('BACKUP_NOT_OWNED', { backupId });
      requireRestorePossible(backup, volume, await findVolumeUse(records, volume));
      const payload: RestorePayload = { isNewVolume: false, isTargetUntouched: true };
      const createdAt = this.#deps.clock.now();
      const queued = await queueJob(records, { projectId, kind: 'restore', backupId, volumeId, payload, createdAt });
      const updatedAt = createdAt;
      await records.backups.update(backupId, { status: 'restoring', updatedAt });
      await records.volumes.update(volumeId, { status: 'restoring-backup', updatedAt });
      await traceJob(records, 'bksRestoreBackup', { caller, job: queued, backup });
      return queued;
    });
    this.#deps.wakeJobs();
    return job;
  }

  /** One's own, or one that is shared with the project. @throws BACKUP_NOT_FOUND for all others, known or not. */
  async getBackup(caller: Caller, projectId: ProjectId, backupId: BackupId): Promise<Backup> {
    authorize(caller, projectId, 'reader');
    const backup = await findReadableBackup(this.#deps.catalog, projectId, backupId);
    if (backup === undefined) throw new VbsError('BACKUP_NOT_FOUND', { backupId });
    return backup;
  }

  /** @throws MARKER_NOT_FOUND */
  async listBackups(
    caller: Caller,
    projectId: ProjectId,
    filter: BackupListFilter,
    page: BackupPage,
  ): Promise<ListResult<Backup>> {
    authorize(caller, projectId, 'reader');
    const { allProjects, projectId: wantedId, ...rest } = filter;
    const isAcross = allProjects === true && hasRole(caller, 'admin');
    return await this.#deps.catalog.backups.list({ ...rest, projectId: isAcross ? wantedId : projectId }, page);
  }

  /** @throws QUOTA_LOOKUP_FAILED */
  async quota(caller: Caller, projectId: ProjectId): Promise<BackupQuotas> {
    authorize(caller, projectId, 'reader');
    try {
      return await this.#readQuotas(this.#deps.catalog, projectId);
    } catch (cause) {
      throw new VbsError('QUOTA_LOOKUP_FAILED', {}, { cause });
    }
  }

  /**
   * Opens a backup for reading and holds it until it is closed: closing is the caller's duty.
   * @throws BACKUP_NOT_FOUND, BACKUP_NOT_AVAILABLE, DATA_CORRUPT
   */
  async openExport(
    caller: Caller,
    projectId: ProjectId,
    backupId: BackupId,
    signal?: AbortSignal,
  ): Promise<BackupExport> {
    authorize(caller, projectId, 'member');
    return await this.#deps.exports.open(projectId, backupId, signal);
  }

  /** One more backup, of the smallest size there is, would fit. @throws as `createBackup` when a quota is exhausted */
  async requireQuotaLeft(records: Pick<CatalogRecords, 'quotas'>, projectId: ProjectId): Promise<void> {
    requireBackupQuota(await this.#readQuotas(records, projectId), 1);
  }

  async #readQuotas({ quotas }: Pick<CatalogRecords, 'quotas'>, projectId: ProjectId): Promise<BackupQuotas> {
    const usage = await quotas.usage(projectId);
    const { backups, backupGigabytes } = this.#deps.limits;
    return {
      backups: { used: usage.usedCount, reserved: usage.reservedCount, quota: backups },
      backupGigabytes: { used: usage.usedGib, reserved: usage.reservedGib, quota: backupGigabytes },
    };
  }
}
