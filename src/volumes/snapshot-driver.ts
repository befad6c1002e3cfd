// The part of a driver that keeps points in time of its disks for the users of the service, and makes disks from them
// and from each other. (The snapshots that a backup works from are the driver's own business: `openSource`.)
import type { SnapshotId, VolumeId } from '../core/ids.ts';
import type { Progress } from '../core/model.ts';
import type { Throttles } from '../core/throttle.ts';
import type { Consistency, DriverVolume, VolumeRef, VolumeSource } from './volume.ts';

/** What a driver needs to know of a snapshot row. */
export type SnapshotRef = {
  readonly snapshotId: SnapshotId;
  /** Driver's own reference, from `DriverSnapshot`. */
  readonly source: string;
  readonly sizeBytes: number;
  readonly consistency: Consistency;
  readonly frozenAt: number;
};

/** What a driver answers for a snapshot that it took. */
export type DriverSnapshot = Omit<SnapshotRef, 'snapshotId'>;

export type FreezeOptions = {
  readonly isAttached: boolean;
  /** Copy an attached disk that cannot be frozen: the copy is `fuzzy`. */
  readonly force: boolean;
};

/** How a copy that may take long is watched and ended. */
export type CopyControl = {
  readonly signal?: AbortSignal | undefined;
  /** `totalBytes` of the disk, of which `doneBytes` were copied and `skippedBytes` needed no copying. */
  readonly report?: ((progress: Partial<Progress>) => void) | undefined;
  /** What holds reading and writing back where blocks are not shared; absent, nothing does. */
  readonly throttles?: Throttles | undefined;
};

export type RevertControl = CopyControl & {
  /** Called when all is ready, before the first byte is written. */
  readonly beforeWrite?: (() => Promise<void>) | undefined;
};

export type SnapshotDriver = {
  /**
   * Keeps the disk as it is now under `snapshotId`, durably: at once where blocks can be shared, else as a copy, for
   * which the disk is guarded. What an earlier try left under the same id is replaced, so no row may name it yet.
   * @throws VOLUME_UNAVAILABLE, VOLUME_BUSY, VOLUME_CHANGED, VOLUME_ATTACHED, VOLUME_SIZE_MISMATCH, STORAGE_FULL
   */
  takeSnapshot(
    volume: VolumeRef,
    snapshotId: SnapshotId,
    options: FreezeOptions,
    control: CopyControl,
  ): Promise<DriverSnapshot>;
  /** Removes the snapshot and what an unfinished `takeSnapshot` left of it. Harmless twice. */
  removeSnapshot(snapshotId: SnapshotId): Promise<void>;
  /** The snapshot as a backup reads it. @throws VOLUME_UNAVAILABLE, VOLUME_SIZE_MISMATCH */
  openSnapshotSource(snapshot: SnapshotRef, signal?: AbortSignal): Promise<VolumeSource>;
  /**
   * Makes a disk of `sizeBytes` that begins with the snapshot's bytes and reads zero after them.
   * @throws VOLUME_EXISTS, VOLUME_UNAVAILABLE, VOLUME_SIZE_MISMATCH, STORAGE_FULL
   */
  createFromSnapshot(
    volumeId: VolumeId,
    sizeBytes: number,
    snapshot: SnapshotRef,
    control: CopyControl,
  ): Promise<DriverVolume>;
  /** The same from a disk as it is now. @throws as `takeSnapshot`, VOLUME_EXISTS */
  createFromVolume(
    volumeId: VolumeId,
    sizeBytes: number,
    source: VolumeRef,
    options: FreezeOptions,
    control: CopyControl,
  ): Promise<DriverVolume>;
  /**
   * Writes the snapshot over the disk, which must be as large. A try that was cut short leaves the disk half written;
   * the next one completes it. @throws VOLUME_UNAVAILABLE, VOLUME_BUSY, VOLUME_SIZE_MISMATCH, STORAGE_FULL
   */
  revertVolume(volume: VolumeRef, snapshot: SnapshotRef, control: RevertControl): Promise<void>;
};
