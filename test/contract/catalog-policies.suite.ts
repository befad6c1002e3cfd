// Policies, their volumes and tasks in the catalog, and two schedulers that want the same due time.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  type BackupId,
  type JobId,
  newHexId,
  newUuid,
  type PolicyId,
  type ProjectId,
  type TaskId,
} from '../../src/core/ids.ts';
import { HOUR_MS } from '../../src/core/local-time.ts';
import type { Schedule } from '../../src/core/model.ts';
import { silentLogger } from '../../src/core/ports.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import type { NewPolicy, NewTask } from '../../src/db/policy-types.ts';
import { nextRunAfter } from '../../src/jobs/recurrence.ts';
import { Scheduler } from '../../src/jobs/scheduler.ts';
import { addProject, backupRow, START_AT, tick, volumeRow } from '../support/catalog-rows.ts';
import { ManualClock } from '../support/manual-clock.ts';
import type { TestDatabase } from '../support/test-catalog.ts';

const hourly: Schedule = {
  startTime: Array.from({ length: 24 }, (_item, hour) => `${String(hour).padStart(2, '0')}:00`).join(','),
  timeZone: 'UTC+00:00',
  recurrence: { kind: 'interval', everyDays: 1 },
};
const ROUNDS = 8;

function policyRow(projectId: ProjectId, changes: Partial<NewPolicy> = {}): NewPolicy {
  return {
    policyId: newUuid<PolicyId>(),
    projectId,
    userId: newHexId(),
    name: 'nightly',
    isDefault: false,
    schedule: hourly,
    retention: { kind: 'count', keepCount: 3 },
    keepsFirstOfMonth: true,
    isEnabled: true,
    tags: [{ key: 'tier', value: 'gold' }],
    nextRunAt: nextRunAfter(hourly, START_AT),
    createdAt: tick(),
    ...changes,
  };
}

export function definePolicySuite(name: string, make: () => Promise<TestDatabase>): void {
  describe(`catalog of policies on ${name}`, () => {
    let database: TestDatabase;
    let one: Catalog;
    let two: Catalog;
    before(async () => {
      database = await make();
      one = await database.open();
      two = await database.open();
    });
    after(() => database[Symbol.asyncDispose]());

    async function addVolume(projectId: ProjectId) {
      const row = volumeRow(projectId);
      await one.volumes.insert(row);
      return row.volumeId;
    }

    test('what was entered is read again, with tags and the number of volumes', async () => {
      const projectId = await addProject(one);
      const row = policyRow(projectId);
      await one.policies.insert(row);
      const [volumeId, otherId] = [await addVolume(projectId), await addVolume(projectId)];
      await one.policies.addVolume(row.policyId, volumeId, tick());
      await one.policies.addVolume(row.policyId, otherId, tick());
      await one.volumes.delete(otherId);
      assert.deepEqual(await one.policies.get(projectId, row.policyId), { ...row, volumeCount: 1, updatedAt: null });
      assert.equal(await one.policies.get(await addProject(one), row.policyId), undefined);
      const { items } = await one.policies.listVolumes(row.policyId, { nameLike: 'is' }, { limit: 9, offset: 0 });
      assert.deepEqual(
        items.map(({ volume }) => volume.volumeId),
        [volumeId],
      );
      await one.policies.update(row.policyId, {
        nextRunAt: null,
        isEnabled: false,
        retention: { kind: 'days', keepDays: 2 },
      });
      const changed = await one.policies.get(projectId, row.policyId);
      assert.deepEqual(
        [changed?.nextRunAt, changed?.isEnabled, changed?.retention],
        [null, false, { kind: 'days', keepDays: 2 }],
      );
    });

    test('a project has one default policy, and it comes first', async () => {
      const projectId = await addProject(one);
      await one.policies.insert(policyRow(projectId));
      await one.policies.insert(policyRow(projectId, { isDefault: true, name: 'default' }));
      await assert.rejects(one.policies.insert(policyRow(projectId, { isDefault: true })));
      const sort = [
        { key: 'isOther', direction: 'asc' },
        { key: 'createdAt', direction: 'asc' },
      ] as const;
      const { items } = await one.policies.list({ projectId }, { limit: 10, sort });
      assert.deepEqual(
        items.map(({ name: shown }) => shown),
        ['default', 'nightly'],
      );
      assert.equal(await one.policies.countOwn(projectId), 1);
    });

    test('a policy takes tasks and runs with it, and leaves its backups', async () => {
      const projectId = await addProject(one);
      const { policyId } = policyRow(projectId);
      await one.policies.insert(policyRow(projectId, { policyId }));
      const volumeId = await addVolume(projectId);
      const row = backupRow(projectId, { volumeId, policyId });
      const { backupId } = row;
      await one.backups.insert(row);
      await one.policies.addVolume(policyId, volumeId, tick());
      await one.policies.insertRun(policyId, START_AT, tick());
      await assert.rejects(one.policies.insertRun(policyId, START_AT, tick()), 'a due time runs once');
      await one.tasks.insertAll([taskRow(projectId, policyId, volumeId)]);
      await one.policies.delete(policyId);
      assert.equal(await one.tasks.countOpen(), 0);
      assert.deepEqual((await one.backups.get(projectId, backupId))?.policyId, policyId);
      assert.deepEqual((await one.backups.listByPolicy(projectId, policyId, volumeId)).length, 1);
    });

    test('a task ends once, whoever comes second', async () => {
      const projectId = await addProject(one);
      const { policyId } = policyRow(projectId);
      await one.policies.insert(policyRow(projectId, { policyId }));
      const task = taskRow(projectId, policyId, await addVolume(projectId));
      await one.tasks.insertAll([task]);
      const start = { backupName: 'autobk_0000', backupId: newUuid<BackupId>(), jobId: newUuid<JobId>() };
      const starts = await Promise.all([one, two].map(({ tasks }) => tasks.start(task.taskId, start, tick())));
      assert.deepEqual(starts.toSorted(), [false, true]);
      const failure = { errorCode: 'STORAGE_IO', message: 'no' };
      assert(await one.tasks.end(task.taskId, { status: 'EXECUTE_TIMEOUT', failure, finishedAt: tick() }));
      await two.tasks.endByJob(start.jobId, { status: 'EXECUTE_SUCCESS', finishedAt: tick() });
      assert.equal((await one.tasks.get(projectId, task.taskId))?.status, 'EXECUTE_TIMEOUT');
      assert.equal(await one.tasks.deleteEndedBefore(task.createdAt + 1), 1);
    });

    test('of two schedulers that look at the same moment, one claims', async () => {
      const projectId = await addProject(one);
      const { policyId } = policyRow(projectId);
      await one.policies.insert(policyRow(projectId, { policyId }));
      await one.policies.addVolume(policyId, await addVolume(projectId), tick());
      const clock = new ManualClock(START_AT);
      const limits = { startJitterMs: 0, taskTimeoutMs: 1e12, taskStallMs: 1e12 };
      const startTask = () => Promise.reject(new Error('not of interest here'));
      const schedulers = [one, two].map(
        (catalog) => new Scheduler({ ...limits, catalog, clock, logger: silentLogger, startTask }),
      );
      for (let round = 0; round < ROUNDS; round++) {
        clock.advance(HOUR_MS);
        await Promise.all(schedulers.map((scheduler) => scheduler.lookOnce()));
      }
      const { items } = await one.tasks.list({ projectId, policyId }, { limit: 100 });
      assert.equal(items.length, ROUNDS);
      assert.equal(new Set(items.map(({ dueAt }) => dueAt)).size, ROUNDS);
    });
  });
}

function taskRow(projectId: ProjectId, policyId: PolicyId, volumeId: NewTask['volumeId']): NewTask {
  const createdAt = tick();
  return { taskId: newUuid<TaskId>(), projectId, policyId, volumeId, dueAt: null, createdAt, runAfter: createdAt };
}
