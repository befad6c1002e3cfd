// One object of a folder store while it is written: a temporary file until `commit` links it to its name.
// A failed fsync condemns the file: the kernel may have dropped the pages it could not write and report success the
// second time, so the file is thrown away and never synced again.
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { link, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MIB } from '../core/bytes.ts';
import { errnoOf } from '../core/errno.ts';
import { VbsError } from '../core/errors.ts';
import type { DurableFolders } from './durable-folders.ts';
import { closeFile, openFile, syncFile, syncFolder, unlinkIfThere, writeFully } from './file-io.ts';
import type { ObjectName, ObjectWriter } from './object-store.ts';
import { isMissing, onObject } from './storage-error.ts';

type FileWriterDeps = {
  readonly name: ObjectName;
  readonly path: string;
  readonly temporaryPath: string;
  readonly folders: DurableFolders;
  readonly signal: AbortSignal | undefined;
  /** Has the system forget what it keeps in memory of a file; called when the medium has all of it. */
  readonly dropCache: (fd: number) => Promise<void>;
  /** Called once, when the temporary file is gone. */
  readonly onEnd: () => void;
};

const FILE_MODE = 0o600;
/** What is smaller, records and keys, is read again soon and takes little memory. */
const LARGE_OBJECT_BYTES = MIB;

export class FileWriter implements ObjectWriter {
  readonly #deps: FileWriterDeps;
  readonly #fd: number;
  #sizeBytes = 0;
  readonly #pending = new Set<Promise<void>>();
  /** `failed`: nothing but `abort` is possible any more. */
  #state: 'open' | 'failed' | 'ended' = 'open';
  #isFileOpen = true;

  /** Makes the temporary file. */
  static async open(deps: FileWriterDeps): Promise<FileWriter> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const folder = dirname(deps.temporaryPath);
    await deps.folders.ensure(folder);
    try {
      return new FileWriter(deps, await openFile(deps.temporaryPath, flags, FILE_MODE));
    } catch (error) {
      if (!isMissing(error)) throw error;
      // Somebody cleared the store while we run; what they removed is made again.
      deps.folders.forget(folder);
      await deps.folders.ensure(folder);
      return new FileWriter(deps, await openFile(deps.temporaryPath, flags, FILE_MODE));
    }
  }

  private constructor(deps: FileWriterDeps, fd: number) {
    this.#deps = deps;
    this.#fd = fd;
  }

  async write(bytes: Uint8Array): Promise<void> {
    const offsetBytes = this.#sizeBytes;
    this.#sizeBytes += bytes.byteLength;
    const written = this.#step(() => writeFully(this.#fd, bytes, offsetBytes));
    this.#pending.add(written);
    try {
      await written;
    } finally {
      this.#pending.delete(written);
    }
  }

  /** @throws OBJECT_EXISTS, STORAGE_FULL, STORAGE_IO; nothing is visible then, and `abort` has been done */
  async commit(): Promise<void> {
    await this.#finish(async ({ path, temporaryPath, name }) => {
      try {
        await link(temporaryPath, path);
      } catch (error) {
        if (errnoOf(error) === 'EEXIST') throw new VbsError('OBJECT_EXISTS', { object: name }, { cause: error });
        throw error;
      }
      try {
        await unlink(temporaryPath);
        await syncFolder(dirname(path));
      } catch (error) {
        // The name is ours, `link` has just made it: what may not last must not be seen.
        await unlink(path);
        throw error;
      }
    });
  }

  /** Like `commit`, but takes the place of an object that is there. */
  async commitReplacing(): Promise<void> {
    await this.#finish(async ({ path, temporaryPath }) => {
      await rename(temporaryPath, path);
      await syncFolder(dirname(path));
    });
  }

  async abort(): Promise<void> {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    // A descriptor closed under a write that is still under way could lead that write into another file.
    await Promise.allSettled(this.#pending);
    try {
      await onObject(this.#deps.name, async () => {
        await this.#closeOnce();
        await unlinkIfThere(this.#deps.temporaryPath);
      });
    } finally {
      this.#deps.onEnd();
    }
  }

  async #finish(publish: (deps: FileWriterDeps) => Promise<void>): Promise<void> {
    assert.equal(this.#pending.size, 0, `commit of ${this.#deps.name} while it is written`);
    const { path, folders, signal, dropCache } = this.#deps;
    try {
      await this.#step(async () => {
        await syncFile(this.#fd);
        if (this.#sizeBytes >= LARGE_OBJECT_BYTES) await dropCache(this.#fd);
        await this.#closeOnce();
        await folders.ensure(dirname(path));
        signal?.throwIfAborted();
        await publish(this.#deps);
      });
    } catch (error) {
      if (error instanceof VbsError && isMissing(error.cause)) folders.forget(dirname(path));
      // The first failure is the one to tell; what cannot be removed now is a leftover of the next start.
      await this.abort().catch(() => undefined);
      throw error;
    }
    this.#state = 'ended';
    this.#deps.onEnd();
  }

  async #step(work: () => Promise<void>): Promise<void> {
    assert.equal(this.#state, 'open', `writer of ${this.#deps.name} is ${this.#state}`);
    this.#deps.signal?.throwIfAborted();
    try {
      await onObject(this.#deps.name, work);
    } catch (error) {
      this.#state = 'failed';
      throw error;
    }
  }

  async #closeOnce(): Promise<void> {
    if (!this.#isFileOpen) return;
    // Never closed twice, not even after an error: the number may belong to another file by then.
    this.#isFileOpen = false;
    await closeFile(this.#fd);
  }
}
