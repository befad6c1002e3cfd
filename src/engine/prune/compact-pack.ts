// Compaction: writes a pack as a new object without its condemned slots, and makes that the current one. Slots keep
// their numbers, so no manifest changes. Whatever happens on the way, the old object stays until the new one is in
// its place.
import assert from 'node:assert/strict';
import type { Pace } from '../../core/background-pace.ts';
import { bitmapHas } from '../../core/bitmap.ts';
import { isVbsError } from '../../core/errors.ts';
import { newUuid, type ObjectId, type PackId } from '../../core/ids.ts';
import type { CompactionStart } from '../../core/ledger.ts';
import type { FrameEntry } from '../format/pack-format.ts';
import { type FrameRead, joinFrames } from '../pack/frame-reads.ts';
import { type PackIndex, readPackIndex } from '../pack/pack-index.ts';
import { type KeptFrame, PackWriter } from '../pack/pack-writer.ts';
import { bitsOf } from '../pipeline/reseal-work.ts';
import { pickLeastLoaded } from '../pipeline/worker-pool.ts';
import type { OpenProject, Repository } from '../repository.ts';

export type Compaction =
  | { readonly outcome: 'compacted'; readonly beforeBytes: number; readonly afterBytes: number }
  /** Another prune compacted or retired the pack meanwhile. */
  | { readonly outcome: 'overtaken' }
  /** Nothing that is condemned is in the object. */
  | { readonly outcome: 'nothing-to-do' };

type KeptEntry = {
  readonly entry: FrameEntry;
  readonly keptMask: number;
  /** Contents of the slots that stay: the frame cannot be read, or not as a whole. */
  readonly replacement?: Uint8Array | undefined;
};

/** How damaged slots get their contents back (verify/repair-pack.ts): the pack is written anew with them. */
export type Healing = {
  /** Absent: as the trailer says. */
  readonly index?: PackIndex | undefined;
  /** By the frame's first slot: what those of its slots hold that stay; none for a frame that is as it should be. */
  replace(entry: FrameEntry, keptSlots: readonly number[]): Uint8Array | undefined;
  /** Slots that are sound from then on. Bitmap. */
  readonly healed: Uint8Array;
};

export type CompactOptions = {
  /** Absent: the pack merely loses what is condemned. */
  readonly healing?: Healing | undefined;
  /** Of a compaction in the background; absent, nothing is waited for. */
  readonly pace?: Pace | undefined;
};

/**
 * Compacts one pack. It may be read, used and compacted by others meanwhile.
 * @throws DATA_CORRUPT when a frame that is needed is damaged: nothing is changed then; STORAGE_FULL, STORAGE_IO
 */
export async function compactPack(
  repository: Repository,
  project: OpenProject,
  packId: PackId,
  signal: AbortSignal,
  { healing, pace }: CompactOptions = {},
): Promise<Compaction> {
  const { ledger } = repository;
  const { projectId } = project;
  // A row before the bytes: the name of the object is known to the catalog before it exists.
  const start = await ledger.beginCompaction(projectId, packId, newUuid<ObjectId>());
  if (!start) return { outcome: 'overtaken' };
  let written: Awaited<ReturnType<typeof writeNext>>;
  try {
    written = await writeNext(repository, project, { start, healing, pace, signal });
  } catch (error) {
    await abandon(repository, project, start);
    if (isVbsError(error, 'OBJECT_NOT_FOUND') && (await isReplaced(repository, project, start))) {
      return { outcome: 'overtaken' };
    }
    throw error;
  }
  if (!written) {
    await abandon(repository, project, start);
    return { outcome: 'nothing-to-do' };
  }
  const { beforeBytes, afterBytes, presentCount } = written;
  const { objectId, nextObjectId } = start;
  const result = { packId, objectId, nextObjectId, presentCount, storedBytes: afterBytes, healed: healing?.healed };
  // When the answer gets lost the row names both objects, and the next prune goes on from what it finds.
  const isCurrent = await ledger.finishCompaction(projectId, result);
  return isCurrent ? { outcome: 'compacted', beforeBytes, afterBytes } : { outcome: 'overtaken' };
}

/** Another prune was faster, and the object that was being read is swept: nothing is wrong with the pack. */
async function isReplaced(
  { ledger }: Repository,
  { projectId }: OpenProject,
  { packId, objectId }: CompactionStart,
): Promise<boolean> {
  const [row] = await ledger.locatePacks(projectId, [packId]);
  return row?.objectId !== objectId;
}

async function abandon(repository: Repository, project: OpenProject, start: CompactionStart): Promise<void> {
  try {
    await repository.ledger.abandonCompaction(project.projectId, start);
  } catch (error) {
    // The row still names the object: the next prune puts it into the trash.
    repository.logger.warn({ err: error, packId: start.packId }, 'a compaction was not cleaned up');
  }
}

async function writeNext(
  repository: Repository,
  project: OpenProject,
  compaction: CompactOptions & { readonly start: CompactionStart; readonly signal: AbortSignal },
): Promise<{ beforeBytes: number; afterBytes: number; presentCount: number } | undefined> {
  const { start, healing, pace, signal } = compaction;
  const index = healing?.index ?? (await repository.packIndex(project, start));
  // What was found out about another object says nothing about this one.
  if (healing?.index && healing.index.location.objectId !== start.objectId) return undefined;
  const kept = index.frames.flatMap((entry) => keepLive(entry, start.condemned, healing) ?? []);
  const isWhole = kept.length === index.frames.length && kept.every(({ entry, keptMask }) => keptMask === entry.mask);
  // A pack without a live slot is retired, not compacted.
  if ((isWhole && !healing) || kept.length === 0) return undefined;
  const location = { packId: start.packId, kind: start.kind, objectId: start.nextObjectId };
  // A catalog that was set back must not write: its store has an epoch ahead of it.
  await repository.checkEpoch(project);
  const writer = await PackWriter.create(repository.store, project.keys, project, location, signal);
  try {
    for (const piece of planReads(kept)) {
      signal.throwIfAborted();
      // Read and written again.
      await pace?.take({ bytes: piece.lengthBytes, operations: 2 }, signal);
      await copyPiece(repository, index, writer, piece, signal);
    }
    await writer.finish();
  } catch (error) {
    // The first failure is the one to tell; what is left of the object is in the trash by its name.
    await writer.abort().catch(() => undefined);
    throw error;
  }
  const next = await readPackIndex(repository.store, project.keys, project, location);
  checkNext(index, next, kept);
  return { beforeBytes: index.storedBytes, afterBytes: next.storedBytes, presentCount: countSlots(kept) };
}

/** What stays of a frame; undefined when nothing does. */
function keepLive(entry: FrameEntry, condemned: Uint8Array | null, healing?: Healing): KeptEntry | undefined {
  const live = bitsOf(entry.mask).filter((bit) => !bitmapHas(condemned, entry.firstSlot + bit));
  const keptMask = live.reduce((mask, bit) => mask | (1 << bit), 0);
  const keptSlots = live.map((bit) => entry.firstSlot + bit);
  return keptMask === 0 ? undefined : { entry, keptMask, replacement: healing?.replace(entry, keptSlots) };
}

/** Frames in one read; one that is replaced stands alone and is not read. */
function planReads(kept: readonly KeptEntry[]): FrameRead<KeptEntry>[] {
  const reads: FrameRead<KeptEntry>[] = [];
  let joined: KeptEntry[] = [];
  for (const frame of kept) {
    if (frame.replacement === undefined) {
      joined.push(frame);
      continue;
    }
    reads.push(...joinFrames(joined), { offsetBytes: frame.entry.offsetBytes, lengthBytes: 0, frames: [frame] });
    joined = [];
  }
  return [...reads, ...joinFrames(joined)];
}

async function copyPiece(
  repository: Repository,
  index: PackIndex,
  writer: PackWriter,
  { offsetBytes: bytesOffset, lengthBytes, frames }: FrameRead<KeptEntry>,
  signal: AbortSignal,
): Promise<void> {
  const { objectName, header, key } = index;
  const isRead = lengthBytes > 0;
  const { store } = repository;
  const bytes = isRead ? await store.readRange(objectName, bytesOffset, lengthBytes, signal) : Buffer.alloc(0);
  const target = { header: writer.header, key: writer.key };
  const described = frames.map(({ entry, keptMask }) => describeKept(index, entry, keptMask));
  const thread = pickLeastLoaded(repository.workers.threads);
  thread.loadCount += 1;
  try {
    const resealed = await thread.call(
      {
        type: 'reseal',
        ...{ objectName, header, key, bytes, bytesOffset, target },
        compressionLevel: repository.compressionLevel,
        frames: frames.map(({ entry, keptMask, replacement }, i) => {
          const digests = Buffer.concat(described[i]?.digests ?? []);
          return { entry, keptMask, digests, replacement, ordinal: writer.takeOrdinal() };
        }),
      },
      // The store promises a buffer of its own memory.
      isRead ? [bytes.buffer as ArrayBuffer] : [],
    );
    const sized = described.map((frame, i) => ({ storedBytes: 0, codec: 0, ...frame, ...resealed.frames[i] }));
    await writer.appendKept(resealed.bytes, sized);
  } finally {
    thread.loadCount -= 1;
  }
}

function describeKept(index: PackIndex, entry: FrameEntry, keptMask: number): KeptFrame {
  const slots = bitsOf(keptMask).map((bit) => entry.firstSlot + bit);
  const lengths = index.location.kind === 'page' ? slots.map((slot) => index.lengthOf(slot)) : [];
  return { firstSlot: entry.firstSlot, mask: keptMask, digests: slots.map((slot) => index.digestOf(slot)), lengths };
}

function countSlots(kept: readonly KeptEntry[]): number {
  return kept.reduce((total, { keptMask }) => total + bitsOf(keptMask).length, 0);
}

/** Checked before the swap, since after it the old object goes: every slot that stays is there with its digest. */
function checkNext(before: PackIndex, next: PackIndex, kept: readonly KeptEntry[]): void {
  for (const { entry, keptMask } of kept) {
    for (const bit of bitsOf(keptMask)) {
      const slot = entry.firstSlot + bit;
      assert(next.matches(slot, before.digestOf(slot), 0), `slot ${slot} is in the new object`);
    }
  }
}
