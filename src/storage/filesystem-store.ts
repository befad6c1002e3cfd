// Objects as files of a folder, durable as docs/repository-format.md says: an object is written to a temporary file,
// fsynced, and only then linked to its name, which never replaces anything; every folder on the way is fsynced. Nothing
// here blocks the event loop. What must not happen: reporting as stored what a power loss can take back.
import { randomUUID } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { VbsError } from '../core/errors.ts';
import { STORE_OPEN_FILE_MAX, STORE_SMALL_OPERATION_MAX } from '../core/limits.ts';
import { DurableFolders } from './durable-folders.ts';
import { closeFile, readFully, syncFile, syncFolder, unlinkIfThere } from './file-io.ts';
import { FileWriter } from './file-writer.ts';
import { checkByteRange, checkObjectName, checkPrefix, isObjectNameSegment } from './object-name.ts';
import type { ObjectInfo, ObjectName, ObjectStore, ObjectWriter } from './object-store.ts';
import { type OpenFile, OpenFiles, openRegularFile } from './open-files.ts';
import { isMissing, onExistingObject, onObject } from './storage-error.ts';

/** Below the root; no object name begins with a dot. */
const TEMPORARY_FOLDER = '.tmp';

export class FilesystemStore implements ObjectStore {
  readonly #root: string;
  readonly #folders: DurableFolders;
  readonly #openFiles = new OpenFiles(STORE_OPEN_FILE_MAX);
  readonly #temporaryPaths = new Set<string>();
  readonly #dropCache: (fd: number) => Promise<void>;

  /**
   * `root` is made when it is missing, at the first object. Of large objects nothing is kept in memory once they are
   * stored, if `dropCache` can do that: a backup should not push out what other programs use.
   */
  constructor(deps: { readonly root: string; readonly dropCache?: (fd: number) => Promise<void> }) {
    this.#root = resolve(deps.root);
    this.#dropCache = deps.dropCache ?? (async () => undefined);
    this.#folders = new DurableFolders(this.#root);
  }

  async create(name: ObjectName, signal?: AbortSignal): Promise<ObjectWriter> {
    return await this.#openWriter(name, signal);
  }

  async put(name: ObjectName, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.#writeWhole(name, bytes, signal, (writer) => writer.commit());
  }

  async replace(name: ObjectName, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const path = this.pathOf(name);
    await this.#writeWhole(name, bytes, signal, (writer) => writer.commitReplacing());
    await this.#openFiles.drop(path);
  }

  async get(name: ObjectName, maxBytes: number, signal?: AbortSignal): Promise<Buffer> {
    const path = this.pathOf(name);
    signal?.throwIfAborted();
    // Always opened anew: this is how objects that another process may have replaced (the epoch, keys) are read.
    return await onExistingObject(name, async () => {
      const { fd, sizeBytes } = await openRegularFile(path);
      try {
        if (sizeBytes > maxBytes) throw tooLarge(name, sizeBytes, maxBytes);
        return await readFully(fd, 0, sizeBytes);
      } finally {
        await closeFile(fd);
      }
    });
  }

  async readRange(name: ObjectName, offsetBytes: number, lengthBytes: number, signal?: AbortSignal): Promise<Buffer> {
    checkByteRange(offsetBytes, lengthBytes);
    return await this.#read(name, signal, ({ fd, sizeBytes }) =>
      readFully(fd, offsetBytes, Math.min(lengthBytes, Math.max(0, sizeBytes - offsetBytes))),
    );
  }

  async readSuffix(
    name: ObjectName,
    lengthBytes: number,
    signal?: AbortSignal,
  ): Promise<{ bytes: Buffer; sizeBytes: number }> {
    checkByteRange(0, lengthBytes);
    return await this.#read(name, signal, async ({ fd, sizeBytes }) => {
      const wantedBytes = Math.min(lengthBytes, sizeBytes);
      return { bytes: await readFully(fd, sizeBytes - wantedBytes, wantedBytes), sizeBytes };
    });
  }

  async head(name: ObjectName, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    const path = this.pathOf(name);
    signal?.throwIfAborted();
    return await onObject(name, () => statObject(path, name));
  }

  async ensureDurable(name: ObjectName, signal?: AbortSignal): Promise<void> {
    const path = this.pathOf(name);
    signal?.throwIfAborted();
    await onExistingObject(name, async () => {
      const { fd } = await openRegularFile(path);
      try {
        await syncFile(fd);
      } finally {
        await closeFile(fd);
      }
      // Of the folders above, those that this process has not seen to yet.
      await this.#folders.ensure(dirname(path));
      await syncFolder(dirname(path));
    });
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncIterable<ObjectInfo> {
    checkPrefix(prefix);
    const entries = await this.#readFolder(prefix, signal);
    for (let start = 0; start < entries.length; ) {
      const entry = entries[start];
      if (entry?.isDirectory()) {
        yield* this.list(`${prefix}${entry.name}/`, signal);
        start += 1;
        continue;
      }
      const run = takeFiles(entries, start);
      start += run.length;
      signal?.throwIfAborted();
      for (const info of await Promise.all(run.map((file) => this.head(`${prefix}${file.name}`, signal)))) {
        if (info) yield info;
      }
    }
  }

  async delete(names: readonly ObjectName[], signal?: AbortSignal): Promise<void> {
    const paths = names.map((name) => this.pathOf(name));
    for (let start = 0; start < names.length; start += STORE_SMALL_OPERATION_MAX) {
      signal?.throwIfAborted();
      const batch = names.slice(start, start + STORE_SMALL_OPERATION_MAX);
      await Promise.all(batch.map((name, index) => this.#deleteOne(name, paths[start + index] ?? '')));
    }
    const folders = new Map(names.map((name, index) => [dirname(paths[index] ?? ''), name]));
    // Also for files that were gone already: an earlier call may have failed between the deletion and this.
    for (const [folder, name] of folders) await onObject(name, () => syncIfThere(folder));
  }

  /**
   * Removes temporary files that a process that died left behind; returns their number. Only for the process that owns
   * the folder: another one's unfinished objects would go too.
   */
  async removeLeftovers(): Promise<number> {
    const folder = join(this.#root, TEMPORARY_FOLDER);
    return await onObject(`${TEMPORARY_FOLDER}/`, async () => {
      const names = await readdir(folder).catch(emptyIfMissing);
      const leftovers = names.map((name) => join(folder, name)).filter((path) => !this.#temporaryPaths.has(path));
      for (const path of leftovers) await unlinkIfThere(path);
      return leftovers.length;
    });
  }

  /** Where an object's file is, for diagnosis and tests. */
  pathOf(name: ObjectName): string {
    checkObjectName(name);
    return join(this.#root, name);
  }

  /** Closes the files kept open for reading. The store can be used on, it opens them again. */
  async close(): Promise<void> {
    await this.#openFiles.close();
  }

  async #openWriter(name: ObjectName, signal: AbortSignal | undefined): Promise<FileWriter> {
    const path = this.pathOf(name);
    signal?.throwIfAborted();
    const temporaryPath = join(this.#root, TEMPORARY_FOLDER, randomUUID());
    const deps = { name, path, temporaryPath, folders: this.#folders, signal, dropCache: this.#dropCache };
    // Entered before the file exists, so that `removeLeftovers` never takes it.
    this.#temporaryPaths.add(temporaryPath);
    const onEnd = () => this.#temporaryPaths.delete(temporaryPath);
    try {
      return await onObject(name, () => FileWriter.open({ ...deps, onEnd }));
    } catch (error) {
      onEnd();
      throw error;
    }
  }

  async #writeWhole(
    name: ObjectName,
    bytes: Uint8Array,
    signal: AbortSignal | undefined,
    commit: (writer: FileWriter) => Promise<void>,
  ): Promise<void> {
    const writer = await this.#openWriter(name, signal);
    try {
      await writer.write(bytes);
      await commit(writer);
    } catch (error) {
      // The first failure is the one to tell; what cannot be removed now is a leftover of the next start.
      await writer.abort().catch(() => undefined);
      throw error;
    }
  }

  async #read<T>(name: ObjectName, signal: AbortSignal | undefined, work: (file: OpenFile) => Promise<T>): Promise<T> {
    const path = this.pathOf(name);
    signal?.throwIfAborted();
    return await onExistingObject(name, () => this.#openFiles.use(path, work));
  }

  async #deleteOne(name: ObjectName, path: string): Promise<void> {
    await onObject(name, () => unlinkIfThere(path));
    await this.#openFiles.drop(path);
  }

  /** Files and folders of a prefix in the order of the names of the objects in them. */
  async #readFolder(prefix: string, signal: AbortSignal | undefined): Promise<Dirent[]> {
    signal?.throwIfAborted();
    const path = join(this.#root, prefix);
    const entries = await onObject(prefix, () => readdir(path, { withFileTypes: true }).catch(emptyIfMissing));
    // What cannot be an object is passed over: `.tmp`, `lost+found`. `a-b` comes before `a/c`, hence the slash; and a
    // plain comparison of code units, never of a locale.
    const keyed = entries
      .filter((entry) => isObjectNameSegment(entry.name) && (entry.isFile() || entry.isDirectory()))
      .map((entry) => ({ key: entry.isDirectory() ? `${entry.name}/` : entry.name, entry }));
    return keyed.sort((left, right) => (left.key < right.key ? -1 : 1)).map(({ entry }) => entry);
  }
}

/** The files from `start` on up to the next folder, at most as many as may be looked at together. */
function takeFiles(entries: readonly Dirent[], start: number): Dirent[] {
  const most = entries.slice(start, start + STORE_SMALL_OPERATION_MAX);
  const folderIndex = most.findIndex((entry) => entry.isDirectory());
  return folderIndex < 0 ? most : most.slice(0, folderIndex);
}

function tooLarge(name: ObjectName, sizeBytes: number, maxBytes: number): VbsError {
  const reason = `${sizeBytes} bytes, at most ${maxBytes} were expected`;
  return new VbsError('DATA_CORRUPT', { object: name, offsetBytes: maxBytes, reason });
}

async function statObject(path: string, name: ObjectName): Promise<ObjectInfo | undefined> {
  try {
    const stats = await lstat(path);
    return stats.isFile() ? { name, sizeBytes: stats.size } : undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function emptyIfMissing(error: unknown): [] {
  if (isMissing(error)) return [];
  throw error;
}

async function syncIfThere(folder: string): Promise<void> {
  try {
    await syncFolder(folder);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
