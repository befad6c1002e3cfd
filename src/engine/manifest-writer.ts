// Builds the manifest of a backup page by page, in volume order, and shares every page that did not change with the
// parent: an increment costs metadata in proportion to what changed. Pages go into packs of their own.
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { constants, zstdCompressSync } from 'node:zlib';
import { CHUNK_SIZE_BYTES, PAGE_ENTRY_COUNT } from '../core/limits.ts';
import { seal, TAG_SIZE_BYTES } from './crypto/sealing.ts';
import { CODECS, encodeFrameHeader, FRAME_HEADER_SIZE_BYTES } from './format/pack-format.ts';
import {
  type Address,
  addressAt,
  countLevels,
  encodePage,
  PAGE_SIZE_MAX_BYTES,
  type Page,
} from './format/page-format.ts';
import type { ManifestReader } from './manifest-reader.ts';
import type { PackFiller } from './pack/pack-filler.ts';
import type { SharedPage } from './unchanged-parts.ts';
import { isUnreadable, readTwice } from './unreadable.ts';

/** Pages are small and stay long: a little more effort than for chunks costs nothing noticeable. */
const PAGE_COMPRESSION_LEVEL = 3;

export class ManifestWriter {
  readonly #pagePacks: PackFiller;
  readonly #parent: ManifestReader | undefined;
  readonly #levels: number;
  readonly #pageCount: number;
  /** Per level: entries of the page being filled, and the index of that page. */
  readonly #open: { entries: (Address | undefined)[]; pageIndex: number }[];
  #topPage: Buffer | undefined;

  constructor(deps: { pagePacks: PackFiller; parent: ManifestReader | undefined; sizeBytes: number }) {
    this.#pagePacks = deps.pagePacks;
    this.#parent = deps.parent;
    this.#levels = countLevels(deps.sizeBytes);
    this.#pageCount = Math.ceil(deps.sizeBytes / (PAGE_ENTRY_COUNT * CHUNK_SIZE_BYTES));
    this.#open = Array.from({ length: this.#levels }, () => ({ entries: [], pageIndex: 0 }));
  }

  get levels(): number {
    return this.#levels;
  }

  /** Adds the next page of level 0: addresses of its chunks in order, undefined or left out at the end for zeros. */
  async addPage(entries: readonly (Address | undefined)[]): Promise<void> {
    const open = this.#levelAt(0);
    open.entries = [...entries];
    await this.#closePage(0, open.pageIndex === this.#pageCount - 1);
  }

  /** Adds the next page of its level, and all that is below it, as the parent has it. */
  async sharePage({ level, address }: SharedPage): Promise<void> {
    for (let below = 0; below <= level; below += 1) {
      const open = this.#levelAt(below);
      assert(open.entries.length === 0, 'a page is shared whole');
      open.pageIndex += PAGE_ENTRY_COUNT ** (level - below);
    }
    await this.#enterAbove(level, address, this.#levelAt(0).pageIndex >= this.#pageCount);
  }

  /** The top page, once all pages were added: it goes into the record. */
  finish(): Buffer {
    assert(this.#topPage, 'every page of the volume was added');
    return this.#topPage;
  }

  /** Stores the open page of `level` and enters it one level up. */
  async #closePage(level: number, isLast: boolean): Promise<void> {
    const open = this.#levelAt(level);
    if (level === this.#levels - 1) {
      this.#topPage = encodePage(level, open.entries);
      return;
    }
    const address = await this.#storePage(level, open.pageIndex, open.entries);
    open.entries = [];
    open.pageIndex += 1;
    await this.#enterAbove(level, address, isLast);
  }

  async #enterAbove(level: number, address: Address | undefined, isLast: boolean): Promise<void> {
    const above = this.#levelAt(level + 1);
    above.entries.push(address);
    if (isLast || above.entries.length === PAGE_ENTRY_COUNT) await this.#closePage(level + 1, isLast);
  }

  async #storePage(
    level: number,
    pageIndex: number,
    entries: readonly (Address | undefined)[],
  ): Promise<Address | undefined> {
    if (entries.every((entry) => entry === undefined)) return undefined;
    if (await this.#isUnchanged(level, pageIndex, entries)) return this.#parent?.pageAddress(level, pageIndex);
    const plaintext = encodePage(level, entries);
    const pack = await this.#pagePacks.packFor(1, 0, () => Promise.resolve());
    const frame = pack.openFrame([hash('sha256', plaintext, 'buffer')], plaintext.length);
    const compressed = zstdCompressSync(plaintext, {
      chunkSize: PAGE_SIZE_MAX_BYTES,
      params: { [constants.ZSTD_c_compressionLevel]: PAGE_COMPRESSION_LEVEL },
    });
    const isSmaller = compressed.length < plaintext.length;
    const payload = isSmaller ? compressed : plaintext;
    const codec = isSmaller ? CODECS.zstd : CODECS.raw;
    const header = Buffer.alloc(FRAME_HEADER_SIZE_BYTES);
    const payloadBytes = payload.length + TAG_SIZE_BYTES;
    encodeFrameHeader(header, 0, { ordinal: frame.ordinal, firstSlot: frame.firstSlot, mask: 1, codec, payloadBytes });
    const { ciphertext, tag } = seal(pack.key, frame.ordinal, [pack.header, header], payload);
    const bytes = Buffer.concat([header, ciphertext, tag]);
    await pack.appendFrames(bytes, [{ ...frame, storedBytes: bytes.length, codec }]);
    return { packId: pack.location.packId, slot: frame.firstSlot };
  }

  /** True when the parent has a stored page at this place with the same addresses. */
  async #isUnchanged(level: number, pageIndex: number, entries: readonly (Address | undefined)[]): Promise<boolean> {
    const page = await this.#parentPage(level, pageIndex);
    if (!page) return false;
    for (let i = 0; i < PAGE_ENTRY_COUNT; i += 1) {
      const before = addressAt(page, i);
      const now = entries[i];
      if (before?.packId !== now?.packId || before?.slot !== now?.slot) return false;
    }
    return true;
  }

  /** The parent's page, if it is stored and sound: one that cannot be read is never shared, it is stored anew. */
  async #parentPage(level: number, pageIndex: number): Promise<Page | undefined> {
    try {
      return await readTwice(async () => {
        const address = await this.#parent?.pageAddress(level, pageIndex);
        return address && (await this.#parent?.pageAt(level, pageIndex));
      });
    } catch (error) {
      if (isUnreadable(error)) return undefined;
      throw error;
    }
  }

  #levelAt(level: number): { entries: (Address | undefined)[]; pageIndex: number } {
    const open = this.#open[level];
    assert(open, 'levels run from 0 to the top');
    return open;
  }
}
