// Which volumes may join a policy (contract 3.14). Pure: the service brings the rows.
import { VbsError } from '../core/errors.ts';
import type { VolumeId } from '../core/ids.ts';
import type { Volume } from '../core/model.ts';

/** States of the reference; the model has not all of them. */
const FORBIDDEN_STATES: readonly string[] = [
  'awaiting-transfer',
  'error',
  'error_deleting',
  'error_extending',
  'error_restoring',
  'error_rollbacking',
  'deleting',
];

/** Why the volume may not join the policy with these members; undefined: it may, or has. */
export function findRefusal(
  resourceId: string,
  volume: Volume | undefined,
  memberIds: ReadonlySet<VolumeId>,
  maxVolumes: number,
): VbsError | undefined {
  if (volume === undefined) return unknownResource(resourceId);
  const { volumeId, status } = volume;
  if (FORBIDDEN_STATES.includes(status)) return new VbsError('POLICY_VOLUME_STATE_FORBIDS', { volumeId, status });
  const isFull = !memberIds.has(volumeId) && memberIds.size >= maxVolumes;
  return isFull ? new VbsError('POLICY_VOLUMES_EXCEEDED', { limit: maxVolumes }) : undefined;
}

export function unknownResource(resourceId: string): VbsError {
  return new VbsError('POLICY_RESOURCE_INVALID', { volumeId: resourceId });
}

/** Where the disk is, as a placement label. */
export function hostAttrOf({ driver, availabilityZone }: Volume): string {
  return `${driver}.${availabilityZone}`;
}
