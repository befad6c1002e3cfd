// Disks that are raw image files, or block devices: those that we make are files of one folder, those that are adopted
// stay where they are. An adopted disk is never deleted, and written only by a restore.
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { type FileHandle, open, stat, statfs, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { errnoOf } from '../core/errno.ts';
import { isVbsError, VbsError } from '../core/errors.ts';
import { isUuid, type SnapshotId, type VolumeId } from '../core/ids.ts';
import type { Clock, Logger } from '../core/ports.ts';
import { identityOf, listAdoptable } from './adoptable-disks.ts';
import { removeBaselineSnapshot } from './baseline-snapshots.ts';
import { createFile, ignoreMissing, makeFolder, setSize, syncFolder } from './disk-files.ts';
import { openFileSource } from './file-source.ts';
import { openFileTarget } from './file-target.ts';
import { lockImage } from './image-lock.ts';
import { ImageSnapshots } from './image-snapshots.ts';
import type { CopyControl, DriverSnapshot, FreezeOptions, RevertControl, SnapshotRef } from './snapshot-driver.ts';
import { loadSystemCalls, type SystemCalls, systemCallsFailure } from './system-calls.ts';
import type {
  AdoptableEntry,
  Baseline,
  DriverCapabilities,
  DriverRoom,
  DriverVolume,
  OpenSourceOptions,
  VolumeDriver,
  VolumeRef,
  VolumeSource,
  VolumeTarget,
} from './volume.ts';
import { onVolume } from './volume-error.ts';
import { checkAdoptedSize, findAdoptable, locateAdopted, type PermittedPaths } from './volume-paths.ts';
import { type LocatedDisk, VolumeSnapshots } from './volume-snapshots.ts';

export type FileDriverDeps = {
  /** Where the disks that we make are; made when missing. Nothing in it can be adopted. */
  readonly folder: string;
  /** Folders from which disks may be adopted. */
  readonly roots: readonly string[];
  /** Further folders from which nothing can be adopted, such as the data folder of the service. */
  readonly excluded?: readonly string[];
  /** Absent: /dev. */
  readonly deviceFolder?: string;
  /** Keep the last snapshot of every disk, so that the next backup reads only what changed. Absent: yes. */
  readonly keepsBaselines?: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Absent: those of this machine. */
  readonly systemCalls?: SystemCalls;
};

export class FileDriver implements VolumeDriver {
  readonly name = 'file';
  readonly #folder: string;
  readonly #permitted: PermittedPaths;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #calls: SystemCalls;
  readonly #snapshots: ImageSnapshots;
  readonly #kept: VolumeSnapshots;
  readonly #keepsBaselines: boolean;
  #hasWarned = false;

  constructor(deps: FileDriverDeps) {
    this.#folder = resolve(deps.folder);
    const { roots, excluded = [], deviceFolder = '/dev' } = deps;
    this.#permitted = { roots, excluded: [this.#folder, ...excluded], deviceFolder };
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#calls = deps.systemCalls ?? loadSystemCalls();
    this.#snapshots = new ImageSnapshots({ folder: join(this.#folder, 'snapshots'), calls: this.#calls });
    this.#kept = new VolumeSnapshots({
      folder: join(this.#folder, 'kept-snapshots'),
      calls: this.#calls,
      now: () => this.#clock.now(),
      onUnguarded: (path) => this.#warnUnguarded(path),
    });
    this.#keepsBaselines = deps.keepsBaselines ?? true;
    const failure = systemCallsFailure();
    if (failure) this.#logger.warn({ failure }, 'system calls cannot be used: images are read whole and without locks');
  }

  async capabilities(volume: VolumeRef): Promise<DriverCapabilities> {
    return await onVolume(volume.source, async () => {
      const isImage = (await stat(await this.#locate(volume))).isFile();
      const hasSnapshots = isImage && (await this.#snapshots.canClone()) && (await this.#isOnOurFileSystem(volume));
      return { hasSnapshots, hasChangedExtents: hasSnapshots && this.#keepsBaselines, canResize: isImage };
    });
  }

  async create(volumeId: VolumeId, sizeBytes: number, signal?: AbortSignal): Promise<DriverVolume> {
    assert(Number.isSafeInteger(sizeBytes) && sizeBytes > 0, `volume of ${sizeBytes} bytes`);
    signal?.throwIfAborted();
    const path = this.#ownPath(volumeId);
    return await onVolume(path, async () => {
      await makeFolder(this.#folder);
      const file = await createFile(path).catch((cause: unknown) => {
        throw errnoOf(cause) === 'EEXIST' ? new VbsError('VOLUME_EXISTS', { volumeId }, { cause }) : cause;
      });
      try {
        await setSize(file, sizeBytes);
        await syncFolder(this.#folder);
      } catch (error) {
        await unlink(path);
        throw error;
      } finally {
        await file.close();
      }
      return { source: path, sizeBytes };
    });
  }

  async adopt(reference: string): Promise<DriverVolume> {
    const { source, path, imageBytes } = await findAdoptable(reference, this.#permitted);
    const sizeBytes = imageBytes ?? (await this.#measureDevice(path, reference));
    checkAdoptedSize(sizeBytes, reference);
    return { source, sizeBytes };
  }

  async identify(volume: VolumeRef): Promise<string | undefined> {
    try {
      return await onVolume(volume.source, async () => {
        return identityOf(await stat(await this.#locate(volume), { bigint: true }));
      });
    } catch (error) {
      if (isVbsError(error, 'VOLUME_UNAVAILABLE')) return undefined;
      throw error;
    }
  }

  async measure(volume: VolumeRef): Promise<number> {
    return await onVolume(volume.source, async () => {
      const path = await this.#locate(volume);
      const stats = await stat(path);
      return stats.isFile() ? stats.size : await this.#measureDevice(path, volume.source);
    });
  }

  async locate(volume: VolumeRef): Promise<string> {
    return await onVolume(volume.source, () => this.#locate(volume));
  }

  async measureRoom(): Promise<DriverRoom> {
    return await onVolume(this.#folder, async () => {
      await makeFolder(this.#folder);
      const { bsize, blocks, bavail } = await statfs(this.#folder);
      return { totalBytes: bsize * blocks, freeBytes: bsize * bavail };
    });
  }

  async listAdoptable(signal?: AbortSignal): Promise<AdoptableEntry[]> {
    return await listAdoptable(this.#permitted, (reference) => this.adopt(reference), signal);
  }

  async resize(volume: VolumeRef, sizeBytes: number): Promise<DriverVolume> {
    return await onVolume(volume.source, async () => {
      const path = await this.#locate(volume);
      if (!(await stat(path)).isFile()) throw sizeInvalid('a block device cannot be resized from here');
      const file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
      try {
        this.#lockForWriting(file, path);
        const { size: actualBytes } = await file.stat();
        if (sizeBytes < actualBytes) throw sizeInvalid(`the disk has ${actualBytes} bytes and cannot shrink`);
        await setSize(file, sizeBytes);
      } finally {
        await file.close();
      }
      return { source: volume.source, sizeBytes };
    });
  }

  async delete(volume: VolumeRef): Promise<void> {
    if (volume.isAdopted) return;
    const path = this.#ownPath(volume.volumeId);
    await onVolume(path, async () => {
      try {
        const file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
        try {
          // Not under the feet of a QEMU that uses it.
          this.#lockForWriting(file, path);
          await unlink(path);
        } finally {
          await file.close();
        }
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw error;
      }
      // Also when it was gone: the call before may have failed just here.
      await syncFolder(this.#folder).catch(ignoreMissing);
    });
  }

  async openSource(volume: VolumeRef, options: OpenSourceOptions, signal?: AbortSignal): Promise<VolumeSource> {
    const path = await onVolume(volume.source, () => this.#locate(volume));
    const shared = this.#diskDeps(path);
    const now = () => this.#clock.now();
    return await openFileSource({ ...shared, path, sizeBytes: volume.sizeBytes, now }, options, signal);
  }

  async openTarget(
    volume: VolumeRef,
    options: { readonly isFresh: boolean },
    signal?: AbortSignal,
  ): Promise<VolumeTarget> {
    const path = await onVolume(volume.source, () => this.#locate(volume));
    const isFresh = options.isFresh && !volume.isAdopted;
    return await openFileTarget({ ...this.#diskDeps(path), path, sizeBytes: volume.sizeBytes, isFresh }, signal);
  }

  async removeStaleSnapshots(_volume: VolumeRef, snapshotId: SnapshotId, attempt: number): Promise<void> {
    await onVolume(this.#folder, () => this.#snapshots.removeStale(snapshotId, attempt));
  }

  async takeSnapshot(
    volume: VolumeRef,
    snapshotId: SnapshotId,
    options: FreezeOptions,
    control: CopyControl,
  ): Promise<DriverSnapshot> {
    return await this.#kept.take(await this.#locateDisk(volume), snapshotId, options, control);
  }

  async removeSnapshot(snapshotId: SnapshotId): Promise<void> {
    await this.#kept.remove(snapshotId);
  }

  async openSnapshotSource(snapshot: SnapshotRef, signal?: AbortSignal): Promise<VolumeSource> {
    return await this.#kept.openSource(snapshot, signal);
  }

  async createFromSnapshot(
    volumeId: VolumeId,
    sizeBytes: number,
    snapshot: SnapshotRef,
    control: CopyControl,
  ): Promise<DriverVolume> {
    return await this.#createCopy(volumeId, sizeBytes, (path) =>
      this.#kept.copyToNew(path, sizeBytes, snapshot, control),
    );
  }

  async createFromVolume(
    volumeId: VolumeId,
    sizeBytes: number,
    source: VolumeRef,
    options: FreezeOptions,
    control: CopyControl,
  ): Promise<DriverVolume> {
    const disk = await this.#locateDisk(source);
    return await this.#createCopy(volumeId, sizeBytes, (path) =>
      this.#kept.cloneToNew(path, sizeBytes, disk, options, control),
    );
  }

  async revertVolume(volume: VolumeRef, snapshot: SnapshotRef, control: RevertControl): Promise<void> {
    await this.#kept.revert(await this.#locateDisk(volume), snapshot, control);
  }

  async #createCopy(
    volumeId: VolumeId,
    sizeBytes: number,
    fill: (path: string) => Promise<void>,
  ): Promise<DriverVolume> {
    const path = this.#ownPath(volumeId);
    return await onVolume(path, async () => {
      await makeFolder(this.#folder);
      await fill(path).catch((cause: unknown) => {
        throw errnoOf(cause) === 'EEXIST' ? new VbsError('VOLUME_EXISTS', { volumeId }, { cause }) : cause;
      });
      return { source: path, sizeBytes };
    });
  }

  async #locateDisk(volume: VolumeRef): Promise<LocatedDisk> {
    const path = await onVolume(volume.source, () => this.#locate(volume));
    return { path, sizeBytes: volume.sizeBytes };
  }

  async removeBaseline(baseline: Baseline): Promise<void> {
    await onVolume(this.#folder, () => removeBaselineSnapshot(baseline, this.#snapshots));
  }

  #diskDeps(path: string) {
    return {
      snapshots: this.#snapshots,
      keepsBaselines: this.#keepsBaselines,
      calls: this.#calls,
      onUnguarded: () => this.#warnUnguarded(path),
    };
  }

  /** The path, free of symbolic links, of a disk that exists. Our own move with our folder, whatever the row says. */
  async #locate(volume: VolumeRef): Promise<string> {
    if (volume.isAdopted) return await locateAdopted(volume.source, this.#permitted);
    return this.#ownPath(volume.volumeId);
  }

  #ownPath(volumeId: VolumeId): string {
    assert(isUuid(volumeId), `volume id ${volumeId}`);
    return join(this.#folder, `${volumeId}.raw`);
  }

  async #isOnOurFileSystem(volume: VolumeRef): Promise<boolean> {
    const [disk, folder] = await Promise.all([stat(await this.#locate(volume)), stat(this.#folder)]);
    return disk.dev === folder.dev;
  }

  async #measureDevice(path: string, reference: string): Promise<number> {
    const sizeBytes = await onVolume(path, async () => {
      const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        return this.#calls.blockDeviceSize(file.fd);
      } finally {
        await file.close();
      }
    });
    if (sizeBytes !== undefined) return sizeBytes;
    const reason = `the size of a block device cannot be told here (${systemCallsFailure() ?? 'unknown'})`;
    throw new VbsError('VOLUME_REFERENCE_INVALID', { reference, reason });
  }

  #lockForWriting(file: FileHandle, path: string): void {
    if (!lockImage(file.fd, path, 'write', this.#calls)) this.#warnUnguarded(path);
  }

  #warnUnguarded(path: string): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#logger.warn({ path }, 'byte locks do not work here: a QEMU that uses the image would not be noticed');
  }
}

function sizeInvalid(reason: string): VbsError {
  return new VbsError('VOLUME_SIZE_INVALID', { reason });
}
