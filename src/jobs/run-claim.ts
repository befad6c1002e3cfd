// Claims one due time of a policy, exactly once whoever else tries (docs/policies.md), and enters the tasks of a run.
// Both work inside a transaction that holds the lock of the policy's project.
import assert from 'node:assert/strict';
import { newUuid, type TaskId, type VolumeId } from '../core/ids.ts';
import { RUN_CATCH_UP_MS, TASK_KEEP_DAYS } from '../core/limits.ts';
import { DAY_MS } from '../core/local-time.ts';
import type { Policy } from '../core/model.ts';
import type { CatalogRecords } from '../db/catalog.ts';
import type { NewTask, TaskFailure } from '../db/policy-types.ts';
import { nextRunAfter } from './recurrence.ts';

type Records = Pick<CatalogRecords, 'policies' | 'tasks'>;

export type RunMoment = { readonly nowAt: number; readonly startJitterMs: number };

/** `missed`: too late, its tasks are SKIP. `repeated`: it has run before, the clock was set back. */
export type ClaimOutcome = 'run' | 'missed' | 'repeated' | 'lost';

/** Claims `policy.nextRunAt`, which must be due, and moves it on. `lost`: somebody else was faster. */
export async function claimDueRun(records: Records, policy: Policy, moment: RunMoment): Promise<ClaimOutcome> {
  const { policyId, nextRunAt: dueAt } = policy;
  const { nowAt } = moment;
  assert(dueAt !== null && dueAt <= nowAt, 'only what is due can be claimed');
  // What nobody would see in the list of tasks any more is passed over in one step.
  const fromAt = Math.max(dueAt, nowAt - TASK_KEEP_DAYS * DAY_MS);
  const nextRunAt = await firstUnclaimedAfter(records, policy, fromAt);
  if (!(await records.policies.moveNextRun(policyId, dueAt, nextRunAt))) return 'lost';
  if (await records.policies.hasRun(policyId, dueAt)) return 'repeated';
  const isMissed = nowAt - dueAt >= RUN_CATCH_UP_MS;
  if (isMissed) {
    await enterMissedTasks(records, policy, dueAt, nowAt);
    return 'missed';
  }
  await records.policies.insertRun(policyId, dueAt, nowAt);
  await enterRun(records, policy, dueAt, moment);
  return 'run';
}

/** One task for each volume of the policy; a volume whose task of before has not ended is skipped. */
export async function enterRun(
  { policies, tasks }: Records,
  policy: Policy,
  dueAt: number | null,
  { nowAt, startJitterMs }: RunMoment,
): Promise<void> {
  const volumeIds = await policies.listVolumeIds(policy.policyId);
  const openTaskIds = await tasks.mapOpenByVolume(policy.projectId);
  const entries = volumeIds.map((volumeId): NewTask => {
    const task = newTask(policy, volumeId, { dueAt, createdAt: nowAt });
    const openTaskId = openTaskIds.get(volumeId);
    if (openTaskId !== undefined) return { ...task, skipped: describeOverlap(volumeId, openTaskId) };
    return { ...task, runAfter: nowAt + jitterOf(task.taskId, startJitterMs) };
  });
  await tasks.insertAll(entries);
}

/** The first due time after `afterAt` that has not run. */
export async function firstUnclaimedAfter({ policies }: Records, policy: Policy, afterAt: number): Promise<number> {
  let dueAt = nextRunAfter(policy.schedule, afterAt);
  while (await policies.hasRun(policy.policyId, dueAt)) dueAt = nextRunAfter(policy.schedule, dueAt);
  return dueAt;
}

async function enterMissedTasks(records: Records, policy: Policy, dueAt: number, nowAt: number): Promise<void> {
  const volumeIds = await records.policies.listVolumeIds(policy.policyId);
  const seenAt = new Date(nowAt).toISOString();
  const message = `The run due at ${new Date(dueAt).toISOString()} was missed: the service saw it at ${seenAt}`;
  const skipped: TaskFailure = { errorCode: 'POLICY_RUN_MISSED', message };
  // Listed where the run would have been.
  const entries = volumeIds.map((volumeId) => ({
    ...newTask(policy, volumeId, { dueAt, createdAt: dueAt }),
    skipped,
  }));
  await records.tasks.insertAll(entries);
}

function newTask(
  { projectId, policyId }: Policy,
  volumeId: VolumeId,
  times: { readonly dueAt: number | null; readonly createdAt: number },
): NewTask {
  return { taskId: newUuid<TaskId>(), projectId, policyId, volumeId, ...times, runAfter: times.createdAt };
}

function describeOverlap(volumeId: VolumeId, taskId: TaskId): TaskFailure {
  return { errorCode: 'POLICY_TASK_OVERLAPS', message: `Task ${taskId} of volume ${volumeId} has not ended yet` };
}

/** Spread evenly: the first half of a random UUID is as good as a die. */
function jitterOf(taskId: TaskId, startJitterMs: number): number {
  return Math.floor((Number.parseInt(taskId.slice(0, 8), 16) / 2 ** 32) * startJitterMs);
}
