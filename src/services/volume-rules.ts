// Which sizes and states of volumes permit what (contract 3.25). Pure, like backup-rules.
import { bytesToGib, GIB } from '../core/bytes.ts';
import { VbsError } from '../core/errors.ts';
import { VOLUME_SIZE_MAX_BYTES } from '../core/limits.ts';
import type { Volume, VolumeStatus } from '../core/model.ts';
import type { VolumeUse } from './backup-rules.ts';

const DELETABLE: readonly VolumeStatus[] = ['available', 'error', 'error_restoring', 'error_extending'];
/** Somebody is at work on the disk: no force may take it away from under them. */
const NEVER_DELETABLE: readonly VolumeStatus[] = [
  'creating',
  'restoring-backup',
  'backing-up',
  'extending',
  'deleting',
];

/**
 * Exact size of a new volume. Without a size it is as large as its source to the byte.
 * @throws VOLUME_SIZE_INVALID, VOLUME_TOO_SMALL_FOR_SOURCE
 */
export function planVolumeSize(sizeGib: number | null, sourceSizeBytes: number | undefined): number {
  if (sizeGib === null) {
    if (sourceSizeBytes !== undefined) return sourceSizeBytes;
    throw new VbsError('VOLUME_SIZE_INVALID', { reason: 'missing; it may be left out only with a source' });
  }
  const sizeBytes = gibToVolumeBytes(sizeGib);
  if (sourceSizeBytes !== undefined && sizeBytes < sourceSizeBytes) {
    throw new VbsError('VOLUME_TOO_SMALL_FOR_SOURCE', { sizeGib, sourceGib: bytesToGib(sourceSizeBytes) });
  }
  return sizeBytes;
}

/** @throws VOLUME_SIZE_INVALID */
export function planExtension(volume: Volume, sizeGib: number): number {
  const sizeBytes = gibToVolumeBytes(sizeGib);
  if (sizeBytes <= volume.sizeBytes) {
    const nowGib = bytesToGib(volume.sizeBytes);
    throw new VbsError('VOLUME_SIZE_INVALID', { reason: `${sizeGib} GiB is not more than now (${nowGib} GiB)` });
  }
  return sizeBytes;
}

function gibToVolumeBytes(sizeGib: number): number {
  if (!Number.isSafeInteger(sizeGib) || sizeGib < 1) {
    throw new VbsError('VOLUME_SIZE_INVALID', { reason: 'it must be a whole number of GiB, at least 1' });
  }
  if (sizeGib > VOLUME_SIZE_MAX_BYTES / GIB) {
    throw new VbsError('VOLUME_SIZE_INVALID', { reason: `it is more than ${VOLUME_SIZE_MAX_BYTES / GIB} GiB` });
  }
  return sizeGib * GIB;
}

/** `force` ignores the status, never a running operation. @throws VOLUME_STATE_FORBIDS */
export function requireVolumeDeletable(volume: Volume, use: VolumeUse, options: { readonly force: boolean }): void {
  const { status } = volume;
  const isBusy = NEVER_DELETABLE.includes(status) || use.isBeingBackedUp;
  if (!isBusy && (options.force || DELETABLE.includes(status))) return;
  throwForbidden(volume, use, DELETABLE.join(', '));
}

/** For what needs the disk detached and at rest: extending, letting go. @throws VOLUME_STATE_FORBIDS */
export function requireVolumeAtRest(volume: Volume, use: VolumeUse): void {
  if (volume.status !== 'available' || use.isBeingBackedUp) throwForbidden(volume, use, 'available');
}

/** States that an admin may set by hand; the others are for what is at work on a volume. */
export const RESETTABLE_STATUSES = ['available', 'in-use', 'error'] as const satisfies readonly VolumeStatus[];
export type ResettableStatus = (typeof RESETTABLE_STATUSES)[number];

/** For admins (contract 3.25). @throws VOLUME_STATE_FORBIDS_RESET */
export function requireVolumeResettable(
  { volumeId, status, source }: Volume,
  use: { readonly isJobOpen: boolean },
  wanted: ResettableStatus,
): void {
  const refuse = (reason: string) => new VbsError('VOLUME_STATE_FORBIDS_RESET', { volumeId, status, wanted, reason });
  if (use.isJobOpen) throw refuse('a job is at work on it');
  // A call makes or grows its disk right now; what a crash cut short is put right at the next start.
  if (status === 'creating' || status === 'extending') throw refuse('a call is at work on it');
  if (source === '' && wanted !== 'error') throw refuse('it has no disk');
}

function throwForbidden({ volumeId, status }: Volume, use: VolumeUse, required: string): never {
  const shown = use.isBeingBackedUp ? 'backing-up' : status;
  throw new VbsError('VOLUME_STATE_FORBIDS', { volumeId, status: shown, required });
}
