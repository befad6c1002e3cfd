// Writes a backup to a disk: walks the pages in order, reads packs here, opens, checks and writes on the threads.
// Every chunk is authenticated and compared with its digest before it is written.
import { setImmediate } from 'node:timers/promises';
import { Semaphore } from '../core/concurrency.ts';
import { VbsError } from '../core/errors.ts';
import type { BackupId } from '../core/ids.ts';
import type { JobClaim } from '../core/ledger.ts';
import { CHUNK_SIZE_BYTES, PAGE_ENTRY_COUNT, PAGE_WALK_COUNT } from '../core/limits.ts';
import type { Progress } from '../core/model.ts';
import type { VolumeTarget } from '../volumes/volume.ts';
import { type Fetch, planFetches } from './fetch-plan.ts';
import { ManifestReader } from './manifest-reader.ts';
import { type PipelineThread, pickLeastLoaded } from './pipeline/worker-pool.ts';
import type { Repository } from './repository.ts';

export type RestoreRequest = {
  readonly claim: JobClaim;
  readonly backupId: BackupId;
  readonly target: VolumeTarget;
  /** Also zero what lies beyond the backup's end: for new volumes, where another tenant's bytes must not show. */
  readonly zeroBeyond: boolean;
  readonly report: (progress: Progress) => void;
  readonly signal: AbortSignal;
};

/** Reads under way per thread: one being opened, one being read from the store. */
const FETCHES_PER_THREAD = 2;
const PAGE_SPAN_BYTES = PAGE_ENTRY_COUNT * CHUNK_SIZE_BYTES;
/** Zeros asked for in one go: a disk that cannot punch writes them, and meanwhile nothing can stop its thread. */
const ZERO_RUN_MAX_BYTES = 4 * PAGE_SPAN_BYTES;

/**
 * Writes bytes [0, size of the backup) of the target and makes them durable. When it throws, the target holds a
 * mixture; running it again completes it.
 * @throws BACKUP_NOT_FOUND, DATA_CORRUPT, RESTORE_VOLUME_TOO_SMALL, STORAGE_IO, STORAGE_FULL, VOLUME_IO
 */
export async function restoreBackup(repository: Repository, request: RestoreRequest): Promise<void> {
  const { backupId, target } = request;
  const pinned = await repository.ledger.pinBackup(request.claim, backupId);
  if (!pinned) throw new VbsError('BACKUP_NOT_FOUND', { backupId });
  const project = await repository.openProject(pinned.projectId);
  const manifest = await ManifestReader.open(repository, project, pinned);
  if (target.sizeBytes < manifest.record.sizeBytes) {
    throw new VbsError('RESTORE_VOLUME_TOO_SMALL', { volumeId: target.descriptor.path, backupId });
  }
  await new RestoreRun(repository, manifest, request).run();
  await target.sync();
}

class RestoreRun {
  readonly #repository: Repository;
  readonly #manifest: ManifestReader;
  readonly #request: RestoreRequest;
  readonly #threads: readonly PipelineThread[];
  readonly #deviceId: number;
  readonly #window: Semaphore;
  readonly #underWay = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  /** Zeros met and not yet written; neighbours are joined over pages. */
  #zeros: { offsetBytes: number; lengthBytes: number } | undefined;
  #doneBytes = 0;
  #skippedBytes = 0;

  constructor(repository: Repository, manifest: ManifestReader, request: RestoreRequest) {
    this.#repository = repository;
    this.#manifest = manifest;
    this.#request = request;
    this.#threads = [...repository.workers.threads];
    this.#deviceId = repository.workers.nextId();
    this.#window = new Semaphore(this.#threads.length * FETCHES_PER_THREAD);
  }

  async run(): Promise<void> {
    const { target } = this.#request;
    const { sizeBytes } = this.#manifest.record;
    // The threads see the disk as long as the backup: a padded last chunk is cut there.
    const endBytes = this.#request.zeroBeyond ? target.sizeBytes : sizeBytes;
    const descriptor = { ...target.descriptor, sizeBytes: endBytes };
    const deviceId = this.#deviceId;
    try {
      const open = { type: 'open-device', deviceId, descriptor, mode: 'write' } as const;
      await Promise.all(this.#threads.map((thread) => thread.call(open)));
      for (let pageIndex = 0; pageIndex < this.#manifest.pageCount; pageIndex += 1) await this.#restorePage(pageIndex);
      if (endBytes > sizeBytes) await this.#zero(sizeBytes, endBytes - sizeBytes);
      await this.#flushZeros();
    } finally {
      await Promise.all(this.#underWay);
      await Promise.allSettled(this.#threads.map((thread) => thread.call({ type: 'close-device', deviceId })));
    }
    this.#throwFailure();
  }

  async #restorePage(pageIndex: number): Promise<void> {
    // As in segment-plan.ts: pages of zeros wait for nothing.
    if (pageIndex % PAGE_WALK_COUNT === 0) await setImmediate();
    this.#request.signal.throwIfAborted();
    const page = await this.#manifest.pageAt(0, pageIndex);
    const pageOffsetBytes = pageIndex * PAGE_SPAN_BYTES;
    const endEntry = Math.min(PAGE_ENTRY_COUNT, this.#manifest.chunkCount - pageIndex * PAGE_ENTRY_COUNT);
    const plan = await planFetches(this.#manifest, page, { pageOffsetBytes, firstEntry: 0, endEntry });
    for (const fetch of plan.fetches) {
      await this.#startWork((thread) => this.#carryOut(fetch, thread));
    }
    for (const [offsetBytes, lengthBytes] of plan.zeros) await this.#zero(offsetBytes, lengthBytes);
  }

  async #carryOut(fetch: Fetch, thread: PipelineThread): Promise<void> {
    const { index, bytesOffset, bytesLength, frames } = fetch;
    const bytes = await this.#repository.store.readRange(index.objectName, bytesOffset, bytesLength);
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
    const offsets = frames.flatMap((frame) => frame.slots.flatMap((slot) => slot.offsets));
    const { sizeBytes } = this.#manifest.record;
    for (const offset of offsets) this.#doneBytes += Math.min(CHUNK_SIZE_BYTES, sizeBytes - offset);
    this.#reportProgress();
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
    const running: Promise<void> = work(thread)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        thread.loadCount -= 1;
        this.#underWay.delete(running);
        this.#window.release();
      });
    this.#underWay.add(running);
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }

  #reportProgress(): void {
    this.#request.report({
      totalBytes: this.#manifest.record.sizeBytes,
      doneBytes: this.#doneBytes,
      skippedBytes: this.#skippedBytes,
      storedBytes: 0,
    });
  }
}
