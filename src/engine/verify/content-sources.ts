// Where the content of a bad slot may still be: in what is left of its frame, in another pack of the project, on a disk
// that it was once read from. Whatever is found counts only with the digest that the trailer has for the slot.
import { bitmapHas } from '../../core/bitmap.ts';
import type { VolumeId } from '../../core/ids.ts';
import type { LivePack } from '../../core/ledger.ts';
import { CHUNK_SIZE_BYTES } from '../../core/limits.ts';
import type { DeviceDescriptor } from '../../volumes/volume.ts';
import type { FrameEntry } from '../format/pack-format.ts';
import type { PackIndex } from '../pack/pack-index.ts';
import { bitsOf } from '../pipeline/reseal-work.ts';
import { pickLeastLoaded } from '../pipeline/worker-pool.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { isUnreadable } from '../unreadable.ts';
import type { Place } from './damaged-backups.ts';
import { describeFrame } from './verify-pack.ts';

/** Tells how to reach a disk of the project; undefined when it is gone. It is only read. */
export type OpenVolume = (volumeId: VolumeId) => Promise<DeviceDescriptor | undefined>;

/** By slot. */
export type Contents = Map<number, Uint8Array>;

/** Chunks that one message asks a thread for: 4 MiB come back. */
const MATCH_BATCH_COUNT = 64;
const PACK_BATCH_COUNT = 500;

/** What of one frame can be had in spite of the damage; `isRead` is false when its bytes cannot even be read. */
export async function salvageFrame(
  { store, workers }: Repository,
  index: PackIndex,
  entry: FrameEntry,
): Promise<{ readonly contents: Contents; readonly isRead: boolean }> {
  const contents: Contents = new Map();
  const { objectName, header, key } = index;
  const { offsetBytes: bytesOffset, storedBytes } = entry;
  let bytes: Buffer;
  try {
    bytes = await store.readRange(objectName, bytesOffset, storedBytes);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return { contents, isRead: false };
  }
  const frames = [describeFrame(index, entry)];
  const request = { type: 'check', objectName, header, key, bytes, bytesOffset, frames, salvages: true } as const;
  const { salvaged } = await pickLeastLoaded(workers.threads).call(request, [bytes.buffer as ArrayBuffer]);
  const slots = bitsOf(entry.mask).map((bit) => entry.firstSlot + bit);
  slots.forEach((slot, i) => {
    const content = salvaged[0]?.[i];
    if (content) contents.set(slot, content);
  });
  return { contents, isRead: true };
}

/** Looks for the digests of `slots` in all other live packs of the same kind. */
export async function findCopies(
  repository: Repository,
  project: OpenProject,
  index: PackIndex,
  slots: readonly number[],
  signal: AbortSignal,
): Promise<Contents> {
  const contents: Contents = new Map();
  for await (const pack of otherPacks(repository, project, index)) {
    signal.throwIfAborted();
    const wanted = slots.filter((slot) => !contents.has(slot));
    if (wanted.length === 0) return contents;
    for (const [slot, content] of await copyFrom(repository, project, pack, { index, wanted }))
      contents.set(slot, content);
  }
  return contents;
}

async function* otherPacks(
  { ledger }: Repository,
  { projectId }: OpenProject,
  { location }: PackIndex,
): AsyncGenerator<LivePack, void> {
  for (let afterNumber = -1; ; ) {
    const packs = await ledger.listLivePacks(projectId, afterNumber, PACK_BATCH_COUNT);
    const last = packs.at(-1);
    if (!last) return;
    for (const pack of packs) if (pack.kind === location.kind && pack.packId !== location.packId) yield pack;
    afterNumber = last.packNumber;
  }
}

async function copyFrom(
  repository: Repository,
  project: OpenProject,
  pack: LivePack,
  { index, wanted }: { readonly index: PackIndex; readonly wanted: readonly number[] },
): Promise<Contents> {
  const contents: Contents = new Map();
  try {
    const other = await repository.packIndex(project, pack);
    for (const slot of wanted) {
      const copy = other.findSlot(index.digestOf(slot), 0);
      if (copy === undefined || bitmapHas(pack.bad, copy)) continue;
      const entry = other.frames[other.frameIndexOf(copy)];
      const content = entry && (await salvageFrame(repository, other, entry)).contents.get(copy);
      if (content) contents.set(slot, content);
    }
  } catch (error) {
    // Damaged too, or compacted just now: there may be another one.
    if (!isUnreadable(error)) throw error;
  }
  return contents;
}

/** Reads the places where the chunks once stood on disks. */
export async function matchVolumes(
  repository: Repository,
  index: PackIndex,
  places: ReadonlyMap<number, readonly Place[]>,
  { openVolume, signal }: { readonly openVolume: OpenVolume; readonly signal: AbortSignal },
): Promise<Contents> {
  const contents: Contents = new Map();
  const byVolume = new Map<VolumeId, { readonly slot: number; readonly offsetBytes: number }[]>();
  for (const [slot, found] of places) {
    for (const { volumeId, offsetBytes } of found) {
      byVolume.set(volumeId, [...(byVolume.get(volumeId) ?? []), { slot, offsetBytes }]);
    }
  }
  for (const [volumeId, wanted] of byVolume) {
    signal.throwIfAborted();
    const rest = wanted.filter(({ slot }) => !contents.has(slot));
    const descriptor = rest.length === 0 ? undefined : await openVolume(volumeId);
    if (!descriptor) continue;
    try {
      await matchVolume(repository, index, { descriptor, wanted: rest, contents, signal });
    } catch (error) {
      // A disk that cannot be read now is merely no help.
      repository.logger.warn({ err: error, volumeId }, 'a disk could not be searched for lost chunks');
    }
  }
  return contents;
}

async function matchVolume(
  { workers, throttles }: Repository,
  index: PackIndex,
  search: {
    readonly descriptor: DeviceDescriptor;
    readonly wanted: readonly { readonly slot: number; readonly offsetBytes: number }[];
    readonly contents: Contents;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { descriptor, wanted, contents, signal } = search;
  const deviceId = workers.nextId();
  const thread = pickLeastLoaded(workers.threads);
  await thread.call({ type: 'open-device', deviceId, descriptor, mode: 'read' });
  try {
    for (let start = 0; start < wanted.length; start += MATCH_BATCH_COUNT) {
      const batch = wanted.slice(start, start + MATCH_BATCH_COUNT);
      await throttles.read.take({ bytes: batch.length * CHUNK_SIZE_BYTES, operations: batch.length }, signal);
      const asked = batch.map(({ slot, offsetBytes }) => ({ offsetBytes, digest: index.digestOf(slot) }));
      const { chunks } = await thread.call({ type: 'match', deviceId, wanted: asked });
      batch.forEach(({ slot }, i) => {
        const chunk = chunks[i];
        if (chunk) contents.set(slot, chunk);
      });
    }
  } finally {
    await thread.call({ type: 'close-device', deviceId });
  }
}
