// What the service must refuse, over real HTTP: the documented status and code each, and not one row of the catalog
// changes.
import assert from 'node:assert/strict';
import { symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { GIB, MIB } from '../../src/core/bytes.ts';
import { newHexId, type ProjectId } from '../../src/core/ids.ts';
import { REQUEST_BODY_MAX_BYTES } from '../../src/core/limits.ts';
import { systemClock } from '../../src/core/ports.ts';
import { Catalog } from '../../src/db/catalog.ts';
import { openDatabase } from '../../src/db/database.ts';
import { at, LiveApi } from '../support/live-api.ts';
import { ADMIN_PASSWORD, LiveService, METRICS_ENV } from '../support/live-service.ts';
import { dumpCatalog } from '../support/repository-audit.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

/** Status, and the code: `VolumeBackup.nnnn` on the VBS paths, the name of the fault on the native ones. */
type Expected = readonly [status: number, code: string];
type Refusal = readonly [what: string, body: unknown, expected: Expected];

const UNKNOWN_ID = '3b6d0c52-8f0e-4a53-9d57-2f6f0f3a1c11';
const malformed: Expected = [400, 'VolumeBackup.0002'];
const badRequest: Expected = [400, 'badRequest'];

let temporary: TemporaryFolder;
let service: LiveService;
/** The same user in another project, as a member only: admins of the native API look after all projects. */
let neighbour: LiveApi;
let host = '';
let volumeId = '';
let smallVolumeId = '';
let backupId = '';
const foreign = { volumeId: '', backupId: '', jobId: '' };

before(async () => {
  temporary = await makeTemporaryFolder();
  const first = await LiveService.start({ folder: temporary.path, env: METRICS_ENV });
  await first.stop();
  const otherProjectId = await addProject(join(first.dataFolder, 'catalog.sqlite'));
  service = await first.startAgain();
  const { api } = service;
  neighbour = await LiveApi.logIn(service.url, ADMIN_PASSWORD, { id: otherProjectId });
  host = await api.findHost();
  volumeId = await api.createVolume({ size: 2, name: 'two' });
  smallVolumeId = await api.createVolume({ size: 1, name: 'one' });
  backupId = (await api.backUp(volumeId, 'of-two')).id;
  foreign.volumeId = await neighbour.createVolume({ size: 2, name: 'theirs' });
  foreign.jobId = await neighbour.startBackup(foreign.volumeId, 'theirs');
  foreign.backupId = (await neighbour.waitForJob(foreign.jobId)).backupId;
});
after(async () => {
  await service?.[Symbol.asyncDispose]();
  await temporary?.[Symbol.asyncDispose]();
});

/** A second project in which the user admin is a member. */
async function addProject(path: string): Promise<ProjectId> {
  await using catalog = new Catalog({ database: await openDatabase({ kind: 'sqlite', path }) });
  const projectId = newHexId<ProjectId>();
  const project = { projectId, name: 'neighbour', domainId: 'default', description: '', createdAt: systemClock.now() };
  await catalog.projects.insert(project);
  const admin = await catalog.users.findByName('default', 'admin');
  assert(admin !== undefined);
  await catalog.users.assignRole(admin.userId, projectId, 'member');
  return projectId;
}

async function assertRefused(
  method: string,
  path: string,
  expected: Expected,
  options: Parameters<LiveApi['call']>[2] = {},
  api: LiveApi = service.api,
): Promise<void> {
  const { status, body } = await api.call(method, path, options);
  const isVbs = /^\/v(1|2)\/[^/]+\/(cloudbackups|jobs)/.test(path);
  const code = isVbs ? at(body, 'error').code : Object.keys(body)[0];
  assert.deepEqual([status, code], expected, `${method} ${path}: ${JSON.stringify(body)}`);
  assert.match(String(isVbs ? at(body, 'error').message : at(body, Object.keys(body)[0] ?? '').message), /\S/);
}

/** What went before trails off first: hooks, labels and sweeps follow a backup that is `available` already. */
async function dumpAtRest(live: LiveService): Promise<Record<string, unknown[]>> {
  await live.waitForRest();
  return dumpCatalog(live.dataFolder);
}

/** All of them in turn, and nothing has changed at the end. */
async function assertAllRefused(method: string, path: string, refusals: readonly Refusal[]): Promise<void> {
  const rows = await dumpAtRest(service);
  for (const [what, body, expected] of refusals) {
    try {
      await assertRefused(method, path, expected, { body });
    } catch (error) {
      assert.fail(`${what}: ${error instanceof Error ? error.message : error}`);
    }
    assert.deepEqual(dumpCatalog(service.dataFolder), rows, `${what} changed the catalog`);
  }
}

function backup(changes: Record<string, unknown>): unknown {
  return { backup: { volume_id: volumeId, name: 'new', ...changes } };
}

describe('creating a backup', () => {
  test('refuses malformed bodies', async () => {
    await assertAllRefused('POST', '/v2/{p}/cloudbackups', [
      ['no body', undefined, malformed],
      ['no JSON', '{"backup":', malformed],
      ['an array', [], malformed],
      ['another key', { snapshot: {} }, malformed],
      ['a text for the object', { backup: 'x' }, malformed],
      ['null for the object', { backup: null }, malformed],
    ]);
  });

  test('refuses fields of a wrong type, missing ones and values beyond their limits', async () => {
    await assertAllRefused('POST', '/v2/{p}/cloudbackups', [
      ['no volume', { backup: { name: 'new' } }, [400, 'VolumeBackup.0010']],
      ['volume null', backup({ volume_id: null }), [400, 'VolumeBackup.0010']],
      ['volume 7', backup({ volume_id: 7 }), [400, 'VolumeBackup.0011']],
      ['no UUID', backup({ volume_id: 'disk' }), [400, 'VolumeBackup.0011']],
      ['snapshot no UUID', backup({ snapshot_id: 'x' }), malformed],
      ['no name', { backup: { volume_id: volumeId } }, [400, 'VolumeBackup.0007']],
      ['name 7', backup({ name: 7 }), malformed],
      ['empty name', backup({ name: '' }), [400, 'VolumeBackup.0026']],
      ['name of 65', backup({ name: 'n'.repeat(65) }), [400, 'VolumeBackup.0003']],
      ['name with space', backup({ name: 'a b' }), [400, 'VolumeBackup.0004']],
      ['name with umlaut', backup({ name: 'ä' }), [400, 'VolumeBackup.0004']],
      ['reserved name', backup({ name: 'autobackup' }), [400, 'VolumeBackup.0005']],
      ['description of 65', backup({ description: 'd'.repeat(65) }), [400, 'VolumeBackup.0006']],
      ['description <b>', backup({ description: '<b>' }), [400, 'VolumeBackup.0006']],
      ['description 7', backup({ description: 7 }), [400, 'VolumeBackup.0006']],
      ['tags no list', backup({ tags: 'x' }), [400, 'VolumeBackup.0049']],
      ['tag without value', backup({ tags: [{ key: 'k' }] }), [400, 'VolumeBackup.0049']],
      ['tag key of 37', backup({ tags: [{ key: 'k'.repeat(37), value: '' }] }), [400, 'VolumeBackup.0049']],
      ['tag value of 44', backup({ tags: [{ key: 'k', value: 'v'.repeat(44) }] }), [400, 'VolumeBackup.0049']],
      [
        '11 tags',
        backup({ tags: Array.from({ length: 11 }, (_, index) => ({ key: `k${index}`, value: '' })) }),
        [400, 'VolumeBackup.0050'],
      ],
      ['extend_param no object', backup({ extend_param: 'true' }), malformed],
      ['FullBackup maybe', backup({ extend_param: { FullBackup: 'maybe' } }), malformed],
    ]);
  });

  test('refuses unknown volumes and those of another project alike', async () => {
    await assertAllRefused('POST', '/v2/{p}/cloudbackups', [
      ['unknown volume', backup({ volume_id: UNKNOWN_ID }), [404, 'VolumeBackup.0021']],
      ['foreign volume', backup({ volume_id: foreign.volumeId }), [404, 'VolumeBackup.0021']],
      ['unknown snapshot', backup({ snapshot_id: UNKNOWN_ID }), [404, 'VolumeBackup.0020']],
    ]);
  });

  test('takes names, descriptions and tags at their limits', async () => {
    const { api } = service;
    const longest = {
      ...{ volume_id: smallVolumeId, name: 'n'.repeat(64), description: 'ä'.repeat(64) },
      tags: [{ key: 'k'.repeat(36), value: 'v'.repeat(43) }],
    };
    const { job_id } = await api.must('POST', '/v2/{p}/cloudbackups', { body: { backup: longest } });
    const job = await api.waitForJob(String(job_id));
    assert.equal(job.status, 'SUCCESS', String(job.failReason));
    assert.equal((await api.getBackup(job.backupId)).name, longest.name);
    assert.equal((await api.deleteBackup(job.backupId)).status, 'SUCCESS');
  });

  test('refuses an oversized body, and one in another format', async () => {
    const rows = await dumpAtRest(service);
    const tooLarge = JSON.stringify(backup({ description: 'x'.repeat(REQUEST_BODY_MAX_BYTES) }));
    await assertRefused('POST', '/v2/{p}/cloudbackups', [413, 'VolumeBackup.0002'], { body: tooLarge });
    await assertRefused('POST', '/v3/{p}/volumes', [413, 'overLimit'], { body: tooLarge });
    const headers = { 'content-type': 'application/xml' };
    await assertRefused('POST', '/v2/{p}/cloudbackups', malformed, { body: '<backup/>', headers });
    assert.deepEqual(dumpCatalog(service.dataFolder), rows);
  });
});

describe('restoring', () => {
  test('refuses malformed bodies, unknown and foreign volumes, and volumes that are too small', async () => {
    await assertAllRefused('POST', `/v2/{p}/cloudbackups/${backupId}/restore`, [
      ['no body', undefined, [400, 'VolumeBackup.0210']],
      ['no object', { restore: [] }, [400, 'VolumeBackup.0210']],
      ['no volume', { restore: {} }, [400, 'VolumeBackup.0208']],
      ['volume 7', { restore: { volume_id: 7 } }, [400, 'VolumeBackup.0208']],
      ['unknown', { restore: { volume_id: UNKNOWN_ID } }, [404, 'VolumeBackup.0207']],
      ['foreign', { restore: { volume_id: foreign.volumeId } }, [404, 'VolumeBackup.0207']],
      ['too small', { restore: { volume_id: smallVolumeId } }, [400, 'VolumeBackup.0209']],
    ]);
    const headers = { 'openstack-api-version': 'volume 3.47' };
    const rows = await dumpAtRest(service);
    const body = { volume: { size: 1, backup_id: backupId } };
    await assertRefused('POST', '/v3/{p}/volumes', badRequest, { body, headers });
    assert.deepEqual(dumpCatalog(service.dataFolder), rows);
  });

  test('refuses unknown and foreign backups', async () => {
    const body = { restore: { volume_id: volumeId } };
    for (const id of [UNKNOWN_ID, foreign.backupId]) {
      await assertAllRefused('POST', `/v2/{p}/cloudbackups/${id}/restore`, [[id, body, [404, 'VolumeBackup.0111']]]);
    }
    await assertAllRefused('POST', '/v2/{p}/cloudbackups/of-two/restore', [
      ['a name', body, [400, 'VolumeBackup.0204']],
    ]);
  });
});

test('ids that are unknown, malformed or of another project are refused everywhere', async () => {
  const rows = await dumpAtRest(service);
  const notFound: Expected = [404, 'itemNotFound'];
  for (const id of [UNKNOWN_ID, backupId]) {
    await assertRefused('GET', `/v3/{p}/native/backups/${id}`, notFound, {}, neighbour);
    await assertRefused('GET', `/v3/{p}/backups/${id}`, notFound, {}, neighbour);
    await assertRefused('DELETE', `/v3/{p}/backups/${id}`, notFound, {}, neighbour);
  }
  for (const id of [UNKNOWN_ID, foreign.backupId]) {
    await assertRefused('DELETE', `/v2/{p}/cloudbackups/${id}`, [404, 'VolumeBackup.0110']);
    await assertRefused('POST', `/v2/{p}/cloudbackups/${id}`, [404, 'VolumeBackup.0110']);
  }
  await assertRefused('DELETE', '/v2/{p}/cloudbackups/of-two', [400, 'VolumeBackup.0105']);
  for (const id of [UNKNOWN_ID, volumeId, 'two']) {
    for (const method of ['GET', 'DELETE']) {
      await assertRefused(method, `/v3/{p}/volumes/${id}`, notFound, {}, neighbour);
    }
    const body = { 'os-extend': { new_size: 9 } };
    await assertRefused('POST', `/v3/{p}/volumes/${id}/action`, notFound, { body }, neighbour);
  }
  for (const id of [UNKNOWN_ID, foreign.jobId]) await assertRefused('GET', `/v1/{p}/jobs/${id}`, [404, 'common.0011']);
  const { projectId } = neighbour;
  const body = backup({ volume_id: foreign.volumeId });
  await assertRefused('POST', `/v2/${projectId}/cloudbackups`, [403, 'VolumeBackup.0042'], { body });
  await assertRefused('GET', `/v3/${projectId}/volumes`, badRequest);
  assert.deepEqual(dumpCatalog(service.dataFolder), rows);
});

describe('adopting a disk', () => {
  const adopt = (reference: unknown, changes: Record<string, unknown> = {}) => ({
    volume: { host, ref: { 'source-name': reference }, name: 'x', ...changes },
  });

  test('refuses paths outside the roots, links that lead there, and what is no disk', async () => {
    const { disksFolder, dataFolder } = service;
    const outside = join(temporary.path, 'outside.img');
    await writeFile(outside, '');
    await truncate(outside, MIB);
    await symlink(outside, join(disksFolder, 'link.img'));
    await writeFile(join(disksFolder, 'empty.img'), '');
    const paths = {
      outside,
      link: join(disksFolder, 'link.img'),
      climbing: `${disksFolder}/../outside.img`,
      missing: join(disksFolder, 'missing.img'),
      missingOutside: '/nowhere/missing.img',
      empty: join(disksFolder, 'empty.img'),
      folder: disksFolder,
      catalog: join(dataFolder, 'catalog.sqlite'),
      relative: 'disks/a.img',
      device: '/dev/null',
    };
    const refusals = Object.entries(paths).map(([what, path]): Refusal => [what, adopt(path), badRequest]);
    await assertAllRefused('POST', '/v3/{p}/os-volume-manage', refusals);
  });

  test('refuses wrong hosts, types and missing fields', async () => {
    const path = join(service.disksFolder, 'good.img');
    await writeFile(path, '');
    await truncate(path, MIB);
    await assertAllRefused('POST', '/v3/{p}/os-volume-manage', [
      ['no host', adopt(path, { host: undefined }), badRequest],
      ['other host', adopt(path, { host: 'elsewhere@file#file' }), badRequest],
      ['no reference', { volume: { host } }, badRequest],
      ['reference 7', adopt(7), badRequest],
      ['name of 256', adopt(path, { name: 'n'.repeat(256) }), badRequest],
      ['unknown type', adopt(path, { volume_type: 'tape' }), [404, 'itemNotFound']],
      ['metadata text', adopt(path, { metadata: 'x' }), badRequest],
    ]);
    const adopted = await service.api.adoptVolume(path, 'n'.repeat(255));
    await assertAllRefused('POST', '/v3/{p}/os-volume-manage', [['adopted before', adopt(path), badRequest]]);
    assert.equal((await service.api.getVolume(adopted)).status, 'available');
  });

  test('refuses volumes of impossible sizes', async () => {
    const sizes = [0, -1, 1.5, 'big', null, 16 * 1024 + 1, Number.MAX_SAFE_INTEGER, GIB * GIB];
    const refusals = sizes.map((size): Refusal => [`size ${size}`, { volume: { size } }, badRequest]);
    await assertAllRefused('POST', '/v3/{p}/volumes', refusals);
  });
});

test('tokens that are missing, wrong, altered or revoked are refused', async () => {
  const { api } = service;
  const unauthorized: Expected = [401, 'VolumeBackup.0044'];
  const body = backup({});
  const extra = await LiveApi.logIn(service.url, ADMIN_PASSWORD);
  const subject = { headers: { 'x-subject-token': extra.token } };
  assert.equal((await api.call('DELETE', '/v3/auth/tokens', subject)).status, 204);
  const altered = `${api.token.slice(0, -2)}${api.token.endsWith('AA') ? 'BB' : 'AA'}`;
  const rows = await dumpAtRest(service);
  for (const token of [null, '', 'x', altered, extra.token]) {
    await assertRefused('POST', '/v2/{p}/cloudbackups', unauthorized, { body, token });
    await assertRefused('GET', '/v3/{p}/volumes', [401, 'error'], { token });
  }
  assert.deepEqual(dumpCatalog(service.dataFolder), rows);
});

test('a token that expired is refused', async () => {
  await using folder = await makeTemporaryFolder();
  await using brief = await LiveService.start({
    folder: folder.path,
    env: { ...METRICS_ENV, OPENVBS_TOKEN_LIFE: '1' },
  });
  const id = await brief.api.createVolume({ size: 1 });
  const rows = await dumpAtRest(brief);
  await delay(1100);
  const body = { backup: { volume_id: id, name: 'late' } };
  const { status, body: answer, headers } = await brief.api.call('POST', '/v2/{p}/cloudbackups', { body });
  assert.deepEqual([status, at(answer, 'error').code], [401, 'VolumeBackup.0044']);
  assert.match(String(headers.get('www-authenticate')), /^Keystone uri=/);
  assert.deepEqual(dumpCatalog(brief.dataFolder), rows);
});
