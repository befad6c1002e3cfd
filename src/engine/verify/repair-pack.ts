// Gives the bad slots of one pack their contents back, as far as those are found: the pack is written anew as another
// object, as a compaction does it. Slots keep their numbers, so every backup that needs them is mended at once.
import { bitmapHas, listBits, makeBitmap, setBit } from '../../core/bitmap.ts';
import type { LivePack, PackUse } from '../../core/ledger.ts';
import type { FrameEntry } from '../format/pack-format.ts';
import { type PackIndex, readPackIndex } from '../pack/pack-index.ts';
import { bitsOf } from '../pipeline/reseal-work.ts';
import { compactPack, type Healing } from '../prune/compact-pack.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { isUnreadable, readTwice } from '../unreadable.ts';
import { type Contents, findCopies, matchVolumes, type OpenVolume, salvageFrame } from './content-sources.ts';
import type { DamageFinder } from './damaged-backups.ts';
import { rebuildIndex } from './rebuild-index.ts';

export type PackRepair = {
  /** Slots that have their contents again. */
  readonly healedCount: number;
  /** Slots that nobody has the content of; when it turns up they can be healed still. */
  readonly lostCount: number;
  readonly isTrailerRebuilt: boolean;
};

export type RepairSources = {
  readonly finder: DamageFinder;
  readonly openVolume: OpenVolume;
  readonly signal: AbortSignal;
};

/** `pack` as it is now, its bad slots known one by one. @throws STORAGE_FULL, STORAGE_IO, EPOCH_CONFLICT */
export async function repairPack(
  repository: Repository,
  project: OpenProject,
  pack: PackUse & Pick<LivePack, 'slotCount'>,
  sources: RepairSources,
): Promise<PackRepair> {
  const bad = listBits(pack.bad).filter((slot) => !bitmapHas(pack.condemned, slot));
  const nothing = { healedCount: 0, lostCount: bad.length, isTrailerRebuilt: false };
  const whole = await tryIndex(repository, project, pack);
  const index = whole ?? (await rebuildIndex(repository, project, pack));
  if (!index) return nothing;
  const known = bad.filter((slot) => index.hasSlot(slot));
  const found = whole ? await gather(repository, project, { index, slots: known, pack }, sources) : undefined;
  // Frames of a rebuilt trailer are those that can be opened: their slots are as good as ever.
  const healedSlots = found ? known.filter((slot) => found.contents.has(slot)) : known;
  if (healedSlots.length === 0 || found?.isStuck) return nothing;
  const healed = makeBitmap(Math.max(...healedSlots) + 1);
  for (const slot of healedSlots) setBit(healed, slot);
  const healing: Healing = {
    index,
    healed,
    replace: (entry, keptSlots) =>
      found ? replaceFrame(index, entry, keptSlots, { found, bad: pack.bad }) : undefined,
  };
  const { outcome } = await compactPack(repository, project, pack.packId, sources.signal, { healing });
  if (outcome !== 'compacted') return nothing;
  const healedCount = healedSlots.length;
  return { healedCount, lostCount: bad.length - healedCount, isTrailerRebuilt: whole === undefined };
}

async function tryIndex(repository: Repository, project: OpenProject, pack: PackUse): Promise<PackIndex | undefined> {
  try {
    return await readTwice(() => readPackIndex(repository.store, project.keys, project, pack));
  } catch (error) {
    if (isUnreadable(error)) return undefined;
    throw error;
  }
}

type Found = {
  readonly contents: Contents;
  /** A frame that the medium does not give is not to be written over while any of it is missing: it may come back. */
  readonly isStuck: boolean;
};

async function gather(
  repository: Repository,
  project: OpenProject,
  wanted: { readonly index: PackIndex; readonly slots: readonly number[]; readonly pack: PackUse },
  { finder, openVolume, signal }: RepairSources,
): Promise<Found> {
  const { index, slots, pack } = wanted;
  const contents: Contents = new Map();
  const unread: FrameEntry[] = [];
  const keep = (more: Contents): void => {
    for (const [slot, content] of more) contents.set(slot, content);
  };
  const missing = () => slots.filter((slot) => !contents.has(slot));
  for (const frameIndex of new Set(slots.map((slot) => index.frameIndexOf(slot)))) {
    const entry = index.frames[frameIndex];
    if (!entry) continue;
    signal.throwIfAborted();
    const { contents: salvaged, isRead } = await salvageFrame(repository, index, entry);
    keep(salvaged);
    if (!isRead) unread.push(entry);
  }
  if (pack.kind === 'data') {
    const places = new Map(missing().map((slot) => [slot, finder.placesOf({ packId: pack.packId, slot })]));
    keep(await matchVolumes(repository, index, places, { openVolume, signal }));
  }
  if (missing().length > 0) keep(await findCopies(repository, project, index, missing(), signal));
  const isNeeded = (slot: number) => !bitmapHas(pack.condemned, slot);
  const isStuck = unread.some((entry) => slotsOf(entry).some((slot) => isNeeded(slot) && !contents.has(slot)));
  return { contents, isStuck };
}

/** Undefined for a frame that has no bad slot: it is taken as it is. */
function replaceFrame(
  index: PackIndex,
  entry: FrameEntry,
  keptSlots: readonly number[],
  { found, bad }: { readonly found: Found; readonly bad: Uint8Array | null },
): Uint8Array | undefined {
  if (!slotsOf(entry).some((slot) => bitmapHas(bad, slot))) return undefined;
  // A slot that nobody has the content of keeps its place and its digest, and stays bad: zeros do not have that digest.
  const zeros = (slot: number) => new Uint8Array(index.plaintextBytesOf(slot));
  return Buffer.concat(keptSlots.map((slot) => found.contents.get(slot) ?? zeros(slot)));
}

function slotsOf({ firstSlot, mask }: FrameEntry): number[] {
  return bitsOf(mask).map((bit) => firstSlot + bit);
}
