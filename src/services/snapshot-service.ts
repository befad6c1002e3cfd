// Snapshots of volumes (contract 3.26): asked for, shown, changed, deleted, written back. The bytes are the driver's,
// and jobs see to them; here are the rows, in states that say what a job is about to do.
import { bytesToGib } from '../core/bytes.ts';
import { VbsError } from '../core/errors.ts';
import { type JobId, newUuid, type ProjectId, type SnapshotId, type VolumeId } from '../core/ids.ts';
import type { Snapshot, SnapshotStatus } from '../core/model.ts';
import type { Clock } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import type { VolumeRegistry } from '../volumes/volume-registry.ts';
import { authorize, type Caller, hasRole } from './caller.ts';
import type { RevertPayload, SnapshotPayload } from './job-payloads.ts';
import type { ListResult, SnapshotPage } from './list-page.ts';
import { type QuotaLimits, requireQuota } from './quota.ts';
import { requireServiceEnabled } from './service-states.ts';
import {
  requireRevertPossible,
  requireSnapshotDeletable,
  requireSnapshotPossible,
  requireSnapshotResettable,
} from './snapshot-rules.ts';
import { findSnapshotOwner, findSnapshotUse, findVolumeUse, requireSnapshot, requireVolume } from './subjects.ts';
import { requireFreezable } from './volume-disk.ts';

export type CreateSnapshotInput = {
  readonly volumeId: VolumeId;
  readonly name: string | null;
  readonly description: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  /** Also of an attached volume, and also where that can only be a copy of a disk that is being written. */
  readonly force: boolean;
  /** Attached volumes need no force (3.66); where they cannot be frozen it is still asked for. */
  readonly isAttachedPermitted: boolean;
};

/** Absent members stay as they are. */
export type UpdateSnapshotInput = { readonly name?: string | null; readonly description?: string | null };

/** Which entries of the metadata change, and how; in one transaction. */
export type MetadataChange =
  | { readonly kind: 'merge'; readonly metadata: Readonly<Record<string, string>> }
  | { readonly kind: 'replace'; readonly metadata: Readonly<Record<string, string>> }
  | { readonly kind: 'remove'; readonly key: string };

export type SnapshotListFilter = {
  readonly name?: string;
  readonly status?: string;
  readonly volumeId?: string;
  readonly availabilityZone?: string;
  readonly nameLike?: string;
  readonly statusLike?: string;
  readonly volumeIdLike?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Every project; from callers who are no admins it is ignored. */
  readonly allProjects?: boolean;
  /** With `allProjects`: this one only. */
  readonly projectId?: ProjectId;
};

export type SnapshotServiceDeps = {
  readonly catalog: Catalog;
  readonly drivers: VolumeRegistry;
  readonly clock: Clock;
  /** Tells the job runner that there is work. */
  readonly wakeJobs: () => void;
  /** Limits of projects that have none of their own. */
  readonly quotas: QuotaLimits;
};

export class SnapshotService {
  readonly #deps: SnapshotServiceDeps;

  constructor(deps: SnapshotServiceDeps) {
    this.#deps = deps;
  }

  /**
   * The snapshot is `creating`, and a job takes it.
   * @throws VOLUME_NOT_FOUND, VOLUME_STATE_FORBIDS, VOLUME_ATTACHED, SERVICE_DISABLED, QUOTA_SNAPSHOTS_EXCEEDED,
   * QUOTA_GIGABYTES_EXCEEDED; VOLUME_TYPE_NOT_FOUND when the type of the volume is renamed at this very moment
   */
  async createSnapshot(caller: Caller, projectId: ProjectId, input: CreateSnapshotInput): Promise<Snapshot> {
    authorize(caller, projectId, 'member');
    const { catalog, drivers, clock, quotas } = this.#deps;
    const { volumeId, name, description, metadata, force } = input;
    const isAttachedPermitted = force || input.isAttachedPermitted;
    const seen = await requireVolume(catalog, projectId, volumeId);
    requireSnapshotPossible(seen, isAttachedPermitted);
    if (!force) await requireFreezable(drivers, seen);
    const createdAt = clock.now();
    const snapshot = await catalog.transact(projectId, async (records) => {
      const volume = await requireVolume(records, projectId, volumeId);
      requireSnapshotPossible(volume, isAttachedPermitted);
      await requireServiceEnabled(records, 'cinder-volume');
      const { sizeBytes, driver, isBootable, volumeType, availabilityZone } = volume;
      await requireQuota(records, projectId, { snapshots: 1, gigabytes: bytesToGib(sizeBytes), volumeType }, quotas);
      const snapshotId = newUuid<SnapshotId>();
      const { userId } = caller;
      const kept = { driver, isBootable, volumeType, availabilityZone, sizeBytes };
      const ids = { snapshotId, projectId, userId, volumeId };
      await records.snapshots.insert({ ...ids, ...kept, name, description, metadata, createdAt });
      const payload: SnapshotPayload = { isAttached: volume.status === 'in-use', force };
      await this.#queue(records, caller, {
        ...{ projectId, volumeId, snapshotId, payload, createdAt },
        kind: 'create-snapshot',
      });
      return await requireSnapshot(records, projectId, snapshotId);
    });
    this.#deps.wakeJobs();
    return snapshot;
  }

  /** @throws SNAPSHOT_NOT_FOUND */
  async getSnapshot(caller: Caller, projectId: ProjectId, snapshotId: SnapshotId): Promise<Snapshot> {
    authorize(caller, projectId, 'reader');
    return await requireSnapshot(this.#deps.catalog, await this.#ownerOf(caller, projectId, snapshotId), snapshotId);
  }

  /** @throws MARKER_NOT_FOUND */
  async listSnapshots(
    caller: Caller,
    projectId: ProjectId,
    filter: SnapshotListFilter,
    page: SnapshotPage,
  ): Promise<ListResult<Snapshot>> {
    authorize(caller, projectId, 'reader');
    const { allProjects, projectId: wantedId, ...rest } = filter;
    const isAcross = allProjects === true && hasRole(caller, 'admin');
    return await this.#deps.catalog.snapshots.list({ ...rest, projectId: isAcross ? wantedId : projectId }, page);
  }

  /** @throws SNAPSHOT_NOT_FOUND */
  async updateSnapshot(
    caller: Caller,
    projectId: ProjectId,
    snapshotId: SnapshotId,
    input: UpdateSnapshotInput,
  ): Promise<Snapshot> {
    return await this.#change(caller, projectId, snapshotId, 'member', async () => input);
  }

  /** @throws SNAPSHOT_NOT_FOUND, METADATA_KEY_NOT_FOUND */
  async changeMetadata(
    caller: Caller,
    projectId: ProjectId,
    snapshotId: SnapshotId,
    change: MetadataChange,
  ): Promise<Readonly<Record<string, string>>> {
    const changed = await this.#change(caller, projectId, snapshotId, 'member', async (snapshot) => ({
      metadata: applyMetadataChange(snapshot.metadata, change),
    }));
    return changed.metadata;
  }

  /**
   * Marks the snapshot `deleting`; a job removes it. `force` ignores the status and is for admins.
   * @throws SNAPSHOT_NOT_FOUND, SNAPSHOT_STATE_FORBIDS, SNAPSHOT_IN_USE
   */
  async deleteSnapshot(
    caller: Caller,
    projectId: ProjectId,
    snapshotId: SnapshotId,
    options: { readonly force: boolean },
  ): Promise<void> {
    const role = options.force ? 'admin' : 'member';
    await this.#change(caller, projectId, snapshotId, role, async (snapshot, records, createdAt) => {
      requireSnapshotDeletable(snapshot, await findSnapshotUse(records, snapshot), options);
      const { projectId: ownerId, volumeId } = snapshot;
      await this.#queue(records, caller, {
        ...{ projectId: ownerId, volumeId, snapshotId, createdAt },
        kind: 'delete-snapshot',
      });
      return { status: 'deleting' };
    });
    this.#deps.wakeJobs();
  }

  /**
   * Shows the snapshot in another state, for admins: the way out of one that nothing will end. Its bytes are not
   * touched. @throws SNAPSHOT_NOT_FOUND, SNAPSHOT_STATE_FORBIDS_RESET
   */
  async resetSnapshot(
    caller: Caller,
    projectId: ProjectId,
    snapshotId: SnapshotId,
    status: SnapshotStatus,
  ): Promise<void> {
    await this.#change(caller, projectId, snapshotId, 'admin', async (snapshot, records) => {
      requireSnapshotResettable(snapshot, await findSnapshotUse(records, snapshot), status);
      return { status };
    });
  }

  /**
   * What a compute service reports of a snapshot that it takes itself, in the name of its user: only while the snapshot
   * is shown as `creating` or `deleting`. `progressPercent` null leaves it as it is.
   * @throws SNAPSHOT_NOT_FOUND, SNAPSHOT_STATE_FORBIDS, SNAPSHOT_STATE_FORBIDS_RESET
   */
  async reportSnapshot(
    caller: Caller,
    projectId: ProjectId,
    snapshotId: SnapshotId,
    report: { readonly status: SnapshotStatus; readonly progressPercent: number | null },
  ): Promise<void> {
    const { status, progressPercent } = report;
    await this.#change(caller, projectId, snapshotId, 'member', async (snapshot, records) => {
      const permitted = REPORTABLE[snapshot.status];
      if (permitted === undefined) {
        const required = Object.keys(REPORTABLE).join(' or ');
        throw new VbsError('SNAPSHOT_STATE_FORBIDS', { snapshotId, status: snapshot.status, required });
      }
      if (!permitted.includes(status)) {
        const reason = `it may be reported as ${permitted.join(', ')}`;
        throw new VbsError('SNAPSHOT_STATE_FORBIDS_RESET', {
          ...{ snapshotId, status: snapshot.status, wanted: status, reason },
        });
      }
      requireSnapshotResettable(snapshot, await findSnapshotUse(records, snapshot), status);
      return { status, progressPercent: progressPercent ?? undefined };
    });
  }

  /**
   * Has a job write the newest snapshot of a volume back over it.
   * @throws VOLUME_NOT_FOUND, SNAPSHOT_NOT_FOUND, SNAPSHOT_NOT_NEWEST, SNAPSHOT_SIZE_DIFFERS, VOLUME_STATE_FORBIDS,
   * SNAPSHOT_STATE_FORBIDS, VOLUME_BEING_COPIED
   */
  async revertVolume(caller: Caller, projectId: ProjectId, volumeId: VolumeId, snapshotId: SnapshotId): Promise<void> {
    authorize(caller, projectId, 'member');
    const { catalog, clock } = this.#deps;
    const ownerId = await this.#ownerOf(caller, projectId, snapshotId);
    const createdAt = clock.now();
    await catalog.transact(ownerId, async (records) => {
      const volume = await requireVolume(records, ownerId, volumeId);
      const snapshot = await requireSnapshot(records, ownerId, snapshotId);
      const [newest] = await records.snapshots.listOfVolume(ownerId, volumeId);
      requireRevertPossible(volume, snapshot, { newest, use: await findVolumeUse(records, volume) });
      const writing = { status: 'reverting', isFresh: false, updatedAt: createdAt } as const;
      await records.volumes.update(volumeId, writing);
      await records.snapshots.update(snapshotId, { status: 'restoring', updatedAt: createdAt });
      const payload: RevertPayload = { isTargetUntouched: true };
      const job = { kind: 'revert-volume', projectId: ownerId, volumeId, snapshotId, payload, createdAt } as const;
      await this.#queue(records, caller, job);
    });
    this.#deps.wakeJobs();
  }

  async #queue(
    { jobs }: CatalogRecords,
    { requestId }: Caller,
    job: Omit<Parameters<CatalogRecords['jobs']['insert']>[0], 'jobId'>,
  ): Promise<void> {
    await jobs.insert({ ...job, requestId, jobId: newUuid<JobId>() });
  }

  /** One transaction under the owner's lock; `plan` looks at the row as it is there. */
  async #change(
    caller: Caller,
    projectId: ProjectId,
    snapshotId: SnapshotId,
    role: 'member' | 'admin',
    plan: (
      snapshot: Snapshot,
      records: CatalogRecords,
      now: number,
    ) => Promise<Parameters<CatalogRecords['snapshots']['update']>[1]>,
  ): Promise<Snapshot> {
    authorize(caller, projectId, role);
    const ownerId = await this.#ownerOf(caller, projectId, snapshotId);
    const updatedAt = this.#deps.clock.now();
    return await this.#deps.catalog.transact(ownerId, async (records) => {
      const snapshot = await requireSnapshot(records, ownerId, snapshotId);
      const changes = await plan(snapshot, records, updatedAt);
      await records.snapshots.update(snapshotId, { ...changes, updatedAt });
      return await requireSnapshot(records, ownerId, snapshotId);
    });
  }

  async #ownerOf(caller: Caller, projectId: ProjectId, snapshotId: SnapshotId): Promise<ProjectId> {
    return await findSnapshotOwner(this.#deps.catalog, caller, projectId, snapshotId);
  }
}

/**
 * From which state to which others a report may lead.
 * Source: Cinder, cinder/api/contrib/snapshot_actions.py.
 */
const REPORTABLE: Partial<Record<SnapshotStatus, readonly SnapshotStatus[]>> = {
  creating: ['creating', 'available', 'error'],
  deleting: ['deleting', 'error_deleting'],
};

/** @throws METADATA_KEY_NOT_FOUND */
export function applyMetadataChange(
  metadata: Readonly<Record<string, string>>,
  change: MetadataChange,
): Record<string, string> {
  if (change.kind === 'replace') return { ...change.metadata };
  if (change.kind === 'merge') return { ...metadata, ...change.metadata };
  if (!Object.hasOwn(metadata, change.key)) throw new VbsError('METADATA_KEY_NOT_FOUND', { key: change.key });
  const { [change.key]: _removed, ...rest } = metadata;
  return rest;
}
