// The contract between the service and a kind of disk (a driver), and between a disk and the engine.
// Drivers: file-driver (raw images and block devices); qcow2/NBD, LVM, RBD come later behind the same types.
import type { SnapshotId, VolumeId } from '../core/ids.ts';
import type { ChunkSet } from './chunk-set.ts';
import type { Extent } from './extent.ts';
import type { SnapshotDriver } from './snapshot-driver.ts';

/**
 * How any thread of this process reaches the bytes of a disk. It is plain data (it crosses to worker threads);
 * `openBlockDevice` in block-device.ts turns it into an open device.
 */
export type DeviceDescriptor = {
  readonly driver: 'file';
  readonly path: string;
  /** Exact size in bytes; an image is never read or written beyond it. */
  readonly sizeBytes: number;
};

/** What the program can rely on for the bytes read: one point in time, or the disk as it was while being read. */
export type Consistency = 'snapshot' | 'quiescent' | 'fuzzy';

/** A disk open for one backup: a snapshot, or the disk itself under guard. */
export type VolumeSource = {
  readonly descriptor: DeviceDescriptor;
  readonly sizeBytes: number;
  readonly consistency: Consistency;
  /** When the bytes were frozen, epoch ms. */
  readonly frozenAt: number;
  /** Extents that may hold data, ascending, disjoint, within `range`; everything between them reads as zeros. */
  dataExtents(range: Extent, signal?: AbortSignal): AsyncIterable<Extent>;
  /** Which chunks may differ from `baseline`. Where that is not known, everything is read and compared. */
  findChanges(baseline: Baseline, options: FindChangesOptions, signal?: AbortSignal): Promise<FoundChanges>;
  /** The state of this source, to be compared with later; undefined when the driver keeps none of it. */
  describeBaseline(): Promise<Baseline | undefined>;
  /** From now on closing leaves the snapshot: the baseline that was described is committed. */
  keep(): void;
  /** Called when all was read. @throws VOLUME_CHANGED when a guarded disk was written meanwhile. */
  finish(): Promise<void>;
  /** Releases guards and, unless kept, the snapshot. Always call it. */
  [Symbol.asyncDispose](): Promise<void>;
};

/** The state of a disk at an earlier backup, as its driver describes it. Opaque to everyone else. */
export type Baseline = { readonly driver: string; readonly state: Readonly<Record<string, unknown>> };

export type FindChangesOptions = {
  /** How many of the chunks that are said to be unchanged and hold data are drawn at random, for checking. */
  readonly sampleCount: number;
  /** Numbers in [0, 1). */
  readonly random: () => number;
};

export type FoundChanges =
  | {
      readonly isKnown: true;
      /** Chunks that may differ, as far as the disk reaches. */
      readonly changed: ChunkSet;
      /** Indexes of unchanged chunks with data, ascending; fewer than asked for when there are fewer. */
      readonly sample: readonly number[];
    }
  /** The reason is one of a few fixed texts, without names: it becomes the label of a metric. */
  | { readonly isKnown: false; readonly reason: string };

/** A disk open for one restore. */
export type VolumeTarget = {
  readonly descriptor: DeviceDescriptor;
  readonly sizeBytes: number;
  /** True only for a disk that we made and that reads zero everywhere: zeros need not be written then. */
  readonly readsZero: boolean;
  /** As of a source: what is not in them reads zero. */
  dataExtents(range: Extent, signal?: AbortSignal): AsyncIterable<Extent>;
  /** As of a source: what may differ from `baseline` on the disk as it is now. Ask before the first write. */
  findChanges(baseline: Baseline, options: FindChangesOptions, signal?: AbortSignal): Promise<FoundChanges>;
  /**
   * Has the medium take what was written until now, and forgets it: a large restore then has little to wait for in
   * `sync`, and does not push what other programs use out of memory. @throws as `sync`, which may not tell it again
   */
  writeBack(): Promise<void>;
  /** Forgets what is in memory of the disk, where that can be done: reading asks the medium then. After `sync`. */
  dropCache(): Promise<void>;
  /** Makes everything written durable. @throws STORAGE_FULL, VOLUME_IO; VOLUME_CHANGED when its name was taken */
  sync(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** What a driver needs to know of a volume row. */
export type VolumeRef = {
  readonly volumeId: VolumeId;
  /** Driver's own reference, from `DriverVolume`; for `file` an absolute path. */
  readonly source: string;
  readonly sizeBytes: number;
  /** True when the disk was adopted: it is never deleted, only let go. */
  readonly isAdopted: boolean;
};

/** What a driver answers for a disk that it made or took over. */
export type DriverVolume = { readonly source: string; readonly sizeBytes: number };

export type DriverRoom = { readonly totalBytes: number; readonly freeBytes: number };

/** A disk in a permitted folder, and what speaks against adopting it. */
export type AdoptableEntry = {
  readonly reference: string;
  readonly sizeBytes: number;
  /** Equal to `VolumeDriver.identify` of the volume that it may already be. */
  readonly identity: string;
  /** Null when nothing does. */
  readonly refusal: string | null;
};

export type DriverCapabilities = {
  /** Snapshots cost nothing and hold while the disk is written (reflinks, LVM, RBD). */
  readonly hasSnapshots: boolean;
  readonly hasChangedExtents: boolean;
  readonly canResize: boolean;
};

export type OpenSourceOptions = {
  /** Attempt number; snapshots carry it in their names so that each attempt removes only its own. */
  readonly attempt: number;
  readonly snapshotId: SnapshotId;
  readonly isAttached: boolean;
  /** Read an attached disk without a snapshot: the backup says `fuzzy`. */
  readonly force: boolean;
};

export type VolumeDriver = SnapshotDriver & {
  readonly name: 'file';
  capabilities(volume: VolumeRef): Promise<DriverCapabilities>;
  /** Makes an empty disk that reads zero. @throws STORAGE_FULL, VOLUME_EXISTS */
  create(volumeId: VolumeId, sizeBytes: number, signal?: AbortSignal): Promise<DriverVolume>;
  /**
   * Takes over an existing disk without touching it.
   * @throws VOLUME_REFERENCE_INVALID: not absolute, missing, outside the permitted roots (symlinks resolved), not a
   * regular file or block device, a device without a name that lasts, not readable and writable, empty, or larger
   * than VOLUME_SIZE_MAX_BYTES.
   */
  adopt(reference: string): Promise<DriverVolume>;
  /**
   * Tells disks apart while the machine runs, whatever they are called: equal for hard links of an image and for all
   * names of a device. Undefined when the disk is not there.
   */
  identify(volume: VolumeRef): Promise<string | undefined>;
  /** Bytes of the disk as it is: a resize that was cut short may have grown it. @throws VOLUME_UNAVAILABLE */
  measure(volume: VolumeRef): Promise<number>;
  /** Where programs on this machine reach the disk: what an attachment is told. @throws VOLUME_UNAVAILABLE */
  locate(volume: VolumeRef): Promise<string>;
  /** Room for new disks. @throws VOLUME_IO */
  measureRoom(): Promise<DriverRoom>;
  /** Disks that could be adopted, by reference; those of the service itself are never among them. */
  listAdoptable(signal?: AbortSignal): Promise<AdoptableEntry[]>;
  /** Grows the disk; new bytes read zero. */
  resize(volume: VolumeRef, sizeBytes: number): Promise<DriverVolume>;
  /** Removes a disk that we made with everything of it; lets an adopted one go untouched. Harmless twice. */
  delete(volume: VolumeRef): Promise<void>;
  /** @throws VOLUME_UNAVAILABLE, VOLUME_BUSY, VOLUME_ATTACHED */
  openSource(volume: VolumeRef, options: OpenSourceOptions, signal?: AbortSignal): Promise<VolumeSource>;
  /** `isFresh`: nobody has written to it since `create`. @throws VOLUME_UNAVAILABLE, VOLUME_BUSY */
  openTarget(volume: VolumeRef, options: { readonly isFresh: boolean }, signal?: AbortSignal): Promise<VolumeTarget>;
  /** Removes snapshots that a lost attempt (number below `attempt`) of this backup left behind. */
  removeStaleSnapshots(volume: VolumeRef, snapshotId: SnapshotId, attempt: number): Promise<void>;
  /** Gives up what is kept for a baseline that nothing refers to any more. Harmless twice. */
  removeBaseline(baseline: Baseline): Promise<void>;
};
