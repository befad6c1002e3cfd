// Asynchronous calls on plain file descriptors. Node's FileHandle is not used: one that a fault leaves behind ends the
// process when it is collected, a descriptor does not.
import { close, fstat, fsync, open, read, type Stats, write } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { isMissing } from './storage-error.ts';

export const openFile = promisify(open) as (path: string, flags: number | string, mode?: number) => Promise<number>;
export const closeFile = promisify(close);
export const syncFile = promisify(fsync);
// The cast picks the overload without bigint.
export const statFile = promisify(fstat) as (fd: number) => Promise<Stats>;
const readFile = promisify(read);
const writeFile = promisify(write);

/** Writes all of `bytes` at `offsetBytes`. */
export async function writeFully(fd: number, bytes: Uint8Array, offsetBytes: number): Promise<void> {
  let doneBytes = 0;
  while (doneBytes < bytes.byteLength) {
    const rest = bytes.byteLength - doneBytes;
    const { bytesWritten } = await writeFile(fd, bytes, doneBytes, rest, offsetBytes + doneBytes);
    doneBytes += bytesWritten;
  }
}

/** Up to `lengthBytes` from `offsetBytes`, shorter only at the end of the file; the buffer owns its ArrayBuffer. */
export async function readFully(fd: number, offsetBytes: number, lengthBytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(lengthBytes);
  let doneBytes = 0;
  while (doneBytes < lengthBytes) {
    const { bytesRead } = await readFile(fd, buffer, doneBytes, lengthBytes - doneBytes, offsetBytes + doneBytes);
    if (bytesRead === 0) break;
    doneBytes += bytesRead;
  }
  return buffer.subarray(0, doneBytes);
}

/** Makes the entries of a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const fd = await openFile(path, 'r');
  try {
    await syncFile(fd);
  } finally {
    await closeFile(fd);
  }
}

/** Removes a file; harmless when there is none. */
export async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
