// The rebuild of a catalog killed at random moments, again and again: it goes on, comes to what an undisturbed one
// comes to, and a service never starts on half of it. The seed is printed; OPENVBS_TEST_SEED sets it, and
// OPENVBS_TEST_KILLS the number of kills.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newSeed } from '../support/disk-files.ts';
import { countOutcomes, readKillCount } from '../support/kill-moments.ts';
import { RebuildKillBench } from '../support/rebuild-kill-bench.ts';

const KILL_COUNT = readKillCount(20);
/** More than are entered in one transaction. */
const BACKUP_COUNT = 600;

test(`${KILL_COUNT} rebuilds that are killed go on and come to the same as one that is not`, async (context) => {
  const seed = newSeed();
  context.diagnostic(`seed ${seed}`);
  await using bench = await RebuildKillBench.start({ seed, killCount: KILL_COUNT, backupCount: BACKUP_COUNT });
  context.diagnostic(`undisturbed: ${bench.workMs} ms`);
  let roundCount = 0;
  for (; bench.killsLeft > 0; roundCount += 1) await bench.runRound();
  const { interrupted, refusedCount, missedCount } = bench;
  context.diagnostic(`${countOutcomes(interrupted)}; ${missedCount} rebuilds were over before`);
  context.diagnostic(
    `${roundCount} rebuilds from nothing; ${refusedCount} starts of a service on half a catalog refused`,
  );
  assert.equal(interrupted.length, KILL_COUNT);
  assert(refusedCount > 0, `seed ${seed}: no kill left half a catalog`);
});
