import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { KIB, MIB } from '../../../src/core/bytes.ts';
import type { BackupId } from '../../../src/core/ids.ts';
import type { Volume } from '../../../src/core/model.ts';
import { ServiceBench, volumeInput } from '../../support/service-bench.ts';

/** A backup of the bench's project, shared with the stranger's; the runner has been stopped again. */
async function startShared(): Promise<{ bench: ServiceBench; backupId: BackupId; bytes: Buffer }> {
  const bench = await ServiceBench.start();
  await bench.runner.start();
  const volume = await bench.volumes.adoptVolume(bench.caller, bench.projectId, {
    ...volumeInput(),
    host: bench.volumes.hostName,
    reference: await bench.makeDisk('disk', 2 * MIB + 512),
    isBootable: false,
  });
  await bench.writeDisk(volume, [{ offsetBytes: 5, bytes: randomBytes(300 * KIB) }]);
  const { backupId } = await bench.backUp(volume.volumeId);
  await bench.runner.stop();
  await shareWithStranger(bench, backupId);
  return { bench, backupId, bytes: await bench.readDisk(volume) };
}

async function shareWithStranger(bench: ServiceBench, backupId: BackupId): Promise<void> {
  assert(bench.stranger.projectId !== null);
  await bench.sharings.share(bench.caller, bench.projectId, backupId, [bench.stranger.projectId]);
}

async function createForStranger(bench: ServiceBench, backupId: BackupId, isRestore = false): Promise<Volume> {
  const { stranger } = bench;
  assert(stranger.projectId !== null);
  const input = { ...volumeInput(), sizeGib: null, backupId, isRestore };
  return await bench.volumeCreator.createVolume(stranger, stranger.projectId, input);
}

/** The volume once no job works on it any more. */
async function settledVolume(bench: ServiceBench, { volumeId }: Volume): Promise<Volume> {
  return await bench.waitFor(async () => {
    const { projectId } = bench.stranger;
    const volume = projectId === null ? undefined : await bench.catalog.volumes.get(projectId, volumeId);
    bench.clock.advance(1000);
    bench.runner.wake();
    return volume?.status === 'available' || volume?.status.startsWith('error') ? volume : undefined;
  });
}

describe('a shared backup', () => {
  it('that its owner deletes waits for the volumes that receivers make from it', async () => {
    const { bench, backupId, bytes } = await startShared();
    await using _bench = bench;
    const volume = await createForStranger(bench, backupId);
    const removal = await bench.backups.deleteBackup(bench.caller, bench.projectId, backupId);
    assert.equal((await bench.getBackup(backupId)).status, 'deleting');
    // Nothing more can begin on it.
    await assert.rejects(createForStranger(bench, backupId), { code: 'BACKUP_NOT_AVAILABLE' });
    await bench.runner.start();
    const settled = await settledVolume(bench, volume);
    assert.equal(settled.status, 'available');
    assert((await bench.readDisk(settled)).equals(bytes));
    assert.equal((await bench.waitForJob(removal.jobId)).status, 'SUCCESS');
    await assert.rejects(bench.getBackup(backupId), { code: 'BACKUP_NOT_FOUND' });
    await assert.rejects(createForStranger(bench, backupId), { code: 'BACKUP_NOT_FOUND' });
  });

  it('whose sharing is cancelled still fills the volumes that were accepted', async () => {
    const { bench, backupId, bytes } = await startShared();
    await using _bench = bench;
    const volume = await createForStranger(bench, backupId);
    await bench.sharings.cancelSharingsOf(bench.caller, bench.projectId, backupId);
    await assert.rejects(createForStranger(bench, backupId), { code: 'BACKUP_NOT_FOUND' });
    await bench.runner.start();
    const settled = await settledVolume(bench, volume);
    assert.equal(settled.status, 'available');
    assert((await bench.readDisk(settled)).equals(bytes));
  });

  it('keeps its own status whatever receivers do, also when their jobs fail', async () => {
    const { bench, backupId } = await startShared();
    await using _bench = bench;
    const before = await bench.getBackup(backupId);
    const volume = await createForStranger(bench, backupId);
    assert.deepEqual(await bench.getBackup(backupId), before);
    bench.store.setRules([{ operation: 'readRange', effect: 'EIO' }]);
    await bench.runner.start();
    assert.match((await settledVolume(bench, volume)).status, /^error/);
    assert.deepEqual(await bench.getBackup(backupId), before);
    // And no pin is left: it can be deleted.
    const removal = await bench.backups.deleteBackup(bench.caller, bench.projectId, backupId);
    assert.equal((await bench.waitForJob(removal.jobId)).status, 'SUCCESS');
  });

  it('is no parent for increments any more once a receiver found it damaged', async () => {
    const { bench, backupId } = await startShared();
    await using _bench = bench;
    const { volumeId } = await bench.getBackup(backupId);
    const volume = await createForStranger(bench, backupId);
    const names = new Map<string, number>();
    for await (const { name, sizeBytes } of bench.store.list('')) names.set(name, sizeBytes);
    const [largest, sizeBytes] = [...names].reduce((a, b) => (b[1] > a[1] ? b : a));
    await bench.store.flipBit(largest, 4 * sizeBytes);
    await bench.runner.start();
    assert.match((await settledVolume(bench, volume)).status, /^error/);
    const { status, failReason } = await bench.getBackup(backupId);
    assert.equal(status, 'available');
    assert.match(failReason ?? '', /Corruption/);
    assert.equal((await bench.backUp(volumeId)).isIncremental, false);
  });

  it('is restored by its owner only', async () => {
    const { bench, backupId } = await startShared();
    await using _bench = bench;
    await bench.assertRefused('BACKUP_NOT_OWNED', () => createForStranger(bench, backupId, true));
  });
});
