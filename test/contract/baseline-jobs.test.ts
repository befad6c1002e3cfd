// What jobs do with baselines: kept with a backup, given up by whoever else writes to the disk, and never left behind.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { GIB, KIB, MIB } from '../../src/core/bytes.ts';
import type { BackupId } from '../../src/core/ids.ts';
import type { Volume } from '../../src/core/model.ts';
import { silentLogger } from '../../src/core/ports.ts';
import { sweepBaselines } from '../../src/services/baseline-sweeper.ts';
import { readJobResult } from '../../src/services/job-payloads.ts';
import { TokenKeys } from '../../src/services/token-keys.ts';
import { Upkeep } from '../../src/services/upkeep.ts';
import { copyImage } from '../support/disk-files.ts';
import { makeReflinkFolder } from '../support/reflink-folder.ts';
import { ServiceBench } from '../support/service-bench.ts';
import { assertSameData } from '../support/sparse-disk.ts';

const reflinks = await makeReflinkFolder();
if ('remove' in reflinks) after(() => reflinks.remove());
let benchCount = 0;

async function start(): Promise<{ bench: ServiceBench; volume: Volume }> {
  assert('path' in reflinks);
  benchCount += 1;
  const bench = await ServiceBench.start({ folder: join(reflinks.path, `bench-${benchCount}`) });
  await bench.runner.start();
  const volume = await bench.createVolume();
  await bench.writeDisk(volume, [{ offsetBytes: MIB, bytes: randomBytes(MIB) }]);
  return { bench, volume };
}

async function snapshotsOf(bench: ServiceBench): Promise<string[]> {
  return await readdir(join(bench.folder, 'volumes', 'snapshots'));
}

/** The one before is removed a moment after the job has ended. */
async function waitForOneSnapshot(bench: ServiceBench): Promise<string[]> {
  return await bench.waitFor(async () => {
    const names = await snapshotsOf(bench);
    return names.length === 1 ? names : undefined;
  });
}

/** How the job that made the backup read the disk. */
async function readingOf(bench: ServiceBench, backupId: BackupId) {
  const { jobId } = await bench.getBackup(backupId);
  const job = await bench.catalog.jobs.get(bench.projectId, jobId);
  return job && readJobResult(job);
}

describe('baselines of jobs', { skip: 'skip' in reflinks ? reflinks.skip : false }, () => {
  test('a backup keeps its snapshot, the next one uses it and keeps its own', async () => {
    const { bench, volume } = await start();
    await using _ = bench;
    const first = await bench.backUp(volume.volumeId);
    const [name] = await snapshotsOf(bench);
    assert.equal((await readingOf(bench, first.backupId))?.mode, 'full');
    await bench.writeDisk(volume, [{ offsetBytes: 0, bytes: randomBytes(10) }]);
    const second = await bench.backUp(volume.volumeId);
    const reading = await readingOf(bench, second.backupId);
    assert.deepEqual([reading?.mode, reading?.mismatchCount], ['changed-extents', 0]);
    const [kept] = await waitForOneSnapshot(bench);
    assert.notEqual(kept, name);
    assert.equal((await bench.catalog.baselines.get(volume.volumeId))?.backupId, second.backupId);
    assert.deepEqual(await bench.catalog.baselines.listTrash(10), []);
  });

  test('6.9 a restore uses the baseline and drops it: the next backup reads everything', async () => {
    const { bench, volume } = await start();
    await using _ = bench;
    const { backupId } = await bench.backUp(volume.volumeId);
    const wanted = join(bench.folder, 'wanted.img');
    await copyImage(volume.source, wanted);
    await bench.writeDisk(volume, [{ offsetBytes: MIB, bytes: randomBytes(100) }]);
    const job = await bench.restore(backupId, volume.volumeId, { verify: true });
    const result = { mode: 'changed-extents', writtenBytes: 64 * KIB, isVerified: true };
    assert.deepEqual(readJobResult(job), result);
    await assertSameData(volume.source, wanted);
    assert.equal(await bench.catalog.baselines.get(volume.volumeId), undefined);
    assert.deepEqual(await snapshotsOf(bench), []);
    const next = await bench.backUp(volume.volumeId);
    assert.equal((await readingOf(bench, next.backupId))?.mode, 'scan');
    await waitForOneSnapshot(bench);
  });

  test('6.9 an extension drops it', async () => {
    const { bench, volume } = await start();
    await using _ = bench;
    await bench.backUp(volume.volumeId);
    await bench.volumes.extendVolume(bench.caller, bench.projectId, volume.volumeId, {
      sizeGib: 2,
      mayBeInUse: false,
    });
    assert.equal(await bench.catalog.baselines.get(volume.volumeId), undefined);
    await bench.writeDisk(volume, [{ offsetBytes: GIB + MIB, bytes: randomBytes(10) }]);
    const next = await bench.backUp(volume.volumeId);
    assert.equal((await readingOf(bench, next.backupId))?.mode, 'scan');
    await waitForOneSnapshot(bench);
  });

  test('deleting the last backup frees its snapshot', async () => {
    const { bench, volume } = await start();
    await using _ = bench;
    const { backupId } = await bench.backUp(volume.volumeId);
    const { jobId } = await bench.backups.deleteBackup(bench.caller, bench.projectId, backupId);
    assert.equal((await bench.waitForJob(jobId)).status, 'SUCCESS');
    await bench.waitFor(async () => ((await snapshotsOf(bench)).length === 0 ? true : undefined));
  });

  test('deleting the volume frees it', async () => {
    const { bench, volume } = await start();
    await using _ = bench;
    await bench.backUp(volume.volumeId);
    const options = { cascade: false, force: false };
    await bench.volumes.deleteVolume(bench.caller, bench.projectId, volume.volumeId, options);
    await bench.waitFor(async () => ((await snapshotsOf(bench)).length === 0 ? true : undefined));
  });

  test('a backup that fails leaves no snapshot, and the old baseline as it was', async () => {
    const { bench, volume } = await start();
    await using _ = bench;
    const first = await bench.backUp(volume.volumeId);
    const kept = await snapshotsOf(bench);
    bench.store.setRules([{ operation: 'put', effect: 'ENOSPC' }]);
    const { job } = await bench.createBackup(volume.volumeId);
    assert.equal((await bench.waitForJob(job.jobId)).status, 'FAIL');
    bench.store.setRules([]);
    assert.deepEqual(await snapshotsOf(bench), kept);
    assert.equal((await bench.catalog.baselines.get(volume.volumeId))?.backupId, first.backupId);
    const next = await bench.backUp(volume.volumeId);
    assert.equal((await readingOf(bench, next.backupId))?.mode, 'changed-extents');
  });

  test('what a crash left in the trash is removed by the upkeep', async () => {
    const { bench, volume } = await start();
    await using _ = bench;
    await bench.backUp(volume.volumeId);
    const { catalog, projectId, sweeper, drivers, retention, labels, clock } = bench;
    await catalog.transact(projectId, ({ baselines }) => baselines.drop(volume.volumeId));
    assert.equal((await snapshotsOf(bench)).length, 1);
    const tokenKeys = new TokenKeys({ catalog, clock, rotationMs: 0 });
    const parts = { catalog, drivers, sweeper, retention, labels, tokenKeys, clock, logger: silentLogger };
    await new Upkeep(parts).runOnce();
    assert.deepEqual(await snapshotsOf(bench), []);
    assert.deepEqual(await catalog.baselines.listTrash(10), []);
  });

  test('one that cannot be removed does not keep the others', async () => {
    const { bench, volume } = await start();
    await using _ = bench;
    await bench.backUp(volume.volumeId);
    const { catalog, projectId, drivers } = bench;
    const other = await bench.createVolume();
    const { backup } = await bench.createBackup(other.volumeId);
    await bench.waitForJob(backup.jobId);
    const row = await catalog.baselines.get(other.volumeId);
    assert(row);
    await catalog.transact(projectId, async ({ baselines }) => {
      await baselines.drop(other.volumeId);
      await baselines.drop(volume.volumeId);
    });
    const removed: unknown[] = [];
    const driver = drivers.driver('file');
    const stubborn = {
      drivers: () => [
        {
          name: 'file',
          removeBaseline: async (baseline: Parameters<typeof driver.removeBaseline>[0]) => {
            if (baseline.state.name === row.state.name) throw new Error('busy');
            await driver.removeBaseline(baseline);
            removed.push(baseline.state.name);
          },
        },
      ],
    };
    // The cast: the sweep needs nothing else of a registry.
    await sweepBaselines({ catalog, drivers: stubborn as unknown as typeof drivers, logger: silentLogger });
    assert.equal(removed.length, 1);
    assert.equal((await catalog.baselines.listTrash(10)).length, 1);
    await sweepBaselines({ catalog, drivers, logger: silentLogger });
    assert.deepEqual(await catalog.baselines.listTrash(10), []);
    assert.deepEqual(await snapshotsOf(bench), []);
  });
});
