// kill -9 at random moments of rollbacks: where a disk shares blocks with its baseline, and where it is compared as a
// whole. The seed is printed; OPENVBS_TEST_SEED sets it, and OPENVBS_TEST_KILLS the number of kills.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { GIB, MIB } from '../../src/core/bytes.ts';
import { newSeed } from '../support/disk-files.ts';
import { KillBench } from '../support/kill-bench.ts';
import { countOutcomes, drawMoments, readKillCount } from '../support/kill-moments.ts';
import { makeReflinkFolder } from '../support/reflink-folder.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const KILL_COUNT = readKillCount(20);
/** The disk, its baselines while they change, and a repository with two backups of it. */
const IMAGE_BYTES = 8 * GIB;

const reflinks = await makeReflinkFolder(IMAGE_BYTES);
const skip = 'skip' in reflinks ? reflinks.skip : false;
const SHARING_COUNT = skip === false ? Math.floor(KILL_COUNT / 2) : 0;
const COMPARING_COUNT = KILL_COUNT - SHARING_COUNT;
/** From so many kills on some must meet a rollback. */
const SEVERAL_COUNT = 5;

test(`${SHARING_COUNT} rollbacks by changed extents that are killed go on`, { skip }, async (context) => {
  assert('path' in reflinks);
  try {
    await killRollbacks(context, { folder: join(reflinks.path, 'service'), killCount: SHARING_COUNT, isSharing: true });
  } finally {
    reflinks.remove();
  }
});

test(`${COMPARING_COUNT} rollbacks by comparing that are killed go on`, async (context) => {
  await using folder = await makeTemporaryFolder();
  await killRollbacks(context, { folder: folder.path, killCount: COMPARING_COUNT, isSharing: false });
});

type RollbackKills = { readonly folder: string; readonly killCount: number; readonly isSharing: boolean };

async function killRollbacks(context: TestContext, { folder, killCount, isSharing }: RollbackKills): Promise<void> {
  const seed = newSeed();
  await using bench = await KillBench.start({ seed, folder, sizeBytes: 128 * MIB, changedBytes: 48 * MIB });
  if (isSharing) await bench.holdDisk();
  const { durationMs, mode } = await bench.measureRollback();
  context.diagnostic(`seed ${seed}; undisturbed: ${durationMs} ms, by ${mode}`);
  if (isSharing) assert.equal(mode, 'changed-extents');
  const outcomes: string[] = [];
  for (const moment of drawMoments(seed, killCount)) {
    // A baseline ends with the first byte of a rollback: the attempt that is killed has one, the next one compares.
    if (isSharing) await bench.holdDisk();
    const job = await bench.killDuringRollback(moment);
    const fate = job && (bench.wasTakenUp(job.jobId) ? 'went on' : 'over before');
    outcomes.push(job === undefined ? 'not accepted yet' : `${fate}, by ${job.mode}`);
  }
  context.diagnostic(countOutcomes(outcomes));
  const hasMet = outcomes.some((outcome) => outcome.startsWith('went on'));
  assert(hasMet || killCount < SEVERAL_COUNT, `seed ${seed}: no kill met a rollback`);
  assert((await bench.checkEveryBackup()) >= 2, `seed ${seed}`);
  const snapshots = await bench.listSnapshots();
  assert(snapshots.length <= 1, `one disk was backed up, and there are ${snapshots.join(', ')}`);
}
