// Points in time of disks that users keep, and disks made from them: the `file` driver's part of snapshot-driver.ts.
// Each snapshot is a file of its own that shares its blocks with the disk where reflinks are (XFS, btrfs and others),
// and is a sparse copy elsewhere. It is read-only from the moment it is whole, and nobody but `remove` changes it.
import assert from 'node:assert/strict';
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { VbsError } from '../core/errors.ts';
import { isUuid, newUuid, type SnapshotId } from '../core/ids.ts';
import { findDataExtents } from './data-extents.ts';
import { createFile, ignoreMissing, makeFolder, setSize, syncFolder, unlinkIfThere } from './disk-files.ts';
import { type Extent, intersectExtents } from './extent.ts';
import { openFileSource } from './file-source.ts';
import { openFileTarget } from './file-target.ts';
import type { DiskSnapshots } from './image-snapshots.ts';
import type { CopyControl, DriverSnapshot, FreezeOptions, RevertControl, SnapshotRef } from './snapshot-driver.ts';
import { copyDisk } from './sparse-copy.ts';
import type { SystemCalls } from './system-calls.ts';
import type { Consistency, FoundChanges, VolumeSource } from './volume.ts';
import { onVolume } from './volume-error.ts';

const READ_ONLY_MODE = 0o400;
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW;

/** A disk whose path was looked up: free of symbolic links. */
export type LocatedDisk = { readonly path: string; readonly sizeBytes: number };

export type VolumeSnapshotsDeps = {
  /** Made when missing. */
  readonly folder: string;
  readonly calls: SystemCalls;
  readonly now: () => number;
  readonly onUnguarded: (path: string) => void;
};

type Frozen = { readonly consistency: Consistency; readonly frozenAt: number };

export class VolumeSnapshots {
  readonly #deps: VolumeSnapshotsDeps;

  constructor(deps: VolumeSnapshotsDeps) {
    this.#deps = deps;
  }

  async take(
    disk: LocatedDisk,
    snapshotId: SnapshotId,
    options: FreezeOptions,
    control: CopyControl,
  ): Promise<DriverSnapshot> {
    const { folder } = this.#deps;
    const source = fileName(snapshotId);
    const path = join(folder, source);
    return await onVolume(path, async () => {
      await makeFolder(folder);
      // Of an earlier try: no row names it, so nobody was ever told of it.
      await unlinkIfThere(path);
      const frozen = await this.#fillNew(path, (file) => this.#freezeInto(file, path, disk, options, control), {
        mode: READ_ONLY_MODE,
      });
      return { source, sizeBytes: disk.sizeBytes, ...frozen };
    });
  }

  async remove(snapshotId: SnapshotId): Promise<void> {
    const { folder } = this.#deps;
    const path = join(folder, fileName(snapshotId));
    await onVolume(path, async () => {
      await unlinkIfThere(path);
      // Also when it was gone: the call before may have failed just here.
      await syncFolder(folder).catch(ignoreMissing);
    });
  }

  async openSource(snapshot: SnapshotRef, signal?: AbortSignal): Promise<VolumeSource> {
    const path = this.#pathOf(snapshot);
    return await onVolume(path, async () => {
      signal?.throwIfAborted();
      const file = await open(path, READ_FLAGS);
      try {
        const stats = await file.stat({ bigint: true });
        if (Number(stats.size) !== snapshot.sizeBytes) {
          throw sizeMismatch(path, Number(stats.size), snapshot.sizeBytes);
        }
        return new SnapshotSource({ file, path, snapshot, stats, calls: this.#deps.calls });
      } catch (error) {
        await file.close();
        throw error;
      }
    });
  }

  /** Makes `path`, which must not be there, with the snapshot's bytes and zeros up to `sizeBytes`. */
  async copyToNew(path: string, sizeBytes: number, snapshot: SnapshotRef, control: CopyControl): Promise<void> {
    await using source = await this.openSource(snapshot, control.signal);
    await this.#fillNew(path, async (file) => {
      const isCloned = await this.#cloneFrom(source.descriptor.path, file);
      await file.truncate(sizeBytes);
      const target = { file, path, readsZero: true, isDevice: false };
      if (!isCloned) await copyDisk(source, target, control, this.#deps.calls);
      await source.finish();
    });
  }

  /** The same from a disk as it is now. */
  async cloneToNew(
    path: string,
    sizeBytes: number,
    disk: LocatedDisk,
    options: FreezeOptions,
    control: CopyControl,
  ): Promise<void> {
    await this.#fillNew(path, async (file) => {
      await this.#freezeInto(file, path, disk, options, control);
      await setSize(file, sizeBytes);
    });
  }

  async revert(disk: LocatedDisk, snapshot: SnapshotRef, control: RevertControl): Promise<void> {
    if (disk.sizeBytes !== snapshot.sizeBytes) throw sizeMismatch(disk.path, disk.sizeBytes, snapshot.sizeBytes);
    await using source = await this.openSource(snapshot, control.signal);
    const { calls, onUnguarded } = this.#deps;
    const options = { ...disk, ...NO_BASELINES, isFresh: false, calls, onUnguarded: () => onUnguarded(disk.path) };
    // Keeps everybody else out, tells that it is the right disk, and makes durable what is written below.
    await using target = await openFileTarget(options, control.signal);
    await onVolume(disk.path, async () => {
      const file = await open(disk.path, constants.O_RDWR | constants.O_NOFOLLOW);
      try {
        const isDevice = (await file.stat()).isBlockDevice();
        await control.beforeWrite?.();
        const isCloned = !isDevice && (await this.#cloneFrom(source.descriptor.path, file));
        const written = { file, path: disk.path, readsZero: false, isDevice };
        if (!isCloned) await copyDisk(source, written, control, calls);
        await source.finish();
        await file.sync();
      } finally {
        await file.close();
      }
    });
    await target.sync();
  }

  /** Makes a file durable together with its name, or leaves nothing of it. */
  async #fillNew<T>(
    path: string,
    fill: (file: FileHandle) => Promise<T>,
    options: { readonly mode?: number } = {},
  ): Promise<T> {
    const file = await createFile(path);
    let isWhole = false;
    try {
      const filled = await fill(file);
      if (options.mode !== undefined) await file.chmod(options.mode);
      await file.sync();
      await syncFolder(dirname(path));
      isWhole = true;
      return filled;
    } finally {
      await file.close();
      if (!isWhole) await unlinkIfThere(path);
    }
  }

  /** One point in time of the disk where that is possible, else a guarded copy. The file has the disk's size then. */
  async #freezeInto(
    file: FileHandle,
    path: string,
    disk: LocatedDisk,
    options: FreezeOptions,
    control: CopyControl,
  ): Promise<Frozen> {
    return (
      (await this.#cloneDisk(file, disk, control)) ?? (await this.#copyGuarded(file, path, disk, options, control))
    );
  }

  async #cloneDisk(file: FileHandle, disk: LocatedDisk, { signal }: CopyControl): Promise<Frozen | undefined> {
    const { now } = this.#deps;
    return await onVolume(disk.path, async () => {
      signal?.throwIfAborted();
      const image = await open(disk.path, READ_FLAGS);
      try {
        const stats = await image.stat();
        if (!stats.isFile()) return undefined;
        if (stats.size !== disk.sizeBytes) throw sizeMismatch(disk.path, stats.size, disk.sizeBytes);
        const frozenAt = now();
        if (!(await this.#deps.calls.cloneFile(image.fd, file.fd))) return undefined;
        const { size } = await file.stat();
        // Resized between the look at it and the clone.
        if (size !== disk.sizeBytes) throw sizeMismatch(disk.path, size, disk.sizeBytes);
        return { consistency: 'snapshot', frozenAt };
      } finally {
        await image.close();
      }
    });
  }

  async #copyGuarded(
    file: FileHandle,
    path: string,
    disk: LocatedDisk,
    options: FreezeOptions,
    control: CopyControl,
  ): Promise<Frozen> {
    const { calls, now, onUnguarded } = this.#deps;
    const deps = { ...disk, ...NO_BASELINES, calls, now, onUnguarded: () => onUnguarded(disk.path) };
    await using source = await openFileSource(deps, { ...options, ...NO_NAME }, control.signal);
    await file.truncate(disk.sizeBytes);
    await copyDisk(source, { file, path, readsZero: true, isDevice: false }, control, calls);
    await source.finish();
    return { consistency: source.consistency, frozenAt: source.frozenAt };
  }

  async #cloneFrom(path: string, file: FileHandle): Promise<boolean> {
    const from = await open(path, READ_FLAGS);
    try {
      return await this.#deps.calls.cloneFile(from.fd, file.fd);
    } finally {
      await from.close();
    }
  }

  /** Our snapshots move with our folder, whatever the row says beyond the name. */
  #pathOf({ snapshotId, source }: SnapshotRef): string {
    assert.equal(source, fileName(snapshotId), `snapshot ${snapshotId} is said to be in ${source}`);
    return join(this.#deps.folder, source);
  }
}

/** Blocks cannot be shared, as was found out before: the disk is read in place, under guard. */
const NO_SNAPSHOTS: DiskSnapshots = { take: async () => undefined, pathOf: () => undefined };
const NO_BASELINES = { snapshots: NO_SNAPSHOTS, keepsBaselines: false };
/** For snapshots that are never taken. */
const NO_NAME = { snapshotId: newUuid<SnapshotId>(), attempt: 0 };

function fileName(snapshotId: SnapshotId): string {
  assert(isUuid(snapshotId), `snapshot id ${snapshotId}`);
  return `${snapshotId}.raw`;
}

function sizeMismatch(source: string, actualBytes: number, expectedBytes: number): VbsError {
  return new VbsError('VOLUME_SIZE_MISMATCH', { source, actualBytes, expectedBytes });
}

type SnapshotSourceState = {
  readonly file: FileHandle;
  readonly path: string;
  readonly snapshot: SnapshotRef;
  readonly stats: BigIntStats;
  readonly calls: SystemCalls;
};

class SnapshotSource implements VolumeSource {
  readonly descriptor: VolumeSource['descriptor'];
  readonly sizeBytes: number;
  readonly consistency: Consistency;
  readonly frozenAt: number;
  readonly #state: SnapshotSourceState;
  #isOpen = true;

  constructor(state: SnapshotSourceState) {
    const { sizeBytes, consistency, frozenAt } = state.snapshot;
    this.#state = state;
    this.descriptor = { driver: 'file', path: state.path, sizeBytes };
    this.sizeBytes = sizeBytes;
    this.consistency = consistency;
    this.frozenAt = frozenAt;
  }

  async *dataExtents(range: Extent, signal?: AbortSignal): AsyncIterable<Extent> {
    const wanted = intersectExtents(range, { offsetBytes: 0, lengthBytes: this.sizeBytes });
    if (wanted) yield* findDataExtents(this.#state.file.fd, wanted, this.#state.calls, signal);
  }

  async findChanges(): Promise<FoundChanges> {
    return { isKnown: false, reason: 'a snapshot that was taken by hand is read as it is' };
  }

  async describeBaseline(): Promise<undefined> {
    return undefined;
  }

  keep(): void {
    // It stays until its owner deletes it.
  }

  /** Nobody may write to a snapshot; somebody with the right to may have done it all the same. */
  async finish(): Promise<void> {
    const { file, path, stats } = this.#state;
    await onVolume(path, async () => {
      const after = await file.stat({ bigint: true });
      if (after.mtimeNs === stats.mtimeNs && after.size === stats.size) return;
      throw new VbsError('VOLUME_CHANGED', { source: path, reason: 'a snapshot must never change' });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await onVolume(this.#state.path, () => this.#state.file.close());
  }
}
