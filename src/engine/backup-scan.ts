// The pipeline of a backup. Threads scan segments ahead of time; this thread takes them in volume order, decides for
// each chunk (zero, as in the parent, known elsewhere, new), gives new chunks slots, and has the same thread seal them.
// Memory is bounded by the segments under way, whatever the volume's size.
import { bitmapHas } from '../core/bitmap.ts';
import { BoundedQueue, raceSignal, Semaphore } from '../core/concurrency.ts';
import type { PackId } from '../core/ids.ts';
import { CHUNK_SIZE_BYTES, FRAME_CHUNK_COUNT, PAGE_ENTRY_COUNT } from '../core/limits.ts';
import type { BackupRequest } from './backup-request.ts';
import { DIGEST_SIZE_BYTES } from './chunk/digest-table.ts';
import type { DedupIndex } from './dedup-index.ts';
import { type Address, addressAt } from './format/page-format.ts';
import type { ManifestReader } from './manifest-reader.ts';
import type { ManifestWriter } from './manifest-writer.ts';
import type { PackFiller } from './pack/pack-filler.ts';
import type { PackIndex } from './pack/pack-index.ts';
import type { OpenFrame } from './pack/pack-writer.ts';
import type { ScannedSegment } from './pipeline/messages.ts';
import { type PipelineThread, pickLeastLoaded } from './pipeline/worker-pool.ts';
import type { Repository } from './repository.ts';
import { type PlannedPage, type PlannedSegment, type PlannedShare, planPages } from './segment-plan.ts';
import type { UnchangedParts } from './unchanged-parts.ts';
import { isUnreadable, readTwice } from './unreadable.ts';

/** Pages planned ahead; each holds at most 16 segments. */
const PLANNED_MAX = 64;

type SegmentUnderWay = {
  readonly plan: PlannedSegment;
  readonly segmentId: number;
  readonly thread: PipelineThread;
  readonly scanned: Promise<ScannedSegment>;
};
type Item =
  | { readonly type: 'segment'; readonly segment: SegmentUnderWay }
  | { readonly type: 'page-end'; readonly page: PlannedPage }
  | PlannedShare;

export class BackupScan {
  readonly #repository: Repository;
  readonly #parent: ManifestReader | undefined;
  readonly #unchanged: UnchangedParts | undefined;
  readonly #dedup: DedupIndex;
  readonly #dataPacks: PackFiller;
  readonly #manifest: ManifestWriter;
  readonly #request: BackupRequest;
  readonly #deviceId: number;
  readonly #window: Semaphore;
  readonly #stop = new AbortController();
  readonly #underWay = new Set<SegmentUnderWay>();
  /** Packs that chunks found or stored by this run refer to. */
  readonly referredPackIds = new Set<PackId>();
  #entries: (Address | undefined)[] = [];
  /** Writes of sealed frames, one after the other in the order of their slots. */
  #writes: Promise<void> = Promise.resolve();
  #pendingRawBytes = 0;
  #sealedRawBytes = 0;
  #doneBytes = 0;
  #skippedBytes = 0;

  constructor(deps: {
    repository: Repository;
    parent: ManifestReader | undefined;
    /** What need not be read; absent, everything is. */
    unchanged?: UnchangedParts | undefined;
    dedup: DedupIndex;
    dataPacks: PackFiller;
    manifest: ManifestWriter;
    request: BackupRequest;
  }) {
    this.#repository = deps.repository;
    this.#parent = deps.parent;
    this.#unchanged = deps.unchanged;
    this.#dedup = deps.dedup;
    this.#dataPacks = deps.dataPacks;
    this.#manifest = deps.manifest;
    this.#request = deps.request;
    this.#deviceId = deps.repository.workers.nextId();
    this.#window = new Semaphore(deps.repository.workers.threads.length * deps.repository.memory.segmentsPerThread);
  }

  /** Reads all of the volume, stores new chunks, and hands every page to the manifest. */
  async run(): Promise<void> {
    const threads = [...this.#repository.workers.threads];
    const { descriptor } = this.#request.source;
    const items = new BoundedQueue<Item>(PLANNED_MAX * 16);
    try {
      await Promise.all(
        threads.map((thread) =>
          thread.call({ type: 'open-device', deviceId: this.#deviceId, descriptor, mode: 'read' }),
        ),
      );
      const producing = this.#produce(items, threads);
      try {
        for await (const item of items) await this.#consume(item);
        await this.#writes;
      } catch (error) {
        this.#fail(error);
        items.fail(error);
        throw error;
      } finally {
        await producing;
        await this.#giveBackSegments();
      }
    } finally {
      // A thread that died has closed the disk with itself.
      await Promise.allSettled(
        threads.map((thread) => thread.call({ type: 'close-device', deviceId: this.#deviceId })),
      );
    }
  }

  /** What the threads still hold of a failed run; after a good run there is nothing. */
  async #giveBackSegments(): Promise<void> {
    await this.#writes.catch(() => undefined);
    const rest = [...this.#underWay];
    await Promise.allSettled(rest.map(({ thread, segmentId }) => thread.call({ type: 'release', segmentId })));
    for (const { thread } of rest) thread.loadCount -= 1;
  }

  #fail(error: unknown): void {
    this.#stop.abort(error);
    this.#window.fail(error);
  }

  /** Plans pages and starts scans as far ahead as the window lets it. Never throws: the queue carries failures. */
  async #produce(items: BoundedQueue<Item>, threads: readonly PipelineThread[]): Promise<void> {
    const signal = AbortSignal.any([this.#request.signal, this.#stop.signal]);
    try {
      for await (const page of planPages(this.#request.source, signal, this.#unchanged)) {
        if (page.type === 'share') {
          await items.push(page);
          continue;
        }
        for (const plan of page.segments) {
          await this.#window.acquire();
          const work = { bytes: plan.readBytes, operations: plan.runs.length / 2 };
          await this.#repository.throttles.read.take(work, signal);
          signal.throwIfAborted();
          const segment = this.#startScan(plan, threads);
          await items.push({ type: 'segment', segment });
        }
        await items.push({ type: 'page-end', page });
      }
      items.close();
    } catch (error) {
      items.fail(error);
    }
  }

  #startScan(plan: PlannedSegment, threads: readonly PipelineThread[]): SegmentUnderWay {
    const thread = pickLeastLoaded(threads);
    thread.loadCount += 1;
    const segmentId = this.#repository.workers.nextId();
    const { offsetBytes, lengthBytes, runs } = plan;
    const scanned = thread.call({
      type: 'scan',
      deviceId: this.#deviceId,
      segmentId,
      offsetBytes,
      lengthBytes,
      runs,
    });
    // Awaited in volume order; a failure ahead of its turn waits there.
    scanned.catch(() => undefined);
    const segment = { plan, segmentId, thread, scanned };
    this.#underWay.add(segment);
    return segment;
  }

  async #consume(item: Item): Promise<void> {
    if (item.type === 'segment') {
      const scanned = await item.segment.scanned;
      await this.#decideSegment(item.segment, scanned);
      return;
    }
    if (item.type === 'share') {
      await this.#manifest.sharePage(item.page);
      this.#skippedBytes += item.lengthBytes;
      this.#reportProgress();
      return;
    }
    const { page } = item;
    await this.#manifest.addPage(this.#takeEntries(page));
    this.#skippedBytes += page.lengthBytes - page.segments.reduce((total, segment) => total + segment.readBytes, 0);
    this.#reportProgress();
  }

  /** What was decided for the page, and for chunks that were not read the addresses that they keep. */
  #takeEntries({ entryCount, base }: PlannedPage): (Address | undefined)[] {
    const entries = this.#entries;
    this.#entries = [];
    if (entries.length === 0 && !base) return [];
    const isKept = (entry: number) => base?.mustRead(entry) === false;
    return Array.from({ length: entryCount }, (_, i) => (isKept(i) ? base?.addressOf(i) : entries[i]));
  }

  /** Finds an address for every chunk of the segment, and has the new ones stored. */
  async #decideSegment(segment: SegmentUnderWay, scanned: ScannedSegment): Promise<void> {
    const { plan } = segment;
    const digests = Buffer.from(scanned.digests.buffer, scanned.digests.byteOffset, scanned.digests.byteLength);
    const isUnchanged = await this.#compareWithParent(plan, digests, scanned.isZero);
    const unmatched: number[] = [];
    for (let chunk = 0; chunk < scanned.isZero.length; chunk += 1) {
      if (scanned.isZero[chunk] === 1) continue;
      const entry = plan.firstEntry + chunk;
      const known = isUnchanged(chunk) ?? this.#dedup.findOwn(digests, chunk * DIGEST_SIZE_BYTES);
      if (known) this.#setEntry(entry, known);
      else unmatched.push(chunk);
    }
    const fresh = unmatched.length > 0 ? await this.#findElsewhere(plan, digests, unmatched) : [];
    if (fresh.length > 0) await this.#store(segment, digests, fresh);
    else this.#finishSegment(segment);
  }

  /** The parent's address of a chunk when the chunk is the same, by position. */
  async #compareWithParent(
    plan: PlannedSegment,
    digests: Buffer,
    isZero: Uint8Array,
  ): Promise<(chunk: number) => Address | undefined> {
    const parent = this.#parent;
    if (!parent) return () => undefined;
    try {
      const match = readTwice(() => this.#matchParent(parent, plan, digests, isZero));
      return await raceSignal(match, this.#request.signal);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      // What cannot be read cannot be relied on: these chunks are stored again.
      this.#repository.logger.error({ err: error, backupId: parent.record.backupId }, 'the parent is damaged here');
      return () => undefined;
    }
  }

  async #matchParent(
    parent: ManifestReader,
    plan: PlannedSegment,
    digests: Buffer,
    isZero: Uint8Array,
  ): Promise<(chunk: number) => Address | undefined> {
    const pageIndex = Math.floor(plan.offsetBytes / (PAGE_ENTRY_COUNT * CHUNK_SIZE_BYTES));
    const page = await parent.pageAt(0, pageIndex);
    if (!page) return () => undefined;
    const addresses = Array.from(isZero, (zero, chunk) =>
      zero === 1 ? undefined : addressAt(page, plan.firstEntry + chunk),
    );
    const packIds = [...new Set(addresses.flatMap((address) => (address ? [address.packId] : [])))];
    const packs = await parent.packsOf(packIds);
    const indexes = new Map<PackId, PackIndex>();
    for (const packId of packIds) indexes.set(packId, await parent.indexOf(packId));
    const badOf = new Map(packs.map((pack) => [pack.packId, pack.bad]));
    return (chunk) => {
      const address = addresses[chunk];
      if (!address || bitmapHas(badOf.get(address.packId) ?? null, address.slot)) return undefined;
      const index = indexes.get(address.packId);
      return index?.matches(address.slot, digests, chunk * DIGEST_SIZE_BYTES) ? address : undefined;
    };
  }

  /** Enters what the project has elsewhere; the answer is what is left. */
  async #findElsewhere(plan: PlannedSegment, digests: Buffer, chunks: readonly number[]): Promise<number[]> {
    const offsets = chunks.map((chunk) => chunk * DIGEST_SIZE_BYTES);
    const found = await this.#dedup.findElsewhere(digests, offsets);
    return chunks.filter((chunk, i) => {
      const address = found[i];
      if (address) this.#setEntry(plan.firstEntry + chunk, address);
      return !address;
    });
  }

  /** Gives new chunks slots of one pack, in volume order, and queues their sealing and writing. */
  async #store(segment: SegmentUnderWay, digests: Buffer, fresh: readonly number[]): Promise<void> {
    const pack = await this.#dataPacks.packFor(fresh.length, this.#estimatePendingBytes(), () => this.#writes);
    const frames: (OpenFrame & { chunks: number[] })[] = [];
    let chunks: number[] = [];
    const closeFrame = (): void => {
      if (chunks.length === 0) return;
      frames.push({ ...pack.openFrame(chunks.map((chunk) => digestAt(digests, chunk))), chunks });
      chunks = [];
    };
    for (const chunk of fresh) {
      // A chunk may repeat another of this very segment, which got its slot a moment ago.
      const known = this.#dedup.findOwn(digests, chunk * DIGEST_SIZE_BYTES);
      const slot = pack.slotCount + chunks.length;
      this.#setEntry(segment.plan.firstEntry + chunk, known ?? { packId: pack.location.packId, slot });
      if (known) continue;
      this.#dedup.remember(digests, chunk * DIGEST_SIZE_BYTES, pack.location, slot);
      chunks.push(chunk);
      if (chunks.length === FRAME_CHUNK_COUNT) closeFrame();
    }
    closeFrame();
    if (frames.length === 0) return this.#finishSegment(segment);
    const rawBytes = frames.reduce((total, frame) => total + frame.slotCount * CHUNK_SIZE_BYTES, 0);
    this.#pendingRawBytes += rawBytes;
    const { header, key } = pack;
    const sealed = segment.thread.call({
      type: 'seal',
      segmentId: segment.segmentId,
      header,
      key,
      compressionLevel: this.#repository.compressionLevel,
      frames: frames.map(({ ordinal, firstSlot, chunks }) => ({ ordinal, firstSlot, chunks })),
    });
    sealed.catch(() => undefined);
    this.#writes = this.#writes.then(async () => {
      const { bytes, frames: sizes } = await sealed;
      const entries = frames.map((frame, i) => ({ ...frame, storedBytes: 0, codec: 0, ...sizes[i] }));
      await pack.appendFrames(bytes, entries);
      this.#pendingRawBytes -= rawBytes;
      this.#sealedRawBytes += rawBytes;
      this.#finishSegment(segment);
    });
    // The failure ends the run at once: it stops the window that the producer waits for.
    this.#writes.catch((error: unknown) => this.#fail(error));
  }

  /** What frames still being sealed will add to the pack, at the compression seen so far. */
  #estimatePendingBytes(): number {
    const ratio = this.#sealedRawBytes === 0 ? 1 : this.#dataPacks.storedBytes / this.#sealedRawBytes;
    return this.#pendingRawBytes * Math.min(1, ratio);
  }

  #finishSegment(segment: SegmentUnderWay): void {
    this.#underWay.delete(segment);
    segment.thread.loadCount -= 1;
    segment.thread.call({ type: 'release', segmentId: segment.segmentId }).catch((error: unknown) => this.#fail(error));
    this.#doneBytes += segment.plan.readBytes;
    this.#window.release();
    this.#reportProgress();
  }

  #setEntry(entry: number, address: Address): void {
    this.#entries[entry] = address;
    this.referredPackIds.add(address.packId);
  }

  #reportProgress(): void {
    this.#request.report({
      totalBytes: this.#request.source.sizeBytes,
      doneBytes: this.#doneBytes,
      skippedBytes: this.#skippedBytes,
      storedBytes: this.#dataPacks.storedBytes,
    });
  }
}

function digestAt(digests: Buffer, chunk: number): Buffer {
  return digests.subarray(chunk * DIGEST_SIZE_BYTES, (chunk + 1) * DIGEST_SIZE_BYTES);
}
