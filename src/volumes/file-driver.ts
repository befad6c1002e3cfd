// Disks that are raw image files, or block devices: those that we make are files of one folder, those that are adopted
// stay where they are. An adopted disk is never deleted, and written only by a restore.
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { errnoOf } from '../core/errno.ts';
import { isVbsError, VbsError } from '../core/errors.ts';
import { isUuid, type SnapshotId, type VolumeId } from '../core/ids.ts';
import type { Clock, Logger } from '../core/ports.ts';
import { openFileSource } from './file-source.ts';
import { openFileTarget } from './file-target.ts';
import { lockImage } from './image-lock.ts';
import { ImageSnapshots } from './image-snapshots.ts';
import { loadSystemCalls, type SystemCalls, systemCallsFailure } from './system-calls.ts';
import type {
  DriverCapabilities,
  DriverVolume,
  OpenSourceOptions,
  VolumeDriver,
  VolumeRef,
  VolumeSource,
  VolumeTarget,
} from './volume.ts';
import { onVolume } from './volume-error.ts';
import { checkAdoptedSize, findAdoptable, locateAdopted, type PermittedPaths } from './volume-paths.ts';

export type FileDriverDeps = {
  /** Where the disks that we make are; made when missing. Nothing in it can be adopted. */
  readonly folder: string;
  /** Folders from which disks may be adopted. */
  readonly roots: readonly string[];
  /** Further folders from which nothing can be adopted, such as the data folder of the service. */
  readonly excluded?: readonly string[];
  /** Absent: /dev. */
  readonly deviceFolder?: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Absent: those of this machine. */
  readonly systemCalls?: SystemCalls;
};

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const CREATE_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

export class FileDriver implements VolumeDriver {
  readonly name = 'file';
  readonly #folder: string;
  readonly #permitted: PermittedPaths;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #calls: SystemCalls;
  readonly #snapshots: ImageSnapshots;
  #hasWarned = false;

  constructor(deps: FileDriverDeps) {
    this.#folder = resolve(deps.folder);
    const { roots, excluded = [], deviceFolder = '/dev' } = deps;
    this.#permitted = { roots, excluded: [this.#folder, ...excluded], deviceFolder };
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#calls = deps.systemCalls ?? loadSystemCalls();
    this.#snapshots = new ImageSnapshots({ folder: join(this.#folder, 'snapshots'), calls: this.#calls });
    const failure = systemCallsFailure();
    if (failure) this.#logger.warn({ failure }, 'system calls cannot be used: images are read whole and without locks');
  }

  async capabilities(volume: VolumeRef): Promise<DriverCapabilities> {
    return await onVolume(volume.source, async () => {
      const isImage = (await stat(await this.#locate(volume))).isFile();
      const hasSnapshots = isImage && (await this.#snapshots.canClone()) && (await this.#isOnOurFileSystem(volume));
      return { hasSnapshots, hasChangedExtents: false, canResize: isImage };
    });
  }

  async create(volumeId: VolumeId, sizeBytes: number, signal?: AbortSignal): Promise<DriverVolume> {
    assert(Number.isSafeInteger(sizeBytes) && sizeBytes > 0, `volume of ${sizeBytes} bytes`);
    signal?.throwIfAborted();
    const path = this.#ownPath(volumeId);
    return await onVolume(path, async () => {
      await makeFolder(this.#folder);
      const file = await open(path, CREATE_FLAGS, FILE_MODE).catch((cause: unknown) => {
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
        const stats = await stat(await this.#locate(volume), { bigint: true });
        return stats.isBlockDevice() ? `device ${stats.rdev}` : `file ${stats.dev} ${stats.ino}`;
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
      await syncFolder(this.#folder).catch((error: unknown) => {
        if (errnoOf(error) !== 'ENOENT') throw error;
      });
    });
  }

  async openSource(volume: VolumeRef, options: OpenSourceOptions, signal?: AbortSignal): Promise<VolumeSource> {
    const path = await onVolume(volume.source, () => this.#locate(volume));
    const shared = { snapshots: this.#snapshots, calls: this.#calls, onUnguarded: () => this.#warnUnguarded(path) };
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
    const shared = { calls: this.#calls, onUnguarded: () => this.#warnUnguarded(path) };
    return await openFileTarget({ ...shared, path, sizeBytes: volume.sizeBytes, isFresh }, signal);
  }

  async removeStaleSnapshots(_volume: VolumeRef, snapshotId: SnapshotId, attempt: number): Promise<void> {
    await onVolume(this.#folder, () => this.#snapshots.removeStale(snapshotId, attempt));
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

/** Sets the size of an image, durably; what is new reads zero. */
async function setSize(file: FileHandle, sizeBytes: number): Promise<void> {
  await file.truncate(sizeBytes);
  await file.sync();
}

async function makeFolder(path: string): Promise<void> {
  const firstMade = await mkdir(path, { recursive: true, mode: FOLDER_MODE });
  if (firstMade === undefined) return;
  for (let made = path; made.length >= firstMade.length; made = dirname(made)) await syncFolder(dirname(made));
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
