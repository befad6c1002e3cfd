// kill -9 of the service at random moments of work on snapshots. The seed is printed; OPENVBS_TEST_SEED sets it, and
// OPENVBS_TEST_KILLS the number of kills.
import { after, before, describe, test } from 'node:test';
import { MIB } from '../../src/core/bytes.ts';
import { newSeed } from '../support/disk-files.ts';
import { readKillCount } from '../support/kill-moments.ts';
import { SnapshotKillBench } from '../support/snapshot-kill-bench.ts';

const KILLS_PER_ROUND = 4;
const ROUND_COUNT = Math.ceil(readKillCount(40) / KILLS_PER_ROUND);

describe('kill -9 of the service at work on snapshots', () => {
  const seed = newSeed();
  let bench: SnapshotKillBench;
  before(async () => {
    bench = await SnapshotKillBench.start({ seed, sizeBytes: 256 * MIB });
  });
  after(() => bench?.[Symbol.asyncDispose]());

  test(`${ROUND_COUNT} rounds of taking, copying, writing back and removing`, async (context) => {
    context.diagnostic(`seed ${seed}`);
    for (let round = 0; round < ROUND_COUNT; round += 1) await bench.runRound();
  });
});
