// Files of the driver's own folders, made and removed so that a power cut does not undo it.
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from '../core/errno.ts';

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const CREATE_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** A new file, open for reading and writing; fails with EEXIST when there is one. The caller closes it. */
export async function createFile(path: string): Promise<FileHandle> {
  return await open(path, CREATE_FLAGS, FILE_MODE);
}

/** Sets the size of an image, durably; what is new reads zero. */
export async function setSize(file: FileHandle, sizeBytes: number): Promise<void> {
  await file.truncate(sizeBytes);
  await file.sync();
}

export async function makeFolder(path: string): Promise<void> {
  const firstMade = await mkdir(path, { recursive: true, mode: FOLDER_MODE });
  if (firstMade === undefined) return;
  for (let made = path; made.length >= firstMade.length; made = dirname(made)) await syncFolder(dirname(made));
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export async function unlinkIfThere(path: string): Promise<void> {
  await unlink(path).catch(ignoreMissing);
}

/** For `catch`: what is not there is no failure. */
export function ignoreMissing(error: unknown): void {
  if (errnoOf(error) !== 'ENOENT') throw error;
}
