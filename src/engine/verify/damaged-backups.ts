// Which backups lead to slots that are bad, and where on their disks. Pages that backups share are looked at once.
import { bitmapHas } from '../../core/bitmap.ts';
import type { PackId, VolumeId } from '../../core/ids.ts';
import type { RootBackup } from '../../core/ledger.ts';
import { CHUNK_SIZE_BYTES, PAGE_ENTRY_COUNT } from '../../core/limits.ts';
import { type Address, addressAt, type Page } from '../format/page-format.ts';
import { readPage, readRecord } from '../manifest-objects.ts';
import { PackAccess } from '../pack/pack-access.ts';
import { SlotMarks } from '../prune/slot-marks.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { isUnreadable } from '../unreadable.ts';
import { isDistrusted } from './verify-pack.ts';

export type BadSlots = ReadonlyMap<PackId, Uint8Array>;

/** A place on a disk that a bad slot was read from once. */
export type Place = { readonly volumeId: VolumeId; readonly offsetBytes: number };

export type DamagedBackup = { readonly root: RootBackup; readonly reason: string };

/** Places remembered for each slot: the same chunk lies elsewhere too when one of them was written over. */
const PLACE_MAX = 8;

export class DamageFinder {
  readonly #repository: Repository;
  readonly #project: OpenProject;
  readonly #packs: PackAccess;
  readonly #bad: BadSlots;
  readonly #signal: AbortSignal;
  /** Pages all below which is sound, and pages below which it is not. */
  readonly #sound = new SlotMarks();
  readonly #tainted = new SlotMarks();
  readonly #places = new Map<string, Place[]>();

  constructor(repository: Repository, project: OpenProject, bad: BadSlots, signal: AbortSignal) {
    this.#repository = repository;
    this.#project = project;
    this.#packs = new PackAccess(repository, project);
    this.#bad = bad;
    this.#signal = signal;
  }

  /**
   * Those of the backups that cannot be restored. One that is deleted meanwhile is none of them.
   * @throws STORAGE_IO when the store as a whole does not answer
   */
  async find(roots: readonly RootBackup[]): Promise<DamagedBackup[]> {
    const found: DamagedBackup[] = [];
    for (const root of roots) {
      if (root.isBeingDeleted) continue;
      this.#signal.throwIfAborted();
      const reason = await this.#check(root);
      if (reason !== undefined && (await this.#isRoot(root))) found.push({ root, reason });
    }
    return found;
  }

  /** Where the content of a bad slot stood, in backups that were found damaged. */
  placesOf({ packId, slot }: Address): readonly Place[] {
    return this.#places.get(`${packId}/${slot}`) ?? [];
  }

  async #check(root: RootBackup): Promise<string | undefined> {
    const { store } = this.#repository;
    try {
      const { topPage } = await readRecord(store, this.#project, root, root.recordSha256);
      const first = await this.#walk(topPage, { volumeId: root.volumeId, offsetBytes: 0 });
      return first && `chunks or pages of it cannot be read, first slot ${first.slot} of pack ${first.packId}`;
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** The first bad slot below the page; places are noted on the way. */
  async #walk(page: Page, place: Place): Promise<Address | undefined> {
    this.#signal.throwIfAborted();
    const entryBytes = CHUNK_SIZE_BYTES * PAGE_ENTRY_COUNT ** page.level;
    let first: Address | undefined;
    for (let entry = 0; entry < PAGE_ENTRY_COUNT; entry += 1) {
      const address = addressAt(page, entry);
      if (!address) continue;
      const below = { ...place, offsetBytes: place.offsetBytes + entry * entryBytes };
      const found = page.level === 0 ? this.#checkSlot(address, below) : await this.#checkPage(address, page, below);
      first ??= found;
    }
    return first;
  }

  #checkSlot(address: Address, place: Place): Address | undefined {
    if (!bitmapHas(this.#bad.get(address.packId), address.slot)) return undefined;
    const key = `${address.packId}/${address.slot}`;
    const places = this.#places.get(key) ?? [];
    this.#places.set(key, places);
    const isKnown = places.some((it) => it.volumeId === place.volumeId && it.offsetBytes === place.offsetBytes);
    if (!isKnown && places.length < PLACE_MAX) places.push(place);
    return address;
  }

  async #checkPage(address: Address, { level }: Page, place: Place): Promise<Address | undefined> {
    if (this.#sound.has(address)) return undefined;
    if (this.#tainted.has(address)) return address;
    const found = await this.#lookInto(address, level - 1, place);
    if (found) this.#tainted.mark(address);
    else this.#sound.mark(address);
    return found;
  }

  async #lookInto(address: Address, level: number, place: Place): Promise<Address | undefined> {
    if (bitmapHas(this.#bad.get(address.packId), address.slot)) return address;
    try {
      return await this.#walk(await readPage(this.#repository.store, this.#packs, address, level), place);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      return address;
    }
  }

  async #isRoot(root: RootBackup): Promise<boolean> {
    const roots = await this.#repository.ledger.listRoots(this.#project.projectId);
    return roots.some(({ attemptId, isBeingDeleted }) => attemptId === root.attemptId && !isBeingDeleted);
  }
}

/** Slots known to be bad, by pack. A pack that was merely distrusted says nothing about single slots yet. */
export async function readBadSlots(
  repository: Repository,
  { projectId }: OpenProject,
): Promise<Map<PackId, Uint8Array>> {
  const { ledger } = repository;
  const packs = await ledger.locatePacks(projectId, await ledger.listDamagedPacks(projectId));
  const bad = new Map<PackId, Uint8Array>();
  for (const pack of packs) if (pack.bad && !isDistrusted(pack.bad)) bad.set(pack.packId, pack.bad);
  return bad;
}

/**
 * Marks exactly the backups that lead to bad slots. Whoever calls it has noted the slots before: a backup that is
 * committed from then on is found by the next call.
 */
export async function markDamagedBackups(
  repository: Repository,
  project: OpenProject,
  signal: AbortSignal,
): Promise<{ readonly damaged: readonly DamagedBackup[]; readonly finder: DamageFinder }> {
  const { ledger, clock, logger } = repository;
  const { projectId } = project;
  const bad = await readBadSlots(repository, project);
  const finder = new DamageFinder(repository, project, bad, signal);
  const roots = bad.size === 0 ? [] : await ledger.listRoots(projectId);
  const damaged = await finder.find(roots);
  const known = new Set((await ledger.listDamagedBackups(projectId)).map(({ attemptId }) => attemptId));
  for (const { root, reason } of damaged) {
    const { backupId, attemptId } = root;
    if (known.has(attemptId)) continue;
    await ledger.noteBackup(projectId, { backupId, attemptId, isSound: false, reason }, clock.now());
    logger.error({ projectId, backupId, reason }, 'a backup is damaged');
  }
  return { damaged, finder };
}
