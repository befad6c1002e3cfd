// Policies without HTTP: what needs rows, and what runs make of volumes. The wire is in test/contract/api-policies.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newUuid, type PolicyId, type VolumeId } from '../../../src/core/ids.ts';
import { DAY_MS, HOUR_MS } from '../../../src/core/local-time.ts';
import type { Policy, Task } from '../../../src/core/model.ts';
import type { CreatePolicyInput } from '../../../src/services/policy-requests.ts';
import { ServiceBench } from '../../support/service-bench.ts';

const gold: CreatePolicyInput = {
  name: 'nightly_gold',
  startTime: '22:00,00:00,02:00',
  timeZone: 'UTC+02:00',
  recurrence: { kind: 'week', weekDays: ['SUN', 'WED'] },
  retention: { kind: 'days', keepDays: 30 },
  keepsFirstOfMonth: true,
  isEnabled: true,
  tags: [{ key: 'tier', value: 'gold' }],
};

async function create(bench: ServiceBench, changes: Partial<CreatePolicyInput> = {}): Promise<Policy> {
  return await bench.policies.createPolicy(bench.caller, bench.projectId, { ...gold, ...changes });
}

async function modify(bench: ServiceBench, { policyId }: Policy, changes: object): Promise<Policy> {
  return await bench.policies.modifyPolicy(bench.caller, bench.projectId, policyId, changes);
}

async function associate(bench: ServiceBench, { policyId }: Policy, ...volumeIds: string[]) {
  return await bench.policies.associate(bench.caller, bench.projectId, policyId, volumeIds);
}

async function listTasks(bench: ServiceBench, { policyId }: Policy): Promise<readonly Task[]> {
  const page = { limit: 1000, offset: 0 };
  return (await bench.policies.listTasks(bench.caller, bench.projectId, policyId, {}, page)).items;
}

/** Until no task is open. */
async function settle(bench: ServiceBench): Promise<void> {
  await bench.waitFor(async () => {
    await bench.scheduler.lookOnce();
    return (await bench.catalog.tasks.countOpen()) === 0 ? true : undefined;
  });
}

async function advanceTo(bench: ServiceBench, at: number | null): Promise<void> {
  assert(at !== null);
  bench.clock.advance(at - bench.clock.now());
  await bench.scheduler.lookOnce();
}

describe('making and changing', () => {
  it('shows what was made, and the default policy before all', async () => {
    await using bench = await ServiceBench.start();
    const made = await create(bench);
    assert.deepEqual(
      { schedule: made.schedule, retention: made.retention, tags: made.tags, isDefault: made.isDefault },
      {
        schedule: { startTime: gold.startTime, timeZone: gold.timeZone, recurrence: gold.recurrence },
        retention: gold.retention,
        tags: gold.tags,
        isDefault: false,
      },
    );
    const list = await bench.policies.listPolicies(bench.caller, bench.projectId);
    assert.deepEqual(
      list.map(({ name }) => name),
      ['default', 'nightly_gold'],
    );
    const [first] = list;
    assert(first?.isDefault && !first.isEnabled);
    assert.deepEqual(first.schedule.recurrence, { kind: 'interval', everyDays: 1 });
    assert.deepEqual(first.retention, { kind: 'count', keepCount: 7 });
    assert.equal(first.nextRunAt, null);
  });

  it('makes the default policy once, for a reader too, in each project', async () => {
    await using bench = await ServiceBench.start();
    const reader = bench.withRoles('reader');
    const lists = await Promise.all([1, 2, 3].map(() => bench.policies.listPolicies(reader, bench.projectId)));
    assert.deepEqual(new Set(lists.flat().map(({ policyId }) => policyId)).size, 1);
  });

  it('makes nothing for a list that is refused', async () => {
    await using bench = await ServiceBench.start();
    const refused = bench.policies.listPolicies(bench.caller, bench.projectId, { markerId: newUuid() });
    await assert.rejects(refused, { code: 'MARKER_NOT_FOUND' });
    assert.equal(await bench.catalog.policies.hasDefault(bench.projectId), false);
  });

  it('stops at the limit, which the default policy does not count against', async () => {
    await using bench = await ServiceBench.start({ policyLimits: { maxPolicies: 2 } });
    await create(bench);
    await create(bench);
    await assert.rejects(create(bench), { code: 'POLICIES_EXCEEDED' });
    const results = await Promise.allSettled([1, 2, 3].map(() => create(bench)));
    assert(results.every(({ status }) => status === 'rejected'));
  });

  it('merges a change, and the next due time follows', async () => {
    await using bench = await ServiceBench.start();
    const made = await create(bench);
    const off = await modify(bench, made, { isEnabled: false });
    assert.equal(off.nextRunAt, null);
    assert.deepEqual(off.schedule, made.schedule);
    const daily = { kind: 'interval', everyDays: 3 } as const;
    const changed = await modify(bench, made, { recurrence: daily, retention: { kind: 'count', keepCount: 3 } });
    assert.deepEqual(changed.schedule.recurrence, daily);
    assert.deepEqual(changed.retention, { kind: 'count', keepCount: 3 });
    assert.equal(changed.nextRunAt, null);
    const on = await modify(bench, made, { isEnabled: true });
    assert(on.nextRunAt !== null && on.nextRunAt > bench.clock.now());
    assert.equal((new Date(on.nextRunAt + 2 * HOUR_MS).getUTCDate() - 1) % 3, 0);
    assert.deepEqual(await modify(bench, made, {}), on, 'nothing asked for, nothing changed');
  });

  it('wants start times and days anew when another zone moves them to another day', async () => {
    await using bench = await ServiceBench.start();
    const made = await create(bench);
    await assert.rejects(modify(bench, made, { timeZone: 'UTC+04:00' }), { code: 'POLICY_TIME_ZONE_INVALID' });
    const days = gold.recurrence;
    await assert.rejects(modify(bench, made, { timeZone: 'UTC+04:00', recurrence: days }), {
      code: 'POLICY_TIME_ZONE_INVALID',
    });
    const { startTime } = gold;
    assert.equal(
      (await modify(bench, made, { timeZone: 'UTC+04:00', recurrence: days, startTime })).schedule.timeZone,
      'UTC+04:00',
    );
    await assert.rejects(modify(bench, made, { timeZone: 'UTC+00:00' }), { code: 'POLICY_START_TIME_INVALID' });
    await assert.rejects(modify(bench, made, { startTime: '00:00,22:00' }), { code: 'POLICY_START_TIME_INVALID' });
  });

  it('lets nobody rename or delete the default policy', async () => {
    await using bench = await ServiceBench.start();
    const [first] = await bench.policies.listPolicies(bench.caller, bench.projectId);
    assert(first !== undefined);
    await assert.rejects(modify(bench, first, { name: 'mine' }), { code: 'POLICY_DEFAULT_FIXED' });
    assert.equal((await modify(bench, first, { name: 'default', isEnabled: true })).isEnabled, true);
    await assert.rejects(bench.policies.deletePolicy(bench.caller, bench.projectId, first.policyId), {
      code: 'POLICY_DEFAULT_FIXED',
    });
  });

  it('knows no policy of another project', async () => {
    await using bench = await ServiceBench.start();
    const { policyId } = await create(bench);
    const { stranger, policies } = bench;
    const own = stranger.projectId;
    assert(own !== null);
    await assert.rejects(policies.getPolicy(stranger, own, policyId), { code: 'POLICY_QUERIED_NOT_FOUND' });
    await assert.rejects(policies.modifyPolicy(stranger, own, policyId, {}), { code: 'POLICY_NOT_FOUND' });
    await assert.rejects(policies.deletePolicy(stranger, own, policyId), { code: 'POLICY_NOT_FOUND' });
    await assert.rejects(policies.runPolicy(stranger, own, policyId), { code: 'POLICY_NOT_FOUND' });
    await assert.rejects(policies.getPolicy(stranger, bench.projectId, policyId), { code: 'PROJECT_MISMATCH' });
    await assert.rejects(policies.createPolicy(bench.withRoles('reader'), bench.projectId, gold), {
      code: 'ROLE_DENIED',
    });
  });
});

describe('volumes', () => {
  it('has one policy for a volume: a second association moves it', async () => {
    await using bench = await ServiceBench.start();
    const [a, b] = [await create(bench), await create(bench)];
    const { volumeId } = await bench.createVolume();
    const { successes, failures } = await associate(bench, a, volumeId, volumeId);
    assert.deepEqual([successes.length, failures.length], [2, 0]);
    assert.equal(successes[0]?.hostAttr, 'file.az-1');
    await associate(bench, b, volumeId);
    const counts = await bench.policies.listPolicies(bench.caller, bench.projectId);
    assert.deepEqual(
      counts.map(({ volumeCount }) => volumeCount),
      [0, 0, 1],
    );
    const { items, totalCount } = await bench.policies.listVolumes(
      ...([bench.caller, bench.projectId, b.policyId, { name: 'dis' }, { limit: 10, offset: 0 }] as const),
    );
    assert.deepEqual([items[0]?.volume.volumeId, totalCount], [volumeId, 1]);
    const gone = await bench.policies.disassociate(bench.caller, bench.projectId, b.policyId, [volumeId, volumeId]);
    assert.deepEqual([gone.successes.length, gone.failures.map(({ code }) => code)], [1, ['POLICY_RESOURCE_INVALID']]);
  });

  it('says of each volume why it cannot join', async () => {
    await using bench = await ServiceBench.start({ policyLimits: { maxVolumes: 1 } });
    const policy = await create(bench);
    const broken = await bench.createVolume();
    await bench.setVolume(broken.volumeId, { status: 'error' });
    const [one, two] = [await bench.createVolume(), await bench.createVolume()];
    const ids = [newUuid<VolumeId>(), 'nonsense', broken.volumeId, one.volumeId, two.volumeId, one.volumeId];
    const { successes, failures } = await associate(bench, policy, ...ids);
    assert.deepEqual(
      failures.map(({ code }) => code),
      ['POLICY_RESOURCE_INVALID', 'POLICY_RESOURCE_INVALID', 'POLICY_VOLUME_STATE_FORBIDS', 'POLICY_VOLUMES_EXCEEDED'],
    );
    assert.equal(successes.length, 2);
  });

  it('takes a deleted volume out of its policy', async () => {
    await using bench = await ServiceBench.start();
    await bench.runner.start();
    const policy = await create(bench);
    const { volumeId } = await bench.createVolume();
    await associate(bench, policy, volumeId);
    await bench.volumes.deleteVolume(bench.caller, bench.projectId, volumeId, { cascade: false, force: false });
    await bench.waitFor(async () => {
      const { volumeCount } = await bench.policies.getPolicy(bench.caller, bench.projectId, policy.policyId);
      return volumeCount === 0 ? true : undefined;
    });
  });
});

describe('tags', () => {
  it('overwrites, removes, and stops at ten', async () => {
    await using bench = await ServiceBench.start();
    const { policyId } = await create(bench);
    const { policies, caller, projectId } = bench;
    await policies.setTag(caller, projectId, policyId, { key: 'tier', value: 'tin' });
    assert.deepEqual(await policies.listTags(caller, projectId, policyId), [{ key: 'tier', value: 'tin' }]);
    const many = Array.from({ length: 10 }, (_item, index) => ({ key: `k${index}`, value: '' }));
    await assert.rejects(policies.changeTags(caller, projectId, policyId, { action: 'create', tags: many }), {
      code: 'POLICY_TAGS_TOO_MANY',
    });
    assert.equal((await policies.listTags(caller, projectId, policyId)).length, 1, 'all or nothing');
    await policies.changeTags(caller, projectId, policyId, {
      action: 'delete',
      tags: [{ key: 'tier', value: 'gold' }],
    });
    assert.equal((await policies.listTags(caller, projectId, policyId)).length, 1, 'another value is another tag');
    await policies.removeTag(caller, projectId, policyId, 'tier');
    await assert.rejects(policies.removeTag(caller, projectId, policyId, 'tier'), { code: 'POLICY_TAG_NOT_FOUND' });
  });

  it('finds policies with every operator', async () => {
    await using bench = await ServiceBench.start();
    const { policies, caller, projectId } = bench;
    await create(bench, {
      name: 'One',
      tags: [
        { key: 'tier', value: 'gold' },
        { key: 'env', value: 'prod' },
      ],
    });
    await create(bench, { name: 'Two', tags: [{ key: 'tier', value: 'tin' }] });
    await create(bench, { name: 'Three', tags: [{ key: 'env', value: 'test' }] });
    const find = async (search: object) => {
      const { items, totalCount } = await policies.findPolicies(caller, projectId, search, { limit: 100, offset: 0 });
      assert.equal(totalCount, items.length);
      return items.map(({ name }) => name);
    };
    assert.deepEqual(await find({}), ['default', 'One', 'Two', 'Three']);
    assert.deepEqual(await find({ tags: [{ key: 'tier', values: ['gold', 'tin'] }] }), ['One', 'Two']);
    const both = [
      { key: 'tier', values: ['gold'] },
      { key: 'env', values: [] },
    ];
    assert.deepEqual(await find({ tags: both }), ['One']);
    assert.deepEqual(await find({ tagsAny: both }), ['One', 'Three']);
    assert.deepEqual(await find({ notTags: both }), ['default', 'Two', 'Three']);
    assert.deepEqual(await find({ notTagsAny: both }), ['default', 'Two']);
    assert.deepEqual(await find({ nameLike: 'T', notTagsAny: [{ key: 'env', values: ['test'] }] }), ['default', 'Two']);
    const page = await policies.findPolicies(caller, projectId, {}, { limit: 1, offset: 2 });
    assert.deepEqual([page.items.map(({ name }) => name), page.totalCount], [['Two'], 4]);
    assert.deepEqual(await policies.listProjectTags(caller, projectId), [
      { key: 'env', values: ['prod', 'test'] },
      { key: 'tier', values: ['gold', 'tin'] },
    ]);
  });
});

describe('runs', () => {
  it('backs up every volume at the due time, and says so', async () => {
    await using bench = await ServiceBench.start();
    await bench.runner.start();
    const policy = await create(bench);
    const volumes = [await bench.createVolume(), await bench.createVolume()];
    await associate(bench, policy, ...volumes.map(({ volumeId }) => volumeId));
    await advanceTo(bench, policy.nextRunAt);
    await settle(bench);
    const tasks = await listTasks(bench, policy);
    assert.deepEqual(
      tasks.map(({ status, dueAt }) => ({ status, dueAt })),
      volumes.map(() => ({ status: 'EXECUTE_SUCCESS', dueAt: policy.nextRunAt })),
    );
    for (const { backupId, jobId, backupName, finishedAt, volumeId } of tasks) {
      assert(backupId !== null && finishedAt !== null);
      const backup = await bench.getBackup(backupId);
      assert.match(backupName ?? '', /^autobk_[0-9a-f]{4}$/);
      assert.deepEqual(
        [backup.name, backup.jobId, backup.status, backup.tags, backup.policyId, backup.volumeId],
        [backupName, jobId, 'available', gold.tags, policy.policyId, volumeId],
      );
    }
    const after = await bench.policies.getPolicy(bench.caller, bench.projectId, policy.policyId);
    assert(after.nextRunAt !== null && policy.nextRunAt !== null && after.nextRunAt > policy.nextRunAt);
  });

  it('runs now, on or off, but not twice at once and not without volumes or quota', async () => {
    await using bench = await ServiceBench.start({ limits: { backups: 1 } });
    const policy = await create(bench, { isEnabled: false });
    const run = () => bench.policies.runPolicy(bench.caller, bench.projectId, policy.policyId);
    await assert.rejects(run(), { code: 'POLICY_WITHOUT_VOLUMES' });
    await associate(bench, policy, (await bench.createVolume()).volumeId);
    await run();
    await assert.rejects(run(), { code: 'POLICY_RUNNING' });
    const remove = () => bench.policies.deletePolicy(bench.caller, bench.projectId, policy.policyId);
    await assert.rejects(remove(), { code: 'POLICY_RUNNING' });
    await bench.runner.start();
    await settle(bench);
    await assert.rejects(run(), { code: 'QUOTA_BACKUPS_EXCEEDED' });
    assert.deepEqual(
      (await listTasks(bench, policy)).map(({ status, dueAt }) => [status, dueAt]),
      [['EXECUTE_SUCCESS', null]],
    );
    await remove();
    await assert.rejects(run(), { code: 'POLICY_NOT_FOUND' });
  });

  it('fails the task, loudly, of what cannot be backed up', async () => {
    await using bench = await ServiceBench.start({ limits: { backups: 1 } });
    const policy = await create(bench);
    const [good, second, broken] = [await bench.createVolume(), await bench.createVolume(), await bench.createVolume()];
    await associate(bench, policy, good.volumeId, second.volumeId, broken.volumeId);
    await bench.setVolume(broken.volumeId, { status: 'error' });
    await advanceTo(bench, policy.nextRunAt);
    const tasks = await listTasks(bench, policy);
    const codeOf = (volumeId: VolumeId) => tasks.find((task) => task.volumeId === volumeId)?.errorCode;
    assert.equal(codeOf(broken.volumeId), 'VOLUME_STATE_FORBIDS_BACKUP');
    assert.deepEqual([codeOf(good.volumeId), codeOf(second.volumeId)].toSorted(), ['QUOTA_BACKUPS_EXCEEDED', null]);
    assert.deepEqual(tasks.map(({ status }) => status).toSorted(), ['EXECUTE_FAIL', 'EXECUTE_FAIL', 'RUNNING']);
  });

  it('skips a volume whose task has not ended, and runs what was missed by less than an hour', async () => {
    await using bench = await ServiceBench.start();
    const policy = await create(bench, {
      startTime: '00:00,06:00,12:00,18:00',
      timeZone: 'UTC+00:00',
      recurrence: { kind: 'interval', everyDays: 1 },
    });
    await associate(bench, policy, (await bench.createVolume()).volumeId);
    assert(policy.nextRunAt !== null);
    await advanceTo(bench, policy.nextRunAt + HOUR_MS - 1000);
    await advanceTo(bench, policy.nextRunAt + 6 * HOUR_MS);
    await bench.runner.start();
    await settle(bench);
    await advanceTo(bench, policy.nextRunAt + 19 * HOUR_MS);
    await settle(bench);
    const tasks = (await listTasks(bench, policy)).toReversed();
    assert.deepEqual(
      tasks.map(({ status, errorCode, dueAt }) => [
        status,
        errorCode,
        ((dueAt ?? 0) - (policy.nextRunAt ?? 0)) / HOUR_MS,
      ]),
      [
        ['EXECUTE_SUCCESS', null, 0],
        ['SKIP', 'POLICY_TASK_OVERLAPS', 6],
        ['SKIP', 'POLICY_RUN_MISSED', 12],
        ['SKIP', 'POLICY_RUN_MISSED', 18],
      ],
    );
  });

  it('times out loudly what hangs, and leaves its backup alone', async () => {
    await using bench = await ServiceBench.start();
    const policy = await create(bench);
    await associate(bench, policy, (await bench.createVolume()).volumeId);
    await advanceTo(bench, policy.nextRunAt);
    bench.clock.advance(DAY_MS);
    await bench.scheduler.lookOnce();
    const [task] = (await listTasks(bench, policy)).filter(({ status }) => status !== 'SKIP');
    assert.deepEqual([task?.status, task?.errorCode], ['EXECUTE_TIMEOUT', 'POLICY_TASK_TIMEOUT']);
    await bench.runner.start();
    const { jobId, backupId } = task ?? {};
    assert(jobId && backupId);
    assert.equal((await bench.waitForJob(jobId)).status, 'SUCCESS');
    assert.equal((await bench.getBackup(backupId)).status, 'available');
    const [later] = (await listTasks(bench, policy)).filter(({ taskId }) => taskId === task?.taskId);
    assert.equal(later?.status, 'EXECUTE_TIMEOUT');
  });

  it('times out a job that runs without progress, not one that waits for its turn', async () => {
    await using bench = await ServiceBench.start({ policyLimits: { taskStallMs: 2 * HOUR_MS } });
    const policy = await create(bench);
    await associate(bench, policy, (await bench.createVolume()).volumeId);
    await advanceTo(bench, policy.nextRunAt);
    const look = async (): Promise<string | undefined> => {
      bench.clock.advance(1.5 * HOUR_MS);
      await bench.scheduler.lookOnce();
      return (await listTasks(bench, policy)).find(({ jobId }) => jobId !== null)?.status;
    };
    assert.deepEqual([await look(), await look()], ['RUNNING', 'RUNNING'], 'it waits');
    const [task] = (await listTasks(bench, policy)).filter(({ jobId }) => jobId !== null);
    assert(task?.jobId);
    const job = await bench.catalog.jobs.get(bench.projectId, task.jobId);
    assert(job !== undefined);
    const nowAt = bench.clock.now();
    const taken = await bench.catalog.jobs.take(job, { runnerId: 'x', leaseUntil: nowAt + DAY_MS }, nowAt);
    assert(taken !== undefined);
    assert.equal(await look(), 'RUNNING', 'it was just taken');
    const progress = { totalBytes: 100, doneBytes: 10, skippedBytes: 0, storedBytes: 0 };
    await bench.catalog.jobs.saveProgress(taken.claim, progress);
    assert.deepEqual([await look(), await look()], ['RUNNING', 'RUNNING'], 'it moved');
    assert.equal(await look(), 'EXECUTE_TIMEOUT');
  });

  it('says of a failed job what its error was', async () => {
    await using bench = await ServiceBench.start();
    await bench.runner.start();
    const policy = await create(bench);
    const volume = await bench.createVolume();
    await associate(bench, policy, volume.volumeId);
    bench.store.setRules([{ effect: 'EIO', operation: ['put', 'create'] }]);
    await advanceTo(bench, policy.nextRunAt);
    await bench.waitFor(async () => {
      // It is tried again after a while, three times.
      bench.clock.advance(10_000);
      bench.runner.wake();
      return (await bench.catalog.tasks.countOpen()) === 0 ? true : undefined;
    });
    const [task] = await listTasks(bench, policy);
    assert.deepEqual([task?.status, task?.errorCode], ['EXECUTE_FAIL', 'STORAGE_IO']);
    assert(task?.message && task.finishedAt !== null && task.jobId !== null);
  });

  it('claims what was due by the old schedule before a new one takes effect', async () => {
    await using bench = await ServiceBench.start();
    const policy = await create(bench);
    await associate(bench, policy, (await bench.createVolume()).volumeId);
    assert(policy.nextRunAt !== null);
    bench.clock.advance(policy.nextRunAt - bench.clock.now());
    const off = await modify(bench, policy, { isEnabled: false });
    assert.equal(off.nextRunAt, null);
    assert.deepEqual(
      (await listTasks(bench, policy)).map(({ dueAt }) => dueAt),
      [policy.nextRunAt],
    );
  });

  it('begins a task that a clock which was ahead left waiting', async () => {
    await using bench = await ServiceBench.start();
    const policy = await create(bench, { isEnabled: false });
    const { volumeId } = await bench.createVolume();
    await associate(bench, policy, volumeId);
    const { projectId } = bench;
    const times = { dueAt: null, createdAt: bench.clock.now() + DAY_MS, runAfter: bench.clock.now() + DAY_MS };
    await bench.catalog.tasks.insertAll([
      { taskId: newUuid(), projectId, policyId: policy.policyId, volumeId, ...times },
    ]);
    await bench.scheduler.lookOnce();
    assert.equal((await listTasks(bench, policy))[0]?.status, 'RUNNING');
  });

  it('copies the tags that the policy has then', async () => {
    await using bench = await ServiceBench.start();
    const policy = await create(bench);
    await associate(bench, policy, (await bench.createVolume()).volumeId);
    await bench.policies.setTag(bench.caller, bench.projectId, policy.policyId, { key: 'late', value: 'yes' });
    await advanceTo(bench, policy.nextRunAt);
    const [task] = await listTasks(bench, policy);
    assert(task?.backupId);
    assert.deepEqual((await bench.getBackup(task.backupId)).tags, [...gold.tags, { key: 'late', value: 'yes' }]);
  });
});

describe('retention in action', () => {
  async function runTimes(bench: ServiceBench, policyId: PolicyId, count: number): Promise<void> {
    for (let run = 0; run < count; run++) {
      await bench.policies.runPolicy(bench.caller, bench.projectId, policyId);
      await settle(bench);
      bench.clock.advance(1000);
    }
  }
  const listNames = async (bench: ServiceBench) =>
    (await bench.catalog.backups.list({ projectId: bench.projectId }, { limit: 100 })).items
      .filter(({ status }) => status === 'available')
      .map(({ name }) => name?.slice(0, 6));

  it('deletes after each run beyond the count, never what was made by hand', async () => {
    await using bench = await ServiceBench.start();
    await bench.runner.start();
    const policy = await create(bench, { retention: { kind: 'count', keepCount: 2 }, keepsFirstOfMonth: false });
    const { volumeId } = await bench.createVolume();
    await associate(bench, policy, volumeId);
    await bench.backUp(volumeId, { name: 'manual' });
    await runTimes(bench, policy.policyId, 4);
    await bench.waitFor(async () => ((await listNames(bench)).length === 3 ? true : undefined));
    assert.deepEqual((await listNames(bench)).toSorted(), ['autobk', 'autobk', 'manual']);
    const [preview] = await bench.policies.previewRetention(bench.caller, bench.projectId, policy.policyId, {
      retention: { kind: 'days', keepDays: 2 },
    });
    assert.deepEqual(
      preview?.plan.filter(({ isGood }) => isGood).map(({ reason }) => reason),
      ['within-days', 'within-days'],
    );
  });

  it('deletes nothing when the policy is off or the volume has left it', async () => {
    await using bench = await ServiceBench.start();
    await bench.runner.start();
    const policy = await create(bench, { retention: { kind: 'count', keepCount: 2 }, isEnabled: false });
    const { volumeId } = await bench.createVolume();
    await associate(bench, policy, volumeId);
    await runTimes(bench, policy.policyId, 3);
    await bench.retention.applyAll();
    assert.equal((await listNames(bench)).length, 3, 'off');
    await bench.policies.disassociate(bench.caller, bench.projectId, policy.policyId, [volumeId]);
    await modify(bench, policy, { isEnabled: true });
    await bench.retention.applyAll();
    assert.equal((await listNames(bench)).length, 3, 'left');
    await associate(bench, policy, volumeId);
    await bench.retention.applyAll();
    await bench.waitFor(async () => ((await listNames(bench)).length === 2 ? true : undefined));
  });
});
