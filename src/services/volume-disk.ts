// From a volume's row to its disk.
import assert from 'node:assert/strict';
import { VbsError } from '../core/errors.ts';
import type { Snapshot, Volume } from '../core/model.ts';
import type { SnapshotRef } from '../volumes/snapshot-driver.ts';
import type { DeviceDescriptor, DriverVolume, VolumeDriver, VolumeRef } from '../volumes/volume.ts';
import type { VolumeRegistry } from '../volumes/volume-registry.ts';

export function toVolumeRef(volume: Pick<Volume, keyof VolumeRef>): VolumeRef {
  const { volumeId, source, sizeBytes, isAdopted } = volume;
  return { volumeId, source, sizeBytes, isAdopted };
}

/** Of a snapshot that is whole. */
export function toSnapshotRef({ snapshotId, source, sizeBytes, consistency, frozenAt }: Snapshot): SnapshotRef {
  assert(source !== '' && consistency !== null && frozenAt !== null, `snapshot ${snapshotId} is not whole`);
  return { snapshotId, source, sizeBytes, consistency, frozenAt };
}

/**
 * For an attached volume of which a point in time is wanted: its driver must be able to freeze it.
 * @throws VOLUME_ATTACHED, VOLUME_UNAVAILABLE
 */
export async function requireFreezable(drivers: VolumeRegistry, volume: Volume): Promise<void> {
  if (volume.status !== 'in-use') return;
  const { hasSnapshots } = await drivers.driver(volume.driver).capabilities(toVolumeRef(volume));
  if (!hasSnapshots) throw new VbsError('VOLUME_ATTACHED', { source: volume.volumeId });
}

/** How threads reach the disk as it is now; undefined while there is none. For reading what is checked by digests. */
export function toDescriptor({ driver, source, sizeBytes }: Volume): DeviceDescriptor | undefined {
  return source === '' ? undefined : { driver, path: source, sizeBytes };
}

/**
 * Makes the empty disk of a row that has none yet. What an earlier try left under the volume's name goes first: nobody
 * was ever told of it. @throws STORAGE_FULL, STORAGE_IO
 */
export async function makeDisk(driver: VolumeDriver, volume: Volume, signal?: AbortSignal): Promise<DriverVolume> {
  await driver.delete(toVolumeRef(volume));
  return await driver.create(volume.volumeId, volume.sizeBytes, signal);
}
