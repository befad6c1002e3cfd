// Reads the manifest of a committed backup: its record and, page by page, the addresses of its chunks.
import { createHash } from 'node:crypto';
import { VbsError } from '../core/errors.ts';
import type { PackId } from '../core/ids.ts';
import type { CommittedBackup, PackUse } from '../core/ledger.ts';
import { CHUNK_SIZE_BYTES, PAGE_ENTRY_COUNT, RECORD_SIZE_MAX_BYTES } from '../core/limits.ts';
import { recordName } from '../core/object-names.ts';
import { unsealObject } from './crypto/sealed-object.ts';
import { unseal } from './crypto/sealing.ts';
import { CODECS, checkFrameHeader, FRAME_HEADER_SIZE_BYTES } from './format/pack-format.ts';
import {
  type Address,
  addressAt,
  countLevels,
  decodePage,
  PAGE_SIZE_MAX_BYTES,
  type Page,
} from './format/page-format.ts';
import { type BackupRecord, decodeRecord } from './format/record-format.ts';
import type { PackIndex } from './pack/pack-index.ts';
import { decompress } from './pipeline/segment-work.ts';
import type { OpenProject, Repository } from './repository.ts';

/** Pages kept per reader: a walk in order needs one per level, a comparison with neighbours a few more. */
const PAGE_CACHE_MAX = 16;

export class ManifestReader {
  readonly record: BackupRecord;
  readonly #repository: Repository;
  readonly #project: OpenProject;
  readonly #topPage: Page;
  readonly #pages = new Map<string, Promise<Page>>();
  readonly #packs = new Map<PackId, PackUse>();

  private constructor(repository: Repository, project: OpenProject, opened: { record: BackupRecord; topPage: Page }) {
    this.#repository = repository;
    this.#project = project;
    this.record = opened.record;
    this.#topPage = opened.topPage;
  }

  /**
   * Opens the record that the catalog committed. The caller holds a pin.
   * @throws DATA_CORRUPT when the record is not the committed one, bit by bit; OBJECT_NOT_FOUND; STORAGE_IO
   */
  static async open(repository: Repository, project: OpenProject, backup: CommittedBackup): Promise<ManifestReader> {
    const name = recordName(backup.projectId, backup.backupId, backup.attemptId);
    const bytes = await repository.store.get(name, RECORD_SIZE_MAX_BYTES);
    const refuse = (reason: string) => new VbsError('DATA_CORRUPT', { object: name, offsetBytes: 0, reason });
    if (!createHash('sha256').update(bytes).digest().equals(backup.recordSha256)) {
      throw refuse('the record does not have the digest that was committed');
    }
    const { repositoryId, projectId } = project;
    const { backupId, attemptId } = backup;
    const place = { repositoryId, projectId, kind: 'record', logicalId: backupId, objectId: attemptId } as const;
    const { record, topPage } = decodeRecord(unsealObject(project.keys, place, bytes, name), name);
    if (record.levels !== countLevels(record.sizeBytes)) throw refuse('its levels do not fit its size');
    const page = decodePage(topPage, record.levels - 1, name);
    return new ManifestReader(repository, project, { record, topPage: page });
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

  /** The row of a pack that this manifest refers to. @throws DATA_CORRUPT when the catalog has lost it */
  async packOf(packId: PackId): Promise<PackUse> {
    const [pack] = await this.packsOf([packId]);
    if (!pack) throw new VbsError('INTERNAL');
    return pack;
  }

  /** Rows of packs, asked for in one query; kept for this reader's life. @throws DATA_CORRUPT */
  async packsOf(packIds: readonly PackId[]): Promise<PackUse[]> {
    const missing = packIds.filter((packId) => !this.#packs.has(packId));
    if (missing.length > 0) {
      const rows = await this.#repository.ledger.locatePacks(this.#project.projectId, missing);
      for (const packId of missing) this.#packs.set(packId, requireRow(rows, packId));
    }
    return packIds.flatMap((packId) => this.#packs.get(packId) ?? []);
  }

  /** The trailer of a pack's current object; a pack that was compacted meanwhile is looked up again. */
  async indexOf(packId: PackId): Promise<PackIndex> {
    try {
      return await this.#repository.packIndex(this.#project, await this.packOf(packId));
    } catch (error) {
      if (!(error instanceof VbsError && error.code === 'OBJECT_NOT_FOUND')) throw error;
      const before = await this.packOf(packId);
      this.#packs.delete(packId);
      const now = await this.packOf(packId);
      if (now.objectId === before.objectId) throw error;
      return this.#repository.packIndex(this.#project, now);
    }
  }

  #loadPage(address: Address, level: number): Promise<Page> {
    const key = `${address.packId}/${address.slot}`;
    const known = this.#pages.get(key);
    if (known) return known;
    const page = this.#readPage(address, level);
    this.#pages.set(key, page);
    page.catch(() => this.#pages.delete(key));
    for (const oldest of this.#pages.keys()) {
      if (this.#pages.size <= PAGE_CACHE_MAX) break;
      this.#pages.delete(oldest);
    }
    return page;
  }

  async #readPage(address: Address, level: number): Promise<Page> {
    const index = await this.indexOf(address.packId);
    const entry = index.frames[index.frameIndexOf(address.slot)];
    if (!entry) throw new VbsError('INTERNAL');
    const object = index.objectName;
    const where = { object, offsetBytes: entry.offsetBytes };
    const bytes = await this.#repository.store.readRange(object, entry.offsetBytes, entry.storedBytes);
    const header = bytes.subarray(0, FRAME_HEADER_SIZE_BYTES);
    const ordinal = checkFrameHeader(header, entry, object);
    const payload = unseal(index.key, ordinal, [index.header, header], bytes.subarray(FRAME_HEADER_SIZE_BYTES), where);
    const plaintext = entry.codec === CODECS.zstd ? decompress(payload, PAGE_SIZE_MAX_BYTES, where) : payload;
    if (plaintext.length !== index.lengthOf(address.slot)) {
      throw new VbsError('DATA_CORRUPT', { ...where, reason: 'the page does not have its length' });
    }
    return decodePage(plaintext, level, object);
  }
}

function requireRow(rows: readonly PackUse[], packId: PackId): PackUse {
  const row = rows.find((found) => found.packId === packId);
  if (!row) {
    const reason = 'the manifest refers to it, and the catalog has no row of it';
    throw new VbsError('DATA_CORRUPT', { object: `pack ${packId}`, offsetBytes: 0, reason });
  }
  return row;
}
