// A raw image or block device open for one backup: a snapshot where there can be one, else the disk itself, guarded.
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { VbsError } from '../core/errors.ts';
import { describeBaseline, findChangesSince } from './baseline-snapshots.ts';
import { type ChangeGuard, guardBlockDevice, guardImage } from './change-guard.ts';
import { findDataExtents } from './data-extents.ts';
import { type Extent, intersectExtents } from './extent.ts';
import { lockImage } from './image-lock.ts';
import type { DiskSnapshots, Snapshot } from './image-snapshots.ts';
import type { SystemCalls } from './system-calls.ts';
import type {
  Baseline,
  Consistency,
  FindChangesOptions,
  FoundChanges,
  OpenSourceOptions,
  VolumeSource,
} from './volume.ts';
import { onVolume } from './volume-error.ts';

export type FileSourceDeps = {
  /** Free of symbolic links. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly snapshots: DiskSnapshots;
  /** Keep the snapshot of a backup for the next one to compare extents with. */
  readonly keepsBaselines: boolean;
  readonly calls: SystemCalls;
  readonly now: () => number;
  readonly onUnguarded: () => void;
};

/** @throws VOLUME_UNAVAILABLE, VOLUME_BUSY, VOLUME_ATTACHED, VOLUME_SIZE_MISMATCH */
export async function openFileSource(
  deps: FileSourceDeps,
  options: OpenSourceOptions,
  signal?: AbortSignal,
): Promise<VolumeSource> {
  return await onVolume(deps.path, async () => {
    signal?.throwIfAborted();
    const disk = await open(deps.path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const isDevice = await checkDisk(disk, deps);
      const snapshot = isDevice ? undefined : await takeSnapshot(disk, deps, options);
      if (snapshot) return snapshot;
      if (options.isAttached && !options.force) throw new VbsError('VOLUME_ATTACHED', { source: deps.path });
      return await openInPlace(disk, isDevice, deps, options, signal);
    } catch (error) {
      await disk.close();
      throw error;
    }
  });
}

/** True for a block device. The size must be exact: a disk that grew unnoticed would lose its end in the backup. */
async function checkDisk(disk: FileHandle, { path, sizeBytes, calls }: FileSourceDeps): Promise<boolean> {
  const stats = await disk.stat();
  if (!stats.isFile() && !stats.isBlockDevice()) {
    throw new VbsError('VOLUME_UNAVAILABLE', { source: path, reason: 'neither a regular file nor a block device' });
  }
  const actualBytes = stats.isFile() ? stats.size : calls.blockDeviceSize(disk.fd);
  if (actualBytes === sizeBytes || actualBytes === undefined) return stats.isBlockDevice();
  throw new VbsError('VOLUME_SIZE_MISMATCH', { source: path, actualBytes, expectedBytes: sizeBytes });
}

async function takeSnapshot(
  disk: FileHandle,
  deps: FileSourceDeps,
  options: OpenSourceOptions,
): Promise<VolumeSource | undefined> {
  const frozenAt = deps.now();
  const snapshot = await deps.snapshots.take(disk, options.snapshotId, options.attempt);
  if (!snapshot) return undefined;
  try {
    const copy = await open(snapshot.path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      // The image may have been resized between the look at it and the snapshot.
      await checkDisk(copy, { ...deps, path: snapshot.path });
      await disk.close();
    } catch (error) {
      await copy.close();
      throw error;
    }
    return new FileSource({ ...deps, file: copy, path: snapshot.path, frozenAt, consistency: 'snapshot', snapshot });
  } catch (error) {
    await snapshot.remove();
    throw error;
  }
}

async function openInPlace(
  disk: FileHandle,
  isDevice: boolean,
  deps: FileSourceDeps,
  options: OpenSourceOptions,
  signal: AbortSignal | undefined,
): Promise<VolumeSource> {
  // Without a snapshot every byte is as old as its reading; what is promised then depends on the guard alone.
  if (options.isAttached) {
    return new FileSource({ ...deps, file: disk, isDevice, frozenAt: deps.now(), consistency: 'fuzzy' });
  }
  const file = isDevice ? await openExclusive(disk, deps.path) : disk;
  try {
    if (!isDevice && !lockImage(file.fd, deps.path, 'read', deps.calls)) deps.onUnguarded();
    const guard = isDevice ? await guardBlockDevice(file, deps.path) : await guardImage(file, deps.path, signal);
    return new FileSource({ ...deps, file, isDevice, guard, frozenAt: deps.now(), consistency: 'quiescent' });
  } catch (error) {
    if (file !== disk) await file.close();
    throw error;
  }
}

/** Claims a block device: mounted file systems, volume managers and other exclusive users keep us out and we them. */
async function openExclusive(disk: FileHandle, path: string): Promise<FileHandle> {
  const file = await open(path, constants.O_RDONLY | constants.O_EXCL | constants.O_NOFOLLOW);
  await disk.close();
  return file;
}

type FileSourceState = FileSourceDeps & {
  readonly file: FileHandle;
  readonly isDevice?: boolean;
  readonly frozenAt: number;
  readonly consistency: Consistency;
  readonly guard?: ChangeGuard;
  readonly snapshot?: Snapshot;
};

class FileSource implements VolumeSource {
  readonly descriptor: VolumeSource['descriptor'];
  readonly sizeBytes: number;
  readonly consistency: Consistency;
  readonly frozenAt: number;
  readonly #state: FileSourceState;
  #isOpen = true;
  #hasBaseline = false;
  #isKept = false;

  constructor(state: FileSourceState) {
    this.#state = state;
    this.descriptor = { driver: 'file', path: state.path, sizeBytes: state.sizeBytes };
    this.sizeBytes = state.sizeBytes;
    this.consistency = state.consistency;
    this.frozenAt = state.frozenAt;
  }

  async *dataExtents(range: Extent, signal?: AbortSignal): AsyncIterable<Extent> {
    const { file, calls, isDevice, sizeBytes, path } = this.#state;
    const wanted = intersectExtents(range, { offsetBytes: 0, lengthBytes: sizeBytes });
    if (!wanted) return;
    // A block device does not tell which of its blocks were ever written.
    if (isDevice) return yield wanted;
    const extents = findDataExtents(file.fd, wanted, calls, signal)[Symbol.asyncIterator]();
    for (;;) {
      const next = await onVolume(path, () => extents.next());
      if (next.done) return;
      yield next.value;
    }
  }

  async findChanges(baseline: Baseline, options: FindChangesOptions, signal?: AbortSignal): Promise<FoundChanges> {
    const { file, sizeBytes, snapshot, snapshots, calls, keepsBaselines, path } = this.#state;
    // Of a disk that is read in place nothing would keep the blocks where they are.
    if (!snapshot) return { isKnown: false, reason: 'there is no snapshot of the disk' };
    if (!keepsBaselines) return { isKnown: false, reason: 'it is switched off' };
    return await onVolume(path, () => {
      return findChangesSince(baseline, { file, sizeBytes }, { snapshots, calls }, options, signal);
    });
  }

  async describeBaseline(): Promise<Baseline | undefined> {
    const { file, snapshot, calls, keepsBaselines, path } = this.#state;
    if (!snapshot || !keepsBaselines) return undefined;
    const baseline = await onVolume(path, () => describeBaseline(snapshot.name, file, calls));
    this.#hasBaseline = baseline !== undefined;
    return baseline;
  }

  keep(): void {
    // A snapshot that no baseline names would never be removed.
    this.#isKept = this.#hasBaseline;
  }

  async finish(): Promise<void> {
    await onVolume(this.#state.path, async () => this.#state.guard?.check());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await onVolume(this.#state.path, async () => {
      await this.#state.file.close();
      if (!this.#isKept) await this.#state.snapshot?.remove();
    });
  }
}
