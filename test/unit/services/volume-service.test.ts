import assert from 'node:assert/strict';
import { access, link, open, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { GIB, MIB } from '../../../src/core/bytes.ts';
import { newUuid, type ProjectId, type VolumeId } from '../../../src/core/ids.ts';
import type { VolumeStatus } from '../../../src/core/model.ts';
import type { AdoptVolumeInput } from '../../../src/services/volume-service.ts';
import { DEFAULT_VOLUME_TYPE_ID } from '../../../src/services/volume-types.ts';
import { lockImage } from '../../../src/volumes/image-lock.ts';
import { loadSystemCalls } from '../../../src/volumes/system-calls.ts';
import { ServiceBench, volumeInput } from '../../support/service-bench.ts';

const bench = await ServiceBench.start();
after(() => bench[Symbol.asyncDispose]());
const { caller, projectId, volumes, volumeCreator } = bench;

function adoption(reference: string, changes: Partial<AdoptVolumeInput> = {}): AdoptVolumeInput {
  const { name, description, volumeType, availabilityZone, metadata } = volumeInput();
  const input = { name, description, volumeType, availabilityZone, metadata, host: volumes.hostName };
  return { ...input, reference, isBootable: false, ...changes };
}

function strangersProject(): ProjectId {
  const { projectId: strangersId } = bench.stranger;
  assert(strangersId !== null);
  return strangersId;
}

describe('createVolume', () => {
  it('makes an empty disk that is available at once', async () => {
    const volume = await bench.createVolume({ sizeGib: 3, name: 'data', metadata: { a: 'b' } });
    assert.equal(volume.status, 'available');
    assert.equal(volume.sizeBytes, 3 * GIB);
    assert.equal(volume.volumeType, '__DEFAULT__');
    assert.equal(volume.availabilityZone, 'az-1');
    const { size, blocks } = await stat(volume.source);
    assert.equal(size, 3 * GIB);
    assert(blocks < 100, 'the disk is sparse');
    assert.deepEqual(await bench.getVolume(volume.volumeId), volume);
  });

  it('takes the type by id or name', async () => {
    const volume = await bench.createVolume({ volumeType: DEFAULT_VOLUME_TYPE_ID });
    assert.equal(volume.volumeType, '__DEFAULT__');
  });

  it('refuses what it cannot honour', async () => {
    await bench.assertRefused('VOLUME_SIZE_INVALID', () => bench.createVolume({ sizeGib: 0 }));
    await bench.assertRefused('VOLUME_SIZE_INVALID', () => bench.createVolume({ sizeGib: null }));
    await bench.assertRefused('VOLUME_TYPE_NOT_FOUND', () => bench.createVolume({ volumeType: 'ssd' }));
    await bench.assertRefused('AVAILABILITY_ZONE_NOT_FOUND', () => bench.createVolume({ availabilityZone: 'az-9' }));
    await bench.assertRefused('SNAPSHOT_NOT_FOUND', () => bench.createVolume({ snapshotId: newUuid() }));
    await bench.assertRefused('BACKUP_NOT_FOUND', () => bench.createVolume({ backupId: newUuid() }));
    const reader = bench.withRoles('reader');
    await bench.assertRefused('ROLE_DENIED', () => volumeCreator.createVolume(reader, projectId, volumeInput()));
  });

  it('wants a backup that is available and fits', async () => {
    const { volumeId } = await bench.createVolume({ sizeGib: 2 });
    const { backup } = await bench.createBackup(volumeId);
    const { backupId } = backup;
    await bench.assertRefused('BACKUP_NOT_AVAILABLE', () => bench.createVolume({ backupId }));
    await bench.catalog.backups.update(backupId, { status: 'available' });
    await bench.assertRefused('VOLUME_TOO_SMALL_FOR_SOURCE', () => bench.createVolume({ backupId, sizeGib: 1 }));
    await bench.assertRefused('BACKUP_NOT_FOUND', () =>
      volumeCreator.createVolume(bench.stranger, strangersProject(), { ...volumeInput(), backupId, sizeGib: 2 }),
    );
  });
});

describe('adoptVolume', () => {
  it('keeps the exact size and the disk where it is', async () => {
    const path = await bench.makeDisk('odd.img', 5 * MIB + 512);
    const volume = await volumes.adoptVolume(caller, projectId, adoption(path, { isBootable: true }));
    const { status, sizeBytes, source, isAdopted, isBootable } = volume;
    assert.deepEqual(
      { status, sizeBytes, source, isAdopted, isBootable },
      { status: 'available', sizeBytes: 5 * MIB + 512, source: path, isAdopted: true, isBootable: true },
    );
  });

  it('takes a disk once only, in whichever project', async () => {
    const path = await bench.makeDisk('once.img', MIB);
    const results = await Promise.allSettled([
      volumes.adoptVolume(caller, projectId, adoption(path)),
      volumes.adoptVolume({ ...bench.stranger, roles: ['admin'] }, strangersProject(), adoption(path)),
    ]);
    const codes = results.map((result) => (result.status === 'rejected' ? result.reason.code : 'adopted'));
    assert.deepEqual(codes.sort(), ['VOLUME_ALREADY_MANAGED', 'adopted']);
  });

  it('takes a disk once only, under whichever name', async () => {
    const path = await bench.makeDisk('linked.img', MIB);
    const names = ['link-1.img', 'link-2.img'].map((name) => join(bench.folder, 'disks', name));
    for (const name of names) await link(path, name);
    const results = await Promise.allSettled(
      [path, ...names].map((name) => volumes.adoptVolume(caller, projectId, adoption(name))),
    );
    const codes = results.map((result) => (result.status === 'rejected' ? result.reason.code : 'adopted'));
    assert.deepEqual(codes.sort(), ['VOLUME_ALREADY_MANAGED', 'VOLUME_ALREADY_MANAGED', 'adopted']);
  });

  it('does not take a disk that the service made, by a link to it', async () => {
    const { source } = await bench.createVolume();
    const name = join(bench.folder, 'disks', 'own.img');
    await link(source, name);
    await bench.assertRefused('VOLUME_ALREADY_MANAGED', () => volumes.adoptVolume(caller, projectId, adoption(name)));
  });

  it('refuses other hosts, other places and callers who are no admins', async () => {
    const path = await bench.makeDisk('other.img', MIB);
    const adopt = (changes: Partial<AdoptVolumeInput>, who = caller) =>
      volumes.adoptVolume(who, projectId, adoption(path, changes));
    await bench.assertRefused('ROLE_DENIED', () => adopt({}, bench.withRoles('member')));
    await bench.assertRefused('VOLUME_HOST_UNKNOWN', () => adopt({ host: 'elsewhere@file#file' }));
    await bench.assertRefused('VOLUME_REFERENCE_INVALID', () => adopt({ reference: '/etc/passwd' }));
    await bench.assertRefused('VOLUME_REFERENCE_INVALID', () => adopt({ reference: `${path}/../../catalog.sqlite` }));
    await bench.assertRefused('VOLUME_TYPE_NOT_FOUND', () => adopt({ volumeType: 'ssd' }));
  });

  it('lets a disk go untouched, and then it can be adopted again', async () => {
    const path = await bench.makeDisk('again.img', MIB);
    const { volumeId } = await volumes.adoptVolume(caller, projectId, adoption(path));
    await volumes.unmanageVolume(caller, projectId, volumeId);
    await assert.rejects(bench.getVolume(volumeId), { code: 'VOLUME_NOT_FOUND' });
    await access(path);
    await volumes.adoptVolume(caller, projectId, adoption(path));
  });
});

describe('unmanageVolume', () => {
  it('refuses a volume that is not at rest', async () => {
    const { volumeId } = await bench.createVolume();
    await bench.createBackup(volumeId);
    await bench.assertRefused('VOLUME_STATE_FORBIDS', () => volumes.unmanageVolume(caller, projectId, volumeId));
  });
});

describe('updateVolume', () => {
  it('changes what is given and leaves the rest', async () => {
    const { volumeId } = await bench.createVolume({ description: 'old' });
    const updated = await volumes.updateVolume(caller, projectId, volumeId, { name: 'new' });
    assert.deepEqual([updated.name, updated.description], ['new', 'old']);
    const cleared = await volumes.updateVolume(caller, projectId, volumeId, {
      description: null,
      metadata: { k: 'v' },
    });
    assert.deepEqual([cleared.name, cleared.description, cleared.metadata], ['new', null, { k: 'v' }]);
    await bench.assertRefused('VOLUME_NOT_FOUND', () => volumes.updateVolume(caller, projectId, newUuid(), {}));
  });
});

describe('deleteVolume', () => {
  const remove = (volumeId: VolumeId, force = false, who = caller) =>
    volumes.deleteVolume(who, projectId, volumeId, { cascade: false, force });

  it('refuses unknown and foreign volumes, busy ones, and force from members', async () => {
    const { volumeId } = await bench.createVolume();
    await bench.assertRefused('VOLUME_NOT_FOUND', () => remove(newUuid()));
    await bench.assertRefused('VOLUME_NOT_FOUND', () =>
      volumes.deleteVolume(bench.stranger, strangersProject(), volumeId, { cascade: false, force: false }),
    );
    await bench.assertRefused('ROLE_DENIED', () => remove(volumeId, true, bench.withRoles('member')));
    for (const status of ['in-use', 'creating', 'maintenance'] satisfies VolumeStatus[]) {
      await bench.setVolume(volumeId, { status });
      await bench.assertRefused('VOLUME_STATE_FORBIDS', () => remove(volumeId));
    }
    await bench.setVolume(volumeId, { status: 'available' });
    await bench.createBackup(volumeId);
    await bench.assertRefused('VOLUME_STATE_FORBIDS', () => remove(volumeId, true));
  });

  it('queues a job', async () => {
    const { volumeId } = await bench.createVolume();
    await remove(volumeId);
    assert.equal((await bench.getVolume(volumeId)).status, 'deleting');
    const { items } = await bench.catalog.jobs.list({ volumeId }, { limit: 10 });
    assert.deepEqual(
      items.map(({ kind, status }) => [kind, status]),
      [['delete-volume', 'INIT']],
    );
    await bench.assertRefused('VOLUME_STATE_FORBIDS', () => remove(volumeId));
  });
});

function extend(volumeId: VolumeId, sizeGib: number, mayBeInUse = false) {
  return volumes.extendVolume(caller, projectId, volumeId, { sizeGib, mayBeInUse });
}

describe('extendVolume', () => {
  it('grows the disk, keeping what is on it', async () => {
    const volume = await bench.createVolume({ sizeGib: 1 });
    await bench.writeDisk(volume, [{ offsetBytes: 4096, bytes: Buffer.from('kept') }]);
    const grown = await extend(volume.volumeId, 2);
    assert.deepEqual([grown.status, grown.sizeBytes], ['available', 2 * GIB]);
    assert.equal((await stat(volume.source)).size, 2 * GIB);
  });

  it('refuses to shrink, and volumes that are in use', async () => {
    const { volumeId } = await bench.createVolume({ sizeGib: 2 });
    const grow = (sizeGib: number) => extend(volumeId, sizeGib);
    await bench.assertRefused('VOLUME_SIZE_INVALID', () => grow(2));
    await bench.assertRefused('VOLUME_SIZE_INVALID', () => grow(1));
    await bench.setVolume(volumeId, { status: 'in-use' });
    await bench.assertRefused('VOLUME_STATE_FORBIDS', () => grow(3));
    const grown = await extend(volumeId, 3, true);
    assert.deepEqual([grown.status, grown.sizeBytes], ['in-use', 3 * GIB]);
  });

  it('leaves a volume as it is while another program has its disk', async (context) => {
    const calls = loadSystemCalls();
    const volume = await bench.createVolume({ sizeGib: 1 });
    await using file = await open(volume.source, 'r+');
    if (!lockImage(file.fd, volume.source, 'write', calls)) return context.skip('no byte locks here');
    await assert.rejects(extend(volume.volumeId, 2), { code: 'VOLUME_BUSY' });
    const { status, sizeBytes } = await bench.getVolume(volume.volumeId);
    assert.deepEqual([status, sizeBytes], ['available', 1 * GIB]);
  });

  it('says so when the disk cannot grow', async () => {
    const volume = await bench.createVolume({ sizeGib: 1 });
    // Larger than the row says: growing it to 2 GiB would cut it.
    await bench.writeDisk(volume, [{ offsetBytes: 3 * GIB, bytes: Buffer.from('x') }]);
    await assert.rejects(extend(volume.volumeId, 2), { code: 'VOLUME_SIZE_INVALID' });
    assert.equal((await bench.getVolume(volume.volumeId)).status, 'error_extending');
  });
});

describe('recoverVolumes', () => {
  it('says so when it cannot tell how large a disk is', async () => {
    const volume = await bench.createVolume();
    await bench.setVolume(volume.volumeId, { status: 'extending' });
    await rm(volume.source);
    await volumeCreator.recoverVolumes();
    await volumes.recoverVolumes();
    assert.equal((await bench.getVolume(volume.volumeId)).status, 'error_extending');
  });

  it('finishes what a crash cut short', async () => {
    const creating = await bench.createVolume({ name: 'creating' });
    const extending = await bench.createVolume({ name: 'extending' });
    // As a crash leaves them: the first before its disk was made known, the second between disk and row.
    await bench.catalog.volumes.update(creating.volumeId, { status: 'creating', source: '' });
    await bench.setVolume(extending.volumeId, { status: 'extending' });
    await truncate(extending.source, 2 * GIB);
    await volumeCreator.recoverVolumes();
    await volumes.recoverVolumes();
    const recovered = await bench.getVolume(creating.volumeId);
    assert.deepEqual([recovered.status, recovered.source], ['available', creating.source]);
    const extended = await bench.getVolume(extending.volumeId);
    // A backup wants disk and row to agree.
    assert.deepEqual([extended.status, extended.sizeBytes], ['available', 2 * GIB]);
  });
});
