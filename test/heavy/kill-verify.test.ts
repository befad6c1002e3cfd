// kill -9 at random moments of verifications: each goes on after the restart, and no sound backup is called damaged.
// The seed is printed; OPENVBS_TEST_SEED sets it, and OPENVBS_TEST_KILLS the number of kills.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../src/core/bytes.ts';
import { newSeed } from '../support/disk-files.ts';
import { KillBench } from '../support/kill-bench.ts';
import { countOutcomes, drawMoments, readKillCount } from '../support/kill-moments.ts';

const KILL_COUNT = readKillCount(25);
/** Every so many kills a check of the whole repository is killed instead of the verification of one backup. */
const CHECK_EVERY_COUNT = 4;
/** From so many kills on some must meet a verification. */
const SEVERAL_COUNT = 5;

test(`${KILL_COUNT} verifications that are killed go on, and no sound backup is called damaged`, async (context) => {
  const seed = newSeed();
  await using bench = await KillBench.start({ seed, sizeBytes: 192 * MIB, changedBytes: 48 * MIB });
  context.diagnostic(`seed ${seed}; undisturbed: ${await bench.measureVerify()} ms`);
  const outcomes: string[] = [];
  for (const [index, moment] of drawMoments(seed, KILL_COUNT).entries()) {
    if (index % CHECK_EVERY_COUNT === CHECK_EVERY_COUNT - 1) {
      const report = await bench.killDuringCheck(moment);
      assert.equal(report.is_sound, true, `seed ${seed}, kill ${index}: ${JSON.stringify(report)}`);
      outcomes.push('checks asked again, all sound');
      continue;
    }
    const job = await bench.killDuringVerify(moment);
    assert(job === undefined || job.status === 'SUCCESS', `seed ${seed}, kill ${index}: ${job?.failReason}`);
    if (job === undefined) outcomes.push('not accepted yet');
    else outcomes.push(bench.wasTakenUp(job.jobId) ? 'went on, sound' : 'over before, sound');
  }
  context.diagnostic(countOutcomes(outcomes));
  assert(outcomes.includes('went on, sound') || KILL_COUNT < SEVERAL_COUNT, `seed ${seed}: no kill met a verification`);
  assert((await bench.checkEveryBackup()) >= 2, `seed ${seed}`);
});
