// Decides how a disk is read: only where it changed since the parent, when the driver can tell and a sample agrees
// with the parent's manifest; else everywhere. A driver that is wrong would lose data silently: none is just believed.
import { bitmapHas } from '../core/bitmap.ts';
import type { BaselineState } from '../core/ledger.ts';
import { CHANGE_SAMPLE_COUNT, CHUNK_SIZE_BYTES, PAGE_ENTRY_COUNT } from '../core/limits.ts';
import type { DeviceDescriptor, VolumeSource } from '../volumes/volume.ts';
import { DIGEST_SIZE_BYTES } from './chunk/digest-table.ts';
import { addressAt } from './format/page-format.ts';
import type { ManifestReader } from './manifest-reader.ts';
import type { PipelineThread } from './pipeline/worker-pool.ts';
import type { OpenProject, Repository } from './repository.ts';
import { UnchangedParts } from './unchanged-parts.ts';
import { isUnreadable, readTwice } from './unreadable.ts';

/** How a disk was read, for the job and the log. */
export type ReadingReport = {
  /** `full`: there was nothing to compare with. `scan`: all was read and compared. */
  readonly mode: 'full' | 'scan' | 'changed-extents';
  /** Why not by changed extents. */
  readonly reason: string | null;
  /** Chunks that the driver called unchanged and that were read all the same. */
  readonly sampleCount: number;
  /** Those of them that had changed: the driver was wrong. */
  readonly mismatchCount: number;
};

export type Tracking = { readonly unchanged: UnchangedParts | undefined; readonly report: ReadingReport };

export type TrackingInput = {
  readonly project: OpenProject;
  readonly parent: ManifestReader | undefined;
  readonly baseline: BaselineState | undefined;
  readonly source: VolumeSource;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  readonly signal: AbortSignal;
};

/** @throws VOLUME_IO and other failures of the disk; what is not known is no failure */
export async function trackChanges(repository: Repository, input: TrackingInput): Promise<Tracking> {
  const { parent, baseline, source, random, signal } = input;
  const scan = (reason: string, counts = { sampleCount: 0, mismatchCount: 0 }): Tracking => ({
    unchanged: undefined,
    report: { mode: 'scan', reason, ...counts },
  });
  if (!parent) {
    const report = { mode: 'full', reason: null, sampleCount: 0, mismatchCount: 0 } as const;
    return { unchanged: undefined, report };
  }
  if (!baseline) return scan('nothing was kept of the disk at the last backup');
  if (parent.record.sizeBytes !== source.sizeBytes) return scan('the disk was resized');
  const found = await source.findChanges(baseline, { sampleCount: CHANGE_SAMPLE_COUNT, random }, signal);
  if (!found.isKnown) return scan(found.reason);
  const counts = await checkSample(repository, { parent, descriptor: source.descriptor, sample: found.sample, signal });
  if (counts.mismatchCount > 0) {
    const { volumeId } = parent.record;
    repository.logger.error({ volumeId, ...counts }, 'the driver called changed chunks unchanged; all is read');
    return scan('chunks that were said to be unchanged had changed', counts);
  }
  const damagedPackIds = new Set(await repository.ledger.listDamagedPacks(input.project.projectId));
  const { logger } = repository;
  const unchanged = new UnchangedParts({ parent, changed: found.changed, damagedPackIds, logger });
  return { unchanged, report: { mode: 'changed-extents', reason: null, ...counts } };
}

export type SampleInput = {
  readonly parent: ManifestReader;
  readonly descriptor: DeviceDescriptor;
  /** Indexes of chunks. */
  readonly sample: readonly number[];
  readonly signal: AbortSignal;
};

/**
 * Reads the chunks from the disk and compares them with the digests in the manifest; never with another snapshot, which
 * may be the one that is wrong. Chunks that the repository cannot tell the digest of are passed over.
 */
export async function checkSample(
  repository: Repository,
  { parent, descriptor, sample, signal }: SampleInput,
): Promise<{ readonly sampleCount: number; readonly mismatchCount: number }> {
  if (sample.length === 0) return { sampleCount: 0, mismatchCount: 0 };
  const threads = [...repository.workers.threads];
  const deviceId = repository.workers.nextId();
  const counts = { sampleCount: 0, mismatchCount: 0 };
  try {
    const open = { type: 'open-device', deviceId, descriptor, mode: 'read' } as const;
    await Promise.all(threads.map((thread) => thread.call(open)));
    const check = async (thread: PipelineThread, share: readonly number[]): Promise<void> => {
      for (const chunk of share) {
        signal.throwIfAborted();
        const expected = await findDigest(parent, chunk);
        if (expected === undefined) continue;
        await repository.throttles.read.take({ bytes: CHUNK_SIZE_BYTES, operations: 1 }, signal);
        counts.sampleCount += 1;
        const isSame = await hasDigest(repository, thread, { deviceId, descriptor, chunk, expected });
        if (!isSame) counts.mismatchCount += 1;
      }
    };
    await Promise.all(
      threads.map((thread, i) =>
        check(
          thread,
          sample.filter((_, position) => position % threads.length === i),
        ),
      ),
    );
    return counts;
  } finally {
    await Promise.allSettled(threads.map((thread) => thread.call({ type: 'close-device', deviceId })));
  }
}

/** The digest that the manifest has for the chunk, `zero`, or undefined where that cannot be told. */
async function findDigest(parent: ManifestReader, chunk: number): Promise<Buffer | 'zero' | undefined> {
  try {
    return await readTwice(async () => {
      const page = await parent.pageAt(0, Math.floor(chunk / PAGE_ENTRY_COUNT));
      const address = page && addressAt(page, chunk % PAGE_ENTRY_COUNT);
      if (!address) return 'zero';
      const [pack] = await parent.packsOf([address.packId]);
      if (bitmapHas(pack?.bad, address.slot)) return undefined;
      const index = await parent.indexOf(address.packId);
      return index.hasSlot(address.slot) ? index.digestOf(address.slot) : undefined;
    });
  } catch (error) {
    if (isUnreadable(error)) return undefined;
    throw error;
  }
}

async function hasDigest(
  { workers }: Repository,
  thread: PipelineThread,
  wanted: { deviceId: number; descriptor: DeviceDescriptor; chunk: number; expected: Buffer | 'zero' },
): Promise<boolean> {
  const { deviceId, descriptor, chunk, expected } = wanted;
  const segmentId = workers.nextId();
  const offsetBytes = chunk * CHUNK_SIZE_BYTES;
  const lengthBytes = Math.min(CHUNK_SIZE_BYTES, descriptor.sizeBytes - offsetBytes);
  try {
    const request = { type: 'scan', deviceId, segmentId, offsetBytes, lengthBytes, runs: [0, 1] } as const;
    const { digests, isZero } = await thread.call(request);
    if (expected === 'zero') return isZero[0] === 1;
    return isZero[0] === 0 && expected.equals(digests.subarray(0, DIGEST_SIZE_BYTES));
  } finally {
    await thread.call({ type: 'release', segmentId });
  }
}
