// From a volume's row to its disk.
import type { Volume } from '../core/model.ts';
import type { DriverVolume, VolumeDriver, VolumeRef } from '../volumes/volume.ts';

export function toVolumeRef(volume: Pick<Volume, keyof VolumeRef>): VolumeRef {
  const { volumeId, source, sizeBytes, isAdopted } = volume;
  return { volumeId, source, sizeBytes, isAdopted };
}

/**
 * Makes the empty disk of a row that has none yet. What an earlier try left under the volume's name goes first: nobody
 * was ever told of it. @throws STORAGE_FULL, STORAGE_IO
 */
export async function makeDisk(driver: VolumeDriver, volume: Volume, signal?: AbortSignal): Promise<DriverVolume> {
  await driver.delete(toVolumeRef(volume));
  return await driver.create(volume.volumeId, volume.sizeBytes, signal);
}
