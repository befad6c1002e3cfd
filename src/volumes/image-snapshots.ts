// Point-in-time copies of images that share their blocks with the image (reflinks of XFS, btrfs and others).
// A snapshot is named by its id and by the attempt that made it, and each attempt removes only its own.
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../core/errno.ts';
import type { SnapshotId } from '../core/ids.ts';
import type { SystemCalls } from './system-calls.ts';

const FOLDER_MODE = 0o700;
const READ_ONLY_MODE = 0o400;
const CREATE_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const FILE_MODE = 0o600;
const PROBE_PREFIX = '.probe-';
const SNAPSHOT_NAME = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.\d{1,15}\.raw$/;

export type Snapshot = { readonly path: string; readonly name: string; remove(): Promise<void> };

/** What reading and writing a disk asks of its snapshots. */
export type DiskSnapshots = Pick<ImageSnapshots, 'take' | 'pathOf'>;

export class ImageSnapshots {
  readonly #folder: string;
  readonly #calls: SystemCalls;
  #canClone: Promise<boolean> | undefined;

  constructor(deps: { readonly folder: string; readonly calls: SystemCalls }) {
    this.#folder = deps.folder;
    this.#calls = deps.calls;
  }

  /**
   * Freezes the image open as `image` in one step; undefined where it cannot share blocks with our folder. Where that
   * can be done nobody, root included, can change the snapshot. The caller removes it.
   */
  async take(image: FileHandle, snapshotId: SnapshotId, attempt: number): Promise<Snapshot | undefined> {
    if (!this.#calls.isNative) return undefined;
    await mkdir(this.#folder, { recursive: true, mode: FOLDER_MODE });
    const name = snapshotName(snapshotId, attempt);
    const path = join(this.#folder, name);
    const remove = () => this.#remove(path);
    // An attempt has its number once, so what has this name was left by a process that died in it.
    await remove();
    const copy = await open(path, CREATE_FLAGS, FILE_MODE);
    let isTaken = false;
    try {
      isTaken = await this.#calls.cloneFile(image.fd, copy.fd);
      if (isTaken) {
        await copy.chmod(READ_ONLY_MODE);
        this.#calls.setImmutable(copy.fd, true);
      }
    } finally {
      await copy.close();
      if (!isTaken) await remove();
    }
    return isTaken ? { path, name, remove } : undefined;
  }

  /** Where the snapshot of this name is or was; undefined for what cannot be the name of one. */
  pathOf(name: string): string | undefined {
    return SNAPSHOT_NAME.test(name) ? join(this.#folder, name) : undefined;
  }

  /** Removes a snapshot by its name. Harmless twice. */
  async removeByName(name: string): Promise<void> {
    const path = this.pathOf(name);
    if (path !== undefined) await this.#remove(path);
  }

  /** Removes what attempts before `attempt` left. */
  async removeStale(snapshotId: SnapshotId, attempt: number): Promise<void> {
    const names = await readdir(this.#folder).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return [];
      throw error;
    });
    for (const name of names) {
      const staleAttempt = attemptOf(name, snapshotId);
      if (staleAttempt !== undefined && staleAttempt < attempt) await this.#remove(join(this.#folder, name));
    }
  }

  /**
   * Whether files of our folder can share blocks; found out once. Images elsewhere may or may not share blocks with it,
   * which only `take` can tell.
   */
  canClone(): Promise<boolean> {
    this.#canClone ??= this.#probe().catch((error: unknown) => {
      this.#canClone = undefined;
      throw error;
    });
    return this.#canClone;
  }

  async #remove(path: string): Promise<void> {
    try {
      await unlinkIfThere(path);
    } catch (error) {
      if (errnoOf(error) !== 'EPERM') throw error;
      await this.#makeMutable(path);
      await unlinkIfThere(path);
    }
  }

  async #makeMutable(path: string): Promise<void> {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      this.#calls.setImmutable(file.fd, false);
    } finally {
      await file.close();
    }
  }

  async #probe(): Promise<boolean> {
    if (!this.#calls.isNative) return false;
    await mkdir(this.#folder, { recursive: true, mode: FOLDER_MODE });
    const paths = ['a', 'b'].map((suffix) => join(this.#folder, `${PROBE_PREFIX}${process.pid}-${suffix}`));
    const files: FileHandle[] = [];
    try {
      for (const path of paths) files.push(await open(path, 'w+', FILE_MODE));
      const [from, to] = files;
      return from !== undefined && to !== undefined && (await this.#calls.cloneFile(from.fd, to.fd));
    } finally {
      for (const file of files) await file.close();
      for (const path of paths) await unlinkIfThere(path);
    }
  }
}

function snapshotName(snapshotId: SnapshotId, attempt: number): string {
  return `${snapshotId}.${attempt}.raw`;
}

/** The attempt in the name of a snapshot of `snapshotId`; undefined for anything else. */
function attemptOf(name: string, snapshotId: SnapshotId): number | undefined {
  const digits =
    name.startsWith(`${snapshotId}.`) && name.endsWith('.raw') ? name.slice(snapshotId.length + 1, -4) : '';
  return /^\d+$/.test(digits) ? Number(digits) : undefined;
}

async function unlinkIfThere(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error;
  });
}
