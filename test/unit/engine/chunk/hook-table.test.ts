import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HookTable } from '../../../../src/engine/chunk/hook-table.ts';

test('a hook table answers like a map of lists, newest pack first, at most four, however much it grew', () => {
  const entry = fc.record({ hook: fc.bigInt({ min: 0n, max: 600n }), packNumber: fc.nat(9) });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 3000, size: 'max' }), (entries) => {
      const table = new HookTable();
      const model = new Map<bigint, number[]>();
      // Spread over all bits: the low ones choose the cell.
      const spread = (hook: bigint) => (hook << 32n) | hook;
      for (const { hook, packNumber } of entries) {
        table.insert(spread(hook), packNumber);
        const known = model.get(hook) ?? [];
        if (known[0] !== packNumber) model.set(hook, [packNumber, ...known]);
      }
      for (let hook = 0n; hook <= 600n; hook += 1n) {
        assert.deepEqual(table.find(spread(hook)), (model.get(hook) ?? []).slice(0, 4));
      }
      const kept = [...model.values()].reduce((total, list) => total + list.length, 0);
      assert.equal([...table.entries()].length, kept);
    }),
    { numRuns: 30 },
  );
});
