// Volumes: made empty or from a backup, adopted, extended, deleted, let go. The disk itself is the driver's; here are
// the rows, and the order of row and disk that leaves nothing behind after a crash: the row first, in a state that
// says so.
import { Semaphore } from '../core/concurrency.ts';
import { isVbsError, VbsError } from '../core/errors.ts';
import { type BackupId, type JobId, newUuid, type ProjectId, type SnapshotId, type VolumeId } from '../core/ids.ts';
import { LIST_LIMIT_MAX } from '../core/limits.ts';
import type { Backup, Volume } from '../core/model.ts';
import type { Clock, Logger } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import type { NewVolume } from '../db/record-types.ts';
import type { VolumeDriver } from '../volumes/volume.ts';
import type { VolumeRegistry } from '../volumes/volume-registry.ts';
import { recordTrace } from './audit.ts';
import { requireAvailableBackup } from './backup-rules.ts';
import { authorize, type Caller, hasRole, requireRole } from './caller.ts';
import type { RestorePayload } from './job-payloads.ts';
import type { ListResult, VolumePage } from './list-page.ts';
import { findReadableBackup, findVolumeUse, requireVolume } from './subjects.ts';
import { makeDisk, toVolumeRef } from './volume-disk.ts';
import {
  planExtension,
  planVolumeSize,
  type ResettableStatus,
  requireVolumeAtRest,
  requireVolumeDeletable,
  requireVolumeResettable,
} from './volume-rules.ts';
import { findVolumeType } from './volume-types.ts';

export type CreateVolumeInput = {
  /** GiB; null = as large as the source to the byte. */
  readonly sizeGib: number | null;
  readonly name: string | null;
  readonly description: string | null;
  /** Id or name; null = `__DEFAULT__`. */
  readonly volumeType: string | null;
  readonly availabilityZone: string | null;
  /** One's own, or one that is shared with the project. */
  readonly backupId: BackupId | null;
  /** The request is a restore, which only the owner of a backup may ask for (contract 5.10). */
  readonly isRestore?: boolean;
  readonly snapshotId: SnapshotId | null;
  readonly metadata: Readonly<Record<string, string>>;
};

export type AdoptVolumeInput = {
  readonly host: string;
  /** `ref.source-name`: an absolute path within the permitted roots. */
  readonly reference: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly volumeType: string | null;
  readonly availabilityZone: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly isBootable: boolean;
};

/** Absent members stay as they are. */
export type UpdateVolumeInput = {
  readonly name?: string | null;
  readonly description?: string | null;
  readonly metadata?: Readonly<Record<string, string>>;
};

export type VolumeListFilter = {
  readonly name?: string;
  readonly status?: string;
  readonly sizeGib?: number;
  readonly availabilityZone?: string;
  readonly isBootable?: boolean;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly createdAt?: number;
  readonly updatedAt?: number;
  /** Every project; from callers who are no admins it is ignored. */
  readonly allProjects?: boolean;
  /** With `allProjects`: this one only. */
  readonly projectId?: ProjectId;
};

/** A line of Cinder's service list. All of them are this process, so they were last seen now. */
export type ServiceView = {
  readonly binary: 'cinder-volume' | 'cinder-backup' | 'cinder-scheduler';
  readonly host: string;
  readonly zone: string;
  readonly updatedAt: number;
};

export type VolumeServiceDeps = {
  readonly catalog: Catalog;
  readonly drivers: VolumeRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Tells the job runner that there is work. */
  readonly wakeJobs: () => void;
  readonly hostName: string;
  readonly availabilityZone: string;
};

export class VolumeService {
  readonly #deps: VolumeServiceDeps;
  readonly #adoptions = new Semaphore(1);

  constructor(deps: VolumeServiceDeps) {
    this.#deps = deps;
  }

  /** `<host>@<backend>#<pool>`, as adopting wants it and the service list shows it. */
  get hostName(): string {
    return `${this.#deps.hostName}@file#file`;
  }

  /**
   * An empty volume is `available` when this returns; one from a backup is `creating`, and a job fills it.
   * @throws VOLUME_TYPE_NOT_FOUND, AVAILABILITY_ZONE_NOT_FOUND, SNAPSHOT_NOT_FOUND, BACKUP_NOT_FOUND,
   * BACKUP_NOT_OWNED, BACKUP_NOT_AVAILABLE, VOLUME_SIZE_INVALID, VOLUME_TOO_SMALL_FOR_SOURCE, STORAGE_FULL
   */
  async createVolume(caller: Caller, projectId: ProjectId, input: CreateVolumeInput): Promise<Volume> {
    authorize(caller, projectId, 'member');
    const draft = this.#draftVolume(caller, projectId, input);
    if (input.snapshotId !== null) throw new VbsError('SNAPSHOT_NOT_FOUND', { snapshotId: input.snapshotId });
    if (input.backupId !== null)
      return await this.#createFromBackup(caller, draft, { ...input, backupId: input.backupId });
    const sizeBytes = planVolumeSize(input.sizeGib, undefined);
    const volume = { ...draft, sizeBytes };
    await this.#deps.catalog.transact(projectId, ({ volumes }) => volumes.insert(volume));
    try {
      return await this.#finishEmptyVolume({ ...volume, updatedAt: null });
    } catch (error) {
      // The caller learns that there is no volume, so none may stay. A crash before this line is mended at start-up.
      await this.#dropUnfinished(projectId, volume.volumeId);
      throw error;
    }
  }

  /**
   * Takes over a disk in place, for admins.
   * @throws VOLUME_HOST_UNKNOWN, VOLUME_TYPE_NOT_FOUND, AVAILABILITY_ZONE_NOT_FOUND, VOLUME_REFERENCE_INVALID,
   * VOLUME_ALREADY_MANAGED
   */
  async adoptVolume(caller: Caller, projectId: ProjectId, input: AdoptVolumeInput): Promise<Volume> {
    authorize(caller, projectId, 'admin');
    const { host, reference, isBootable } = input;
    if (host !== this.hostName) throw new VbsError('VOLUME_HOST_UNKNOWN', { host });
    const draft = { ...this.#draftVolume(caller, projectId, input), isBootable };
    // One at a time: of two at once under two names, neither would see the other's row.
    await this.#adoptions.acquire();
    try {
      return await this.#adopt(draft, reference);
    } finally {
      this.#adoptions.release();
    }
  }

  async #adopt(draft: NewVolume, reference: string): Promise<Volume> {
    const { projectId, volumeId } = draft;
    const driver = this.#deps.drivers.driver(draft.driver);
    const { source, sizeBytes } = await driver.adopt(reference);
    const volume: NewVolume = { ...draft, status: 'available', sizeBytes, source, isAdopted: true };
    await this.#requireUnmanaged(driver, volume, reference);
    return await this.#deps.catalog.transact(projectId, async ({ volumes }) => {
      if ((await volumes.findBySource(source)) !== undefined) {
        throw new VbsError('VOLUME_ALREADY_MANAGED', { reference });
      }
      await volumes.insert(volume);
      return await requireVolume({ volumes }, projectId, volumeId);
    });
  }

  /** By whichever project and name: two volumes over one disk would restore over each other. */
  async #requireUnmanaged(driver: VolumeDriver, wanted: NewVolume, reference: string): Promise<void> {
    const identity = await driver.identify(toVolumeRef(wanted));
    if (identity === undefined) {
      throw new VbsError('VOLUME_REFERENCE_INVALID', { reference, reason: 'it has gone in this moment' });
    }
    let markerId: VolumeId | undefined;
    do {
      const { items } = await this.#deps.catalog.volumes.list({}, { limit: LIST_LIMIT_MAX, markerId });
      for (const volume of items.filter((each) => each.driver === driver.name)) {
        if ((await driver.identify(toVolumeRef(volume))) !== identity) continue;
        throw new VbsError('VOLUME_ALREADY_MANAGED', { reference });
      }
      markerId = items.length === LIST_LIMIT_MAX ? items.at(-1)?.volumeId : undefined;
    } while (markerId !== undefined);
  }

  /** Lets a volume go without touching its disk, for admins. @throws VOLUME_NOT_FOUND, VOLUME_STATE_FORBIDS */
  async unmanageVolume(caller: Caller, projectId: ProjectId, volumeId: VolumeId): Promise<void> {
    authorize(caller, projectId, 'admin');
    await this.#deps.catalog.transact(projectId, async (records) => {
      const volume = await requireVolume(records, projectId, volumeId);
      requireVolumeAtRest(volume, await findVolumeUse(records, volume));
      await records.volumes.delete(volumeId);
    });
  }

  /** @throws VOLUME_NOT_FOUND */
  async getVolume(caller: Caller, projectId: ProjectId, volumeId: VolumeId): Promise<Volume> {
    authorize(caller, projectId, 'reader');
    return await requireVolume(this.#deps.catalog, projectId, volumeId);
  }

  /** @throws MARKER_NOT_FOUND */
  async listVolumes(
    caller: Caller,
    projectId: ProjectId,
    filter: VolumeListFilter,
    page: VolumePage,
  ): Promise<ListResult<Volume>> {
    authorize(caller, projectId, 'reader');
    const { allProjects, projectId: wantedId, ...rest } = filter;
    const isAcross = allProjects === true && hasRole(caller, 'admin');
    return await this.#deps.catalog.volumes.list({ ...rest, projectId: isAcross ? wantedId : projectId }, page);
  }

  /** @throws VOLUME_NOT_FOUND */
  async updateVolume(
    caller: Caller,
    projectId: ProjectId,
    volumeId: VolumeId,
    input: UpdateVolumeInput,
  ): Promise<Volume> {
    authorize(caller, projectId, 'member');
    const updatedAt = this.#deps.clock.now();
    return await this.#deps.catalog.transact(projectId, async ({ volumes }) => {
      await requireVolume({ volumes }, projectId, volumeId);
      await volumes.update(volumeId, { ...input, updatedAt });
      return await requireVolume({ volumes }, projectId, volumeId);
    });
  }

  /**
   * Marks the volume `deleting`; a job removes the disk (an adopted one is let go untouched). Its backups stay.
   * `force` ignores the status and is for admins; `cascade` is honoured trivially while volumes have no snapshots.
   * @throws VOLUME_NOT_FOUND, VOLUME_STATE_FORBIDS
   */
  async deleteVolume(
    caller: Caller,
    projectId: ProjectId,
    volumeId: VolumeId,
    options: { readonly cascade: boolean; readonly force: boolean },
  ): Promise<void> {
    authorize(caller, projectId, options.force ? 'admin' : 'member');
    const now = this.#deps.clock.now();
    await this.#deps.catalog.transact(projectId, async (records) => {
      const volume = await requireVolume(records, projectId, volumeId);
      requireVolumeDeletable(volume, await findVolumeUse(records, volume), options);
      await records.volumes.update(volumeId, { status: 'deleting', updatedAt: now });
      await records.jobs.insert({ jobId: newUuid(), projectId, kind: 'delete-volume', volumeId, createdAt: now });
    });
    this.#deps.wakeJobs();
  }

  /**
   * Shows the volume in another state, for admins: the way out of one that nothing will end. The disk is not touched.
   * @throws VOLUME_NOT_FOUND, VOLUME_STATE_FORBIDS_RESET
   */
  async resetVolume(caller: Caller, projectId: ProjectId, volumeId: VolumeId, status: ResettableStatus): Promise<void> {
    authorize(caller, projectId, 'admin');
    const updatedAt = this.#deps.clock.now();
    await this.#deps.catalog.transact(projectId, async (records) => {
      const volume = await requireVolume(records, projectId, volumeId);
      const job = await records.jobs.findOpen({ projectId, volumeId, kinds: ['backup', 'restore', 'delete-volume'] });
      requireVolumeResettable(volume, { isJobOpen: job !== undefined }, status);
      await records.volumes.update(volumeId, { status, updatedAt });
    });
  }

  /** @throws VOLUME_NOT_FOUND, VOLUME_STATE_FORBIDS, VOLUME_SIZE_INVALID, STORAGE_FULL */
  async extendVolume(caller: Caller, projectId: ProjectId, volumeId: VolumeId, sizeGib: number): Promise<Volume> {
    authorize(caller, projectId, 'member');
    const { catalog, drivers, clock } = this.#deps;
    const plan = await catalog.transact(projectId, async (records) => {
      const volume = await requireVolume(records, projectId, volumeId);
      const sizeBytes = planExtension(volume, sizeGib);
      requireVolumeAtRest(volume, await findVolumeUse(records, volume));
      await records.volumes.update(volumeId, { status: 'extending', updatedAt: clock.now() });
      return { volume, sizeBytes };
    });
    const driver = drivers.driver(plan.volume.driver);
    try {
      const { sizeBytes } = await driver.resize(toVolumeRef(plan.volume), plan.sizeBytes);
      return await this.#settle(projectId, volumeId, { status: 'available', sizeBytes });
    } catch (error) {
      // A disk that is locked by another program was not touched.
      const status = isVbsError(error, 'VOLUME_BUSY') ? 'available' : 'error_extending';
      await this.#settle(projectId, volumeId, { status });
      throw error;
    }
  }

  /** For admins. */
  listServices(caller: Caller): ServiceView[] {
    requireRole(caller, 'admin');
    const { hostName, availabilityZone: zone, clock } = this.#deps;
    const updatedAt = clock.now();
    return [
      { binary: 'cinder-scheduler', host: hostName, zone, updatedAt },
      { binary: 'cinder-volume', host: this.hostName, zone, updatedAt },
      { binary: 'cinder-backup', host: hostName, zone, updatedAt },
    ];
  }

  /**
   * Puts right what a crash left half done in this service's own calls; to be called before requests are served, by
   * the process that holds the folder of the disks. (Volumes that a job is at work on are the job's.)
   */
  async recoverVolumes(): Promise<void> {
    const { logger } = this.#deps;
    for (const volume of await this.#listUnfinished()) {
      const { volumeId, status } = volume;
      logger.warn({ volumeId, status }, 'a call was cut short; its volume is put right');
      if (status === 'extending') await this.#recoverExtension(volume);
      else await this.#recoverEmptyVolume(volume);
    }
  }

  /** Volumes that no job will finish. Calls are few at any moment, so one page holds all that a crash can leave. */
  async #listUnfinished(): Promise<Volume[]> {
    const { volumes } = this.#deps.catalog;
    const creating = await volumes.list({ status: 'creating' }, { limit: LIST_LIMIT_MAX });
    const extending = await volumes.list({ status: 'extending' }, { limit: LIST_LIMIT_MAX });
    // What is made from a backup is its restore job's, which the runner takes up again.
    return [...creating.items.filter((volume) => volume.sourceBackupId === null), ...extending.items];
  }

  /** The disk may have grown before its row did. A backup wants both to agree, so the disk decides. */
  async #recoverExtension(volume: Volume): Promise<void> {
    const { volumeId, projectId } = volume;
    try {
      const measuredBytes = await this.#deps.drivers.driver(volume.driver).measure(toVolumeRef(volume));
      const sizeBytes = Math.max(volume.sizeBytes, measuredBytes);
      await this.#settle(projectId, volumeId, { status: 'available', sizeBytes });
    } catch (error) {
      this.#deps.logger.error({ volumeId, err: error }, 'the size of a volume could not be told');
      await this.#settle(projectId, volumeId, { status: 'error_extending' });
    }
  }

  async #recoverEmptyVolume(volume: Volume): Promise<void> {
    const { volumeId, projectId } = volume;
    try {
      await this.#finishEmptyVolume(volume);
    } catch (error) {
      this.#deps.logger.error({ volumeId, err: error }, 'the disk of a volume could not be made');
      await this.#settle(projectId, volumeId, { status: 'error' });
    }
  }

  /** A row in state `creating`, without a disk or a size yet. */
  #draftVolume(caller: Caller, projectId: ProjectId, input: CreateVolumeInput | AdoptVolumeInput): NewVolume {
    const type = findVolumeType(input.volumeType);
    const availabilityZone = input.availabilityZone ?? this.#deps.availabilityZone;
    if (availabilityZone !== this.#deps.availabilityZone) {
      throw new VbsError('AVAILABILITY_ZONE_NOT_FOUND', { availabilityZone });
    }
    return {
      volumeId: newUuid(),
      projectId,
      userId: caller.userId,
      name: input.name,
      description: input.description,
      status: 'creating',
      sizeBytes: 0,
      volumeType: type.name,
      availabilityZone,
      driver: 'file',
      source: '',
      isAdopted: false,
      isFresh: false,
      isBootable: false,
      metadata: input.metadata,
      sourceBackupId: null,
      createdAt: this.#deps.clock.now(),
    };
  }

  /** Volume, job and the hold on the backup in one transaction; the disk is made by the job. */
  async #createFromBackup(
    caller: Caller,
    draft: NewVolume,
    { backupId, sizeGib, isRestore = false }: Pick<CreateVolumeInput, 'sizeGib' | 'isRestore'> & { backupId: BackupId },
  ): Promise<Volume> {
    const { catalog } = this.#deps;
    const { projectId, volumeId, createdAt } = draft;
    // A backup never changes its owner, so which locks are needed can be seen before they are held.
    const ownerId = (await findReadableBackup(catalog, projectId, backupId))?.projectId ?? projectId;
    const volume = await catalog.transactAcross([projectId, ownerId], async (records) => {
      const { volumes, jobs } = records;
      const backup = await findReadableBackup(records, projectId, backupId);
      if (backup === undefined) throw new VbsError('BACKUP_NOT_FOUND', { backupId });
      if (isRestore && ownerId !== projectId) throw new VbsError('BACKUP_NOT_OWNED', { backupId });
      requireAvailableBackup(backup);
      const sizeBytes = planVolumeSize(sizeGib, backup.sizeBytes);
      await volumes.insert({ ...draft, sizeBytes, sourceBackupId: backupId });
      const payload: RestorePayload = { isNewVolume: true, isTargetUntouched: true };
      const jobId = newUuid<JobId>();
      await jobs.insert({ jobId, projectId, kind: 'restore', backupId, volumeId, payload, createdAt });
      await holdBackup(records, backup, { jobId, projectId, createdAt });
      const resource = { resourceId: backupId, resourceName: backup.name, details: { volume_id: volumeId } };
      await recordTrace(records, {
        ...{ projectId, actor: caller, traceName: 'bksRestoreBackup', jobId, createdAt },
        ...resource,
      });
      return await requireVolume({ volumes }, projectId, volumeId);
    });
    this.#deps.wakeJobs();
    return volume;
  }

  async #finishEmptyVolume(volume: Volume): Promise<Volume> {
    const { source, sizeBytes } = await makeDisk(this.#deps.drivers.driver(volume.driver), volume);
    const changes = { status: 'available', source, sizeBytes, isFresh: true } as const;
    return await this.#settle(volume.projectId, volume.volumeId, changes);
  }

  async #dropUnfinished(projectId: ProjectId, volumeId: VolumeId): Promise<void> {
    await this.#deps.catalog.transact(projectId, async ({ volumes }) => {
      const volume = await volumes.get(projectId, volumeId);
      if (volume?.status === 'creating') await volumes.delete(volumeId);
    });
  }

  async #settle(
    projectId: ProjectId,
    volumeId: VolumeId,
    changes: Partial<Pick<Volume, 'status' | 'sizeBytes' | 'source' | 'isFresh'>>,
  ): Promise<Volume> {
    const updatedAt = this.#deps.clock.now();
    return await this.#deps.catalog.transact(projectId, async ({ volumes }) => {
      await volumes.update(volumeId, { ...changes, updatedAt });
      return await requireVolume({ volumes }, projectId, volumeId);
    });
  }
}

/**
 * Keeps the backup until the job has read it. One's own says so by its status; another project's, which a receiver must
 * not be able to change, is pinned from the start: its owner may delete it, and the deletion waits for the pin.
 */
async function holdBackup(
  { backups, ledger }: CatalogRecords,
  { backupId, projectId: ownerId }: Backup,
  { jobId, projectId, createdAt }: { readonly jobId: JobId; readonly projectId: ProjectId; readonly createdAt: number },
): Promise<void> {
  if (ownerId === projectId) await backups.update(backupId, { status: 'restoring', updatedAt: createdAt });
  else await ledger.pinForJob(jobId, { backupId, projectId: ownerId });
}
