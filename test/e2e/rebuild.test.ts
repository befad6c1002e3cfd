// A catalog that is lost and made anew shows its backups as before, through every API; and so does one that was put
// back from a copy and adopted.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { copyFile, cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { runInProcess } from '../support/cli-process.ts';
import { fixedBytes } from '../support/fixed-bytes.ts';
import { asList, at, type Json, type LiveApi, waitFor } from '../support/live-api.ts';
import { ADMIN_PASSWORD, LiveService, QUICK_START } from '../support/live-service.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const MIB = 1024 * 1024;
const headers = { 'openstack-api-version': 'volume 3.70' };

/** Everything that any API shows of the project's backups, by the path that was asked. */
async function readAll(api: LiveApi): Promise<Map<string, unknown>> {
  const answers = new Map<string, unknown>();
  // Links hold the port, which is another one after each start.
  const ask = async (path: string): Promise<Json> => {
    const body = await api.must('GET', path, { headers });
    answers.set(path, JSON.parse(JSON.stringify(body).replaceAll(api.url, '')));
    return body;
  };
  const { backups } = await ask('/v3/{p}/backups/detail?sort=created_at:asc');
  await ask('/v2/{p}/backups/detail');
  await ask('/v3/{p}/native/backups/detail');
  await ask('/v2/{p}/cloudbackups/tags');
  for (const { id } of asList(backups)) {
    for (const face of ['v2/{p}', 'v3/{p}', 'v3/{p}/native']) await ask(`/${face}/backups/${id}`);
    const record = await api.must('GET', `/v3/{p}/backups/${id}/export_record`, { headers });
    answers.set(`record of ${id}`, Buffer.from(String(at(record, 'backup-record').backup_url), 'base64').toString());
    await ask(`/v2/{p}/cloudbackups/${id}/tags`);
  }
  return answers;
}

/** Rows of backups and their tags; jobs are not in the repository. */
function readRows(folder: string): unknown[] {
  using database = new DatabaseSync(join(folder, 'data', 'catalog.sqlite'), { readOnly: true });
  const backups = database.prepare('select * from backups order by backup_id').all();
  // Whether a record is one's own: null says so as well as the own id.
  const rows = backups.map(({ job_id, record_backup_id, ...row }) => ({
    ...row,
    record_backup_id: record_backup_id ?? row.backup_id,
  }));
  return [rows, database.prepare('select * from backup_tags order by backup_id, tag_index').all()];
}

async function createNative(api: LiveApi, backup: Json): Promise<string> {
  const body = await api.must('POST', '/v3/{p}/backups', { body: { backup }, headers });
  return await waitForBackup(api, String(at(body, 'backup').id));
}

async function waitForBackup(api: LiveApi, id: string): Promise<string> {
  return await waitFor(async () => {
    const { status, fail_reason } = await api.getBackup(id);
    assert.notEqual(status, 'error', String(fail_reason));
    return status === 'available' ? id : undefined;
  });
}

async function importAs(api: LiveApi, sourceId: string, changes: Json): Promise<string> {
  const id = randomUUID();
  const exported = at(await api.must('GET', `/v3/{p}/backups/${sourceId}/export_record`), 'backup-record');
  const members = JSON.parse(Buffer.from(String(exported.backup_url), 'base64').toString());
  const backup_url = Buffer.from(JSON.stringify({ ...members, ...changes, id })).toString('base64');
  const body = { 'backup-record': { ...exported, backup_url } };
  await api.must('POST', '/v3/{p}/backups/import_record', { body });
  return await waitForBackup(api, id);
}

async function snapshotOf(api: LiveApi, volumeId: string): Promise<string> {
  const body = { snapshot: { volume_id: volumeId, name: 'frozen', force: true } };
  const id = String(at(await api.must('POST', '/v3/{p}/snapshots', { body }), 'snapshot').id);
  return await waitFor(async () => {
    const { status } = at(await api.must('GET', `/v3/{p}/snapshots/${id}`), 'snapshot');
    return status === 'available' ? id : undefined;
  });
}

/** A policy backs the volume up once. */
async function runPolicy(api: LiveApi, volumeId: string): Promise<string> {
  const scheduled_policy = { start_time: '02:00', frequency: 1, rentention_num: 5, status: 'OFF' };
  const policy = await api.must('POST', '/v2/{p}/backuppolicy', {
    body: { backup_policy_name: 'nightly', scheduled_policy },
  });
  const backup_policy_id = String(policy.backup_policy_id);
  const resources = [{ resource_id: volumeId, resource_type: 'volume' }];
  await api.must('POST', '/v2/{p}/backuppolicyresources', { body: { backup_policy_id, resources } });
  const before = new Set((await api.listBackups()).map(({ id }) => id));
  await api.must('POST', `/v2/{p}/backuppolicy/${backup_policy_id}/action`);
  const made = await waitFor(async () => (await api.listBackups()).find(({ id }) => !before.has(id)));
  await waitForBackup(api, String(made.id));
  return backup_policy_id;
}

/** One backup of each kind there is, one that was changed later and one that was imported; answers the policy's id. */
async function makeBackups(service: LiveService): Promise<string> {
  const { api, disksFolder } = service;
  const disk = join(disksFolder, 'web.img');
  await writeFile(disk, fixedBytes(1, 2 * MIB));
  const volumeId = await api.adoptVolume(disk, 'web');
  await api.must('POST', `/v3/{p}/volumes/${volumeId}/metadata`, { body: { metadata: { tier: 'gold' } } });
  await api.must('POST', `/v3/{p}/volumes/${volumeId}/action`, { body: { 'os-set_bootable': { bootable: true } } });
  const named = { name: 'full', description: 'plain text', container: 'vault', availability_zone: 'zone-b' };
  const full = await createNative(api, { volume_id: volumeId, ...named, metadata: { owner: 'me', cost: '7' } });
  const tags = [{ key: 'env', value: 'prod' }];
  const backup = { volume_id: volumeId, name: 'vbs', description: 'asked by VBS', tags };
  const { job_id } = await api.must('POST', '/v2/{p}/cloudbackups', { body: { backup } });
  assert.equal((await api.waitForJob(String(job_id))).status, 'SUCCESS');
  const snapshotId = await snapshotOf(api, volumeId);
  await createNative(api, { volume_id: volumeId, snapshot_id: snapshotId, name: 'of a snapshot', force: true });
  const changedId = await createNative(api, { volume_id: volumeId, incremental: true, metadata: { a: '1' } });
  const changes = { name: 'renamed', description: null, metadata: { b: '2' } };
  await api.must('PUT', `/v3/{p}/backups/${changedId}`, { body: { backup: changes }, headers });
  await importAs(api, full, { display_name: 'imported', display_description: 'again', container: 'other' });
  return await runPolicy(api, volumeId);
}

test('a rebuilt and an adopted catalog show every backup as it was, through every API', async () => {
  await using lost = await makeTemporaryFolder();
  await using empty = await makeTemporaryFolder();
  const catalogFile = join(lost.path, 'data', 'catalog.sqlite');
  await using first = await LiveService.start({ ...QUICK_START, folder: lost.path });
  // A copy of the catalog that knows the project and its key, and of backups only one.
  const other = join(first.disksFolder, 'other.img');
  await writeFile(other, fixedBytes(2, MIB));
  await first.api.backUp(await first.api.adoptVolume(other, 'other'), 'before');
  await first.stop();
  await copyFile(catalogFile, join(lost.path, 'copy.sqlite'));
  const listPacks = async () =>
    (await readdir(join(lost.path, 'data', 'repository', 'projects'), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile() && entry.parentPath.includes('/packs/'))
      .map((entry) => join(entry.parentPath, entry.name));
  const known = new Set(await listPacks());
  await using second = await first.startAgain();
  const policyId = await makeBackups(second);
  const shown = await readAll(second.api);
  await second.stop();
  const rows = readRows(lost.path);
  const values = JSON.stringify(rows);
  for (const value of [policyId, 'vault', 'zone-b', '"dialect":"native"', 'gold', 'renamed', 'imported', 'prod']) {
    assert(values.includes(value), `${value} is there to be lost`);
  }

  const data = join(empty.path, 'data');
  await mkdir(data);
  await cp(join(lost.path, 'data', 'repository'), join(data, 'repository'), { recursive: true });
  await cp(join(lost.path, 'data', 'passphrase'), join(data, 'passphrase'));
  const env = { OPENVBS_ADMIN_PASSWORD: ADMIN_PASSWORD };
  const { code, stderr, stdout } = await runInProcess('repository rebuild-catalog --json', { cwd: empty.path, env });
  assert.equal(code, 0, stderr);
  assert.equal(JSON.parse(stdout).rebuilt.projects[0].backupCount, 7);
  assert.deepEqual(readRows(empty.path), rows);
  await using third = await LiveService.start({ ...QUICK_START, folder: empty.path });
  assert.deepEqual(await readAll(third.api), shown);
  await third.stop();

  for (const suffix of ['-wal', '-shm']) await rm(`${catalogFile}${suffix}`, { force: true });
  await copyFile(join(lost.path, 'copy.sqlite'), catalogFile);
  await using fourth = await first.startAgain();
  assert.equal((await fourth.api.listBackups()).length, 1);
  // While a backup cannot be adopted the project is not taken over, and the command says so.
  const pack = (await listPacks()).find((name) => !known.has(name));
  assert(pack);
  await rename(pack, join(lost.path, 'aside'));
  const asAdmin = { cwd: lost.path, env: { OPENVBS_URL: fourth.url, OPENVBS_PASSWORD: ADMIN_PASSWORD } };
  const adoption = await runInProcess('repository adopt', asAdmin);
  assert.equal(adoption.code, 1, adoption.stderr);
  assert.match(adoption.stdout, /^Taken over: +no$/m);
  assert.match(adoption.stdout, /^refused: [0-9a-f-]{36}\.[0-9a-f-]{36}: .+\n(.*\n)*The project was not taken over: /m);
  await rename(join(lost.path, 'aside'), pack);
  await fourth.api.must('POST', '/v1/{p}/repository/adopt');
  const run = await fourth.api.waitForRun();
  assert.equal(run.status, 'done', JSON.stringify(run));
  assert.deepEqual(await readAll(fourth.api), shown);
  await fourth.stop();
  assert.deepEqual(readRows(lost.path), rows);
});
