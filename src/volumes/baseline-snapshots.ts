// Baselines of images: the snapshot of a backup is kept, and at the next one both are asked which blocks they share.
// Nothing is remembered of their maps, since a block that was freed may hold other bytes by now: what two snapshots
// hold that both still exist cannot have changed. Whenever that is in doubt the answer is "not known", and all is read.
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { errnoOf } from '../core/errno.ts';
import { ChunkSample } from './chunk-sample.ts';
import { ChunkSet } from './chunk-set.ts';
import { compareMaps } from './extent-map.ts';
import type { DiskSnapshots, ImageSnapshots } from './image-snapshots.ts';
import type { SystemCalls } from './system-calls.ts';
import type { Baseline, FindChangesOptions, FoundChanges } from './volume.ts';

const DRIVER = 'file';

/** What identifies the snapshot that we left: anybody who replaced or touched it has changed one of these. */
type SnapshotState = {
  readonly name: string;
  readonly sizeBytes: number;
  /** Decimal: they do not fit a number. */
  readonly inode: string;
  readonly ctimeNs: string;
  readonly fileSystem: string;
};

/** The image or snapshot that is compared with a baseline. */
export type ComparedFile = { readonly file: FileHandle; readonly sizeBytes: number };

export type BaselineDeps = { readonly snapshots: DiskSnapshots; readonly calls: SystemCalls };

/** Describes the snapshot `name`, open as `file`. Undefined where extents cannot be compared anyway. */
export async function describeBaseline(
  name: string,
  file: FileHandle,
  calls: SystemCalls,
): Promise<Baseline | undefined> {
  const fileSystem = calls.fileSystemId(file.fd);
  if (fileSystem === undefined) return undefined;
  if ((await calls.mapExtents(file.fd, 0, 1)) === undefined) return undefined;
  const state: SnapshotState = { name, fileSystem, ...(await readIdentity(file)) };
  return { driver: DRIVER, state };
}

/** Which chunks of `current` may differ from the baseline. Failures of the disk are thrown. */
export async function findChangesSince(
  baseline: Baseline,
  current: ComparedFile,
  deps: BaselineDeps,
  options: FindChangesOptions,
  signal?: AbortSignal,
): Promise<FoundChanges> {
  const opened = await openBaseline(baseline, deps);
  if ('reason' in opened) return { isKnown: false, reason: opened.reason };
  const { state, file } = opened;
  try {
    const reason = await describeMismatch(state, file, current, deps.calls);
    if (reason !== undefined) return { isKnown: false, reason };
    return await compare(state, file, current, deps.calls, options, signal);
  } finally {
    await file.close();
  }
}

async function compare(
  state: SnapshotState,
  file: FileHandle,
  current: ComparedFile,
  calls: SystemCalls,
  options: FindChangesOptions,
  signal: AbortSignal | undefined,
): Promise<FoundChanges> {
  const { sizeBytes } = current;
  const changed = new ChunkSet(sizeBytes);
  const shared = new ChunkSample(options);
  const sink = {
    addChanged: (extent: Parameters<ChunkSet['addExtent']>[0]) => changed.addExtent(extent),
    addShared: (extent: Parameters<ChunkSample['addExtent']>[0]) => shared.addExtent(extent),
  };
  const files = { older: file.fd, newer: current.file.fd, sizeBytes };
  const failure = await compareMaps(files, sink, calls, signal);
  if (failure !== undefined) return { isKnown: false, reason: failure };
  if (!isSameIdentity(state, await readIdentity(file))) {
    return { isKnown: false, reason: 'the snapshot of the last backup was touched meanwhile' };
  }
  return { isKnown: true, changed, sample: shared.chunks().filter((chunk) => !changed.has(chunk)) };
}

async function openBaseline(
  baseline: Baseline,
  { snapshots }: BaselineDeps,
): Promise<{ readonly state: SnapshotState; readonly file: FileHandle } | { readonly reason: string }> {
  const state = baseline.driver === DRIVER ? readState(baseline.state) : undefined;
  const path = state && snapshots.pathOf(state.name);
  if (!state || path === undefined) return { reason: 'the baseline is of another kind' };
  try {
    return { state, file: await open(path, constants.O_RDONLY | constants.O_NOFOLLOW) };
  } catch (error) {
    // Any other failure is one too, but none that would keep a backup from reading everything.
    const isGone = errnoOf(error) === 'ENOENT';
    return {
      reason: isGone ? 'the snapshot of the last backup is gone' : 'the snapshot of the last backup is unreadable',
    };
  }
}

/** Why what is there under the baseline's name cannot be compared with `current`. */
async function describeMismatch(
  state: SnapshotState,
  file: FileHandle,
  current: ComparedFile,
  calls: SystemCalls,
): Promise<string | undefined> {
  if (!isSameIdentity(state, await readIdentity(file))) return 'the snapshot of the last backup was replaced';
  if (calls.fileSystemId(file.fd) !== state.fileSystem) return 'the snapshots are on another file system';
  if (state.sizeBytes !== current.sizeBytes) return 'the disk was resized';
  const [before, now] = [await file.stat({ bigint: true }), await current.file.stat({ bigint: true })];
  if (before.dev !== now.dev) return 'the disk is on another file system';
  const device = calls.dataDevice(file.fd);
  if (device === undefined || device !== calls.dataDevice(current.file.fd)) {
    return 'the disk is on another device of its file system';
  }
  return undefined;
}

async function readIdentity(file: FileHandle): Promise<Omit<SnapshotState, 'name' | 'fileSystem'>> {
  const { ino, size, ctimeNs } = await file.stat({ bigint: true });
  return { sizeBytes: Number(size), inode: String(ino), ctimeNs: String(ctimeNs) };
}

function isSameIdentity(
  left: Omit<SnapshotState, 'name' | 'fileSystem'>,
  right: Omit<SnapshotState, 'name' | 'fileSystem'>,
): boolean {
  return left.sizeBytes === right.sizeBytes && left.inode === right.inode && left.ctimeNs === right.ctimeNs;
}

/** It comes out of the catalog, where an older or newer version of the program may have put it. */
function readState(state: Baseline['state']): SnapshotState | undefined {
  const { name, sizeBytes, inode, ctimeNs, fileSystem } = state;
  const isComplete =
    typeof name === 'string' &&
    typeof sizeBytes === 'number' &&
    typeof inode === 'string' &&
    typeof ctimeNs === 'string' &&
    typeof fileSystem === 'string';
  return isComplete ? { name, sizeBytes, inode, ctimeNs, fileSystem } : undefined;
}

/** Removes the snapshot that a baseline names. Harmless twice. */
export async function removeBaselineSnapshot(baseline: Baseline, snapshots: ImageSnapshots): Promise<void> {
  const state = baseline.driver === DRIVER ? readState(baseline.state) : undefined;
  if (state) await snapshots.removeByName(state.name);
}
