import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  clipExtents,
  type Extent,
  extentEnd,
  intersectExtents,
  joinExtents,
  mergeExtents,
} from '../../src/volumes/extent.ts';

const SIZE = 64;
const extentArbitrary = fc
  .tuple(fc.integer({ min: 0, max: SIZE }), fc.integer({ min: 0, max: SIZE }))
  .map(([from, to]) => ({ offsetBytes: Math.min(from, to), lengthBytes: Math.abs(to - from) }));
const extentsArbitrary = fc.array(extentArbitrary, { maxLength: 12 });

/** One boolean a byte: true where some extent covers it. */
function toBitmap(extents: readonly Extent[]): boolean[] {
  return Array.from({ length: SIZE }, (_, byte) =>
    extents.some((extent) => extent.offsetBytes <= byte && byte < extentEnd(extent)),
  );
}

test('an intersection is what both cover', () => {
  fc.assert(
    fc.property(extentArbitrary, extentArbitrary, (left, right) => {
      const both = intersectExtents(left, right);
      const rightBits = toBitmap([right]);
      assert.deepEqual(
        toBitmap(both ? [both] : []),
        toBitmap([left]).map((isSet, byte) => isSet && rightBits[byte]),
      );
      assert.ok(!both || both.lengthBytes > 0);
    }),
  );
});

test('clipping keeps what lies in the range and the order', () => {
  fc.assert(
    fc.property(extentsArbitrary, extentArbitrary, (extents, range) => {
      const rangeBits = toBitmap([range]);
      const clipped = clipExtents(mergeExtents(extents), range);
      assert.deepEqual(
        toBitmap(clipped),
        toBitmap(extents).map((isSet, byte) => isSet && rangeBits[byte]),
      );
      assert.deepEqual(clipped, mergeExtents(clipped));
    }),
  );
});

test('merging covers the same bytes with as few extents as possible', () => {
  fc.assert(
    fc.property(extentsArbitrary, (extents) => {
      const merged = mergeExtents(extents);
      const bits = toBitmap(extents);
      assert.deepEqual(toBitmap(merged), bits);
      assert.equal(merged.length, bits.filter((isSet, byte) => isSet && !bits[byte - 1]).length);
    }),
  );
});

test('merging over gaps covers everything and leaves only larger gaps', () => {
  fc.assert(
    fc.property(extentsArbitrary, fc.integer({ min: 0, max: 10 }), (extents, gapBytes) => {
      const merged = mergeExtents(extents, gapBytes);
      const bits = toBitmap(merged);
      for (const [byte, isSet] of toBitmap(extents).entries()) assert.ok(!isSet || bits[byte]);
      for (const [index, extent] of merged.entries()) {
        const next = merged[index + 1];
        if (next) assert.ok(next.offsetBytes - extentEnd(extent) > gapBytes);
      }
    }),
  );
});

test('a join is the smallest extent over both', () => {
  fc.assert(
    fc.property(extentArbitrary, extentArbitrary, (left, right) => {
      const joined = joinExtents(left, right);
      assert.equal(joined.offsetBytes, Math.min(left.offsetBytes, right.offsetBytes));
      assert.equal(extentEnd(joined), Math.max(extentEnd(left), extentEnd(right)));
    }),
  );
});
