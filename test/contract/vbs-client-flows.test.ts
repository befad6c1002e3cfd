// Whole runs of the VBS clients that no package registry of Debian or npm has: the calls that each makes, in its order
// and with its headers, as its sources have them. What single answers must look like is in vbs-clients.test.ts.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newHexId, type ProjectId } from '../../src/core/ids.ts';
import { ApiBench, passwordRequest } from '../support/api-bench.ts';

type Json = Record<string, unknown>;
type Login = { readonly token: string; readonly endpoints: ReadonlyMap<string, string> };

const JSON_TYPE = { 'content-type': 'application/json' };

let bench: ApiBench;
before(async () => {
  bench = await ApiBench.start();
  await bench.services.runner.start();
});
after(() => bench[Symbol.asyncDispose]());

/** Logs in at `identity` and returns the public endpoints of the catalog, without their origin. */
async function logIn(identity: string, scope: unknown): Promise<Login> {
  const answer = await bench.send('POST', `${identity}/auth/tokens`, {
    token: null,
    body: passwordRequest('ops', scope),
  });
  assert.equal(answer.statusCode, 201, answer.body);
  type Entry = { type: string; endpoints: { interface: string; region: string; url: string }[] };
  const { token } = answer.json<{ token: { catalog?: Entry[] } }>();
  const endpoints = new Map<string, string>();
  for (const { type, endpoints: places } of token.catalog ?? []) {
    const found = places.filter((place) => place.interface === 'public' && place.region === 'region-1');
    assert.equal(found.length, 1, `${type} has one public endpoint`);
    endpoints.set(type, new URL(found[0]?.url ?? '').pathname);
  }
  return { token: String(answer.headers['x-subject-token']), endpoints };
}

async function createVolume(base: string, name: string): Promise<string> {
  const { volume } = await bench.ask(202, 'POST', `${base}/volumes`, { body: { volume: { size: 1, name } } });
  return String((volume as Json).id);
}

/** Terraform's way to see that something is deleted: DELETE on every round until the status says so, then until 404. */
async function destroyBackup(url: string): Promise<void> {
  await bench.services.waitFor(async () => {
    const answer = await bench.send('GET', url);
    if (answer.statusCode === 404) return true;
    const { status } = answer.json<{ backup: Json }>().backup;
    assert.match(String(status), /^(available|deleting)$/);
    if (status !== 'deleting') assert.equal((await bench.send('DELETE', url)).statusCode, 202);
    return undefined;
  });
}

async function pollJob(url: string): Promise<Json> {
  return await bench.services.waitFor(async () => {
    const job = await bench.ask(200, 'GET', url);
    assert.match(String(job.status), /^(INIT|RUNNING|SUCCESS|FAIL)$/);
    for (const value of Object.values(job.entities as Json)) assert.match(typeof value, /^string$/);
    return job.status === 'SUCCESS' || job.status === 'FAIL' ? job : undefined;
  });
}

describe('Terraform, provider opentelekomcloud', () => {
  let vbs: string;
  let jobs: string;
  before(async () => {
    const { projectId } = bench.member;
    await bench.ask(200, 'GET', '/v3', { token: null });
    const { endpoints } = await logIn('/v3', { project: { id: projectId } });
    // The second login of every run; without it the provider gives up.
    const domain = await logIn('/v3', { domain: { name: 'Default' } });
    assert.ok(domain.token !== '');
    vbs = (endpoints.get('volumev2') ?? '').replace('evs', 'vbs');
    jobs = vbs.replace('v2', 'v1');
  });

  test('vbs_backup_v2: create, read, share, read the share, destroy both', async () => {
    const volumeId = await createVolume(vbs, 'terraform');
    const tags = [{ key: 'owner', value: 'terraform' }];
    const body = { backup: { volume_id: volumeId, name: 'tf-backup', description: 'made by terraform', tags } };
    const { job_id } = await bench.ask(200, 'POST', `${vbs}/cloudbackups`, { body });
    const job = await pollJob(`${jobs}/jobs/${String(job_id)}`);
    assert.deepEqual([job.status, job.error_code, job.fail_reason], ['SUCCESS', null, null]);
    const again = await bench.ask(200, 'GET', `${jobs}/jobs/${String(job_id)}`);
    const backupId = String((again.entities as Json).backup_id);
    const { backup } = (await bench.ask(200, 'GET', `${vbs}/backups/${backupId}`)) as { backup: Json };
    assert.equal(backup.status, 'available');

    const target = newHexId<ProjectId>();
    const shared = { shared: { backup_id: backupId, to_project_ids: [target] } };
    await bench.ask(200, 'POST', `${vbs}/os-vendor-backup-sharing`, { body: shared });
    const listed = await bench.ask(200, 'GET', `${vbs}/os-vendor-backup-sharing/detail?backup_id=${backupId}`);
    const [share] = listed.shared as { id: string; backup: Json }[];
    assert.deepEqual([share?.backup.name, share?.backup.size], ['tf-backup', 1]);
    await bench.ask(200, 'DELETE', `${vbs}/os-vendor-backup-sharing/${backupId}?is_backup_id=true`);
    await destroyBackup(`${vbs}/backups/${backupId}`);
    await bench.ask(404, 'GET', `${vbs}/backups/${backupId}`);
    await bench.ask(202, 'DELETE', `${vbs}/volumes/${volumeId}`);
  });

  test('vbs_backup_policy_v2: create, read by listing, change step by step, tags, volumes, destroy', async () => {
    const volumeId = await createVolume(vbs, 'in policy');
    const scheduled_policy = {
      start_time: '00:00,12:00',
      frequency: 1,
      rentention_num: 7,
      remain_first_backup_of_curMonth: 'N',
      status: 'ON',
    };
    const tags = [{ key: 'k', value: 'v' }];
    const created = await bench.ask(200, 'POST', `${vbs}/backuppolicy`, {
      body: { backup_policy_name: 'tf-policy', scheduled_policy, tags },
    });
    const id = String(created.backup_policy_id);
    const read = async (): Promise<Json> => {
      const { backup_policies } = await bench.ask(200, 'GET', `${vbs}/backuppolicy`);
      const found = (backup_policies as Json[]).find((policy) => policy.backup_policy_id === id);
      assert.ok(found !== undefined);
      return found;
    };
    const { timezone: _ours, ...shown } = (await read()).scheduled_policy as Json;
    assert.equal(shown.start_time, '00:00,12:00');
    assert.equal('week_frequency' in shown, false);
    assert.equal('rentention_day' in shown, false);

    const put = `${vbs}/backuppolicy/${id}`;
    for (const change of [
      { backup_policy_name: 'tf-renamed' },
      { backup_policy_name: 'tf-renamed', scheduled_policy: {} },
      { scheduled_policy: { week_frequency: ['MON', 'FRI'] } },
      { scheduled_policy: { rentention_day: 10 } },
      { scheduled_policy: { status: 'OFF' } },
    ]) {
      assert.deepEqual(await bench.ask(200, 'PUT', put, { body: change }), { backup_policy_id: id });
    }
    const changed = (await read()).scheduled_policy as Json;
    assert.deepEqual(changed.week_frequency, ['MON', 'FRI']);
    assert.deepEqual([changed.rentention_day, changed.status, 'frequency' in changed], [10, 'OFF', false]);
    assert.equal('rentention_num' in changed, false);

    const action = async (tagBody: unknown): Promise<void> => {
      assert.deepEqual(await bench.ask(204, 'POST', `${put}/tags/action`, { body: tagBody }), {});
    };
    await action({ action: 'delete', tags });
    await action({ action: 'create', tags: [{ key: 'k2', value: 'v2' }] });
    // With no tag to delete the provider sends no list at all.
    await action({ action: 'delete' });
    assert.deepEqual((await bench.ask(200, 'GET', `${put}/tags`)).tags, [{ key: 'k2', value: 'v2' }]);

    const resources = [{ resource_id: volumeId, resource_type: 'volume' }];
    const bound = await bench.ask(200, 'POST', `${vbs}/backuppolicyresources`, {
      body: { backup_policy_id: id, resources },
    });
    assert.deepEqual([(bound.success_resources as unknown[]).length, bound.fail_resources], [1, []]);
    assert.equal((await read()).policy_resource_count, 1);
    const freed = await bench.ask(200, 'POST', `${vbs}/backuppolicyresources/${id}/deleted_resources`, {
      body: { resources: [{ resource_id: volumeId }] },
    });
    assert.deepEqual([(freed.success_resources as unknown[]).length, freed.fail_resources], [1, []]);
    assert.deepEqual(await bench.ask(204, 'DELETE', put), {});
    await bench.ask(404, 'DELETE', put);
    await bench.ask(202, 'DELETE', `${vbs}/volumes/${volumeId}`);
  });
});

describe('Terraform, provider flexibleengine', () => {
  test('finds VBS through vbsv2, and does without tags of volumes', async () => {
    const { endpoints } = await logIn('/v3', { project: { name: 'lab', domain: { name: 'Default' } } });
    const vbs = endpoints.get('vbsv2') ?? '';
    assert.equal(vbs, bench.v2);
    const volumeId = await createVolume(vbs, 'flexible');
    await bench.ask(404, 'GET', `${vbs}/os-vendor-volumes/${volumeId}/tags`);
    const { volume } = (await bench.ask(200, 'GET', `${vbs}/volumes/${volumeId}`)) as { volume: Json };
    for (const key of ['id', 'status', 'size', 'availability_zone', 'volume_type', 'metadata', 'attachments']) {
      assert.ok(key in volume, key);
    }
    await bench.ask(202, 'DELETE', `${vbs}/volumes/${volumeId}?cascade=true`);
  });
});

describe('python-otcextensions', () => {
  test('backups: create by job below v2, list in pages, restore, delete', async () => {
    const { endpoints } = await logIn('/v3', { project: { name: 'lab', domain: { name: 'Default' } } });
    const vbs = endpoints.get('vbs') ?? '';
    const volumeId = await createVolume(vbs, 'otc');
    const backupIds: string[] = [];
    for (const name of ['otc-1', 'otc-2', 'otc-3']) {
      const body = { backup: { volume_id: volumeId, name, snapshot_id: null, description: null } };
      const { job_id } = await bench.ask(200, 'POST', `${vbs}/cloudbackups`, { body });
      const job = await pollJob(`${vbs}/jobs/${String(job_id)}`);
      backupIds.push(String((job.entities as Json).backup_id));
    }
    // Pages of two: the marker is the last id, and the end is an empty or a short page.
    const found: string[] = [];
    let marker = '';
    for (;;) {
      const page = await bench.ask(200, 'GET', `${vbs}/backups/detail?volume_id=${volumeId}&limit=2${marker}`);
      const ids = (page.backups as { id: string }[]).map(({ id }) => id);
      if (ids.length === 0) break;
      found.push(...ids);
      marker = `&marker=${ids.at(-1)}`;
    }
    assert.deepEqual(found.sort(), backupIds.sort());
    const body = { restore: { volume_id: volumeId } };
    const { job_id } = await bench.ask(200, 'POST', `${vbs}/cloudbackups/${backupIds[0]}/restore`, { body });
    assert.equal((await pollJob(`${vbs}/jobs/${String(job_id)}`)).status, 'SUCCESS');
    for (const id of backupIds) await destroyBackup(`${vbs}/backups/${id}`);
    await bench.ask(202, 'DELETE', `${vbs}/volumes/${volumeId}`);
  });

  test('policies: bind, run now without a body, read the tasks in pages, tags, free, delete', async () => {
    const vbs = bench.v2;
    const volumeId = await createVolume(vbs, 'otc-policy');
    const scheduled_policy = { start_time: '12:00', frequency: 2, rentention_num: 2, status: 'ON' };
    const created = await bench.ask(200, 'POST', `${vbs}/backuppolicy`, {
      body: {
        backup_policy_name: 'otc',
        scheduled_policy: { ...scheduled_policy, remain_first_backup_of_curMonth: 'N' },
      },
    });
    const id = String(created.backup_policy_id);
    const resources = [{ resource_id: volumeId, resource_type: 'volume' }];
    const bound = await bench.ask(200, 'POST', `${vbs}/backuppolicyresources`, {
      body: { backup_policy_id: id, resources },
    });
    for (const entry of bound.success_resources as Json[]) assert.equal('code' in entry, false);

    const run = await bench.send('POST', `${vbs}/backuppolicy/${id}/action`, { headers: { 'content-length': '0' } });
    assert.ok(run.statusCode >= 200 && run.statusCode < 300, run.body);
    const [task] = await bench.services.waitFor(async () => {
      const { tasks } = await bench.ask(200, 'GET', `${vbs}/backuppolicy/${id}/backuptasks?limit=1&sort_dir=desc`);
      const found = tasks as Json[];
      return /^EXECUTE_/.test(String(found[0]?.status)) ? found : undefined;
    });
    assert.equal(task?.status, 'EXECUTE_SUCCESS');
    assert.match(String(task?.backup_name), /^autobk/);
    const last = await bench.ask(
      200,
      'GET',
      `${vbs}/backuppolicy/${id}/backuptasks?limit=1&marker=${String(task?.job_id)}`,
    );
    assert.deepEqual(last.tasks, []);

    await bench.ask(204, 'POST', `${vbs}/backuppolicy/${id}/tags`, { body: { tag: { key: 'team', value: 'a' } } });
    await bench.ask(204, 'POST', `${vbs}/backuppolicy/${id}/tags`, { body: { tag: { key: 'team', value: 'b' } } });
    const filter = { action: 'filter', tags: [{ key: 'team', values: ['b'] }], limit: '10', offset: '0' };
    const hits = await bench.ask(200, 'POST', `${vbs}/backuppolicy/resource_instances/action`, { body: filter });
    assert.deepEqual([hits.total_count, (hits.resources as Json[])[0]?.resource_id], [1, id]);
    await bench.ask(204, 'DELETE', `${vbs}/backuppolicy/${id}/tags/team`);
    await bench.ask(404, 'DELETE', `${vbs}/backuppolicy/${id}/tags/team`);
    await bench.ask(200, 'POST', `${vbs}/backuppolicyresources/${id}/deleted_resources`, { body: { resources } });
    await bench.ask(204, 'DELETE', `${vbs}/backuppolicy/${id}`);
  });
});

describe('huaweicloud-sdk-python', () => {
  test('asks the origin for versions, and takes the path of the one that it wants', async () => {
    const root = await bench.ask(300, 'GET', '/', { token: null });
    for (const { id, links } of root.versions as { id: string; links: { rel: string; href: string }[] }[]) {
      const self = links.find(({ rel }) => rel === 'self');
      const path = new URL(self?.href ?? '').pathname;
      assert.equal(path, id.startsWith('v2') ? '/v2/' : '/v3/', id);
    }
  });

  test('sends a JSON content type with empty bodies, asks again after the last page, indexes both lists', async () => {
    const send = { headers: JSON_TYPE };
    const volumeId = await createVolume(bench.v2, 'huawei');
    const body = { backup: { volume_id: volumeId, name: 'huawei' } };
    const { job_id } = await bench.ask(200, 'POST', `${bench.v2}/cloudbackups`, { body });
    const job = await pollJob(`${bench.v2}/jobs/${String(job_id)}`);
    const backupId = String((job.entities as Json).backup_id);
    const first = await bench.ask(200, 'GET', `${bench.v2}/backups?volume_id=${volumeId}`, send);
    assert.equal((first.backups as unknown[]).length, 1);
    const second = await bench.ask(
      200,
      'GET',
      `${bench.v2}/backups?volume_id=${volumeId}&limit=1&marker=${backupId}`,
      send,
    );
    assert.deepEqual(second.backups, []);
    const created = await bench.ask(200, 'POST', `${bench.v2}/backuppolicy`, {
      body: {
        backup_policy_name: 'huawei',
        scheduled_policy: {
          start_time: '12:00',
          frequency: 1,
          rentention_num: 2,
          remain_first_backup_of_curMonth: 'N',
          status: 'ON',
        },
      },
    });
    const policy = `${bench.v2}/backuppolicy/${String(created.backup_policy_id)}`;
    const resources = { resources: [{ resource_id: volumeId, resource_type: 'volume' }] };
    const bindings = policy.replace('backuppolicy', 'backuppolicyresources');
    await bench.ask(200, 'POST', bindings.slice(0, bindings.lastIndexOf('/')), {
      body: { backup_policy_id: created.backup_policy_id, ...resources },
    });
    assert.equal((await bench.send('POST', `${policy}/action`, send)).statusCode, 204);
    await bench.services.waitFor(async () => {
      const { tasks } = await bench.ask(200, 'GET', `${policy}/backuptasks`, send);
      return (tasks as Json[]).every(({ status }) => /^EXECUTE_/.test(String(status))) ? true : undefined;
    });
    const freed = await bench.ask(200, 'POST', `${bindings}/deleted_resources`, { body: resources });
    assert.deepEqual([Array.isArray(freed.success_resources), Array.isArray(freed.fail_resources)], [true, true]);
    await bench.ask(204, 'DELETE', policy, send);
    await bench.ask(202, 'DELETE', `${bench.v2}/backups/${backupId}`, send);
  });
});

describe('huaweicloud-sdk-java', () => {
  test('backs up and restores by jobs below v1, with times that its patterns take', async () => {
    const volumeId = await createVolume(bench.v2, 'java');
    const body = { backup: { volume_id: volumeId, name: 'java', description: 'from java' } };
    const { job_id } = await bench.ask(200, 'POST', `${bench.v2}/cloudbackups`, { body });
    const job = await pollJob(`${bench.v1}/jobs/${String(job_id)}`);
    for (const key of ['begin_time', 'end_time']) {
      assert.match(String(job[key]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, key);
    }
    const backupId = String((job.entities as Json).backup_id);
    const { backups } = await bench.ask(200, 'GET', `${bench.v2}/backups?name=java`);
    assert.equal('volume_id' in ((backups as Json[])[0] ?? {}), false);
    const restore = await bench.ask(200, 'POST', `${bench.v2}/cloudbackups/${backupId}/restore`, {
      body: { restore: { volume_id: volumeId } },
    });
    assert.equal((await pollJob(`${bench.v1}/jobs/${String(restore.job_id)}`)).job_type, 'bksRestoreBackup');
    const deletion = await bench.ask(200, 'POST', `${bench.v2}/cloudbackups/${backupId}`);
    assert.equal((await pollJob(`${bench.v1}/jobs/${String(deletion.job_id)}`)).job_type, 'bksDeleteBackup');
  });
});
