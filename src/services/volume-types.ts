// The volume types on offer: one, under a fixed id, until types can be made.
import { VbsError } from '../core/errors.ts';

export type VolumeType = { readonly id: string; readonly name: string; readonly description: string };

export const DEFAULT_VOLUME_TYPE: VolumeType = {
  id: '6f1d2b34-8c05-4e7a-9b21-3d5e7f908a1c',
  name: '__DEFAULT__',
  description: 'Raw disk image or block device',
};

/** Finds a type by id or name; null means the default one. @throws VOLUME_TYPE_NOT_FOUND */
export function findVolumeType(idOrName: string | null): VolumeType {
  const { id, name } = DEFAULT_VOLUME_TYPE;
  if (idOrName === null || idOrName.toLowerCase() === id || idOrName === name) return DEFAULT_VOLUME_TYPE;
  throw new VbsError('VOLUME_TYPE_NOT_FOUND', { volumeType: idOrName });
}
