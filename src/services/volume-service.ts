// Volumes that exist: adopted, extended, deleted, let go (volume-creation.ts makes new ones). The disk itself is the
// driver's; here are the rows, and the order of row and disk that leaves nothing behind after a crash: the row first,
// in a state that says so.
import { bytesToGib } from '../core/bytes.ts';
import { Semaphore } from '../core/concurrency.ts';
import { isVbsError, VbsError } from '../core/errors.ts';
import { newUuid, type ProjectId, type VolumeId, type VolumeTypeId } from '../core/ids.ts';
import { LIST_LIMIT_MAX } from '../core/limits.ts';
import type { Attachment, Volume } from '../core/model.ts';
import type { Clock, Logger } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import type { NewVolume, VolumeFilter } from '../db/record-types.ts';
import type { VolumeDriver } from '../volumes/volume.ts';
import type { VolumeRegistry } from '../volumes/volume-registry.ts';
import { statusByAttachments } from './attachment-rules.ts';
import { sweepBaselines } from './baseline-sweeper.ts';
import { authorize, type Caller, hasRole } from './caller.ts';
import { poolNameOf } from './host-service.ts';
import type { ListResult, TimeFilter, VolumePage } from './list-page.ts';
import { type QuotaLimits, requireQuota } from './quota.ts';
import { requireServiceEnabled } from './service-states.ts';
import { requireCascade } from './snapshot-rules.ts';
import { findSnapshots, findVolumeJob, findVolumeOwner, findVolumeUse, requireVolume } from './subjects.ts';
import { draftVolume } from './volume-creation.ts';
import { toVolumeRef } from './volume-disk.ts';
import { planExtension, requireVolumeAtRest, requireVolumeDeletable } from './volume-rules.ts';

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
  /** Substrings (`name~` and so on). */
  readonly nameLike?: string;
  readonly statusLike?: string;
  readonly descriptionLike?: string;
  readonly sizeGib?: number;
  readonly availabilityZone?: string;
  readonly isBootable?: boolean;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly createdAt?: TimeFilter;
  readonly updatedAt?: TimeFilter;
  /** Every project; from callers who are no admins it is ignored. */
  readonly allProjects?: boolean;
  /** With `allProjects`: this one only. */
  readonly projectId?: ProjectId;
};

export type VolumeSummary = {
  readonly count: number;
  readonly sizeGib: number;
  /** Every value that a key has somewhere. */
  readonly metadata: Readonly<Record<string, readonly string[]>>;
};

export type VolumeSurroundings = {
  /** By the name of the type. */
  readonly typeIds: ReadonlyMap<string, VolumeTypeId>;
  readonly attachments: ReadonlyMap<VolumeId, readonly Attachment[]>;
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
  /** Limits of projects that have none of their own. */
  readonly quotas: QuotaLimits;
};

export class VolumeService {
  readonly #deps: VolumeServiceDeps;
  readonly #adoptions = new Semaphore(1);

  constructor(deps: VolumeServiceDeps) {
    this.#deps = deps;
  }

  /** `<host>@<backend>#<pool>`, as adopting wants it and the service list shows it. */
  get hostName(): string {
    return poolNameOf(this.#deps.hostName);
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
    const { availabilityZone, clock } = this.#deps;
    const place = { availabilityZone, createdAt: clock.now() };
    const draft = { ...(await draftVolume(this.#deps.catalog, caller, projectId, input, place)), isBootable };
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
    return await this.#deps.catalog.transact(projectId, async (records) => {
      const { volumes } = records;
      if ((await volumes.findBySource(source)) !== undefined) {
        throw new VbsError('VOLUME_ALREADY_MANAGED', { reference });
      }
      await requireServiceEnabled(records, 'cinder-volume');
      const sizeGib = bytesToGib(sizeBytes);
      const need = { volumes: 1, gigabytes: sizeGib, perVolumeGigabytes: sizeGib, volumeType: draft.volumeType };
      await requireQuota(records, projectId, need, this.#deps.quotas);
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
    const { catalog } = this.#deps;
    const ownerId = await findVolumeOwner(catalog, caller, projectId, volumeId);
    await catalog.transact(ownerId, async (records) => {
      const volume = await requireVolume(records, ownerId, volumeId);
      requireVolumeAtRest(volume, await findVolumeUse(records, volume));
      requireCascade(volume, await findSnapshots(records, volume), { cascade: false, force: false });
      await records.volumes.delete(volumeId);
    });
    await sweepBaselines(this.#deps);
  }

  /** @throws VOLUME_NOT_FOUND */
  async getVolume(caller: Caller, projectId: ProjectId, volumeId: VolumeId): Promise<Volume> {
    authorize(caller, projectId, 'reader');
    const { catalog } = this.#deps;
    const ownerId = await findVolumeOwner(catalog, caller, projectId, volumeId);
    return await requireVolume(catalog, ownerId, volumeId);
  }

  /** @throws MARKER_NOT_FOUND */
  async listVolumes(
    caller: Caller,
    projectId: ProjectId,
    filter: VolumeListFilter,
    page: VolumePage,
  ): Promise<ListResult<Volume>> {
    authorize(caller, projectId, 'reader');
    return await this.#deps.catalog.volumes.list(planFilter(caller, projectId, filter), page);
  }

  /** Count, size and all metadata of the volumes that a list would show. */
  async summarizeVolumes(caller: Caller, projectId: ProjectId, filter: VolumeListFilter): Promise<VolumeSummary> {
    authorize(caller, projectId, 'reader');
    const { volumes } = this.#deps.catalog;
    const planned = planFilter(caller, projectId, filter);
    const { count, sizeGib } = await volumes.sum(planned);
    return { count, sizeGib, metadata: mergeMetadata(await volumes.listMetadata(planned.projectId)) };
  }

  /** What showing these volumes takes beyond their rows. */
  async describeVolumes(volumes: readonly Volume[]): Promise<VolumeSurroundings> {
    const { catalog } = this.#deps;
    const types = await catalog.volumeTypes.listAll();
    const attachments = await catalog.attachments.listOfVolumes(volumes.map(({ volumeId }) => volumeId));
    return {
      typeIds: new Map(types.map(({ name, typeId }) => [name, typeId])),
      attachments: Map.groupBy(attachments, ({ volumeId }) => volumeId),
    };
  }

  /** @throws VOLUME_NOT_FOUND */
  async updateVolume(
    caller: Caller,
    projectId: ProjectId,
    volumeId: VolumeId,
    input: UpdateVolumeInput,
  ): Promise<Volume> {
    return await this.#change(caller, projectId, volumeId, () => input);
  }

  /**
   * Replaces the metadata by what `plan` makes of it, in one transaction: of two at once none loses the other's.
   * @throws VOLUME_NOT_FOUND, and what `plan` throws
   */
  async changeMetadata(
    caller: Caller,
    projectId: ProjectId,
    volumeId: VolumeId,
    plan: (metadata: Volume['metadata']) => Volume['metadata'],
  ): Promise<Volume['metadata']> {
    const change = (volume: Volume) => ({ metadata: plan(volume.metadata) });
    return (await this.#change(caller, projectId, volumeId, change)).metadata;
  }

  /**
   * Marks the volume `deleting`; a job removes the disk (an adopted one is let go untouched). Its backups stay.
   * `force` ignores the status and is for admins; `cascade` takes the volume's snapshots with it.
   * @throws VOLUME_NOT_FOUND, VOLUME_STATE_FORBIDS, VOLUME_BEING_COPIED, VOLUME_HAS_SNAPSHOTS, SNAPSHOT_STATE_FORBIDS,
   * SNAPSHOT_IN_USE
   */
  async deleteVolume(
    caller: Caller,
    projectId: ProjectId,
    volumeId: VolumeId,
    options: { readonly cascade: boolean; readonly force: boolean },
  ): Promise<void> {
    authorize(caller, projectId, options.force ? 'admin' : 'member');
    const now = this.#deps.clock.now();
    const { catalog } = this.#deps;
    const ownerId = await findVolumeOwner(catalog, caller, projectId, volumeId);
    await catalog.transact(ownerId, async (records) => {
      const volume = await requireVolume(records, ownerId, volumeId);
      await requireNotAttached(records, volume);
      const isJobOpen = (await findVolumeJob(records, volume)) !== undefined;
      requireVolumeDeletable(volume, { ...(await findVolumeUse(records, volume)), isJobOpen }, options);
      const snapshots = await findSnapshots(records, volume);
      requireCascade(volume, snapshots, options);
      for (const { snapshot } of snapshots) {
        await records.snapshots.update(snapshot.snapshotId, { status: 'deleting', updatedAt: now });
      }
      await records.volumes.update(volumeId, { status: 'deleting', updatedAt: now });
      const job = { kind: 'delete-volume', projectId: ownerId, volumeId, createdAt: now } as const;
      await records.jobs.insert({ ...job, requestId: caller.requestId, jobId: newUuid() });
    });
    this.#deps.wakeJobs();
  }

  /**
   * Grows the disk. Volumes that are in use only with `mayBeInUse` (3.42), and only when no program holds the disk.
   * @throws VOLUME_NOT_FOUND, VOLUME_STATE_FORBIDS, VOLUME_SIZE_INVALID, QUOTA_VOLUME_SIZE_EXCEEDED,
   * QUOTA_GIGABYTES_EXCEEDED, STORAGE_FULL, VOLUME_BUSY
   */
  async extendVolume(
    caller: Caller,
    projectId: ProjectId,
    volumeId: VolumeId,
    input: { readonly sizeGib: number; readonly mayBeInUse: boolean },
  ): Promise<Volume> {
    authorize(caller, projectId, 'member');
    const { catalog, drivers, clock, quotas } = this.#deps;
    const ownerId = await findVolumeOwner(catalog, caller, projectId, volumeId);
    const plan = await catalog.transact(ownerId, async (records) => {
      const volume = await requireVolume(records, ownerId, volumeId);
      const sizeBytes = planExtension(volume, input.sizeGib);
      const isInUse = input.mayBeInUse && volume.status === 'in-use';
      const shown: Volume = isInUse ? { ...volume, status: 'available' } : volume;
      requireVolumeAtRest(shown, await findVolumeUse(records, volume));
      const gigabytes = input.sizeGib - bytesToGib(volume.sizeBytes);
      const need = { gigabytes, perVolumeGigabytes: input.sizeGib, volumeType: volume.volumeType };
      await requireQuota(records, ownerId, need, quotas);
      await records.volumes.update(volumeId, { status: 'extending', updatedAt: clock.now() });
      await records.baselines.drop(volumeId);
      return { volume, sizeBytes };
    });
    const { status } = plan.volume;
    const driver = drivers.driver(plan.volume.driver);
    try {
      const { sizeBytes } = await driver.resize(toVolumeRef(plan.volume), plan.sizeBytes);
      return await this.#settle(ownerId, volumeId, { status, sizeBytes });
    } catch (error) {
      // A disk that is locked by another program was not touched.
      await this.#settle(ownerId, volumeId, { status: isVbsError(error, 'VOLUME_BUSY') ? status : 'error_extending' });
      throw error;
    } finally {
      await sweepBaselines(this.#deps);
    }
  }

  /**
   * Puts right what a crash left half done in this service's own calls; to be called before requests are served, by
   * the process that holds the folder of the disks. (Volumes that a job is at work on are the job's; those that were
   * being made, `VolumeCreator`'s.)
   */
  async recoverVolumes(): Promise<void> {
    const { catalog, logger } = this.#deps;
    // Calls are few at any moment, so one page holds all that a crash can leave.
    const { items } = await catalog.volumes.list({ status: 'extending' }, { limit: LIST_LIMIT_MAX });
    for (const volume of items) {
      logger.warn({ volumeId: volume.volumeId }, 'a call was cut short; its volume is put right');
      await this.#recoverExtension(volume);
    }
  }

  /** The disk may have grown before its row did. A backup wants both to agree, so the disk decides. */
  async #recoverExtension(volume: Volume): Promise<void> {
    const { volumeId, projectId } = volume;
    try {
      const measuredBytes = await this.#deps.drivers.driver(volume.driver).measure(toVolumeRef(volume));
      const sizeBytes = Math.max(volume.sizeBytes, measuredBytes);
      const existing = await this.#deps.catalog.attachments.listOfVolumes([volumeId]);
      await this.#settle(projectId, volumeId, { status: statusByAttachments(existing), sizeBytes });
    } catch (error) {
      this.#deps.logger.error({ volumeId, err: error }, 'the size of a volume could not be told');
      await this.#settle(projectId, volumeId, { status: 'error_extending' });
    }
  }

  async #change(
    caller: Caller,
    projectId: ProjectId,
    volumeId: VolumeId,
    plan: (volume: Volume) => UpdateVolumeInput,
  ): Promise<Volume> {
    authorize(caller, projectId, 'member');
    const { catalog, clock } = this.#deps;
    const ownerId = await findVolumeOwner(catalog, caller, projectId, volumeId);
    return await catalog.transact(ownerId, async ({ volumes }) => {
      const volume = await requireVolume({ volumes }, ownerId, volumeId);
      await volumes.update(volumeId, { ...plan(volume), updatedAt: clock.now() });
      return await requireVolume({ volumes }, ownerId, volumeId);
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

/** Who is no admin sees the project of the request only, whatever was asked for. */
function planFilter(caller: Caller, projectId: ProjectId, filter: VolumeListFilter): VolumeFilter {
  const { allProjects, projectId: wantedId, ...rest } = filter;
  const isAcross = allProjects === true && hasRole(caller, 'admin');
  return { ...rest, projectId: isAcross ? wantedId : projectId };
}

function mergeMetadata(all: readonly Volume['metadata'][]): VolumeSummary['metadata'] {
  const values = new Map<string, Set<string>>();
  for (const metadata of all) {
    for (const [key, value] of Object.entries(metadata)) values.set(key, (values.get(key) ?? new Set()).add(value));
  }
  return Object.fromEntries([...values].map(([key, found]) => [key, [...found].sort()]));
}

/** No force takes a disk away from a server. @throws VOLUME_STATE_FORBIDS */
async function requireNotAttached({ attachments }: CatalogRecords, { volumeId }: Volume): Promise<void> {
  const existing = await attachments.listOfVolumes([volumeId]);
  if (existing.length === 0) return;
  throw new VbsError('VOLUME_STATE_FORBIDS', { volumeId, status: 'attached', required: 'detached' });
}
