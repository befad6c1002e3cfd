// Writes a backup to a disk: walks the pages in order, reads packs here, opens, checks and writes on the threads.
// Every chunk is authenticated and compared with its digest before it is written. Of a disk that holds something only
// what differs is written, so that a rollback is quick and a restore that was cut short goes on where it stopped.
import { setImmediate } from 'node:timers/promises';
import { raceSignal, Semaphore } from '../core/concurrency.ts';
import { VbsError } from '../core/errors.ts';
import type { BackupId, VolumeId } from '../core/ids.ts';
import type { JobClaim } from '../core/ledger.ts';
import { CHUNK_SIZE_BYTES, PAGE_ENTRY_COUNT, PAGE_WALK_COUNT, RESTORE_WRITE_BACK_BYTES } from '../core/limits.ts';
import type { Progress } from '../core/model.ts';
import type { ChunkSet } from '../volumes/chunk-set.ts';
import type { VolumeTarget } from '../volumes/volume.ts';
import { checkSample } from './change-tracking.ts';
import { type Fetch, planFetches, readFetch } from './fetch-plan.ts';
import { ManifestReader } from './manifest-reader.ts';
import { type PipelineThread, pickLeastLoaded } from './pipeline/worker-pool.ts';
import type { OpenProject, Repository } from './repository.ts';
import { type PageDifference, type RestoreBase, RestoreDifferences } from './restore-differences.ts';
import { isUnreadable, readTwice } from './unreadable.ts';

export type RestoreRequest = {
  readonly claim: JobClaim;
  readonly backupId: BackupId;
  readonly volumeId: VolumeId;
  readonly target: VolumeTarget;
  /** What the driver tells of the disk; absent, all of it is compared. */
  readonly heldBackup?: HeldBackup | undefined;
  /** Read everything back from the medium and compare it with the backup. */
  readonly verify?: boolean | undefined;
  /** Also zero what lies beyond the backup's end: for new volumes, where another tenant's bytes must not show. */
  readonly zeroBeyond: boolean;
  readonly report: (progress: Progress) => void;
  readonly signal: AbortSignal;
};

/** A backup that the disk held, and what may have been written to it since then. */
export type HeldBackup = {
  readonly backupId: BackupId;
  readonly changed: ChunkSet;
  /** Indexes of chunks that are said to be unchanged, to be checked. */
  readonly sample: readonly number[];
};

/** How a disk was written, for the job and the log. */
export type RestoreReport = {
  /** `all`: the disk was empty. `compare`: it was read, and what differed was written. */
  readonly mode: 'all' | 'compare' | 'changed-extents';
  readonly writtenBytes: number;
  readonly isVerified: boolean;
};

const PAGE_SPAN_BYTES = PAGE_ENTRY_COUNT * CHUNK_SIZE_BYTES;
/** Zeros asked for in one go: a disk that cannot punch writes them, and meanwhile nothing can stop its thread. */
const ZERO_RUN_MAX_BYTES = 4 * PAGE_SPAN_BYTES;

/**
 * Writes bytes [0, size of the backup) of the target where they differ and makes them durable. When it throws, each
 * chunk of the target is either what it was or what the backup has; running it again completes it.
 * @throws BACKUP_NOT_FOUND, DATA_CORRUPT, RESTORE_VOLUME_TOO_SMALL, RESTORE_VERIFY_FAILED, STORAGE_IO, STORAGE_FULL,
 * VOLUME_IO, and the reason of the signal
 */
export async function restoreBackup(repository: Repository, request: RestoreRequest): Promise<RestoreReport> {
  const { backupId, volumeId, target, verify = false } = request;
  const pinned = await repository.ledger.pinBackup(request.claim, backupId);
  if (!pinned) throw new VbsError('BACKUP_NOT_FOUND', { backupId });
  const project = await repository.openProject(pinned.projectId);
  const manifest = await raceSignal(ManifestReader.open(repository, project, pinned), request.signal);
  if (target.sizeBytes < manifest.record.sizeBytes) {
    throw new VbsError('RESTORE_VOLUME_TOO_SMALL', { volumeId, backupId });
  }
  const base = target.readsZero ? undefined : await openBase(repository, project, manifest, request);
  const run = new RestoreRun({ repository, manifest, request, base });
  await run.run();
  await target.sync();
  if (verify) await run.verify();
  const mode = target.readsZero ? 'all' : base ? 'changed-extents' : 'compare';
  return { mode, writtenBytes: run.writtenBytes, isVerified: verify };
}

/** The backup that the disk held, when that can be relied on; else everything is compared. */
async function openBase(
  repository: Repository,
  project: OpenProject,
  manifest: ManifestReader,
  { claim, heldBackup, target, signal }: RestoreRequest,
): Promise<RestoreBase | undefined> {
  if (!heldBackup) return undefined;
  const { backupId, changed, sample } = heldBackup;
  const pinned = await repository.ledger.pinBackup(claim, backupId);
  if (pinned?.projectId !== project.projectId) return undefined;
  const open = () => ManifestReader.open(repository, project, pinned);
  const isWanted = backupId === manifest.record.backupId;
  const held = isWanted ? manifest : await readTwice(open).catch(forgetUnreadable);
  if (!held) return undefined;
  const counts = await checkSample(repository, { parent: held, descriptor: target.descriptor, sample, signal });
  if (counts.mismatchCount === 0) return { manifest: held, changed };
  repository.logger.error({ backupId, ...counts }, 'the driver called changed chunks unchanged; all is compared');
  return undefined;
}

function forgetUnreadable(error: unknown): undefined {
  if (!isUnreadable(error)) throw error;
}

class RestoreRun {
  readonly #repository: Repository;
  readonly #manifest: ManifestReader;
  readonly #request: RestoreRequest;
  readonly #base: RestoreBase | undefined;
  readonly #threads: readonly PipelineThread[];
  readonly #deviceId: number;
  readonly #window: Semaphore;
  readonly #underWay = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  /** Zeros met and not yet written; neighbours are joined over pages. */
  #zeros: { offsetBytes: number; lengthBytes: number } | undefined;
  #doneBytes = 0;
  #skippedBytes = 0;
  /** Of `#doneBytes`, what the medium was asked to take. */
  #writtenBackBytes = 0;
  #isWritingBack = false;
  /** Undefined until the reading back begins. */
  #verifiedBytes: number | undefined;

  constructor(deps: {
    readonly repository: Repository;
    readonly manifest: ManifestReader;
    readonly request: RestoreRequest;
    readonly base: RestoreBase | undefined;
  }) {
    this.#repository = deps.repository;
    this.#manifest = deps.manifest;
    this.#request = deps.request;
    this.#base = deps.base;
    this.#threads = [...deps.repository.workers.threads];
    this.#deviceId = deps.repository.workers.nextId();
    this.#window = new Semaphore(this.#threads.length * deps.repository.memory.fetchesPerThread);
  }

  get writtenBytes(): number {
    return this.#doneBytes;
  }

  async run(): Promise<void> {
    const { target, zeroBeyond } = this.#request;
    const { sizeBytes } = this.#manifest.record;
    // The threads see the disk as long as the backup: a padded last chunk is cut there.
    const endBytes = zeroBeyond ? target.sizeBytes : sizeBytes;
    await this.#onDevice('write', endBytes, async () => {
      const differences = this.#differences({ base: this.#base, readsZeros: false });
      const find = (pageIndex: number) => (target.readsZero ? this.#takeWhole(pageIndex) : differences.find(pageIndex));
      await this.#forEachPage(find, (pageIndex, page) => this.#restorePage(pageIndex, page));
      if (endBytes > sizeBytes) await this.#zero(sizeBytes, endBytes - sizeBytes);
      await this.#flushZeros();
    });
    this.#throwFailure();
  }

  /** Everything was made durable before. @throws RESTORE_VERIFY_FAILED */
  async verify(): Promise<void> {
    const { target, volumeId, backupId } = this.#request;
    await target.dropCache();
    this.#verifiedBytes = 0;
    await this.#onDevice('read', this.#manifest.record.sizeBytes, async () => {
      const differences = this.#differences({ readsZeros: true });
      const find = (pageIndex: number) => differences.find(pageIndex);
      await this.#forEachPage(find, async (pageIndex, { differs, entryCount }) => {
        const entry = differs.indexOf(1);
        const offsetBytes = pageIndex * PAGE_SPAN_BYTES + entry * CHUNK_SIZE_BYTES;
        if (entry >= 0) throw new VbsError('RESTORE_VERIFY_FAILED', { volumeId, backupId, offsetBytes });
        this.#verifiedBytes = pageIndex * PAGE_SPAN_BYTES + entryCount * CHUNK_SIZE_BYTES;
        this.#reportProgress();
      });
    });
  }

  #differences(options: { readonly base?: RestoreBase | undefined; readonly readsZeros: boolean }): RestoreDifferences {
    const { target, signal } = this.#request;
    const deps = { repository: this.#repository, manifest: this.#manifest, target };
    return new RestoreDifferences({ ...deps, options: { ...options, deviceId: this.#deviceId, signal } });
  }

  /** Nothing that `work` started is under way when this ends. */
  async #onDevice(mode: 'read' | 'write', sizeBytes: number, work: () => Promise<void>): Promise<void> {
    const deviceId = this.#deviceId;
    const descriptor = { ...this.#request.target.descriptor, sizeBytes };
    try {
      const open = { type: 'open-device', deviceId, descriptor, mode } as const;
      await Promise.all(this.#threads.map((thread) => thread.call(open)));
      await work();
    } finally {
      // The last write may begin one more thing, see #startWriteBack.
      while (this.#underWay.size > 0) await Promise.all(this.#underWay);
      await Promise.allSettled(this.#threads.map((thread) => thread.call({ type: 'close-device', deviceId })));
    }
  }

  /** Looks one page ahead: the disk is read while what differs in the page before is written. */
  async #forEachPage(
    find: (pageIndex: number) => Promise<PageDifference>,
    use: (pageIndex: number, page: PageDifference) => Promise<void>,
  ): Promise<void> {
    const { pageCount } = this.#manifest;
    const begin = (pageIndex: number): Promise<PageDifference> => {
      const found = find(pageIndex);
      // It is awaited in its turn; until then a failure of it is nobody's.
      found.catch(() => undefined);
      return found;
    };
    let next = begin(0);
    for (let pageIndex = 0; pageIndex < pageCount; pageIndex += 1) {
      // As in segment-plan.ts: pages of zeros wait for nothing.
      if (pageIndex % PAGE_WALK_COUNT === 0) await setImmediate();
      // A store that hangs must not keep the job from ending.
      const page = await raceSignal(next, this.#request.signal);
      this.#request.signal.throwIfAborted();
      if (pageIndex + 1 < pageCount) next = begin(pageIndex + 1);
      try {
        await use(pageIndex, page);
      } catch (error) {
        // Until it has ended, it reads the disk.
        await next.catch(() => undefined);
        throw error;
      }
    }
  }

  /** Of a disk that reads zero everywhere nothing needs to be compared. */
  async #takeWhole(pageIndex: number): Promise<PageDifference> {
    const entryCount = Math.min(PAGE_ENTRY_COUNT, this.#manifest.chunkCount - pageIndex * PAGE_ENTRY_COUNT);
    const page = await this.#manifest.pageAt(0, pageIndex);
    return { page, entryCount, differs: new Uint8Array(entryCount).fill(1) };
  }

  async #restorePage(pageIndex: number, { page, entryCount, differs }: PageDifference): Promise<void> {
    const pageOffsetBytes = pageIndex * PAGE_SPAN_BYTES;
    const lengthBytes = Math.min(entryCount * CHUNK_SIZE_BYTES, this.#manifest.record.sizeBytes - pageOffsetBytes);
    const isWanted = (entry: number) => differs[entry] === 1;
    const planned = planFetches(this.#manifest, page, {
      ...{ pageOffsetBytes, firstEntry: 0, endEntry: entryCount },
      ...(differs.includes(0) ? { isWanted } : {}),
    });
    const plan = await raceSignal(planned, this.#request.signal);
    for (const fetch of plan.fetches) {
      await this.#startWork((thread) => this.#carryOut(fetch, thread));
    }
    const zeroBytes = plan.zeros.reduce((total, [, zeroLength]) => total + zeroLength, 0);
    for (const [offsetBytes, zeroLength] of plan.zeros) await this.#zero(offsetBytes, zeroLength);
    this.#skippedBytes += lengthBytes - zeroBytes - this.#countWanted(plan.fetches);
    this.#reportProgress();
  }

  #countWanted(fetches: readonly Fetch[]): number {
    const slots = fetches.flatMap(({ frames }) => frames.flatMap((frame) => frame.slots));
    return slots.reduce((total, { offsets }) => total + this.#sumLengths(offsets), 0);
  }

  /** Bytes of the chunks at `offsets`; the backup's last one may be short. */
  #sumLengths(offsets: readonly number[]): number {
    const { sizeBytes } = this.#manifest.record;
    return offsets.reduce((total, offset) => total + Math.min(CHUNK_SIZE_BYTES, sizeBytes - offset), 0);
  }

  async #carryOut(wanted: Fetch, thread: PipelineThread): Promise<void> {
    const { signal } = this.#request;
    for await (const { fetch, bytes } of readFetch(this.#repository.store, this.#manifest, wanted, signal)) {
      await this.#write(fetch, bytes, thread);
    }
  }

  async #write({ index, bytesOffset, frames }: Fetch, bytes: Buffer, thread: PipelineThread): Promise<void> {
    const offsets = frames.flatMap((frame) => frame.slots.flatMap((slot) => slot.offsets));
    const work = { bytes: this.#sumLengths(offsets), operations: countRuns(frames) };
    await this.#repository.throttles.write.take(work, this.#request.signal);
    await thread.call(
      {
        type: 'unseal',
        deviceId: this.#deviceId,
        objectName: index.objectName,
        header: index.header,
        key: index.key,
        bytes,
        bytesOffset,
        frames,
      },
      // The store promises a buffer of its own memory.
      [bytes.buffer as ArrayBuffer],
    );
    this.#doneBytes += work.bytes;
    this.#startWriteBack();
    this.#reportProgress();
  }

  /** One at a time, beside the writing of more; what comes while a slow disk is at it waits for the next. */
  #startWriteBack(): void {
    if (this.#isWritingBack || this.#doneBytes - this.#writtenBackBytes < RESTORE_WRITE_BACK_BYTES) return;
    this.#isWritingBack = true;
    this.#writtenBackBytes = this.#doneBytes;
    this.#track(this.#request.target.writeBack(), () => {
      this.#isWritingBack = false;
    });
  }

  async #zero(offsetBytes: number, lengthBytes: number): Promise<void> {
    if (offsetBytes < this.#manifest.record.sizeBytes) {
      this.#skippedBytes += lengthBytes;
      this.#reportProgress();
    }
    if (this.#request.target.readsZero) return;
    const isApart = this.#zeros && this.#zeros.offsetBytes + this.#zeros.lengthBytes !== offsetBytes;
    if (isApart) await this.#flushZeros();
    this.#zeros ??= { offsetBytes, lengthBytes: 0 };
    this.#zeros.lengthBytes += lengthBytes;
    if (this.#zeros.lengthBytes >= ZERO_RUN_MAX_BYTES) await this.#flushZeros();
  }

  async #flushZeros(): Promise<void> {
    const zeros = this.#zeros;
    this.#zeros = undefined;
    if (!zeros) return;
    const endBytes = zeros.offsetBytes + zeros.lengthBytes;
    for (let offsetBytes = zeros.offsetBytes; offsetBytes < endBytes; offsetBytes += ZERO_RUN_MAX_BYTES) {
      const lengthBytes = Math.min(ZERO_RUN_MAX_BYTES, endBytes - offsetBytes);
      await this.#startWork(async (thread) => {
        // Punched, not written, wherever the disk can.
        await this.#repository.throttles.write.take({ bytes: 0, operations: 1 }, this.#request.signal);
        await thread.call({ type: 'zero', deviceId: this.#deviceId, ranges: [offsetBytes, lengthBytes] });
      });
    }
  }

  /** Starts work on the least loaded thread once the window has room. @throws what earlier work failed with */
  async #startWork(work: (thread: PipelineThread) => Promise<void>): Promise<void> {
    await this.#window.acquire();
    this.#throwFailure();
    this.#request.signal.throwIfAborted();
    const thread = pickLeastLoaded(this.#threads);
    thread.loadCount += 1;
    this.#track(work(thread), () => {
      thread.loadCount -= 1;
      this.#window.release();
    });
  }

  /** Keeps the run from ending before `work` has, and its failure. */
  #track(work: Promise<void>, onEnd: () => void): void {
    const running: Promise<void> = work
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#underWay.delete(running);
        onEnd();
      });
    this.#underWay.add(running);
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }

  #reportProgress(): void {
    const { sizeBytes } = this.#manifest.record;
    this.#request.report({
      // What is read back comes on top.
      totalBytes: this.#request.verify === true ? 2 * sizeBytes : sizeBytes,
      doneBytes: this.#doneBytes + Math.min(this.#verifiedBytes ?? 0, sizeBytes),
      skippedBytes: this.#skippedBytes,
      storedBytes: 0,
    });
  }
}

/** Writes that the frames take: neighbours within a frame go to the disk in one. */
function countRuns(frames: Fetch['frames']): number {
  let count = 0;
  for (const { slots } of frames) {
    const offsets = slots.flatMap((slot) => slot.offsets);
    count += offsets.filter((offset, i) => offset !== (offsets[i - 1] ?? -1) + CHUNK_SIZE_BYTES).length;
  }
  return count;
}
