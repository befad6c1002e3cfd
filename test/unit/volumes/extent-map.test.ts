import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Extent, extentEnd } from '../../../src/volumes/extent.ts';
import { compareParts, decodeMapPart, type MappedExtent } from '../../../src/volumes/extent-map.ts';
import { EXTENT_BATCH_COUNT } from '../../../src/volumes/system-calls.ts';

const SIZE_BYTES = 64;
const RANGE = { offsetBytes: 0, lengthBytes: SIZE_BYTES };

/** What the kernel would answer: [logical, physical, length, flags] each. */
function answer(extents: readonly (readonly [number, number, number, number])[], count = extents.length) {
  const bytes = Buffer.alloc(Math.max(count, extents.length) * 56);
  extents.forEach(([logical, physical, length, flags], i) => {
    bytes.writeBigUInt64LE(BigInt(logical), i * 56);
    bytes.writeBigUInt64LE(BigInt(physical), i * 56 + 8);
    bytes.writeBigUInt64LE(BigInt(length), i * 56 + 16);
    bytes.writeUInt32LE(flags, i * 56 + 40);
  });
  return { bytes, count };
}

test('extents are cut to the range, and their addresses with them', () => {
  const range = { offsetBytes: 100, lengthBytes: 100 };
  const { extents } = decodeMapPart(
    answer([
      [50, 5000, 100, 0],
      [180, 2 ** 40, 100, 0x2001],
    ]),
    range,
  );
  const plain = { isPlain: true, isUnwritten: false };
  assert.deepEqual(extents, [
    { offsetBytes: 100, lengthBytes: 50, physicalBytes: 5050, ...plain },
    { offsetBytes: 180, lengthBytes: 20, physicalBytes: 2 ** 40, ...plain },
  ]);
});

test('a full answer reaches as far as its last extent, unless that is the last of the file', () => {
  const full = Array.from({ length: EXTENT_BATCH_COUNT }, (_, i): [number, number, number, number] => {
    return [i * 2, 1 + i, 1, 0];
  });
  const range = { offsetBytes: 0, lengthBytes: 10_000 };
  assert.deepEqual(decodeMapPart(answer(full), range).range, {
    offsetBytes: 0,
    lengthBytes: 2 * EXTENT_BATCH_COUNT - 1,
  });
  const ended = full.with(-1, [2 * EXTENT_BATCH_COUNT - 2, 1, 1, 1]);
  assert.deepEqual(decodeMapPart(answer(ended), range).range, range);
  assert.deepEqual(decodeMapPart(answer([]), range).range, range);
});

/** A file as one block a byte: 0 a hole, else its address; negative for one that is not to be trusted. */
const file = fc.array(fc.constantFrom(0, 0, 1, 2, 3, -1), { minLength: SIZE_BYTES, maxLength: SIZE_BYTES });

/** Blocks one behind the other on the device are one extent, or more: kernels cut as they like. */
function toExtents(blocks: readonly number[], cuts: readonly boolean[]): MappedExtent[] {
  const extents: MappedExtent[] = [];
  blocks.forEach((block, offsetBytes) => {
    if (block === 0) return;
    const physicalBytes = Math.abs(block) * 1000 + offsetBytes;
    const isPlain = block > 0;
    const last = extents.at(-1);
    const isNext = last && extentEnd(last) === offsetBytes && last.physicalBytes + last.lengthBytes === physicalBytes;
    if (last && isNext && last.isPlain === isPlain && !cuts[offsetBytes]) {
      extents[extents.length - 1] = { ...last, lengthBytes: last.lengthBytes + 1 };
    } else extents.push({ offsetBytes, lengthBytes: 1, physicalBytes, isUnwritten: false, isPlain });
  });
  return extents;
}

test('two maps agree exactly where both hold the same trusted block', () => {
  const cuts = fc.array(fc.boolean(), { minLength: SIZE_BYTES, maxLength: SIZE_BYTES });
  const property = fc.property(file, file, cuts, cuts, (older, newer, olderCuts, newerCuts) => {
    const changed = new Array<boolean>(SIZE_BYTES).fill(false);
    const shared = new Array<boolean>(SIZE_BYTES).fill(false);
    const mark = (marks: boolean[]) => (extent: Extent) => marks.fill(true, extent.offsetBytes, extentEnd(extent));
    const sink = { addChanged: mark(changed), addShared: mark(shared) };
    compareParts(toExtents(older, olderCuts), toExtents(newer, newerCuts), RANGE, sink);
    for (let i = 0; i < SIZE_BYTES; i += 1) {
      const [left, right] = [older[i] ?? 0, newer[i] ?? 0];
      assert.equal(shared[i], left === right && left > 0, `byte ${i}`);
      assert.equal(changed[i], !(left === right && left >= 0), `byte ${i}`);
    }
  });
  fc.assert(property);
});

test('allocated and never written in both is the same and holds no data; in one it differs', () => {
  const extent = { offsetBytes: 0, lengthBytes: 8, physicalBytes: 100, isUnwritten: true, isPlain: true };
  const told: string[] = [];
  const sink = { addChanged: () => told.push('changed'), addShared: () => told.push('shared') };
  const range = { offsetBytes: 0, lengthBytes: 8 };
  compareParts([extent], [extent], range, sink);
  assert.deepEqual(told, []);
  compareParts([extent], [{ ...extent, isUnwritten: false }], range, sink);
  compareParts([], [extent], range, sink);
  assert.deepEqual(told, ['changed', 'changed']);
});
