// Reads any range of a backup as if it were a disk: for export, later for verify and NBD.
import { setImmediate } from 'node:timers/promises';
import { VbsError } from '../core/errors.ts';
import type { BackupId } from '../core/ids.ts';
import type { JobClaim } from '../core/ledger.ts';
import { CHUNK_SIZE_BYTES, PAGE_ENTRY_COUNT, PAGE_WALK_COUNT } from '../core/limits.ts';
import type { Extent } from '../volumes/extent.ts';
import { type Fetch, planFetches, readFetch } from './fetch-plan.ts';
import { addressAt } from './format/page-format.ts';
import { ManifestReader } from './manifest-reader.ts';
import { pickLeastLoaded } from './pipeline/worker-pool.ts';
import type { Repository } from './repository.ts';

const PAGE_SPAN_BYTES = PAGE_ENTRY_COUNT * CHUNK_SIZE_BYTES;
/** Reads of packs at the same time: each takes up to 8 MiB, however small the part that is wanted of it. */
const FETCHES_AT_ONCE = 4;

export class BackupReader {
  readonly #repository: Repository;
  readonly #manifest: ManifestReader;

  constructor(repository: Repository, manifest: ManifestReader) {
    this.#repository = repository;
    this.#manifest = manifest;
  }

  get sizeBytes(): number {
    return this.#manifest.record.sizeBytes;
  }

  /** Extents within `range` that hold stored chunks, ascending, neighbours joined; all between reads as zeros. */
  async *dataExtents(range: Extent): AsyncGenerator<Extent, void> {
    let open: { offsetBytes: number; lengthBytes: number } | undefined;
    for await (const { page, pageOffsetBytes, firstEntry, endEntry } of this.#pages(range)) {
      for (let entry = firstEntry; page && entry < endEntry; entry += 1) {
        if (!addressAt(page, entry)) continue;
        const offsetBytes = Math.max(range.offsetBytes, pageOffsetBytes + entry * CHUNK_SIZE_BYTES);
        const endBytes = Math.min(
          pageOffsetBytes + (entry + 1) * CHUNK_SIZE_BYTES,
          range.offsetBytes + range.lengthBytes,
          this.sizeBytes,
        );
        if (open && open.offsetBytes + open.lengthBytes === offsetBytes) {
          open.lengthBytes = endBytes - open.offsetBytes;
          continue;
        }
        if (open) yield open;
        open = { offsetBytes, lengthBytes: endBytes - offsetBytes };
      }
    }
    if (open) yield open;
  }

  /**
   * Bytes [offset, offset + length) of the backup, which must lie inside it.
   * @throws DATA_CORRUPT, STORAGE_IO; the signal's reason
   */
  async read(offsetBytes: number, lengthBytes: number, signal?: AbortSignal): Promise<Buffer> {
    const result = Buffer.alloc(lengthBytes);
    for await (const { page, ...span } of this.#pages({ offsetBytes, lengthBytes })) {
      const { fetches } = await planFetches(this.#manifest, page, span);
      for (let start = 0; start < fetches.length; start += FETCHES_AT_ONCE) {
        const batch = fetches.slice(start, start + FETCHES_AT_ONCE);
        await Promise.all(batch.map((fetch) => this.#fetchInto(fetch, result, offsetBytes, signal)));
      }
    }
    return result;
  }

  async #fetchInto(wanted: Fetch, result: Buffer, resultOffset: number, signal?: AbortSignal): Promise<void> {
    for await (const { fetch, bytes } of readFetch(this.#repository.store, this.#manifest, wanted, signal)) {
      await this.#unsealInto(fetch, bytes, result, resultOffset);
    }
  }

  async #unsealInto(fetch: Fetch, bytes: Buffer, result: Buffer, resultOffset: number): Promise<void> {
    const { index, bytesOffset, frames } = fetch;
    const thread = pickLeastLoaded(this.#repository.workers.threads);
    thread.loadCount += 1;
    try {
      const { objectName, header, key } = index;
      const { chunks } = await thread.call(
        { type: 'unseal', deviceId: undefined, objectName, header, key, bytes, bytesOffset, frames },
        // The store promises a buffer of its own memory.
        [bytes.buffer as ArrayBuffer],
      );
      if (!chunks) throw new VbsError('INTERNAL');
      const slots = frames.flatMap((frame) => frame.slots);
      slots.forEach((slot, i) => {
        for (const offset of slot.offsets) {
          const from = Math.max(offset, resultOffset);
          const end = Math.min(offset + CHUNK_SIZE_BYTES, resultOffset + result.length);
          const at = i * CHUNK_SIZE_BYTES - offset;
          if (from < end) result.set(chunks.subarray(at + from, at + end), from - resultOffset);
        }
      });
    } finally {
      thread.loadCount -= 1;
    }
  }

  async *#pages(range: Extent) {
    const endBytes = range.offsetBytes + range.lengthBytes;
    if (range.offsetBytes < 0 || range.lengthBytes < 0 || endBytes > this.sizeBytes) {
      throw new RangeError(`bytes ${range.offsetBytes} to ${endBytes} are not inside the backup's ${this.sizeBytes}`);
    }
    if (range.lengthBytes === 0) return;
    const firstPage = Math.floor(range.offsetBytes / PAGE_SPAN_BYTES);
    for (let pageIndex = firstPage; pageIndex * PAGE_SPAN_BYTES < endBytes; pageIndex += 1) {
      // As in segment-plan.ts: pages of zeros wait for nothing.
      if (pageIndex % PAGE_WALK_COUNT === 0) await setImmediate();
      const pageOffsetBytes = pageIndex * PAGE_SPAN_BYTES;
      const page = await this.#manifest.pageAt(0, pageIndex);
      const firstEntry = Math.max(0, Math.floor((range.offsetBytes - pageOffsetBytes) / CHUNK_SIZE_BYTES));
      const endEntry = Math.min(PAGE_ENTRY_COUNT, Math.ceil((endBytes - pageOffsetBytes) / CHUNK_SIZE_BYTES));
      yield { page, pageOffsetBytes, firstEntry, endEntry };
    }
  }
}

/** Pins a backup for a job and opens it. The pin goes with the job. @throws BACKUP_NOT_FOUND, DATA_CORRUPT */
export async function openBackup(
  repository: Repository,
  request: { claim: JobClaim; backupId: BackupId },
): Promise<BackupReader> {
  const pinned = await repository.ledger.pinBackup(request.claim, request.backupId);
  if (!pinned) throw new VbsError('BACKUP_NOT_FOUND', { backupId: request.backupId });
  const project = await repository.openProject(pinned.projectId);
  return new BackupReader(repository, await ManifestReader.open(repository, project, pinned));
}
