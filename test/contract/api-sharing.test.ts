// /os-vendor-backup-sharing over the real engine: shapes key by key, every violation, what a receiver may do and what
// it may not (contract 3.18, 3.19, 3.22, 5.10), and what real clients insist on.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { MIB } from '../../src/core/bytes.ts';
import { type BackupId, newHexId, newUuid, type ProjectId, type VolumeId } from '../../src/core/ids.ts';
import type { Backup } from '../../src/core/model.ts';
import { ApiBench, type Send } from '../support/api-bench.ts';

let bench: ApiBench;
let backup: Backup;
let bytes: Buffer;
before(async () => {
  bench = await ApiBench.start();
  await bench.services.runner.start();
  ({ backup, bytes } = await makeBackup('db_nightly-01'));
});
after(() => bench[Symbol.asyncDispose]());

type Json = Record<string, unknown>;
type SharingJson = Json & { id: string; to_project_id: string; backup: Json };

const DISK_SIZE_BYTES = 4 * MIB + 512;
const NATIVE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/;
const SHARING_KEYS = ['backup_id', 'created_at', 'from_project_id', 'id', 'to_project_id', 'updated_at'];
const BACKUP_KEYS = [
  'availability_zone',
  'container',
  'created_at',
  'data_timestamp',
  'description',
  'fail_reason',
  'has_dependent_backups',
  'id',
  'is_incremental',
  'name',
  'object_count',
  'service_metadata',
  'size',
  'snapshot_id',
  'status',
  'updated_at',
  'volume_id',
];
let diskCount = 0;

/** A backup of `lab`, made through the VBS API of a small disk with data on it. */
async function makeBackup(name: string): Promise<{ backup: Backup; bytes: Buffer }> {
  const { services, admin, member, v3, v2 } = bench;
  diskCount += 1;
  const path = await services.makeDisk(`disk-${diskCount}.raw`, DISK_SIZE_BYTES);
  const body = { volume: { host: services.volumes.hostName, ref: { 'source-name': path }, name: 'disk' } };
  const { volume } = await bench.ask(202, 'POST', `${v3}/os-volume-manage`, { token: admin.token, body });
  const { id } = volume as { id: VolumeId };
  const disk = await services.catalog.volumes.get(member.projectId, id);
  assert.ok(disk !== undefined);
  await services.writeDisk(disk, [{ offsetBytes: MIB + 7, bytes: randomBytes(MIB) }]);
  const create = { body: { backup: { volume_id: id, name, description: 'before upgrade' } } };
  const { job_id } = await bench.ask(200, 'POST', `${v2}/cloudbackups`, create);
  const job = await bench.waitForJob(String(job_id));
  assert.equal(job.status, 'SUCCESS', JSON.stringify(job));
  const backupId = (job.entities as { backup_id: BackupId }).backup_id;
  const row = await services.catalog.backups.get(member.projectId, backupId);
  assert.ok(row !== undefined);
  return { backup: row, bytes: await services.readDisk(disk) };
}

function base(projectId: ProjectId = bench.member.projectId): string {
  return `/v2/${projectId}/os-vendor-backup-sharing`;
}

function asStranger(send: Send = {}): Send {
  return { token: bench.stranger.token, ...send };
}

async function share(backupId: string, ...projectIds: readonly string[]): Promise<SharingJson[]> {
  const body = { shared: { backup_id: backupId, to_project_ids: projectIds } };
  return (await bench.ask(200, 'POST', base(), { body })).shared as SharingJson[];
}

async function list(query: string, send: Send = {}, projectId = bench.member.projectId): Promise<SharingJson[]> {
  return (await bench.ask(200, 'GET', `${base(projectId)}/detail${query}`, send)).shared as SharingJson[];
}

async function cancelAll(backupId: string): Promise<void> {
  await bench.ask(200, 'DELETE', `${base()}/${backupId}?is_backup_id=true`);
}

/** A native fault with its VBS code; nothing has changed. */
async function assertCode(status: number, code: string | undefined, method: string, url: string, send: Send) {
  await bench.assertFault(status, status === 404 ? 'itemNotFound' : 'badRequest', method, url, send);
  const fault = (await bench.ask(status, method, url, send)).badRequest as { error_code?: string } | undefined;
  assert.equal(fault?.error_code, code);
}

describe('sharing', () => {
  after(() => cancelAll(backup.backupId));

  test('answers a list with one entry a target, as documented; a second time the same entries', async () => {
    const { projectId: own } = bench.member;
    const dashed = 'A1b2c3d4-e5f6-4788-99aa-bbccddeeff00';
    const shared = await share(backup.backupId, bench.stranger.projectId, dashed);
    assert.deepEqual(
      shared.map((entry) => [entry.backup_id, entry.from_project_id, entry.to_project_id]),
      [
        [backup.backupId, own, bench.stranger.projectId],
        [backup.backupId, own, 'a1b2c3d4e5f6478899aabbccddeeff00'],
      ],
    );
    for (const entry of shared) {
      assert.deepEqual(Object.keys(entry).sort(), [...SHARING_KEYS, 'deleted', 'deleted_at'].sort());
      assert.deepEqual([entry.updated_at, entry.deleted, entry.deleted_at], [null, null, null]);
      assert.match(String(entry.created_at), NATIVE_TIME);
    }
    const again = await share(backup.backupId, newHexId<ProjectId>(), bench.stranger.projectId);
    assert.equal(again[1]?.id, shared[0]?.id);
    assert.equal((await list('')).length, 3);
  });

  test('is visible at once, on both sides, with the whole backup in it', async () => {
    const own = await list(`?to_project_id=${bench.stranger.projectId}`);
    const received = await list('?share_to_me=true&limit=1', asStranger(), bench.stranger.projectId);
    assert.deepEqual(received, own);
    const [sharing] = received;
    assert.ok(sharing !== undefined);
    assert.deepEqual(Object.keys(sharing).sort(), [...SHARING_KEYS, 'backup'].sort());
    assert.deepEqual(Object.keys(sharing.backup).sort(), BACKUP_KEYS);
    assert.deepEqual(sharing.backup.description, '{"DESC":"before upgrade","INC":1}');
    assert.deepEqual([sharing.backup.status, sharing.backup.size, sharing.backup.container], ['available', 1, null]);
    assert.equal(typeof sharing.backup.object_count, 'number');
    assert.equal(sharing.backup.is_incremental, false);
    assert.equal((JSON.parse(String(sharing.backup.service_metadata)) as { Type: number }).Type, 0);
    for (const key of ['created_at', 'updated_at', 'data_timestamp']) {
      assert.match(String(sharing.backup[key]), NATIVE_TIME);
    }
    const { shared } = await bench.ask(200, 'GET', `${base()}/${sharing.id.toUpperCase()}`);
    assert.deepEqual(shared, sharing);
    const url = `${base(bench.stranger.projectId)}/${sharing.id}`;
    assert.deepEqual((await bench.ask(200, 'GET', url, asStranger())).shared, sharing);
  });

  test('refuses bad requests in the order of the fields, before it looks anything up', async () => {
    const url = base();
    for (const text of ['', '{', '[]', '{}', '{"shared":null}', '{"shared":[]}']) {
      await assertCode(400, undefined, 'POST', url, { text });
    }
    await assertCode(400, undefined, 'POST', url, { text: '{}', headers: { 'content-type': 'text/plain' } });
    const ask = (shared: unknown): Send => ({ body: { shared } });
    const target = newHexId<ProjectId>();
    for (const backup_id of [undefined, null, '']) {
      await assertCode(400, 'VolumeBackup.0203', 'POST', url, ask({ backup_id, to_project_ids: [] }));
    }
    for (const backup_id of ['backup', 7, { toString: null }]) {
      await assertCode(400, 'VolumeBackup.0204', 'POST', url, ask({ backup_id, to_project_ids: [] }));
    }
    const badTargets = [undefined, null, 'x', [], ['x'], [target, null], [target, target.toUpperCase()]];
    for (const to_project_ids of [...badTargets, [bench.member.projectId]]) {
      await assertCode(400, undefined, 'POST', url, ask({ backup_id: newUuid(), to_project_ids }));
    }
    await assertCode(404, undefined, 'POST', url, ask({ backup_id: newUuid(), to_project_ids: [target] }));
    const { catalog } = bench.services;
    await catalog.backups.update(backup.backupId, { status: 'restoring' });
    const unfit = ask({ backup_id: backup.backupId, to_project_ids: [target] });
    await assertCode(400, 'VolumeBackup.0089', 'POST', url, unfit);
    await catalog.backups.update(backup.backupId, { status: 'available' });
  });

  test('unknown keys are ignored', async () => {
    const shared = { backup_id: backup.backupId, to_project_ids: [bench.stranger.projectId], note: 1 };
    await bench.ask(200, 'POST', base(), { body: { shared, more: true } });
  });

  test('answers as its family does: native faults, Keystone 401, request ids; no DELETE without an id', async () => {
    const missing = await bench.send('GET', `${base()}/detail`, { token: null });
    assert.equal(missing.statusCode, 401);
    assert.deepEqual(Object.keys(missing.json<{ error: Json }>().error).sort(), ['code', 'message', 'title']);
    const other = `${base(newHexId<ProjectId>())}/detail`;
    await bench.assertFault(400, 'badRequest', 'GET', other);
    const { token } = bench.reader;
    await bench.ask(200, 'GET', `${base()}/detail`, { token });
    await bench.ask(200, 'GET', `${base()}/count`, { token });
    const body = { shared: { backup_id: backup.backupId, to_project_ids: [newHexId<ProjectId>()] } };
    await bench.assertFault(403, 'forbidden', 'POST', base(), { token, body });
    await bench.assertFault(403, 'forbidden', 'DELETE', `${base()}/${newUuid()}`, { token });
    await bench.assertFault(405, 'badMethod', 'DELETE', base());
    await bench.assertFault(405, 'badMethod', 'DELETE', `${base()}/detail`);
    const { headers } = await bench.send('GET', `${base()}/count`);
    assert.match(String(headers['x-request-id']), /^req-[0-9a-f-]{36}$/);
    assert.equal(headers['x-request-id'], headers['x-openstack-request-id']);
    assert.equal(headers['openstack-api-version'], undefined);
  });
});

describe('lists of sharings', () => {
  let second: Backup;
  const targets = [newHexId<ProjectId>(), newHexId<ProjectId>()];
  before(async () => {
    ({ backup: second } = await makeBackup('web_root'));
    await share(backup.backupId, ...targets, bench.stranger.projectId);
    await share(second.backupId, bench.stranger.projectId);
  });
  after(async () => {
    await cancelAll(backup.backupId);
    await cancelAll(second.backupId);
  });

  test('are empty with 200 when there is nothing', async () => {
    assert.deepEqual(await bench.ask(200, 'GET', `${base()}/detail?share_to_me=true`), { shared: [] });
    assert.deepEqual(await bench.ask(200, 'GET', `${base()}/count?share_to_me=true`), { count: 0 });
    assert.deepEqual(await list('', asStranger(), bench.stranger.projectId), []);
  });

  test('filter by each documented key, alike in detail and count; empty values ask for nothing', async () => {
    const { projectId: own } = bench.member;
    const cases: [string, number][] = [
      ['', 4],
      ['?share_to_me=false', 4],
      [`?backup_id=${backup.backupId}`, 3],
      [`?backup_id=${backup.backupId.toUpperCase()}&to_project_id=${targets[0]}`, 1],
      [`?to_project_id=${bench.stranger.projectId}`, 2],
      [`?from_project_id=${own}`, 4],
      [`?from_project_id=${bench.stranger.projectId}`, 0],
      ['?to_project_id=no-project', 0],
      [`?volume_id=${second.volumeId}`, 1],
      ['?name=nightly', 3],
      ['?name=web_', 1],
      ['?name=web%25', 0],
      ['?status=available', 4],
      ['?status=error', 0],
      ['?availability_zone=az-1', 4],
      ['?avalilability_zone=az-1', 4],
      ['?avalilability_zone=az-2', 0],
      ['?share_to_me=&name=&status=&volume_id=&backup_id=&limit=&offset=&sort_dir=&availability_zone=', 4],
    ];
    for (const [query, count] of cases) {
      assert.equal((await list(query)).length, count, query);
      assert.deepEqual(await bench.ask(200, 'GET', `${base()}/count${query}`), { count }, query);
    }
    const received = await list('?share_to_me=1&name=web', asStranger(), bench.stranger.projectId);
    assert.deepEqual(
      received.map((entry) => entry.backup_id),
      [second.backupId],
    );
    for (const query of ['?share_to_me=perhaps', '?limit=-1', '?offset=x', '?sort_key=colour', '?sort_dir=up']) {
      await bench.assertFault(400, 'badRequest', 'GET', `${base()}/detail${query}`);
    }
  });

  test('are sorted and cut into pages that links lead through', async () => {
    const all = await list('');
    const times = all.map((entry) => String(entry.created_at));
    assert.deepEqual(times, [...times].sort().reverse());
    const oldest = await list('?sort_key=created_at&sort_dir=asc');
    assert.deepEqual(oldest.map(({ id }) => id).sort(), all.map(({ id }) => id).sort());
    assert.equal((await list('?sort_key=name&sort_dir=desc'))[0]?.backup.name, 'web_root');
    for (const key of ['id', 'status', 'size', 'updated_at', 'volume_id', 'container', 'disk_format']) {
      assert.equal((await list(`?sort_key=${key}&sort_dir=asc`)).length, 4, key);
    }
    assert.deepEqual(
      (await list('?limit=2&offset=1')).map(({ id }) => id),
      all.slice(1, 3).map(({ id }) => id),
    );
    assert.deepEqual(await list('?limit=0'), []);
    const seen: string[] = [];
    let next: string | undefined = `${base()}/detail?limit=3&status=available`;
    while (next !== undefined) {
      const page: Json = await bench.ask(200, 'GET', next);
      seen.push(...(page.shared as SharingJson[]).map(({ id }) => id));
      const [link] = (page.shared_links ?? []) as { rel: string; href: string }[];
      next = link?.href.replace('http://vbs.example.net', '');
      if (link !== undefined) assert.match(link.href, /limit=3&status=available&marker=/);
    }
    assert.deepEqual(
      seen,
      all.map(({ id }) => id),
    );
    await bench.assertFault(404, 'itemNotFound', 'GET', `${base()}/detail?marker=${newUuid()}`);
  });
});

describe('a receiving project', () => {
  let sharingId: string;
  const own = (): string => bench.stranger.projectId;
  before(async () => {
    const [sharing] = await share(backup.backupId, bench.stranger.projectId);
    sharingId = sharing?.id ?? '';
  });

  test('reads the backup by id on every native path, and never sees it in its lists', async () => {
    const { backupId } = backup;
    for (const path of [`/v3/${own()}/backups`, `/v3/${own()}/native/backups`, `/v2/${own()}/backups`]) {
      const shown = (await bench.ask(200, 'GET', `${path}/${backupId}`, asStranger())).backup as Json;
      assert.equal(shown.id, backupId);
      assert.deepEqual((await bench.ask(200, 'GET', path, asStranger())).backups, []);
      assert.deepEqual((await bench.ask(200, 'GET', `${path}/detail`, asStranger())).backups, []);
    }
    const native = await bench.ask(200, 'GET', `/v3/${own()}/native/backups/${backupId}`, asStranger());
    assert.equal((native.backup as Json)['os-backup-project-attr:project_id'], bench.member.projectId);
  });

  test('neither restores, deletes, tags nor shares it on, nor reads its bytes', async () => {
    const { backupId } = backup;
    const { volume } = await bench.ask(
      202,
      'POST',
      `/v3/${own()}/volumes`,
      asStranger({ body: { volume: { size: 1 } } }),
    );
    const restore = asStranger({ body: { restore: { volume_id: (volume as { id: string }).id } } });
    const cloud = `/v2/${own()}/cloudbackups/${backupId}`;
    await bench.assertVbsFault(403, 'VolumeBackup.0042', 'POST', `${cloud}/restore`, restore);
    const unknownVolume = asStranger({ body: { restore: { volume_id: newUuid() } } });
    await bench.assertVbsFault(404, 'VolumeBackup.0207', 'POST', `${cloud}/restore`, unknownVolume);
    await bench.assertVbsFault(404, 'VolumeBackup.0110', 'POST', cloud, asStranger());
    await bench.assertVbsFault(404, 'VolumeBackup.0110', 'DELETE', cloud, asStranger());
    const native = `/v3/${own()}/backups/${backupId}`;
    await bench.assertFault(403, 'forbidden', 'POST', `${native}/restore`, restore);
    await bench.assertFault(403, 'forbidden', 'POST', `${native}/restore`, asStranger({ body: { restore: {} } }));
    await bench.assertFault(404, 'itemNotFound', 'DELETE', native, asStranger());
    await bench.assertVbsFault(404, 'VolumeBackup.0110', 'GET', `/v1/${own()}/backups/${backupId}/data`, asStranger());
    const body = { shared: { backup_id: backupId, to_project_ids: [newHexId<ProjectId>()] } };
    const url = base(bench.stranger.projectId);
    await bench.assertFault(404, 'itemNotFound', 'POST', url, asStranger({ body }));
  });

  test('makes a volume from it, byte for byte, without touching the backup', async () => {
    const request = asStranger({
      body: { volume: { size: 1, name: 'clone', backup_id: backup.backupId } },
      headers: { 'openstack-api-version': 'volume 3.47' },
    });
    const answer = await bench.ask(202, 'POST', `/v3/${own()}/volumes`, request);
    const { id } = answer.volume as { id: VolumeId };
    const before = await bench.services.catalog.backups.find(backup.backupId);
    assert.equal(before?.status, 'available');
    const { catalog } = bench.services;
    const volume = await bench.services.waitFor(async () => {
      const row = await catalog.volumes.get(bench.stranger.projectId, id);
      return row?.status === 'available' ? row : undefined;
    });
    const disk = await bench.services.readDisk(volume);
    assert.ok(disk.subarray(0, DISK_SIZE_BYTES).equals(bytes));
    const rest = disk.subarray(DISK_SIZE_BYTES);
    assert.ok(rest.equals(Buffer.alloc(rest.length)));
    assert.deepEqual(await catalog.backups.find(backup.backupId), before);
    const jobs = await bench.ask(200, 'GET', `/v1/${own()}/jobs?job_type=bksRestoreBackup`, asStranger());
    const [job] = jobs.jobs as { entities: Json; status: string }[];
    assert.deepEqual(job?.entities, { backup_id: backup.backupId, volume_id: id });
    // The backup's own project has no part in it.
    assert.equal((await bench.ask(200, 'GET', `${bench.v1}/jobs?job_type=bksRestoreBackup`)).count, 0);
  });

  test('may drop its sharing by either id, and then the backup is unknown to it', async () => {
    const url = base(bench.stranger.projectId);
    const answer = await bench.send('DELETE', `${url}/${sharingId}`, {
      ...asStranger(),
      headers: { 'content-type': 'application/json' },
    });
    assert.deepEqual([answer.statusCode, answer.body], [200, '']);
    await bench.assertFault(404, 'itemNotFound', 'DELETE', `${url}/${sharingId}`, asStranger());
    await bench.assertFault(404, 'itemNotFound', 'GET', `/v3/${own()}/backups/${backup.backupId}`, asStranger());
    const volume = { size: 1, backup_id: backup.backupId };
    const create = asStranger({ body: { volume }, headers: { 'openstack-api-version': 'volume 3.47' } });
    await bench.assertFault(404, 'itemNotFound', 'POST', `/v3/${own()}/volumes`, create);
    const other = newHexId<ProjectId>();
    await share(backup.backupId, bench.stranger.projectId, other);
    await bench.ask(200, 'DELETE', `${url}/${backup.backupId}?is_backup_id=true`, asStranger());
    assert.deepEqual(
      (await list('')).map((entry) => entry.to_project_id),
      [other],
    );
    await cancelAll(backup.backupId);
  });
});

describe('cancelling', () => {
  test('by sharing id, by backup id; what is unknown or foreign is 404, or nothing to do', async () => {
    const [first] = await share(backup.backupId, newHexId<ProjectId>(), newHexId<ProjectId>(), newHexId<ProjectId>());
    assert.ok(first !== undefined);
    const url = `${base()}/${first.id}`;
    const foreign = base(bench.stranger.projectId);
    for (const id of [first.id, newUuid(), 'sharing']) {
      await bench.assertFault(404, 'itemNotFound', 'GET', `${foreign}/${id}`, asStranger());
      await bench.assertFault(404, 'itemNotFound', 'DELETE', `${foreign}/${id}`, asStranger());
    }
    for (const id of [backup.backupId, newUuid(), 'backup']) {
      await bench.ask(200, 'DELETE', `${foreign}/${id}?is_backup_id=true`, asStranger());
    }
    assert.equal((await list('')).length, 3);
    await bench.assertFault(400, 'badRequest', 'DELETE', `${url}?is_backup_id=perhaps`);
    // A backup's id is no sharing's.
    await bench.assertFault(404, 'itemNotFound', 'DELETE', `${base()}/${backup.backupId}`);
    await bench.ask(200, 'DELETE', `${url}?is_backup_id=false`);
    assert.equal((await list('')).length, 2);
    await bench.ask(200, 'DELETE', `${base()}/${backup.backupId.toUpperCase()}?is_backup_id=True`);
    assert.deepEqual(await list(''), []);
    await bench.ask(200, 'DELETE', `${base()}/${backup.backupId}?is_backup_id=true`);
  });

  test('sharings end with their backup', async () => {
    const { backup: doomed } = await makeBackup('doomed');
    const [sharing] = await share(doomed.backupId, bench.stranger.projectId);
    const { job_id } = await bench.ask(200, 'POST', `${bench.v2}/cloudbackups/${doomed.backupId}`);
    assert.equal((await bench.waitForJob(String(job_id))).status, 'SUCCESS');
    assert.deepEqual(await list('?share_to_me=true', asStranger(), bench.stranger.projectId), []);
    await bench.assertFault(404, 'itemNotFound', 'GET', `${base()}/${sharing?.id}`);
    const path = `/v3/${bench.stranger.projectId}/backups/${doomed.backupId}`;
    await bench.assertFault(404, 'itemNotFound', 'GET', path, asStranger());
  });
});

describe('audit traces', () => {
  type TraceJson = { trace_name: string; resource_id: string; user: { name: string } | null; details: Json };
  const traces = async (query: string, send: Send = {}, v1 = bench.v1) =>
    (await bench.ask(200, 'GET', `${v1}/traces${query}`, send)) as unknown as { traces: TraceJson[]; count: number };

  test('tell of each change, newest first, with who made it and what it was about', async () => {
    const { backup: traced } = await makeBackup('traced');
    await share(traced.backupId, bench.stranger.projectId);
    await share(traced.backupId, bench.stranger.projectId);
    await cancelAll(traced.backupId);
    const { volumeId } = traced;
    const restore = { body: { restore: { volume_id: volumeId } } };
    const restored = await bench.ask(200, 'POST', `${bench.v2}/cloudbackups/${traced.backupId}/restore`, restore);
    await bench.waitForJob(String(restored.job_id));
    const removed = await bench.ask(200, 'DELETE', `${bench.v2}/cloudbackups/${traced.backupId}`);
    await bench.waitForJob(String(removed.job_id));
    const { traces: found, count } = await traces(`?resource_id=${traced.backupId}`);
    assert.deepEqual(
      found.map((trace) => trace.trace_name),
      ['bksDeleteBackup', 'bksRestoreBackup', 'bksUnshareBackup', 'bksShareBackup', 'bksCreateBackup'],
    );
    assert.equal(count, 5);
    assert.ok(found.every((trace) => trace.user?.name === 'ops' || trace.user?.name === ''));
    const [first] = found;
    assert.deepEqual(Object.keys(first ?? {}), [
      'trace_id',
      'trace_name',
      'trace_type',
      'resource_type',
      'resource_id',
      'resource_name',
      'user',
      'job_id',
      'details',
      'created_at',
    ]);
    assert.equal((first as unknown as Json).job_id, removed.job_id);
    assert.deepEqual(first?.details, { volume_id: volumeId });
  });

  test('filter, page, and stay within the project', async () => {
    const all = await traces('');
    assert.ok(all.count > 5);
    const page = await traces('?limit=2&offset=1');
    assert.deepEqual([page.traces, page.count], [all.traces.slice(1, 3), all.count]);
    const shares = await traces('?trace_name=bksShareBackup&resource_type=vbs&resource_id=');
    assert.ok(shares.count > 0 && shares.traces.every((trace) => trace.trace_name === 'bksShareBackup'));
    assert.equal((await traces('?resource_type=autobackup')).count, 0);
    assert.equal((await traces(`?user_id=${bench.member.userId}&trace_name=bksCreateBackup`)).count, diskCount);
    const foreign = await traces('', asStranger(), `/v1/${bench.stranger.projectId}`);
    assert.deepEqual(
      foreign.traces.map((trace) => trace.trace_name),
      ['bksUnshareBackup', 'bksUnshareBackup', 'bksRestoreBackup'],
    );
    for (const query of ['?trace_name=x', '?resource_type=x', '?limit=x', '?marker=x']) {
      const status = query.includes('marker') ? 404 : 400;
      await bench.assertVbsFault(status, 'VolumeBackup.0002', 'GET', `${bench.v1}/traces${query}`);
    }
  });
});
