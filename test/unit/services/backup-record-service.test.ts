import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { KIB, MIB } from '../../../src/core/bytes.ts';
import { type BackupId, newUuid, type ProjectId } from '../../../src/core/ids.ts';
import type { Backup, Volume } from '../../../src/core/model.ts';
import { recordName, recordPrefix } from '../../../src/core/object-names.ts';
import type { ImportInput } from '../../../src/services/backup-record-service.ts';
import { ServiceBench } from '../../support/service-bench.ts';
import { listNames } from '../../support/stored-objects.ts';

const SIZE_BYTES = 2 * MIB + 512;

let bench: ServiceBench;
before(async () => {
  bench = await ServiceBench.start();
  await bench.runner.start();
});
after(() => bench[Symbol.asyncDispose]());

let diskCount = 0;

/** A backup of a disk of its own, and what is in it. */
async function makeBackup(on = bench): Promise<{ backup: Backup; volume: Volume; bytes: Buffer }> {
  diskCount += 1;
  const name = `disk-${diskCount}`;
  const volume = await on.volumes.adoptVolume(on.caller, on.projectId, {
    ...{ host: on.volumes.hostName, reference: await on.makeDisk(name, SIZE_BYTES), name, description: null },
    ...{ volumeType: null, availabilityZone: null, metadata: { rack: '7' }, isBootable: true },
  });
  await on.writeDisk(volume, [{ offsetBytes: 100 * KIB, bytes: randomBytes(200 * KIB) }]);
  return { backup: await on.backUp(volume.volumeId), volume, bytes: await on.readDisk(volume) };
}

async function writeDown(backup: Backup, changes: Partial<ImportInput> = {}): Promise<ImportInput> {
  const { repositoryId } = await bench.backupRecords.exportRecord(bench.caller, bench.projectId, backup.backupId);
  return {
    backupId: newUuid<BackupId>(),
    repositoryId,
    record: { recordBackupId: backup.recordBackupId, attemptId: backup.attemptId ?? newUuid() },
    name: 'imported',
    description: null,
    container: null,
    availabilityZone: null,
    metadata: { by: 'hand' },
    ...changes,
  };
}

async function importRecord(input: ImportInput): Promise<Backup> {
  const { jobId, backupId } = await bench.backupRecords.importRecord(bench.caller, bench.projectId, input);
  await bench.waitForJob(jobId);
  return await bench.getBackup(backupId);
}

async function remove(backupId: BackupId): Promise<void> {
  const { jobId } = await bench.backups.deleteBackup(bench.caller, bench.projectId, backupId);
  assert.equal((await bench.waitForJob(jobId)).status, 'SUCCESS');
}

async function assertRestores(backupId: BackupId, bytes: Buffer): Promise<void> {
  const { volumeId } = await bench.createVolume({ sizeGib: null, backupId });
  const volume = await bench.waitFor(async () => {
    const row = await bench.getVolume(volumeId);
    assert.ok(!row.status.startsWith('error'), row.status);
    return row.status === 'available' ? row : undefined;
  });
  assert.ok((await bench.readDisk(volume)).equals(bytes));
}

const isStored = async ({ recordBackupId, attemptId }: Backup): Promise<boolean> => {
  assert(attemptId !== null);
  const names = await listNames(bench.store, recordPrefix(bench.projectId));
  return names.includes(recordName(bench.projectId, recordBackupId, attemptId));
};

/** Refused, with no row changed. The last figures of a job may be written just after its end, so they do not count. */
async function assertRefused(code: string, call: () => Promise<unknown>, on = bench): Promise<void> {
  const readRows = async (): Promise<unknown> =>
    JSON.parse(JSON.stringify(await on.snapshotRows(), (key, value) => (key === 'progress' ? undefined : value)));
  const before = await readRows();
  await assert.rejects(call, { name: 'VbsError', code });
  assert.deepEqual(await readRows(), before, `${code} changed the catalog`);
}

const tryImport = (input: ImportInput, caller = bench.caller, projectId: ProjectId = bench.projectId) =>
  bench.backupRecords.importRecord(caller, projectId, input);

describe('importing a backup that exists', () => {
  it('makes a second backup of the same data, creating first, with what the record says of it', async () => {
    const { backup, bytes } = await makeBackup();
    const input = await writeDown(backup);
    const entered = await tryImport(input);
    assert.deepEqual([entered.backupId, entered.status], [input.backupId, 'creating']);
    assert.equal(entered.volumeId, '00000000-0000-0000-0000-000000000000');
    await bench.waitForJob(entered.jobId);
    const imported = await bench.getBackup(entered.backupId);
    assert.deepEqual(
      [imported.status, imported.volumeId, imported.sizeBytes, imported.name, imported.metadata],
      ['available', backup.volumeId, SIZE_BYTES, 'imported', { by: 'hand' }],
    );
    assert.deepEqual(imported.sourceVolume, { isBootable: true, metadata: { rack: '7' } });
    assert.deepEqual(
      [imported.objectCount, imported.dataTimestampAt, imported.consistency],
      [backup.objectCount, backup.dataTimestampAt, backup.consistency],
    );
    await assertRestores(imported.backupId, bytes);
  });

  it('keeps the data until the last of the two is deleted', async () => {
    for (const isOriginalFirst of [true, false]) {
      const { backup, bytes } = await makeBackup();
      const imported = await importRecord(await writeDown(backup));
      const [first, last] = isOriginalFirst ? [backup, imported] : [imported, backup];
      await remove(first.backupId);
      assert.equal(await isStored(backup), true);
      await assertRestores(last.backupId, bytes);
      await remove(last.backupId);
      assert.equal(await isStored(backup), false);
    }
  });

  it('is a base for increments, and an import can be written down again', async () => {
    const { backup, volume } = await makeBackup();
    const imported = await importRecord(await writeDown(backup));
    await remove(backup.backupId);
    const again = await importRecord(await writeDown(imported));
    await remove(imported.backupId);
    const increment = await bench.backUp(volume.volumeId);
    assert.deepEqual([increment.status, increment.parentId], ['available', again.backupId]);
    assert.equal((await bench.getBackup(again.backupId)).hasDependents, true);
  });
});

describe('importing a backup whose entry is gone', () => {
  it('works under its old id while another backup keeps the data', async () => {
    const { backup, bytes } = await makeBackup();
    await importRecord(await writeDown(backup));
    const input = await writeDown(backup, { backupId: backup.backupId });
    await assertRefused('BACKUP_EXISTS', () => tryImport(input));
    await remove(backup.backupId);
    assert.equal((await importRecord(input)).status, 'available');
    await assertRestores(backup.backupId, bytes);
  });

  it('calls the deletion off while nothing of it was carried out', async () => {
    const { backup, bytes } = await makeBackup();
    const input = await writeDown(backup);
    // The sweep cannot see the epoch, so it does not begin.
    bench.store.setRules([{ operation: 'head', name: (name) => name.endsWith('/epoch'), effect: 'EIO' }]);
    const { jobId } = await bench.backups.deleteBackup(bench.caller, bench.projectId, backup.backupId);
    await bench.waitFor(async () =>
      (await bench.catalog.backups.isRecordTrashed(backup.backupId)) ? true : undefined,
    );
    assert.equal((await importRecord(input)).status, 'available');
    bench.store.setRules([]);
    assert.equal((await bench.waitForJob(jobId)).status, 'SUCCESS');
    assert.equal(await bench.catalog.backups.get(bench.projectId, backup.backupId), undefined);
    await assertRestores(input.backupId, bytes);
    await remove(input.backupId);
    assert.equal(await isStored(backup), false);
  });

  it('calls the deletion off also when a sweep has read already what there is to delete', async () => {
    const { backup, bytes } = await makeBackup();
    const input = await writeDown(backup);
    // Between the list and the look at the epoch there is time for an import.
    const isEpoch = (name: string) => name.endsWith('/epoch');
    bench.store.setRules([{ operation: 'get', name: isEpoch, effect: 'delay', delayMs: 300 }]);
    const callCount = bench.store.calls.length;
    const { jobId } = await bench.backups.deleteBackup(bench.caller, bench.projectId, backup.backupId);
    await bench.waitFor(async () =>
      bench.store.calls.slice(callCount).some(({ operation, name }) => operation === 'get' && isEpoch(name))
        ? true
        : undefined,
    );
    assert.equal((await importRecord(input)).status, 'available');
    bench.store.setRules([]);
    assert.equal((await bench.waitForJob(jobId)).status, 'SUCCESS');
    await assertRestores(input.backupId, bytes);
  });

  it('is refused once its data is gone', async () => {
    const { backup } = await makeBackup();
    const input = await writeDown(backup);
    await remove(backup.backupId);
    await assertRefused('BACKUP_RECORD_GONE', () => tryImport(input));
    await assertRefused('BACKUP_RECORD_GONE', () => tryImport({ ...input, backupId: backup.backupId }));
  });

  it('is refused when the record does not open', async () => {
    const { backup } = await makeBackup();
    const input = await writeDown(backup);
    const { attemptId } = backup;
    assert(attemptId !== null);
    const name = recordName(bench.projectId, backup.recordBackupId, attemptId);
    await bench.store.flipBit(name, 4000);
    await assertRefused('BACKUP_RECORD_INVALID', () => tryImport(input));
    await bench.store.flipBit(name, 4000);
    assert.equal((await importRecord(input)).status, 'available');
  });

  it('ends in error when what it leads to cannot be read, and takes nothing with it when it goes', async () => {
    const { backup, bytes } = await makeBackup();
    const input = await writeDown(backup);
    await bench.runner.stop();
    const { jobId, backupId } = await tryImport(input);
    bench.store.setRules([{ operation: 'get', name: (name) => name.includes('/backups/'), effect: 'EIO' }]);
    await bench.runner.start();
    assert.equal((await bench.waitForJob(jobId)).status, 'FAIL');
    bench.store.setRules([]);
    const failed = await bench.getBackup(backupId);
    assert.equal(failed.status, 'error');
    assert.match(String(failed.failReason), /EIO/);
    await remove(backupId);
    await assertRestores(backup.backupId, bytes);
  });
});

describe('backup records', () => {
  it('are for admins, and lead nowhere but into the project and repository of the caller', async () => {
    const { backup } = await makeBackup();
    const input = await writeDown(backup);
    const member = bench.withRoles('member');
    await assertRefused('ROLE_DENIED', () => tryImport(input, member));
    await assertRefused('ROLE_DENIED', () =>
      bench.backupRecords.exportRecord(member, bench.projectId, backup.backupId),
    );
    await assertRefused('BACKUP_RECORD_INVALID', () => tryImport({ ...input, repositoryId: newUuid() }));
    await assertRefused('BACKUP_RECORD_GONE', () =>
      tryImport({ ...input, record: { ...input.record, attemptId: newUuid() } }),
    );
    const stranger = { ...bench.stranger, roles: ['admin'] as const };
    assert(stranger.projectId !== null);
    const strangersId = stranger.projectId;
    await assertRefused('BACKUP_RECORD_GONE', () => tryImport(input, stranger, strangersId));
    await assertRefused('BACKUP_NOT_FOUND', () =>
      bench.backupRecords.exportRecord(stranger, strangersId, backup.backupId),
    );
  });

  it('are written of available backups only', async () => {
    const { backup } = await makeBackup();
    await bench.catalog.backups.update(backup.backupId, { status: 'error' });
    await assertRefused('BACKUP_NOT_AVAILABLE', () =>
      bench.backupRecords.exportRecord(bench.caller, bench.projectId, backup.backupId),
    );
    await assertRefused('BACKUP_NOT_FOUND', () =>
      bench.backupRecords.exportRecord(bench.caller, bench.projectId, newUuid()),
    );
  });

  it('count in the quota', async () => {
    await using small = await ServiceBench.start({ limits: { backups: 1 } });
    await small.runner.start();
    const { backup } = await makeBackup(small);
    const { repositoryId } = await small.backupRecords.exportRecord(small.caller, small.projectId, backup.backupId);
    const { recordBackupId, attemptId } = backup;
    assert(attemptId !== null);
    const texts = { name: null, description: null, container: null, availabilityZone: null, metadata: {} };
    const input = { backupId: newUuid<BackupId>(), repositoryId, record: { recordBackupId, attemptId }, ...texts };
    await assertRefused(
      'QUOTA_BACKUPS_EXCEEDED',
      () => small.backupRecords.importRecord(small.caller, small.projectId, input),
      small,
    );
  });

  it('of an import that was forced away leave the other backup whole', async () => {
    const { backup, bytes } = await makeBackup();
    await bench.runner.stop();
    const entered = await tryImport(await writeDown(backup));
    await bench.backups.forceDeleteBackup(bench.caller, bench.projectId, entered.backupId);
    await assertRefused('BACKUP_STATE_FORBIDS_RESET', () =>
      bench.backups.resetBackup(bench.caller, bench.projectId, entered.backupId, 'available'),
    );
    await bench.runner.start();
    await bench.waitFor(async () =>
      (await bench.catalog.backups.get(bench.projectId, entered.backupId)) === undefined ? true : undefined,
    );
    await assertRestores(backup.backupId, bytes);
  });
});
