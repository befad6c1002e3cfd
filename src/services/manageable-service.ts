// Disks that admins could adopt, with those that are volumes already. Adopting itself is VolumeService's.
import { VbsError } from '../core/errors.ts';
import type { VolumeId } from '../core/ids.ts';
import { LIST_LIMIT_MAX } from '../core/limits.ts';
import type { Volume } from '../core/model.ts';
import type { Catalog } from '../db/catalog.ts';
import type { VolumeDriver } from '../volumes/volume.ts';
import type { VolumeRegistry } from '../volumes/volume-registry.ts';
import { type Caller, requireRole } from './caller.ts';
import { isSameHost, poolNameOf } from './host-service.ts';
import { toVolumeRef } from './volume-disk.ts';

export type ManageableDisk = {
  /** `ref.source-name` of a request to adopt it. */
  readonly reference: string;
  readonly sizeBytes: number;
  /** What speaks against adopting it; null when nothing does. */
  readonly refusal: string | null;
  /** The volume that it is already. */
  readonly volumeId: VolumeId | null;
};

export type ManageableServiceDeps = {
  readonly catalog: Catalog;
  readonly drivers: VolumeRegistry;
  readonly hostName: string;
};

export class ManageableService {
  readonly #deps: ManageableServiceDeps;

  constructor(deps: ManageableServiceDeps) {
    this.#deps = deps;
  }

  /** By reference; for admins. @throws VOLUME_HOST_UNKNOWN */
  async listManageable(caller: Caller, host: string, signal?: AbortSignal): Promise<ManageableDisk[]> {
    requireRole(caller, 'admin');
    if (!isSameHost(poolNameOf(this.#deps.hostName), host)) throw new VbsError('VOLUME_HOST_UNKNOWN', { host });
    const disks: ManageableDisk[] = [];
    for (const driver of this.#deps.drivers.drivers()) {
      const managed = await this.#identifyVolumes(driver);
      for (const { identity, ...disk } of await driver.listAdoptable(signal)) {
        const volumeId = managed.get(identity) ?? null;
        disks.push({ ...disk, volumeId, refusal: volumeId === null ? disk.refusal : 'it is a volume already' });
      }
    }
    return disks;
  }

  async #identifyVolumes(driver: VolumeDriver): Promise<Map<string, VolumeId>> {
    const found = new Map<string, VolumeId>();
    for await (const volume of this.#volumesOf(driver)) {
      const identity = await driver.identify(toVolumeRef(volume));
      if (identity !== undefined) found.set(identity, volume.volumeId);
    }
    return found;
  }

  async *#volumesOf(driver: VolumeDriver): AsyncGenerator<Volume> {
    let markerId: VolumeId | undefined;
    do {
      const { items } = await this.#deps.catalog.volumes.list({}, { limit: LIST_LIMIT_MAX, markerId });
      yield* items.filter((volume) => volume.driver === driver.name);
      markerId = items.length === LIST_LIMIT_MAX ? items.at(-1)?.volumeId : undefined;
    } while (markerId !== undefined);
  }
}
