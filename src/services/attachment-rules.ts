// Which states of volumes and attachments permit what when servers attach disks (contract 3.25, 3.27). Pure.
// Nothing here opens a disk: the states keep backups, restores and deletions from what a server writes to.
import { VbsError } from '../core/errors.ts';
import type { Attachment, AttachmentStatus, Volume, VolumeStatus } from '../core/model.ts';

export type AttachMode = 'rw' | 'ro';

/** Without a wish: as the volume permits. @throws VOLUME_READONLY */
export function planMode({ volumeId, isReadonly }: Volume, wanted: AttachMode | null): AttachMode {
  if (isReadonly === true && wanted === 'rw') throw new VbsError('VOLUME_READONLY', { volumeId });
  return wanted ?? (isReadonly === true ? 'ro' : 'rw');
}

/** For what needs the volume in one of a few states. @throws VOLUME_STATE_FORBIDS */
export function requireStatus({ volumeId, status }: Volume, ...permitted: readonly VolumeStatus[]): void {
  if (permitted.includes(status)) return;
  throw new VbsError('VOLUME_STATE_FORBIDS', { volumeId, status, required: permitted.join(' or ') });
}

/**
 * A new attachment. One server at a time; the same server may prepare its next attachment while it has one, as it does
 * when it moves to another host. @throws VOLUME_STATE_FORBIDS
 */
export function requireReservable(volume: Volume, existing: readonly Attachment[], serverId: string | null): void {
  const isSameServer = serverId !== null && existing.every((attachment) => attachment.serverId === serverId);
  if (volume.status === 'in-use' && existing.length > 0 && isSameServer) return;
  requireStatus(volume, 'available');
}

/** What the volume is once only `remaining` attachments are left. */
export function statusByAttachments(remaining: readonly Pick<Attachment, 'status'>[]): VolumeStatus {
  const has = (status: AttachmentStatus) => remaining.some((attachment) => attachment.status === status);
  if (has('attached') || has('detaching')) return 'in-use';
  if (has('attaching')) return 'attaching';
  return has('reserved') ? 'reserved' : 'available';
}

/** States in which attaching and detaching decide about the volume; in all others somebody else does. */
const ATTACHING_STATUSES: readonly VolumeStatus[] = ['available', 'reserved', 'attaching', 'in-use', 'detaching'];

export function isDecidedByAttachments(status: VolumeStatus): boolean {
  return ATTACHING_STATUSES.includes(status);
}

/**
 * A backup or an extension puts the volume back to the status that it found, so nobody may detach it meanwhile.
 * @throws VOLUME_STATE_FORBIDS
 */
export function requireUndisturbed({ volumeId, status }: Volume): void {
  if (status !== 'backing-up' && status !== 'extending') return;
  throw new VbsError('VOLUME_STATE_FORBIDS', { volumeId, status, required: 'neither backed up nor extended' });
}

/**
 * Which attachment a client means that may have named none.
 * @throws ATTACHMENT_NOT_FOUND; REQUEST_FIELD_INVALID when several could be meant
 */
export function chooseAttachment(existing: readonly Attachment[], attachmentId: string | null): Attachment | undefined {
  if (attachmentId !== null) {
    const named = existing.find((attachment) => attachment.attachmentId === attachmentId);
    if (named === undefined) throw new VbsError('ATTACHMENT_NOT_FOUND', { attachmentId });
    return named;
  }
  if (existing.length > 1) {
    const reason = 'the volume has several attachments, so it must be given';
    throw new VbsError('REQUEST_FIELD_INVALID', { field: 'attachment_id', reason });
  }
  return existing[0];
}
