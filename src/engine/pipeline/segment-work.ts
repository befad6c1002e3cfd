// The work of a pipeline thread on volume data: read, find zeros, hash; compress and seal; open, check and write.
// Synchronous on purpose: a thread does one thing at a time and the calls below are native code.
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { discardBuffer } from '../../core/bytes.ts';
import { VbsError } from '../../core/errors.ts';
import { CHUNK_SIZE_BYTES, FRAME_CHUNK_COUNT, SEGMENT_SIZE_BYTES } from '../../core/limits.ts';
import type { BlockDevice } from '../../volumes/block-device.ts';
import { seal, TAG_SIZE_BYTES, unseal } from '../crypto/sealing.ts';
import {
  CODECS,
  checkFrameHeader,
  countBits,
  DIGEST_SIZE_BYTES,
  encodeFrameHeader,
  FRAME_HEADER_SIZE_BYTES,
  type FrameEntry,
} from '../format/pack-format.ts';
import { looksIncompressible } from './compressibility.ts';
import type { ScannedSegment, ScanSegment, SealedFrames, SealFrames, UnsealFrames, WantedSlot } from './messages.ts';

const ZERO_CHUNK = Buffer.alloc(CHUNK_SIZE_BYTES);
/** zstd's own bound of its output for 1 MiB, and a little more: with less room Node compresses in slow steps. */
const COMPRESSED_BOUND_BYTES = FRAME_CHUNK_COUNT * CHUNK_SIZE_BYTES + 16 * 1024;
/** Saving less than 1/32 is not worth a decompression at every restore. */
const RAW_THRESHOLD = 31 / 32;

/** Reads the runs into `buffer` (one segment), zero-pads the last chunk, hashes every chunk that is not all zeros. */
export function scanSegment(device: BlockDevice, buffer: Buffer, request: ScanSegment): ScannedSegment {
  const chunkCount = Math.ceil(request.lengthBytes / CHUNK_SIZE_BYTES);
  const digests = new Uint8Array(chunkCount * DIGEST_SIZE_BYTES);
  const isZero = new Uint8Array(chunkCount).fill(1);
  for (let i = 0; i < request.runs.length; i += 2) {
    const firstChunk = request.runs[i] ?? 0;
    const endChunk = firstChunk + (request.runs[i + 1] ?? 0);
    const startBytes = firstChunk * CHUNK_SIZE_BYTES;
    const endBytes = Math.min(endChunk * CHUNK_SIZE_BYTES, request.lengthBytes);
    device.readSync(buffer.subarray(startBytes, endBytes), request.offsetBytes + startBytes);
    buffer.fill(0, endBytes, endChunk * CHUNK_SIZE_BYTES);
    for (let chunk = firstChunk; chunk < endChunk; chunk += 1) {
      const bytes = chunkOf(buffer, chunk);
      if (bytes.equals(ZERO_CHUNK)) continue;
      isZero[chunk] = 0;
      digests.set(hash('sha256', bytes, 'buffer'), chunk * DIGEST_SIZE_BYTES);
    }
  }
  return { digests, isZero };
}

function chunkOf(buffer: Buffer, chunk: number): Buffer {
  return buffer.subarray(chunk * CHUNK_SIZE_BYTES, (chunk + 1) * CHUNK_SIZE_BYTES);
}

/** Seals the frames of `request` from the segment in `buffer`. The reply's bytes have an ArrayBuffer of their own. */
export function sealFrames(buffer: Buffer, request: SealFrames): SealedFrames {
  const parts: Buffer[] = [];
  const frames: { storedBytes: number; codec: number }[] = [];
  for (const frame of request.frames) {
    const plaintext = gatherChunks(buffer, frame.chunks);
    const { payload, codec } = compressChunks(plaintext, request.compressionLevel);
    const mask = 2 ** frame.chunks.length - 1;
    const header = makeFrameHeader({ ordinal: frame.ordinal, firstSlot: frame.firstSlot, mask, codec }, payload);
    const { ciphertext, tag } = seal(request.key, frame.ordinal, [request.header, header], payload);
    if (payload !== plaintext) discardBuffer(payload);
    parts.push(header, ciphertext, tag);
    frames.push({ storedBytes: header.length + ciphertext.length + tag.length, codec });
  }
  const bytes = joinUnshared(parts);
  for (const part of parts) discardBuffer(part);
  return { bytes, frames };
}

/** The chunks compressed, or as they are where that saves next to nothing. */
export function compressChunks(plaintext: Buffer, compressionLevel: number): { payload: Buffer; codec: number } {
  if (looksIncompressible(plaintext)) return { payload: plaintext, codec: CODECS.raw };
  const compressed = zstdCompressSync(plaintext, {
    chunkSize: COMPRESSED_BOUND_BYTES,
    params: { [constants.ZSTD_c_compressionLevel]: compressionLevel },
  });
  if (compressed.length < plaintext.length * RAW_THRESHOLD) return { payload: compressed, codec: CODECS.zstd };
  discardBuffer(compressed);
  return { payload: plaintext, codec: CODECS.raw };
}

export function makeFrameHeader(
  frame: { readonly ordinal: number; readonly firstSlot: number; readonly mask: number; readonly codec: number },
  payload: Buffer,
): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_SIZE_BYTES);
  encodeFrameHeader(header, 0, { ...frame, payloadBytes: payload.length + TAG_SIZE_BYTES });
  return header;
}

function gatherChunks(buffer: Buffer, chunks: readonly number[]): Buffer {
  const first = chunks[0] ?? 0;
  assert(chunks.length > 0 && chunks.length <= FRAME_CHUNK_COUNT, 'a frame has 1 to 16 chunks');
  const isContiguous = chunks.every((chunk, i) => chunk === first + i);
  if (isContiguous) return buffer.subarray(first * CHUNK_SIZE_BYTES, (first + chunks.length) * CHUNK_SIZE_BYTES);
  return Buffer.concat(chunks.map((chunk) => chunkOf(buffer, chunk)));
}

/** Like Buffer.concat, but never in the shared pool: the result can be transferred. */
export function joinUnshared(parts: readonly Buffer[]): Buffer {
  const joined = Buffer.allocUnsafeSlow(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) at += part.copy(joined, at);
  return joined;
}

/** Stored frames of one object, as they were read. */
export type StoredFrames = Pick<UnsealFrames, 'objectName' | 'header' | 'key' | 'bytes' | 'bytesOffset'>;

/** The payload of a frame, authenticated, as it was sealed. @throws DATA_CORRUPT naming the object and the offset */
export function openPayload(source: StoredFrames, entry: FrameEntry): Buffer {
  const bytes = Buffer.from(source.bytes.buffer, source.bytes.byteOffset, source.bytes.byteLength);
  const at = entry.offsetBytes - source.bytesOffset;
  const header = bytes.subarray(at, at + FRAME_HEADER_SIZE_BYTES);
  const ordinal = checkFrameHeader(header, entry, source.objectName);
  const sealed = bytes.subarray(at + FRAME_HEADER_SIZE_BYTES, at + entry.storedBytes);
  const where = { object: source.objectName, offsetBytes: entry.offsetBytes };
  return unseal(source.key, ordinal, [source.header, header], sealed, where);
}

/** The chunks of a frame, checked: header, tag, length. @throws DATA_CORRUPT naming the object and the offset */
export function openFrame(source: StoredFrames, entry: FrameEntry): Buffer {
  const where = { object: source.objectName, offsetBytes: entry.offsetBytes };
  const payload = openPayload(source, entry);
  const expectedBytes = countBits(entry.mask) * CHUNK_SIZE_BYTES;
  const plaintext = entry.codec === CODECS.zstd ? decompress(payload, expectedBytes, where) : payload;
  if (plaintext !== payload) discardBuffer(payload);
  if (plaintext.length !== expectedBytes) {
    throw new VbsError('DATA_CORRUPT', {
      ...where,
      reason: `a frame of ${plaintext.length} bytes, not ${expectedBytes}`,
    });
  }
  return plaintext;
}

/** @throws DATA_CORRUPT when the payload is no zstd frame or opens to more than `maxBytes` */
export function decompress(payload: Buffer, maxBytes: number, where: { object: string; offsetBytes: number }): Buffer {
  try {
    return zstdDecompressSync(payload, { chunkSize: maxBytes + 64, maxOutputLength: maxBytes });
  } catch (cause) {
    throw new VbsError('DATA_CORRUPT', { ...where, reason: 'the payload does not decompress' }, { cause });
  }
}

/** Opens the frames and hands every wanted chunk, in order and checked against its digest, to `use`. */
function forEachWantedChunk(
  request: UnsealFrames,
  use: (chunk: Buffer, slot: WantedSlot) => void,
  endFrame: () => void,
): void {
  for (const { entry, slots } of request.frames) {
    const plaintext = openFrame(request, entry);
    for (const slot of slots) {
      const position = countBits(entry.mask & (2 ** slot.bit - 1));
      const chunk = plaintext.subarray(position * CHUNK_SIZE_BYTES, (position + 1) * CHUNK_SIZE_BYTES);
      if (!hash('sha256', chunk, 'buffer').equals(slot.digest)) {
        const reason = `the chunk in slot ${entry.firstSlot + slot.bit} does not have its digest`;
        throw new VbsError('DATA_CORRUPT', { object: request.objectName, offsetBytes: entry.offsetBytes, reason });
      }
      use(chunk, slot);
    }
    endFrame();
    discardBuffer(plaintext);
  }
}

/** Writes the wanted chunks to the disk, neighbours of a frame in one call; the last chunk is cut at the disk's end. */
export function writeUnsealed(device: BlockDevice, request: UnsealFrames): void {
  let pending: Buffer[] = [];
  let startAt = 0;
  let endAt = 0;
  const flush = (): void => {
    if (pending.length > 0) device.writeSync(pending, startAt);
    pending = [];
  };
  const add = (chunk: Buffer, slot: WantedSlot): void => {
    for (const offset of slot.offsets) {
      const bytes = chunk.subarray(0, Math.min(CHUNK_SIZE_BYTES, device.sizeBytes - offset));
      if (pending.length === 0 || offset !== endAt) {
        flush();
        startAt = offset;
      }
      pending.push(bytes);
      endAt = offset + bytes.length;
    }
  };
  forEachWantedChunk(request, add, flush);
}

/** The wanted chunks one after the other, in an ArrayBuffer of their own. */
export function collectUnsealed(request: UnsealFrames): Uint8Array {
  const chunkCount = request.frames.reduce((total, { slots }) => total + slots.length, 0);
  const collected = Buffer.allocUnsafeSlow(chunkCount * CHUNK_SIZE_BYTES);
  let at = 0;
  const add = (chunk: Buffer): void => {
    at += chunk.copy(collected, at);
  };
  forEachWantedChunk(request, add, () => undefined);
  return collected;
}

export function allocateSegment(): Buffer {
  return Buffer.allocUnsafeSlow(SEGMENT_SIZE_BYTES);
}
