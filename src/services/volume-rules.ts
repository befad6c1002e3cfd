// Which sizes and states of volumes permit what (contract 3.25). Pure, like backup-rules.
import { bytesToGib, GIB } from '../core/bytes.ts';
import { VbsError } from '../core/errors.ts';
import { VOLUME_SIZE_MAX_BYTES } from '../core/limits.ts';
import type { Volume, VolumeStatus } from '../core/model.ts';
import type { VolumeUse } from './backup-rules.ts';

const DELETABLE: readonly VolumeStatus[] = ['available', 'error', 'error_restoring', 'error_extending'];

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

export type DeletionUse = VolumeUse & {
  /** A job works on the volume: it decides its state. */
  readonly isJobOpen: boolean;
};

/** `force` ignores the status, never a running operation. @throws VOLUME_STATE_FORBIDS, VOLUME_BEING_COPIED */
export function requireVolumeDeletable(volume: Volume, use: DeletionUse, options: { readonly force: boolean }): void {
  const { status, source, volumeId } = volume;
  if (use.isBeingCopied) throw new VbsError('VOLUME_BEING_COPIED', { volumeId });
  const isAtWork = use.isBeingBackedUp || use.isJobOpen || status === 'extending';
  // A call makes its disk right now; one that has a disk already was only set to this state by an admin.
  const isBeingMade = status === 'creating' && source === '';
  if (!isAtWork && !isBeingMade && (options.force || DELETABLE.includes(status))) return;
  throwForbidden(volume, use, DELETABLE.join(', '));
}

/**
 * For what needs the disk detached and at rest: extending, letting go.
 * @throws VOLUME_STATE_FORBIDS, VOLUME_BEING_COPIED
 */
export function requireVolumeAtRest(volume: Volume, use: VolumeUse): void {
  if (volume.status !== 'available' || use.isBeingBackedUp) throwForbidden(volume, use, 'available');
  if (use.isBeingCopied) throw new VbsError('VOLUME_BEING_COPIED', { volumeId: volume.volumeId });
}

/** States that an admin may set by hand; the others are for what is at work on a volume. */
export const RESETTABLE_STATUSES = [
  'available',
  'in-use',
  'error',
  'maintenance',
  'creating',
  'reserved',
  'attaching',
  'detaching',
  'error_restoring',
  'error_extending',
  'error_deleting',
] as const satisfies readonly VolumeStatus[];
export type ResettableStatus = (typeof RESETTABLE_STATUSES)[number];

/** What a volume without attachments cannot be, and one with them cannot stop being. */
const ATTACHED_STATUSES: readonly VolumeStatus[] = ['in-use', 'detaching'];

/** For admins (contract 3.25). @throws VOLUME_STATE_FORBIDS_RESET */
export function requireVolumeResettable(
  { volumeId, status, source }: Volume,
  use: { readonly isJobOpen: boolean; readonly isAttached: boolean },
  wanted: ResettableStatus,
): void {
  const refuse = (reason: string) => new VbsError('VOLUME_STATE_FORBIDS_RESET', { volumeId, status, wanted, reason });
  if (use.isJobOpen) throw refuse('a job is at work on it');
  // A call makes or grows its disk right now; what a crash cut short is put right at the next start.
  const isBeingMade = status === 'creating' && source === '';
  if (isBeingMade || status === 'extending') throw refuse('a call is at work on it');
  if (source === '' && wanted !== 'error') throw refuse('it has no disk');
  if (!use.isAttached && ATTACHED_STATUSES.includes(wanted)) throw refuse('it has no attachments');
  if (use.isAttached && wanted === 'available') throw refuse('it has attachments; see os-force_detach');
}

function throwForbidden({ volumeId, status }: Volume, use: VolumeUse, required: string): never {
  const shown = use.isBeingBackedUp ? 'backing-up' : status;
  throw new VbsError('VOLUME_STATE_FORBIDS', { volumeId, status: shown, required });
}
