// Finds chunks that the project has already: of this job in memory, of everything else by the sparse index
// (docs/repository-format.md). Duplicates come in runs, so a few hooks a segment lead to the packs that hold the rest
// of the run.
import { bitmapHas } from '../core/bitmap.ts';
import { isVbsError } from '../core/errors.ts';
import type { PackId } from '../core/ids.ts';
import type { Hook, JobClaim, PackLocation, PackUse } from '../core/ledger.ts';
import { DEDUP_CANDIDATE_MAX, PACK_SLOT_COUNT_MAX } from '../core/limits.ts';
import { DigestTable, RecentDigests } from './chunk/digest-table.ts';
import { deriveHook, hookText, isHook } from './chunk/hook.ts';
import { HookTable } from './chunk/hook-table.ts';
import type { Address } from './format/page-format.ts';
import type { PackIndex } from './pack/pack-index.ts';
import type { OpenProject, Repository } from './repository.ts';

/** Digests of this job kept exactly: 16 GiB of new data in 13 MiB of memory. Older ones are found by their hooks. */
const RECENT_DIGEST_COUNT = 262_144;
/** Digests of an earlier, cut short attempt kept exactly: 32 GiB in 26 MiB of memory. */
const RESUMED_DIGEST_MAX = 524_288;
/** Segments for which a pack that matched stays a candidate: 64 MiB of volume. */
const CARRIED_SEGMENT_COUNT = 16;
const SLOTS_PER_PACK = 65_536;

/** A durable pack of an earlier attempt: what the commit says of it. */
export type ResumedPack = { readonly slotCount: number; readonly storedBytes: number };
export type HookEntry = { readonly hook: Hook; readonly packId: PackId };

export class DedupIndex {
  readonly #repository: Repository;
  readonly #project: OpenProject;
  readonly #claim: JobClaim;
  /** Packs by the small number under which digests name them. */
  readonly #packs: { readonly location: PackLocation; readonly isOwn: boolean }[] = [];
  readonly #numberOf = new Map<PackId, number>();
  readonly #recent = new RecentDigests(RECENT_DIGEST_COUNT);
  #resumed: DigestTable | undefined;
  /** Hooks of the chunks that this job stored, for its own look-ups and for the catalog after the commit. */
  readonly #ownHooks = new HookTable();
  /** Candidates of earlier segments and for how many more they stay, most recent last. */
  readonly #carried = new Map<number, number>();
  /** Outcome of entering a use, by pack. */
  readonly #uses = new Map<PackId, PackUse | undefined>();
  readonly #resumedPacks = new Map<PackId, ResumedPack>();

  constructor(deps: { repository: Repository; project: OpenProject; claim: JobClaim }) {
    this.#repository = deps.repository;
    this.#project = deps.project;
    this.#claim = deps.claim;
  }

  /** Hooks of the chunks that this job stored. */
  *newHooks(): Generator<HookEntry, void> {
    for (const { hook, packNumber } of this.#ownHooks.entries()) {
      const pack = this.#packs[packNumber];
      if (pack) yield { hook: hookText(hook), packId: pack.location.packId };
    }
  }

  /** Packs of other jobs that chunks were taken from. */
  get usedPackIds(): PackId[] {
    return [...this.#uses].filter(([, use]) => use !== undefined).map(([packId]) => packId);
  }

  /** The pack of an earlier attempt, if `packId` is one. */
  resumedPack(packId: PackId): ResumedPack | undefined {
    return this.#resumedPacks.get(packId);
  }

  /** Takes up what earlier attempts of this job made durable. */
  async resume(): Promise<void> {
    const packs = await this.#repository.ledger.listOwnPacks(this.#claim);
    const locations = packs.filter((pack) => pack.kind === 'data');
    // One trailer at a time: a job that was cut short may own thousands of packs.
    for (const location of locations) {
      const index = await this.#tryIndex(location);
      if (!index || !(await this.#isDurable(index))) continue;
      this.#resumed ??= new DigestTable(Math.min(locations.length * PACK_SLOT_COUNT_MAX, RESUMED_DIGEST_MAX));
      const { slotCount, storedBytes } = index;
      this.#resumedPacks.set(location.packId, { slotCount, storedBytes });
      this.#resumePack(index, this.#resumed);
    }
  }

  /** A chunk that this job has stored, exactly and in memory. */
  findOwn(digests: Buffer, offset: number): Address | undefined {
    const value = this.#recent.find(digests, offset) ?? this.#resumed?.find(digests, offset);
    return value === undefined ? undefined : this.#addressOf(value);
  }

  /** Remembers a chunk that this job is about to store. */
  remember(digests: Buffer, offset: number, location: PackLocation, slot: number): void {
    const packNumber = this.#register(location, true);
    this.#recent.insert(digests, offset, packNumber * SLOTS_PER_PACK + slot);
    this.#noteHook(digests, offset, packNumber);
  }

  /**
   * Looks for chunks of one segment in the packs that its hooks lead to; `offsets` are those of the digests not found
   * otherwise. The answer stands in their order. Uses are entered for packs of other jobs.
   */
  async findElsewhere(digests: Buffer, offsets: readonly number[]): Promise<(Address | undefined)[]> {
    const candidates = await this.#candidates(digests, offsets);
    const found = new Array<Address | undefined>(offsets.length).fill(undefined);
    for (const { packNumber, index } of candidates) {
      const hits = offsets.flatMap((offset, i) => {
        const slot = found[i] ? undefined : index.findSlot(digests, offset);
        return slot === undefined ? [] : [{ i, slot, offset }];
      });
      if (hits.length === 0) continue;
      const usable = await this.#enterUse(packNumber, index);
      if (!usable) continue;
      this.#carry(packNumber);
      for (const { i, slot, offset } of hits) {
        const isSound = !bitmapHas(usable.condemned, slot) && !bitmapHas(usable.bad, slot);
        if (isSound && usable.index.matches(slot, digests, offset)) {
          found[i] = { packId: index.location.packId, slot };
        }
      }
    }
    return found;
  }

  async #candidates(digests: Buffer, offsets: readonly number[]): Promise<{ packNumber: number; index: PackIndex }[]> {
    const hooks = offsets.filter((offset) => isHook(digests, offset)).map((offset) => this.#hookOf(digests, offset));
    const numbers = new Set<number>();
    for (const hook of hooks) for (const packNumber of this.#ownHooks.find(hook)) numbers.add(packNumber);
    if (hooks.length > 0) {
      const { projectId } = this.#project;
      const byHook = await this.#repository.ledger.findPacksByHooks(projectId, hooks.map(hookText));
      const packIds = [...new Set([...byHook.values()].flat())].filter((packId) => !this.#numberOf.has(packId));
      const located = packIds.length > 0 ? await this.#locate(packIds) : [];
      for (const location of located) this.#register(location, false);
      for (const packId of [...byHook.values()].flat()) {
        const packNumber = this.#numberOf.get(packId);
        if (packNumber !== undefined) numbers.add(packNumber);
      }
    }
    for (const packNumber of [...this.#carried.keys()].reverse()) numbers.add(packNumber);
    this.#age();
    const candidates: { packNumber: number; index: PackIndex }[] = [];
    for (const packNumber of [...numbers].slice(0, DEDUP_CANDIDATE_MAX)) {
      const pack = this.#packs[packNumber];
      const index = pack && (await this.#tryIndex(pack.location));
      if (index) candidates.push({ packNumber, index });
    }
    return candidates;
  }

  #locate(packIds: readonly PackId[]): Promise<readonly PackUse[]> {
    return this.#repository.ledger.locatePacks(this.#project.projectId, packIds);
  }

  /** The trailer, or undefined when it cannot be had now: deduplication is a chance, never a duty. */
  async #tryIndex(location: PackLocation): Promise<PackIndex | undefined> {
    try {
      return await this.#repository.packIndex(this.#project, location);
    } catch (error) {
      if (isVbsError(error, 'OBJECT_NOT_FOUND')) return await this.#tryCurrent(location);
      this.#repository.logger.warn({ err: error, packId: location.packId }, 'a pack was passed over in deduplication');
      return undefined;
    }
  }

  /** The object is missing: was the pack compacted? One of this job that is not durable yet is simply not there. */
  async #tryCurrent({ packId, objectId }: PackLocation): Promise<PackIndex | undefined> {
    const [current] = await this.#locate([packId]);
    if (!current || current.objectId === objectId) return undefined;
    const packNumber = this.#numberOf.get(packId);
    const known = packNumber === undefined ? undefined : this.#packs[packNumber];
    if (packNumber !== undefined && known) this.#packs[packNumber] = { ...known, location: current };
    return await this.#tryIndex(current);
  }

  /** The attempt that stored the pack may have died when it was to be seen and not yet sure to stay. */
  async #isDurable({ objectName, location }: PackIndex): Promise<boolean> {
    try {
      await this.#repository.store.ensureDurable(objectName);
      return true;
    } catch (error) {
      this.#repository.logger.warn({ err: error, packId: location.packId }, 'a pack of an earlier attempt is not used');
      return false;
    }
  }

  /** What may be taken from the pack: own packs whole, others as the transaction that enters the use tells. */
  async #enterUse(
    packNumber: number,
    index: PackIndex,
  ): Promise<{ index: PackIndex; condemned: Uint8Array | null; bad: Uint8Array | null } | undefined> {
    const { packId } = index.location;
    if (this.#packs[packNumber]?.isOwn) return { index, condemned: null, bad: null };
    if (!this.#uses.has(packId)) this.#uses.set(packId, await this.#repository.ledger.usePack(this.#claim, packId));
    const use = this.#uses.get(packId);
    if (!use) return undefined;
    // Compacted between look-up and use: only what the current object holds counts.
    const current = use.objectId === index.location.objectId ? index : await this.#tryIndex(use);
    return current && { index: current, condemned: use.condemned, bad: use.bad };
  }

  #register(location: PackLocation, isOwn: boolean): number {
    const known = this.#numberOf.get(location.packId);
    if (known !== undefined) return known;
    this.#packs.push({ location, isOwn });
    this.#numberOf.set(location.packId, this.#packs.length - 1);
    return this.#packs.length - 1;
  }

  #resumePack(index: PackIndex, resumed: DigestTable): void {
    const packNumber = this.#register(index.location, true);
    index.forEachDigest((slot, digests, offset) => {
      if (!resumed.isFull) resumed.insert(digests, offset, packNumber * SLOTS_PER_PACK + slot);
      this.#noteHook(digests, offset, packNumber);
    });
  }

  #noteHook(digests: Buffer, offset: number, packNumber: number): void {
    if (isHook(digests, offset)) this.#ownHooks.insert(this.#hookOf(digests, offset), packNumber);
  }

  #hookOf(digests: Buffer, offset: number): bigint {
    return deriveHook(this.#project.hookKey, digests, offset);
  }

  #addressOf(value: number): Address | undefined {
    const pack = this.#packs[Math.floor(value / SLOTS_PER_PACK)];
    return pack && { packId: pack.location.packId, slot: value % SLOTS_PER_PACK };
  }

  #carry(packNumber: number): void {
    this.#carried.delete(packNumber);
    this.#carried.set(packNumber, CARRIED_SEGMENT_COUNT);
    for (const oldest of this.#carried.keys()) {
      if (this.#carried.size <= DEDUP_CANDIDATE_MAX) break;
      this.#carried.delete(oldest);
    }
  }

  #age(): void {
    for (const [packNumber, rest] of this.#carried) {
      if (rest <= 1) this.#carried.delete(packNumber);
      else this.#carried.set(packNumber, rest - 1);
    }
  }
}
