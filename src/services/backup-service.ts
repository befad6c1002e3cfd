// Backups: accepted, listed, deleted, restored, read. Each request is checked and entered in one transaction under the
// project's lock, together with the job that does the work, so what was accepted survives any crash.
import { VbsError } from '../core/errors.ts';
import type { BackupId, ProjectId, VolumeId } from '../core/ids.ts';
import type { Backup, Dialect, Job } from '../core/model.ts';
import { NATIVE_RULES, type NativeRules } from '../core/native-rules.ts';
import type { Clock } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import { recordTrace, traceJob } from './audit.ts';
import { type BackupCreationRules, type BackupOwner, type CreateBackupInput, enterBackup } from './backup-creation.ts';
import { enterDeletion, queueJob } from './backup-entry.ts';
import {
  requireBackupResettable,
  requireDeletable,
  requireNoDependants,
  requireRestorePossible,
} from './backup-rules.ts';
import { authorize, type Caller, hasRole } from './caller.ts';
import type { BackupDiff, BackupExport, DiffOptions, ExportOpener } from './export-opener.ts';
import type { RestorePayload } from './job-payloads.ts';
import type { LabelKeeper } from './label-keeper.ts';
import type { BackupPage, ListResult } from './list-page.ts';
import { type BackupQuotas, readBackupQuotas, requireBackupQuota, UNLIMITED_QUOTAS } from './quota.ts';
import { requireServiceEnabled } from './service-states.ts';
import { findReadableBackup, findVolumeUse, requireBackup } from './subjects.ts';

export type { CreateBackupInput } from './backup-creation.ts';

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
  /** Asked for by something that backups do not have. */
  readonly matchesNothing?: boolean;
};

export type BackupUpdate = {
  readonly name?: string | null;
  readonly description?: string | null;
  /** Takes the place of all that there is. */
  readonly metadata?: Readonly<Record<string, string>>;
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
  /** Absent: the documented defaults. */
  readonly nativeRules?: NativeRules;
  readonly labels: Pick<LabelKeeper, 'saveBackup'>;
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
   * @throws VOLUME_NOT_FOUND, SNAPSHOT_NOT_FOUND, SNAPSHOT_STATE_FORBIDS_BACKUP, VOLUME_STATE_FORBIDS_BACKUP,
   * BACKUP_IN_PROGRESS, REQUEST_FIELD_INVALID, BACKUPS_PER_VOLUME_EXCEEDED, QUOTA_BACKUPS_EXCEEDED,
   * QUOTA_BACKUP_GIGABYTES_EXCEEDED, SERVICE_DISABLED
   */
  async createBackup(
    caller: Caller,
    projectId: ProjectId,
    input: CreateBackupInput,
  ): Promise<{ job: Job; backup: Backup }> {
    authorize(caller, projectId, 'member');
    const { userId, requestId } = caller;
    const accepted = await this.#deps.catalog.transact(projectId, async (records) => {
      const entered = await this.enterBackup(records, { projectId, userId, requestId }, input);
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
    owner: BackupOwner,
    input: CreateBackupInput,
  ): Promise<{ job: Job; backup: Backup }> {
    const { limits, availabilityZone, clock } = this.#deps;
    const rules: BackupCreationRules = {
      backupsPerVolume: limits.backupsPerVolume,
      availabilityZone,
      readQuotas: (bound, projectId) => this.#readQuotas(bound, projectId),
    };
    return await enterBackup(records, rules, owner, input, clock.now());
  }

  /**
   * Marks the backup `deleting`; a job removes it. Every other backup stays restorable (contract 5.9).
   * @throws BACKUP_NOT_FOUND, BACKUP_STATE_FORBIDS_DELETE, BACKUP_HAS_DEPENDANTS
   */
  async deleteBackup(caller: Caller, projectId: ProjectId, backupId: BackupId, dialect: Dialect = 'vbs'): Promise<Job> {
    authorize(caller, projectId, 'member');
    const job = await this.#deps.catalog.transact(projectId, async (records) => {
      const backup = await requireBackup(records, projectId, backupId);
      requireDeletable(backup);
      if (dialect === 'native') this.#requireFree(backup);
      const queued = await enterDeletion(records, backup, this.#deps.clock.now(), caller.requestId);
      await traceJob(records, 'bksDeleteBackup', { caller, job: queued, backup });
      return queued;
    });
    this.#deps.wakeJobs();
    return job;
  }

  /**
   * Deletes a backup in whatever state, for admins. What writes or reads it comes to its end first, and a deletion
   * that is queued already stays the only one. @throws BACKUP_NOT_FOUND, BACKUP_HAS_DEPENDANTS
   */
  async forceDeleteBackup(caller: Caller, projectId: ProjectId, backupId: BackupId): Promise<Job> {
    authorize(caller, projectId, 'admin');
    const job = await this.#deps.catalog.transact(projectId, async (records) => {
      const backup = await requireBackup(records, projectId, backupId);
      const queued = await records.jobs.findOpen({ projectId, backupId, kinds: ['delete-backup'] });
      if (queued !== undefined) return queued;
      this.#requireFree(backup);
      const entered = await enterDeletion(records, backup, this.#deps.clock.now(), caller.requestId);
      await traceJob(records, 'bksDeleteBackup', { caller, job: entered, backup });
      return entered;
    });
    this.#deps.wakeJobs();
    return job;
  }

  #requireFree(backup: Backup): void {
    const { dependants } = this.#deps.nativeRules ?? NATIVE_RULES;
    if (dependants === 'refuse') requireNoDependants(backup);
  }

  /** Changes what users say about a backup; absent members stay as they are. @throws BACKUP_NOT_FOUND */
  async updateBackup(caller: Caller, projectId: ProjectId, backupId: BackupId, changes: BackupUpdate): Promise<Backup> {
    authorize(caller, projectId, 'member');
    const updatedAt = this.#deps.clock.now();
    const changed = await this.#deps.catalog.transact(projectId, async (records) => {
      await requireBackup(records, projectId, backupId);
      await records.backups.update(backupId, { ...changes, updatedAt });
      const backup = await requireBackup(records, projectId, backupId);
      const resource = { resourceId: backupId, resourceName: backup.name, createdAt: updatedAt };
      const details = { changed: Object.keys(changes) };
      await recordTrace(records, { projectId, actor: caller, traceName: 'bksModifyBackup', details, ...resource });
      return backup;
    });
    await this.#deps.labels.saveBackup(projectId, backupId);
    return changed;
  }

  /**
   * Where a caller of the native API finds a backup: admins act on those of every project, as if in it, once it is
   * known to exist; everybody else, and everybody on the VBS API, in the project of the path.
   */
  async locateBackup(
    caller: Caller,
    projectId: ProjectId,
    backupId: BackupId,
  ): Promise<{ readonly caller: Caller; readonly projectId: ProjectId }> {
    if (!hasRole(caller, 'admin')) return { caller, projectId };
    const ownerId = (await this.#deps.catalog.backups.find(backupId))?.projectId ?? projectId;
    return { caller: { ...caller, projectId: ownerId }, projectId: ownerId };
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
      const job = await records.jobs.findOpen({
        projectId,
        backupId,
        kinds: ['backup', 'restore', 'delete-backup', 'import-backup'],
      });
      const isRecordTrashed = await records.backups.isRecordTrashed(backupId);
      requireBackupResettable(backup, { isJobOpen: job !== undefined, isRecordTrashed }, status);
      const reason = status === 'available' ? { failReason: null } : {};
      await records.backups.update(backupId, { status, ...reason, updatedAt });
    });
  }

  /**
   * Begins to write a backup over a volume of the same project. Only the owner of a backup may. With `verify` the job
   * reads everything back at the end and compares it.
   * @throws RESTORE_BACKUP_NOT_FOUND, RESTORE_VOLUME_NOT_FOUND, BACKUP_NOT_OWNED, BACKUP_NOT_AVAILABLE,
   * RESTORE_VOLUME_IN_ERROR, RESTORE_VOLUME_NOT_AVAILABLE, RESTORE_VOLUME_BEING_BACKED_UP, RESTORE_VOLUME_TOO_SMALL,
   * SERVICE_DISABLED
   */
  async restoreBackup(
    caller: Caller,
    projectId: ProjectId,
    backupId: BackupId,
    volumeId: VolumeId,
    options: { readonly verify?: boolean } = {},
  ): Promise<Job> {
    authorize(caller, projectId, 'member');
    const job = await this.#deps.catalog.transact(projectId, async (records) => {
      const backup = await findReadableBackup(records, projectId, backupId);
      if (backup === undefined) throw new VbsError('RESTORE_BACKUP_NOT_FOUND', { backupId });
      const volume = await records.volumes.get(projectId, volumeId);
      if (volume === undefined) throw new VbsError('RESTORE_VOLUME_NOT_FOUND', { volumeId });
      if (backup.projectId !== projectId) throw new VbsError('BACKUP_NOT_OWNED', { backupId });
      requireRestorePossible(backup, volume, await findVolumeUse(records, volume));
      await requireServiceEnabled(records, 'cinder-backup');
      const { verify = false } = options;
      const payload: RestorePayload = { isNewVolume: false, isTargetUntouched: true, verify };
      const createdAt = this.#deps.clock.now();
      const { requestId } = caller;
      const draft = { projectId, backupId, volumeId, payload, requestId, createdAt };
      const queued = await queueJob(records, { ...draft, kind: 'restore' });
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
    const { allProjects, projectId: wantedId, matchesNothing, ...rest } = filter;
    if (matchesNothing === true) return { items: [], ...(page.withTotalCount === true ? { totalCount: 0 } : {}) };
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

  /**
   * Where the backup differs from another one of the same volume, a page of it.
   * @throws BACKUP_NOT_FOUND, BACKUP_NOT_AVAILABLE, REQUEST_FIELD_INVALID, DATA_CORRUPT
   */
  async diffBackup(
    caller: Caller,
    projectId: ProjectId,
    backupId: BackupId,
    options: DiffOptions,
  ): Promise<BackupDiff> {
    authorize(caller, projectId, 'reader');
    return await this.#deps.exports.diff(projectId, backupId, options);
  }

  /** One more backup would fit, of this size or the smallest there is. @throws as `createBackup` for its quotas */
  async requireQuotaLeft(records: Pick<CatalogRecords, 'quotas'>, projectId: ProjectId, sizeGib = 1): Promise<void> {
    requireBackupQuota(await this.#readQuotas(records, projectId), sizeGib);
  }

  async #readQuotas(records: Pick<CatalogRecords, 'quotas'>, projectId: ProjectId): Promise<BackupQuotas> {
    const { backups, backupGigabytes } = this.#deps.limits;
    return await readBackupQuotas(records, projectId, { ...UNLIMITED_QUOTAS, backups, backupGigabytes });
  }
}
