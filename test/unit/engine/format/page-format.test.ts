import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GIB, MIB } from '../../../../src/core/bytes.ts';
import { newUuid, type PackId } from '../../../../src/core/ids.ts';
import {
  addressAt,
  countLevels,
  decodePage,
  encodePage,
  PAGE_SIZE_MAX_BYTES,
  type Page,
} from '../../../../src/engine/format/page-format.ts';
import { pageEntries } from '../../../support/arbitraries.ts';
import { assertCorrupt, flipBit, tryUnlessCorrupt } from '../../../support/damage.ts';

const anyLevel = fc.nat(3);

function entriesOf(page: Page) {
  return Array.from({ length: 1024 }, (_, i) => addressAt(page, i));
}

test('a page of any level gives its entries back, and the same entries give the same bytes', () => {
  fc.assert(
    fc.property(anyLevel, pageEntries(), (level, entries) => {
      const bytes = encodePage(level, entries);
      assert(bytes.equals(encodePage(level, [...entries])));
      const padded = Array.from({ length: 1024 }, (_, i) => entries[i]);
      assert.deepEqual(entriesOf(decodePage(bytes, level, 'x')), padded);
    }),
    { numRuns: 60 },
  );
});

test('a page may name a pack for each of its entries, and the highest slot', () => {
  const entries = Array.from({ length: 1024 }, () => ({ packId: newUuid<PackId>(), slot: 65_534 }));
  const bytes = encodePage(0, entries);
  assert.equal(bytes.length, PAGE_SIZE_MAX_BYTES);
  assert.deepEqual(entriesOf(decodePage(bytes, 0, 'x')), entries);
});

test('a page that is cut, lengthened or of another level is refused; a flipped bit gives no other error', () => {
  fc.assert(
    fc.property(anyLevel, pageEntries(), fc.nat(), fc.nat(), (level, entries, cut, bit) => {
      const bytes = encodePage(level, entries);
      assertCorrupt(() => decodePage(bytes.subarray(0, cut % bytes.length), level, 'x'), 'x');
      assertCorrupt(() => decodePage(Buffer.concat([bytes, Buffer.alloc(1)]), level, 'x'), 'x');
      assertCorrupt(() => decodePage(bytes, level + 1, 'x'), 'x');
      // The seal is what notices most flips; no entry may point outside the table all the same.
      const damaged = tryUnlessCorrupt(() => decodePage(flipBit(bytes, bit), level, 'x'));
      if (damaged) entriesOf(damaged);
    }),
    { numRuns: 100 },
  );
});

test('levels go up at 64 MiB, 64 GiB and 64 TiB', () => {
  const sizes = [1, 64 * MIB, 64 * MIB + 1, 64 * GIB, 64 * GIB + 1, 64 * 1024 * GIB, 64 * 1024 * GIB + 1];
  assert.deepEqual(sizes.map(countLevels), [1, 1, 2, 2, 3, 3, 4]);
});
