import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MIB } from '../../../src/core/bytes.ts';
import { DEFAULT_MEMORY_PLAN, planMemory, plannedBytes } from '../../../src/core/memory-plan.ts';

test('144 MiB for two threads and two jobs are what is planned without a budget', () => {
  assert.deepEqual(planMemory(144 * MIB, 2, 2), DEFAULT_MEMORY_PLAN);
  assert.equal(plannedBytes(DEFAULT_MEMORY_PLAN, 2, 2), 144 * MIB);
});

test('a budget that is too small plans what the work needs at all', () => {
  const least = { segmentsPerThread: 1, fetchesPerThread: 1, trailerCacheBytes: 8 * MIB, pageCacheCount: 4 };
  assert.deepEqual(planMemory(MIB, 8, 64), least);
});

test('the plan keeps to every budget that is large enough, and a larger one plans no less of anything', () => {
  const budgets = fc.tuple(fc.integer({ min: 1, max: 4096 }), fc.integer({ min: 0, max: 4096 }));
  const counts = fc.tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 64 }));
  fc.assert(
    fc.property(budgets, counts, ([budgetMib, moreMib], [threadCount, jobCount]) => {
      const plan = planMemory(budgetMib * MIB, threadCount, jobCount);
      const leastBytes = plannedBytes(planMemory(0, threadCount, jobCount), threadCount, jobCount);
      // The third that trailers get must leave room for one segment a thread.
      const isEnough = budgetMib * MIB >= 1.5 * leastBytes;
      if (isEnough) assert.ok(plannedBytes(plan, threadCount, jobCount) <= budgetMib * MIB);
      const larger = planMemory((budgetMib + moreMib) * MIB, threadCount, jobCount);
      for (const part of Object.keys(plan) as (keyof typeof plan)[]) assert.ok(larger[part] >= plan[part], part);
    }),
  );
});
