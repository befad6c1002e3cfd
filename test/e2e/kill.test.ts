// kill -9 in the middle of work, the short version: test/heavy/kill.test.ts does the same far more often.
import { after, before, describe, test } from 'node:test';
import { MIB } from '../../src/core/bytes.ts';
import { newSeed } from '../support/disk-files.ts';
import { KillBench } from '../support/kill-bench.ts';

describe('kill -9 of the service', () => {
  const seed = newSeed();
  let bench: KillBench;
  before(async () => {
    bench = await KillBench.start({ seed, sizeBytes: 96 * MIB, changedBytes: 48 * MIB });
  });
  after(() => bench?.[Symbol.asyncDispose]());

  test('loses nothing: every job ends and every available backup restores', async (context) => {
    context.diagnostic(`seed ${seed} (OPENVBS_TEST_SEED); backup ${bench.backupMs} ms, restore ${bench.restoreMs} ms`);
    await bench.killDuringBackup('killed');
    await bench.killDuringRestore();
    await bench.killDuringImport();
    await bench.killDuringDeletion();
    await bench.checkEveryBackup();
  });
});
