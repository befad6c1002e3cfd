// Bytes of a pack: HEADER || FRAME* || SEALED TRAILER || TAIL. All integers little-endian.
// Source: docs/repository-format.md, "Packs". The same form holds chunks (`data`) and manifest pages (`page`).
import { VbsError } from '../../core/errors.ts';
import type { PackKind } from '../../core/ledger.ts';
import { PACK_SLOT_COUNT_MAX, TRAILER_SIZE_MAX_BYTES } from '../../core/limits.ts';
import { TAG_SIZE_BYTES } from '../crypto/sealing.ts';
import { HEADER_SIZE_BYTES } from './object-header.ts';

export const FRAME_HEADER_SIZE_BYTES = 16;
export const TAIL_SIZE_BYTES = 32;
export const DIGEST_SIZE_BYTES = 32;
export const CODECS = { raw: 0, zstd: 1 } as const;
const FRAME_MAGIC = 0x4652; // 'RF'
const TAIL_MAGIC = Buffer.from('OVBSTAIL', 'latin1');
const FRAME_ENTRY_SIZE_BYTES = 16;
const TRAILER_HEAD_SIZE_BYTES = 8;

/** One frame as the trailer lists it. `mask` bit i is set when slot `firstSlot + i` is present. */
export type FrameEntry = {
  /** Of the frame header, from the start of the pack. */
  readonly offsetBytes: number;
  /** Frame header, ciphertext and tag. */
  readonly storedBytes: number;
  readonly firstSlot: number;
  readonly mask: number;
  readonly codec: number;
};

/** What a trailer tells. Digests and lengths stand in the order of the present slots. */
export type Trailer = {
  readonly frames: readonly FrameEntry[];
  /** SHA-256 of each present slot's plaintext, 32 bytes each. */
  readonly digests: Buffer;
  /** Plaintext lengths of present slots: page packs only; chunks are 64 KiB each. */
  readonly lengths: Uint32Array | undefined;
};

export function countBits(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}

/**
 * MAGIC(u16) || ORDINAL(u32) || FIRST SLOT(u16) || MASK(u16) || CODEC(u8) || COUNT(u8) || PAYLOAD LENGTH(u32), the
 * payload being ciphertext and tag. It stands in the clear so that a lost trailer can be rebuilt.
 */
export function encodeFrameHeader(
  target: Buffer,
  offsetBytes: number,
  frame: { ordinal: number; firstSlot: number; mask: number; codec: number; payloadBytes: number },
): void {
  target.writeUInt16LE(FRAME_MAGIC, offsetBytes);
  target.writeUInt32LE(frame.ordinal, offsetBytes + 2);
  target.writeUInt16LE(frame.firstSlot, offsetBytes + 6);
  target.writeUInt16LE(frame.mask, offsetBytes + 8);
  target.writeUInt8(frame.codec, offsetBytes + 10);
  target.writeUInt8(countBits(frame.mask), offsetBytes + 11);
  target.writeUInt32LE(frame.payloadBytes, offsetBytes + 12);
}

/** The ordinal of a frame whose header agrees with the trailer's entry in everything else. @throws DATA_CORRUPT */
export function checkFrameHeader(header: Buffer, entry: FrameEntry, object: string): number {
  const agrees =
    header.length === FRAME_HEADER_SIZE_BYTES &&
    header.readUInt16LE(0) === FRAME_MAGIC &&
    header.readUInt16LE(6) === entry.firstSlot &&
    header.readUInt16LE(8) === entry.mask &&
    header.readUInt8(10) === entry.codec &&
    header.readUInt8(11) === countBits(entry.mask) &&
    header.readUInt32LE(12) === entry.storedBytes - FRAME_HEADER_SIZE_BYTES;
  if (!agrees) {
    const reason = 'the frame header does not match the trailer';
    throw new VbsError('DATA_CORRUPT', { object, offsetBytes: entry.offsetBytes, reason });
  }
  return header.readUInt32LE(2);
}

/** What a frame header at `offsetBytes` tells; undefined when there can be none. Nothing of it is authentic yet. */
export function peekFrameHeader(bytes: Buffer, offsetBytes: number): Omit<FrameEntry, 'offsetBytes'> | undefined {
  if (offsetBytes + FRAME_HEADER_SIZE_BYTES > bytes.length) return undefined;
  if (bytes.readUInt16LE(offsetBytes) !== FRAME_MAGIC) return undefined;
  const firstSlot = bytes.readUInt16LE(offsetBytes + 6);
  const mask = bytes.readUInt16LE(offsetBytes + 8);
  const codec = bytes.readUInt8(offsetBytes + 10);
  const isKnown = codec === CODECS.raw || codec === CODECS.zstd;
  if (!isKnown || mask === 0 || bytes.readUInt8(offsetBytes + 11) !== countBits(mask)) return undefined;
  return { firstSlot, mask, codec, storedBytes: FRAME_HEADER_SIZE_BYTES + bytes.readUInt32LE(offsetBytes + 12) };
}

/** FRAME COUNT(u32) || SLOT COUNT(u32) || FRAMES(16 each) || DIGESTS(32 each) || LENGTHS(u32 each, page packs only) */
export function encodeTrailer(trailer: Trailer): Buffer {
  const presentCount = trailer.digests.length / DIGEST_SIZE_BYTES;
  const lengthsBytes = trailer.lengths ? 4 * presentCount : 0;
  const framesBytes = trailer.frames.length * FRAME_ENTRY_SIZE_BYTES;
  const bytes = Buffer.alloc(TRAILER_HEAD_SIZE_BYTES + framesBytes + trailer.digests.length + lengthsBytes);
  bytes.writeUInt32LE(trailer.frames.length, 0);
  bytes.writeUInt32LE(presentCount, 4);
  let at = TRAILER_HEAD_SIZE_BYTES;
  for (const frame of trailer.frames) {
    bytes.writeUInt32LE(frame.offsetBytes, at);
    bytes.writeUInt32LE(frame.storedBytes, at + 4);
    bytes.writeUInt16LE(frame.firstSlot, at + 8);
    bytes.writeUInt16LE(frame.mask, at + 10);
    bytes.writeUInt8(frame.codec, at + 12);
    at += FRAME_ENTRY_SIZE_BYTES;
  }
  trailer.digests.copy(bytes, at);
  at += trailer.digests.length;
  for (const length of trailer.lengths ?? []) at = bytes.writeUInt32LE(length, at);
  return bytes;
}

/** Decodes and checks a trailer. `trailerOffset` bounds the frames. @throws DATA_CORRUPT */
export function decodeTrailer(bytes: Buffer, kind: PackKind, trailerOffset: number, object: string): Trailer {
  const refuse = (reason: string) => new VbsError('DATA_CORRUPT', { object, offsetBytes: trailerOffset, reason });
  if (bytes.length < TRAILER_HEAD_SIZE_BYTES) throw refuse('the trailer is cut off');
  const frameCount = bytes.readUInt32LE(0);
  const presentCount = bytes.readUInt32LE(4);
  const digestsAt = TRAILER_HEAD_SIZE_BYTES + frameCount * FRAME_ENTRY_SIZE_BYTES;
  const lengthsAt = digestsAt + presentCount * DIGEST_SIZE_BYTES;
  const endAt = lengthsAt + (kind === 'page' ? 4 * presentCount : 0);
  if (presentCount > PACK_SLOT_COUNT_MAX || endAt !== bytes.length) throw refuse('the trailer has a wrong length');
  const frames: FrameEntry[] = [];
  let slotTotal = 0;
  let nextSlot = 0;
  let nextOffset = HEADER_SIZE_BYTES;
  for (let at = TRAILER_HEAD_SIZE_BYTES; at < digestsAt; at += FRAME_ENTRY_SIZE_BYTES) {
    const frame = {
      offsetBytes: bytes.readUInt32LE(at),
      storedBytes: bytes.readUInt32LE(at + 4),
      firstSlot: bytes.readUInt16LE(at + 8),
      mask: bytes.readUInt16LE(at + 10),
      codec: bytes.readUInt8(at + 12),
    };
    const isPlausible =
      frame.offsetBytes >= nextOffset &&
      frame.storedBytes > FRAME_HEADER_SIZE_BYTES + TAG_SIZE_BYTES &&
      frame.offsetBytes + frame.storedBytes <= trailerOffset &&
      frame.firstSlot >= nextSlot &&
      frame.mask !== 0 &&
      (frame.codec === CODECS.raw || frame.codec === CODECS.zstd);
    if (!isPlausible) throw refuse(`frame ${frames.length} is listed wrongly`);
    frames.push(frame);
    slotTotal += countBits(frame.mask);
    nextSlot = frame.firstSlot + (32 - Math.clz32(frame.mask));
    nextOffset = frame.offsetBytes + frame.storedBytes;
  }
  if (slotTotal !== presentCount || nextSlot > PACK_SLOT_COUNT_MAX)
    throw refuse('the trailer counts its slots wrongly');
  let lengths: Uint32Array | undefined;
  if (kind === 'page') {
    lengths = new Uint32Array(presentCount);
    for (let i = 0; i < presentCount; i += 1) lengths[i] = bytes.readUInt32LE(lengthsAt + 4 * i);
  }
  return { frames, digests: bytes.subarray(digestsAt, lengthsAt), lengths };
}

export type Tail = {
  readonly trailerOffset: number;
  /** Ciphertext and tag. */
  readonly trailerStoredBytes: number;
  readonly trailerOrdinal: number;
};

/** MAGIC(8) || TRAILER OFFSET(u64) || TRAILER LENGTH(u32) || TRAILER ORDINAL(u32) || ZERO(8) */
export function encodeTail(tail: Tail): Buffer {
  const bytes = Buffer.alloc(TAIL_SIZE_BYTES);
  TAIL_MAGIC.copy(bytes, 0);
  bytes.writeBigUInt64LE(BigInt(tail.trailerOffset), 8);
  bytes.writeUInt32LE(tail.trailerStoredBytes, 16);
  bytes.writeUInt32LE(tail.trailerOrdinal, 20);
  return bytes;
}

/** @throws DATA_CORRUPT when the tail does not describe a trailer that ends just before it. */
export function decodeTail(bytes: Buffer, objectSizeBytes: number, object: string): Tail {
  const offsetBytes = Math.max(0, objectSizeBytes - TAIL_SIZE_BYTES);
  const refuse = (reason: string) => new VbsError('DATA_CORRUPT', { object, offsetBytes, reason });
  if (bytes.length !== TAIL_SIZE_BYTES || !bytes.subarray(0, 8).equals(TAIL_MAGIC)) throw refuse('the tail is damaged');
  const trailerOffset = Number(bytes.readBigUInt64LE(8));
  const trailerStoredBytes = bytes.readUInt32LE(16);
  const isPlausible =
    trailerOffset >= HEADER_SIZE_BYTES &&
    trailerStoredBytes >= TAG_SIZE_BYTES &&
    trailerStoredBytes <= TRAILER_SIZE_MAX_BYTES &&
    trailerOffset + trailerStoredBytes + TAIL_SIZE_BYTES === objectSizeBytes;
  if (!isPlausible) throw refuse('the tail points to no trailer');
  return { trailerOffset, trailerStoredBytes, trailerOrdinal: bytes.readUInt32LE(20) };
}
