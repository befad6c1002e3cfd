// Which chunks of a disk differ from a backup, found by reading the disk and comparing digests; where a baseline tells
// what was written since another backup, only there. Holes of the disk are known to be zeros without reading.
import { CHUNK_SIZE_BYTES, PAGE_ENTRY_COUNT, SEGMENT_CHUNK_COUNT } from '../core/limits.ts';
import type { ChunkSet } from '../volumes/chunk-set.ts';
import type { VolumeTarget } from '../volumes/volume.ts';
import { DIGEST_SIZE_BYTES } from './chunk/digest-table.ts';
import { type Address, addressAt, type Page } from './format/page-format.ts';
import type { ManifestReader } from './manifest-reader.ts';
import type { PipelineThread } from './pipeline/worker-pool.ts';
import type { Repository } from './repository.ts';
import { planSegment } from './segment-plan.ts';
import { isUnreadable } from './unreadable.ts';

/** A backup that the disk once held, and the chunks that may have been written since. */
export type RestoreBase = { readonly manifest: ManifestReader; readonly changed: ChunkSet };

export type PageDifference = {
  readonly page: Page | undefined;
  /** Chunks of the page within the backup. */
  readonly entryCount: number;
  /** 1 for each entry that differs. */
  readonly differs: Uint8Array;
};

export type DifferenceOptions = {
  /** The threads have the disk open under this number. */
  readonly deviceId: number;
  readonly base?: RestoreBase | undefined;
  /** Also read what the backup has as zeros; otherwise it differs wherever the disk has data. */
  readonly readsZeros: boolean;
  readonly signal: AbortSignal;
};

const PAGE_SPAN_BYTES = PAGE_ENTRY_COUNT * CHUNK_SIZE_BYTES;
/** Segments that one thread reads ahead: one being read, one on its way. */
const LANES_PER_THREAD = 2;

type Expected = Buffer | 'zero';

export class RestoreDifferences {
  readonly #repository: Repository;
  readonly #manifest: ManifestReader;
  readonly #target: VolumeTarget;
  readonly #options: DifferenceOptions;

  constructor(deps: {
    readonly repository: Repository;
    readonly manifest: ManifestReader;
    readonly target: VolumeTarget;
    readonly options: DifferenceOptions;
  }) {
    this.#repository = deps.repository;
    this.#manifest = deps.manifest;
    this.#target = deps.target;
    this.#options = deps.options;
  }

  /** @throws DATA_CORRUPT, VOLUME_IO */
  async find(pageIndex: number): Promise<PageDifference> {
    const firstChunk = pageIndex * PAGE_ENTRY_COUNT;
    const entryCount = Math.min(PAGE_ENTRY_COUNT, this.#manifest.chunkCount - firstChunk);
    const candidates = await this.#findCandidates(pageIndex, entryCount);
    // Nothing is even looked up of a page that is the same.
    if (!candidates.includes(1)) return { page: undefined, entryCount, differs: candidates };
    const page = await this.#manifest.pageAt(0, pageIndex);
    const differs = await this.#compare(pageIndex, page, candidates);
    return { page, entryCount, differs };
  }

  /** What is not sure to be the same already. */
  async #findCandidates(pageIndex: number, entryCount: number): Promise<Uint8Array> {
    const all = new Uint8Array(entryCount).fill(1);
    const { base } = this.#options;
    if (!base) return all;
    try {
      const isMoved = await this.#findMoved(base.manifest, pageIndex);
      const firstChunk = pageIndex * PAGE_ENTRY_COUNT;
      return all.map((_, entry) => (base.changed.has(firstChunk + entry) || isMoved(entry) ? 1 : 0));
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      const { backupId } = base.manifest.record;
      this.#repository.logger.warn({ err: error, backupId }, 'the base of a rollback is damaged; the disk is compared');
      return all;
    }
  }

  /** Entries that the two backups have at different addresses. */
  async #findMoved(base: ManifestReader, pageIndex: number): Promise<(entry: number) => boolean> {
    const isTop = this.#manifest.record.levels === 1 || base.record.levels === 1;
    if (!isTop) {
      const [wanted, held] = [await this.#manifest.pageAddress(0, pageIndex), await base.pageAddress(0, pageIndex)];
      if (isSameAddress(wanted, held)) return () => false;
    }
    const [wanted, held] = [await this.#manifest.pageAt(0, pageIndex), await base.pageAt(0, pageIndex)];
    return (entry) => !isSameAddress(wanted && addressAt(wanted, entry), held && addressAt(held, entry));
  }

  async #compare(pageIndex: number, page: Page | undefined, candidates: Uint8Array): Promise<Uint8Array> {
    const { readsZeros } = this.#options;
    const holdsData = await this.#markData(pageIndex, candidates.length);
    const expected = await this.#findExpected(page, candidates);
    // Certain without reading: data where the disk has a hole, and, unless zeros are read, zeros where it has none.
    const isCertain = (entry: number) => (holdsData[entry] === 1 ? expected[entry] === 'zero' && !readsZeros : true);
    const differs = candidates.map((candidate, entry) => {
      if (candidate === 0 || !isCertain(entry)) return 0;
      return (expected[entry] === 'zero') === (holdsData[entry] === 0) ? 0 : 1;
    });
    const mustRead = candidates.map((candidate, entry) => (candidate === 1 && !isCertain(entry) ? 1 : 0));
    await this.#readAndCompare(pageIndex, mustRead, (entry, digest) => {
      const wanted = expected[entry];
      const isSame = wanted === 'zero' ? digest === 'zero' : digest !== 'zero' && wanted?.equals(digest) === true;
      if (!isSame) differs[entry] = 1;
    });
    return differs;
  }

  /** 1 for each chunk of the page that may hold anything but zeros on the disk. */
  async #markData(pageIndex: number, entryCount: number): Promise<Uint8Array> {
    const marks = new Uint8Array(entryCount);
    const offsetBytes = pageIndex * PAGE_SPAN_BYTES;
    const range = { offsetBytes, lengthBytes: entryCount * CHUNK_SIZE_BYTES };
    for await (const extent of this.#target.dataExtents(range, this.#options.signal)) {
      const first = Math.floor((extent.offsetBytes - offsetBytes) / CHUNK_SIZE_BYTES);
      marks.fill(1, first, Math.ceil((extent.offsetBytes + extent.lengthBytes - offsetBytes) / CHUNK_SIZE_BYTES));
    }
    return marks;
  }

  async #findExpected(page: Page | undefined, candidates: Uint8Array): Promise<Expected[]> {
    const addresses = Array.from(candidates, (candidate, entry) =>
      page && candidate === 1 ? addressAt(page, entry) : undefined,
    );
    const packIds = [...new Set(addresses.flatMap((address) => address?.packId ?? []))];
    await this.#manifest.packsOf(packIds);
    const digests = new Map<Address, Buffer>();
    for (const packId of packIds) {
      const index = await this.#manifest.indexOf(packId);
      for (const address of addresses) {
        if (address?.packId !== packId) continue;
        index.frameIndexOf(address.slot);
        digests.set(address, index.digestOf(address.slot));
      }
    }
    return addresses.map((address) => (address && digests.get(address)) ?? 'zero');
  }

  /** Reads the chunks that are marked on the threads, a few segments at a time. */
  async #readAndCompare(
    pageIndex: number,
    mustRead: Uint8Array,
    take: (entry: number, digest: Expected) => void,
  ): Promise<void> {
    const pageOffsetBytes = pageIndex * PAGE_SPAN_BYTES;
    const pageLengthBytes = Math.min(PAGE_SPAN_BYTES, this.#manifest.record.sizeBytes - pageOffsetBytes);
    const segments = [];
    for (let firstEntry = 0; firstEntry < mustRead.length; firstEntry += SEGMENT_CHUNK_COUNT) {
      const segment = planSegment(mustRead, firstEntry, pageOffsetBytes, pageLengthBytes);
      if (segment) segments.push(segment);
    }
    const work = segments.values();
    const runLane = async (thread: PipelineThread): Promise<void> => {
      for (const { firstEntry, offsetBytes, lengthBytes, runs, readBytes } of work) {
        const { signal } = this.#options;
        await this.#repository.throttles.read.take({ bytes: readBytes, operations: runs.length / 2 }, signal);
        signal.throwIfAborted();
        const segmentId = this.#repository.workers.nextId();
        const { deviceId } = this.#options;
        try {
          const request = { type: 'scan', deviceId, segmentId, offsetBytes, lengthBytes, runs } as const;
          const { digests, isZero } = await thread.call(request);
          const bytes = Buffer.from(digests.buffer, digests.byteOffset, digests.byteLength);
          for (const chunk of chunksOf(runs)) {
            const digest = bytes.subarray(chunk * DIGEST_SIZE_BYTES, (chunk + 1) * DIGEST_SIZE_BYTES);
            take(firstEntry + chunk, isZero[chunk] === 1 ? 'zero' : digest);
          }
        } finally {
          await thread.call({ type: 'release', segmentId });
        }
      }
    };
    const lanes = this.#repository.workers.threads.flatMap((thread) => Array(LANES_PER_THREAD).fill(thread));
    await settleAll(lanes.map(runLane));
  }
}

function* chunksOf(runs: readonly number[]): Iterable<number> {
  for (let i = 0; i < runs.length; i += 2) {
    const first = runs[i] ?? 0;
    for (let chunk = first; chunk < first + (runs[i + 1] ?? 0); chunk += 1) yield chunk;
  }
}

/** All of them have ended when this does: nobody may close the disk under the others. @throws the first failure */
async function settleAll(promises: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(promises);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
}

function isSameAddress(left: Address | undefined, right: Address | undefined): boolean {
  return left?.packId === right?.packId && left?.slot === right?.slot;
}
