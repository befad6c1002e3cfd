// Fifty clients at once for two minutes: creates, deletes, policy edits, lists. Nothing may answer 5xx, no update may
// be lost, nothing may hang, and in the end every state is one that rests and the quota counts what is there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/core/ports.ts';
import { asList, at, type LiveAnswer, type LiveApi, waitFor } from '../../support/live-api.ts';
import { LiveService } from '../../support/live-service.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

const CLIENT_COUNT = 50;
const VOLUME_COUNT = 20;
/** As many as a project may make; each is edited by five clients, and each client owns one of its ten tags. */
const POLICY_COUNT = 10;
const DURATION_MS = Number(process.env.OPENVBS_TEST_LOAD_S ?? 120) * 1000;

type World = {
  readonly api: LiveApi;
  readonly volumeIds: string[];
  readonly policyIds: string[];
  readonly seed: number;
};

/** Mulberry32: the same seed, the same choices. */
function makeRandom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

function requireLegal(name: string, { status, body }: LiveAnswer, legal: readonly number[]): void {
  assert(legal.includes(status), `${name}: ${status} ${JSON.stringify(body)}`);
}

/** One client until the time is over; answers the last value it gave its tag, and how many calls it made. */
async function runClient(world: World, index: number, endAt: number): Promise<{ lastValue: string; calls: number }> {
  const { api, volumeIds, policyIds } = world;
  const random = makeRandom(world.seed + index);
  const pick = (list: readonly string[]): string => list[random(list.length)] ?? '';
  const policyId = policyIds[index % POLICY_COUNT] ?? '';
  const key = `c${Math.floor(index / POLICY_COUNT)}`;
  let lastValue = '';
  let calls = 0;
  for (; systemClock.now() < endAt; calls += 1) {
    const choice = random(10);
    if (choice < 3) {
      const backup = { volume_id: pick(volumeIds), name: `c${index}-${calls}` };
      requireLegal('create', await api.call('POST', '/v2/{p}/cloudbackups', { body: { backup } }), [200, 409]);
    } else if (choice < 5) {
      const answer = await api.call('GET', `/v3/{p}/backups?limit=20&offset=${random(20)}`);
      requireLegal('list', answer, [200]);
      const [backup] = asList(answer.body.backups);
      if (!backup) continue;
      const gone = await api.call('DELETE', `/v2/{p}/cloudbackups/${String(backup.id)}`);
      requireLegal('delete', gone, [200, 400, 404]);
    } else if (choice < 8) {
      const value = `v${calls}`;
      const body = { tag: { key, value } };
      requireLegal('tag', await api.call('POST', `/v2/{p}/backuppolicy/${policyId}/tags`, { body }), [204]);
      lastValue = value;
    } else if (choice < 9) {
      const body = { scheduled_policy: { rentention_num: 2 + random(12) } };
      requireLegal('edit', await api.call('PUT', `/v2/{p}/backuppolicy/${policyId}`, { body }), [200]);
    } else {
      const resources = [{ resource_id: pick(volumeIds), resource_type: 'volume' }];
      const body = { backup_policy_id: policyId, resources };
      requireLegal('associate', await api.call('POST', '/v2/{p}/backuppolicyresources', { body }), [200]);
    }
  }
  return { lastValue, calls };
}

async function makeWorld(api: LiveApi): Promise<World> {
  const volumeIds: string[] = [];
  for (let index = 0; index < VOLUME_COUNT; index += 1) {
    const body = { volume: { size: 1, name: `disk-${index}` } };
    volumeIds.push(String(at(await api.must('POST', '/v3/{p}/volumes', { body }), 'volume').id));
  }
  const policyIds: string[] = [];
  for (let index = 0; index < POLICY_COUNT; index += 1) {
    const schedule = { start_time: '12:00', frequency: 1, rentention_num: 5, status: 'OFF' };
    const body = { backup_policy_name: `policy-${index}`, scheduled_policy: schedule };
    policyIds.push(String((await api.must('POST', '/v2/{p}/backuppolicy', { body })).backup_policy_id));
  }
  return { api, volumeIds, policyIds, seed: Number(process.env.OPENVBS_TEST_SEED ?? systemClock.now() % 1_000_000) };
}

async function checkAtRest({ api }: World): Promise<void> {
  const backups = await waitFor(async () => {
    const { backups: found } = await api.must('GET', '/v3/{p}/backups/detail');
    const isAtRest = asList(found).every(({ status }) => status === 'available');
    return isAtRest ? asList(found) : undefined;
  });
  const quota = await api.must('GET', '/v2/{p}/cloudbackups/quota');
  const [counted] = asList(at(quota, 'quotas').resources);
  assert.deepEqual(counted, { type: 'backups', used: backups.length, reserved: 0, quota: -1 });
}

test('fifty clients at once for two minutes: no 5xx, no lost update, every state comes to rest', async (context) => {
  await using temporary = await makeTemporaryFolder();
  await using service = await LiveService.start({ folder: temporary.path });
  const world = await makeWorld(service.api);
  context.diagnostic(`seed ${world.seed}`);
  const endAt = systemClock.now() + DURATION_MS;
  const clients = Array.from({ length: CLIENT_COUNT }, (_, index) => runClient(world, index, endAt));
  const outcomes = await Promise.all(clients);
  context.diagnostic(`${outcomes.reduce((total, { calls }) => total + calls, 0)} calls`);
  for (const [index, policyId] of world.policyIds.entries()) {
    const { tags } = await service.api.must('GET', `/v2/{p}/backuppolicy/${policyId}/tags`);
    const found = new Map(asList(tags).map(({ key, value }) => [String(key), String(value)]));
    for (let client = index; client < CLIENT_COUNT; client += POLICY_COUNT) {
      const { lastValue } = outcomes[client] ?? { lastValue: '' };
      if (lastValue) assert.equal(found.get(`c${Math.floor(client / POLICY_COUNT)}`), lastValue);
    }
  }
  await checkAtRest(world);
});
