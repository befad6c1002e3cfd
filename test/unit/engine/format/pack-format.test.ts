import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  checkFrameHeader,
  countBits,
  decodeTail,
  decodeTrailer,
  encodeFrameHeader,
  encodeTail,
  encodeTrailer,
  FRAME_HEADER_SIZE_BYTES,
  TAIL_SIZE_BYTES,
} from '../../../../src/engine/format/pack-format.ts';
import { anyTrailer } from '../../../support/arbitraries.ts';
import { assertCorrupt, flipBit, tryUnlessCorrupt } from '../../../support/damage.ts';

const anyEntry = fc.record({
  ordinal: fc.nat(0xffff_ffff),
  firstSlot: fc.nat(65_534),
  mask: fc.integer({ min: 1, max: 0xffff }),
  codec: fc.constantFrom(0, 1),
  payloadBytes: fc.integer({ min: 17, max: 2 ** 31 }),
});

test('a frame header gives its ordinal back, and agrees with nothing but its entry', () => {
  fc.assert(
    fc.property(anyEntry, fc.nat(FRAME_HEADER_SIZE_BYTES * 8 - 1), fc.nat(15), (frame, bit, length) => {
      const header = Buffer.alloc(FRAME_HEADER_SIZE_BYTES);
      encodeFrameHeader(header, 0, frame);
      const entry = { ...frame, offsetBytes: 64, storedBytes: FRAME_HEADER_SIZE_BYTES + frame.payloadBytes };
      assert.equal(checkFrameHeader(header, entry, 'x'), frame.ordinal);
      assertCorrupt(() => checkFrameHeader(header.subarray(0, length), entry, 'x'), 'x');
      const damaged = flipBit(header, bit);
      const isInOrdinal = bit >= 2 * 8 && bit < 6 * 8;
      // A wrong ordinal is a wrong nonce: the seal does not open.
      if (isInOrdinal) assert.notEqual(checkFrameHeader(damaged, entry, 'x'), frame.ordinal);
      else assertCorrupt(() => checkFrameHeader(damaged, entry, 'x'), 'x');
    }),
    { numRuns: 300 },
  );
});

test('bits are counted as they stand', () => {
  fc.assert(
    fc.property(fc.nat(0xffff), (mask) => {
      assert.equal(countBits(mask), [...mask.toString(2)].filter((digit) => digit === '1').length);
    }),
  );
});

for (const kind of ['data', 'page'] as const) {
  test(`a trailer of a ${kind} pack comes back, gaps in its masks included`, () => {
    fc.assert(
      fc.property(anyTrailer(kind), ({ trailer, trailerOffset }) => {
        const decoded = decodeTrailer(encodeTrailer(trailer), kind, trailerOffset, 'x');
        assert.deepEqual(decoded.frames, trailer.frames);
        assert(decoded.digests.equals(trailer.digests));
        assert.deepEqual(decoded.lengths, trailer.lengths);
      }),
      { numRuns: 100 },
    );
  });

  test(`a cut or lengthened trailer of a ${kind} pack is refused; a flipped bit gives no other error`, () => {
    fc.assert(
      fc.property(anyTrailer(kind), fc.nat(), fc.nat(), ({ trailer, trailerOffset }, bit, cut) => {
        const bytes = encodeTrailer(trailer);
        assertCorrupt(() => decodeTrailer(bytes.subarray(0, cut % bytes.length), kind, trailerOffset, 'x'), 'x');
        assertCorrupt(() => decodeTrailer(Buffer.concat([bytes, Buffer.alloc(1)]), kind, trailerOffset, 'x'), 'x');
        // The seal is what notices most flips; what is checked here is that nothing after it falls over them.
        const damaged = tryUnlessCorrupt(() => decodeTrailer(flipBit(bytes, bit), kind, trailerOffset, 'x'));
        for (const frame of damaged?.frames ?? []) assert(frame.offsetBytes + frame.storedBytes <= trailerOffset);
      }),
      { numRuns: 200 },
    );
  });
}

test('frames that overlap, go back, reach into the trailer or hold nothing are refused', () => {
  const sound = { offsetBytes: 64, storedBytes: 100, firstSlot: 0, mask: 0b101, codec: 1 };
  const digests = Buffer.alloc(2 * 32);
  const decode = (frames: (typeof sound)[], digestCount: number) =>
    decodeTrailer(
      encodeTrailer({ frames, digests: Buffer.alloc(digestCount * 32), lengths: undefined }),
      'data',
      400,
      'x',
    );
  assert.equal(decode([sound], 2).digests.length, digests.length);
  const next = { ...sound, offsetBytes: 164, firstSlot: 3 };
  assert.equal(decode([sound, next], 4).frames.length, 2);
  for (const wrong of [
    { ...next, offsetBytes: 163 },
    { ...next, firstSlot: 2 },
    { ...next, storedBytes: 237 },
    { ...next, storedBytes: 32 },
    { ...next, codec: 2 },
    { ...next, firstSlot: 65_533 },
  ]) {
    assertCorrupt(() => decode([sound, wrong], 4), 'x');
  }
  assertCorrupt(() => decode([sound, { ...next, mask: 0 }], 2), 'x');
  assertCorrupt(() => decode([sound], 3), 'x');
  assertCorrupt(() => decode([{ ...sound, offsetBytes: 63 }], 2), 'x');
});

test('a tail leads to its trailer, and only where that ends just before it', () => {
  const anyTail = fc.record({
    trailerOffset: fc.integer({ min: 64, max: 2 ** 32 }),
    trailerStoredBytes: fc.integer({ min: 16, max: 4 * 1024 * 1024 }),
    trailerOrdinal: fc.nat(0xffff_ffff),
  });
  fc.assert(
    fc.property(anyTail, fc.nat(TAIL_SIZE_BYTES * 8 - 1), fc.integer({ min: 1, max: 100 }), (tail, bit, wrongBytes) => {
      const sizeBytes = tail.trailerOffset + tail.trailerStoredBytes + TAIL_SIZE_BYTES;
      const bytes = encodeTail(tail);
      assert.deepEqual(decodeTail(bytes, sizeBytes, 'x'), { ...tail });
      assertCorrupt(() => decodeTail(bytes, sizeBytes + wrongBytes, 'x'), 'x');
      assertCorrupt(() => decodeTail(bytes.subarray(0, wrongBytes % TAIL_SIZE_BYTES), sizeBytes, 'x'), 'x');
      // Ordinal and reserved bytes are bound by the trailer's seal, of which the tail is a part.
      if (bit < 20 * 8) assertCorrupt(() => decodeTail(flipBit(bytes, bit), sizeBytes, 'x'), 'x');
    }),
    { numRuns: 300 },
  );
});
