import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { GIB } from '../../../src/core/bytes.ts';
import { type BackupId, newUuid } from '../../../src/core/ids.ts';
import type { VolumeStatus } from '../../../src/core/model.ts';
import { backupInput, ServiceBench } from '../../support/service-bench.ts';

/** Shared by the tests that need no limits: each works on volumes of its own, and no job runs. */
const bench = await ServiceBench.start();
after(() => bench[Symbol.asyncDispose]());

describe('createBackup', () => {
  it('enters a backup in creation and its job at once', async () => {
    const { volumeId } = await bench.createVolume();
    const tags = [{ key: 'tier', value: 'gold' }];
    const { job, backup } = await bench.createBackup(volumeId, { tags, description: 'before upgrade' });
    assert.deepEqual(
      { kind: job.kind, status: job.status, backupId: job.backupId, volumeId: job.volumeId },
      { kind: 'backup', status: 'INIT', backupId: backup.backupId, volumeId },
    );
    assert.equal(backup.status, 'creating');
    assert.equal(backup.sizeBytes, GIB);
    assert.deepEqual(backup.tags, tags);
    assert.equal(backup.availabilityZone, 'az-1');
    assert.deepEqual(await bench.getBackup(backup.backupId), backup);
  });

  it('refuses unknown volumes and those of another project with the same answer', async () => {
    const { volumeId } = await bench.createVolume();
    const { stranger } = bench;
    assert(stranger.projectId !== null);
    const strangersId = stranger.projectId;
    await bench.assertRefused('VOLUME_NOT_FOUND', () => bench.createBackup(newUuid()));
    await bench.assertRefused('VOLUME_NOT_FOUND', () =>
      bench.backups.createBackup(stranger, strangersId, backupInput(volumeId)),
    );
  });

  it('refuses what the token does not permit', async () => {
    const { volumeId } = await bench.createVolume();
    const create = (caller: typeof bench.caller, projectId = bench.projectId) =>
      bench.backups.createBackup(caller, projectId, backupInput(volumeId));
    await bench.assertRefused('PROJECT_MISMATCH', () => create(bench.stranger));
    await bench.assertRefused('PROJECT_MISMATCH', () => create({ ...bench.caller, projectId: null }));
    await bench.assertRefused('ROLES_EMPTY', () => create(bench.withRoles()));
    await bench.assertRefused('ROLE_DENIED', () => create(bench.withRoles('reader')));
  });

  it('refuses snapshots, which there are none of yet', async () => {
    const { volumeId } = await bench.createVolume();
    await bench.assertRefused('SNAPSHOT_NOT_FOUND', () => bench.createBackup(volumeId, { snapshotId: newUuid() }));
    // The volume is looked for first.
    await bench.assertRefused('VOLUME_NOT_FOUND', () => bench.createBackup(newUuid(), { snapshotId: newUuid() }));
  });

  it('refuses volumes in a state that forbids it', async () => {
    const { volumeId } = await bench.createVolume();
    for (const status of ['creating', 'restoring-backup', 'deleting', 'error'] satisfies VolumeStatus[]) {
      await bench.setVolume(volumeId, { status });
      await bench.assertRefused('VOLUME_STATE_FORBIDS_BACKUP', () => bench.createBackup(volumeId));
    }
    await bench.setVolume(volumeId, { status: 'in-use' });
    await bench.assertRefused('VOLUME_STATE_FORBIDS_BACKUP', () => bench.createBackup(volumeId, { dialect: 'native' }));
    await bench.createBackup(volumeId);
  });

  it('accepts exactly one of many that come at once', async () => {
    const { volumeId } = await bench.createVolume();
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => bench.createBackup(volumeId)));
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    assert.equal(refused.length, 7);
    for (const error of refused) assert.equal(error.code, 'BACKUP_IN_PROGRESS');
    const { items } = await bench.backups.listBackups(bench.caller, bench.projectId, { volumeId }, { limit: 10 });
    assert.equal(items.length, 1);
  });

  it('refuses what exceeds a quota, also when many come at once', async () => {
    await using bench = await ServiceBench.start({ limits: { backups: 2, backupGigabytes: 5 } });
    const volumes = await Promise.all(Array.from({ length: 4 }, () => bench.createVolume({ sizeGib: 2 })));
    const results = await Promise.allSettled(volumes.map(({ volumeId }) => bench.createBackup(volumeId)));
    const codes = results.map((result) => (result.status === 'rejected' ? result.reason.code : 'accepted'));
    assert.deepEqual(codes.sort(), ['QUOTA_BACKUPS_EXCEEDED', 'QUOTA_BACKUPS_EXCEEDED', 'accepted', 'accepted']);
    const quota = await bench.backups.quota(bench.withRoles('reader'), bench.projectId);
    assert.deepEqual(quota, {
      backups: { used: 0, reserved: 2, quota: 2 },
      backupGigabytes: { used: 0, reserved: 4, quota: 5 },
    });
  });

  it('refuses what exceeds the capacity, and the limit of one volume', async () => {
    await using bench = await ServiceBench.start({ limits: { backupGigabytes: 2, backupsPerVolume: 1 } });
    const small = await bench.createVolume({ sizeGib: 2 });
    const large = await bench.createVolume({ sizeGib: 3 });
    await bench.assertRefused('QUOTA_BACKUP_GIGABYTES_EXCEEDED', () => bench.createBackup(large.volumeId));
    const { backup } = await bench.createBackup(small.volumeId);
    await bench.catalog.backups.update(backup.backupId, { status: 'available' });
    await bench.assertRefused('BACKUPS_PER_VOLUME_EXCEEDED', () => bench.createBackup(small.volumeId));
  });
});

describe('deleteBackup', () => {
  it('refuses unknown and foreign backups, and states that forbid it', async () => {
    const { volumeId } = await bench.createVolume();
    const { backup } = await bench.createBackup(volumeId);
    const { backupId } = backup;
    const { stranger } = bench;
    assert(stranger.projectId !== null);
    const strangersId = stranger.projectId;
    const remove = () => bench.backups.deleteBackup(bench.caller, bench.projectId, backupId);
    await bench.assertRefused('BACKUP_NOT_FOUND', () =>
      bench.backups.deleteBackup(bench.caller, bench.projectId, newUuid()),
    );
    await bench.assertRefused('BACKUP_NOT_FOUND', () => bench.backups.deleteBackup(stranger, strangersId, backupId));
    await bench.assertRefused('BACKUP_STATE_FORBIDS_DELETE', remove);
    await bench.catalog.backups.update(backupId, { status: 'available' });
    const job = await remove();
    assert.deepEqual(
      { kind: job.kind, status: job.status, backupId: job.backupId },
      {
        kind: 'delete-backup',
        status: 'INIT',
        backupId,
      },
    );
    assert.equal((await bench.getBackup(backupId)).status, 'deleting');
    await bench.assertRefused('BACKUP_STATE_FORBIDS_DELETE', remove);
  });
});

describe('forceDeleteBackup', () => {
  const force = (backupId: BackupId, who = bench.caller) =>
    bench.backups.forceDeleteBackup(who, bench.projectId, backupId);

  it('is for admins, whatever the state; one deletion at a time', async () => {
    const { volumeId } = await bench.createVolume();
    const { backupId } = (await bench.createBackup(volumeId)).backup;
    await bench.assertRefused('ROLE_DENIED', () => force(backupId, bench.withRoles('member')));
    await bench.assertRefused('BACKUP_NOT_FOUND', () => force(newUuid()));
    const job = await force(backupId);
    assert.equal(job.kind, 'delete-backup');
    assert.equal((await bench.getBackup(backupId)).status, 'deleting');
    assert.equal((await force(backupId)).jobId, job.jobId);
  });

  it('leaves the volume to the backup job that still reads it', async () => {
    const { volumeId } = await bench.createVolume();
    const { backupId } = (await bench.createBackup(volumeId)).backup;
    await force(backupId);
    await bench.assertRefused('BACKUP_IN_PROGRESS', () => bench.createBackup(volumeId));
    await bench.assertRefused('VOLUME_STATE_FORBIDS', () =>
      bench.volumes.unmanageVolume(bench.caller, bench.projectId, volumeId),
    );
  });
});

describe('resetBackup', () => {
  it('is for admins, and not while a job is at work', async () => {
    const { volumeId } = await bench.createVolume();
    const { backupId } = (await bench.createBackup(volumeId)).backup;
    const reset = (who = bench.caller) => bench.backups.resetBackup(who, bench.projectId, backupId, 'error');
    await bench.assertRefused('ROLE_DENIED', () => reset(bench.withRoles('member')));
    await bench.assertRefused('BACKUP_STATE_FORBIDS_RESET', reset);
  });
});

describe('restoreBackup', () => {
  it('answers the first violation in the order of the contract and changes nothing', async () => {
    const source = await bench.createVolume({ sizeGib: 2 });
    const target = await bench.createVolume({ sizeGib: 1 });
    const { backup } = await bench.createBackup(source.volumeId);
    const { backupId } = backup;
    const { stranger } = bench;
    assert(stranger.projectId !== null);
    const strangersId = stranger.projectId;
    const restore = (volumeId = target.volumeId, id = backupId) =>
      bench.backups.restoreBackup(bench.caller, bench.projectId, id, volumeId);
    await bench.assertRefused('ROLE_DENIED', () =>
      bench.backups.restoreBackup(bench.withRoles('reader'), bench.projectId, backupId, target.volumeId),
    );
    await bench.assertRefused('RESTORE_BACKUP_NOT_FOUND', () => restore(newUuid(), newUuid()));
    await bench.assertRefused('RESTORE_BACKUP_NOT_FOUND', () =>
      bench.backups.restoreBackup(stranger, strangersId, backupId, target.volumeId),
    );
    await bench.assertRefused('RESTORE_VOLUME_NOT_FOUND', () => restore(newUuid()));
    await bench.assertRefused('BACKUP_NOT_AVAILABLE', () => restore());
    await bench.catalog.backups.update(backupId, { status: 'available' });
    await bench.setVolume(target.volumeId, { status: 'error_restoring' });
    await bench.assertRefused('RESTORE_VOLUME_IN_ERROR', () => restore());
    await bench.setVolume(target.volumeId, { status: 'in-use' });
    await bench.assertRefused('RESTORE_VOLUME_NOT_AVAILABLE', () => restore());
    await bench.setVolume(target.volumeId, { status: 'available' });
    await bench.assertRefused('RESTORE_VOLUME_TOO_SMALL', () => restore());
    await bench.createBackup(target.volumeId);
    await bench.assertRefused('RESTORE_VOLUME_BEING_BACKED_UP', () => restore());
  });

  it('holds backup and volume while it runs', async () => {
    const { volumeId } = await bench.createVolume();
    const { backup } = await bench.createBackup(volumeId);
    const { backupId } = backup;
    await bench.catalog.backups.update(backupId, { status: 'available' });
    const job = await bench.backups.restoreBackup(bench.caller, bench.projectId, backupId, volumeId);
    assert.equal(job.kind, 'restore');
    assert.equal((await bench.getBackup(backupId)).status, 'restoring');
    assert.equal((await bench.getVolume(volumeId)).status, 'restoring-backup');
    const { caller, projectId } = bench;
    await bench.assertRefused('BACKUP_NOT_AVAILABLE', () =>
      bench.backups.restoreBackup(caller, projectId, backupId, volumeId),
    );
    await bench.assertRefused('BACKUP_STATE_FORBIDS_DELETE', () =>
      bench.backups.deleteBackup(caller, projectId, backupId),
    );
    await bench.assertRefused('VOLUME_STATE_FORBIDS_BACKUP', () => bench.createBackup(volumeId));
    await bench.assertRefused('VOLUME_STATE_FORBIDS', () =>
      bench.volumes.deleteVolume(caller, projectId, volumeId, { cascade: true, force: true }),
    );
  });
});

describe('listBackups', () => {
  it('shows the own project only, all of them to admins who ask', async () => {
    await using bench = await ServiceBench.start();
    const { volumeId } = await bench.createVolume();
    await bench.createBackup(volumeId);
    const { stranger, caller, projectId } = bench;
    assert(stranger.projectId !== null);
    const strangersId = stranger.projectId;
    const count = async (who: typeof caller, id: typeof projectId, filter: object) =>
      (await bench.backups.listBackups(who, id, filter, { limit: 10 })).items.length;
    assert.equal(await count(caller, projectId, {}), 1);
    assert.equal(await count(caller, projectId, { status: 'available' }), 0);
    assert.equal(await count(stranger, strangersId, { allProjects: true }), 0);
    const admin = { ...stranger, roles: ['admin'] } as const;
    assert.equal(await count(admin, strangersId, { allProjects: true }), 1);
    assert.equal(await count(admin, strangersId, { allProjects: true, projectId: strangersId }), 0);
    // Without `allProjects` a project id is not the caller's to choose.
    assert.equal(await count(stranger, strangersId, { projectId }), 0);
  });
});
