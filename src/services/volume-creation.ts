// New volumes: empty, or from a backup, a snapshot or another volume. The disk itself is the driver's; here are the
// rows, and the order of row and disk that leaves nothing behind after a crash: the row first, in a state that says so.
import { bytesToGib } from '../core/bytes.ts';
import { VbsError } from '../core/errors.ts';
import { type BackupId, type JobId, newUuid, type ProjectId, type SnapshotId, type VolumeId } from '../core/ids.ts';
import { LIST_LIMIT_MAX } from '../core/limits.ts';
import type { Backup, Volume } from '../core/model.ts';
import type { Clock, Logger } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import type { NewVolume } from '../db/record-types.ts';
import type { VolumeRegistry } from '../volumes/volume-registry.ts';
import { recordTrace } from './audit.ts';
import { requireAvailableBackup } from './backup-rules.ts';
import { authorize, type Caller } from './caller.ts';
import type { RestorePayload, SnapshotPayload } from './job-payloads.ts';
import { type QuotaLimits, requireQuota } from './quota.ts';
import { requireServiceEnabled } from './service-states.ts';
import { requireAvailableSnapshot, requireCloneable } from './snapshot-rules.ts';
import { findReadableBackup, requireSnapshot, requireVolume } from './subjects.ts';
import { makeDisk, requireFreezable } from './volume-disk.ts';
import { planVolumeSize } from './volume-rules.ts';
import { requireSatisfiable, requireVolumeType } from './volume-types.ts';

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
  /** At most one of the three sources is given. */
  readonly snapshotId: SnapshotId | null;
  readonly sourceVolumeId: VolumeId | null;
  readonly metadata: Readonly<Record<string, string>>;
};

/** What every new row begins with, however its disk comes about. */
export type VolumeDraftInput = {
  readonly name: string | null;
  readonly description: string | null;
  readonly volumeType: string | null;
  readonly availabilityZone: string | null;
  readonly metadata: Readonly<Record<string, string>>;
};

/**
 * A row in state `creating`, without a disk or a size yet.
 * @throws VOLUME_TYPE_NOT_FOUND, VOLUME_TYPE_UNSATISFIABLE, AVAILABILITY_ZONE_NOT_FOUND
 */
export async function draftVolume(
  records: Pick<CatalogRecords, 'volumeTypes'>,
  caller: Caller,
  projectId: ProjectId,
  input: VolumeDraftInput,
  place: { readonly availabilityZone: string; readonly createdAt: number },
): Promise<NewVolume> {
  const type = await requireVolumeType(records, caller, projectId, input.volumeType);
  const availabilityZone = input.availabilityZone ?? place.availabilityZone;
  if (availabilityZone !== place.availabilityZone) {
    throw new VbsError('AVAILABILITY_ZONE_NOT_FOUND', { availabilityZone });
  }
  requireSatisfiable(type);
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
    sourceSnapshotId: null,
    sourceVolumeId: null,
    createdAt: place.createdAt,
  };
}

export type VolumeCreatorDeps = {
  readonly catalog: Catalog;
  readonly drivers: VolumeRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Tells the job runner that there is work. */
  readonly wakeJobs: () => void;
  readonly availabilityZone: string;
  /** Limits of projects that have none of their own. */
  readonly quotas: QuotaLimits;
};

export class VolumeCreator {
  readonly #deps: VolumeCreatorDeps;

  constructor(deps: VolumeCreatorDeps) {
    this.#deps = deps;
  }

  /**
   * An empty volume is `available` when this returns; one from a source is `creating`, and a job fills it.
   * @throws VOLUME_TYPE_NOT_FOUND, VOLUME_TYPE_UNSATISFIABLE, AVAILABILITY_ZONE_NOT_FOUND, SERVICE_DISABLED,
   * SNAPSHOT_NOT_FOUND, SNAPSHOT_STATE_FORBIDS, VOLUME_NOT_FOUND, VOLUME_STATE_FORBIDS, VOLUME_ATTACHED,
   * BACKUP_NOT_FOUND, BACKUP_NOT_OWNED, BACKUP_NOT_AVAILABLE, VOLUME_SIZE_INVALID, VOLUME_TOO_SMALL_FOR_SOURCE,
   * QUOTA_VOLUMES_EXCEEDED, QUOTA_GIGABYTES_EXCEEDED, QUOTA_VOLUME_SIZE_EXCEEDED, STORAGE_FULL
   */
  async createVolume(caller: Caller, projectId: ProjectId, input: CreateVolumeInput): Promise<Volume> {
    authorize(caller, projectId, 'member');
    const { snapshotId, sourceVolumeId, backupId } = input;
    const request = { caller, projectId, input, createdAt: this.#deps.clock.now() };
    if (snapshotId !== null) return await this.#createFromSnapshot(request, snapshotId);
    if (sourceVolumeId !== null) return await this.#createFromVolume(request, sourceVolumeId);
    if (backupId !== null) return await this.#createFromBackup(request, backupId);
    return await this.#createEmpty(request);
  }

  /**
   * Makes the disks of empty volumes that a crash cut short; to be called before requests are served, by the process
   * that holds the folder of the disks. (Volumes that a job is at work on are the job's.)
   */
  async recoverVolumes(): Promise<void> {
    const { catalog, logger } = this.#deps;
    // Calls are few at any moment, so one page holds all that a crash can leave.
    const { items } = await catalog.volumes.list({ status: 'creating' }, { limit: LIST_LIMIT_MAX });
    for (const volume of items) {
      const { sourceBackupId, sourceSnapshotId, sourceVolumeId } = volume;
      const isMadeByJob = [sourceBackupId, sourceSnapshotId, sourceVolumeId].some((sourceId) => sourceId !== null);
      // A job is taken up again by the runner; a volume with a disk is only shown like this, because an admin said so.
      if (isMadeByJob || volume.source !== '') continue;
      const { volumeId, projectId } = volume;
      logger.warn({ volumeId }, 'a call was cut short; its empty volume is made now');
      try {
        await this.#finishEmptyVolume(volume);
      } catch (error) {
        logger.error({ volumeId, err: error }, 'the disk of a volume could not be made');
        await this.#settle(projectId, volumeId, { status: 'error' });
      }
    }
  }

  async #createEmpty(request: CreationRequest): Promise<Volume> {
    const { projectId, input } = request;
    const sizeBytes = planVolumeSize(input.sizeGib, undefined);
    const volume = await this.#deps.catalog.transact(projectId, (records) =>
      this.#enter(records, request, { sizeBytes }),
    );
    try {
      return await this.#finishEmptyVolume(volume);
    } catch (error) {
      // The caller learns that there is no volume, so none may stay. A crash before this line is mended at start-up.
      await this.#dropUnfinished(projectId, volume.volumeId);
      throw error;
    }
  }

  async #createFromSnapshot(request: CreationRequest, snapshotId: SnapshotId): Promise<Volume> {
    const { caller, projectId, input, createdAt } = request;
    const { requestId } = caller;
    const volume = await this.#deps.catalog.transact(projectId, async (records) => {
      const snapshot = await requireSnapshot(records, projectId, snapshotId);
      requireAvailableSnapshot(snapshot);
      const { isBootable, volumeType } = snapshot;
      const made = await this.#enter(records, request, {
        ...inherit(input, { isBootable, volumeType }),
        sizeBytes: planVolumeSize(input.sizeGib, snapshot.sizeBytes),
        sourceSnapshotId: snapshotId,
      });
      const { volumeId } = made;
      const job = { kind: 'copy-volume', projectId, volumeId, snapshotId, createdAt } as const;
      await records.jobs.insert({ ...job, requestId, jobId: newUuid() });
      return await inheritImage(records, made, await requireVolume(records, projectId, snapshot.volumeId));
    });
    this.#deps.wakeJobs();
    return volume;
  }

  async #createFromVolume(request: CreationRequest, sourceVolumeId: VolumeId): Promise<Volume> {
    const { caller, projectId, input, createdAt } = request;
    const { requestId } = caller;
    const { catalog, drivers } = this.#deps;
    const seen = await requireVolume(catalog, projectId, sourceVolumeId);
    requireCloneable(seen);
    await requireFreezable(drivers, seen);
    const volume = await catalog.transact(projectId, async (records) => {
      const source = await requireVolume(records, projectId, sourceVolumeId);
      requireCloneable(source);
      const made = await this.#enter(records, request, {
        ...inherit(input, source),
        sizeBytes: planVolumeSize(input.sizeGib, source.sizeBytes),
        sourceVolumeId,
      });
      const payload: SnapshotPayload = { isAttached: source.status === 'in-use', force: false };
      const job = { kind: 'copy-volume', projectId, volumeId: made.volumeId, payload, createdAt } as const;
      await records.jobs.insert({ ...job, requestId, jobId: newUuid() });
      return await inheritImage(records, made, source);
    });
    this.#deps.wakeJobs();
    return volume;
  }

  /** Volume, job and the hold on the backup in one transaction; the disk is made by the job. */
  async #createFromBackup(request: CreationRequest, backupId: BackupId): Promise<Volume> {
    const { catalog } = this.#deps;
    const { caller, projectId, input, createdAt } = request;
    // A backup never changes its owner, so which locks are needed can be seen before they are held.
    const ownerId = (await findReadableBackup(catalog, projectId, backupId))?.projectId ?? projectId;
    const volume = await catalog.transactAcross([projectId, ownerId], async (records) => {
      const backup = await findReadableBackup(records, projectId, backupId);
      if (backup === undefined) throw new VbsError('BACKUP_NOT_FOUND', { backupId });
      if (input.isRestore === true && ownerId !== projectId) throw new VbsError('BACKUP_NOT_OWNED', { backupId });
      requireAvailableBackup(backup);
      const { isBootable, metadata } = backup.sourceVolume;
      const made = await this.#enter(records, request, {
        sizeBytes: planVolumeSize(input.sizeGib, backup.sizeBytes),
        sourceBackupId: backupId,
        isBootable,
        metadata: { ...metadata, ...input.metadata },
      });
      const { volumeId } = made;
      const payload: RestorePayload = { isNewVolume: true, isTargetUntouched: true, verify: false };
      const jobId = newUuid<JobId>();
      const subject = { jobId, projectId, backupId, volumeId, payload, requestId: caller.requestId };
      await records.jobs.insert({ ...subject, kind: 'restore', createdAt });
      await holdBackup(records, backup, { jobId, projectId, createdAt });
      const resource = { resourceId: backupId, resourceName: backup.name, details: { volume_id: volumeId } };
      await recordTrace(records, {
        ...{ projectId, actor: caller, traceName: 'bksRestoreBackup', jobId, createdAt },
        ...resource,
      });
      return made;
    });
    this.#deps.wakeJobs();
    return volume;
  }

  /** The row of a new volume, `creating`, within the quotas. Call it in the transaction that queues its job. */
  async #enter(
    records: CatalogRecords,
    { caller, projectId, input, createdAt }: CreationRequest,
    known: Partial<NewVolume> & Pick<NewVolume, 'sizeBytes'>,
  ): Promise<Volume> {
    const { availabilityZone, quotas } = this.#deps;
    const draft = await draftVolume(records, caller, projectId, input, { availabilityZone, createdAt });
    const volume: NewVolume = { ...draft, ...known };
    const sizeGib = bytesToGib(volume.sizeBytes);
    const { volumeType } = volume;
    await requireServiceEnabled(records, 'cinder-volume', 'cinder-scheduler');
    const need = { volumes: 1, gigabytes: sizeGib, perVolumeGigabytes: sizeGib, volumeType };
    await requireQuota(records, projectId, need, quotas);
    await records.volumes.insert(volume);
    return await requireVolume(records, projectId, volume.volumeId);
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

type CreationRequest = {
  readonly caller: Caller;
  readonly projectId: ProjectId;
  readonly input: CreateVolumeInput;
  readonly createdAt: number;
};

/** What a volume takes over from the snapshot or volume it is made from: metadata is the user's own, as in Cinder. */
function inherit(
  { volumeType }: CreateVolumeInput,
  source: Pick<Volume, 'isBootable' | 'volumeType'>,
): Partial<Pick<NewVolume, 'isBootable' | 'volumeType'>> {
  const { isBootable } = source;
  return volumeType === null ? { isBootable, volumeType: source.volumeType } : { isBootable };
}

/** What is noted about the system on a boot disk goes with every copy of it, as in Cinder. */
async function inheritImage(
  { volumes }: Pick<CatalogRecords, 'volumes'>,
  made: Volume,
  { imageMetadata }: Volume,
): Promise<Volume> {
  if (Object.keys(imageMetadata).length === 0) return made;
  await volumes.update(made.volumeId, { imageMetadata });
  return { ...made, imageMetadata };
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
