// The rest of the native backup API: changes, snapshots, lineage, what operators can set, what admins see (contract
// 3.20 to 3.24, 5.6, 5.9, 6.2).
import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { newUuid, type SnapshotId, type VolumeId } from '../../src/core/ids.ts';
import { NATIVE_RULES } from '../../src/core/native-rules.ts';
import { ApiBench, type Send } from '../support/api-bench.ts';

/** Longer than the runner ever waits before it tries a job again. */
const RETRY_DELAY_MS = 10_000;

type Shown = Record<string, unknown> & { id: string; status: string };

const at = (version: string, send: Send = {}): Send => ({
  ...send,
  headers: { 'openstack-api-version': `volume ${version}` },
});

let bench: ApiBench;
before(async () => {
  bench = await ApiBench.start();
  await bench.services.runner.start();
});
after(() => bench[Symbol.asyncDispose]());

async function createVolume(on = bench, volume: Record<string, unknown> = {}): Promise<Shown> {
  return (await on.ask(202, 'POST', `${on.v3}/volumes`, { body: { volume: { size: 1, ...volume } } })).volume as Shown;
}

async function waitFor(on: ApiBench, kind: 'backup' | 'volume' | 'snapshot', id: string): Promise<Shown> {
  return await on.services.waitFor(async () => {
    const shown = (await on.ask(200, 'GET', `${on.v3}/${kind}s/${id}`))[kind] as Shown;
    assert.doesNotMatch(shown.status, /^error/);
    return shown.status === 'available' ? shown : undefined;
  });
}

async function createBackup(volumeId: string, backup: Record<string, unknown> = {}, on = bench): Promise<Shown> {
  const send = at('3.43', { body: { backup: { volume_id: volumeId, ...backup } } });
  const { id } = (await on.ask(202, 'POST', `${on.v3}/backups`, send)).backup as Shown;
  return await waitFor(on, 'backup', id);
}

/** Waits until the backup has failed for good: later is now. */
async function waitForFailed(id: string): Promise<void> {
  await bench.services.waitFor(async () => {
    bench.services.clock.advance(RETRY_DELAY_MS);
    bench.services.runner.wake();
    return (await show(id)).status === 'error' ? true : undefined;
  });
}

async function show(id: string, version = '3.43'): Promise<Shown> {
  return (await bench.ask(200, 'GET', `${bench.v3}/backups/${id}`, at(version))).backup as Shown;
}

describe('PUT /backups/{id}', () => {
  let backup: Shown;
  let url: string;
  before(async () => {
    backup = await createBackup((await createVolume()).id, { name: 'old', description: 'text', metadata: { a: '1' } });
    url = `${bench.v3}/backups/${backup.id}`;
  });
  const put = (backup: unknown) => ({ body: { backup } });

  test('changes what is named and nothing else', async () => {
    const answer = await bench.ask(200, 'PUT', url, at('3.43', put({ name: ' new ' })));
    assert.deepEqual(Object.keys(answer.backup as Shown), ['id', 'name', 'links']);
    const { name, description, metadata, updated_at } = await show(backup.id);
    assert.deepEqual({ name, description, metadata }, { name: 'new', description: 'text', metadata: { a: '1' } });
    assert.notEqual(updated_at, null);
    await bench.ask(200, 'PUT', url, at('3.9', put({ name: null, description: null })));
    const emptied = await show(backup.id);
    assert.deepEqual([emptied.name, emptied.description, emptied.metadata], [null, null, { a: '1' }]);
    await bench.ask(200, 'PUT', url, at('3.43', put({ metadata: { b: '2' } })));
    assert.deepEqual((await show(backup.id)).metadata, { b: '2' });
    await bench.ask(200, 'PUT', url, at('3.43', put({})));
    await bench.ask(200, 'PUT', `${bench.v3}/native/backups/${backup.id}`, at('3.9', put({ name: 'by_the_seed' })));
    assert.equal((await show(backup.id)).name, 'by_the_seed');
    const { traces } = (await bench.ask(200, 'GET', `${bench.v1}/traces?trace_name=bksModifyBackup`)) as {
      traces: { resource_id: string }[];
    };
    assert.ok(traces.length >= 4 && traces.every(({ resource_id }) => resource_id === backup.id));
  });

  test('exists from 3.9 on, metadata from 3.43 on, and not on v2', async () => {
    await bench.assertFault(404, 'itemNotFound', 'PUT', url, at('3.8', put({ name: 'x' })));
    await bench.assertFault(400, 'badRequest', 'PUT', url, at('3.42', put({ metadata: {} })));
    await bench.assertFault(405, 'badMethod', 'PUT', `${bench.v2}/backups/${backup.id}`, put({ name: 'x' }));
  });

  test('refuses what it does not know, and whoever may not', async () => {
    for (const body of [{}, { backup: null }, { backup: { status: 'error' } }, { backup: { name: 'x'.repeat(256) } }]) {
      await bench.assertFault(400, 'badRequest', 'PUT', url, at('3.43', { body }));
    }
    const native = `${bench.v3}/native/backups/${backup.id}`;
    await bench.assertFault(400, 'badRequest', 'PUT', native, at('3.9', put({ name: 'auto_1' })));
    await bench.assertFault(404, 'itemNotFound', 'PUT', `${bench.v3}/backups/${newUuid()}`, at('3.9', put({})));
    await bench.assertFault(403, 'forbidden', 'PUT', url, at('3.9', { ...put({}), token: bench.reader.token }));
  });

  test('of a backup made through VBS changes the text within', async () => {
    const { id: volumeId } = await createVolume();
    const body = { backup: { volume_id: volumeId, name: 'nightly', description: 'before' } };
    const { job_id } = await bench.ask(200, 'POST', `${bench.v2}/cloudbackups`, { body });
    const job = await bench.waitForJob(String(job_id));
    const { backup_id } = job.entities as Record<string, string>;
    await bench.ask(200, 'PUT', `${bench.v3}/backups/${backup_id}`, at('3.9', put({ description: 'after' })));
    assert.deepEqual(JSON.parse(String((await show(String(backup_id))).description)), { DESC: 'after', INC: 1 });
  });
});

describe('backups of snapshots', () => {
  async function createSnapshot(volumeId: string): Promise<Shown> {
    const body = { snapshot: { volume_id: volumeId, force: true } };
    const { id } = (await bench.ask(202, 'POST', `${bench.v3}/snapshots`, { body })).snapshot as Shown;
    return await waitFor(bench, 'snapshot', id);
  }

  test('hold the bytes of the snapshot, leave the volume alone, and build on older data only', async () => {
    const volume = await createVolume();
    const { services } = bench;
    const row = await services.catalog.volumes.get(bench.member.projectId, volume.id as VolumeId);
    assert(row !== undefined);
    await services.writeDisk(row, [{ offsetBytes: 4096, bytes: Buffer.from('as it was') }]);
    const snapshot = await createSnapshot(volume.id);
    await services.writeDisk(row, [{ offsetBytes: 4096, bytes: Buffer.from('as it is!') }]);
    const younger = await createBackup(volume.id);

    await services.runner.stop();
    const body = { backup: { volume_id: volume.id, snapshot_id: snapshot.id, name: null } };
    const { id } = (await bench.ask(202, 'POST', `${bench.v3}/backups`, { body })).backup as Shown;
    const isNow = async () => ({
      volume: ((await bench.ask(200, 'GET', `${bench.v3}/volumes/${volume.id}`)).volume as Shown).status,
      snapshot: ((await bench.ask(200, 'GET', `${bench.v3}/snapshots/${snapshot.id}`)).snapshot as Shown).status,
    });
    assert.deepEqual(await isNow(), { volume: 'available', snapshot: 'backing-up' });
    await bench.assertFault(400, 'badRequest', 'POST', `${bench.v3}/backups`, { body });
    await bench.assertFault(400, 'badRequest', 'DELETE', `${bench.v3}/snapshots/${snapshot.id}`);
    await services.runner.start();
    const backup = await waitFor(bench, 'backup', id);
    assert.deepEqual(await isNow(), { volume: 'available', snapshot: 'available' });
    assert.deepEqual(
      [backup.snapshot_id, backup.is_incremental, Number(backup.object_count) > 0],
      [snapshot.id, false, true],
    );
    assert.ok(String(backup.data_timestamp) < String(younger.data_timestamp), 'the time of the data is the snapshot’s');
    const { restore } = (await bench.ask(202, 'POST', `${bench.v3}/backups/${id}/restore`, {
      body: { restore: { volume_id: volume.id } },
    })) as { restore: { volume_id: string } };
    await waitFor(bench, 'volume', restore.volume_id);
    await using disk = await open(row.source);
    assert.equal((await disk.read(Buffer.alloc(9), 0, 9, 4096)).buffer.toString(), 'as it was');

    // The next increment is made on the younger data, though the backup of the snapshot is the newer one.
    const next = await createBackup(volume.id, { incremental: true });
    assert.equal(next.is_incremental, true);
    assert.equal((await show(younger.id)).has_dependent_backups, true);
    assert.equal((await show(id)).has_dependent_backups, false);
  });

  test('through the VBS API name the snapshot in the job, and refuse those of other volumes', async () => {
    const [volume, other] = [await createVolume(), await createVolume()];
    const snapshot = await createSnapshot(volume.id);
    const backup = (changes: Record<string, unknown>) => ({
      body: { backup: { volume_id: volume.id, snapshot_id: snapshot.id, name: 'nightly', ...changes } },
    });
    const url = `${bench.v2}/cloudbackups`;
    await bench.assertVbsFault(400, 'VolumeBackup.0002', 'POST', url, backup({ volume_id: other.id }));
    await bench.assertVbsFault(400, 'VolumeBackup.0002', 'POST', url, backup({ snapshot_id: 'x' }));
    await bench.assertVbsFault(404, 'VolumeBackup.0020', 'POST', url, backup({ snapshot_id: newUuid() }));
    await bench.services.catalog.snapshots.update(snapshot.id as SnapshotId, { status: 'error' });
    await bench.assertVbsFault(400, 'VolumeBackup.0062', 'POST', url, backup({}));
    await bench.services.catalog.snapshots.update(snapshot.id as SnapshotId, { status: 'available' });
    const { job_id } = await bench.ask(200, 'POST', url, backup({}));
    const job = await bench.waitForJob(String(job_id));
    assert.equal(job.status, 'SUCCESS', String(job.fail_reason));
    assert.equal((job.entities as Record<string, string>).snapshot_id, snapshot.id);
    const native = { backup: { volume_id: other.id, snapshot_id: snapshot.id } };
    await bench.assertFault(400, 'badRequest', 'POST', `${bench.v3}/backups`, { body: native });
  });

  test('show the snapshot as available again when they fail', async () => {
    const volume = await createVolume();
    const snapshot = await createSnapshot(volume.id);
    bench.services.store.setRules([{ operation: 'put', effect: 'ENOSPC' }]);
    const body = { backup: { volume_id: volume.id, snapshot_id: snapshot.id } };
    const { id } = (await bench.ask(202, 'POST', `${bench.v3}/backups`, { body })).backup as Shown;
    await waitForFailed(id);
    bench.services.store.setRules([]);
    await waitFor(bench, 'snapshot', snapshot.id);
  });
});

describe('lineage', () => {
  test('shows as soon as the increment is asked for, until it is gone or has failed', async () => {
    const volume = await createVolume();
    const base = await createBackup(volume.id);
    const { services } = bench;
    const hasDependents = async () => (await show(base.id)).has_dependent_backups;
    assert.equal(await hasDependents(), false);
    await services.runner.stop();
    const body = { backup: { volume_id: volume.id, incremental: true } };
    const { id } = (await bench.ask(202, 'POST', `${bench.v3}/backups`, { body })).backup as Shown;
    assert.equal(await hasDependents(), true);
    services.store.setRules([{ operation: 'put', effect: 'ENOSPC' }]);
    await services.runner.start();
    await waitForFailed(id);
    services.store.setRules([]);
    assert.equal(await hasDependents(), false, 'a failed increment stands on nothing');
    const increment = await createBackup(volume.id, { incremental: true });
    assert.equal(await hasDependents(), true);
    await bench.ask(202, 'DELETE', `${bench.v3}/backups/${increment.id}`);
    await services.waitFor(async () => ((await hasDependents()) === false ? true : undefined));
  });

  test('restrains nothing by default: the base goes first', async () => {
    const volume = await createVolume();
    const base = await createBackup(volume.id);
    const increment = await createBackup(volume.id, { incremental: true });
    await bench.ask(202, 'DELETE', `${bench.v3}/backups/${base.id}`);
    await bench.services.waitFor(async () =>
      (await bench.send('GET', `${bench.v3}/backups/${base.id}`)).statusCode === 404 ? true : undefined,
    );
    assert.equal((await show(increment.id)).is_incremental, true);
  });
});

describe('restoring to a new volume', () => {
  test('brings metadata and the bootable flag back as they were at the time of the backup', async () => {
    const volume = await createVolume(bench, { metadata: { tier: 'gold' } });
    await bench.ask(200, 'POST', `${bench.v3}/volumes/${volume.id}/action`, {
      body: { 'os-set_bootable': { bootable: true } },
    });
    const backup = await createBackup(volume.id);
    await bench.services.catalog.volumes.update(volume.id as VolumeId, {
      metadata: { tier: 'lead' },
      isBootable: false,
    });
    const answer = await bench.ask(202, 'POST', `${bench.v3}/backups/${backup.id}/restore`, { body: { restore: {} } });
    const { volume_id, volume_name } = answer.restore as Record<string, string>;
    assert.equal(volume_name, `restore_backup_${backup.id}`);
    const made = await waitFor(bench, 'volume', String(volume_id));
    assert.deepEqual([made.metadata, made.bootable], [{ tier: 'gold' }, 'true']);
    // The VBS reference has a key for it (contract 5.8).
    const { backup: v2 } = (await bench.ask(200, 'GET', `${bench.v2}/backups/${backup.id}`)) as { backup: Shown };
    assert.equal(JSON.parse(String(v2.service_metadata)).bootable, true);
  });
});

describe('admins', () => {
  test('act on the backups of every project by id, members on those of their own', async () => {
    const { projectId, token: owner } = bench.stranger;
    const other = `/v3/${projectId}`;
    const volume = { body: { volume: { size: 1 } }, token: owner };
    const { id: volumeId } = (await bench.ask(202, 'POST', `${other}/volumes`, volume)).volume as Shown;
    const asked = { body: { backup: { volume_id: volumeId } }, token: owner };
    const { id } = (await bench.ask(202, 'POST', `${other}/backups`, asked)).backup as Shown;
    const statusNow = async () => {
      const { backup } = await bench.ask(200, 'GET', `${other}/backups/${id}`, { token: owner });
      return (backup as Shown).status;
    };
    const reach = (status: string) => bench.services.waitFor(async () => (await statusNow()) === status || undefined);
    await reach('available');
    const { token } = bench.admin;
    for (const base of [bench.v3, bench.v2, `${bench.v3}/native`]) {
      const { backup } = await bench.ask(200, 'GET', `${base}/backups/${id}`, { token });
      assert.equal((backup as Shown).id, id);
      await bench.assertFault(404, 'itemNotFound', 'GET', `${base}/backups/${id}`);
    }
    const url = `${bench.v3}/backups/${id}`;
    await bench.ask(200, 'GET', `${url}/export_record`, { token });
    await bench.ask(200, 'PUT', url, at('3.9', { token, body: { backup: { name: 'seen' } } }));
    await bench.assertFault(404, 'itemNotFound', 'PUT', url, at('3.9', { body: { backup: { name: 'mine' } } }));
    await bench.ask(202, 'POST', `${url}/action`, { token, body: { 'os-reset_status': { status: 'error' } } });
    await reach('error');
    // What is done with the bytes is for the owner; so is everything on the VBS API.
    await bench.assertFault(404, 'itemNotFound', 'POST', `${url}/restore`, { token, body: { restore: {} } });
    await bench.assertVbsFault(404, 'VolumeBackup.0110', 'DELETE', `${bench.v2}/cloudbackups/${id}`, { token });
    await bench.assertFault(404, 'itemNotFound', 'DELETE', url);
    await bench.ask(202, 'DELETE', url, { token });
    await bench.services.waitFor(async () =>
      (await bench.send('GET', url, { token })).statusCode === 404 ? true : undefined,
    );
  });

  test('who filter by what there is not find nothing; members are told from 3.31 on', async () => {
    await createBackup((await createVolume()).id);
    const url = `${bench.v3}/backups?colour=red`;
    const { token } = bench.admin;
    for (const version of ['3.0', '3.31']) {
      const answer = await bench.ask(200, 'GET', url, at(version, { token }));
      assert.deepEqual(answer, { backups: [] });
    }
    const counted = await bench.ask(200, 'GET', `${url}&with_count=true`, at('3.45', { token }));
    assert.deepEqual(counted, { backups: [], count: 0 });
    assert.notEqual(((await bench.ask(200, 'GET', url)) as { backups: Shown[] }).backups.length, 0);
    await bench.assertFault(400, 'badRequest', 'GET', url, at('3.31'));
  });
});

describe('settings of the native API', () => {
  test('names, incremental, dependants and the owner’s key can be as in the VBS reference or in Cinder', async () => {
    await using strict = await ApiBench.start({
      nativeRules: { names: 'vbs', incremental: 'auto', dependants: 'refuse', isTenantAttrEverywhere: true },
    });
    await strict.services.runner.start();
    const volume = await createVolume(strict);
    const named = (name: string) => at('3.9', { body: { backup: { volume_id: volume.id, name } } });
    await strict.assertFault(400, 'badRequest', 'POST', `${strict.v3}/backups`, named('web root'));
    await strict.assertFault(400, 'badRequest', 'POST', `${strict.v3}/backups`, named('auto_1'));
    // No base, and still accepted: full.
    const base = await createBackup(volume.id, { name: 'base', incremental: true }, strict);
    assert.equal(base.is_incremental, false);
    const increment = await createBackup(volume.id, { name: 'next' }, strict);
    assert.equal(increment.is_incremental, true, 'not asked for, but possible');
    const rename = at('3.9', { body: { backup: { name: 'web root' } } });
    await strict.assertFault(400, 'badRequest', 'PUT', `${strict.v3}/backups/${base.id}`, rename);
    assert.equal(base['os-backup-project-attr:tenant_id'], strict.member.projectId);

    const url = `${strict.v3}/backups/${base.id}`;
    const { token } = strict.admin;
    await strict.assertFault(400, 'badRequest', 'DELETE', url);
    const force = { token, body: { 'os-force_delete': null } };
    await strict.assertFault(400, 'badRequest', 'POST', `${url}/action`, force);
    await strict.ask(202, 'DELETE', `${strict.v3}/backups/${increment.id}`);
    await strict.services.waitFor(async () =>
      (await strict.send('GET', `${strict.v3}/backups/${increment.id}`)).statusCode === 404 ? true : undefined,
    );
    await strict.ask(202, 'DELETE', url);
  });

  test('by default are those of the contract', () => {
    assert.deepEqual(NATIVE_RULES, {
      names: 'relaxed',
      incremental: 'honour',
      dependants: 'allow',
      isTenantAttrEverywhere: false,
    });
  });
});
