// Volume types, quotas, services and what clients ask about the service itself (contract 3.27), over real services.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newHexId, newUuid, type ProjectId } from '../../src/core/ids.ts';
import { DEFAULT_VOLUME_TYPE_ID } from '../../src/services/volume-types.ts';
import { ApiBench, type Send } from '../support/api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await ApiBench.start();
});
after(() => bench[Symbol.asyncDispose]());

type Json = Record<string, unknown>;

const asAdmin = (send: Send = {}): Send => ({ ...send, token: bench.admin.token });
const asStranger = (send: Send = {}): Send => ({ ...send, token: bench.stranger.token });
const foreign = () => `/v3/${bench.stranger.projectId}`;
const types = () => `${bench.v3}/types`;

async function createType(name: string, more: Json = {}): Promise<string> {
  const body = { volume_type: { name, ...more } };
  return String(((await bench.ask(200, 'POST', types(), asAdmin({ body }))).volume_type as Json).id);
}
const createVolume = (volume: Json, status = 202, send: Send = {}, base = bench.v3) =>
  bench.ask(status, 'POST', `${base}/volumes`, { ...send, body: { volume: { size: 1, ...volume } } });

/** Polls until a job has made something of it. */
async function waitForEnd(url: string, key: string): Promise<Json> {
  return await bench.services.waitFor(async () => {
    const shown = (await bench.ask(200, 'GET', url))[key] as Json;
    return shown.status === 'creating' ? undefined : shown;
  });
}

describe('volume types', () => {
  test('there is a default one, which everybody sees and nobody deletes', async () => {
    const { volume_type } = await bench.ask(200, 'GET', `${types()}/default`);
    assert.deepEqual(volume_type, {
      ...{ id: DEFAULT_VOLUME_TYPE_ID, name: '__DEFAULT__', description: 'Raw disk image or block device' },
      ...{ is_public: true, extra_specs: {}, 'os-volume-type-access:is_public': true },
    });
    assert.deepEqual((await bench.ask(200, 'GET', `${types()}/__DEFAULT__`)).volume_type, volume_type);
    await bench.assertFault(404, 'itemNotFound', 'GET', `${types()}/${newUuid()}`);
    await bench.assertFault(400, 'badRequest', 'DELETE', `${types()}/${DEFAULT_VOLUME_TYPE_ID}`, asAdmin());
    const hidden = { body: { volume_type: { is_public: false } } };
    await bench.assertFault(400, 'badRequest', 'PUT', `${types()}/${DEFAULT_VOLUME_TYPE_ID}`, asAdmin(hidden));
  });

  test('an admin makes, renames and deletes them; volumes follow the name, and hold the type', async () => {
    const body = { volume_type: { name: 'fast', description: 'd', extra_specs: { vendor_name: 'OpenVBS' } } };
    await bench.assertFault(403, 'forbidden', 'POST', types(), { body });
    const id = await createType('fast', body.volume_type);
    await bench.assertFault(409, 'conflictingRequest', 'POST', types(), asAdmin({ body }));
    const { volume } = (await createVolume({ volume_type: id })) as { volume: Json };
    assert.equal(volume.volume_type, 'fast');
    await bench.ask(200, 'PUT', `${types()}/${id}`, asAdmin({ body: { volume_type: { name: 'quick' } } }));
    const shown = await bench.send('GET', `${bench.v3}/volumes/${volume.id}`, {
      headers: { 'openstack-api-version': 'volume 3.63' },
    });
    const { volume_type, volume_type_id } = shown.json<{ volume: Json }>().volume;
    assert.deepEqual([volume_type, volume_type_id], ['quick', id]);
    await bench.assertFault(400, 'badRequest', 'DELETE', `${types()}/${id}`, asAdmin());
    await bench.ask(202, 'DELETE', `${bench.v3}/volumes/${volume.id}`);
    await bench.services.runner.start();
    await bench.services.waitFor(async () =>
      (await bench.send('GET', `${bench.v3}/volumes/${volume.id}`)).statusCode === 404 ? true : undefined,
    );
    await bench.ask(202, 'DELETE', `${types()}/${id}`, asAdmin());
    await bench.assertFault(404, 'itemNotFound', 'GET', `${types()}/${id}`);
  });

  test('extra specs: added, replaced and removed one by one, shown to admins', async () => {
    const id = await createType('specs');
    const url = `${types()}/${id}/extra_specs`;
    const specs = { a: '1', multiattach: '<is> False' };
    assert.deepEqual(await bench.ask(200, 'POST', url, asAdmin({ body: { extra_specs: specs } })), {
      extra_specs: specs,
    });
    assert.deepEqual(await bench.ask(200, 'PUT', `${url}/a`, asAdmin({ body: { a: '2' } })), { a: '2' });
    assert.deepEqual(await bench.ask(200, 'GET', `${url}/a`, asAdmin()), { a: '2' });
    for (const body of [{ b: '2' }, { a: '1', b: '2' }, { a: 5 }, {}, [], null]) {
      await bench.assertFault(400, 'badRequest', 'PUT', `${url}/a`, asAdmin({ body }));
    }
    await bench.assertFault(403, 'forbidden', 'GET', url);
    const { volume_type } = await bench.ask(200, 'GET', `${types()}/${id}`);
    assert.deepEqual((volume_type as Json).extra_specs, { multiattach: '<is> False' });
    await bench.ask(202, 'DELETE', `${url}/a`, asAdmin());
    await bench.assertFault(404, 'itemNotFound', 'DELETE', `${url}/a`, asAdmin());
    await bench.assertFault(404, 'itemNotFound', 'GET', `${url}/toString`, asAdmin());
  });

  test('no volume is made of a type that wants what no disk here offers', async () => {
    await createType('exotic', { extra_specs: { storage_protocol: 'iSCSI' } });
    await createType('shared', { extra_specs: { multiattach: '<is> True' } });
    await createType('plain', { extra_specs: { 'capabilities:storage_protocol': 'file', 'hw:x': 'y' } });
    for (const volume_type of ['exotic', 'shared']) {
      const body = { volume: { size: 1, volume_type } };
      await bench.assertFault(400, 'badRequest', 'POST', `${bench.v3}/volumes`, { body });
    }
    await createVolume({ volume_type: 'plain' });
  });

  test('a type that is not public is for those who were given access', async () => {
    const id = await createType('secret', { 'os-volume-type-access:is_public': false });
    const mine = `${foreign()}/types`;
    await bench.assertFault(404, 'itemNotFound', 'GET', `${mine}/${id}`, asStranger());
    const body = { volume: { size: 1, volume_type: 'secret' } };
    await bench.assertFault(404, 'itemNotFound', 'POST', `${foreign()}/volumes`, asStranger({ body }));
    const project = bench.stranger.projectId;
    const grant = { body: { addProjectAccess: { project } } };
    await bench.ask(202, 'POST', `${types()}/${id}/action`, asAdmin(grant));
    await bench.assertFault(409, 'conflictingRequest', 'POST', `${types()}/${id}/action`, asAdmin(grant));
    const access = await bench.ask(200, 'GET', `${types()}/${id}/os-volume-type-access`, asAdmin());
    assert.deepEqual(access, { volume_type_access: [{ volume_type_id: id, project_id: project }] });
    const { volume_types } = await bench.ask(200, 'GET', mine, asStranger());
    assert.ok((volume_types as Json[]).some((type) => type.id === id));
    await createVolume({ volume_type: 'secret' }, 202, asStranger(), foreign());
    const revoke = { body: { removeProjectAccess: { project } } };
    await bench.ask(202, 'POST', `${types()}/${id}/action`, asAdmin(revoke));
    await bench.assertFault(404, 'itemNotFound', 'POST', `${types()}/${id}/action`, asAdmin(revoke));
    const all = (await bench.ask(200, 'GET', `${types()}?is_public=None`, asAdmin())).volume_types as Json[];
    assert.ok(all.some((type) => type.id === id));
    const shown = (await bench.ask(200, 'GET', types())).volume_types as Json[];
    assert.ok(!shown.some((type) => type.id === id));
  });

  test('bad requests are refused', async () => {
    for (const volume_type of [
      {},
      { name: '' },
      { name: 5 },
      { name: 'x'.repeat(256) },
      { name: 'n', colour: 'red' },
    ]) {
      await bench.assertFault(400, 'badRequest', 'POST', types(), asAdmin({ body: { volume_type } }));
    }
    const id = await createType('edge');
    for (const volume_type of [{}, { name: ' ' }, { is_public: 'perhaps' }]) {
      await bench.assertFault(400, 'badRequest', 'PUT', `${types()}/${id}`, asAdmin({ body: { volume_type } }));
    }
    const taken = { body: { volume_type: { name: '__DEFAULT__' } } };
    await bench.assertFault(409, 'conflictingRequest', 'PUT', `${types()}/${id}`, asAdmin(taken));
  });
});

describe('quotas', () => {
  const quotas = (projectId: string = bench.stranger.projectId) => `${bench.v3}/os-quota-sets/${projectId}`;
  const set = (quota_set: Json, status = 200) => bench.ask(status, 'PUT', quotas(), asAdmin({ body: { quota_set } }));
  const read = async (query = '') => (await bench.ask(200, 'GET', `${quotas()}${query}`, asAdmin())).quota_set as Json;
  const make = (size: number, status = 202, more: Json = {}) =>
    createVolume({ size, ...more }, status, asStranger(), foreign());
  const refuse = async (size: number, more: Json = {}) => {
    const body = { volume: { size, ...more } };
    await bench.assertFault(413, 'overLimit', 'POST', `${foreign()}/volumes`, asStranger({ body }));
  };
  before(() => bench.ask(200, 'DELETE', quotas(), asAdmin()));

  test('are unlimited until somebody sets them, and then hold for what is made', async () => {
    const before = await read('?usage=True');
    const { in_use: count } = before.volumes as { in_use: number };
    const { in_use: gigabytes } = before.gigabytes as { in_use: number };
    assert.equal((await read()).volumes, -1);
    const changed = await set({ volumes: count + 2, gigabytes: gigabytes + 5, per_volume_gigabytes: '3' });
    assert.ok(!Object.hasOwn(changed.quota_set as Json, 'id'));
    await refuse(4);
    await make(3);
    await refuse(3);
    const { id } = (await make(1)).volume as { id: string };
    await refuse(1);
    const grow = (new_size: number, status: number) =>
      bench.ask(
        status,
        'POST',
        `${foreign()}/volumes/${id}/action`,
        asStranger({ body: { 'os-extend': { new_size } } }),
      );
    await grow(3, 413);
    await grow(2, 202);
    const now = await read('?usage=True');
    assert.deepEqual(now.gigabytes, { limit: gigabytes + 5, in_use: gigabytes + 5, reserved: 0 });
    const limits = (await bench.ask(200, 'GET', `${foreign()}/limits`, asStranger())).limits as Json;
    const { totalVolumesUsed, maxTotalVolumes, ...rest } = limits.absolute as Json;
    assert.deepEqual([totalVolumesUsed, maxTotalVolumes, Object.keys(rest).length], [count + 2, count + 2, 8]);
    await bench.ask(200, 'DELETE', quotas(), asAdmin());
    await make(4);
  });

  test('of one type of volumes', async () => {
    await createType('capped');
    await set({ volumes_capped: 1 });
    await make(1, 202, { volume_type: 'capped' });
    await refuse(1, { volume_type: 'capped' });
    const { id } = (await make(1)).volume as { id: string };
    const body = { 'os-retype': { new_type: 'capped' } };
    await bench.assertFault(413, 'overLimit', 'POST', `${foreign()}/volumes/${id}/action`, asStranger({ body }));
    const { volumes_capped } = await read('?usage=True');
    assert.deepEqual(volumes_capped, { limit: 1, in_use: 1, reserved: 0 });
  });

  test('two at once cannot both take the last place', async () => {
    const { in_use } = (await read('?usage=True')).volumes as { in_use: number };
    await set({ volumes: in_use + 1 });
    const body = { volume: { size: 1 } };
    const answers = await Promise.all(
      [1, 2, 3].map(() => bench.send('POST', `${foreign()}/volumes`, asStranger({ body }))),
    );
    assert.deepEqual(answers.map(({ statusCode }) => statusCode).sort(), [202, 413, 413]);
    await set({ volumes: -1 });
  });

  test('are set by admins only, to what can be kept', async () => {
    await bench.assertFault(403, 'forbidden', 'PUT', quotas(), { body: { quota_set: { volumes: 1 } } });
    await bench.assertFault(403, 'forbidden', 'GET', quotas());
    await bench.ask(200, 'GET', quotas(bench.member.projectId));
    for (const quota_set of [{ volumes: -2 }, { volumes: 'x' }, { volumes: 1.5 }, { volumes: null }, { shares: 1 }]) {
      await bench.assertFault(400, 'badRequest', 'PUT', quotas(), asAdmin({ body: { quota_set } }));
    }
    const low = { body: { quota_set: { volumes: 0 } } };
    await bench.assertFault(400, 'badRequest', 'PUT', quotas(), asAdmin(low));
    await set({ volumes: 0, force: true });
    await set({ volumes: -1 });
    const typed = { body: { quota_set: { volumes_none: 1 } } };
    await bench.assertFault(404, 'itemNotFound', 'PUT', quotas(), asAdmin(typed));
    for (const id of [newHexId<ProjectId>(), 'lab']) {
      await bench.assertFault(404, 'itemNotFound', 'GET', quotas(id), asAdmin());
    }
  });

  test('of all projects are those of the class default', async () => {
    const url = `${bench.v3}/os-quota-class-sets`;
    const body = { quota_class_set: { snapshots: 7, backups: 8 } };
    await bench.assertFault(403, 'forbidden', 'PUT', `${url}/default`, { body });
    await bench.ask(200, 'PUT', `${url}/default`, asAdmin({ body }));
    const { quota_class_set } = await bench.ask(200, 'GET', `${url}/default`, asAdmin());
    const { id, snapshots, backups } = quota_class_set as Json;
    assert.deepEqual([id, snapshots, backups], ['default', 7, 8]);
    assert.equal((await read()).snapshots, 7);
    assert.equal(((await bench.ask(200, 'GET', `${quotas()}/defaults`, asAdmin())).quota_set as Json).backups, 8);
    await set({ snapshots: 9 });
    assert.equal((await read()).snapshots, 9);
    await bench.assertFault(404, 'itemNotFound', 'GET', `${url}/gold`, asAdmin());
    await bench.ask(
      200,
      'PUT',
      `${url}/default`,
      asAdmin({ body: { quota_class_set: { snapshots: -1, backups: -1 } } }),
    );
  });
});

describe('services', () => {
  const url = () => `${bench.v3}/os-services`;
  const put = (action: string, body: Json, status = 200) =>
    bench.ask(status, 'PUT', `${url()}/${action}`, asAdmin({ body }));

  test('are listed by host and name, with the keys of the version', async () => {
    const list = async (query: string, version = '3.0') => {
      const headers = { 'openstack-api-version': `volume ${version}` };
      return (await bench.ask(200, 'GET', `${url()}${query}`, asAdmin({ headers }))).services as Json[];
    };
    assert.deepEqual((await list('?host=host')).map(({ binary }) => binary).sort(), [
      'cinder-backup',
      'cinder-scheduler',
      'cinder-volume',
    ]);
    assert.deepEqual(
      (await list('?binary=cinder-volume')).map(({ host }) => host),
      ['host@file#file'],
    );
    assert.deepEqual(await list('?host=other'), []);
    assert.ok(!Object.hasOwn((await list(''))[0] ?? {}, 'cluster'));
    assert.ok(Object.hasOwn((await list('', '3.7'))[0] ?? {}, 'cluster'));
    const [backend] = await list('?binary=cinder-volume', '3.49');
    assert.equal(backend?.backend_state, 'up');
    await bench.assertFault(403, 'forbidden', 'GET', url());
  });

  test('one that is switched off takes nothing new, until it is switched on', async () => {
    const volumeHost = { host: 'host@file', binary: 'cinder-volume' };
    const off = await put('disable-log-reason', { ...volumeHost, disabled_reason: 'new disks' });
    assert.deepEqual(off, {
      ...{ host: 'host@file#file', service: '', binary: 'cinder-volume', status: 'disabled', disabled: true },
      disabled_reason: 'new disks',
    });
    const body = { volume: { size: 1 } };
    await bench.assertFault(503, 'serviceUnavailable', 'POST', `${bench.v3}/volumes`, { body });
    const { availabilityZoneInfo } = await bench.ask(200, 'GET', `${bench.v3}/os-availability-zone`);
    assert.deepEqual(availabilityZoneInfo, [{ zoneName: 'az-1', zoneState: { available: false } }]);
    assert.equal((await put('enable', volumeHost)).disabled, false);
    const { volume } = (await createVolume({})) as { volume: Json };
    await put('disable', { host: 'host', binary: 'cinder-backup' });
    const backup = { body: { backup: { volume_id: volume.id } } };
    await bench.assertFault(503, 'serviceUnavailable', 'POST', `${bench.v3}/backups`, backup);
    await put('enable', { host: 'host', binary: 'cinder-backup' });
    const { id } = (await bench.ask(202, 'POST', `${bench.v3}/backups`, backup)).backup as Json;
    await waitForEnd(`${bench.v3}/backups/${id}`, 'backup');
  });

  test('unknown ones are 404, incomplete requests 400', async () => {
    const fault = (status: number, name: string, action: string, body: Json) =>
      bench.assertFault(status, name, 'PUT', `${url()}/${action}`, asAdmin({ body }));
    await fault(404, 'itemNotFound', 'enable', { host: 'other', binary: 'cinder-backup' });
    await fault(404, 'itemNotFound', 'disable', { host: 'host', binary: 'cinder-api' });
    await fault(400, 'badRequest', 'disable', { host: 'host' });
    await fault(400, 'badRequest', 'disable', {});
    await fault(400, 'badRequest', 'disable-log-reason', { host: 'host', binary: 'cinder-backup' });
  });
});

describe('the service itself', () => {
  test('tells its pools with what is really free, its extensions and filters', async () => {
    const { pools } = await bench.ask(200, 'GET', `${bench.v3}/scheduler-stats/get_pools?detail=true`, asAdmin());
    const [pool] = pools as { name: string; capabilities: Json }[];
    assert.equal(pool?.name, 'host@file#file');
    const { total_capacity_gb: total, free_capacity_gb: free, storage_protocol } = pool?.capabilities ?? {};
    assert.ok(typeof total === 'number' && typeof free === 'number' && free > 0 && free <= total);
    assert.equal(storage_protocol, 'file');
    assert.deepEqual(await bench.ask(200, 'GET', `${bench.v3}/scheduler-stats/get_pools`, asAdmin()), {
      pools: [{ name: 'host@file#file' }],
    });
    const capabilities = await bench.ask(200, 'GET', `${bench.v3}/capabilities/host@file`, asAdmin());
    assert.equal(capabilities.vendor_name, 'OpenVBS');
    await bench.assertFault(404, 'itemNotFound', 'GET', `${bench.v3}/capabilities/other`, asAdmin());
    const { extension } = await bench.ask(200, 'GET', `${bench.v3}/extensions/backups`);
    assert.equal((extension as Json).alias, 'backups');
    await bench.assertFault(404, 'itemNotFound', 'GET', `${bench.v3}/extensions/none`);
    const headers = { 'openstack-api-version': 'volume 3.33' };
    const filters = await bench.ask(200, 'GET', `${bench.v3}/resource_filters?resource=backup`, { headers });
    assert.deepEqual(filters, { resource_filters: [{ resource: 'backup', filters: ['name', 'status', 'volume_id'] }] });
    await bench.assertFault(404, 'itemNotFound', 'GET', `${bench.v3}/resource_filters`);
  });

  test('sums volumes, their metadata from 3.36 on', async () => {
    const sum = async (version: string) => {
      const headers = { 'openstack-api-version': `volume ${version}` };
      return (await bench.ask(200, 'GET', `${bench.v3}/volumes/summary`, { headers }))['volume-summary'] as Json;
    };
    await createVolume({ metadata: { tier: 'gold' } });
    await createVolume({ metadata: { tier: 'tin' } });
    const { total_count, total_size, metadata } = await sum('3.36');
    assert.ok(Number(total_count) >= 2 && Number(total_size) >= 2);
    assert.deepEqual((metadata as Json).tier, ['gold', 'tin']);
    assert.ok(!Object.hasOwn(await sum('3.12'), 'metadata'));
    const headers = { 'openstack-api-version': 'volume 3.11' };
    await bench.assertFault(404, 'itemNotFound', 'GET', `${bench.v3}/volumes/summary`, { headers });
  });

  test('lists the disks that could be adopted, and adopts them under the newer path too', async () => {
    const path = await bench.services.makeDisk('found.img', 3 * 1024 * 1024);
    const headers = { 'openstack-api-version': 'volume 3.8' };
    const list = async () => {
      const url = `${bench.v3}/manageable_volumes/detail?host=host@file%23file`;
      return (await bench.ask(200, 'GET', url, asAdmin({ headers })))['manageable-volumes'] as Json[];
    };
    const entry = { reference: { 'source-name': path }, size: 1, cinder_id: null, extra_info: null };
    assert.deepEqual(await list(), [{ ...entry, safe_to_manage: true, reason_not_safe: null }]);
    const body = { volume: { host: 'host@file#file', ref: { 'source-name': path } } };
    const made = await bench.ask(202, 'POST', `${bench.v3}/manageable_volumes`, asAdmin({ body, headers }));
    const cinder_id = (made.volume as Json).id;
    const reason_not_safe = 'it is a volume already';
    assert.deepEqual(await list(), [{ ...entry, safe_to_manage: false, reason_not_safe, cinder_id }]);
    await bench.assertFault(400, 'badRequest', 'GET', `${bench.v3}/manageable_volumes`, asAdmin({ headers }));
    const other = `${bench.v3}/manageable_volumes?host=other`;
    await bench.assertFault(400, 'badRequest', 'GET', other, asAdmin({ headers }));
    await bench.assertFault(403, 'forbidden', 'GET', other, { headers });
  });
});
