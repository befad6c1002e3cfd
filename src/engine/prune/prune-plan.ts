// What prune would do with packs, decided from their rows and the marks alone: no store, no catalog, no clock.
import { bitmapEnd, countBitmap, countCommon, uniteWithUnmarked } from '../../core/bitmap.ts';
import type { PackId } from '../../core/ids.ts';
import type { LivePack } from '../../core/ledger.ts';

export type PruneInput = {
  readonly packs: readonly LivePack[];
  /** Slots of a pack that some root leads to; null when there are none. */
  readonly markedOf: (packId: PackId) => Uint8Array | null;
  /** A pack is written anew when this part of what its object holds is dead: half costs a byte for a byte. */
  readonly compactShare: number;
};

/**
 * - `retire`: nothing in it is needed; its object goes whole.
 * - `compact`: dead slots enough to write it anew.
 * - `condemn`: some more slots are dead, which is noted and waits.
 * - `pass-over`: a job uses it; the next prune looks again.
 */
export type PruneAction = 'retire' | 'compact' | 'condemn' | 'pass-over';

export type PlannedPack = {
  readonly packId: PackId;
  readonly kind: 'data' | 'page';
  readonly action: PruneAction;
  /** Dead slots that are not condemned yet. */
  readonly newlyDeadCount: number;
  /** Dead slots that the current object still holds. */
  readonly deadCount: number;
  /** Slots that the current object holds. */
  readonly presentCount: number;
  /** What the action gives back: exact for `retire`, for `compact` as if all slots were of a size, else 0. */
  readonly freedBytes: number;
  /** Nobody should enter a new use of it: it is worth emptying. */
  readonly closesWhenUsed: boolean;
};

export type PrunePlan = {
  /** Packs that something is to be done with, in the order of the input. */
  readonly packs: readonly PlannedPack[];
  readonly freedBytes: number;
  /**
   * Packs with a slot that is marked and condemned, or marked and never given. Nothing is planned for them. When all
   * that was marked is still a root, a rule was broken, and nothing at all may be done.
   */
  readonly contradicted: readonly PackId[];
};

export function planPrune(input: PruneInput): PrunePlan {
  const contradicted = input.packs.filter((pack) => contradicts(pack, input.markedOf(pack.packId)));
  const sound = input.packs.filter((pack) => !contradicted.includes(pack));
  const packs = sound.flatMap((pack) => planPack(input, pack) ?? []);
  const freedBytes = packs.reduce((total, pack) => total + pack.freedBytes, 0);
  return { packs, freedBytes, contradicted: contradicted.map((pack) => pack.packId) };
}

function contradicts(pack: LivePack, marked: Uint8Array | null): boolean {
  return bitmapEnd(marked) > pack.slotCount || countCommon(marked, pack.condemned) > 0;
}

function planPack(input: PruneInput, pack: LivePack): PlannedPack | undefined {
  const { packId, kind, condemned, slotCount, droppedCount, storedBytes, isInUse } = pack;
  const marked = input.markedOf(packId);
  const dead = uniteWithUnmarked(condemned, marked, slotCount);
  const totalDead = countBitmap(dead);
  const newlyDeadCount = totalDead - countBitmap(condemned);
  const presentCount = slotCount - droppedCount;
  const deadCount = totalDead - droppedCount;
  const isEmpty = totalDead === slotCount;
  const isWorthIt = isEmpty || (deadCount > 0 && deadCount >= presentCount * input.compactShare);
  const action = chooseAction({ isEmpty, isWorthIt, isInUse, newlyDeadCount });
  if (!action) return undefined;
  const freedBytes =
    action === 'retire' ? storedBytes : action === 'compact' ? Math.floor((storedBytes * deadCount) / presentCount) : 0;
  return { packId, kind, action, newlyDeadCount, deadCount, presentCount, freedBytes, closesWhenUsed: isWorthIt };
}

function chooseAction(pack: {
  isEmpty: boolean;
  isWorthIt: boolean;
  isInUse: boolean;
  newlyDeadCount: number;
}): PruneAction | undefined {
  // Slots condemned before may be left out of the object whoever uses the pack: a use tells which they are.
  if (pack.isInUse && pack.newlyDeadCount > 0) return 'pass-over';
  if (pack.isEmpty) return 'retire';
  if (pack.isWorthIt) return 'compact';
  return pack.newlyDeadCount > 0 ? 'condemn' : undefined;
}

export type PlannedCompaction = {
  readonly packId: PackId;
  /** As if all slots were of a size. */
  readonly freedBytes: number;
  readonly writtenBytes: number;
};

/** Packs worth writing anew for what is condemned in them already, the most profitable first. */
export function planCompactions(packs: readonly LivePack[], compactShare: number): PlannedCompaction[] {
  const planned = packs.flatMap((pack) => {
    const presentCount = pack.slotCount - pack.droppedCount;
    const deadCount = countBitmap(pack.condemned) - pack.droppedCount;
    const isWorthIt = deadCount > 0 && deadCount < presentCount && deadCount >= presentCount * compactShare;
    if (!isWorthIt) return [];
    const freedBytes = Math.floor((pack.storedBytes * deadCount) / presentCount);
    return [{ packId: pack.packId, freedBytes, writtenBytes: pack.storedBytes - freedBytes }];
  });
  return planned.sort((a, b) => b.freedBytes / b.writtenBytes - a.freedBytes / a.writtenBytes);
}
