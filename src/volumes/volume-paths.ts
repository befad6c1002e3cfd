// Which paths may be disks: our own folder for those that we make, the permitted roots for those that are adopted.
import { constants } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve, sep } from 'node:path';
import { describeError } from '../core/errno.ts';
import { VbsError } from '../core/errors.ts';
import { VOLUME_SIZE_MAX_BYTES } from '../core/limits.ts';
import { chooseDeviceName } from './device-name.ts';

export type PermittedPaths = {
  /** Folders from which disks may be adopted. */
  readonly roots: readonly string[];
  /** Folders, perhaps inside a root, from which nothing may be adopted: they are the service's own. */
  readonly excluded: readonly string[];
  /** Where the machine has its devices. */
  readonly deviceFolder: string;
};

export type AdoptableDisk = {
  /** What the volume row keeps: the resolved path of an image; for a device a name that lasts, which may be a link. */
  readonly source: string;
  /** Free of symbolic links. */
  readonly path: string;
  /** Undefined for a block device: its size takes a system call. */
  readonly imageBytes: number | undefined;
};

/**
 * Finds a disk that may be adopted. What lies outside the roots is told alike whether it exists or not.
 * @throws VOLUME_REFERENCE_INVALID
 */
export async function findAdoptable(reference: string, permitted: PermittedPaths): Promise<AdoptableDisk> {
  if (!isAbsolute(reference) || reference.includes('\0')) throw invalid(reference, 'it must be an absolute path');
  const roots = await resolveFolders(permitted.roots);
  const path = await realpath(reference).catch((cause: unknown) => {
    const isNamedInside = isInsideAny(resolve(reference), [...roots, ...permitted.roots.map((root) => resolve(root))]);
    throw isNamedInside ? invalid(reference, 'it does not exist or cannot be reached', cause) : outside(reference);
  });
  if (!isInsideAny(path, roots)) throw outside(reference);
  if (isInsideAny(path, await resolveFolders(permitted.excluded))) {
    throw invalid(reference, 'it is inside a folder of the service itself');
  }
  const stats = await stat(path);
  if (!stats.isFile() && !stats.isBlockDevice()) {
    throw invalid(reference, 'it is neither a regular file nor a block device');
  }
  await access(path, constants.R_OK | constants.W_OK).catch((cause: unknown) => {
    throw invalid(reference, `the service cannot read and write it (${describeError(cause)})`, cause);
  });
  if (stats.isFile()) return { source: path, path, imageBytes: stats.size };
  const givenName = join(await realpath(dirname(reference)), basename(reference));
  const source = await chooseDeviceName(givenName, path, permitted.deviceFolder);
  if (source !== undefined) return { source, path, imageBytes: undefined };
  throw invalid(
    reference,
    'after the next start of the machine this name may be another disk, and no name in /dev/disk/by-id or ' +
      '/dev/mapper leads to it: give the disk a serial number, or a name by LVM or a udev rule',
  );
}

/** @throws VOLUME_REFERENCE_INVALID */
export function checkAdoptedSize(sizeBytes: number, reference: string): void {
  if (sizeBytes === 0) throw invalid(reference, 'it is empty');
  if (sizeBytes <= VOLUME_SIZE_MAX_BYTES) return;
  throw invalid(reference, `it has ${sizeBytes} bytes, at most ${VOLUME_SIZE_MAX_BYTES} are supported`);
}

/**
 * Where the adopted `source` is now. Checked before each use: somebody may have put a symbolic link in its way since.
 * @throws VOLUME_UNAVAILABLE
 */
export async function locateAdopted(source: string, permitted: PermittedPaths): Promise<string> {
  const path = await realpath(source);
  if (path !== source && !(await stat(path)).isBlockDevice()) {
    throw new VbsError('VOLUME_UNAVAILABLE', { source, reason: 'a symbolic link has been put in its place' });
  }
  if (!isInsideAny(path, await resolveFolders(permitted.roots))) {
    throw new VbsError('VOLUME_UNAVAILABLE', { source, reason: 'it is outside the permitted folders' });
  }
  return path;
}

/** Folders without symbolic links; those that do not exist permit nothing and are left out. */
async function resolveFolders(folders: readonly string[]): Promise<string[]> {
  const resolved = await Promise.all(folders.map((folder) => realpath(folder).catch(() => undefined)));
  return resolved.filter((folder) => folder !== undefined);
}

function isInsideAny(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => path.startsWith(folder.endsWith(sep) ? folder : folder + sep));
}

function invalid(reference: string, reason: string, cause?: unknown): VbsError {
  return new VbsError('VOLUME_REFERENCE_INVALID', { reference, reason }, { cause });
}

function outside(reference: string): VbsError {
  return invalid(reference, 'it is outside the permitted folders');
}
