// Running policies through the API: run now, tasks, what retention would do (contract 3.12, 3.13, 5.5; seed 004). The
// scheduler looks when it is told to, the runner of jobs when a test starts it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newUuid, type PolicyId, type TaskId, type VolumeId } from '../../src/core/ids.ts';
import { ApiBench } from '../support/api-bench.ts';
import { policyCalls } from '../support/policy-calls.ts';

type Json = Record<string, unknown>;

const TASK_KEYS = [
  'status',
  'job_id',
  'created_at',
  'finished_at',
  'backup_name',
  'resource_id',
  'resource_type',
  'vbs_job_id',
];
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}$/;

describe('run now', () => {
  let bench: ApiBench;
  const { url, makeVolume, create, run, tasks, ended, createWith } = policyCalls(() => bench);
  before(async () => {
    bench = await ApiBench.start();
  });
  after(() => bench[Symbol.asyncDispose]());

  test('an unknown policy, one without volumes, a body that is none', async () => {
    for (const id of [newUuid(), 'x']) {
      await bench.assertVbsFault(404, 'AutoBackup.0205', 'POST', `${url()}/${id}/action`);
    }
    const policyId = await create();
    const action = `${url()}/${policyId}/action`;
    await bench.assertVbsFault(400, 'AutoBackup.1700', 'POST', action);
    for (const text of ['null', '{}', '{"unknown":1}']) {
      await bench.assertVbsFault(400, 'AutoBackup.1700', 'POST', action, { text });
    }
    for (const text of ['[]', '"x"', '{']) await bench.assertVbsFault(400, 'AutoBackup.0008', 'POST', action, { text });
    await bench.assertVbsFault(403, 'AutoBackup.0213', 'POST', action, { token: bench.reader.token });
  });

  test('one task a volume; while they are open neither a second run nor a deletion', async () => {
    const volumeIds = [await makeVolume(), await makeVolume()];
    const tags = [{ key: 'tier', value: 'gold' }];
    const policyId = await createWith(volumeIds, { tags });
    await run(policyId);
    // The look that the run has woken, and what it hands over, must not fall between two comparisons of rows.
    await bench.services.scheduler.lookOnce();
    const open = await tasks(policyId);
    assert.equal(open.count, 2);
    for (const task of open.tasks) assert.ok(['WAITING', 'RUNNING'].includes(String(task.status)));
    assert.ok(open.tasks.every((task) => !('finished_at' in task)));
    await bench.assertVbsFault(409, 'AutoBackup.0225', 'POST', `${url()}/${policyId}/action`);
    await bench.assertVbsFault(409, 'AutoBackup.0225', 'DELETE', `${url()}/${policyId}`);
    await bench.services.runner.start();
    const done = await ended(policyId);
    assert.deepEqual(new Set(done.tasks.map((task) => task.resource_id)), new Set(volumeIds));
    for (const task of done.tasks) {
      assert.deepEqual(Object.keys(task), TASK_KEYS);
      assert.equal(task.status, 'EXECUTE_SUCCESS', JSON.stringify(task));
      assert.equal(task.resource_type, 'volume');
      assert.match(String(task.backup_name), /^autobk_[0-9a-f]{4}$/);
      assert.match(String(task.created_at), TIME);
      assert.match(String(task.finished_at), TIME);
      const job = await bench.ask(200, 'GET', `${bench.v1}/jobs/${task.vbs_job_id}`);
      const { backup_id } = job.entities as { backup_id: string };
      const { backup } = (await bench.ask(200, 'GET', `${bench.v2}/backups/${backup_id}`)) as { backup: Json };
      assert.deepEqual(
        [backup.name, backup.status, backup.volume_id, backup.description],
        [task.backup_name, 'available', task.resource_id, '{"DESC":"","INC":1}'],
      );
      const copied = await bench.ask(200, 'GET', `${bench.v2}/cloudbackups/${backup_id}/tags`);
      assert.deepEqual(copied, { tags });
    }
    await run(policyId);
    assert.equal((await ended(policyId)).count, 4);
  });

  test('a volume that is gone or in a bad state fails its own task only', async () => {
    const volumeIds = [await makeVolume(), await makeVolume()];
    const policyId = await createWith(volumeIds);
    await bench.services.setVolume(volumeIds[0] as VolumeId, { status: 'error' });
    await run(policyId);
    const { tasks: all } = await ended(policyId);
    const statusOf = (volumeId?: string) => all.find((task) => task.resource_id === volumeId);
    assert.equal(statusOf(volumeIds[1])?.status, 'EXECUTE_SUCCESS');
    const failed = statusOf(volumeIds[0]) ?? {};
    assert.deepEqual([failed.status, failed.code], ['EXECUTE_FAIL', 'AutoBackup.0206']);
    assert.equal(typeof failed.message, 'string');
    assert.ok(!('backup_name' in failed) && !('vbs_job_id' in failed));
  });

  test('a deleted policy leaves its backups', async () => {
    const volumeId = await makeVolume();
    const policyId = await createWith([volumeId]);
    await run(policyId);
    await ended(policyId);
    await bench.ask(204, 'DELETE', `${url()}/${policyId}`);
    const { backups } = await bench.ask(200, 'GET', `${bench.v3}/backups?volume_id=${volumeId}`);
    assert.equal((backups as Json[]).length, 1);
  });
});

describe('quotas', () => {
  let bench: ApiBench;
  const { url, makeVolume, run, ended, createWith } = policyCalls(() => bench);
  before(async () => {
    bench = await ApiBench.start({ limits: { backups: 1 } });
    await bench.services.runner.start();
  });
  after(() => bench[Symbol.asyncDispose]());

  test('a quota that is short fails a task; one that is exhausted refuses the run', async () => {
    const policyId = await createWith([await makeVolume(), await makeVolume()]);
    await run(policyId);
    const { tasks } = await ended(policyId);
    assert.deepEqual(tasks.map((task) => task.status).sort(), ['EXECUTE_FAIL', 'EXECUTE_SUCCESS']);
    assert.equal(tasks.find((task) => task.status === 'EXECUTE_FAIL')?.code, 'AutoBackup.0218');
    await bench.assertVbsFault(400, 'AutoBackup.0218', 'POST', `${url()}/${policyId}/action`);
  });
});

describe('tasks', () => {
  let bench: ApiBench;
  let policyId: string;
  let volumeId: string;
  /** Oldest first. */
  let ids: TaskId[];
  const { url, makeVolume, create, tasks, createWith } = policyCalls(() => bench);

  before(async () => {
    bench = await ApiBench.start();
    volumeId = await makeVolume();
    policyId = await createWith([volumeId]);
    const nowAt = bench.services.clock.now();
    ids = Array.from({ length: 25 }, () => newUuid<TaskId>());
    const rows = ids.map((taskId, index) => {
      const createdAt = nowAt - (ids.length - index) * 1000;
      const skipped = index < 5 ? { skipped: { errorCode: 'POLICY_TASK_OVERLAPS', message: 'overlap' } } : {};
      return { taskId, ...row(createdAt), ...skipped };
    });
    const old = { taskId: newUuid<TaskId>(), ...row(nowAt - 31 * 24 * 3600 * 1000) };
    await bench.services.catalog.tasks.insertAll([...rows, old]);
  });
  after(() => bench[Symbol.asyncDispose]());

  /** Ids of the bench, where rows need them branded. */
  function row(createdAt: number) {
    const names = { policyId: policyId as PolicyId, volumeId: volumeId as VolumeId };
    return { ...names, projectId: bench.member.projectId, dueAt: null, createdAt, runAfter: createdAt };
  }
  const idsOf = async (query: string) => (await tasks(policyId, query)).tasks.map((task) => task.job_id);

  test('the newest 20 of the last 30 days; count is of all', async () => {
    const { tasks: page, count } = await tasks(policyId);
    assert.equal(count, 25);
    assert.deepEqual(
      page.map((task) => task.job_id),
      ids.toReversed().slice(0, 20),
    );
    assert.deepEqual(Object.keys(page[0] ?? {}), ['status', 'job_id', 'created_at', 'resource_id', 'resource_type']);
  });

  test('pages: limit, offset, marker, both directions, empty at the end', async () => {
    const newest = ids.toReversed();
    assert.deepEqual(await idsOf('?limit=2&offset=1'), newest.slice(1, 3));
    assert.deepEqual(await idsOf(`?limit=3&marker=${newest[4]}`), newest.slice(5, 8));
    assert.deepEqual(await idsOf(`?limit=3&marker=${newest[4]}&offset=1`), newest.slice(6, 9));
    assert.deepEqual(await idsOf(`?marker=${newest.at(-1)}`), []);
    assert.deepEqual(await idsOf('?sort_dir=asc&sort_key=created_at&limit=3'), ids.slice(0, 3));
    assert.deepEqual(await idsOf(`?sort_dir=asc&limit=2&marker=${ids[3]}`), ids.slice(4, 6));
    assert.deepEqual(await idsOf('?offset=25'), []);
    assert.deepEqual(await idsOf('?limit=1000&sort_dir=asc'), ids);
    assert.deepEqual(
      await idsOf('?limit=&offset=&marker=&status=&job_id=&sort_dir=&sort_key=&limit='),
      newest.slice(0, 20),
    );
  });

  test('filters: status and job id', async () => {
    const skipped = await tasks(policyId, '?status=SKIP&limit=2');
    assert.deepEqual([skipped.count, skipped.tasks.length], [5, 2]);
    const [first] = skipped.tasks;
    assert.deepEqual([first?.status, first?.code, first?.message], ['SKIP', 'AutoBackup.0225', 'overlap']);
    assert.match(String(first?.finished_at), TIME);
    assert.deepEqual(await idsOf(`?job_id=${ids[7]}`), [ids[7]]);
    assert.deepEqual(await idsOf(`?job_id=${ids[7]?.replaceAll('-', '')}`), [ids[7]]);
    assert.deepEqual(await tasks(policyId, `?job_id=${newUuid()}`), { tasks: [], count: 0 });
    assert.deepEqual(await tasks(policyId, '?job_id=no-such-id'), { tasks: [], count: 0 });
    for (const status of ['RUNNING', 'EXECUTE_SUCCESS', 'EXECUTE_FAIL', 'EXECUTE_TIMEOUT']) {
      assert.deepEqual(await tasks(policyId, `?status=${status}`), { tasks: [], count: 0 });
    }
  });

  test('bad values, and an unknown policy after them', async () => {
    const bad = [
      'sort_dir=up',
      'sort_key=status',
      'limit=0',
      'limit=1001',
      'limit=x',
      'limit=-1',
      'offset=-1',
      'marker=x',
      `marker=${newUuid()}`,
      'job_id=%20x',
      'status=waiting',
    ];
    for (const query of bad) {
      await bench.assertVbsFault(400, 'AutoBackup.0008', 'GET', `${url()}/${policyId}/backuptasks?${query}`);
    }
    for (const id of [newUuid(), 'x']) {
      await bench.assertVbsFault(400, 'AutoBackup.0008', 'GET', `${url()}/${id}/backuptasks?limit=0`);
      await bench.assertVbsFault(404, 'AutoBackup.1100', 'GET', `${url()}/${id}/backuptasks`);
    }
  });

  test("another policy's task is no marker", async () => {
    const other = await create();
    await bench.assertVbsFault(400, 'AutoBackup.0008', 'GET', `${url()}/${other}/backuptasks?marker=${ids[0]}`);
  });
});

describe('what retention would do', () => {
  let bench: ApiBench;
  const { url, makeVolume, run, ended, createWith } = policyCalls(() => bench);
  before(async () => {
    bench = await ApiBench.start();
    await bench.services.runner.start();
  });
  after(() => bench[Symbol.asyncDispose]());

  test('tells each backup and why, for the rule of the policy and for one that is tried; deletes nothing', async () => {
    const volumeId = await makeVolume();
    const policyId = await createWith([volumeId]);
    for (let count = 0; count < 3; count += 1) {
      await run(policyId);
      await ended(policyId);
      bench.services.clock.advance(1000);
    }
    const preview = async (query = '') =>
      (await bench.ask(200, 'GET', `${url()}/${policyId}/retention_preview${query}`)) as {
        delete_count: number;
        backups: Json[];
      };
    const kept = await preview();
    assert.deepEqual([kept.delete_count, kept.backups.length], [0, 3]);
    assert.deepEqual(Object.keys(kept.backups[0] ?? {}), [
      'backup_id',
      'backup_name',
      'volume_id',
      'created_at',
      'action',
      'reason',
    ]);
    const tried = await preview('?rentention_num=2');
    assert.deepEqual(
      tried.backups.map(({ action, reason }) => [action, reason]),
      [
        ['keep', 'within-count'],
        ['keep', 'within-count'],
        ['delete', 'beyond-count'],
      ],
    );
    assert.equal(tried.delete_count, 1);
    const first = await preview('?rentention_num=2&remain_first_backup_of_curMonth=Y');
    assert.deepEqual(
      first.backups.map(({ action }) => action),
      ['keep', 'delete', 'keep'],
    );
    assert.equal((await preview()).backups.length, 3);
    const target = `${url()}/${policyId}/retention_preview`;
    await bench.assertVbsFault(400, 'AutoBackup.0107', 'GET', `${target}?rentention_num=1`);
    await bench.assertVbsFault(400, 'AutoBackup.0107', 'GET', `${target}?rentention_day=x`);
    await bench.assertVbsFault(400, 'AutoBackup.0105', 'GET', `${target}?remain_first_backup_of_curMonth=y`);
    await bench.assertVbsFault(404, 'AutoBackup.1100', 'GET', `${url()}/${newUuid()}/retention_preview`);
  });
});
