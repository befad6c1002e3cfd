// kill -9 of the service at random moments of backups, restores, deletions and imports. The seed is printed;
// OPENVBS_TEST_SEED sets it, and OPENVBS_TEST_KILLS the number of kills of each kind.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { MIB } from '../../src/core/bytes.ts';
import { newSeed } from '../support/disk-files.ts';
import { KillBench } from '../support/kill-bench.ts';
import { readKillCount } from '../support/kill-moments.ts';
import type { LiveJob } from '../support/live-api.ts';

const KILL_COUNT = readKillCount(25);
const DELETION_KILL_COUNT = Math.ceil(KILL_COUNT / 3);

describe('kill -9 of the service', () => {
  const seed = newSeed();
  let bench: KillBench;
  before(async () => {
    bench = await KillBench.start({ seed, sizeBytes: 384 * MIB, changedBytes: 256 * MIB });
  });
  after(() => bench?.[Symbol.asyncDispose]());

  test(`${KILL_COUNT} times during a backup`, async (context) => {
    context.diagnostic(`seed ${seed}; undisturbed: backup ${bench.backupMs} ms, restore ${bench.restoreMs} ms`);
    const jobs: (LiveJob | undefined)[] = [];
    for (let kill = 0; kill < KILL_COUNT; kill += 1) jobs.push(await bench.killDuringBackup(`killed-${kill}`));
    context.diagnostic(summarize(jobs));
    // The disk was at rest, so nothing but the kill could have failed a job.
    assert(
      jobs.every((job) => job === undefined || job.status === 'SUCCESS'),
      summarize(jobs),
    );
  });

  test(`${KILL_COUNT} times during a restore`, async (context) => {
    const jobs: (LiveJob | undefined)[] = [];
    for (let kill = 0; kill < KILL_COUNT; kill += 1) jobs.push(await bench.killDuringRestore());
    context.diagnostic(summarize(jobs));
    assert(
      jobs.every((job) => job === undefined || job.status === 'SUCCESS'),
      summarize(jobs),
    );
  });

  test(`${DELETION_KILL_COUNT} times during a deletion`, async (context) => {
    const jobs: (LiveJob | undefined)[] = [];
    for (let kill = 0; kill < DELETION_KILL_COUNT; kill += 1) jobs.push(await bench.killDuringDeletion());
    context.diagnostic(summarize(jobs));
  });

  test(`${DELETION_KILL_COUNT} times during an import and the deletion of its original`, async (context) => {
    let importCount = 0;
    let deletionCount = 0;
    for (let kill = 0; kill < DELETION_KILL_COUNT; kill += 1) {
      const { isImported, isDeleted } = await bench.killDuringImport();
      if (isImported) importCount += 1;
      if (isDeleted) deletionCount += 1;
    }
    context.diagnostic(`${importCount} imports and ${deletionCount} deletions came to be`);
  });

  test('and every backup that is available restores byte for byte', async (context) => {
    const count = await bench.checkEveryBackup();
    context.diagnostic(`${count} backups restored and compared`);
    assert(count > 0);
  });
});

function summarize(jobs: readonly (LiveJob | undefined)[]): string {
  const counts = new Map<string, number>();
  for (const job of jobs) {
    const outcome = job === undefined ? 'never came to be' : `${job.status} ${job.failReason ?? ''}`.trim();
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  return `${jobs.length} kills: ${[...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ')}`;
}
