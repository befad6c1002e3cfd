// Which states permit what (contract 3.1, 3.3, 3.4, in their order). Pure: the services bring the rows, read under the
// row lock of the project, and change nothing when one of these throws.
import { VbsError } from '../core/errors.ts';
import type { Backup, Dialect, Snapshot, Volume } from '../core/model.ts';

export type VolumeUse = {
  /** A backup of the volume is being created. */
  readonly isBeingBackedUp: boolean;
  /** A snapshot of it, or a volume from it, is being made; or it is being put back to a snapshot. */
  readonly isBeingCopied: boolean;
};

/** @throws VOLUME_STATE_FORBIDS_BACKUP, BACKUP_IN_PROGRESS */
export function requireBackupPossible(
  volume: Volume,
  use: VolumeUse,
  request: { readonly dialect: Dialect; readonly force: boolean },
): void {
  const { volumeId, status } = volume;
  // The native API wants `force` for an attached volume (contract 3.20); the VBS API has no such flag.
  const isInUsePermitted = request.dialect === 'vbs' || request.force;
  // `backing-up` is a running backup by another name, and the VBS API has a code of its own for that.
  const isBusy = status === 'backing-up' && request.dialect === 'vbs' && use.isBeingBackedUp;
  const isStatusFit = status === 'available' || (status === 'in-use' && isInUsePermitted) || isBusy;
  if (!isStatusFit) throw new VbsError('VOLUME_STATE_FORBIDS_BACKUP', { volumeId, status });
  if (use.isBeingBackedUp) throw new VbsError('BACKUP_IN_PROGRESS', { volumeId });
}

/**
 * A snapshot is read, so the state of the volume matters to the VBS API only, which names it first (contract 3.1).
 * @throws VOLUME_STATE_FORBIDS_BACKUP, BACKUP_IN_PROGRESS, SNAPSHOT_STATE_FORBIDS_BACKUP
 */
export function requireSnapshotBackupPossible(
  volume: Volume,
  { snapshotId, status }: Snapshot,
  use: VolumeUse,
  dialect: Dialect,
): void {
  if (dialect === 'vbs') requireBackupPossible(volume, use, { dialect, force: true });
  if (status !== 'available') throw new VbsError('SNAPSHOT_STATE_FORBIDS_BACKUP', { snapshotId, status });
}

/** For operators who want it as Cinder does (contract 5.9, 6.2). @throws BACKUP_HAS_DEPENDANTS */
export function requireNoDependants({ backupId, hasDependents }: Backup): void {
  if (hasDependents) throw new VbsError('BACKUP_HAS_DEPENDANTS', { backupId });
}

/** @throws BACKUP_STATE_FORBIDS_DELETE */
export function requireDeletable({ backupId, status }: Backup): void {
  const isFit = status === 'available' || status === 'error' || status === 'error_restoring';
  if (!isFit) throw new VbsError('BACKUP_STATE_FORBIDS_DELETE', { backupId, status });
}

export type BackupUse = {
  /** A job that makes, restores or deletes it has not ended: that job decides the state. */
  readonly isJobOpen: boolean;
  /** Its deletion has begun. */
  readonly isRecordTrashed: boolean;
};

/** For admins (contract 3.24). @throws BACKUP_STATE_FORBIDS_RESET */
export function requireBackupResettable(backup: Backup, use: BackupUse, wanted: 'available' | 'error'): void {
  const { backupId, status, attemptId } = backup;
  const refuse = (reason: string) => new VbsError('BACKUP_STATE_FORBIDS_RESET', { backupId, status, wanted, reason });
  if (use.isJobOpen) throw refuse('a job is at work on it');
  if (use.isRecordTrashed) throw refuse('its deletion has begun and can only be completed');
  if (wanted === 'available' && attemptId === null) throw refuse('it was never completed');
}

/**
 * @throws BACKUP_NOT_AVAILABLE, RESTORE_VOLUME_IN_ERROR, RESTORE_VOLUME_NOT_AVAILABLE, RESTORE_VOLUME_BEING_BACKED_UP,
 * VOLUME_BEING_COPIED, RESTORE_VOLUME_TOO_SMALL
 */
export function requireRestorePossible(backup: Backup, volume: Volume, use: VolumeUse): void {
  const { backupId } = backup;
  const { volumeId, status } = volume;
  requireAvailableBackup(backup);
  if (status.startsWith('error')) throw new VbsError('RESTORE_VOLUME_IN_ERROR', { volumeId, status });
  if (status !== 'available') throw new VbsError('RESTORE_VOLUME_NOT_AVAILABLE', { volumeId, status });
  if (use.isBeingBackedUp) throw new VbsError('RESTORE_VOLUME_BEING_BACKED_UP', { volumeId });
  if (use.isBeingCopied) throw new VbsError('VOLUME_BEING_COPIED', { volumeId });
  // Exact bytes: an adopted disk can be smaller than its rounded `size` says, and every byte must have a place.
  if (volume.sizeBytes < backup.sizeBytes) throw new VbsError('RESTORE_VOLUME_TOO_SMALL', { volumeId, backupId });
}

/** @throws BACKUP_NOT_AVAILABLE */
export function requireAvailableBackup({ backupId, status }: Backup): void {
  if (status !== 'available') throw new VbsError('BACKUP_NOT_AVAILABLE', { backupId, status });
}
