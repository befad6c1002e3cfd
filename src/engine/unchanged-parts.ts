// What of a volume is known to be as in the parent without reading it: whole pages are taken over at every level, and
// of the others only the chunks that changed are read. Slots that were found bad are read again wherever they are.
import { bitmapHas } from '../core/bitmap.ts';
import type { PackId } from '../core/ids.ts';
import { PAGE_ENTRY_COUNT } from '../core/limits.ts';
import type { Logger } from '../core/ports.ts';
import type { ChunkSet } from '../volumes/chunk-set.ts';
import { type Address, addressAt, type Page } from './format/page-format.ts';
import type { ManifestReader } from './manifest-reader.ts';
import { isUnreadable, readTwice } from './unreadable.ts';

/** A page of the parent that the backup shares with all that is below it; no address means zeros. */
export type SharedPage = { readonly level: number; readonly address: Address | undefined };

/** A page of which some chunks are read; the others keep the address that they have in the parent. */
export type BasePage = {
  mustRead(entry: number): boolean;
  /** Of an entry that need not be read; undefined for zeros. */
  addressOf(entry: number): Address | undefined;
};

export class UnchangedParts {
  readonly #parent: ManifestReader;
  readonly #changed: ChunkSet;
  readonly #damagedPackIds: ReadonlySet<PackId>;
  readonly #logger: Logger;

  constructor(deps: {
    readonly parent: ManifestReader;
    readonly changed: ChunkSet;
    readonly damagedPackIds: ReadonlySet<PackId>;
    readonly logger: Logger;
  }) {
    this.#parent = deps.parent;
    this.#changed = deps.changed;
    this.#damagedPackIds = deps.damagedPackIds;
    this.#logger = deps.logger;
  }

  /** The largest unchanged page that begins with page `pageIndex` of level 0; undefined when that one changed. */
  async sharedPageAt(pageIndex: number): Promise<SharedPage | undefined> {
    // Which pages lead to bad slots is only known by reading them all.
    if (this.#damagedPackIds.size > 0) return undefined;
    const level = this.#findUnchangedLevel(pageIndex);
    if (level < 0) return undefined;
    const index = pageIndex / PAGE_ENTRY_COUNT ** level;
    const found = await this.#tryParent(async () => ({ address: await this.#parent.pageAddress(level, index) }));
    return found && { level, address: found.address };
  }

  /** -1 when page `pageIndex` of level 0 changed. The top page has no address: it is made anew for each backup. */
  #findUnchangedLevel(pageIndex: number): number {
    let unchangedLevel = -1;
    for (let level = 0; level < this.#parent.record.levels - 1; level += 1) {
      const pageCount = PAGE_ENTRY_COUNT ** level;
      const isAligned = pageIndex % pageCount === 0;
      if (!isAligned || this.#changed.hasAny(pageIndex * PAGE_ENTRY_COUNT, pageCount * PAGE_ENTRY_COUNT)) break;
      unchangedLevel = level;
    }
    return unchangedLevel;
  }

  /** Undefined when the parent cannot be read here: then all of the page is read from the disk. */
  async basePageAt(pageIndex: number): Promise<BasePage | undefined> {
    return await this.#tryParent(async () => {
      const page = await this.#parent.pageAt(0, pageIndex);
      const isBad = await this.#findBadSlots(page);
      const firstChunk = pageIndex * PAGE_ENTRY_COUNT;
      const addressOf = (entry: number) => page && addressAt(page, entry);
      return { addressOf, mustRead: (entry) => this.#changed.has(firstChunk + entry) || isBad(addressOf(entry)) };
    });
  }

  async #findBadSlots(page: Page | undefined): Promise<(address: Address | undefined) => boolean> {
    const packIds = page?.packIds.filter((packId) => this.#damagedPackIds.has(packId)) ?? [];
    if (packIds.length === 0) return () => false;
    const badOf = new Map((await this.#parent.packsOf(packIds)).map((pack) => [pack.packId, pack.bad]));
    return (address) => address !== undefined && bitmapHas(badOf.get(address.packId) ?? null, address.slot);
  }

  async #tryParent<T>(read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await readTwice(read);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      const { backupId } = this.#parent.record;
      this.#logger.error({ err: error, backupId }, 'the parent is damaged here; the disk is read instead');
      return undefined;
    }
  }
}
