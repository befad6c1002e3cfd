// Tells whether a disk that is read in place was written meanwhile. It looks at the start and once more at the end;
// what it cannot see is a program that maps an image on a file system in memory (tmpfs) and writes to it there.

import type { BigIntStats } from 'node:fs';
import { type FileHandle, readFile, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { VbsError } from '../core/errors.ts';
import { TIME_STAMP_COARSE_GRAIN_MS, TIME_STAMP_GRAIN_MS } from '../core/limits.ts';
import { systemClock } from '../core/ports.ts';

export type ChangeGuard = {
  /** @throws VOLUME_CHANGED */
  check(): Promise<void>;
};

const NS_PER_MS = 1_000_000n;
const NS_PER_S = 1_000_000_000n;
const SECTORS_WRITTEN_INDEX = 6;

/**
 * Watches an image by its size and time stamps. @throws VOLUME_BUSY when it is being written just now.
 * `signal` ends the wait for old enough time stamps.
 */
export async function guardImage(file: FileHandle, path: string, signal?: AbortSignal): Promise<ChangeGuard> {
  // A program that has mapped the image changes the time stamps only when it first touches a clean page: writing back
  // what is dirty makes every page clean, so that later writes show.
  await file.datasync();
  const before = await file.stat({ bigint: true });
  const waitMs = grainToWaitMs(before, systemClock.now());
  if (waitMs > 0) {
    await delay(waitMs, undefined, { signal });
    const reason = describeChange(before, await file.stat({ bigint: true }));
    if (reason) throw new VbsError('VOLUME_BUSY', { source: path, reason: `${reason} just now` });
  }
  return {
    check: async () => {
      const after = await file.stat({ bigint: true });
      const named = await stat(path, { bigint: true });
      const isReplaced = named.ino !== before.ino || named.dev !== before.dev;
      const reason = isReplaced ? 'another file took its name' : describeChange(before, after);
      if (reason) throw new VbsError('VOLUME_CHANGED', { source: path, reason });
    },
  };
}

/**
 * How long to wait until a write must show in the time stamps: one in the same tick as the last one would not. Measured
 * with the clock of this machine and never with one that `serve --dev` moves, because the kernel stamps files with it.
 */
export function grainToWaitMs(stats: Pick<BigIntStats, 'mtimeNs' | 'ctimeNs'>, nowMs: number): number {
  return Math.max(...[stats.mtimeNs, stats.ctimeNs].map((stampNs) => stampToWaitMs(stampNs, nowMs)));
}

function stampToWaitMs(stampNs: bigint, nowMs: number): number {
  // A stamp on the full second is most likely one of a file system that keeps no more.
  const grainMs = stampNs % NS_PER_S === 0n ? TIME_STAMP_COARSE_GRAIN_MS : TIME_STAMP_GRAIN_MS;
  const ageMs = nowMs - Number(stampNs / NS_PER_MS);
  // A stamp in the future (a file server's clock) says nothing about age: the grain from now on is enough.
  return ageMs > grainMs ? 0 : Math.min(grainMs, grainMs - ageMs + 1);
}

function describeChange(before: BigIntStats, after: BigIntStats): string | undefined {
  if (after.size !== before.size) return `its size went from ${before.size} to ${after.size} bytes`;
  if (after.mtimeNs !== before.mtimeNs) return 'it was written';
  if (after.ctimeNs !== before.ctimeNs) return 'its attributes were changed';
  return undefined;
}

/**
 * Watches a block device by the kernel's counter of sectors written. `file` is open with O_EXCL, which keeps mounts and
 * other exclusive users out. @throws VOLUME_UNAVAILABLE when the kernel does not count.
 */
export async function guardBlockDevice(file: FileHandle, path: string): Promise<ChangeGuard> {
  const { rdev } = await file.stat({ bigint: true });
  const folder = `/sys/dev/block/${deviceNumber(rdev)}`;
  await checkCounting(folder, path);
  // Writes of others through the page cache are counted when they reach the device, so they are sent there first.
  await file.sync();
  const before = await readSectorsWritten(folder, path);
  return {
    check: async () => {
      await file.sync();
      const writtenCount = (await readSectorsWritten(folder, path)) - before;
      if (writtenCount === 0) return;
      throw new VbsError('VOLUME_CHANGED', { source: path, reason: `${writtenCount} sectors were written` });
    },
  };
}

/** `major:minor` of a device number. Source: glibc sysmacros.h, gnu_dev_major and gnu_dev_minor. */
function deviceNumber(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xffff_f000n);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffff_ff00n);
  return `${major}:${minor}`;
}

async function checkCounting(folder: string, source: string): Promise<void> {
  // A partition has its queue one folder up.
  const switches = await Promise.all([`${folder}/queue/iostats`, `${folder}/../queue/iostats`].map(readIfThere));
  if (switches.some((text) => text?.trim() === '1')) return;
  const reason = 'the kernel does not count its writes (queue/iostats), so a change could not be noticed';
  throw new VbsError('VOLUME_UNAVAILABLE', { source, reason });
}

async function readSectorsWritten(folder: string, source: string): Promise<number> {
  const fields = (await readIfThere(`${folder}/stat`))?.trim().split(/\s+/) ?? [];
  const count = Number(fields[SECTORS_WRITTEN_INDEX]);
  if (Number.isSafeInteger(count)) return count;
  throw new VbsError('VOLUME_UNAVAILABLE', { source, reason: `${folder}/stat cannot be read` });
}

async function readIfThere(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(() => undefined); // Its absence is the answer.
}
