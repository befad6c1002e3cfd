// One process at a time in a data folder: an exclusive transaction on a small SQLite file, held for the process's life.
// The operating system lets go of it however the process ends, kill -9 included. Nobody else may open that file: with
// POSIX locks, closing any descriptor of it in this process would give the lock away.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { VbsError } from '../core/errors.ts';
import { describeFault, isBusy, toCatalogError } from './sqlite-errors.ts';

const LOCK_FILE_NAME = 'lock.sqlite';

export class FolderLock {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Harmless twice. */
  release(): void {
    if (this.#database.isOpen) {
      this.#database.close();
    }
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Makes the folder if it is missing and locks it. @throws REPOSITORY_LOCKED, CATALOG_UNAVAILABLE, STORAGE_IO */
export async function lockFolder(folder: string): Promise<FolderLock> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, LOCK_FILE_NAME);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    database.exec('begin exclusive');
    return new FolderLock(database);
  } catch (error) {
    database?.close();
    throw isBusy(error)
      ? new VbsError('REPOSITORY_LOCKED', { folder }, { cause: error })
      : toCatalogError(describeFault(error), path);
  }
}
