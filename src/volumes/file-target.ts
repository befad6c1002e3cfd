// A raw image or block device open for one restore; nobody else may use it meanwhile.
import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { VbsError } from '../core/errors.ts';
import { findChangesSince } from './baseline-snapshots.ts';
import { findDataExtents } from './data-extents.ts';
import { type Extent, intersectExtents } from './extent.ts';
import { lockImage } from './image-lock.ts';
import type { DiskSnapshots } from './image-snapshots.ts';
import type { SystemCalls } from './system-calls.ts';
import type { Baseline, FindChangesOptions, FoundChanges, VolumeTarget } from './volume.ts';
import { onVolume } from './volume-error.ts';

export type FileTargetDeps = {
  /** Free of symbolic links. */
  readonly path: string;
  readonly sizeBytes: number;
  /** We made the disk and nobody has written to it since. */
  readonly isFresh: boolean;
  readonly snapshots: DiskSnapshots;
  readonly keepsBaselines: boolean;
  readonly calls: SystemCalls;
  readonly onUnguarded: () => void;
};

/** @throws VOLUME_UNAVAILABLE, VOLUME_BUSY, VOLUME_SIZE_MISMATCH */
export async function openFileTarget(deps: FileTargetDeps, signal?: AbortSignal): Promise<VolumeTarget> {
  return await onVolume(deps.path, async () => {
    signal?.throwIfAborted();
    const isDevice = (await stat(deps.path)).isBlockDevice();
    const flags = constants.O_RDWR | constants.O_NOFOLLOW | (isDevice ? constants.O_EXCL : 0);
    const file = await open(deps.path, flags);
    try {
      await checkTarget(file, isDevice, deps);
      if (!isDevice && !lockImage(file.fd, deps.path, 'write', deps.calls)) deps.onUnguarded();
      const { ino, dev } = await file.stat({ bigint: true });
      const readsZero = deps.isFresh && !isDevice && isEmpty(file, deps.calls);
      return new FileTarget({ ...deps, file, isDevice, readsZero, ino, dev });
    } catch (error) {
      await file.close();
      throw error;
    }
  });
}

async function checkTarget(file: FileHandle, isDevice: boolean, deps: FileTargetDeps): Promise<void> {
  const { path, sizeBytes: expectedBytes } = deps;
  const stats = await file.stat();
  if (isDevice !== stats.isBlockDevice() || (!isDevice && !stats.isFile())) {
    throw new VbsError('VOLUME_UNAVAILABLE', { source: path, reason: 'neither a regular file nor a block device' });
  }
  const actualBytes = (isDevice ? deps.calls.blockDeviceSize(file.fd) : stats.size) ?? expectedBytes;
  // A device of another size is another disk; an image may have been grown by a resize that was cut short.
  const isRight = isDevice ? actualBytes === expectedBytes : actualBytes >= expectedBytes;
  if (!isRight) throw new VbsError('VOLUME_SIZE_MISMATCH', { source: path, actualBytes, expectedBytes });
}

/** The caller says that nothing was written; where the file system can tell, it is asked too. */
function isEmpty(file: FileHandle, calls: SystemCalls): boolean {
  return !calls.isNative || calls.seekData(file.fd, 0) === undefined;
}

type FileTargetState = FileTargetDeps & {
  readonly file: FileHandle;
  readonly isDevice: boolean;
  readonly readsZero: boolean;
  readonly ino: bigint;
  readonly dev: bigint;
};

class FileTarget implements VolumeTarget {
  readonly descriptor: VolumeTarget['descriptor'];
  readonly sizeBytes: number;
  readonly readsZero: boolean;
  readonly #state: FileTargetState;
  #isOpen = true;

  constructor(state: FileTargetState) {
    this.#state = state;
    this.descriptor = { driver: 'file', path: state.path, sizeBytes: state.sizeBytes };
    this.sizeBytes = state.sizeBytes;
    this.readsZero = state.readsZero;
  }

  async *dataExtents(range: Extent, signal?: AbortSignal): AsyncIterable<Extent> {
    const { file, calls, isDevice, sizeBytes, path } = this.#state;
    const wanted = intersectExtents(range, { offsetBytes: 0, lengthBytes: sizeBytes });
    if (!wanted) return;
    if (isDevice) return yield wanted;
    const extents = findDataExtents(file.fd, wanted, calls, signal)[Symbol.asyncIterator]();
    for (;;) {
      const next = await onVolume(path, () => extents.next());
      if (next.done) return;
      yield next.value;
    }
  }

  async findChanges(baseline: Baseline, options: FindChangesOptions, signal?: AbortSignal): Promise<FoundChanges> {
    const { file, snapshots, calls, keepsBaselines, isDevice, sizeBytes, path } = this.#state;
    if (isDevice || !keepsBaselines) return { isKnown: false, reason: 'no snapshot is kept of the disk' };
    return await onVolume(path, () => {
      return findChangesSince(baseline, { file, sizeBytes }, { snapshots, calls }, options, signal);
    });
  }

  async writeBack(): Promise<void> {
    const { file, path } = this.#state;
    await onVolume(path, () => file.datasync());
    await this.dropCache();
  }

  async dropCache(): Promise<void> {
    await this.#state.calls.dropCache(this.#state.file.fd);
  }

  async sync(): Promise<void> {
    const { file, path, ino, dev } = this.#state;
    await onVolume(path, async () => {
      // The worker threads wrote through descriptors of their own. This one was open before them, so an error of
      // writing any of it back is reported here.
      await file.sync();
      const named = await stat(path, { bigint: true });
      if (named.ino === ino && named.dev === dev) return;
      throw new VbsError('VOLUME_CHANGED', { source: path, reason: 'another file took its name' });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await onVolume(this.#state.path, () => this.#state.file.close());
  }
}
