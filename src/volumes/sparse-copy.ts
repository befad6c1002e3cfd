// Copies disks inside this machine where blocks cannot be shared: only what may hold data is read, and what turns out
// to be zero is not written. Asynchronous all the way: the main thread only looks for zeros, a piece at a time.
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { KIB, MIB } from '../core/bytes.ts';
import { VbsError } from '../core/errors.ts';
import { COPY_LANE_COUNT, COPY_PIECE_BYTES } from '../core/limits.ts';
import { NO_THROTTLES } from '../core/throttle.ts';
import { findDataExtents } from './data-extents.ts';
import { type Extent, extentEnd } from './extent.ts';
import type { CopyControl } from './snapshot-driver.ts';
import type { SystemCalls } from './system-calls.ts';
import type { VolumeSource } from './volume.ts';
import { onVolume } from './volume-error.ts';

/** Grain of looking for zeros: as fine as the holes that a backup can make use of. */
const ZERO_GRAIN_BYTES = 64 * KIB;
const ZEROS = Buffer.alloc(COPY_PIECE_BYTES);
/** Freed in one call, on the main thread: a millisecond on ext4. */
const PUNCH_BYTES = 64 * MIB;

/** An image or device that is written to. */
export type CopyTarget = {
  readonly file: FileHandle;
  readonly path: string;
  /** It reads zero everywhere: zeros need not be written. */
  readonly readsZero: boolean;
  readonly isDevice: boolean;
};

/**
 * Makes the first `source.sizeBytes` of the target equal to the source. Nothing is durable until the caller syncs.
 * Throws errors of the system as they are.
 */
export async function copyDisk(
  source: VolumeSource,
  target: CopyTarget,
  { signal, report, throttles = NO_THROTTLES }: CopyControl,
  calls: SystemCalls,
): Promise<void> {
  const from = await open(source.descriptor.path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const handled = { doneBytes: 0, skippedBytes: 0 };
  report?.({ totalBytes: source.sizeBytes, ...handled });
  const held: HeldTarget = { ...target, takeTurn: (bytes) => throttles.write.take({ bytes, operations: 1 }, signal) };
  const step: CopyStep = {
    copy: async (piece, buffer) => {
      await throttles.read.take({ bytes: piece.lengthBytes, operations: 1 }, signal);
      await copyPiece({ file: from, path: source.descriptor.path }, held, piece, buffer);
    },
    clear: (gap) => (target.readsZero ? Promise.resolve() : clearRange(held, gap, calls, signal)),
    onDone: ({ kind, extent }) => {
      handled[kind === 'data' ? 'doneBytes' : 'skippedBytes'] += extent.lengthBytes;
      report?.(handled);
    },
  };
  const pieces = planPieces(source, signal);
  let isFailed = false;
  const lane = async () => {
    const buffer = Buffer.allocUnsafe(COPY_PIECE_BYTES);
    try {
      for (let next = await pieces.next(); !next.done && !isFailed; next = await pieces.next()) {
        await runStep(step, next.value, buffer);
      }
    } catch (error) {
      isFailed = true;
      throw error;
    }
  };
  try {
    // All lanes must have let go of the files before these are closed, also when one of them failed.
    const ended = await Promise.allSettled(Array.from({ length: COPY_LANE_COUNT }, lane));
    const failed = ended.find((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  } finally {
    await from.close();
  }
}

type CopyStep = {
  copy(piece: Extent, buffer: Buffer): Promise<void>;
  clear(gap: Extent): Promise<void>;
  onDone(piece: Piece): void;
};
type Piece = { readonly kind: 'data' | 'gap'; readonly extent: Extent };

async function runStep(step: CopyStep, piece: Piece, buffer: Buffer): Promise<void> {
  if (piece.kind === 'data') await step.copy(piece.extent, buffer);
  else await step.clear(piece.extent);
  step.onDone(piece);
}

/** The whole disk in ascending pieces: data in pieces that fit a buffer, what reads as zeros in gaps. */
async function* planPieces(source: VolumeSource, signal: AbortSignal | undefined): AsyncGenerator<Piece> {
  let positionBytes = 0;
  const gapUntil = (endBytes: number): Piece => ({
    kind: 'gap',
    extent: { offsetBytes: positionBytes, lengthBytes: endBytes - positionBytes },
  });
  for await (const data of source.dataExtents({ offsetBytes: 0, lengthBytes: source.sizeBytes }, signal)) {
    if (data.offsetBytes > positionBytes) yield gapUntil(data.offsetBytes);
    for (positionBytes = data.offsetBytes; positionBytes < extentEnd(data); ) {
      signal?.throwIfAborted();
      const lengthBytes = Math.min(COPY_PIECE_BYTES, extentEnd(data) - positionBytes);
      yield { kind: 'data', extent: { offsetBytes: positionBytes, lengthBytes } };
      positionBytes += lengthBytes;
    }
  }
  if (positionBytes < source.sizeBytes) yield gapUntil(source.sizeBytes);
}

type OpenDisk = Pick<CopyTarget, 'file' | 'path'>;
/** A target that is asked before each write; zeros that are punched are no bytes. */
type HeldTarget = CopyTarget & { takeTurn(bytes: number): Promise<void> };

async function copyPiece(from: OpenDisk, target: HeldTarget, piece: Extent, buffer: Buffer): Promise<void> {
  const bytes = buffer.subarray(0, piece.lengthBytes);
  await onVolume(from.path, () => readFully(from, bytes, piece.offsetBytes));
  const runs = target.readsZero ? findData(bytes) : [{ offsetBytes: 0, lengthBytes: bytes.byteLength }];
  for (const { offsetBytes, lengthBytes } of runs) {
    const run = bytes.subarray(offsetBytes, offsetBytes + lengthBytes);
    await writeFully(target, run, piece.offsetBytes + offsetBytes);
  }
}

/** Where `bytes` are not zero, in grains; neighbours are one run. */
function findData(bytes: Buffer): Extent[] {
  const runs: Extent[] = [];
  for (let offsetBytes = 0; offsetBytes < bytes.byteLength; offsetBytes += ZERO_GRAIN_BYTES) {
    const lengthBytes = Math.min(ZERO_GRAIN_BYTES, bytes.byteLength - offsetBytes);
    if (bytes.compare(ZEROS, 0, lengthBytes, offsetBytes, offsetBytes + lengthBytes) === 0) continue;
    const last = runs.at(-1);
    if (last && extentEnd(last) === offsetBytes) {
      runs[runs.length - 1] = { offsetBytes: last.offsetBytes, lengthBytes: last.lengthBytes + lengthBytes };
    } else runs.push({ offsetBytes, lengthBytes });
  }
  return runs;
}

/** Makes a range of the target read zero; of an image only what is not a hole already. */
async function clearRange(
  target: HeldTarget,
  range: Extent,
  calls: SystemCalls,
  signal: AbortSignal | undefined,
): Promise<void> {
  // Punching a device can take it seconds, and this is the main thread: zeros are written instead.
  if (target.isDevice) return await writeZeros(target, range, signal);
  for await (const data of findDataExtents(target.file.fd, range, calls, signal)) {
    for (let offsetBytes = data.offsetBytes; offsetBytes < extentEnd(data); offsetBytes += PUNCH_BYTES) {
      signal?.throwIfAborted();
      const part = { offsetBytes, lengthBytes: Math.min(PUNCH_BYTES, extentEnd(data) - offsetBytes) };
      await target.takeTurn(0);
      if (!calls.punchHole(target.file.fd, offsetBytes, part.lengthBytes)) await writeZeros(target, part, signal);
      await setImmediate();
    }
  }
}

async function writeZeros(target: HeldTarget, range: Extent, signal: AbortSignal | undefined): Promise<void> {
  for (let offsetBytes = range.offsetBytes; offsetBytes < extentEnd(range); offsetBytes += ZEROS.byteLength) {
    signal?.throwIfAborted();
    await writeFully(target, ZEROS.subarray(0, extentEnd(range) - offsetBytes), offsetBytes);
  }
}

async function readFully({ file, path }: OpenDisk, bytes: Buffer, offsetBytes: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    const { bytesRead } = await file.read(bytes, done, bytes.byteLength - done, offsetBytes + done);
    if (bytesRead === 0) {
      const expectedBytes = offsetBytes + bytes.byteLength;
      throw new VbsError('VOLUME_SIZE_MISMATCH', { source: path, actualBytes: offsetBytes + done, expectedBytes });
    }
    done += bytesRead;
  }
}

async function writeFully(target: HeldTarget, bytes: Buffer, offsetBytes: number): Promise<void> {
  const { file, path } = target;
  await target.takeTurn(bytes.byteLength);
  for (let done = 0; done < bytes.byteLength; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, offsetBytes + done);
    // A device that takes nothing without an error would keep us here for ever.
    if (bytesWritten === 0) throw new VbsError('VOLUME_IO', { source: path, reason: 'nothing written' });
    done += bytesWritten;
  }
}
