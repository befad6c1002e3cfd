// Files of a folder store that are kept open for reading, so that a restore does not open a pack for each range of it.
// The least recently used goes first; a file in use is closed when its last reader is done.
import { closeFile, openFile, statFile } from './file-io.ts';

export type OpenFile = { readonly fd: number; readonly sizeBytes: number };

type Entry = { readonly file: Promise<OpenFile>; userCount: number; isDropped: boolean };

export class OpenFiles {
  readonly #entries = new Map<string, Entry>();
  readonly #maxCount: number;

  constructor(maxCount: number) {
    this.#maxCount = maxCount;
  }

  /** Calls `work` with the open file at `path`. @throws the error of opening, ENOENT for anything but a regular file */
  async use<T>(path: string, work: (file: OpenFile) => Promise<T>): Promise<T> {
    const entry = this.#entries.get(path) ?? { file: openRegularFile(path), userCount: 0, isDropped: false };
    // Entered anew, it is the last in the order of the map: the most recently used.
    this.#entries.delete(path);
    this.#entries.set(path, entry);
    entry.userCount += 1;
    try {
      const file = await entry.file;
      await this.#dropOldest();
      return await work(file);
    } catch (error) {
      // A file that failed is opened again next time; it may have been replaced or be back.
      await this.#drop(path, entry);
      throw error;
    } finally {
      entry.userCount -= 1;
      await closeIfUnused(entry);
    }
  }

  /** Forgets a file that was deleted or replaced. */
  async drop(path: string): Promise<void> {
    const entry = this.#entries.get(path);
    if (entry) await this.#drop(path, entry);
  }

  async close(): Promise<void> {
    for (const path of [...this.#entries.keys()]) await this.drop(path);
  }

  async #dropOldest(): Promise<void> {
    for (const [path, entry] of this.#entries) {
      if (this.#entries.size <= this.#maxCount) return;
      await this.#drop(path, entry);
    }
  }

  async #drop(path: string, entry: Entry): Promise<void> {
    if (this.#entries.get(path) === entry) this.#entries.delete(path);
    if (entry.isDropped) return;
    entry.isDropped = true;
    await closeIfUnused(entry);
  }
}

async function closeIfUnused(entry: Entry): Promise<void> {
  if (!entry.isDropped || entry.userCount > 0) return;
  const opened = await entry.file.then(
    (file) => file,
    () => undefined, // It was never opened; who asked for it has been told.
  );
  if (opened) await closeFile(opened.fd);
}

/** Opens a file for reading; the caller closes it. @throws ENOENT for anything but a regular file */
export async function openRegularFile(path: string): Promise<OpenFile> {
  const fd = await openFile(path, 'r');
  try {
    const stats = await statFile(fd);
    // A folder of objects is no object.
    if (!stats.isFile()) throw Object.assign(new Error(`ENOENT: ${path} is no file`), { code: 'ENOENT' });
    return { fd, sizeBytes: stats.size };
  } catch (error) {
    await closeFile(fd);
    throw error;
  }
}
