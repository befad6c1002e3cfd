// kill -9 at random moments of prunes, beside backups and restores: nothing is lost, the next prune goes on, and in the
// end nothing is stored that nobody needs. The seed is printed; OPENVBS_TEST_SEED sets it, and OPENVBS_TEST_KILLS the
// number of kills.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newSeed } from '../support/disk-files.ts';
import { countOutcomes, readKillCount } from '../support/kill-moments.ts';
import { PruneKillBench } from '../support/prune-kill-bench.ts';

const KILL_COUNT = readKillCount(25);
/** From so many kills on each part of a prune must have met some. */
const MANY_COUNT = 50;
/** More packs than one transaction condemns, where there is time for it. */
const SMALL_BACKUP_COUNT = KILL_COUNT >= MANY_COUNT ? 210 : 5;

test(`${KILL_COUNT} prunes that are killed lose nothing and go on`, async (context) => {
  const seed = newSeed();
  context.diagnostic(`seed ${seed}`);
  const options = { seed, killCount: KILL_COUNT, smallBackupCount: SMALL_BACKUP_COUNT };
  await using bench = await PruneKillBench.start(options);
  context.diagnostic(`undisturbed: ${bench.describeUndisturbed()}`);
  let roundCount = 0;
  for (; bench.killsLeft > 0; roundCount += 1) await bench.runRound();
  const { interrupted, leftOpen, busyCount } = bench;
  context.diagnostic(countOutcomes(interrupted));
  context.diagnostic(`${leftOpen.compactionCount} left a compaction, ${leftOpen.trashCount} something to sweep`);
  context.diagnostic(`${roundCount} rounds, ${busyCount} of them beside a backup and a restore`);
  if (KILL_COUNT >= MANY_COUNT) {
    for (const phase of ['condemn', 'sweep', 'compact']) assert(interrupted.includes(phase), `seed ${seed}: ${phase}`);
    assert(leftOpen.compactionCount > 0 && leftOpen.trashCount > 0, `seed ${seed}`);
  }
  await bench.checkEveryBackup();
  await bench.finish();
  context.diagnostic(`${bench.restoredCount} restores, all byte for byte`);
});
