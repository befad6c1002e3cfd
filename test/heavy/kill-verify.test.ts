// kill -9 at random moments of verifications: each goes on after the restart, and no sound backup is called damaged.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../src/core/bytes.ts';
import { KillBench } from '../support/kill-bench.ts';

const KILL_COUNT = 25;

test('verifications that are killed go on, and no sound backup is called damaged', async () => {
  const seed = `verify ${Date.now()}`;
  await using bench = await KillBench.start({ seed, sizeBytes: 96 * MIB, changedBytes: 24 * MIB });
  let resumedCount = 0;
  for (let i = 0; i < KILL_COUNT; i += 1) {
    const job = await bench.killDuringVerify();
    if (job === undefined) continue;
    resumedCount += 1;
    assert.equal(job.status, 'SUCCESS', `${seed}, kill ${i}: ${job.failReason}`);
  }
  assert(resumedCount > 0, seed);
  assert((await bench.checkEveryBackup()) >= 2, seed);
});
