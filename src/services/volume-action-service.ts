// Marks on volumes: state, bootable, read-only, type, and what is known of the image on it. None of them touches the
// disk.
import { bytesToGib } from '../core/bytes.ts';
import { VbsError } from '../core/errors.ts';
import type { ProjectId, VolumeId } from '../core/ids.ts';
import type { Role, Volume } from '../core/model.ts';
import type { Clock } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import type { VolumeChanges } from '../db/record-types.ts';
import { requireStatus } from './attachment-rules.ts';
import { authorize, type Caller } from './caller.ts';
import { type QuotaLimits, requireQuota } from './quota.ts';
import { findVolumeJob, findVolumeOwner, requireVolume } from './subjects.ts';
import { type ResettableStatus, requireVolumeResettable } from './volume-rules.ts';
import { requireSatisfiable, requireVolumeType } from './volume-types.ts';

export type ResetVolumeInput = {
  readonly status: ResettableStatus | null;
  /** What the client believes about attachments, which is checked. */
  readonly isAttached: boolean | null;
};

export type VolumeActionServiceDeps = {
  readonly catalog: Catalog;
  readonly clock: Clock;
  /** Limits of projects that have none of their own. */
  readonly quotas: QuotaLimits;
};

type Plan = (volume: Volume, records: CatalogRecords) => Promise<VolumeChanges> | VolumeChanges;

export class VolumeActionService {
  readonly #deps: VolumeActionServiceDeps;

  constructor(deps: VolumeActionServiceDeps) {
    this.#deps = deps;
  }

  /**
   * Shows the volume in another state, for admins: the way out of one that nothing will end. The disk is not touched.
   * @throws VOLUME_NOT_FOUND, VOLUME_STATE_FORBIDS_RESET
   */
  async resetVolume(caller: Caller, projectId: ProjectId, volumeId: VolumeId, input: ResetVolumeInput): Promise<void> {
    const plan: Plan = async (volume, records) => {
      const isAttached = (await records.attachments.listOfVolumes([volumeId])).length > 0;
      const isJobOpen = (await findVolumeJob(records, volume)) !== undefined;
      const { status } = input;
      if (input.isAttached !== null && input.isAttached !== isAttached) {
        const wanted = input.isAttached ? 'attached' : 'detached';
        const reason = isAttached ? 'it has attachments; see os-force_detach' : 'it has no attachments';
        throw new VbsError('VOLUME_STATE_FORBIDS_RESET', { volumeId, status: volume.status, wanted, reason });
      }
      if (status === null) return {};
      requireVolumeResettable(volume, { isJobOpen, isAttached }, status);
      return { status };
    };
    await this.#change(caller, projectId, volumeId, plan, 'admin');
  }

  /** @throws VOLUME_NOT_FOUND */
  async setBootable(caller: Caller, projectId: ProjectId, volumeId: VolumeId, isBootable: boolean): Promise<void> {
    await this.#change(caller, projectId, volumeId, () => ({ isBootable }));
  }

  /** Whether it is attached for reading only; of a detached volume. @throws VOLUME_NOT_FOUND, VOLUME_STATE_FORBIDS */
  async setReadonly(caller: Caller, projectId: ProjectId, volumeId: VolumeId, isReadonly: boolean): Promise<void> {
    await this.#change(caller, projectId, volumeId, (volume) => {
      requireStatus(volume, 'available');
      return { isReadonly };
    });
  }

  /**
   * Gives the volume another type. All types are of the one backend, so its disk stays where it is.
   * @throws VOLUME_NOT_FOUND, VOLUME_STATE_FORBIDS, VOLUME_TYPE_NOT_FOUND, VOLUME_TYPE_UNSATISFIABLE,
   * REQUEST_FIELD_INVALID when it has the type already, and as `requireQuota` when the type has quotas
   */
  async retypeVolume(caller: Caller, projectId: ProjectId, volumeId: VolumeId, idOrName: string): Promise<void> {
    await this.#change(caller, projectId, volumeId, async (volume, records) => {
      const type = await requireVolumeType(records, caller, volume.projectId, idOrName);
      requireSatisfiable(type);
      const volumeType = type.name;
      if (volume.volumeType === volumeType) {
        throw new VbsError('REQUEST_FIELD_INVALID', { field: 'new_type', reason: 'it is the type of the volume now' });
      }
      requireStatus(volume, 'available', 'in-use');
      await this.#requireTypeQuota(records, volume, volumeType);
      return { volumeType };
    });
  }

  /** Adds to what is noted of the image, or replaces single keys. @throws VOLUME_NOT_FOUND */
  async setImageMetadata(
    caller: Caller,
    projectId: ProjectId,
    volumeId: VolumeId,
    added: Volume['imageMetadata'],
  ): Promise<Volume['imageMetadata']> {
    const plan: Plan = ({ imageMetadata }) => ({ imageMetadata: { ...imageMetadata, ...added } });
    return (await this.#change(caller, projectId, volumeId, plan)).imageMetadata;
  }

  /** @throws VOLUME_NOT_FOUND, METADATA_KEY_NOT_FOUND */
  async unsetImageMetadata(caller: Caller, projectId: ProjectId, volumeId: VolumeId, key: string): Promise<void> {
    await this.#change(caller, projectId, volumeId, (volume) => {
      if (!Object.hasOwn(volume.imageMetadata, key)) throw new VbsError('METADATA_KEY_NOT_FOUND', { key });
      const { [key]: _removed, ...imageMetadata } = volume.imageMetadata;
      return { imageMetadata };
    });
  }

  /** The project's totals stay; only the type's own quotas can be too small for one more. */
  async #requireTypeQuota(records: CatalogRecords, volume: Volume, volumeType: string): Promise<void> {
    const { projectId, sizeBytes } = volume;
    const gigabytes = bytesToGib(sizeBytes);
    await requireQuota(records, projectId, { volumes: 1, gigabytes, volumeType, isMove: true }, this.#deps.quotas);
  }

  async #change(
    caller: Caller,
    projectId: ProjectId,
    volumeId: VolumeId,
    plan: Plan,
    role: Role = 'member',
  ): Promise<Volume> {
    authorize(caller, projectId, role);
    const { catalog, clock } = this.#deps;
    const ownerId = await findVolumeOwner(catalog, caller, projectId, volumeId);
    return await catalog.transact(ownerId, async (records) => {
      const volume = await requireVolume(records, ownerId, volumeId);
      await records.volumes.update(volumeId, { ...(await plan(volume, records)), updatedAt: clock.now() });
      return await requireVolume(records, ownerId, volumeId);
    });
  }
}
