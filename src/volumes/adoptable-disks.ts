// Looks through the permitted folders for disks that could be adopted. Reads names and sizes only.
import type { BigIntStats, Dirent } from 'node:fs';
import { opendir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isVbsError } from '../core/errors.ts';
import { ADOPTABLE_DEPTH_MAX, ADOPTABLE_ENTRY_MAX } from '../core/limits.ts';
import type { AdoptableEntry, DriverVolume } from './volume.ts';
import type { PermittedPaths } from './volume-paths.ts';

/** Equal for hard links of an image and for all names of a device. */
export function identityOf(stats: Pick<BigIntStats, 'isBlockDevice' | 'rdev' | 'dev' | 'ino'>): string {
  return stats.isBlockDevice() ? `device ${stats.rdev}` : `file ${stats.dev} ${stats.ino}`;
}

/** By path. What cannot be read is left out; at most ADOPTABLE_ENTRY_MAX entries are looked at. */
export async function listAdoptable(
  permitted: PermittedPaths,
  adopt: (reference: string) => Promise<DriverVolume>,
  signal?: AbortSignal,
): Promise<AdoptableEntry[]> {
  const found = new Map<string, AdoptableEntry>();
  for await (const path of walkRoots(permitted, signal)) {
    const entry = await describeEntry(path, adopt);
    if (entry !== undefined) found.set(entry.reference, entry);
  }
  return [...found.values()].sort((one, other) => (one.reference < other.reference ? -1 : 1));
}

async function describeEntry(
  path: string,
  adopt: (reference: string) => Promise<DriverVolume>,
): Promise<AdoptableEntry | undefined> {
  const stats = await stat(path, { bigint: true }).catch(() => undefined);
  if (stats === undefined || !(stats.isFile() || stats.isBlockDevice())) return undefined;
  const identity = identityOf(stats);
  try {
    const { source, sizeBytes } = await adopt(path);
    return { reference: source, sizeBytes, identity, refusal: null };
  } catch (error) {
    if (!isVbsError(error)) throw error;
    return {
      reference: path,
      sizeBytes: Number(stats.size),
      identity,
      refusal: String(error.details.reason ?? error.message),
    };
  }
}

async function* walkRoots({ roots, excluded }: PermittedPaths, signal?: AbortSignal): AsyncGenerator<string> {
  const skipped = new Set<string>();
  for (const folder of excluded) skipped.add(await realpath(folder).catch(() => folder));
  let left = ADOPTABLE_ENTRY_MAX;
  const waiting = roots.map((folder) => ({ folder, depth: 0 }));
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { folder, depth } = next;
    const real = await realpath(folder).catch(() => undefined);
    if (real === undefined || skipped.has(real)) continue;
    skipped.add(real);
    for await (const entry of readFolder(real)) {
      signal?.throwIfAborted();
      left -= 1;
      if (left < 0) return;
      const path = join(real, entry.name);
      if (entry.isDirectory() && depth < ADOPTABLE_DEPTH_MAX) waiting.push({ folder: path, depth: depth + 1 });
      else yield path;
    }
  }
}

/** Nothing for a folder that may not be read, or has gone meanwhile. */
async function* readFolder(path: string): AsyncGenerator<Dirent> {
  const folder = await opendir(path).catch(() => undefined);
  if (folder !== undefined) yield* folder;
}
