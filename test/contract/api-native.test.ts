// The native API over real services: backups and volumes as OpenStack clients use them (contract 3.20 to 3.25).
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { MIB } from '../../src/core/bytes.ts';
import { newUuid } from '../../src/core/ids.ts';
import { ApiBench, type Send } from '../support/api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await ApiBench.start();
  await bench.services.runner.start();
});
after(() => bench[Symbol.asyncDispose]());

type Shown = Record<string, unknown> & { id: string; status: string };
type List = Record<string, unknown> & { count?: number };

const at = (version: string, send: Send = {}): Send => ({
  ...send,
  headers: { 'openstack-api-version': `volume ${version}` },
});

async function createVolume(volume: Record<string, unknown> = {}): Promise<Shown> {
  const answer = await bench.ask(202, 'POST', `${bench.v3}/volumes`, { body: { volume: { size: 1, ...volume } } });
  return answer.volume as Shown;
}

async function waitFor(url: string, key: string, status: string): Promise<Shown> {
  return await bench.services.waitFor(async () => {
    const shown = (await bench.ask(200, 'GET', url))[key] as Shown;
    assert.ok(!shown.status.startsWith('error'), shown.status);
    return shown.status === status ? shown : undefined;
  });
}

async function waitForGone(url: string): Promise<void> {
  await bench.services.waitFor(async () => ((await bench.send('GET', url)).statusCode === 404 ? true : undefined));
}

async function createBackup(volumeId: string, backup: Record<string, unknown> = {}): Promise<Shown> {
  const send = { body: { backup: { volume_id: volumeId, ...backup } } };
  const answer = await bench.ask(202, 'POST', `${bench.v3}/backups`, send);
  const { id } = answer.backup as Shown;
  return await waitFor(`${bench.v3}/backups/${id}`, 'backup', 'available');
}

describe('backups', () => {
  let volume: Shown;
  let first: Shown;

  before(async () => {
    volume = await createVolume({ name: 'web' });
    first = await createBackup(volume.id, { name: 'web root', description: 'plain' });
  });

  test('creating answers id, name and links, nothing else', async () => {
    const { backup } = (await bench.ask(202, 'POST', `${bench.v3}/backups`, {
      body: { backup: { volume_id: volume.id, name: 'second', force: true, incremental: true } },
    })) as { backup: Shown };
    assert.deepEqual(Object.keys(backup), ['id', 'name', 'links']);
    const { member } = bench;
    assert.deepEqual(backup.links, [
      { rel: 'self', href: `http://vbs.example.net/v3/${member.projectId}/backups/${backup.id}` },
      { rel: 'bookmark', href: `http://vbs.example.net/${member.projectId}/backups/${backup.id}` },
    ]);
    const shown = await waitFor(`${bench.v3}/backups/${backup.id}`, 'backup', 'available');
    assert.equal(shown.is_incremental, true);
    const parent = (await bench.ask(200, 'GET', `${bench.v3}/backups/${first.id}`)).backup as Shown;
    assert.equal(parent.has_dependent_backups, true);
  });

  test('incremental: true without a base is refused on plain v3', async () => {
    const fresh = await createVolume();
    const body = { backup: { volume_id: fresh.id, incremental: true } };
    await bench.assertFault(400, 'badRequest', 'POST', `${bench.v3}/backups`, { body });
    const unknown = { body: { backup: { volume_id: newUuid(), incremental: true } } };
    await bench.assertFault(404, 'itemNotFound', 'POST', `${bench.v3}/backups`, unknown);
  });

  test('the key sets of the faces', async () => {
    const base = [
      'id',
      'status',
      'size',
      'object_count',
      'container',
      'availability_zone',
      'volume_id',
      'snapshot_id',
      'name',
      'description',
      'created_at',
      'updated_at',
      'data_timestamp',
      'fail_reason',
      'is_incremental',
      'has_dependent_backups',
    ];
    const keys = async (url: string, send: Send = {}) =>
      Object.keys((await bench.ask(200, 'GET', url, send)).backup as object).filter((key) => !base.includes(key));
    const path = `/backups/${first.id}`;
    const native = ['os-backup-project-attr:project_id', 'os-backup-project-attr:tenant_id'];
    assert.deepEqual(await keys(bench.v2 + path), ['os-bak-tenant-attr:tenant_id', 'service_metadata', 'links']);
    assert.deepEqual(await keys(bench.v3 + path), ['links']);
    assert.deepEqual(await keys(`${bench.v3}/native${path}`), [...native, 'links']);
    assert.deepEqual(await keys(bench.v3 + path, at('3.43')), ['metadata', 'links']);
    const asAdmin = at('3.71', { token: bench.admin.token });
    assert.deepEqual(await keys(bench.v3 + path, asAdmin), [native[0] ?? '', 'metadata', 'user_id', 'links']);
  });

  test('without project in the path from 3.67 on, links without it too', async () => {
    await bench.assertFault(404, 'itemNotFound', 'GET', `/v3/backups/${first.id}`);
    const { backup } = (await bench.ask(200, 'GET', `/v3/backups/${first.id}`, at('3.67'))) as { backup: Shown };
    const [self] = backup.links as { href: string }[];
    assert.equal(self?.href, `http://vbs.example.net/v3/backups/${first.id}`);
    await bench.ask(200, 'GET', `/v3/native/backups/${first.id}`, at('3.67'));
  });

  test('lists: summary and detail, pages with next links until an empty one, count from 3.45', async () => {
    for (const base of [bench.v2, bench.v3, `${bench.v3}/native`]) {
      const { backups } = (await bench.ask(200, 'GET', `${base}/backups`)) as { backups: Shown[] };
      assert.deepEqual(Object.keys(backups[0] ?? {}), ['id', 'name', 'links']);
      const detail = (await bench.ask(200, 'GET', `${base}/backups/detail`)) as { backups: Shown[] };
      assert.deepEqual(
        detail.backups.map(({ id }) => id),
        backups.map(({ id }) => id),
      );
      assert.equal(detail.backups[0]?.volume_id, volume.id);
    }
    const seen: string[] = [];
    let url: string | undefined = `${bench.v3}/backups?limit=1&with_count=true`;
    while (url !== undefined) {
      const page: List = await bench.ask(200, 'GET', url, at('3.45'));
      for (const { id } of page.backups as Shown[]) seen.push(id);
      assert.equal(page.count, 2);
      url = (page.backups_links as { href: string }[] | undefined)?.[0]?.href.replace('http://vbs.example.net', '');
    }
    assert.equal(seen.length, 2);
    assert.equal(seen.at(-1), first.id);
    assert.ok(!('count' in (await bench.ask(200, 'GET', `${bench.v3}/backups?with_count=true`, at('3.44')))));
  });

  test('filters and sorting', async () => {
    const names = async (query: string, send: Send = {}) =>
      ((await bench.ask(200, 'GET', `${bench.v3}/backups${query}`, send)).backups as Shown[]).map((b) => b.name);
    assert.deepEqual(await names('?name=second'), ['second']);
    assert.deepEqual(await names('?status=error'), []);
    assert.deepEqual(await names('?status=nonsense'), []);
    assert.deepEqual(await names(`?volume_id=${volume.id}&sort=created_at%3Aasc`), ['web root', 'second']);
    assert.deepEqual(await names('?name~=root', at('3.31')), ['web root']);
    assert.deepEqual(await names('?sort_key=name&sort_dir=desc', at('3.37')), ['web root', 'second']);
    assert.deepEqual(await names('?limit=0'), []);
    assert.deepEqual(await names('?offset=1'), ['web root']);
    assert.deepEqual(await names('?all_tenants=1'), ['second', 'web root']);
    const { token, projectId } = bench.stranger;
    const foreign = await bench.ask(200, 'GET', `/v3/${projectId}/backups?all_tenants=1`, { token });
    assert.deepEqual(foreign.backups, []);
    for (const query of ['limit=-1', 'limit=x', 'offset=x', 'sort=colour', 'sort=id&sort_key=id', 'sort=name']) {
      await bench.assertFault(400, 'badRequest', 'GET', `${bench.v3}/backups?${query}`);
    }
    await bench.assertFault(404, 'itemNotFound', 'GET', `${bench.v3}/backups?marker=${newUuid()}`);
    await bench.assertFault(404, 'itemNotFound', 'GET', `${bench.v3}/backups?marker=x`);
    await bench.assertFault(400, 'badRequest', 'GET', `${bench.v3}/backups?colour=red`, at('3.31'));
  });

  test('bad bodies', async () => {
    const url = `${bench.v3}/backups`;
    for (const text of ['', '{', '{}', '{"backup":null}']) {
      await bench.assertFault(400, 'badRequest', 'POST', url, { text });
    }
    const bad = [{}, { volume_id: 'x' }, { volume_id: volume.id, colour: 'red' }, { volume_id: volume.id, force: 'x' }];
    for (const backup of bad) await bench.assertFault(400, 'badRequest', 'POST', url, { body: { backup } });
    await bench.assertFault(404, 'itemNotFound', 'POST', url, { body: { backup: { volume_id: newUuid() } } });
    await bench.services.setVolume(volume.id as never, { status: 'in-use' });
    await bench.assertFault(400, 'badRequest', 'POST', url, { body: { backup: { volume_id: volume.id } } });
    await bench.services.setVolume(volume.id as never, { status: 'available' });
  });

  test('restoring to a volume and to a new one', async () => {
    const target = await createVolume({ name: 'target' });
    const url = `${bench.v3}/backups/${first.id}/restore`;
    const answer = await bench.ask(202, 'POST', url, { body: { restore: { volume_id: target.id } } });
    assert.deepEqual(answer, { restore: { backup_id: first.id, volume_id: target.id, volume_name: 'target' } });
    await waitFor(`${bench.v3}/backups/${first.id}`, 'backup', 'available');
    const { restore } = (await bench.ask(202, 'POST', url, { body: { restore: null } })) as {
      restore: { volume_id: string; volume_name: string };
    };
    assert.equal(restore.volume_name, `restore_backup_${first.id}`);
    await waitFor(`${bench.v3}/volumes/${restore.volume_id}`, 'volume', 'available');
    await waitFor(`${bench.v3}/backups/${first.id}`, 'backup', 'available');
    const unknown = { body: { restore: { volume_id: newUuid() } } };
    await bench.assertFault(404, 'itemNotFound', 'POST', url, unknown);
    await bench.assertFault(400, 'badRequest', 'POST', url, { body: { restore: { colour: 'red' } } });
  });

  test('names where ids stand are unknown, not malformed', async () => {
    for (const name of ['web%20root', 'a%2Fb', 'x', '%F0%9F%98%80', 'n'.repeat(255)]) {
      await bench.assertFault(404, 'itemNotFound', 'GET', `${bench.v3}/backups/${name}`);
      await bench.assertFault(404, 'itemNotFound', 'GET', `${bench.v3}/volumes/${name}`);
    }
  });

  test('an admin resets the status and deletes by force, on every path', async () => {
    const { token } = bench.admin;
    const { id } = await createBackup(volume.id);
    const show = async () => ((await bench.ask(200, 'GET', `${bench.v3}/backups/${id}`)).backup as Shown).status;
    const reset = (status: unknown) => ({ token, body: { 'os-reset_status': { status } } });
    for (const [base, status] of [
      [bench.v3, 'error'],
      [bench.v2, 'AVAILABLE'],
      [`${bench.v3}/native`, 'Error'],
    ]) {
      const answer = await bench.send('POST', `${base}/backups/${id}/action`, reset(status));
      assert.deepEqual([answer.statusCode, answer.body], [202, '']);
      assert.equal(await show(), status?.toLowerCase());
    }
    const url = `${bench.v3}/backups/${id}/action`;
    const { body } = reset('available');
    await bench.assertFault(403, 'forbidden', 'POST', url, { body });
    await bench.assertFault(403, 'forbidden', 'POST', url, { body: { 'os-force_delete': {} } });
    for (const status of ['restoring', '', null, ['error']]) {
      await bench.assertFault(400, 'badRequest', 'POST', url, reset(status));
    }
    for (const wrong of [{}, { 'os-launch': {} }, { 'os-reset_status': null }, { ...body, 'os-force_delete': {} }]) {
      await bench.assertFault(400, 'badRequest', 'POST', url, { token, body: wrong });
    }
    const unknown = `${bench.v3}/backups/${newUuid()}/action`;
    await bench.assertFault(404, 'itemNotFound', 'POST', unknown, reset('error'));
    await bench.ask(202, 'POST', url, { token, body: { 'os-force_delete': null } });
    await waitForGone(`${bench.v3}/backups/${id}`);
  });

  test('deleting answers 202 without body, then the backup is gone', async () => {
    const url = `${bench.v2}/backups/${first.id}`;
    const answer = await bench.send('DELETE', url);
    assert.deepEqual([answer.statusCode, answer.body, answer.headers['content-type']], [202, '', undefined]);
    await waitForGone(url);
    await bench.assertFault(404, 'itemNotFound', 'DELETE', url);
  });
});

describe('volumes', () => {
  test('create, show, list, update, metadata, extend, delete', async () => {
    const { id } = await createVolume({ name: 'db', description: 'd', metadata: { tier: 'gold' } });
    const url = `${bench.v3}/volumes/${id}`;
    const { volume } = (await bench.ask(200, 'GET', url)) as { volume: Shown };
    assert.deepEqual([volume.status, volume.size, volume.bootable], ['available', 1, 'false']);
    assert.equal(volume['os-vol-tenant-attr:tenant_id'], bench.member.projectId);
    const named = (await bench.ask(200, 'GET', `${bench.v3}/volumes?name=db`)) as { volumes: Shown[] };
    assert.deepEqual(
      named.volumes.map((item) => Object.keys(item)),
      [['id', 'name', 'links']],
    );
    const query = `metadata=${encodeURIComponent("{'tier': 'gold'}")}`;
    const detail = (await bench.ask(200, 'GET', `${bench.v2}/volumes/detail?${query}`)) as { volumes: Shown[] };
    assert.deepEqual(
      detail.volumes.map((item) => item.id),
      [id],
    );
    const renamed = await bench.ask(200, 'PUT', url, { body: { volume: { display_name: 'db2' } } });
    assert.equal((renamed.volume as Shown).name, 'db2');
    const merged = await bench.ask(200, 'POST', `${url}/metadata`, { body: { metadata: { a: 'b' } } });
    assert.deepEqual(merged, { metadata: { tier: 'gold', a: 'b' } });
    assert.deepEqual(await bench.ask(200, 'GET', `${url}/metadata/a`), { meta: { a: 'b' } });
    assert.deepEqual(await bench.ask(200, 'PUT', `${url}/metadata/a`, { body: { meta: { a: 'c' } } }), {
      meta: { a: 'c' },
    });
    await bench.ask(200, 'DELETE', `${url}/metadata/a`);
    await bench.assertFault(404, 'itemNotFound', 'DELETE', `${url}/metadata/a`);
    await bench.ask(200, 'PUT', `${url}/metadata`, { body: { metadata: { only: 'one' } } });
    assert.deepEqual(await bench.ask(200, 'GET', `${url}/metadata`), { metadata: { only: 'one' } });
    await bench.ask(202, 'POST', `${url}/action`, { body: { 'os-extend': { new_size: '2' } } });
    assert.equal(((await bench.ask(200, 'GET', url)).volume as Shown).size, 2);
    await bench.assertFault(400, 'badRequest', 'POST', `${url}/action`, { body: { 'os-extend': { new_size: 1 } } });
    await bench.assertFault(400, 'badRequest', 'POST', `${url}/action`, { body: { 'os-launch': null } });
    const { token } = bench.admin;
    await bench.ask(202, 'POST', `${url}/action`, { token, body: { 'os-reset_status': { status: 'error' } } });
    assert.equal(((await bench.ask(200, 'GET', url)).volume as Shown).status, 'error');
    const reset = { body: { 'os-reset_status': { status: 'available' } } };
    await bench.assertFault(403, 'forbidden', 'POST', `${url}/action`, reset);
    await bench.ask(202, 'POST', `${url}/action`, { token, ...reset });
    const unknown = `${bench.v3}/volumes/${newUuid()}/action`;
    await bench.assertFault(404, 'itemNotFound', 'POST', unknown, { body: { 'os-extend': {} } });
    await bench.ask(202, 'DELETE', `${url}?cascade=True`);
    await waitForGone(url);
  });

  test('bad bodies and sources', async () => {
    const url = `${bench.v3}/volumes`;
    for (const size of [0, -1, '', '#$%', null, 99_999_999]) {
      await bench.assertFault(400, 'badRequest', 'POST', url, { body: { volume: { size } } });
    }
    const body = (volume: Record<string, unknown>) => ({ body: { volume: { size: 1, ...volume } } });
    await bench.assertFault(404, 'itemNotFound', 'POST', url, body({ volume_type: 'fast' }));
    await bench.assertFault(400, 'badRequest', 'POST', url, body({ availability_zone: 'az-9' }));
    await bench.assertFault(404, 'itemNotFound', 'POST', url, body({ snapshot_id: newUuid() }));
    await bench.assertFault(404, 'itemNotFound', 'POST', url, at('3.47', body({ backup_id: newUuid() })));
  });

  test('adopting by reference within the roots, letting go without touching the disk', async () => {
    const { token } = bench.admin;
    const { services } = (await bench.ask(200, 'GET', `${bench.v3}/os-services?binary=cinder-volume`, { token })) as {
      services: { host: string }[];
    };
    const host = services[0]?.host ?? '';
    const path = await bench.services.makeDisk('adopted.raw', 5 * MIB + 512);
    const adopt = (volume: Record<string, unknown>) => ({
      token,
      body: { volume: { host, ref: { 'source-name': path }, name: basename(path), ...volume } },
    });
    const url = `${bench.v3}/os-volume-manage`;
    const { volume } = (await bench.ask(202, 'POST', url, adopt({ bootable: true }))) as { volume: Shown };
    assert.deepEqual([volume.size, volume.bootable, volume.status], [1, 'true', 'available']);
    await bench.assertFault(400, 'badRequest', 'POST', url, adopt({}));
    await bench.assertFault(400, 'badRequest', 'POST', url, adopt({ host: 'elsewhere@file#file' }));
    for (const reference of ['/etc/passwd', 'adopted.raw', `${path}/../../../etc/passwd`, `${path}.missing`]) {
      const send = adopt({ ref: { 'source-name': reference } });
      await bench.assertFault(400, 'badRequest', 'POST', url, send);
    }
    const shown = `${bench.v3}/volumes/${volume.id}`;
    await bench.assertFault(403, 'forbidden', 'POST', `${shown}/action`, { body: { 'os-unmanage': null } });
    await bench.ask(202, 'POST', `${shown}/action`, { token, body: { 'os-unmanage': null } });
    await waitForGone(shown);
    await bench.ask(202, 'POST', url, adopt({}));
  });

  test('foreign volumes are unknown', async () => {
    const { id } = await createVolume();
    const { token, projectId } = bench.stranger;
    const base = `/v3/${projectId}/volumes/${id}`;
    await bench.assertFault(404, 'itemNotFound', 'GET', base, { token });
    await bench.assertFault(404, 'itemNotFound', 'DELETE', base, { token });
    await bench.assertFault(404, 'itemNotFound', 'PUT', base, { token, body: { volume: { name: 'mine' } } });
    const extend = { token, body: { 'os-extend': { new_size: 5 } } };
    await bench.assertFault(404, 'itemNotFound', 'POST', `${base}/action`, extend);
    const backup = { token, body: { backup: { volume_id: id } } };
    await bench.assertFault(404, 'itemNotFound', 'POST', `/v3/${projectId}/backups`, backup);
  });
});

test('services, zones and types', async () => {
  const { token } = bench.admin;
  const { services } = (await bench.ask(200, 'GET', `${bench.v2}/os-services`, { token })) as { services: Shown[] };
  assert.deepEqual(services.map((service) => service.binary).sort(), [
    'cinder-backup',
    'cinder-scheduler',
    'cinder-volume',
  ]);
  assert.deepEqual(Object.keys(services[0] ?? {}), [
    'binary',
    'host',
    'zone',
    'status',
    'state',
    'updated_at',
    'disabled_reason',
  ]);
  assert.deepEqual(await bench.ask(200, 'GET', `${bench.v3}/os-availability-zone`), {
    availabilityZoneInfo: [{ zoneName: 'az-1', zoneState: { available: true } }],
  });
  const { volume_types } = (await bench.ask(200, 'GET', `${bench.v3}/types?is_public=None`)) as {
    volume_types: Shown[];
  };
  const type = volume_types[0];
  assert.equal(type?.name, '__DEFAULT__');
  for (const name of ['default', '__DEFAULT__', type?.id]) {
    assert.deepEqual(await bench.ask(200, 'GET', `${bench.v3}/types/${name}`), { volume_type: type });
  }
  await bench.assertFault(404, 'itemNotFound', 'GET', `${bench.v3}/types/fast`);
});
