// What the published VBS clients (Go SDK, Terraform providers, Python SDKs, Java SDK) break without: login and catalog,
// HTTP rules, types and dates, backups, jobs, sharing. Policies have theirs with the other tests of policies.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newHexId, newUuid, type ProjectId } from '../../src/core/ids.ts';
import { ApiBench, passwordRequest } from '../support/api-bench.ts';

type Json = Record<string, unknown>;

let bench: ApiBench;
let volumeId: string;
let backupId: string;
let jobId: string;
before(async () => {
  bench = await ApiBench.start();
  await bench.services.runner.start();
  const { volume } = await bench.ask(202, 'POST', `${bench.v2}/volumes`, {
    body: { volume: { size: 1, name: 'disk' } },
  });
  volumeId = (volume as { id: string }).id;
  ({ backupId, jobId } = await backUp('first'));
});
after(() => bench[Symbol.asyncDispose]());

async function backUp(name: string): Promise<{ backupId: string; jobId: string }> {
  const body = { backup: { volume_id: volumeId, name, snapshot_id: null, description: 'x' } };
  const answer = await bench.ask(200, 'POST', `${bench.v2}/cloudbackups`, { body });
  const id = String(answer.job_id);
  const job = await bench.waitForJob(id);
  return { backupId: String((job.entities as Json).backup_id), jobId: id };
}

const NATIVE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/;
const JOB_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe('login and catalog', () => {
  test('a second login with domain scope succeeds: Terraform gives up otherwise', async () => {
    const body = passwordRequest('ops', { domain: { name: 'Default' } });
    const answer = await bench.send('POST', '/identity/v3/auth/tokens', { token: null, body });
    assert.equal(answer.statusCode, 201, answer.body);
    const { token } = answer.json<Json>();
    assert.equal((token as Json).project, undefined);
    assert.deepEqual(Object.keys((token as { domain: Json }).domain).sort(), ['id', 'name']);
    // It opens no project.
    const send = { token: String(answer.headers['x-subject-token']) };
    await bench.ask(200, 'GET', '/identity/v3/auth/projects', send);
    await bench.assertVbsFault(403, 'VolumeBackup.0042', 'GET', `${bench.v2}/cloudbackups/quota`, send);
    await bench.assertFault(400, 'badRequest', 'GET', `${bench.v3}/backups`, send);
  });

  test('the catalog has one endpoint a type, interface and region; URLs end in the project', async () => {
    type Entry = { type: string; endpoints: { interface: string; region: string; region_id: string; url: string }[] };
    const { catalog } = (await bench.ask(200, 'GET', '/identity/v3/auth/catalog')) as unknown as { catalog: Entry[] };
    const { projectId } = bench.member;
    const urls = new Map<string, string>();
    for (const { type, endpoints } of catalog) {
      const places = endpoints.map((endpoint) => `${endpoint.interface} ${endpoint.region}`);
      assert.equal(new Set(places).size, places.length, type);
      for (const endpoint of endpoints) {
        assert.deepEqual([endpoint.region, endpoint.region_id], ['region-1', 'region-1']);
        if (endpoint.interface === 'public') urls.set(type, endpoint.url);
      }
    }
    for (const type of ['vbs', 'vbsv2', 'volumev2']) {
      const url = urls.get(type) ?? '';
      assert.equal(url, `http://vbs.example.net/v2/${projectId}`, type);
      assert.equal(url.replace('v2', 'v1'), `http://vbs.example.net/v1/${projectId}`);
    }
    for (const type of ['volumev3', 'block-storage'])
      assert.equal(urls.get(type), `http://vbs.example.net/v3/${projectId}`);
  });
});

describe('HTTP', () => {
  test('an empty body with a JSON content type is taken on every method, Accept may be anything usual', async () => {
    const headers = { 'content-type': 'application/json' };
    for (const path of [
      'cloudbackups/quota',
      `jobs/${jobId}`,
      'os-vendor-backup-sharing/detail',
      'backups',
      'volumes',
    ]) {
      await bench.ask(200, 'GET', `${bench.v2}/${path}`, { headers });
      for (const accept of ['application/json', '*/*', '']) {
        await bench.ask(200, 'GET', `${bench.v2}/${path}`, { headers: { accept } });
      }
    }
    const { shared } = await bench.ask(200, 'POST', `${bench.v2}/os-vendor-backup-sharing`, {
      body: { shared: { backup_id: backupId, to_project_ids: [newHexId<ProjectId>()] } },
    });
    const [{ id }] = shared as [{ id: string }];
    await bench.ask(200, 'DELETE', `${bench.v2}/os-vendor-backup-sharing/${id}`, { headers });
    await bench.ask(404, 'DELETE', `${bench.v2}/os-vendor-backup-sharing/${id}`, { headers });
  });

  test('what is not there is 404: Terraform refreshes and destroys by it', async () => {
    for (const path of [`backups/${newUuid()}`, `jobs/${newUuid()}`, `os-vendor-backup-sharing/${newUuid()}`]) {
      await bench.ask(404, 'GET', `${bench.v2}/${path}`);
    }
    await bench.ask(404, 'DELETE', `${bench.v2}/backups/${newUuid()}`);
  });

  test('a list answer holds one array besides links: the Go pager merges all others into the result', async () => {
    const { v1, v2 } = bench;
    for (const path of [
      `${v2}/backups?limit=1`,
      `${v2}/backups/detail?limit=1`,
      `${v2}/os-vendor-backup-sharing/detail`,
      `${v1}/jobs`,
      `${v1}/traces`,
      `${v2}/volumes?limit=1`,
    ]) {
      const answer = await bench.ask(200, 'GET', path);
      const arrays = Object.entries(answer).filter(([key, value]) => Array.isArray(value) && !key.endsWith('links'));
      assert.equal(arrays.length, 1, path);
    }
  });
});

describe('backups and jobs', () => {
  test('the job is the same document below v1 and v2, with strings in entities and the id of the backup', async () => {
    const job = await bench.ask(200, 'GET', `${bench.v1}/jobs/${jobId}`);
    assert.deepEqual(await bench.ask(200, 'GET', `${bench.v2}/jobs/${jobId}`), job);
    assert.deepEqual(
      [job.status, job.job_type, job.error_code, job.fail_reason],
      ['SUCCESS', 'bksCreateBackup', null, null],
    );
    for (const value of Object.values(job.entities as Json)) assert.equal(typeof value, 'string');
    assert.equal((job.entities as Json).backup_id, backupId);
    assert.match(String(job.begin_time), JOB_TIME);
    assert.match(String(job.end_time), JOB_TIME);
    assert.deepEqual(job.sub_jobs, []);
  });

  test('a failed job tells code and reason as strings', async () => {
    const { store } = bench.services;
    store.setRules([{ operation: ['write', 'commit'], effect: 'ENOSPC' }]);
    const volume = { size: 1, name: 'other' };
    const made = await bench.ask(202, 'POST', `${bench.v2}/volumes`, { body: { volume } });
    const body = { backup: { volume_id: (made.volume as { id: string }).id, name: 'fails' } };
    const row = await bench.services.catalog.volumes.get(bench.member.projectId, body.backup.volume_id as never);
    assert.ok(row !== undefined);
    await bench.services.writeDisk(row, [{ offsetBytes: 0, bytes: Buffer.alloc(4096, 1) }]);
    const answer = await bench.ask(200, 'POST', `${bench.v2}/cloudbackups`, { body });
    const projectId = bench.member.projectId;
    const failed = await bench.services.waitFor(async () => {
      bench.services.clock.advance(1000);
      bench.services.runner.wake();
      const job = await bench.services.catalog.jobs.get(projectId, String(answer.job_id) as never);
      return job?.status === 'FAIL' ? job : undefined;
    });
    store.setRules([]);
    const job = await bench.ask(200, 'GET', `${bench.v1}/jobs/${failed.jobId}`);
    assert.deepEqual([job.status, job.error_code, typeof job.fail_reason], ['FAIL', 'VolumeBackup.0064', 'string']);
    await bench.ask(202, 'DELETE', `${bench.v2}/backups/${String((job.entities as Json).backup_id)}`);
  });

  test('the backup is available when its job is SUCCESS, with the types that typed clients decode', async () => {
    const { backup } = (await bench.ask(200, 'GET', `${bench.v2}/backups/${backupId}`)) as { backup: Json };
    assert.equal(backup.status, 'available');
    for (const key of ['created_at', 'updated_at', 'data_timestamp'])
      assert.match(String(backup[key]), NATIVE_TIME, key);
    for (const key of ['size', 'object_count']) assert.ok(Number.isInteger(backup[key]), key);
    for (const key of ['has_dependent_backups', 'is_incremental']) assert.equal(typeof backup[key], 'boolean', key);
    assert.equal(typeof backup.service_metadata, 'string');
    assert.deepEqual(JSON.parse(String(backup.description)), { DESC: 'x', INC: 1 });
    const { backups } = (await bench.ask(200, 'GET', `${bench.v2}/backups`)) as { backups: Json[] };
    for (const summary of backups) assert.deepEqual(Object.keys(summary).sort(), ['id', 'links', 'name']);
  });

  test('paging by marker goes on after it and ends with an empty page', async () => {
    const second = await backUp('second');
    const { backups } = (await bench.ask(200, 'GET', `${bench.v2}/backups/detail?status=available`)) as {
      backups: Json[];
    };
    assert.deepEqual(
      backups.map(({ id }) => id),
      [second.backupId, backupId],
    );
    const page = async (marker: string) =>
      (
        (await bench.ask(200, 'GET', `${bench.v2}/backups/detail?status=available&limit=1&marker=${marker}`))
          .backups as Json[]
      ).map(({ id }) => id);
    assert.deepEqual(await page(second.backupId), [backupId]);
    assert.deepEqual(await page(backupId), []);
  });

  test('deleting: 202, then deleting or gone, and never anything else; once gone, 404', async () => {
    const { backupId: doomed } = await backUp('doomed');
    const url = `${bench.v2}/backups/${doomed}`;
    assert.equal((await bench.send('DELETE', url)).statusCode, 202);
    await bench.services.waitFor(async () => {
      const answer = await bench.send('GET', url);
      if (answer.statusCode === 404) return true;
      assert.equal(answer.json<{ backup: Json }>().backup.status, 'deleting');
      return undefined;
    });
    await bench.ask(404, 'DELETE', url);
  });

  test('restoring answers 200 with a job, natively 202 with three strings', async () => {
    const body = { restore: { volume_id: volumeId } };
    const { job_id } = await bench.ask(200, 'POST', `${bench.v2}/cloudbackups/${backupId}/restore`, { body });
    assert.equal((await bench.waitForJob(String(job_id))).status, 'SUCCESS');
    const { restore } = (await bench.ask(202, 'POST', `${bench.v2}/backups/${backupId}/restore`, { body })) as {
      restore: Json;
    };
    assert.deepEqual(restore, { backup_id: backupId, volume_id: volumeId, volume_name: 'disk' });
    const { backup } = (await bench.ask(200, 'GET', `${bench.v2}/backups/${backupId}`)) as { backup: Json };
    assert.match(String(backup.status), /^(restoring|available)$/);
    await bench.services.waitFor(async () => {
      const row = await bench.services.catalog.backups.find(backupId as never);
      return row?.status === 'available' ? true : undefined;
    });
  });
});

describe('sharing', () => {
  const url = () => `${bench.v2}/os-vendor-backup-sharing`;

  test('what was shared is in the list at once, as element 0, with the whole backup', async () => {
    assert.deepEqual((await bench.ask(200, 'GET', `${url()}/detail`)).shared, []);
    const target = newHexId<ProjectId>();
    const body = { shared: { backup_id: backupId, to_project_ids: [target] } };
    const created = (await bench.ask(200, 'POST', url(), { body })).shared as Json[];
    assert.equal(created.length, 1);
    assert.equal(created[0]?.deleted, null);
    assert.match(String(created[0]?.created_at), NATIVE_TIME);
    const query = `?backup_id=${backupId}&to_project_id=${target}&share_to_me=false&limit=10&offset=0&sort_dir=asc`;
    const [listed] = (await bench.ask(200, 'GET', `${url()}/detail${query}`)).shared as { id: string; backup: Json }[];
    assert.equal(listed?.id, created[0]?.id);
    for (const key of ['name', 'status', 'size', 'availability_zone', 'container', 'volume_id', 'service_metadata']) {
      assert.ok(key in (listed?.backup ?? {}), key);
    }
    const one = await bench.ask(200, 'GET', `${url()}/${listed?.id}`);
    assert.ok(!Array.isArray(one.shared));
    assert.equal((await bench.send('DELETE', `${url()}/${backupId}?is_backup_id=true`)).statusCode, 200);
    assert.deepEqual((await bench.ask(200, 'GET', `${url()}/detail`)).shared, []);
  });
});
