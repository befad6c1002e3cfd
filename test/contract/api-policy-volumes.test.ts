// /backuppolicyresources, and what holds for the whole policy family: tokens, roles, empty bodies, ids of other
// projects (contract 1.5, 3.14, 3.15; clients' rules about empty bodies).
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newUuid, type VolumeId } from '../../src/core/ids.ts';
import type { VolumeStatus } from '../../src/core/model.ts';
import { ApiBench } from '../support/api-bench.ts';
import { type Association, type PolicyJson, policyCalls } from '../support/policy-calls.ts';

let bench: ApiBench;
before(async () => {
  bench = await ApiBench.start({ policyLimits: { maxVolumes: 3 } });
});
after(() => bench[Symbol.asyncDispose]());
const calls = policyCalls(() => bench);
const { url, volumesUrl, create, show, remove, withPolicy, makeVolume, associate, disassociate } = calls;

type Json = Record<string, unknown>;

describe('volumes of policies', () => {
  const place = { availability_zone: 'az-1' };

  test('the documented answer: successes without code, failures with it, both lists always', async () => {
    await withPolicy(async (policyId) => {
      const volumeId = await makeVolume();
      const unknownId = newUuid();
      const { success_resources, fail_resources } = await associate(policyId, volumeId, unknownId);
      const success: Json = success_resources[0] ?? {};
      assert.deepEqual(Object.keys(success), ['resource_id', 'resource_type', 'availability_zone', 'os_vol_host_attr']);
      assert.equal(typeof success.os_vol_host_attr, 'string');
      assert.deepEqual(success, { ...success, resource_id: volumeId, resource_type: 'volume', ...place });
      const [failure] = fail_resources;
      assert.equal(typeof failure?.message, 'string');
      assert.deepEqual(failure, {
        resource_id: unknownId,
        resource_type: 'volume',
        availability_zone: null,
        os_vol_host_attr: null,
        code: 'AutoBackup.1400',
        message: failure?.message,
      });
      assert.equal((await show(policyId)).policy_resource_count, 1);
    });
  });

  test('twice is no matter; another policy takes the volume over', async () => {
    const [first, second] = [await create(), await create()];
    const volumeId = await makeVolume();
    for (const policyId of [first, first, second]) {
      const { success_resources, fail_resources } = await associate(policyId, volumeId);
      assert.deepEqual([success_resources.length, fail_resources], [1, []]);
    }
    assert.deepEqual([(await show(first)).policy_resource_count, (await show(second)).policy_resource_count], [0, 1]);
    await remove(first);
    await remove(second);
  });

  test('states that forbid it, the limit of volumes, ids that none can have', async () => {
    await withPolicy(async (policyId) => {
      const volumeId = await makeVolume();
      const states: VolumeStatus[] = ['error', 'error_deleting', 'error_extending', 'error_restoring', 'deleting'];
      for (const status of states) {
        await bench.services.setVolume(volumeId as VolumeId, { status });
        const { fail_resources } = await associate(policyId, volumeId);
        assert.deepEqual([fail_resources[0]?.code, fail_resources[0]?.availability_zone], ['AutoBackup.0206', 'az-1']);
      }
      await bench.services.setVolume(volumeId as VolumeId, { status: 'in-use' });
      const others = [await makeVolume(), await makeVolume(), await makeVolume()];
      const { success_resources, fail_resources } = await associate(policyId, volumeId, 'x', ...others);
      assert.deepEqual(
        success_resources.map((entry) => entry.resource_id),
        [volumeId, ...others.slice(0, 2)],
      );
      assert.deepEqual(
        fail_resources.map((entry) => [entry.resource_id, entry.code]),
        [
          ['x', 'AutoBackup.1400'],
          [others[2], 'AutoBackup.0204'],
        ],
      );
    });
  });

  test('violations', async () => {
    await withPolicy(async (policyId) => {
      const resources = [{ resource_id: newUuid(), resource_type: 'volume' }];
      const cases: [number, string, object | null][] = [
        [400, 'AutoBackup.0000', null],
        [400, 'AutoBackup.0006', { resources }],
        [400, 'AutoBackup.0006', { backup_policy_id: '', resources }],
        [400, 'AutoBackup.0001', { backup_policy_id: policyId }],
        [400, 'AutoBackup.0001', { backup_policy_id: policyId, resources: null }],
        [400, 'AutoBackup.0207', { backup_policy_id: policyId, resources: [] }],
        [400, 'AutoBackup.0209', { backup_policy_id: policyId, resources: [{ resource_type: 'volume' }] }],
        [400, 'AutoBackup.0209', { backup_policy_id: policyId, resources: [{ resource_id: '' }] }],
        [400, 'AutoBackup.0211', { backup_policy_id: policyId, resources: [{ resource_id: 'x' }] }],
        [400, 'AutoBackup.0211', { backup_policy_id: newUuid(), resources: [{ resource_id: 'x' }] }],
        [404, 'AutoBackup.0205', { backup_policy_id: newUuid(), resources }],
        [404, 'AutoBackup.0205', { backup_policy_id: 'x', resources }],
      ];
      for (const [status, code, body] of cases) {
        await bench.assertVbsFault(status, code, 'POST', volumesUrl(), { body });
      }
      const out = `${volumesUrl()}/${policyId}/deleted_resources`;
      await bench.assertVbsFault(400, 'AutoBackup.0000', 'POST', out);
      await bench.assertVbsFault(400, 'AutoBackup.0001', 'POST', out, { body: {} });
      await bench.assertVbsFault(400, 'AutoBackup.0207', 'POST', out, { body: { resources: [] } });
      await bench.assertVbsFault(400, 'AutoBackup.0209', 'POST', out, { body: { resources: [{ resource_id: ' ' }] } });
      const unknown = `${volumesUrl()}/${newUuid()}/deleted_resources`;
      await bench.assertVbsFault(400, 'AutoBackup.0207', 'POST', unknown, { body: { resources: [] } });
      await bench.assertVbsFault(404, 'AutoBackup.0205', 'POST', unknown, { body: { resources } });
    });
  });

  test('taking out: the documented answer, other keys ignored, what is not in it fails', async () => {
    await withPolicy(async (policyId) => {
      const volumeId = await makeVolume();
      await associate(policyId, volumeId);
      const body = {
        backup_policy_id: 'ignored',
        resources: [{ resource_id: volumeId, resource_type: 'ignored' }, { resource_id: newUuid() }],
      };
      const answer = await bench.ask(200, 'POST', `${volumesUrl()}/${policyId}/deleted_resources`, { body });
      const { success_resources, fail_resources } = answer as Association;
      assert.deepEqual(success_resources, [{ resource_id: volumeId }]);
      assert.deepEqual(Object.keys(fail_resources[0] ?? {}), ['resource_id', 'code', 'message']);
      assert.equal(fail_resources[0]?.code, 'AutoBackup.1400');
      assert.equal((await show(policyId)).policy_resource_count, 0);
      const again = await disassociate(policyId, volumeId);
      assert.deepEqual([again.success_resources, again.fail_resources[0]?.code], [[], 'AutoBackup.1400']);
    });
  });

  test('the list has keys of its own, filters and pages; count is of all that match', async () => {
    await withPolicy(async (policyId) => {
      const [alpha, beta] = [await makeVolume('alpha'), await makeVolume('beta')];
      await associate(policyId, alpha);
      await associate(policyId, beta);
      const get = async (query = '') =>
        (await bench.ask(200, 'GET', `${volumesUrl()}/${policyId}${query}`)) as { resources: Json[]; count: number };
      const { resources, count } = await get();
      assert.equal(count, 2);
      const first: Json = resources[0] ?? {};
      assert.deepEqual(Object.keys(first), [
        'resource_id',
        'resource_type',
        'resource_name',
        'status',
        'size',
        'availability_zone',
        'os_vol_host_attr',
        'associated_at',
      ]);
      assert.match(String(first.associated_at), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}$/);
      assert.deepEqual(first, {
        ...first,
        ...{ resource_id: alpha, resource_type: 'volume', resource_name: 'alpha', status: 'available', size: 1 },
      });
      const idsOf = async (query: string) => {
        const page = await get(query);
        return [page.resources.map((entry) => entry.resource_id), page.count];
      };
      assert.deepEqual(await idsOf('?name=lph'), [[alpha], 1]);
      assert.deepEqual(await idsOf(`?id=${beta.toUpperCase()}`), [[beta], 1]);
      assert.deepEqual(await idsOf('?status=in-use'), [[], 0]);
      assert.deepEqual(await idsOf('?status=available&limit=1&offset=1'), [[beta], 2]);
      await bench.assertVbsFault(400, 'AutoBackup.0008', 'GET', `${volumesUrl()}/${policyId}?limit=x`);
      await bench.ask(202, 'DELETE', `${bench.v3}/volumes/${alpha}`);
      await bench.services.runner.start();
      await bench.services.waitFor(async () => ((await get()).count === 1 ? true : undefined));
    });
    await bench.assertVbsFault(404, 'AutoBackup.1100', 'GET', `${volumesUrl()}/${newUuid()}`);
  });
});

describe('what holds for the whole family', () => {
  test('tokens, roles and projects have codes of their own', async () => {
    for (const path of [url(), `${volumesUrl()}/x`]) {
      await bench.assertVbsFault(401, 'AutoBackup.0002', 'GET', path, { token: null });
      await bench.assertVbsFault(401, 'AutoBackup.0002', 'GET', path, { token: ' ' });
      await bench.assertVbsFault(401, 'AutoBackup.0003', 'GET', path, { token: 'unknown' });
      await bench.assertVbsFault(403, 'AutoBackup.0213', 'GET', path, { token: bench.stranger.token });
      await bench.assertVbsFault(406, 'AutoBackup.0008', 'GET', path, { headers: { accept: 'text/html' } });
    }
    await bench.assertVbsFault(405, 'AutoBackup.0008', 'PATCH', url());
    await bench.assertVbsFault(404, 'AutoBackup.0008', 'GET', `${url()}/default`);
    await bench.assertVbsFault(404, 'AutoBackup.0008', 'GET', `${url()}/x/y/z`);
  });

  test('token and project are judged before the body', async () => {
    const text = '{';
    await bench.assertVbsFault(401, 'AutoBackup.0003', 'POST', url(), { token: 'unknown', text });
    await bench.assertVbsFault(403, 'AutoBackup.0213', 'POST', url(), { token: bench.stranger.token, text });
    await bench.assertVbsFault(403, 'AutoBackup.0213', 'POST', url(), { token: bench.reader.token, text });
  });

  test('an empty body with a JSON content type, and any Accept that takes JSON', async () => {
    const headers = { 'content-type': 'application/json' };
    await withPolicy(async (policyId) => {
      await bench.ask(200, 'GET', `${url()}/${policyId}`, { headers });
      await bench.assertVbsFault(400, 'AutoBackup.1700', 'POST', `${url()}/${policyId}/action`, { headers });
      for (const accept of ['', '*/*', 'application/json']) {
        await bench.ask(200, 'GET', url(), { headers: { accept } });
      }
    });
    const policyId = await create();
    const answer = await bench.send('DELETE', `${url()}/${policyId}`, { headers });
    assert.deepEqual([answer.statusCode, answer.body, answer.headers['content-type']], [204, '', undefined]);
    assert.equal(answer.headers['x-request-id'], answer.headers['x-openstack-request-id']);
  });

  test("another project's policies and volumes are like unknown ones", async () => {
    await withPolicy(async (policyId) => {
      const { token, projectId } = bench.stranger;
      const base = `/v2/${projectId}/backuppolicy`;
      const volumeId = await makeVolume();
      const resources = [{ resource_id: volumeId, resource_type: 'volume' }];
      const requests: [string, string, string, unknown?][] = [
        ['AutoBackup.1100', 'GET', `${base}/ID`],
        ['AutoBackup.0205', 'PUT', `${base}/ID`, { scheduled_policy: { status: 'ON' } }],
        ['AutoBackup.0205', 'DELETE', `${base}/ID`],
        ['AutoBackup.0205', 'POST', `${base}/ID/action`],
        ['AutoBackup.1100', 'GET', `${base}/ID/backuptasks`],
        ['AutoBackup.1100', 'GET', `${base}/ID/retention_preview`],
        ['AutoBackup.1100', 'GET', `${base}/ID/tags`],
        ['AutoBackup.0205', 'POST', `${base}/ID/tags`, { tag: { key: 'a', value: '' } }],
        ['AutoBackup.0205', 'DELETE', `${base}/ID/tags/a`],
        ['AutoBackup.0205', 'POST', `${base}/ID/tags/action`, { action: 'delete' }],
        ['AutoBackup.0205', 'POST', `${base}resources`, { backup_policy_id: 'ID', resources }],
        ['AutoBackup.0205', 'POST', `${base}resources/ID/deleted_resources`, { resources }],
        ['AutoBackup.1100', 'GET', `${base}resources/ID`],
      ];
      for (const [code, method, path, body] of requests) {
        const answers = [];
        for (const id of [policyId, newUuid()]) {
          const text = body === undefined ? {} : { text: JSON.stringify(body).replace('"ID"', `"${id}"`) };
          const target = path.replace('ID', id);
          await bench.assertVbsFault(404, code, method, target, { token, ...text });
          const answer = await bench.send(method, target, { token, ...text });
          answers.push(answer.body.replaceAll(id, 'ID'));
        }
        assert.equal(answers[0], answers[1], path);
      }
      const own = (await bench.ask(200, 'GET', base, { token })).backup_policies as PolicyJson[];
      const body = { backup_policy_id: own[0]?.backup_policy_id, resources };
      const foreign = (await bench.ask(200, 'POST', `${base}resources`, { token, body })) as Association;
      assert.equal(foreign.fail_resources[0]?.code, 'AutoBackup.1400');
      assert.equal(foreign.fail_resources[0]?.availability_zone, null);
    });
  });
});
