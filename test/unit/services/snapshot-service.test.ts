import assert from 'node:assert/strict';
import { open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { GIB, MIB } from '../../../src/core/bytes.ts';
import { type JobId, newUuid, type SnapshotId, type VolumeId } from '../../../src/core/ids.ts';
import type { Job, Snapshot, Volume } from '../../../src/core/model.ts';
import type { CreateSnapshotInput } from '../../../src/services/snapshot-service.ts';
import { lockImage } from '../../../src/volumes/image-lock.ts';
import { loadSystemCalls } from '../../../src/volumes/system-calls.ts';
import { ServiceBench, volumeInput } from '../../support/service-bench.ts';

const native = loadSystemCalls();
const bench = await ServiceBench.start();
after(() => bench[Symbol.asyncDispose]());
before(() => bench.runner.start());
const { caller, projectId, snapshots, stranger } = bench;
const member = bench.withRoles('member');

function snapshotInput(volumeId: VolumeId, changes: Partial<CreateSnapshotInput> = {}): CreateSnapshotInput {
  const input = { name: 'before', description: null, metadata: {}, force: false, isAttachedPermitted: false };
  return { volumeId, ...input, ...changes };
}

async function createSnapshot(volumeId: VolumeId, changes: Partial<CreateSnapshotInput> = {}): Promise<Snapshot> {
  return await snapshots.createSnapshot(caller, projectId, snapshotInput(volumeId, changes));
}

/** A job that has ended writes its row once more, with its progress. */
async function ended(jobId: JobId): Promise<Job> {
  const job = await bench.waitForJob(jobId);
  await bench.waitFor(async () => (bench.runner.progressOf(jobId) === undefined ? true : undefined));
  return job;
}

/** Waits for the newest job about the snapshot. */
async function endOfJob(snapshotId: SnapshotId): Promise<Job> {
  const { items } = await bench.catalog.jobs.list({ projectId }, { limit: 1000 });
  const job = items.find((each) => each.snapshotId === snapshotId);
  assert(job !== undefined, 'no job is about the snapshot');
  return await ended(job.jobId);
}

/** Waits until no job decides what becomes of the volume. */
async function settledVolume(volumeId: VolumeId): Promise<Volume> {
  const { items } = await bench.catalog.jobs.list({ projectId, volumeId }, { limit: 1 });
  const [job] = items;
  assert(job !== undefined, 'no job is about the volume');
  await ended(job.jobId);
  return await bench.getVolume(volumeId);
}

async function takeSnapshot(volumeId: VolumeId, changes: Partial<CreateSnapshotInput> = {}): Promise<Snapshot> {
  const { snapshotId } = await createSnapshot(volumeId, changes);
  assert.equal((await endOfJob(snapshotId)).status, 'SUCCESS');
  return await snapshots.getSnapshot(caller, projectId, snapshotId);
}

async function adoptDisk(sizeBytes = 3 * MIB): Promise<Volume> {
  const { volumes } = bench;
  const reference = await bench.makeDisk(`${newUuid()}.img`, sizeBytes);
  const { name, description, volumeType, availabilityZone, metadata } = volumeInput();
  const input = { name, description, volumeType, availabilityZone, metadata };
  const host = volumes.hostName;
  return await volumes.adoptVolume(caller, projectId, { ...input, host, reference, isBootable: true });
}

async function write(volume: Volume, text: string, offsetBytes = 0): Promise<void> {
  await bench.writeDisk(volume, [{ bytes: Buffer.from(text), offsetBytes }]);
}

/** Not the whole disk: those of whole GiB would take seconds. */
async function peek({ source }: Volume, lengthBytes: number, offsetBytes = 0): Promise<string> {
  await using file = await open(source, 'r');
  const { buffer } = await file.read(Buffer.alloc(lengthBytes), 0, lengthBytes, offsetBytes);
  return buffer.toString();
}

function keptFiles(): Promise<string[]> {
  return readdir(join(bench.folder, 'volumes', 'kept-snapshots'));
}

describe('createSnapshot', () => {
  it('keeps the volume as it is, by a job', async () => {
    const volume = await adoptDisk();
    await write(volume, 'kept');
    const { snapshotId, status, progressPercent } = await createSnapshot(volume.volumeId, { metadata: { a: 'b' } });
    assert.deepEqual([status, progressPercent], ['creating', 0]);
    await endOfJob(snapshotId);
    const snapshot = await snapshots.getSnapshot(caller, projectId, snapshotId);
    assert.equal(snapshot.status, 'available');
    assert.equal(snapshot.progressPercent, 100);
    assert.equal(snapshot.sizeBytes, 3 * MIB);
    assert.equal(snapshot.isBootable, true);
    assert.deepEqual(snapshot.metadata, { a: 'b' });
    assert(snapshot.consistency === 'snapshot' || snapshot.consistency === 'quiescent');
    assert((await keptFiles()).includes(`${snapshotId}.raw`));
    assert.equal((await bench.getVolume(volume.volumeId)).status, 'available');
  });

  it('refuses what it cannot honour', async () => {
    const { volumeId } = await bench.createVolume();
    await bench.assertRefused('VOLUME_NOT_FOUND', () => createSnapshot(newUuid()));
    const reader = bench.withRoles('reader');
    await bench.assertRefused('ROLE_DENIED', () =>
      snapshots.createSnapshot(reader, projectId, snapshotInput(volumeId)),
    );
    await bench.setVolume(volumeId, { status: 'in-use' });
    await bench.assertRefused('VOLUME_STATE_FORBIDS', () => createSnapshot(volumeId));
    await bench.setVolume(volumeId, { status: 'error' });
    await bench.assertRefused('VOLUME_STATE_FORBIDS', () => createSnapshot(volumeId, { force: true }));
  });

  it('keeps an attached volume by force, whatever the file system can', async () => {
    const volume = await adoptDisk();
    await bench.setVolume(volume.volumeId, { status: 'in-use' });
    const snapshot = await takeSnapshot(volume.volumeId, { force: true });
    assert(snapshot.consistency === 'snapshot' || snapshot.consistency === 'fuzzy');
    assert.equal((await bench.getVolume(volume.volumeId)).status, 'in-use');
  });

  it('turns to error when the disk is lost, and can then be deleted', async () => {
    const volume = await adoptDisk();
    await rm(volume.source);
    const { snapshotId } = await createSnapshot(volume.volumeId);
    const job = await endOfJob(snapshotId);
    assert.deepEqual([job.status, job.errorCode], ['FAIL', 'VOLUME_UNAVAILABLE']);
    assert.equal((await snapshots.getSnapshot(caller, projectId, snapshotId)).status, 'error');
    await snapshots.deleteSnapshot(caller, projectId, snapshotId, { force: false });
    await endOfJob(snapshotId);
    await assert.rejects(snapshots.getSnapshot(caller, projectId, snapshotId), { code: 'SNAPSHOT_NOT_FOUND' });
  });
});

describe('snapshots of a project', () => {
  it('are unknown to other projects, and an admin looks after all of them', async () => {
    const { volumeId } = await bench.createVolume();
    const { snapshotId } = await takeSnapshot(volumeId);
    const foreignId = stranger.projectId;
    assert(foreignId !== null);
    await bench.assertRefused('SNAPSHOT_NOT_FOUND', () => snapshots.getSnapshot(stranger, foreignId, snapshotId));
    await bench.assertRefused('SNAPSHOT_NOT_FOUND', () =>
      snapshots.deleteSnapshot(stranger, foreignId, snapshotId, { force: false }),
    );
    const admin = { ...stranger, roles: ['admin'] as const };
    assert.equal((await snapshots.getSnapshot(admin, foreignId, snapshotId)).projectId, projectId);
    await snapshots.resetSnapshot(admin, foreignId, snapshotId, 'error');
    assert.equal((await snapshots.getSnapshot(caller, projectId, snapshotId)).status, 'error');
    const listed = await snapshots.listSnapshots(stranger, foreignId, { allProjects: true }, { limit: 10 });
    assert.deepEqual(listed.items, []);
  });

  it('change name, description and metadata, one call losing nothing of another', async () => {
    const { volumeId } = await bench.createVolume();
    const { snapshotId } = await takeSnapshot(volumeId);
    const changed = await snapshots.updateSnapshot(caller, projectId, snapshotId, { name: 'new', description: 'd' });
    assert.deepEqual([changed.name, changed.description], ['new', 'd']);
    const merge = (key: string) =>
      snapshots.changeMetadata(caller, projectId, snapshotId, { kind: 'merge', metadata: { [key]: key } });
    await Promise.all(['a', 'b', 'c'].map(merge));
    const remove = { kind: 'remove', key: 'b' } as const;
    assert.deepEqual(await snapshots.changeMetadata(caller, projectId, snapshotId, remove), { a: 'a', c: 'c' });
    await bench.assertRefused('METADATA_KEY_NOT_FOUND', () =>
      snapshots.changeMetadata(caller, projectId, snapshotId, remove),
    );
    const replace = { kind: 'replace', metadata: { z: 'z' } } as const;
    assert.deepEqual(await snapshots.changeMetadata(caller, projectId, snapshotId, replace), { z: 'z' });
  });

  it('count into the quotas', async () => {
    await using small = await ServiceBench.start({ quotas: { snapshots: 1, gigabytes: 3 } });
    const { volumeId } = await small.createVolume();
    const create = () => small.snapshots.createSnapshot(small.caller, small.projectId, snapshotInput(volumeId));
    await create();
    await small.assertRefused('QUOTA_SNAPSHOTS_EXCEEDED', create);
    await small.assertRefused('QUOTA_GIGABYTES_EXCEEDED', () => small.createVolume({ sizeGib: 2 }));
    await small.createVolume({ sizeGib: 1 });
    await small.assertRefused('QUOTA_GIGABYTES_EXCEEDED', () => small.createVolume({ sizeGib: 1 }));
  });
});

describe('while a job is open', () => {
  it('nobody writes to the volume that is read, nor deletes what is read or made', async () => {
    // Its runner is never started, so jobs stay open.
    await using idle = await ServiceBench.start();
    const { caller: owner, projectId: homeId, volumes } = idle;
    const remove = (volumeId: VolumeId) =>
      volumes.deleteVolume(owner, homeId, volumeId, { cascade: true, force: true });
    const source = await idle.createVolume();
    const clone = await idle.createVolume({ sourceVolumeId: source.volumeId });
    await idle.assertRefused('VOLUME_BEING_COPIED', () => remove(source.volumeId));
    await idle.assertRefused('VOLUME_STATE_FORBIDS', () => remove(clone.volumeId));
    const volume = await idle.createVolume();
    const { volumeId } = volume;
    const { snapshotId } = await idle.snapshots.createSnapshot(owner, homeId, snapshotInput(volumeId));
    await idle.assertRefused('VOLUME_BEING_COPIED', () => remove(volumeId));
    await idle.assertRefused('VOLUME_BEING_COPIED', () => volumes.unmanageVolume(owner, homeId, volumeId));
    const larger = { sizeGib: 2, mayBeInUse: false };
    await idle.assertRefused('VOLUME_BEING_COPIED', () => volumes.extendVolume(owner, homeId, volumeId, larger));
    await idle.assertRefused('SNAPSHOT_IN_USE', () =>
      idle.snapshots.deleteSnapshot(owner, homeId, snapshotId, { force: true }),
    );
    await idle.assertRefused('SNAPSHOT_STATE_FORBIDS_RESET', () =>
      idle.snapshots.resetSnapshot(owner, homeId, snapshotId, 'error'),
    );
    await idle.assertRefused('SNAPSHOT_STATE_FORBIDS', () => idle.createVolume({ snapshotId }));
  });

  it('no backup is restored over the volume', async () => {
    await using idle = await ServiceBench.start();
    const { volumeId } = await idle.createVolume();
    const { backup } = await idle.createBackup(volumeId);
    const target = await idle.createVolume();
    await idle.catalog.backups.update(backup.backupId, { status: 'available' });
    await idle.snapshots.createSnapshot(idle.caller, idle.projectId, snapshotInput(target.volumeId));
    await idle.assertRefused('VOLUME_BEING_COPIED', () =>
      idle.backups.restoreBackup(idle.caller, idle.projectId, backup.backupId, target.volumeId),
    );
  });
});

describe('createVolume from a backup', () => {
  it('gives the volume the boot flag and the metadata that the backed up one had', async () => {
    const { volumeId: sourceId } = await adoptDisk();
    await bench.volumes.updateVolume(caller, projectId, sourceId, { metadata: { role: 'db', tier: 'gold' } });
    const { backupId } = await bench.backUp(sourceId);
    await bench.volumes.updateVolume(caller, projectId, sourceId, { metadata: {} });
    const made = await bench.createVolume({ backupId, sizeGib: null, isRestore: true, metadata: { tier: 'tin' } });
    assert.deepEqual([made.isBootable, made.metadata], [true, { role: 'db', tier: 'tin' }]);
    assert.equal((await settledVolume(made.volumeId)).isBootable, true);
  });
});

describe('deleteSnapshot', () => {
  it('removes bytes and row', async () => {
    const { volumeId } = await bench.createVolume();
    const { snapshotId } = await takeSnapshot(volumeId);
    await snapshots.deleteSnapshot(member, projectId, snapshotId, { force: false });
    await endOfJob(snapshotId);
    await assert.rejects(snapshots.getSnapshot(caller, projectId, snapshotId), { code: 'SNAPSHOT_NOT_FOUND' });
    assert(!(await keptFiles()).includes(`${snapshotId}.raw`));
  });

  it('wants a snapshot at rest, and an admin for what is not', async () => {
    const { volumeId } = await bench.createVolume();
    const { snapshotId } = await takeSnapshot(volumeId);
    await bench.catalog.snapshots.update(snapshotId, { status: 'backing-up' });
    await bench.assertRefused('SNAPSHOT_STATE_FORBIDS', () =>
      snapshots.deleteSnapshot(caller, projectId, snapshotId, { force: false }),
    );
    await bench.assertRefused('ROLE_DENIED', () =>
      snapshots.deleteSnapshot(member, projectId, snapshotId, { force: true }),
    );
    await snapshots.deleteSnapshot(caller, projectId, snapshotId, { force: true });
    await endOfJob(snapshotId);
  });
});

describe('a volume with snapshots', () => {
  it('goes with them or not at all', async () => {
    const { volumeId } = await bench.createVolume();
    const kept = [await takeSnapshot(volumeId), await takeSnapshot(volumeId)];
    const remove = (cascade: boolean) =>
      bench.volumes.deleteVolume(caller, projectId, volumeId, { cascade, force: false });
    await bench.assertRefused('VOLUME_HAS_SNAPSHOTS', () => remove(false));
    await bench.assertRefused('VOLUME_HAS_SNAPSHOTS', () => bench.volumes.unmanageVolume(caller, projectId, volumeId));
    const [first] = kept;
    assert(first !== undefined);
    await bench.catalog.snapshots.update(first.snapshotId, { status: 'backing-up' });
    await bench.assertRefused('SNAPSHOT_STATE_FORBIDS', () => remove(true));
    await bench.catalog.snapshots.update(first.snapshotId, { status: 'available' });
    await remove(true);
    await bench.waitFor(async () => ((await bench.catalog.volumes.get(projectId, volumeId)) ? undefined : true));
    const names = await keptFiles();
    for (const { snapshotId } of kept) {
      assert(!names.includes(`${snapshotId}.raw`));
      await assert.rejects(snapshots.getSnapshot(caller, projectId, snapshotId), { code: 'SNAPSHOT_NOT_FOUND' });
    }
  });
});

describe('a volume with snapshots whose disk is in use', () => {
  it('cannot go, and its snapshots keep their bytes', { skip: !native.isNative }, async () => {
    const volume = await bench.createVolume();
    await write(volume, 'still here');
    const { snapshotId } = await takeSnapshot(volume.volumeId);
    await using disk = await open(volume.source, 'r+');
    lockImage(disk.fd, volume.source, 'write', native);
    await bench.volumes.deleteVolume(caller, projectId, volume.volumeId, { cascade: true, force: false });
    assert.equal((await settledVolume(volume.volumeId)).status, 'error_deleting');
    const snapshot = await snapshots.getSnapshot(caller, projectId, snapshotId);
    assert.equal(snapshot.status, 'error_deleting');
    assert((await keptFiles()).includes(`${snapshotId}.raw`));
    await snapshots.resetSnapshot(caller, projectId, snapshotId, 'available');
    const { volumeId } = await bench.createVolume({ snapshotId });
    assert.equal(await peek(await settledVolume(volumeId), 10), 'still here');
  });
});

describe('createVolume from a snapshot', () => {
  it('makes a disk with its bytes, larger if asked for, with its type and boot flag', async () => {
    const volume = await adoptDisk();
    await write(volume, 'from the snapshot', 2 * MIB);
    const { snapshotId } = await takeSnapshot(volume.volumeId);
    await write(volume, 'later');
    await bench.catalog.volumes.update(volume.volumeId, { imageMetadata: { os: 'debian' } });
    const { volumeId, status } = await bench.createVolume({ snapshotId, sizeGib: 1, metadata: { own: 'yes' } });
    assert.equal(status, 'creating');
    const made = await settledVolume(volumeId);
    assert.equal(made.status, 'available');
    assert.equal(made.sizeBytes, GIB);
    assert.equal(made.isBootable, true);
    assert.equal(made.sourceSnapshotId, snapshotId);
    assert.deepEqual([made.metadata, made.imageMetadata], [{ own: 'yes' }, { os: 'debian' }]);
    assert.equal(await peek(made, 17, 2 * MIB), 'from the snapshot');
    assert.equal(await peek(made, 5), '\0\0\0\0\0');
  });

  it('is as large as the snapshot to the byte when no size is asked for', async () => {
    const volume = await adoptDisk(2 * MIB + 512);
    const { snapshotId } = await takeSnapshot(volume.volumeId);
    const { volumeId } = await bench.createVolume({ snapshotId, sizeGib: null });
    assert.equal((await settledVolume(volumeId)).sizeBytes, 2 * MIB + 512);
  });

  it('wants a snapshot that is available and fits', async () => {
    const { volumeId } = await bench.createVolume({ sizeGib: 2 });
    const { snapshotId } = await takeSnapshot(volumeId);
    await bench.assertRefused('SNAPSHOT_NOT_FOUND', () => bench.createVolume({ snapshotId: newUuid() }));
    await bench.assertRefused('VOLUME_TOO_SMALL_FOR_SOURCE', () => bench.createVolume({ snapshotId, sizeGib: 1 }));
    await bench.catalog.snapshots.update(snapshotId, { status: 'backing-up' });
    await bench.assertRefused('SNAPSHOT_STATE_FORBIDS', () => bench.createVolume({ snapshotId, sizeGib: 2 }));
  });
});

describe('createVolume from a volume', () => {
  it('makes a disk with its bytes and lives on its own', async () => {
    const source = await adoptDisk();
    await write(source, 'cloned', MIB);
    const { volumeId } = await bench.createVolume({ sourceVolumeId: source.volumeId, sizeGib: null });
    const made = await settledVolume(volumeId);
    assert.deepEqual([made.status, made.sizeBytes, made.isBootable], ['available', 3 * MIB, true]);
    assert.equal(made.sourceVolumeId, source.volumeId);
    await write(source, 'changed', MIB);
    assert.equal(await peek(made, 6, MIB), 'cloned');
    await bench.volumes.deleteVolume(caller, projectId, source.volumeId, { cascade: false, force: false });
    await bench.waitFor(async () => ((await bench.catalog.volumes.get(projectId, source.volumeId)) ? undefined : true));
    assert.equal((await bench.getVolume(volumeId)).sourceVolumeId, source.volumeId);
  });

  it('turns to error when the source is lost, and can then be deleted', async () => {
    const source = await adoptDisk();
    await rm(source.source);
    const { volumeId } = await bench.createVolume({ sourceVolumeId: source.volumeId, sizeGib: null });
    assert.equal((await settledVolume(volumeId)).status, 'error');
    await bench.volumes.deleteVolume(caller, projectId, volumeId, { cascade: false, force: false });
    await bench.waitFor(async () => ((await bench.catalog.volumes.get(projectId, volumeId)) ? undefined : true));
  });

  it('wants a volume that is at rest and fits', async () => {
    const { volumeId: sourceVolumeId } = await bench.createVolume({ sizeGib: 2 });
    await bench.assertRefused('VOLUME_NOT_FOUND', () => bench.createVolume({ sourceVolumeId: newUuid() }));
    await bench.assertRefused('VOLUME_TOO_SMALL_FOR_SOURCE', () => bench.createVolume({ sourceVolumeId, sizeGib: 1 }));
    await bench.setVolume(sourceVolumeId, { status: 'error' });
    await bench.assertRefused('VOLUME_STATE_FORBIDS', () => bench.createVolume({ sourceVolumeId, sizeGib: 2 }));
  });
});

describe('revertVolume', () => {
  it('puts back the newest snapshot, and both are available again', async () => {
    const volume = await adoptDisk();
    await write(volume, 'good');
    const older = await takeSnapshot(volume.volumeId);
    bench.clock.advance(1);
    const newest = await takeSnapshot(volume.volumeId);
    await write(volume, 'spoilt');
    const revert = (snapshotId: SnapshotId) => snapshots.revertVolume(member, projectId, volume.volumeId, snapshotId);
    await bench.assertRefused('SNAPSHOT_NOT_NEWEST', () => revert(older.snapshotId));
    await bench.assertRefused('SNAPSHOT_NOT_FOUND', () => revert(newUuid()));
    await revert(newest.snapshotId);
    const reverted = await settledVolume(volume.volumeId);
    assert.equal(reverted.status, 'available');
    assert.equal(await peek(reverted, 6), 'good\0\0');
    assert.equal((await snapshots.getSnapshot(caller, projectId, newest.snapshotId)).status, 'available');
  });

  it('leaves a volume that nothing was written to as it was when the snapshot is lost', async () => {
    const volume = await adoptDisk();
    const { snapshotId } = await takeSnapshot(volume.volumeId);
    await rm(join(bench.folder, 'volumes', 'kept-snapshots', `${snapshotId}.raw`), { force: true });
    await snapshots.revertVolume(caller, projectId, volume.volumeId, snapshotId);
    const { status } = await settledVolume(volume.volumeId);
    assert.equal(status, 'available');
  });
});

describe('status of a snapshot', () => {
  it('is reset by admins and reported by members, along the ways that Cinder permits', async () => {
    const { volumeId } = await bench.createVolume();
    const { snapshotId } = await takeSnapshot(volumeId);
    const report = (status: Snapshot['status'], progressPercent: number | null) =>
      snapshots.reportSnapshot(member, projectId, snapshotId, { status, progressPercent });
    await bench.assertRefused('SNAPSHOT_STATE_FORBIDS', () => report('error', 80));
    await bench.assertRefused('ROLE_DENIED', () => snapshots.resetSnapshot(member, projectId, snapshotId, 'creating'));
    await snapshots.resetSnapshot(caller, projectId, snapshotId, 'creating');
    await bench.assertRefused('SNAPSHOT_STATE_FORBIDS_RESET', () => report('deleting', null));
    await report('error', 80);
    const { status, progressPercent } = await snapshots.getSnapshot(caller, projectId, snapshotId);
    assert.deepEqual([status, progressPercent], ['error', 80]);
  });
});
