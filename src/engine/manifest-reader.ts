// Reads the manifest of a committed backup: its record and, page by page, the addresses of its chunks.
import type { PackId } from '../core/ids.ts';
import type { CommittedBackup, PackUse } from '../core/ledger.ts';
import { CHUNK_SIZE_BYTES, PAGE_ENTRY_COUNT } from '../core/limits.ts';
import { type Address, addressAt, type Page } from './format/page-format.ts';
import type { BackupRecord } from './format/record-format.ts';
import { readPage, readRecord } from './manifest-objects.ts';
import { PackAccess } from './pack/pack-access.ts';
import type { PackIndex } from './pack/pack-index.ts';
import type { OpenProject, Repository } from './repository.ts';

export class ManifestReader {
  readonly record: BackupRecord;
  readonly #repository: Repository;
  readonly #topPage: Page;
  readonly #pages = new Map<string, Promise<Page>>();
  readonly #packs: PackAccess;

  private constructor(repository: Repository, project: OpenProject, opened: { record: BackupRecord; topPage: Page }) {
    this.#repository = repository;
    this.#packs = new PackAccess(repository, project);
    this.record = opened.record;
    this.#topPage = opened.topPage;
  }

  /**
   * Opens the record that the catalog committed. The caller holds a pin.
   * @throws DATA_CORRUPT when the record is not the committed one, bit by bit; OBJECT_NOT_FOUND; STORAGE_IO
   */
  static async open(repository: Repository, project: OpenProject, backup: CommittedBackup): Promise<ManifestReader> {
    const opened = await readRecord(repository.store, project, backup, backup.recordSha256);
    return new ManifestReader(repository, project, opened);
  }

  get chunkCount(): number {
    return Math.ceil(this.record.sizeBytes / CHUNK_SIZE_BYTES);
  }

  /** Pages of level 0, present or zero. */
  get pageCount(): number {
    return Math.ceil(this.chunkCount / PAGE_ENTRY_COUNT);
  }

  /** The page at `index` of `level`, or undefined when all it would map is zeros (or beyond the backup's end). */
  async pageAt(level: number, index: number): Promise<Page | undefined> {
    const topLevel = this.record.levels - 1;
    if (level > topLevel) return undefined;
    if (level === topLevel) return index === 0 ? this.#topPage : undefined;
    const address = await this.pageAddress(level, index);
    return address && this.#loadPage(address, level);
  }

  /** Where the page at `index` of `level` is stored; undefined for zeros and for the top page (it is in the record). */
  async pageAddress(level: number, index: number): Promise<Address | undefined> {
    if (level >= this.record.levels - 1) return undefined;
    const parent = await this.pageAt(level + 1, Math.floor(index / PAGE_ENTRY_COUNT));
    return parent && addressAt(parent, index % PAGE_ENTRY_COUNT);
  }

  /** Rows of packs, asked for in one query; kept for this reader's life. @throws DATA_CORRUPT */
  packsOf(packIds: readonly PackId[]): Promise<PackUse[]> {
    return this.#packs.packsOf(packIds);
  }

  /** The trailer of a pack's current object; a pack that was compacted meanwhile is looked up again. */
  indexOf(packId: PackId): Promise<PackIndex> {
    return this.#packs.read(packId, async (index) => index);
  }

  /** The same once the object of `missed` proved to be gone. @throws `error` when that is still the current one */
  indexAfter(missed: PackIndex, error: unknown): Promise<PackIndex> {
    return this.#packs.readAfter(missed, error);
  }

  #loadPage(address: Address, level: number): Promise<Page> {
    const key = `${address.packId}/${address.slot}`;
    const known = this.#pages.get(key);
    if (known) return known;
    const page = readPage(this.#repository.store, this.#packs, address, level);
    this.#pages.set(key, page);
    page.catch(() => this.#pages.delete(key));
    for (const oldest of this.#pages.keys()) {
      if (this.#pages.size <= this.#repository.memory.pageCacheCount) break;
      this.#pages.delete(oldest);
    }
    return page;
  }
}
