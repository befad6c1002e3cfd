// Turns addresses of a page into reads: per pack and frame, in the order in which they lie there, neighbours together.
// Shared by restore and export.
import { raceSignal } from '../core/concurrency.ts';
import { isVbsError } from '../core/errors.ts';
import type { PackId } from '../core/ids.ts';
import { CHUNK_SIZE_BYTES } from '../core/limits.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { FrameEntry } from './format/pack-format.ts';
import { type Address, addressAt, type Page } from './format/page-format.ts';
import type { ManifestReader } from './manifest-reader.ts';
import type { PackIndex } from './pack/pack-index.ts';
import type { WantedSlot } from './pipeline/messages.ts';

/** One read of a pack and what is wanted from it. */
export type Fetch = {
  readonly index: PackIndex;
  readonly bytesOffset: number;
  readonly bytesLength: number;
  readonly frames: readonly { readonly entry: FrameEntry; readonly slots: readonly WantedSlot[] }[];
  /** Chunks that it yields. */
  readonly chunkCount: number;
};

export type FetchPlan = {
  readonly fetches: readonly Fetch[];
  /** Ranges of zeros, ascending, neighbours joined: [offset, length]. */
  readonly zeros: readonly (readonly [number, number])[];
};

/** A read larger than this gains nothing; with the chunks below it bounds the memory of one fetch. */
const FETCH_MAX_BYTES = 4 * 1024 * 1024;
const FETCH_CHUNK_MAX = 128;
/** Reading over a gap of this size is cheaper than a second read. */
const GAP_MAX_BYTES = 128 * 1024;

/**
 * Plans entries [firstEntry, endEntry) of a page whose first chunk is at `pageOffsetBytes`; of those only the ones that
 * `isWanted` takes, when it is given. @throws DATA_CORRUPT
 */
export async function planFetches(
  manifest: ManifestReader,
  page: Page | undefined,
  span: { pageOffsetBytes: number; firstEntry: number; endEntry: number; isWanted?: (entry: number) => boolean },
): Promise<FetchPlan> {
  const { isWanted } = span;
  if (!page && !isWanted) return { fetches: [], zeros: [zeroSpan(manifest.record.sizeBytes, span)] };
  const zeros: [number, number][] = [];
  const wanted = new Map<PackId, Map<number, number[]>>();
  for (let entry = span.firstEntry; entry < span.endEntry; entry += 1) {
    if (isWanted?.(entry) === false) continue;
    const offsetBytes = span.pageOffsetBytes + entry * CHUNK_SIZE_BYTES;
    const lengthBytes = Math.min(CHUNK_SIZE_BYTES, manifest.record.sizeBytes - offsetBytes);
    const address = page && addressAt(page, entry);
    if (address) want(wanted, address, offsetBytes);
    else addZeros(zeros, offsetBytes, lengthBytes);
  }
  await manifest.packsOf([...wanted.keys()]);
  const fetches: Fetch[] = [];
  for (const [packId, slots] of wanted) fetches.push(...planPack(await manifest.indexOf(packId), slots));
  return { fetches, zeros };
}

/**
 * Reads the stored bytes that a fetch is for. When its object is gone because the pack was compacted meanwhile, the
 * same slots are read from the current one, in as many reads as that takes. Once `signal` is aborted it waits for no
 * store that hangs.
 * @throws OBJECT_NOT_FOUND when the current object is missing; DATA_CORRUPT, STORAGE_IO
 */
export async function* readFetch(
  store: ObjectStore,
  manifest: ManifestReader,
  fetch: Fetch,
  signal?: AbortSignal,
): AsyncGenerator<{ readonly fetch: Fetch; readonly bytes: Buffer }, void> {
  const { index, bytesOffset, bytesLength } = fetch;
  let bytes: Buffer;
  try {
    bytes = await raceSignal(store.readRange(index.objectName, bytesOffset, bytesLength, signal), signal);
  } catch (error) {
    if (!isVbsError(error, 'OBJECT_NOT_FOUND')) throw error;
    const current = await manifest.indexAfter(index, error);
    for (const again of planPack(current, wantedSlots(fetch))) yield* readFetch(store, manifest, again, signal);
    return;
  }
  yield { fetch, bytes };
}

function wantedSlots({ frames }: Fetch): Map<number, readonly number[]> {
  const slots = frames.flatMap(({ entry, slots }) =>
    slots.map(({ bit, offsets }) => [entry.firstSlot + bit, offsets] as const),
  );
  return new Map(slots);
}

function zeroSpan(
  sizeBytes: number,
  span: { pageOffsetBytes: number; firstEntry: number; endEntry: number },
): [number, number] {
  const offsetBytes = span.pageOffsetBytes + span.firstEntry * CHUNK_SIZE_BYTES;
  return [offsetBytes, Math.min(span.pageOffsetBytes + span.endEntry * CHUNK_SIZE_BYTES, sizeBytes) - offsetBytes];
}

function want(wanted: Map<PackId, Map<number, number[]>>, address: Address, offsetBytes: number): void {
  let slots = wanted.get(address.packId);
  if (!slots) {
    slots = new Map();
    wanted.set(address.packId, slots);
  }
  const offsets = slots.get(address.slot);
  if (offsets) offsets.push(offsetBytes);
  else slots.set(address.slot, [offsetBytes]);
}

function addZeros(zeros: [number, number][], offsetBytes: number, lengthBytes: number): void {
  const last = zeros.at(-1);
  if (last && last[0] + last[1] === offsetBytes) last[1] += lengthBytes;
  else zeros.push([offsetBytes, lengthBytes]);
}

function planPack(index: PackIndex, slots: ReadonlyMap<number, readonly number[]>): Fetch[] {
  const byFrame = new Map<number, WantedSlot[]>();
  for (const [slot, offsets] of [...slots].sort(([a], [b]) => a - b)) {
    const frameIndex = index.frameIndexOf(slot);
    const bit = slot - (index.frames[frameIndex]?.firstSlot ?? 0);
    const wantedSlot = { bit, digest: index.digestOf(slot), offsets };
    const known = byFrame.get(frameIndex);
    if (known) known.push(wantedSlot);
    else byFrame.set(frameIndex, [wantedSlot]);
  }
  const fetches: { -readonly [Key in keyof Fetch]: Fetch[Key] }[] = [];
  for (const [frameIndex, frameSlots] of byFrame) {
    const entry = index.frames[frameIndex];
    if (!entry) continue;
    const frame = { entry, slots: frameSlots };
    const last = fetches.at(-1);
    const grownBytes = last ? entry.offsetBytes + entry.storedBytes - last.bytesOffset : 0;
    const joins =
      last !== undefined &&
      entry.offsetBytes - (last.bytesOffset + last.bytesLength) <= GAP_MAX_BYTES &&
      grownBytes <= FETCH_MAX_BYTES &&
      last.chunkCount + frameSlots.length <= FETCH_CHUNK_MAX;
    if (joins) {
      last.bytesLength = grownBytes;
      last.frames = [...last.frames, frame];
      last.chunkCount += frameSlots.length;
    } else {
      const { offsetBytes, storedBytes } = entry;
      const chunkCount = frameSlots.length;
      fetches.push({ index, bytesOffset: offsetBytes, bytesLength: storedBytes, frames: [frame], chunkCount });
    }
  }
  return fetches;
}
