import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HOOK_PACK_MAX } from '../../../../src/core/limits.ts';
import { HookTable } from '../../../../src/engine/chunk/hook-table.ts';

test('a hook leads to the packs it was inserted with, newest first', () => {
  // Few different hooks, some of them alike in the bits that choose a cell, and enough of them to grow.
  const hook = fc.oneof(
    fc.bigInt(0n, 30n),
    fc.bigInt(0n, 5n).map((high) => (high << 32n) + 7n),
    fc.bigInt(0n, 2n ** 64n - 1n),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(hook, fc.nat(3)), { maxLength: 5000, size: 'max' }), (insertions) => {
      const table = new HookTable();
      const expected = new Map<bigint, number[]>();
      for (const [key, packNumber] of insertions) {
        table.insert(key, packNumber);
        const packNumbers = expected.get(key) ?? [];
        if (packNumbers[0] !== packNumber) packNumbers.unshift(packNumber);
        expected.set(key, packNumbers);
      }
      for (const [key, packNumbers] of expected) assert.deepEqual(table.find(key), packNumbers.slice(0, HOOK_PACK_MAX));
      assert.deepEqual(table.find(2n ** 63n + 12_345n), []);
      const entryCount = [...expected.values()].reduce((total, packNumbers) => total + packNumbers.length, 0);
      assert.equal([...table.entries()].length, entryCount);
    }),
    { numRuns: 20 },
  );
});
