// What tests of policies do through the API; every helper asserts the documented form of success.
import assert from 'node:assert/strict';
import type { ApiBench, Send } from './api-bench.ts';

type Json = Record<string, unknown>;
export type PolicyJson = Json & { backup_policy_id: string; backup_policy_name: string; scheduled_policy: Json };
export type Association = { success_resources: Json[]; fail_resources: Json[] };
export type Tasks = { tasks: Json[]; count: number };

/** Fields that a policy needs; off, so that nothing runs by itself. */
export const SCHEDULE = { start_time: '02:00', frequency: 1, rentention_num: 5, status: 'OFF' };

/** Calls as the member of the bench, which may be started later. */
export function policyCalls(bench: () => ApiBench) {
  const url = (): string => `${bench().v2}/backuppolicy`;
  const volumesUrl = (): string => `${bench().v2}/backuppolicyresources`;

  const create = async (change: object = {}): Promise<string> => {
    const body = { backup_policy_name: 'nightly', scheduled_policy: SCHEDULE, ...change };
    const { backup_policy_id } = await bench().ask(200, 'POST', url(), { body });
    return String(backup_policy_id);
  };
  const list = async (send: Send = {}, query = ''): Promise<PolicyJson[]> => {
    const answer = await bench().ask(200, 'GET', `${url()}${query}`, send);
    assert.deepEqual(Object.keys(answer), ['backup_policies']);
    return answer.backup_policies as PolicyJson[];
  };
  const show = async (policyId: string): Promise<PolicyJson> =>
    (await bench().ask(200, 'GET', `${url()}/${policyId}`)) as PolicyJson;
  const modify = async (policyId: string, body: object): Promise<void> => {
    const answer = await bench().ask(200, 'PUT', `${url()}/${policyId}`, { body });
    assert.deepEqual(answer, { backup_policy_id: policyId });
  };
  const remove = async (policyId: string): Promise<void> => {
    const answer = await bench().send('DELETE', `${url()}/${policyId}`);
    assert.deepEqual([answer.statusCode, answer.body], [204, '']);
  };
  /** Runs `work` with a policy that is deleted afterwards. */
  const withPolicy = async (work: (policyId: string) => Promise<void>, change: object = {}): Promise<void> => {
    const policyId = await create(change);
    await work(policyId);
    await remove(policyId);
  };
  const volumes = volumeCalls(bench);
  /** A policy with these volumes. */
  const createWith = async (volumeIds: readonly string[], change: object = {}): Promise<string> => {
    const policyId = await create(change);
    const { fail_resources } = await volumes.associate(policyId, ...volumeIds);
    assert.deepEqual(fail_resources, []);
    return policyId;
  };
  const policies = { create, createWith, list, show, modify, remove, withPolicy };
  return { url, volumesUrl, ...policies, ...volumes, ...runCalls(bench) };
}

function volumeCalls(bench: () => ApiBench) {
  const ask = async (url: string, body: object): Promise<Association> => {
    const answer = await bench().ask(200, 'POST', `${bench().v2}/backuppolicyresources${url}`, { body });
    assert.deepEqual(Object.keys(answer), ['success_resources', 'fail_resources']);
    return answer as Association;
  };
  return {
    makeVolume: async (name = 'disk'): Promise<string> => {
      const body = { volume: { size: 1, name } };
      const answer = await bench().ask(202, 'POST', `${bench().v3}/volumes`, { body });
      return (answer as { volume: { id: string } }).volume.id;
    },
    associate: (policyId: string, ...volumeIds: string[]): Promise<Association> => {
      const resources = volumeIds.map((resource_id) => ({ resource_id, resource_type: 'volume' }));
      return ask('', { backup_policy_id: policyId, resources });
    },
    disassociate: (policyId: string, ...volumeIds: string[]): Promise<Association> =>
      ask(`/${policyId}/deleted_resources`, { resources: volumeIds.map((resource_id) => ({ resource_id })) }),
  };
}

function runCalls(bench: () => ApiBench) {
  const url = (policyId: string): string => `${bench().v2}/backuppolicy/${policyId}`;
  const tasks = async (policyId: string, query = ''): Promise<Tasks> => {
    const answer = await bench().ask(200, 'GET', `${url(policyId)}/backuptasks${query}`);
    assert.deepEqual(Object.keys(answer), ['tasks', 'count']);
    return answer as Tasks;
  };
  return {
    tasks,
    run: async (policyId: string): Promise<void> => {
      const answer = await bench().send('POST', `${url(policyId)}/action`);
      assert.deepEqual([answer.statusCode, answer.body], [204, '']);
    },
    /** Waits until no task is open. The runner of jobs must have been started. */
    ended: (policyId: string): Promise<Tasks> =>
      bench().services.waitFor(async () => {
        await bench().services.scheduler.lookOnce();
        const all = await tasks(policyId);
        const isOpen = all.tasks.some(({ status }) => status === 'WAITING' || status === 'RUNNING');
        return isOpen ? undefined : all;
      }),
  };
}
