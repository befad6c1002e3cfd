// Which states of volumes and snapshots permit what (contract 3.25, 3.26). Pure, like volume-rules: the services bring
// the rows, read under the row lock of the project, and change nothing when one of these throws.
import { VbsError } from '../core/errors.ts';
import type { Snapshot, SnapshotStatus, Volume } from '../core/model.ts';
import type { VolumeUse } from './backup-rules.ts';

export type SnapshotUse = {
  /** A job makes, deletes or reads it. */
  readonly isJobOpen: boolean;
};

/**
 * For taking a snapshot. `isAttachedPermitted`: forced, or asked for where that is no longer needed (3.66).
 * @throws VOLUME_STATE_FORBIDS
 */
export function requireSnapshotPossible({ volumeId, status }: Volume, isAttachedPermitted: boolean): void {
  if (status === 'available' || (status === 'in-use' && isAttachedPermitted)) return;
  const required = isAttachedPermitted ? 'available or in-use' : 'available, or in-use with force';
  throw new VbsError('VOLUME_STATE_FORBIDS', { volumeId, status, required });
}

/** For making a volume from another one. @throws VOLUME_STATE_FORBIDS */
export function requireCloneable({ volumeId, status }: Volume): void {
  if (status === 'available' || status === 'in-use') return;
  throw new VbsError('VOLUME_STATE_FORBIDS', { volumeId, status, required: 'available or in-use' });
}

/** For making a volume, or a backup, from it. @throws SNAPSHOT_STATE_FORBIDS */
export function requireAvailableSnapshot({ snapshotId, status }: Snapshot): void {
  if (status !== 'available')
    throw new VbsError('SNAPSHOT_STATE_FORBIDS', { snapshotId, status, required: 'available' });
}

/** `force` ignores the status, never a running operation. @throws SNAPSHOT_STATE_FORBIDS, SNAPSHOT_IN_USE */
export function requireSnapshotDeletable(
  { snapshotId, status }: Snapshot,
  use: SnapshotUse,
  options: { readonly force: boolean },
): void {
  if (!options.force && status !== 'available' && status !== 'error') {
    throw new VbsError('SNAPSHOT_STATE_FORBIDS', { snapshotId, status, required: 'available or error' });
  }
  if (use.isJobOpen) throw new VbsError('SNAPSHOT_IN_USE', { snapshotId });
}

/** For admins. @throws SNAPSHOT_STATE_FORBIDS_RESET */
export function requireSnapshotResettable(snapshot: Snapshot, use: SnapshotUse, wanted: SnapshotStatus): void {
  const { snapshotId, status, source } = snapshot;
  const refuse = (reason: string) =>
    new VbsError('SNAPSHOT_STATE_FORBIDS_RESET', { snapshotId, status, wanted, reason });
  if (use.isJobOpen) throw refuse('a job is at work on it');
  if (source === '' && wanted === 'available') throw refuse('it was never completed');
}

/**
 * For writing a snapshot over its volume, which must be detached and as large; only the newest one, as in Cinder: going
 * back further would leave snapshots that are newer than what the volume holds.
 * @throws VOLUME_STATE_FORBIDS, VOLUME_BEING_COPIED, SNAPSHOT_STATE_FORBIDS, SNAPSHOT_NOT_NEWEST,
 * SNAPSHOT_SIZE_DIFFERS
 */
export function requireRevertPossible(
  volume: Volume,
  snapshot: Snapshot,
  state: { readonly newest: Snapshot | undefined; readonly use: VolumeUse },
): void {
  const { volumeId, status } = volume;
  const { snapshotId } = snapshot;
  if (state.newest?.snapshotId !== snapshotId) throw new VbsError('SNAPSHOT_NOT_NEWEST', { snapshotId, volumeId });
  if (volume.sizeBytes !== snapshot.sizeBytes) throw new VbsError('SNAPSHOT_SIZE_DIFFERS', { snapshotId, volumeId });
  if (status !== 'available') throw new VbsError('VOLUME_STATE_FORBIDS', { volumeId, status, required: 'available' });
  requireAvailableSnapshot(snapshot);
  if (state.use.isBeingBackedUp || state.use.isBeingCopied) throw new VbsError('VOLUME_BEING_COPIED', { volumeId });
}

/**
 * What deleting a volume does to its snapshots.
 * @throws VOLUME_HAS_SNAPSHOTS, SNAPSHOT_STATE_FORBIDS, SNAPSHOT_IN_USE
 */
export function requireCascade(
  volume: Volume,
  snapshots: readonly { readonly snapshot: Snapshot; readonly use: SnapshotUse }[],
  options: { readonly cascade: boolean; readonly force: boolean },
): void {
  if (snapshots.length === 0) return;
  if (!options.cascade) {
    throw new VbsError('VOLUME_HAS_SNAPSHOTS', { volumeId: volume.volumeId, count: snapshots.length });
  }
  for (const { snapshot, use } of snapshots) requireSnapshotDeletable(snapshot, use, options);
}
