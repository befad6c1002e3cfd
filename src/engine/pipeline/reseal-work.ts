// The work of a compaction on a pipeline thread: frames of one object are opened, rid of slots that are dead, and
// sealed anew for another object. Frames that lose nothing keep their payload; nothing keeps its ciphertext.
import { hash } from 'node:crypto';
import { discardBuffer } from '../../core/bytes.ts';
import { VbsError } from '../../core/errors.ts';
import { CHUNK_SIZE_BYTES } from '../../core/limits.ts';
import { seal } from '../crypto/sealing.ts';
import { countBits, DIGEST_SIZE_BYTES, type FrameEntry } from '../format/pack-format.ts';
import type { ResealFrames, SealedFrames } from './messages.ts';
import { compressChunks, joinUnshared, makeFrameHeader, openFrame, openPayload } from './segment-work.ts';

/** The reply's bytes have an ArrayBuffer of their own. @throws DATA_CORRUPT */
export function resealFrames(request: ResealFrames): SealedFrames {
  const parts: Buffer[] = [];
  const frames: { storedBytes: number; codec: number }[] = [];
  for (const frame of request.frames) {
    const { entry, keptMask: mask, ordinal } = frame;
    const isWhole = mask === entry.mask && frame.replacement === undefined;
    const { payload, codec } = isWhole
      ? { payload: openPayload(request, entry), codec: entry.codec }
      : compressChunks(replaceFrame(frame) ?? cutFrame(request, frame), request.compressionLevel);
    const header = makeFrameHeader({ ordinal, firstSlot: entry.firstSlot, mask, codec }, payload);
    const { target } = request;
    const { ciphertext, tag } = seal(target.key, ordinal, [target.header, header], payload);
    discardBuffer(payload);
    parts.push(header, ciphertext, tag);
    frames.push({ storedBytes: header.length + ciphertext.length + tag.length, codec });
  }
  return { bytes: joinUnshared(parts), frames };
}

function replaceFrame({ replacement }: ResealFrames['frames'][number]): Buffer | undefined {
  return replacement && Buffer.from(replacement.buffer, replacement.byteOffset, replacement.byteLength);
}

/** The chunks that stay, each checked against its digest, one after the other. */
function cutFrame(request: ResealFrames, frame: ResealFrames['frames'][number]): Buffer {
  const { entry, keptMask, digests } = frame;
  const plaintext = openFrame(request, entry);
  const kept: Buffer[] = [];
  for (const bit of bitsOf(keptMask)) {
    const position = countBits(entry.mask & (2 ** bit - 1));
    const chunk = plaintext.subarray(position * CHUNK_SIZE_BYTES, (position + 1) * CHUNK_SIZE_BYTES);
    const digest = digests.subarray(kept.length * DIGEST_SIZE_BYTES, (kept.length + 1) * DIGEST_SIZE_BYTES);
    if (!hash('sha256', chunk, 'buffer').equals(digest)) {
      throw refuse(request, entry, `the chunk in slot ${entry.firstSlot + bit} does not have its digest`);
    }
    kept.push(chunk);
  }
  const joined = joinUnshared(kept);
  discardBuffer(plaintext);
  return joined;
}

function refuse({ objectName }: ResealFrames, { offsetBytes }: FrameEntry, reason: string): VbsError {
  return new VbsError('DATA_CORRUPT', { object: objectName, offsetBytes, reason });
}

/** Bits of a frame's mask, lowest first. */
export function bitsOf(mask: number): number[] {
  return Array.from({ length: 16 }, (_, bit) => bit).filter((bit) => (mask & (1 << bit)) !== 0);
}
