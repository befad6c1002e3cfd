// The native snapshot API over real services (contract 3.26), and volumes from snapshots and volumes (3.25).
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newUuid, type SnapshotId, type VolumeId } from '../../src/core/ids.ts';
import { ApiBench, type Send } from '../support/api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await ApiBench.start();
  await bench.services.runner.start();
});
after(() => bench[Symbol.asyncDispose]());

type Shown = Record<string, unknown> & { id: string; status: string };

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

async function takeSnapshot(volumeId: string, snapshot: Record<string, unknown> = {}): Promise<Shown> {
  const send = { body: { snapshot: { volume_id: volumeId, ...snapshot } } };
  const { id } = (await bench.ask(202, 'POST', `${bench.v3}/snapshots`, send)).snapshot as Shown;
  return await waitFor(`${bench.v3}/snapshots/${id}`, 'snapshot', 'available');
}

const BASE_KEYS = ['id', 'name', 'description', 'volume_id', 'status', 'size', 'metadata', 'created_at', 'updated_at'];
const EXTENDED_KEYS = ['os-extended-snapshot-attributes:progress', 'os-extended-snapshot-attributes:project_id'];

describe('creating', () => {
  test('answers the plain keys at once, and the snapshot becomes available', async () => {
    const volume = await createVolume({ name: 'web' });
    const snapshot = { volume_id: volume.id, name: 'pre-change', description: ' why ', metadata: { a: 'b' } };
    const made = (await bench.ask(202, 'POST', `${bench.v3}/snapshots`, { body: { snapshot } })).snapshot as Shown;
    assert.deepEqual(Object.keys(made), BASE_KEYS);
    assert.deepEqual([made.status, made.size, made.description, made.updated_at], ['creating', 1, 'why', null]);
    assert.deepEqual(made.metadata, { a: 'b' });
    assert.match(String(made.created_at), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/);
    const shown = await waitFor(`${bench.v3}/snapshots/${made.id}`, 'snapshot', 'available');
    assert.deepEqual(Object.keys(shown), [...BASE_KEYS, ...EXTENDED_KEYS]);
    assert.equal(shown['os-extended-snapshot-attributes:progress'], '100%');
    assert.equal(shown['os-extended-snapshot-attributes:project_id'], bench.member.projectId);
  });

  test('refuses bodies that are not as documented', async () => {
    const { id: volume_id } = await createVolume();
    const refuse = (snapshot: unknown, send: Send = {}) =>
      bench.assertFault(400, 'badRequest', 'POST', `${bench.v3}/snapshots`, { ...send, body: { snapshot } });
    await refuse({});
    await refuse({ volume_id: 'x' });
    await refuse({ volume_id, surprise: 1 });
    await refuse({ volume_id, name: 7 });
    await refuse({ volume_id, name: 'n'.repeat(256) });
    await refuse({ volume_id, force: 'perhaps' });
    await refuse({ volume_id, metadata: { a: 1 } });
    await refuse({ volume_id, force: false }, at('3.66'));
    for (const unknown of [newUuid(), null]) {
      const body = { snapshot: { volume_id: unknown } };
      await bench.assertFault(404, 'itemNotFound', 'POST', `${bench.v3}/snapshots`, { body });
    }
  });

  test('an attached volume needs force below 3.66', async () => {
    const { id: volume_id } = await createVolume();
    const attached = { status: 'in-use' } as const;
    await bench.services.setVolume(volume_id as VolumeId, attached);
    const refuse = (send: Send) => bench.assertFault(400, 'badRequest', 'POST', `${bench.v3}/snapshots`, send);
    const body = { snapshot: { volume_id } };
    await refuse({ body });
    await refuse(at('3.65', { body }));
    await refuse({ body: { snapshot: { volume_id, force: 'False' } } });
    await takeSnapshot(volume_id, { force: true });
    await takeSnapshot(volume_id, { force: 'yes' });
    const forced = { body: { snapshot: { volume_id, force: true } } };
    await bench.ask(202, 'POST', `${bench.v3}/snapshots`, at('3.66', forced));
    // Without force it takes a file system that can freeze the disk.
    const { statusCode, body: bodyText } = await bench.send('POST', `${bench.v3}/snapshots`, at('3.66', { body }));
    assert.ok(statusCode === 202 || statusCode === 400, bodyText);
  });
});

describe('reading', () => {
  test('keys by microversion', async () => {
    const { id } = await takeSnapshot((await createVolume()).id);
    const keys = async (version: string) => {
      const { snapshot } = await bench.ask(200, 'GET', `${bench.v3}/snapshots/${id}`, at(version));
      return Object.keys(snapshot as object).filter((key) => ![...BASE_KEYS, ...EXTENDED_KEYS].includes(key));
    };
    assert.deepEqual(await keys('3.13'), []);
    assert.deepEqual(await keys('3.14'), ['group_snapshot_id']);
    assert.deepEqual(await keys('3.41'), ['group_snapshot_id', 'user_id']);
    assert.deepEqual(await keys('3.65'), ['group_snapshot_id', 'user_id', 'consumes_quota']);
    const { snapshot } = await bench.ask(200, 'GET', `${bench.v2}/snapshots/${id}`);
    assert.deepEqual(Object.keys(snapshot as object), [...BASE_KEYS, ...EXTENDED_KEYS]);
  });

  test('lists filter, sort, page and count', async () => {
    const volume = await createVolume();
    const made: Shown[] = [];
    for (const name of ['b', 'a', 'c']) made.push(await takeSnapshot(volume.id, { name, metadata: { tier: name } }));
    const list = async (query: string, send: Send = {}) => {
      const url = `${bench.v3}/snapshots?volume_id=${volume.id}&${query}`;
      const { snapshots } = (await bench.ask(200, 'GET', url, send)) as { snapshots: Shown[] };
      return snapshots.map(({ name }) => name).join('');
    };
    assert.equal(await list(''), 'cab');
    assert.equal(await list('sort=display_name:asc'), 'abc');
    assert.equal(await list('sort_key=name&sort_dir=desc', at('3.30')), 'cba');
    assert.equal(await list('name=a'), 'a');
    assert.equal(await list('status=available&metadata=%7B%27tier%27%3A%20%27c%27%7D'), 'c');
    assert.equal(await list('availability_zone=az-2'), '');
    assert.equal(await list('status=deleting'), '');
    assert.equal(await list(`marker=${made[2]?.id}&limit=1`), 'a');
    assert.equal(await list('name~=b', at('3.31')), 'b');
    assert.equal(await list('consumes_quota=false', at('3.65')), '');
    const page = `${bench.v3}/snapshots/detail?volume_id=${volume.id}&limit=2&with_count=true`;
    const first = await bench.ask(200, 'GET', page, at('3.45'));
    assert.equal(first.count, 3);
    const [link] = first.snapshots_links as { rel: string; href: string }[];
    assert.equal(link?.rel, 'next');
    const { pathname, search } = new URL(link?.href ?? '');
    const second = (await bench.ask(200, 'GET', pathname + search, at('3.45'))) as { snapshots: Shown[] };
    assert.deepEqual(second.snapshots.map(({ name }) => name).join(''), 'b');
    const plain = (await bench.ask(200, 'GET', `${bench.v3}/snapshots?limit=1`)) as { snapshots: Shown[] };
    assert.deepEqual(Object.keys(plain.snapshots[0] ?? {}), BASE_KEYS);
    const detailed = (await bench.ask(200, 'GET', `${bench.v3}/snapshots/detail?limit=1`)) as { snapshots: Shown[] };
    assert.deepEqual(Object.keys(detailed.snapshots[0] ?? {}), [...BASE_KEYS, ...EXTENDED_KEYS]);
  });

  test('lists refuse unknown keys to sort by, unknown markers, and from 3.31 unknown filters', async () => {
    const refuse = (query: string, send?: Send) =>
      bench.assertFault(400, 'badRequest', 'GET', `${bench.v3}/snapshots?${query}`, send);
    await refuse('sort_key=some_field_that_does_not_exist');
    await refuse('sort=name:asc', at('3.29'));
    await refuse('limit=-1');
    await refuse('colour=red', at('3.31'));
    await bench.ask(200, 'GET', `${bench.v3}/snapshots?colour=red`);
    await bench.assertFault(404, 'itemNotFound', 'GET', `${bench.v3}/snapshots?marker=${newUuid()}`);
  });

  test('what is no id, unknown or foreign answers 404', async () => {
    const { id } = await takeSnapshot((await createVolume()).id);
    for (const text of ['x', '!@%23', newUuid()]) {
      await bench.assertFault(404, 'itemNotFound', 'GET', `${bench.v3}/snapshots/${text}`);
    }
    const { token, projectId } = bench.stranger;
    for (const method of ['GET', 'DELETE']) {
      await bench.assertFault(404, 'itemNotFound', method, `/v3/${projectId}/snapshots/${id}`, { token });
    }
    const body = { volume: { size: 1, snapshot_id: id } };
    await bench.assertFault(404, 'itemNotFound', 'POST', `/v3/${projectId}/volumes`, { token, body });
  });
});

describe('changing', () => {
  test('name and description, with at least one of them', async () => {
    const { id } = await takeSnapshot((await createVolume()).id);
    const url = `${bench.v3}/snapshots/${id}`;
    const body = { snapshot: { name: 'new', description: 'text' } };
    const { snapshot } = (await bench.ask(200, 'PUT', url, { body })) as { snapshot: Shown };
    assert.deepEqual(Object.keys(snapshot), BASE_KEYS);
    assert.deepEqual([snapshot.name, snapshot.description], ['new', 'text']);
    await bench.assertFault(400, 'badRequest', 'PUT', url, { body: { snapshot: {} } });
    await bench.assertFault(400, 'badRequest', 'PUT', url, { body: { snapshot: { status: 'error' } } });
  });

  test('metadata as a whole and by key', async () => {
    const { id } = await takeSnapshot((await createVolume()).id, { metadata: { a: '1' } });
    const url = `${bench.v3}/snapshots/${id}/metadata`;
    assert.deepEqual(await bench.ask(200, 'GET', url), { metadata: { a: '1' } });
    const merged = await bench.ask(200, 'POST', url, { body: { metadata: { b: '2' } } });
    assert.deepEqual(merged, { metadata: { a: '1', b: '2' } });
    const replaced = await bench.ask(200, 'PUT', url, { body: { metadata: { c: '3' } } });
    assert.deepEqual(replaced, { metadata: { c: '3' } });
    const set = await bench.ask(200, 'PUT', `${url}/d`, { body: { meta: { d: '4' } } });
    assert.deepEqual(set, { meta: { d: '4' } });
    assert.deepEqual(await bench.ask(200, 'GET', `${url}/c`), { meta: { c: '3' } });
    await bench.ask(200, 'DELETE', `${url}/c`);
    await bench.assertFault(404, 'itemNotFound', 'GET', `${url}/c`);
    await bench.assertFault(404, 'itemNotFound', 'DELETE', `${url}/c`);
    await bench.assertFault(400, 'badRequest', 'PUT', `${url}/d`, { body: { meta: { e: '4' } } });
    assert.deepEqual(await bench.ask(200, 'GET', url), { metadata: { d: '4' } });
  });

  test('the status: reported by members, reset by admins', async () => {
    const { id } = await takeSnapshot((await createVolume()).id);
    const url = `${bench.v3}/snapshots/${id}/action`;
    const { token } = bench.admin;
    const act = (body: unknown) => bench.ask(202, 'POST', url, { token, body });
    const refuse = (body: unknown) => bench.assertFault(400, 'badRequest', 'POST', url, { token, body });
    await bench.assertFault(403, 'forbidden', 'POST', url, { body: { 'os-reset_status': { status: 'error' } } });
    await refuse({ 'os-reset_status': { status: 'perfect' } });
    await refuse({ 'os-update_snapshot_status': { status: 'error', progress: '80%' } });
    await refuse({ 'os-dance': null });
    await act({ 'os-reset_status': { status: 'creating' } });
    await refuse({ 'os-update_snapshot_status': { status: 'error', progress: '180%' } });
    await bench.assertFault(403, 'forbidden', 'POST', url, { body: { 'os-force_delete': null } });
    await bench.ask(202, 'POST', url, { body: { 'os-update_snapshot_status': { status: 'error', progress: '80%' } } });
    const { snapshot } = (await bench.ask(200, 'GET', `${bench.v3}/snapshots/${id}`)) as { snapshot: Shown };
    assert.deepEqual([snapshot.status, snapshot['os-extended-snapshot-attributes:progress']], ['error', '80%']);
    await act({ 'os-reset_status': { status: 'deleting' } });
    await bench.assertFault(400, 'badRequest', 'DELETE', `${bench.v3}/snapshots/${id}`);
    await act({ 'os-force_delete': null });
    await waitForGone(`${bench.v3}/snapshots/${id}`);
  });
});

describe('deleting', () => {
  test('a snapshot that is available, not one that is being read', async () => {
    const { id } = await takeSnapshot((await createVolume()).id);
    const url = `${bench.v3}/snapshots/${id}`;
    await bench.services.catalog.snapshots.update(id as SnapshotId, { status: 'backing-up' });
    await bench.assertFault(400, 'badRequest', 'DELETE', url);
    await bench.services.catalog.snapshots.update(id as SnapshotId, { status: 'available' });
    await bench.ask(202, 'DELETE', url);
    await waitForGone(url);
  });

  test('a volume with snapshots only with cascade', async () => {
    const volume = await createVolume();
    const snapshot = await takeSnapshot(volume.id);
    const url = `${bench.v3}/volumes/${volume.id}`;
    await bench.assertFault(400, 'badRequest', 'DELETE', url);
    await bench.ask(202, 'DELETE', `${url}?cascade=True`);
    await waitForGone(url);
    await bench.assertFault(404, 'itemNotFound', 'GET', `${bench.v3}/snapshots/${snapshot.id}`);
  });
});

describe('volumes from sources', () => {
  test('from a snapshot: as large as it without a size, never smaller', async () => {
    const volume = await createVolume({ size: 2 });
    const { id: snapshot_id } = await takeSnapshot(volume.id);
    const small = { body: { volume: { size: 1, snapshot_id } } };
    await bench.assertFault(400, 'badRequest', 'POST', `${bench.v3}/volumes`, small);
    const made = await createVolume({ size: null, snapshot_id, source_volid: null });
    assert.deepEqual([made.status, made.size, made.snapshot_id, made.source_volid], ['creating', 2, snapshot_id, null]);
    const shown = await waitFor(`${bench.v3}/volumes/${made.id}`, 'volume', 'available');
    assert.equal(shown.snapshot_id, snapshot_id);
    const larger = await createVolume({ size: 3, snapshot_id });
    assert.equal((await waitFor(`${bench.v3}/volumes/${larger.id}`, 'volume', 'available')).size, 3);
  });

  test('from a volume, with its boot flag', async () => {
    const volume = await createVolume();
    await bench.services.catalog.volumes.update(volume.id as VolumeId, { isBootable: true });
    const made = await createVolume({ source_volid: volume.id });
    const shown = await waitFor(`${bench.v3}/volumes/${made.id}`, 'volume', 'available');
    assert.deepEqual([shown.source_volid, shown.snapshot_id, shown.bootable], [volume.id, null, 'true']);
  });

  test('at most one source, and only known ones', async () => {
    const volume = await createVolume();
    const { id: snapshot_id } = await takeSnapshot(volume.id);
    const two = { body: { volume: { size: 1, snapshot_id, source_volid: volume.id } } };
    await bench.assertFault(400, 'badRequest', 'POST', `${bench.v3}/volumes`, two);
    for (const key of ['snapshot_id', 'source_volid']) {
      const unknown = { body: { volume: { size: 1, [key]: newUuid() } } };
      await bench.assertFault(404, 'itemNotFound', 'POST', `${bench.v3}/volumes`, unknown);
      const broken = { body: { volume: { size: 1, [key]: 'x' } } };
      await bench.assertFault(400, 'badRequest', 'POST', `${bench.v3}/volumes`, broken);
    }
  });
});

describe('putting a volume back', () => {
  test('to its newest snapshot, from 3.40 on', async () => {
    const volume = await createVolume();
    const older = await takeSnapshot(volume.id);
    bench.services.clock.advance(1);
    const newest = await takeSnapshot(volume.id);
    const url = `${bench.v3}/volumes/${volume.id}/action`;
    const revert = (snapshot_id: string, version: string) => at(version, { body: { revert: { snapshot_id } } });
    await bench.assertFault(400, 'badRequest', 'POST', url, revert(newest.id, '3.39'));
    await bench.assertFault(400, 'badRequest', 'POST', url, revert(older.id, '3.40'));
    await bench.assertFault(404, 'itemNotFound', 'POST', url, revert(newUuid(), '3.40'));
    await bench.assertFault(400, 'badRequest', 'POST', url, revert('x', '3.40'));
    await bench.ask(202, 'POST', url, revert(newest.id, '3.40'));
    await waitFor(`${bench.v3}/volumes/${volume.id}`, 'volume', 'available');
    await waitFor(`${bench.v3}/snapshots/${newest.id}`, 'snapshot', 'available');
  });
});
