import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { access, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { GIB, KIB, MIB } from '../../../src/core/bytes.ts';
import { newUuid } from '../../../src/core/ids.ts';
import type { Volume } from '../../../src/core/model.ts';
import { CONFIG_NAME } from '../../../src/core/object-names.ts';
import { silentLogger } from '../../../src/core/ports.ts';
import { TokenKeys } from '../../../src/services/token-keys.ts';
import { Upkeep } from '../../../src/services/upkeep.ts';
import { VolumeRegistry } from '../../../src/volumes/volume-registry.ts';
import { ServiceBench } from '../../support/service-bench.ts';

/** Small enough to be read whole; adopted, since volumes that we make are whole GiB. */
const SIZE_BYTES = 3 * MIB + 512;

async function startBench(): Promise<ServiceBench> {
  const bench = await ServiceBench.start();
  await bench.runner.start();
  return bench;
}

async function adopt(bench: ServiceBench, name: string, sizeBytes = SIZE_BYTES): Promise<Volume> {
  const reference = await bench.makeDisk(name, sizeBytes);
  return await bench.volumes.adoptVolume(bench.caller, bench.projectId, {
    host: bench.volumes.hostName,
    reference,
    name,
    description: null,
    volumeType: null,
    availabilityZone: null,
    metadata: {},
    isBootable: false,
  });
}

/** An adopted disk with something on it. */
async function adoptFilled(bench: ServiceBench, name: string): Promise<{ volume: Volume; bytes: Buffer }> {
  const volume = await adopt(bench, name);
  await bench.writeDisk(volume, [
    { offsetBytes: 0, bytes: randomBytes(300 * KIB) },
    { offsetBytes: 2 * MIB + 100, bytes: randomBytes(200 * KIB) },
  ]);
  return { volume, bytes: await bench.readDisk(volume) };
}

describe('backup and restore jobs', () => {
  it('bring back every point, byte for byte, in place and on a new volume', async () => {
    await using bench = await startBench();
    const { volume, bytes: first } = await adoptFilled(bench, 'disk');
    const { volumeId } = volume;
    const full = await bench.backUp(volumeId);
    assert.deepEqual(
      [full.status, full.isIncremental, full.sizeBytes, full.failReason],
      ['available', false, SIZE_BYTES, null],
    );
    await bench.writeDisk(volume, [{ offsetBytes: MIB, bytes: randomBytes(64 * KIB) }]);
    const second = await bench.readDisk(volume);
    const increment = await bench.backUp(volumeId);
    assert.deepEqual([increment.isIncremental, increment.parentId], [true, full.backupId]);
    assert(increment.storedBytes < 256 * KIB, `${increment.storedBytes} bytes were stored`);
    assert.equal((await bench.getBackup(full.backupId)).hasDependents, true);

    const job = await bench.restore(full.backupId, volumeId);
    assert.equal(job.status, 'SUCCESS');
    assert((await bench.readDisk(volume)).equals(first), 'in place');
    assert.equal((await bench.getVolume(volumeId)).status, 'available');
    assert.equal((await bench.getBackup(full.backupId)).status, 'available');

    const made = await bench.createVolume({ sizeGib: null, backupId: increment.backupId });
    assert.deepEqual([made.status, made.sourceBackupId], ['creating', increment.backupId]);
    const filled = await bench.waitFor(async () => {
      const row = await bench.getVolume(made.volumeId);
      return row.status === 'available' ? row : undefined;
    });
    assert.equal(filled.sizeBytes, SIZE_BYTES);
    assert((await bench.readDisk(filled)).equals(second), 'on a new volume');
    assert.equal((await bench.getBackup(increment.backupId)).status, 'available');
  });

  it('make a full backup when one is demanded', async () => {
    await using bench = await startBench();
    const { volume } = await adoptFilled(bench, 'disk');
    await bench.backUp(volume.volumeId);
    const full = await bench.backUp(volume.volumeId, { isIncrementalRequested: false });
    assert.deepEqual([full.isIncremental, full.parentId], [false, null]);
  });

  it('of the native API show the volume as backing-up until they have ended', async () => {
    await using bench = await ServiceBench.start();
    const { volume } = await adoptFilled(bench, 'disk');
    const { volumeId } = volume;
    const { job } = await bench.createBackup(volumeId, { dialect: 'native' });
    assert.equal((await bench.getVolume(volumeId)).status, 'backing-up');
    await bench.assertRefused('VOLUME_STATE_FORBIDS_BACKUP', () => bench.createBackup(volumeId, { dialect: 'native' }));
    await bench.assertRefused('BACKUP_IN_PROGRESS', () => bench.createBackup(volumeId));
    await bench.runner.start();
    assert.equal((await bench.waitForJob(job.jobId)).status, 'SUCCESS');
    assert.equal((await bench.getVolume(volumeId)).status, 'available');
    await bench.setVolume(volumeId, { status: 'in-use' });
    bench.store.setRules([{ operation: 'put', effect: 'ENOSPC' }]);
    const failed = await bench.backUp(volumeId, { dialect: 'native', force: true });
    assert.equal(failed.status, 'error');
    assert.equal((await bench.getVolume(volumeId)).status, 'in-use');
  });

  it('show the job’s snapshot id and its progress', async () => {
    await using bench = await startBench();
    const { volume } = await adoptFilled(bench, 'disk');
    const backup = await bench.backUp(volume.volumeId);
    const view = await bench.jobs.getJob(bench.withRoles('reader'), bench.projectId, backup.jobId);
    assert.equal(view.status, 'SUCCESS');
    assert.notEqual(view.snapshotId, null);
    assert.equal(view.percent, 100);
    assert.equal(view.progress.totalBytes, SIZE_BYTES);
    const { items } = await bench.jobs.listJobs(bench.caller, bench.projectId, { kind: 'backup' }, { limit: 10 });
    assert.deepEqual(
      items.map(({ jobId }) => jobId),
      [backup.jobId],
    );
    await assert.rejects(bench.jobs.getJob(bench.caller, bench.projectId, newUuid()), { code: 'JOB_NOT_FOUND' });
  });

  it('overwrite what a disk that we made held where the backup has zeros', async () => {
    await using bench = await startBench();
    const target = await bench.createVolume({ sizeGib: 1 });
    const { volume, bytes } = await adoptFilled(bench, 'disk');
    const backup = await bench.backUp(volume.volumeId);
    // Behind the back of the service: that it was made empty must not be believed.
    const noise = randomBytes(MIB);
    await bench.writeDisk(target, [
      { offsetBytes: MIB, bytes: noise },
      { offsetBytes: GIB - MIB, bytes: noise },
    ]);
    await bench.restore(backup.backupId, target.volumeId);
    await using file = await open(target.source);
    const { buffer } = await file.read(Buffer.alloc(SIZE_BYTES), 0, SIZE_BYTES, 0);
    assert(buffer.equals(bytes));
    const beyond = await file.read(Buffer.alloc(MIB), 0, MIB, GIB - MIB);
    assert(beyond.buffer.equals(noise), 'what lies beyond the backup stays');
  });
});

describe('delete jobs', () => {
  it('remove a full backup and leave the increment restorable', async () => {
    await using bench = await startBench();
    const { volume } = await adoptFilled(bench, 'disk');
    const full = await bench.backUp(volume.volumeId);
    await bench.writeDisk(volume, [{ offsetBytes: MIB, bytes: randomBytes(64 * KIB) }]);
    const bytes = await bench.readDisk(volume);
    const increment = await bench.backUp(volume.volumeId);
    const { jobId } = await bench.backups.deleteBackup(bench.caller, bench.projectId, full.backupId);
    assert.equal((await bench.waitForJob(jobId)).status, 'SUCCESS');
    await assert.rejects(bench.getBackup(full.backupId), { code: 'BACKUP_NOT_FOUND' });
    await bench.restore(increment.backupId, volume.volumeId);
    assert((await bench.readDisk(volume)).equals(bytes));
  });

  it('that are forced wait for the job that writes or reads the backup, and its end does not undo them', async () => {
    for (const operation of ['backup', 'restore'] as const) {
      await using bench = await ServiceBench.start();
      const { caller, projectId, backups } = bench;
      const { volume } = await adoptFilled(bench, 'disk');
      const { job, backup } = await bench.createBackup(volume.volumeId);
      const { backupId } = backup;
      if (operation === 'restore') {
        await bench.runner.start();
        await bench.waitForJob(job.jobId);
        await bench.runner.stop();
      }
      const writing =
        operation === 'backup' ? job : await backups.restoreBackup(caller, projectId, backupId, volume.volumeId);
      const { jobId } = await backups.forceDeleteBackup(caller, projectId, backupId);
      await bench.runner.start();
      await bench.waitForJob(writing.jobId);
      const left = await bench.catalog.backups.find(backupId);
      assert((left?.status ?? 'deleting') === 'deleting', `${operation}: ${left?.status}`);
      assert.equal((await bench.waitForJob(jobId)).status, 'SUCCESS');
      await assert.rejects(bench.getBackup(backupId), { code: 'BACKUP_NOT_FOUND' });
      assert.equal((await bench.getVolume(volume.volumeId)).status, 'available');
    }
  });

  it('wait while the backup is exported', async () => {
    await using bench = await startBench();
    const { volume, bytes } = await adoptFilled(bench, 'disk');
    const { backupId } = await bench.backUp(volume.volumeId);
    const reading = await bench.backups.openExport(bench.caller, bench.projectId, backupId);
    const { jobId } = await bench.backups.deleteBackup(bench.caller, bench.projectId, backupId);
    await bench.waitFor(async () => {
      const job = await bench.catalog.jobs.get(bench.projectId, jobId);
      return job !== undefined && job.attempt > 0 && job.status === 'INIT' ? job : undefined;
    });
    assert.equal((await bench.getBackup(backupId)).status, 'deleting');
    assert((await reading.read(0, SIZE_BYTES)).equals(bytes));
    await reading.close();
    await reading.close();
    assert.equal((await bench.waitForJob(jobId)).status, 'SUCCESS');
    await assert.rejects(bench.backups.openExport(bench.caller, bench.projectId, backupId), {
      code: 'BACKUP_NOT_FOUND',
    });
  });

  it('remove a volume’s disk and keep its backups; leave an adopted disk alone', async () => {
    await using bench = await startBench();
    const made = await bench.createVolume();
    const { volume: adopted } = await adoptFilled(bench, 'disk');
    const backup = await bench.backUp(adopted.volumeId);
    for (const { volumeId } of [made, adopted]) {
      await bench.volumes.deleteVolume(bench.caller, bench.projectId, volumeId, { cascade: false, force: false });
      await bench.waitFor(async () => {
        const row = await bench.catalog.volumes.get(bench.projectId, volumeId);
        return row === undefined ? true : undefined;
      });
    }
    await assert.rejects(access(made.source), { code: 'ENOENT' });
    await access(adopted.source);
    assert.equal((await bench.getBackup(backup.backupId)).status, 'available');
  });
});

describe('failures', () => {
  it('of a backup: the space comes back, earlier backups are intact, the next one succeeds', async () => {
    await using bench = await startBench();
    const { volume, bytes } = await adoptFilled(bench, 'disk');
    const first = await bench.backUp(volume.volumeId);
    const namesBefore = await listNames(bench);
    await bench.writeDisk(volume, [{ offsetBytes: 0, bytes: randomBytes(MIB) }]);
    bench.store.setRules([{ operation: 'put', name: (name) => name.includes('/backups/'), effect: 'ENOSPC' }]);
    const failed = await bench.backUp(volume.volumeId);
    assert.equal(failed.status, 'error');
    assert.match(failed.failReason ?? '', /No space left/);
    const job = await bench.catalog.jobs.get(bench.projectId, failed.jobId);
    assert.deepEqual([job?.status, job?.errorCode], ['FAIL', 'STORAGE_FULL']);
    assert.equal((await bench.getVolume(volume.volumeId)).status, 'available');
    bench.store.setRules([]);
    await bench.sweeper.sweepProject(bench.projectId);
    assert.deepEqual(await listNames(bench), namesBefore);
    assert.equal((await bench.backUp(volume.volumeId)).status, 'available');
    await bench.restore(first.backupId, volume.volumeId);
    assert((await bench.readDisk(volume)).equals(bytes));
  });

  it('of passing trouble: the job is tried again and succeeds', async () => {
    await using bench = await startBench();
    const { volume } = await adoptFilled(bench, 'disk');
    bench.store.setRules([{ operation: 'put', name: (name) => name.includes('/backups/'), nth: 1, effect: 'EIO' }]);
    const backup = await bench.backUp(volume.volumeId);
    assert.equal(backup.status, 'available');
    const job = await bench.catalog.jobs.get(bench.projectId, backup.jobId);
    assert.equal(job?.attempt, 2);
  });

  it('of a restore by damage: both sides say so, and the backup is no parent any more', async () => {
    await using bench = await startBench();
    const { volume } = await adoptFilled(bench, 'disk');
    const backup = await bench.backUp(volume.volumeId);
    const pack = (await listNames(bench)).find((name) => name.includes('/packs/'));
    assert(pack !== undefined);
    await bench.store.flipBit(pack, 200);
    const job = await bench.restore(backup.backupId, volume.volumeId);
    assert.deepEqual([job.status, job.errorCode], ['FAIL', 'DATA_CORRUPT']);
    assert(job.failReason?.includes(pack), job.failReason ?? 'no reason');
    assert.equal((await bench.getBackup(backup.backupId)).status, 'error_restoring');
    assert.equal((await bench.getVolume(volume.volumeId)).status, 'error_restoring');
  });

  it('of a restore by damage: the next backup stores again what was damaged', async () => {
    for (const isIncrementalRequested of [true, false]) {
      await using bench = await startBench();
      const { volume, bytes } = await adoptFilled(bench, 'disk');
      const damaged = await bench.backUp(volume.volumeId);
      // Shares every chunk with the damaged one, and nobody knows that it is damaged too.
      await bench.backUp(volume.volumeId);
      const pack = (await listNames(bench)).find((name) => name.includes('/packs/')) ?? '';
      await bench.store.flipBit(pack, 8 * 1000);
      const target = await adopt(bench, 'target');
      assert.equal((await bench.restore(damaged.backupId, target.volumeId)).errorCode, 'DATA_CORRUPT');
      const healed = await bench.backUp(volume.volumeId, { isIncrementalRequested });
      assert.equal(healed.status, 'available');
      const made = await adopt(bench, 'made');
      assert.equal((await bench.restore(healed.backupId, made.volumeId)).status, 'SUCCESS');
      assert((await bench.readDisk(made)).equals(bytes), `incremental: ${isIncrementalRequested}`);
    }
  });

  it('of an export by damage: the next backup stores again what was damaged', async () => {
    await using bench = await startBench();
    const { volume, bytes } = await adoptFilled(bench, 'disk');
    const { backupId } = await bench.backUp(volume.volumeId);
    const pack = (await listNames(bench)).find((name) => name.includes('/packs/')) ?? '';
    await bench.store.flipBit(pack, 8 * 1000);
    await using reader = await bench.backups.openExport(bench.caller, bench.projectId, backupId);
    await assert.rejects(reader.read(0, SIZE_BYTES), { code: 'DATA_CORRUPT' });
    const healed = await bench.backUp(volume.volumeId);
    const made = await adopt(bench, 'made');
    assert.equal((await bench.restore(healed.backupId, made.volumeId)).status, 'SUCCESS');
    assert((await bench.readDisk(made)).equals(bytes));
  });

  it('of a restore by the environment: the backup stays available', async () => {
    await using bench = await startBench();
    const { volume } = await adoptFilled(bench, 'disk');
    const backup = await bench.backUp(volume.volumeId);
    bench.store.setRules([{ operation: 'readRange', effect: 'EIO' }]);
    const job = await bench.restore(backup.backupId, volume.volumeId);
    assert.deepEqual([job.status, job.errorCode], ['FAIL', 'STORAGE_IO']);
    assert.equal((await bench.getBackup(backup.backupId)).status, 'available');
    assert.equal((await bench.getVolume(volume.volumeId)).status, 'error_restoring');
  });

  it('of a restore whose disk could not be opened: the volume is what it was', async () => {
    await using bench = await startBench();
    const { volume, bytes } = await adoptFilled(bench, 'disk');
    const { backupId } = await bench.backUp(volume.volumeId);
    await rename(volume.source, `${volume.source}.away`);
    const job = await bench.restore(backupId, volume.volumeId);
    assert.deepEqual([job.status, job.errorCode], ['FAIL', 'VOLUME_UNAVAILABLE']);
    await rename(`${volume.source}.away`, volume.source);
    assert.equal((await bench.getVolume(volume.volumeId)).status, 'available');
    assert.equal((await bench.getBackup(backupId)).status, 'available');
    assert((await bench.readDisk(volume)).equals(bytes));
  });

  it('of a restore whose disk was lost after an attempt had begun to write: the volume says so', async () => {
    await using bench = await startBench();
    const { volume } = await adoptFilled(bench, 'disk');
    const { backupId } = await bench.backUp(volume.volumeId);
    bench.store.setRules([{ operation: 'readRange', effect: 'EIO' }]);
    const { jobId } = await bench.backups.restoreBackup(bench.caller, bench.projectId, backupId, volume.volumeId);
    await bench.waitFor(async () => {
      const job = await bench.catalog.jobs.get(bench.projectId, jobId);
      return job?.status === 'INIT' && job.attempt > 0 ? job : undefined;
    });
    await rename(volume.source, `${volume.source}.away`);
    assert.equal((await bench.waitForJob(jobId)).errorCode, 'VOLUME_UNAVAILABLE');
    assert.equal((await bench.getVolume(volume.volumeId)).status, 'error_restoring');
  });

  it('of a restore by damage: the backup can be deleted, or shown as available again by an admin', async () => {
    await using bench = await startBench();
    const { caller, projectId, backups } = bench;
    const { volume } = await adoptFilled(bench, 'disk');
    const { backupId } = await bench.backUp(volume.volumeId);
    await bench.catalog.backups.update(backupId, { status: 'error_restoring', isDamaged: true, failReason: 'x' });
    await backups.resetBackup(caller, projectId, backupId, 'available');
    const { status, failReason } = await bench.getBackup(backupId);
    assert.deepEqual([status, failReason], ['available', null]);
    await bench.catalog.backups.update(backupId, { status: 'error_restoring' });
    const { jobId } = await backups.deleteBackup(caller, projectId, backupId);
    assert.equal((await bench.waitForJob(jobId)).status, 'SUCCESS');
    await assert.rejects(bench.getBackup(backupId), { code: 'BACKUP_NOT_FOUND' });
  });

  it('of a deletion: what has begun cannot be taken back, only forced', async () => {
    await using bench = await startBench();
    const { caller, projectId, backups } = bench;
    const { volume } = await adoptFilled(bench, 'disk');
    const { backupId } = await bench.backUp(volume.volumeId);
    bench.store.setRules([{ operation: 'delete', effect: 'EIO' }]);
    await bench.waitForJob((await backups.deleteBackup(caller, projectId, backupId)).jobId);
    assert.equal((await bench.getBackup(backupId)).status, 'error_deleting');
    await bench.assertRefused('BACKUP_STATE_FORBIDS_RESET', () =>
      backups.resetBackup(caller, projectId, backupId, 'available'),
    );
    bench.store.setRules([]);
    const { jobId } = await backups.forceDeleteBackup(caller, projectId, backupId);
    assert.equal((await bench.waitForJob(jobId)).status, 'SUCCESS');
    await assert.rejects(bench.getBackup(backupId), { code: 'BACKUP_NOT_FOUND' });
  });

  it('of a restore while the store is not mounted: the backup is as good as before', async () => {
    await using bench = await startBench();
    const { volume, bytes } = await adoptFilled(bench, 'disk');
    const backup = await bench.backUp(volume.volumeId);
    const names = [CONFIG_NAME, ...(await listNames(bench))];
    const objects = await Promise.all(names.map((name) => bench.store.get(name, GIB)));
    await bench.store.delete(names);
    assert.equal((await bench.restore(backup.backupId, volume.volumeId)).errorCode, 'OBJECT_NOT_FOUND');
    await Promise.all(names.map((name, index) => bench.store.put(name, objects[index] ?? Buffer.alloc(0))));
    assert.equal((await bench.getBackup(backup.backupId)).status, 'available');
    const again = await bench.createVolume({ sizeGib: null, backupId: backup.backupId });
    const filled = await bench.waitFor(async () => {
      const row = await bench.getVolume(again.volumeId);
      return row.status === 'available' ? row : undefined;
    });
    assert((await bench.readDisk(filled)).equals(bytes));
  });

  it('of a deletion: the upkeep tries it again', async () => {
    await using bench = await startBench();
    const { volume } = await adoptFilled(bench, 'disk');
    const { backupId } = await bench.backUp(volume.volumeId);
    bench.store.setRules([{ operation: 'delete', effect: 'EIO' }]);
    await bench.waitForJob((await bench.backups.deleteBackup(bench.caller, bench.projectId, backupId)).jobId);
    assert.equal((await bench.getBackup(backupId)).status, 'error_deleting');
    bench.store.setRules([]);
    const { catalog, sweeper, retention, labels, clock } = bench;
    const tokenKeys = new TokenKeys({ catalog, clock, rotationMs: 0 });
    const drivers = new VolumeRegistry([]);
    const parts = { catalog, drivers, sweeper, retention, labels, tokenKeys, clock, logger: silentLogger };
    await new Upkeep(parts).runOnce();
    assert.equal((await bench.getBackup(backupId)).status, 'deleting');
    bench.runner.wake();
    await bench.waitFor(async () => ((await catalog.backups.find(backupId)) === undefined ? true : undefined));
  });

  it('of one object that cannot be deleted: other backups still go', async () => {
    await using bench = await startBench();
    const { volume } = await adoptFilled(bench, 'disk');
    const stuck = await bench.backUp(volume.volumeId);
    const other = await bench.backUp(volume.volumeId);
    // Of several names in one call the first decides, so this one fails for both and then for its own alone.
    bench.store.setRules([{ operation: 'delete', name: (name) => name.includes(stuck.backupId), effect: 'EIO' }]);
    const remove = async ({ backupId }: typeof stuck) => {
      const { jobId } = await bench.backups.deleteBackup(bench.caller, bench.projectId, backupId);
      return await bench.waitForJob(jobId);
    };
    assert.deepEqual([(await remove(stuck)).errorCode, (await remove(other)).status], ['STORAGE_IO', 'SUCCESS']);
    await assert.rejects(bench.getBackup(other.backupId), { code: 'BACKUP_NOT_FOUND' });
  });

  it('of a disk that cannot be made: no empty volume stays, one from a backup is in error', async () => {
    await using bench = await startBench();
    const { volume } = await adoptFilled(bench, 'disk');
    const { backupId } = await bench.backUp(volume.volumeId);
    await rm(join(bench.folder, 'volumes'), { recursive: true, force: true });
    await writeFile(join(bench.folder, 'volumes'), 'a file where the folder belongs');
    await assert.rejects(bench.createVolume({ name: 'empty' }));
    const { volumeId } = await bench.createVolume({ sizeGib: null, backupId });
    const { items } = await bench.catalog.jobs.list({ volumeId }, { limit: 1 });
    assert.equal((await bench.waitForJob(items[0]?.jobId ?? newUuid())).status, 'FAIL');
    assert.equal((await bench.getVolume(volumeId)).status, 'error');
    assert.equal((await bench.getBackup(backupId)).status, 'available');
    const listed = await bench.volumes.listVolumes(bench.caller, bench.projectId, { name: 'empty' }, { limit: 10 });
    assert.deepEqual(listed.items, []);
  });
});

describe('after a crash', () => {
  it('an export of a process that died ends, and frees its backup', async () => {
    await using bench = await startBench();
    const { volume } = await adoptFilled(bench, 'disk');
    const { backupId } = await bench.backUp(volume.volumeId);
    await bench.runner.stop();
    const claim = await bench.catalog.jobs.insertTaken(
      { jobId: newUuid(), projectId: bench.projectId, kind: 'export', backupId, createdAt: 0 },
      { runnerId: 'dead', leaseUntil: Number.MAX_SAFE_INTEGER },
    );
    await bench.catalog.ledger.pinBackup(claim, backupId);
    await bench.runner.start();
    const job = await bench.waitForJob(claim.jobId);
    assert.deepEqual([job.status, job.errorCode], ['FAIL', 'EXPORT_CUT_SHORT']);
    const { jobId } = await bench.backups.deleteBackup(bench.caller, bench.projectId, backupId);
    assert.equal((await bench.waitForJob(jobId)).status, 'SUCCESS');
  });

  it('a restore to a new volume is taken up although its disk was half made', async () => {
    await using bench = await startBench();
    const { volume, bytes } = await adoptFilled(bench, 'disk');
    const { backupId } = await bench.backUp(volume.volumeId);
    await bench.runner.stop();
    const made = await bench.createVolume({ sizeGib: null, backupId });
    // What a crash between disk and row leaves: a file that no row knows.
    await mkdir(join(bench.folder, 'volumes'), { recursive: true });
    await writeFile(join(bench.folder, 'volumes', `${made.volumeId}.raw`), randomBytes(MIB));
    await bench.runner.start();
    const filled = await bench.waitFor(async () => {
      const row = await bench.getVolume(made.volumeId);
      return row.status === 'creating' || row.status === 'restoring-backup' ? undefined : row;
    });
    assert.equal(filled.status, 'available');
    assert((await bench.readDisk(filled)).equals(bytes));
  });
});

async function listNames(bench: ServiceBench): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of bench.store.list('projects/')) names.push(name);
  return names.sort();
}
