// What differs between two backups, from their manifests alone: pages at the same address are the same with all that is
// below them, chunks at different addresses are compared by digest. No data is read.
import { setImmediate } from 'node:timers/promises';
import { VbsError } from '../core/errors.ts';
import type { BackupId, PackId } from '../core/ids.ts';
import type { JobClaim } from '../core/ledger.ts';
import { CHUNK_SIZE_BYTES, PAGE_ENTRY_COUNT, PAGE_WALK_COUNT } from '../core/limits.ts';
import { type Extent, extentEnd } from '../volumes/extent.ts';
import { type Address, addressAt, type Page } from './format/page-format.ts';
import { ManifestReader } from './manifest-reader.ts';
import type { PackIndex } from './pack/pack-index.ts';
import type { Repository } from './repository.ts';
import { isUnreadable } from './unreadable.ts';

export type DiffRequest = {
  readonly claim: JobClaim;
  readonly fromId: BackupId;
  readonly toId: BackupId;
  /** Where to begin; differences before it are left out. */
  readonly offsetBytes: number;
  /** Most extents to answer. */
  readonly limit: number;
  readonly signal?: AbortSignal | undefined;
};

export type DiffPage = {
  readonly fromSizeBytes: number;
  readonly toSizeBytes: number;
  /** Ascending, disjoint, whole chunks but for the end; what lies beyond the end of one of them differs. */
  readonly extents: readonly Extent[];
  /** Where to begin for what follows; undefined when there is no more. */
  readonly nextOffsetBytes: number | undefined;
};

/** The pins of both go with the job. @throws BACKUP_NOT_FOUND, DATA_CORRUPT, STORAGE_IO */
export async function diffBackups(repository: Repository, request: DiffRequest): Promise<DiffPage> {
  const from = await openPinned(repository, request.claim, request.fromId);
  const to = await openPinned(repository, request.claim, request.toId);
  const extents: Extent[] = [];
  let nextOffsetBytes: number | undefined;
  for await (const extent of new BackupDiff(from, to, request).extents()) {
    if (extents.length === request.limit) {
      nextOffsetBytes = extent.offsetBytes;
      break;
    }
    extents.push(extent);
  }
  const [fromSizeBytes, toSizeBytes] = [from.record.sizeBytes, to.record.sizeBytes];
  return { fromSizeBytes, toSizeBytes, extents, nextOffsetBytes };
}

async function openPinned(repository: Repository, claim: JobClaim, backupId: BackupId): Promise<ManifestReader> {
  const pinned = await repository.ledger.pinBackup(claim, backupId);
  if (!pinned) throw new VbsError('BACKUP_NOT_FOUND', { backupId });
  return ManifestReader.open(repository, await repository.openProject(pinned.projectId), pinned);
}

class BackupDiff {
  readonly #from: ManifestReader;
  readonly #to: ManifestReader;
  readonly #offsetBytes: number;
  readonly #signal: AbortSignal | undefined;
  readonly #sharedBytes: number;
  readonly #sizeBytes: number;
  #stepCount = 0;

  constructor(from: ManifestReader, to: ManifestReader, options: Pick<DiffRequest, 'offsetBytes' | 'signal'>) {
    this.#from = from;
    this.#to = to;
    this.#offsetBytes = options.offsetBytes;
    this.#signal = options.signal;
    this.#sharedBytes = Math.min(from.record.sizeBytes, to.record.sizeBytes);
    this.#sizeBytes = Math.max(from.record.sizeBytes, to.record.sizeBytes);
  }

  /** Neighbours are joined. */
  async *extents(): AsyncGenerator<Extent, void> {
    const topLevel = Math.max(this.#from.record.levels, this.#to.record.levels) - 1;
    let open: Extent | undefined;
    for await (const extent of this.#pieces(topLevel)) {
      if (open && extentEnd(open) >= extent.offsetBytes) {
        open = { offsetBytes: open.offsetBytes, lengthBytes: extentEnd(extent) - open.offsetBytes };
        continue;
      }
      if (open) yield open;
      open = extent;
    }
    if (open) yield open;
  }

  async *#pieces(topLevel: number): AsyncGenerator<Extent, void> {
    yield* this.#diffPage(topLevel, 0);
    const offsetBytes = Math.max(this.#sharedBytes, this.#offsetBytes);
    if (offsetBytes < this.#sizeBytes) yield { offsetBytes, lengthBytes: this.#sizeBytes - offsetBytes };
  }

  /** Differences within the page at `index` of `level`, as far as both backups reach. */
  async *#diffPage(level: number, index: number): AsyncGenerator<Extent, void> {
    const spanBytes = PAGE_ENTRY_COUNT ** (level + 1) * CHUNK_SIZE_BYTES;
    const isWanted = index * spanBytes < this.#sharedBytes && (index + 1) * spanBytes > this.#offsetBytes;
    if (!isWanted || (await this.#isSamePage(level, index))) return;
    await this.#breathe();
    if (level === 0) return yield* this.#diffChunks(index);
    for (let child = 0; child < PAGE_ENTRY_COUNT; child += 1) {
      yield* this.#diffPage(level - 1, index * PAGE_ENTRY_COUNT + child);
    }
  }

  /** By address; top pages have none. */
  async #isSamePage(level: number, index: number): Promise<boolean> {
    if (level >= this.#from.record.levels - 1 || level >= this.#to.record.levels - 1) return false;
    return isSameAddress(await this.#from.pageAddress(level, index), await this.#to.pageAddress(level, index));
  }

  async *#diffChunks(pageIndex: number): AsyncGenerator<Extent, void> {
    const [before, after] = [await this.#from.pageAt(0, pageIndex), await this.#to.pageAt(0, pageIndex)];
    const isSame = await this.#compareDigests(before, after);
    for (let entry = 0; entry < PAGE_ENTRY_COUNT; entry += 1) {
      const offsetBytes = (pageIndex * PAGE_ENTRY_COUNT + entry) * CHUNK_SIZE_BYTES;
      const endBytes = Math.min(offsetBytes + CHUNK_SIZE_BYTES, this.#sharedBytes);
      if (endBytes <= offsetBytes) return;
      if (endBytes <= this.#offsetBytes || isSame(entry)) continue;
      const fromBytes = Math.max(offsetBytes, this.#offsetBytes);
      yield { offsetBytes: fromBytes, lengthBytes: endBytes - fromBytes };
    }
  }

  async #compareDigests(before: Page | undefined, after: Page | undefined): Promise<(entry: number) => boolean> {
    const addresses = (entry: number) =>
      [before && addressAt(before, entry), after && addressAt(after, entry)] as const;
    const packs = { before: new Set<PackId>(), after: new Set<PackId>() };
    for (let entry = 0; entry < PAGE_ENTRY_COUNT; entry += 1) {
      const [left, right] = addresses(entry);
      if (!left || !right || isSameAddress(left, right)) continue;
      packs.before.add(left.packId);
      packs.after.add(right.packId);
    }
    const olds = await loadIndexes(this.#from, packs.before);
    const news = await loadIndexes(this.#to, packs.after);
    return (entry) => {
      const [left, right] = addresses(entry);
      if (isSameAddress(left, right)) return true;
      const digest = left && digestAt(olds, left);
      return digest !== undefined && right !== undefined && digestAt(news, right)?.equals(digest) === true;
    };
  }

  async #breathe(): Promise<void> {
    this.#signal?.throwIfAborted();
    this.#stepCount += 1;
    if (this.#stepCount % PAGE_WALK_COUNT === 0) await setImmediate();
  }
}

/** Trailers that cannot be read are left out: what cannot be compared counts as different. */
async function loadIndexes(manifest: ManifestReader, packIds: ReadonlySet<PackId>): Promise<Map<PackId, PackIndex>> {
  const indexes = new Map<PackId, PackIndex>();
  for (const packId of packIds) {
    try {
      indexes.set(packId, await manifest.indexOf(packId));
    } catch (error) {
      if (!isUnreadable(error)) throw error;
    }
  }
  return indexes;
}

function digestAt(indexes: ReadonlyMap<PackId, PackIndex>, { packId, slot }: Address): Buffer | undefined {
  const index = indexes.get(packId);
  return index?.hasSlot(slot) ? index.digestOf(slot) : undefined;
}

function isSameAddress(left: Address | undefined, right: Address | undefined): boolean {
  return left?.packId === right?.packId && left?.slot === right?.slot;
}
