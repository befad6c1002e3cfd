import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CHUNK_SIZE_BYTES } from '../../../src/core/limits.ts';
import { ChunkSample } from '../../../src/volumes/chunk-sample.ts';
import { ChunkSet } from '../../../src/volumes/chunk-set.ts';
import { noise } from '../../support/disk-files.ts';

const CHUNK_COUNT = 100;
const SIZE_BYTES = CHUNK_COUNT * CHUNK_SIZE_BYTES - 5;
const extents = fc.array(
  fc
    .tuple(fc.integer({ min: 0, max: SIZE_BYTES - 1 }), fc.integer({ min: 0, max: SIZE_BYTES }))
    .map(([offsetBytes, lengthBytes]) => ({
      offsetBytes,
      lengthBytes: Math.min(lengthBytes, SIZE_BYTES - offsetBytes),
    })),
);

test('a set of chunks holds what its extents touch, and nothing else', () => {
  const property = fc.property(extents, fc.nat(CHUNK_COUNT), fc.nat(CHUNK_COUNT), (added, first, count) => {
    const set = new ChunkSet(SIZE_BYTES);
    const expected = new Set<number>();
    for (const extent of added) {
      set.addExtent(extent);
      const end = extent.offsetBytes + extent.lengthBytes;
      for (let i = 0; i < CHUNK_COUNT; i += 1) {
        const isTouched = i * CHUNK_SIZE_BYTES < end && (i + 1) * CHUNK_SIZE_BYTES > extent.offsetBytes;
        if (isTouched && extent.lengthBytes > 0) expected.add(i);
      }
    }
    assert.equal(set.size, expected.size);
    for (let i = 0; i < CHUNK_COUNT; i += 1) assert.equal(set.has(i), expected.has(i));
    assert.equal(
      set.hasAny(first, count),
      [...expected].some((i) => i >= first && i < first + count),
    );
  });
  fc.assert(property);
});

test('a sample has every chunk when there are few, and none twice', () => {
  const sample = new ChunkSample({ sampleCount: 8, random: Math.random });
  sample.addExtent({ offsetBytes: 5, lengthBytes: 10 });
  sample.addExtent({ offsetBytes: 20, lengthBytes: 3 * CHUNK_SIZE_BYTES });
  assert.deepEqual(sample.chunks(), [0, 1, 2, 3]);
});

test('every chunk is as likely to be drawn as any other', () => {
  const numbers = noise(4 * 200_000, 'sample');
  let drawnCount = 0;
  const random = () => numbers.readUInt32LE(4 * drawnCount++) / 2 ** 32;
  const counts = new Array<number>(CHUNK_COUNT).fill(0);
  for (let round = 0; round < 2000; round += 1) {
    const sample = new ChunkSample({ sampleCount: 10, random });
    // In pieces of various lengths, since they come from a map of extents.
    for (let at = 0; at < CHUNK_COUNT; at += 7) {
      const lengthBytes = Math.min(7, CHUNK_COUNT - at) * CHUNK_SIZE_BYTES;
      sample.addExtent({ offsetBytes: at * CHUNK_SIZE_BYTES, lengthBytes });
    }
    assert.equal(new Set(sample.chunks()).size, 10);
    for (const chunk of sample.chunks()) counts[chunk] = (counts[chunk] ?? 0) + 1;
  }
  // 200 expected for each; the standard deviation is 13.4.
  for (const count of counts) assert(count > 130 && count < 270, `drawn ${count} times of 200`);
});
