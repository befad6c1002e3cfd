// /cloudbackups, /jobs and the export of bytes over the real engine: each success against its documented example, each
// violation with its code and status, and nothing changed by what is refused (contract 3.1 to 3.6).
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { GIB, MIB } from '../../src/core/bytes.ts';
import { newUuid, type VolumeId } from '../../src/core/ids.ts';
import type { Volume } from '../../src/core/model.ts';
import { ApiBench } from '../support/api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await ApiBench.start({ limits: { backups: 6 } });
  await bench.services.runner.start();
});
after(() => bench[Symbol.asyncDispose]());

const JSON_JOB_KEYS = [
  'status',
  'entities',
  'job_id',
  'job_type',
  'begin_time',
  'end_time',
  'error_code',
  'fail_reason',
  'sub_jobs',
];
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Not whole in GiB, MiB or chunks: what comes back must be exact. */
const DISK_SIZE_BYTES = 8 * MIB + 512;
const DATA_OFFSET_BYTES = 3 * MIB + 5;
let diskCount = 0;

/** An adopted disk with a few bytes of data. */
async function makeVolume(): Promise<{ volume: Volume; data: Buffer }> {
  diskCount += 1;
  const path = await bench.services.makeDisk(`disk-${diskCount}.raw`, DISK_SIZE_BYTES);
  const body = { volume: { host: bench.services.volumes.hostName, ref: { 'source-name': path }, name: 'disk' } };
  const { token } = bench.admin;
  const answer = await bench.ask(202, 'POST', `${bench.v3}/os-volume-manage`, { token, body });
  const { id } = answer.volume as { id: VolumeId };
  const volume = await bench.services.catalog.volumes.get(bench.member.projectId, id);
  assert.ok(volume !== undefined);
  const data = randomBytes(MIB);
  await bench.services.writeDisk(volume, [{ offsetBytes: DATA_OFFSET_BYTES, bytes: data }]);
  return { volume, data };
}

function createBody(volumeId: string, change: Record<string, unknown> = {}): { body: unknown } {
  return { body: { backup: { volume_id: volumeId, name: 'nightly', ...change } } };
}

/** Backs up through the API and waits, as a client does. */
async function backUp(volumeId: string, change: Record<string, unknown> = {}): Promise<string> {
  const { job_id } = await bench.ask(200, 'POST', `${bench.v2}/cloudbackups`, createBody(volumeId, change));
  const job = await bench.waitForJob(String(job_id));
  assert.equal(job.status, 'SUCCESS', JSON.stringify(job));
  return (job.entities as { backup_id: string }).backup_id;
}

/** While one is open its backup cannot be deleted. */
async function waitForExportsToEnd(): Promise<void> {
  await bench.services.waitFor(async () => {
    const filter = { kind: 'export', includeInternal: true } as const;
    const { items } = await bench.services.catalog.jobs.list(filter, { limit: 100 });
    return items.every((job) => job.endedAt !== null) ? true : undefined;
  });
}

describe('the main job', () => {
  let volume: Volume;
  let data: Buffer;
  let backupId: string;

  before(async () => {
    ({ volume, data } = await makeVolume());
  });

  test('creating answers a job id and nothing else; the job has the documented keys', async () => {
    const answer = await bench.ask(
      200,
      'POST',
      `${bench.v2}/cloudbackups`,
      createBody(volume.volumeId, {
        snapshot_id: null,
        description: 'before upgrade',
        tags: [{ key: 'tier', value: 'gold' }],
        extend_param: { FullBackup: 'true' },
      }),
    );
    assert.deepEqual(Object.keys(answer), ['job_id']);
    assert.match(String(answer.job_id), UUID);
    const job = await bench.waitForJob(String(answer.job_id));
    assert.deepEqual(Object.keys(job), JSON_JOB_KEYS);
    assert.equal(job.status, 'SUCCESS');
    assert.equal(job.job_type, 'bksCreateBackup');
    assert.match(String(job.begin_time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const entities = job.entities as Record<string, string>;
    assert.deepEqual(Object.keys(entities).sort(), ['backup_id', 'bks_create_volume_name', 'snapshot_id', 'volume_id']);
    assert.equal(entities.volume_id, volume.volumeId);
    assert.equal(entities.bks_create_volume_name, `autobk_volume_${String(job.begin_time)}`);
    backupId = entities.backup_id ?? '';
    assert.match(backupId, UUID);
  });

  test('the job is found below v2 too, by its 32 digits too, and shows progress on request', async () => {
    const { jobs } = (await bench.ask(200, 'GET', `${bench.v1}/jobs?limit=1`)) as { jobs: { job_id: string }[] };
    const jobId = jobs[0]?.job_id ?? '';
    await bench.ask(200, 'GET', `${bench.v2}/jobs/${jobId}`);
    const job = await bench.ask(200, 'GET', `${bench.v1}/jobs/${jobId.replaceAll('-', '')}?progress=true`);
    assert.deepEqual(Object.keys(job), [...JSON_JOB_KEYS, 'progress', 'result']);
    assert.deepEqual(Object.keys(job.progress as object), [
      'percent',
      'total_bytes',
      'done_bytes',
      'skipped_bytes',
      'stored_bytes',
      'rate_bytes_per_s',
      'eta_s',
    ]);
    assert.equal((job.progress as { percent: number }).percent, 100);
  });

  test('the backup is shown natively at once, wrapped description and all', async () => {
    const { backup } = (await bench.ask(200, 'GET', `${bench.v3}/native/backups/${backupId}`)) as {
      backup: Record<string, unknown>;
    };
    assert.equal(backup.status, 'available');
    assert.equal(backup.description, '{"DESC":"before upgrade","INC":0}');
    assert.equal(backup.size, 1);
    assert.equal(backup.is_incremental, false);
    assert.equal(backup['os-backup-project-attr:tenant_id'], bench.member.projectId);
  });

  test('its bytes are those of the disk, whole and by range', async () => {
    const url = `${bench.v1}/backups/${backupId}/data`;
    const read = (headers: Record<string, string>) =>
      bench.send('GET', url, { headers: { accept: 'application/octet-stream', ...headers } });
    const whole = await read({});
    assert.equal(whole.statusCode, 200);
    assert.equal(whole.headers['content-length'], String(DISK_SIZE_BYTES));
    assert.equal(whole.headers['content-type'], 'application/octet-stream');
    assert.equal(whole.headers['accept-ranges'], 'bytes');
    assert.ok(whole.rawPayload.equals(await bench.services.readDisk(volume)));
    const last = DATA_OFFSET_BYTES + MIB - 1;
    const part = await read({ range: `bytes=${DATA_OFFSET_BYTES}-${last}` });
    assert.equal(part.statusCode, 206);
    assert.equal(part.headers['content-range'], `bytes ${DATA_OFFSET_BYTES}-${last}/${DISK_SIZE_BYTES}`);
    assert.equal(part.headers['content-length'], String(MIB));
    assert.ok(part.rawPayload.equals(data));
    assert.deepEqual([...(await read({ range: 'bytes=-3' })).rawPayload], [0, 0, 0]);
    const same = await read({ range: 'bytes=0-9', 'if-range': String(whole.headers.etag) });
    assert.deepEqual([same.statusCode, same.rawPayload.length], [206, 10]);
    const stale = await read({ range: 'bytes=0-9', 'if-range': '"another"' });
    assert.deepEqual([stale.statusCode, stale.rawPayload.length], [200, DISK_SIZE_BYTES]);
    const beyond = await read({ range: `bytes=${DISK_SIZE_BYTES}-` });
    assert.equal(beyond.statusCode, 416);
    assert.equal(beyond.headers['content-range'], `bytes */${DISK_SIZE_BYTES}`);
    assert.deepEqual(Object.keys(beyond.json<object>()), ['error']);
    await waitForExportsToEnd();
  });

  test('a client that goes away in the middle leaves nothing held', async () => {
    const large = await bench.ask(202, 'POST', `${bench.v3}/volumes`, { body: { volume: { size: 1 } } });
    const largeId = await backUp((large.volume as { id: string }).id);
    await bench.app.listen({ host: '127.0.0.1', port: 0 });
    // The cast: it listens on a TCP port.
    const { port } = bench.app.server.address() as AddressInfo;
    const abort = new AbortController();
    const url = `http://127.0.0.1:${port}${bench.v1}/backups/${largeId}/data`;
    const answer = await fetch(url, { headers: { 'x-auth-token': bench.member.token }, signal: abort.signal });
    assert.equal(answer.headers.get('content-length'), String(GIB));
    await answer.body?.getReader().read();
    abort.abort();
    await waitForExportsToEnd();
    const removal = await bench.ask(200, 'DELETE', `${bench.v2}/cloudbackups/${largeId}`);
    assert.equal((await bench.waitForJob(String(removal.job_id))).status, 'SUCCESS');
  });

  test('an increment follows, the full one is deleted, the increment restores', async () => {
    const changed = randomBytes(100);
    await bench.services.writeDisk(volume, [{ offsetBytes: 7 * MIB, bytes: changed }]);
    const incrementId = await backUp(volume.volumeId);
    const { backup } = (await bench.ask(200, 'GET', `${bench.v2}/backups/${incrementId}`)) as {
      backup: Record<string, unknown>;
    };
    assert.equal(backup.is_incremental, true);
    assert.equal(backup['os-bak-tenant-attr:tenant_id'], bench.member.projectId);
    assert.equal((JSON.parse(String(backup.service_metadata)) as { Type: number }).Type, 1);
    const removal = await bench.ask(200, 'POST', `${bench.v2}/cloudbackups/${backupId}`);
    assert.deepEqual(Object.keys(removal), ['job_id']);
    assert.equal((await bench.waitForJob(String(removal.job_id))).job_type, 'bksDeleteBackup');
    await bench.assertFault(404, 'itemNotFound', 'GET', `${bench.v2}/backups/${backupId}`);
    const expected = await bench.services.readDisk(volume);
    const { volume: target } = await makeVolume();
    const restore = { body: { restore: { volume_id: target.volumeId } } };
    const answer = await bench.ask(200, 'POST', `${bench.v2}/cloudbackups/${incrementId}/restore`, restore);
    const job = await bench.waitForJob(String(answer.job_id));
    assert.equal(job.status, 'SUCCESS');
    assert.deepEqual(job.entities, { backup_id: incrementId, volume_id: target.volumeId });
    assert.ok((await bench.services.readDisk(target)).equals(expected));
    // The alias with DELETE; a second one finds nothing.
    const alias = await bench.ask(200, 'DELETE', `${bench.v2}/cloudbackups/${incrementId}`);
    await bench.waitForJob(String(alias.job_id));
    await bench.assertVbsFault(404, 'VolumeBackup.0110', 'DELETE', `${bench.v2}/cloudbackups/${incrementId}`);
  });
});

describe('refusals', () => {
  let volume: Volume;
  let backupId: string;
  before(async () => {
    ({ volume } = await makeVolume());
    backupId = await backUp(volume.volumeId);
  });

  test('bad bodies of a creation', async () => {
    const url = () => `${bench.v2}/cloudbackups`;
    for (const text of ['', '{', 'null', '[]', '{}', '{"backup":null}']) {
      await bench.assertVbsFault(400, 'VolumeBackup.0002', 'POST', url(), { text });
    }
    const headers = { 'content-type': 'text/plain' };
    await bench.assertVbsFault(400, 'VolumeBackup.0002', 'POST', url(), { text: '{}', headers });
    const cases: [string, Record<string, unknown>][] = [
      ['0010', { volume_id: null }],
      ['0011', { volume_id: 'disk' }],
      ['0002', { snapshot_id: 'x' }],
      ['0007', { name: null }],
      ['0026', { name: '' }],
      ['0003', { name: 'n'.repeat(65) }],
      ['0004', { name: 'a b' }],
      ['0005', { name: 'autobk' }],
      ['0006', { description: '<' }],
      ['0049', { tags: [{ key: '' }] }],
      ['0050', { tags: Array.from({ length: 11 }, (_, index) => ({ key: `k${index}`, value: '' })) }],
      ['0002', { extend_param: { FullBackup: 'maybe' } }],
    ];
    for (const [code, change] of cases) {
      await bench.assertVbsFault(400, `VolumeBackup.${code}`, 'POST', url(), createBody(volume.volumeId, change));
    }
  });

  test('unknown and foreign things answer the same', async () => {
    const { token, projectId } = bench.stranger;
    const create = `/v2/${projectId}/cloudbackups`;
    const unknown = await bench.send('POST', create, { token, ...createBody(newUuid()) });
    const foreign = await bench.send('POST', create, { token, ...createBody(volume.volumeId) });
    const withoutIds = (text: string) => text.replace(/[0-9a-f-]{36}/g, 'ID');
    assert.deepEqual([foreign.statusCode, withoutIds(foreign.body)], [404, withoutIds(unknown.body)]);
    assert.match(foreign.body, /VolumeBackup\.0021/);
    const restore = { token, body: { restore: { volume_id: volume.volumeId } } };
    for (const id of [backupId, newUuid()]) {
      await bench.assertVbsFault(404, 'VolumeBackup.0110', 'POST', `${create}/${id}`, { token });
      await bench.assertVbsFault(404, 'VolumeBackup.0111', 'POST', `${create}/${id}/restore`, restore);
      await bench.assertFault(404, 'itemNotFound', 'GET', `/v3/${projectId}/backups/${id}`, { token });
      await bench.assertFault(404, 'itemNotFound', 'DELETE', `/v2/${projectId}/backups/${id}`, { token });
      await bench.assertVbsFault(404, 'VolumeBackup.0110', 'GET', `/v1/${projectId}/backups/${id}/data`, { token });
    }
    const { jobs } = (await bench.ask(200, 'GET', `${bench.v1}/jobs`)) as { jobs: { job_id: string }[] };
    for (const id of [jobs[0]?.job_id, newUuid(), 'no-job']) {
      await bench.assertVbsFault(404, 'common.0011', 'GET', `/v1/${projectId}/jobs/${id}`, { token });
    }
  });

  test('an unknown snapshot is 404', async () => {
    const body = createBody(volume.volumeId, { snapshot_id: newUuid() });
    await bench.assertVbsFault(404, 'VolumeBackup.0020', 'POST', `${bench.v2}/cloudbackups`, body);
  });

  test('bad ids of deletions, and words that are no ids', async () => {
    await bench.assertVbsFault(400, 'VolumeBackup.0105', 'POST', `${bench.v2}/cloudbackups/first`);
    await bench.assertVbsFault(400, 'VolumeBackup.0105', 'DELETE', `${bench.v2}/cloudbackups/first`);
    await bench.assertVbsFault(405, 'VolumeBackup.0002', 'DELETE', `${bench.v2}/cloudbackups/quota`);
  });

  test('restores: each check in its order', async () => {
    const url = (id: string) => `${bench.v2}/cloudbackups/${id}/restore`;
    const body = (value: unknown) => ({ body: { restore: { volume_id: value } } });
    await bench.assertVbsFault(400, 'VolumeBackup.0210', 'POST', url('first'), { text: '{}' });
    await bench.assertVbsFault(400, 'VolumeBackup.0210', 'POST', url(backupId));
    await bench.assertVbsFault(400, 'VolumeBackup.0203', 'POST', url('%20'), body(null));
    await bench.assertVbsFault(400, 'VolumeBackup.0204', 'POST', url('first'), body(null));
    await bench.assertVbsFault(400, 'VolumeBackup.0208', 'POST', url(backupId), body(null));
    await bench.assertVbsFault(404, 'VolumeBackup.0207', 'POST', url(backupId), body(newUuid()));
    const states: [string, Volume['status']][] = [
      ['VolumeBackup.0205', 'in-use'],
      ['VolumeBackup.0202', 'error'],
    ];
    for (const [code, status] of states) {
      await bench.services.setVolume(volume.volumeId, { status });
      await bench.assertVbsFault(400, code, 'POST', url(backupId), body(volume.volumeId));
    }
    await bench.services.setVolume(volume.volumeId, { status: 'available', sizeBytes: DISK_SIZE_BYTES - 1 });
    await bench.assertVbsFault(400, 'VolumeBackup.0209', 'POST', url(backupId), body(volume.volumeId));
    await bench.services.setVolume(volume.volumeId, { sizeBytes: DISK_SIZE_BYTES });
  });

  test('states and quotas of a creation', async () => {
    const url = `${bench.v2}/cloudbackups`;
    await bench.services.setVolume(volume.volumeId, { status: 'error' });
    await bench.assertVbsFault(400, 'VolumeBackup.0012', 'POST', url, createBody(volume.volumeId));
    await bench.services.setVolume(volume.volumeId, { status: 'available' });
    const { items } = await bench.services.catalog.backups.list({ projectId: bench.member.projectId }, { limit: 100 });
    for (let count = items.length; count < 6; count += 1) await backUp(volume.volumeId);
    await bench.assertVbsFault(400, 'VolumeBackup.0080', 'POST', url, createBody(volume.volumeId));
    const native = { body: { backup: { volume_id: volume.volumeId } } };
    await bench.assertFault(413, 'overLimit', 'POST', `${bench.v3}/backups`, native);
    const { quotas } = (await bench.ask(200, 'GET', `${bench.v2}/cloudbackups/quota`)) as { quotas: unknown };
    assert.deepEqual(quotas, {
      resources: [
        { type: 'backups', used: 6, reserved: 0, quota: 6 },
        { type: 'backup_gigabytes', used: 6, reserved: 0, quota: -1 },
      ],
    });
  });
});

test('the list of jobs: newest first, filters, pages, count', async () => {
  type JobPage = { jobs: { job_id: string; status: string; job_type: string; begin_time: string }[]; count: number };
  const list = async (query: string) => (await bench.ask(200, 'GET', `${bench.v1}/jobs${query}`)) as JobPage;
  const all = await list('');
  assert.equal(all.count, all.jobs.length);
  const times = all.jobs.map((job) => job.begin_time);
  assert.deepEqual(times, [...times].sort().reverse());
  const restores = await list('?job_type=bksRestoreBackup&status=SUCCESS');
  assert.ok(restores.jobs.length > 0 && restores.jobs.every((job) => job.job_type === 'bksRestoreBackup'));
  assert.deepEqual(await list('?status=&job_type=&limit=&offset=&marker='), all);
  const second = await list(`?limit=1&marker=${all.jobs[0]?.job_id}`);
  assert.deepEqual([second.jobs[0]?.job_id, second.count], [all.jobs[1]?.job_id, all.count]);
  for (const query of ['?status=done', '?job_type=x', '?limit=-1', '?progress=perhaps']) {
    await bench.assertVbsFault(400, 'VolumeBackup.0002', 'GET', `${bench.v1}/jobs${query}`);
  }
});
