// kill -9 at random moments of backups by changed extents and of restores, on a file system with reflinks. The seed is
// printed; OPENVBS_TEST_SEED sets it, and OPENVBS_TEST_KILLS the number of kills of each kind.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { GIB, MIB } from '../../src/core/bytes.ts';
import { newSeed } from '../support/disk-files.ts';
import { KillBench } from '../support/kill-bench.ts';
import { readKillCount } from '../support/kill-moments.ts';
import { makeReflinkFolder } from '../support/reflink-folder.ts';

const KILL_COUNT = readKillCount(10);

const reflinks = await makeReflinkFolder(12 * GIB);

describe('kill -9 where disks share blocks', { skip: 'skip' in reflinks ? reflinks.skip : false }, () => {
  test(`${KILL_COUNT} backups and ${KILL_COUNT} restores are resumed, and no snapshot is left`, async (context) => {
    assert('path' in reflinks);
    const seed = newSeed();
    context.diagnostic(`seed ${seed}`);
    try {
      const folder = join(reflinks.path, 'service');
      await using bench = await KillBench.start({ seed, folder, sizeBytes: 192 * MIB, changedBytes: 64 * MIB });
      for (let kill = 0; kill < KILL_COUNT; kill += 1) {
        const backup = await bench.killDuringBackup(`killed-${kill}`);
        assert(backup === undefined || backup.status === 'SUCCESS', String(backup?.failReason));
        const restore = await bench.killDuringRestore();
        assert(restore === undefined || restore.status === 'SUCCESS', String(restore?.failReason));
      }
      assert((await bench.checkEveryBackup()) > 0);
      const snapshots = await bench.listSnapshots();
      assert(snapshots.length <= 1, `one disk was backed up, and there are ${snapshots.join(', ')}`);
    } finally {
      reflinks.remove();
    }
  });
});
