// What jobs carry beyond the ids of their rows. It outlives the program that wrote it, so it is read leniently: a
// member that is absent or of another type has its default.
import { newUuid, parseUuid, type SnapshotId } from '../core/ids.ts';
import type { Job } from '../core/model.ts';

export type BackupPayload = {
  /** Read an attached disk although there is no snapshot of it. */
  readonly force: boolean;
  /** Names the driver's snapshots of all attempts of the job, or the user's snapshot that is backed up. */
  readonly snapshotId: SnapshotId;
  /** A snapshot that a user made is read, and not the volume. */
  readonly isOfSnapshot: boolean;
  /** What the volume goes back to when its status says `backing-up` meanwhile; null when it was left alone. */
  readonly previousStatus: 'available' | 'in-use' | null;
};

export type RestorePayload = {
  /** The volume was made for this job: it has no disk until the job makes it. */
  readonly isNewVolume: boolean;
  /** No attempt has begun to write: an existing volume is what it was. Unknown counts as written. */
  readonly isTargetUntouched: boolean;
  /** Read everything back and compare it. */
  readonly verify: boolean;
};

export type SnapshotPayload = {
  /** The volume was attached when the job was accepted. */
  readonly isAttached: boolean;
  /** Copy it even so where it cannot be frozen. */
  readonly force: boolean;
};

export type RevertPayload = {
  /** No attempt has begun to write: the volume is what it was. Unknown counts as written. */
  readonly isTargetUntouched: boolean;
};
/** How a job that succeeded did its work; plain values by name. */
export type JobResult = Readonly<Record<string, string | number | boolean | null>>;

export function readBackupPayload({ payload }: Job): BackupPayload {
  const snapshotId = typeof payload.snapshotId === 'string' ? parseUuid<SnapshotId>(payload.snapshotId) : undefined;
  const { previousStatus } = payload;
  const isKnown = previousStatus === 'available' || previousStatus === 'in-use';
  return {
    force: payload.force === true,
    snapshotId: snapshotId ?? newUuid<SnapshotId>(),
    isOfSnapshot: payload.isOfSnapshot === true,
    previousStatus: isKnown ? previousStatus : null,
  };
}

export function readRestorePayload({ payload }: Job): RestorePayload {
  return {
    isNewVolume: payload.isNewVolume === true,
    isTargetUntouched: payload.isTargetUntouched === true,
    verify: payload.verify === true,
  };
}

/** Null until the job has succeeded, and for kinds of jobs that have nothing to tell. */
export function readJobResult({ payload }: Pick<Job, 'payload'>): JobResult | null {
  const { result } = payload;
  if (typeof result !== 'object' || result === null) return null;
  const isPlain = ([, value]: [string, unknown]) => value === null || typeof value !== 'object';
  // The cast: what came out of JSON and is no object is one of these.
  return Object.fromEntries(Object.entries(result).filter(isPlain)) as JobResult;
}

export function readSnapshotPayload({ payload }: Job): SnapshotPayload {
  // Unknown counts as attached: an image is then frozen or refused, never copied while it is written.
  return { isAttached: payload.isAttached !== false, force: payload.force === true };
}

export function readRevertPayload({ payload }: Job): RevertPayload {
  return { isTargetUntouched: payload.isTargetUntouched === true };
}
