// Makes folders such that they are there after a power loss: each is followed by an fsync of the folder that lists it.
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from '../core/errno.ts';
import { STORE_KNOWN_FOLDER_MAX } from '../core/limits.ts';
import { syncFolder } from './file-io.ts';

/** Private to the user that runs the service: names of objects tell of projects and backups. */
const FOLDER_MODE = 0o700;

export class DurableFolders {
  readonly #root: string;
  /**
   * Folders seen to durably, or about to be. Also those that were there already are seen to once, because the process
   * that made them may have died before its fsync; and whoever meets one that is only being made waits for its fsync.
   */
  readonly #known = new Map<string, Promise<void>>();

  /** `root` is an absolute path; it is made with the folders above it when missing. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Makes `path`, the root or a folder below it, and everything above it. */
  ensure(path: string): Promise<void> {
    const known = this.#known.get(path);
    if (known) return known;
    const made = path === this.#root ? makeRoot(path) : this.#make(path);
    this.#known.set(path, made);
    // A failure is told to everyone who waits, and the next one tries again.
    made.catch(() => this.#known.delete(path));
    this.#forgetOldest();
    return made;
  }

  /** Looks at `path` and the folders above it again next time: somebody removed one. */
  forget(path: string): void {
    for (const known of [...this.#known.keys()]) {
      if (path === known || path.startsWith(`${known}/`)) this.#known.delete(known);
    }
  }

  #forgetOldest(): void {
    // What is forgotten costs an fsync when it is met again.
    const [oldest] = this.#known.keys();
    if (oldest !== undefined && this.#known.size > STORE_KNOWN_FOLDER_MAX) this.#known.delete(oldest);
  }

  async #make(path: string): Promise<void> {
    await this.ensure(dirname(path));
    try {
      await mkdir(path, FOLDER_MODE);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    await syncFolder(dirname(path));
  }
}

async function makeRoot(path: string): Promise<void> {
  const firstMade = await mkdir(path, { recursive: true, mode: FOLDER_MODE });
  if (firstMade === undefined) return await syncIfReadable(dirname(path));
  for (let made = path; made.length >= firstMade.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** The folder above a root that somebody else made need not be readable to us. */
async function syncIfReadable(path: string): Promise<void> {
  try {
    await syncFolder(path);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== 'EACCES' && errno !== 'EPERM') throw error;
  }
}
