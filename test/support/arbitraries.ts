// Random values for properties of the formats.
import fc from 'fast-check';
import type { PackId } from '../../src/core/ids.ts';
import { CHUNK_SIZE_BYTES } from '../../src/core/limits.ts';
import { HEADER_SIZE_BYTES } from '../../src/engine/format/object-header.ts';
import { FRAME_HEADER_SIZE_BYTES, type FrameEntry, type Trailer } from '../../src/engine/format/pack-format.ts';
import type { Address } from '../../src/engine/format/page-format.ts';

export function bytesOf(lengthBytes: number): fc.Arbitrary<Buffer> {
  return fc.uint8Array({ minLength: lengthBytes, maxLength: lengthBytes }).map((bytes) => Buffer.from(bytes));
}

// The cast is the brand: ids of tests are made here.
export const anyPackId = fc.uuid().map((id) => id as PackId);

/** Entries of a page: any number, many of them zeros, of a few packs or of as many as there are entries. */
export function pageEntries(entryCountMax = 1024): fc.Arbitrary<(Address | undefined)[]> {
  const few = fc.array(anyPackId, { minLength: 1, maxLength: 5 });
  return few.chain((packIds) => {
    const fields = { packId: fc.constantFrom(...packIds), slot: fc.nat(65_534) };
    const address = fc.record(fields, { noNullPrototype: true });
    return fc.array(fc.option(address, { nil: undefined }), { maxLength: entryCountMax, size: 'max' });
  });
}

/** A trailer as a writer or a compaction leaves it: masks with gaps, slots and bytes passed over between frames. */
export function anyTrailer(kind: 'data' | 'page'): fc.Arbitrary<{ trailer: Trailer; trailerOffset: number }> {
  const frame = fc.record({
    mask: fc.integer({ min: 1, max: 0xffff }),
    slotGap: fc.nat(300),
    byteGap: fc.nat(1000),
    payloadBytes: fc.integer({ min: 17, max: CHUNK_SIZE_BYTES }),
    codec: fc.constantFrom(0, 1),
  });
  return fc.tuple(fc.array(frame, { maxLength: 40 }), fc.nat(1000), fc.nat()).map(([parts, endGap, salt]) => {
    const frames: FrameEntry[] = [];
    let nextSlot = 0;
    let nextOffset = HEADER_SIZE_BYTES;
    let slotCount = 0;
    for (const { mask, slotGap, byteGap, payloadBytes, codec } of parts) {
      const storedBytes = FRAME_HEADER_SIZE_BYTES + payloadBytes;
      const offsetBytes = nextOffset + byteGap;
      const firstSlot = nextSlot + slotGap;
      frames.push({ offsetBytes, storedBytes, firstSlot, mask, codec });
      nextOffset = offsetBytes + storedBytes;
      nextSlot = firstSlot + (32 - Math.clz32(mask));
      for (let rest = mask; rest !== 0; rest &= rest - 1) slotCount += 1;
    }
    const digests = Buffer.alloc(slotCount * 32);
    for (let i = 0; i + 4 <= digests.length; i += 4) digests.writeUInt32LE((salt + i * 2_654_435_761) >>> 0, i);
    const lengths = kind === 'page' ? Uint32Array.from({ length: slotCount }, (_, i) => i * 7) : undefined;
    return { trailer: { frames, digests, lengths }, trailerOffset: nextOffset + endGap };
  });
}
