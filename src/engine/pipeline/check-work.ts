// The work of verification and repair on a pipeline thread: damage is looked for here, and what can be had in spite of
// it is taken out. Nothing counts as sound that does not have its digest.
import { createDecipheriv, hash } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { discardBuffer } from '../../core/bytes.ts';
import { VbsError } from '../../core/errors.ts';
import { CHUNK_SIZE_BYTES, FRAME_CHUNK_COUNT } from '../../core/limits.ts';
import type { BlockDevice } from '../../volumes/block-device.ts';
import { TAG_SIZE_BYTES } from '../crypto/sealing.ts';
import { HEADER_SIZE_BYTES } from '../format/object-header.ts';
import {
  CODECS,
  DIGEST_SIZE_BYTES,
  FRAME_HEADER_SIZE_BYTES,
  type FrameEntry,
  peekFrameHeader,
} from '../format/pack-format.ts';
import { PAGE_SIZE_MAX_BYTES } from '../format/page-format.ts';
import type {
  CheckedFrame,
  CheckedFrames,
  CheckFrames,
  FindFrames,
  FoundFrames,
  MatchChunks,
  MatchedChunks,
} from './messages.ts';
import { bitsOf } from './reseal-work.ts';
import { decompress, openPayload, type StoredFrames } from './segment-work.ts';

/** Never throws for damage. */
export function checkFrames(request: CheckFrames): CheckedFrames {
  const damaged: { frame: number; mask: number; reason: string }[] = [];
  const salvaged: (Uint8Array | null)[][] = [];
  request.frames.forEach((checked, frame) => {
    const opened = tryOpen(request, checked);
    const plaintext = opened.plaintext ?? (request.salvages ? salvage(request, checked) : undefined);
    const parts = plaintext === undefined ? [] : cutSound(plaintext, checked);
    const bits = bitsOf(checked.entry.mask);
    const bad = bits.filter((_, i) => opened.plaintext === undefined || parts[i] == null);
    if (bad.length > 0) {
      const mask = bad.reduce((joined, bit) => joined | (1 << bit), 0);
      const reason = opened.reason ?? `slot ${checked.entry.firstSlot + (bad[0] ?? 0)} does not have its digest`;
      damaged.push({ frame, mask, reason });
    }
    // Copies: the parts are views of a buffer that is used again.
    if (request.salvages) salvaged.push(bits.map((_, i) => (parts[i] == null ? null : Uint8Array.from(parts[i]))));
    if (plaintext !== undefined) discardBuffer(plaintext);
  });
  return { damaged, salvaged };
}

function tryOpen(source: StoredFrames, checked: CheckedFrame): { plaintext?: Buffer; reason?: string } {
  try {
    return { plaintext: openChecked(source, checked) };
  } catch (error) {
    if (!(error instanceof VbsError) || error.code !== 'DATA_CORRUPT') throw error;
    return { reason: String(error.details.reason ?? error.message) };
  }
}

/** @throws DATA_CORRUPT */
function openChecked(source: StoredFrames, { entry, lengths }: CheckedFrame): Buffer {
  const where = { object: source.objectName, offsetBytes: entry.offsetBytes };
  const payload = openPayload(source, entry);
  const expectedBytes = lengths.reduce((total, length) => total + length, 0);
  const plaintext = entry.codec === CODECS.zstd ? decompress(payload, expectedBytes, where) : payload;
  if (plaintext !== payload) discardBuffer(payload);
  if (plaintext.length === expectedBytes) return plaintext;
  throw new VbsError('DATA_CORRUPT', {
    ...where,
    reason: `a frame of ${plaintext.length}, not ${expectedBytes} bytes`,
  });
}

/** The slots of a plaintext that have their digests, in order. */
function cutSound(plaintext: Buffer, { digests, lengths }: CheckedFrame): (Buffer | null)[] {
  let at = 0;
  return lengths.map((length, i) => {
    const part = plaintext.subarray(at, at + length);
    at += length;
    const digest = digests.subarray(i * DIGEST_SIZE_BYTES, (i + 1) * DIGEST_SIZE_BYTES);
    return part.length === length && hash('sha256', part, 'buffer').equals(digest) ? part : null;
  });
}

/**
 * Opens a frame that is not authentic, for what is left of it: a wrong bit of the ciphertext is one wrong bit of the
 * plaintext. What comes out is worth nothing until it has its digest, which is authentic.
 */
function salvage(source: StoredFrames, { entry, lengths }: CheckedFrame): Buffer | undefined {
  const bytes = Buffer.from(source.bytes.buffer, source.bytes.byteOffset, source.bytes.byteLength);
  const at = entry.offsetBytes - source.bytesOffset;
  const stored = bytes.subarray(at, at + entry.storedBytes);
  if (stored.length < entry.storedBytes) return undefined;
  const nonce = Buffer.alloc(12);
  // The ordinal is told by the header alone; when that is what was damaged, there is no other way in.
  nonce.writeUInt32LE(stored.readUInt32LE(2));
  const decipher = createDecipheriv('aes-256-gcm', source.key, nonce, { authTagLength: TAG_SIZE_BYTES });
  const payload = decipher.update(stored.subarray(FRAME_HEADER_SIZE_BYTES, stored.length - TAG_SIZE_BYTES));
  if (entry.codec === CODECS.raw) return payload;
  const maxOutputLength = lengths.reduce((total, length) => total + length, 0);
  try {
    return zstdDecompressSync(payload, { chunkSize: maxOutputLength + 64, maxOutputLength });
  } catch {
    return undefined; // What the damage has left is no zstd frame any more.
  }
}

/** Reads the chunks wanted, as a backup would: what lies beyond the end of the disk is zeros. */
export function matchChunks(device: BlockDevice, { wanted }: MatchChunks): MatchedChunks {
  const chunks = wanted.map(({ offsetBytes, digest }) => {
    const lengthBytes = Math.min(CHUNK_SIZE_BYTES, device.sizeBytes - offsetBytes);
    if (lengthBytes <= 0) return null;
    const chunk = new Uint8Array(CHUNK_SIZE_BYTES);
    device.readSync(chunk.subarray(0, lengthBytes), offsetBytes);
    return hash('sha256', chunk, 'buffer').equals(digest) ? chunk : null;
  });
  return { chunks };
}

/** Frames that can be opened, in the order in which they lie; a damaged one is searched through for the next. */
export function findFrames(request: FindFrames): FoundFrames {
  const bytes = Buffer.from(request.bytes.buffer, request.bytes.byteOffset, request.bytes.byteLength);
  const frames: CheckedFrame[] = [];
  let nextSlot = 0;
  for (let at = HEADER_SIZE_BYTES; at + FRAME_HEADER_SIZE_BYTES < bytes.length; ) {
    const found = tryFrameAt(request, bytes, at, nextSlot);
    if (!found) {
      at += 1;
      continue;
    }
    frames.push(found);
    nextSlot = found.entry.firstSlot + (32 - Math.clz32(found.entry.mask));
    at += found.entry.storedBytes;
  }
  return { frames };
}

function tryFrameAt(request: FindFrames, bytes: Buffer, at: number, nextSlot: number): CheckedFrame | undefined {
  const header = peekFrameHeader(bytes, at);
  if (!header || header.firstSlot < nextSlot || at + header.storedBytes > bytes.length) return undefined;
  const entry: FrameEntry = { offsetBytes: at, ...header };
  const source = { ...request, bytes, bytesOffset: 0 };
  try {
    const payload = openPayload(source, entry);
    const where = { object: request.objectName, offsetBytes: at };
    const maxBytes = request.kind === 'page' ? PAGE_SIZE_MAX_BYTES : FRAME_CHUNK_COUNT * CHUNK_SIZE_BYTES;
    const plaintext = entry.codec === CODECS.zstd ? decompress(payload, maxBytes, where) : payload;
    const count = bitsOf(entry.mask).length;
    const lengthBytes = plaintext.length / count;
    const digests = Buffer.concat(
      bitsOf(entry.mask).map((_, i) =>
        hash('sha256', plaintext.subarray(i * lengthBytes, (i + 1) * lengthBytes), 'buffer'),
      ),
    );
    discardBuffer(plaintext);
    return { entry, digests, lengths: new Array<number>(count).fill(lengthBytes) };
  } catch (error) {
    // Two bytes that happen to look like the beginning of a frame, or a frame that is damaged.
    if (error instanceof VbsError && error.code === 'DATA_CORRUPT') return undefined;
    throw error;
  }
}
