// What jobs carry beyond the ids of their rows. It outlives the program that wrote it, so it is read leniently: a
// member that is absent or of another type has its default.
import { newUuid, parseUuid, type SnapshotId } from '../core/ids.ts';
import type { Job } from '../core/model.ts';

export type BackupPayload = {
  /** Read an attached disk although there is no snapshot of it. */
  readonly force: boolean;
  /** Names the driver's snapshots of all attempts of the job. */
  readonly snapshotId: SnapshotId;
  /** What the volume goes back to when its status says `backing-up` meanwhile; null when it was left alone. */
  readonly previousStatus: 'available' | 'in-use' | null;
};

export type RestorePayload = {
  /** The volume was made for this job: it has no disk until the job makes it. */
  readonly isNewVolume: boolean;
  /** No attempt has begun to write: an existing volume is what it was. Unknown counts as written. */
  readonly isTargetUntouched: boolean;
};

export function readBackupPayload({ payload }: Job): BackupPayload {
  const snapshotId = typeof payload.snapshotId === 'string' ? parseUuid<SnapshotId>(payload.snapshotId) : undefined;
  const { previousStatus } = payload;
  const isKnown = previousStatus === 'available' || previousStatus === 'in-use';
  return {
    force: payload.force === true,
    snapshotId: snapshotId ?? newUuid<SnapshotId>(),
    previousStatus: isKnown ? previousStatus : null,
  };
}

export function readRestorePayload({ payload }: Job): RestorePayload {
  return { isNewVolume: payload.isNewVolume === true, isTargetUntouched: payload.isTargetUntouched === true };
}
