// /backuppolicy: each success against its documented example, each violation with its code and status, and nothing
// changed by what is refused (contract 3.7 to 3.11, 5.13; seeds 002 and 003).
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newUuid } from '../../src/core/ids.ts';
import { ApiBench } from '../support/api-bench.ts';
import { type PolicyJson, policyCalls, SCHEDULE } from '../support/policy-calls.ts';

let bench: ApiBench;
before(async () => {
  bench = await ApiBench.start();
});
after(() => bench[Symbol.asyncDispose]());
const { url, create, list, show, modify, remove, withPolicy, makeVolume, associate } = policyCalls(() => bench);

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** The request of the reference (seed 002). */
const SEED_REQUEST = {
  backup_policy_name: 'policy_01',
  scheduled_policy: {
    remain_first_backup_of_curMonth: 'Y',
    rentention_day: 30,
    week_frequency: ['SUN', 'WED'],
    start_time: '12:00',
    status: 'ON',
  },
  tags: [{ key: 'key', value: 'value' }],
  time_zone: 'UTC+08:00',
};

describe('creating and showing', () => {
  test('the request of the reference; the list shows it key by key, without what is not set', async () => {
    const answer = await bench.ask(200, 'POST', url(), { body: SEED_REQUEST });
    assert.deepEqual(Object.keys(answer), ['backup_policy_id']);
    const policyId = String(answer.backup_policy_id);
    assert.match(policyId, UUID);
    const expected = {
      backup_policy_id: policyId,
      backup_policy_name: 'policy_01',
      scheduled_policy: {
        start_time: '12:00',
        week_frequency: ['SUN', 'WED'],
        rentention_day: 30,
        remain_first_backup_of_curMonth: 'Y',
        status: 'ON',
      },
      policy_resource_count: 0,
      time_zone: 'UTC+08:00',
      tags: [{ key: 'key', value: 'value' }],
    };
    assert.deepEqual(
      (await list()).find((policy) => policy.backup_policy_id === policyId),
      expected,
    );
    assert.deepEqual(await show(policyId), expected);
    assert.deepEqual(await show(policyId.toUpperCase()), expected);
    await remove(policyId);
  });

  test('the request of the contract: days are rounded down, start times come back unchanged', async () => {
    const schedule = {
      start_time: '22:00,00:00,02:00',
      week_frequency: ['SUN', 'WED'],
      rentention_day: 30.9,
      remain_first_backup_of_curMonth: 'Y',
      status: 'ON',
    };
    await withPolicy(
      async (policyId) => {
        const { scheduled_policy, time_zone } = await show(policyId);
        assert.deepEqual(scheduled_policy, { ...schedule, rentention_day: 30 });
        assert.equal(time_zone, 'UTC+02:00');
      },
      { scheduled_policy: schedule, time_zone: 'UTC+02:00' },
    );
  });

  test('of a pair the first wins, and the other is neither stored nor shown', async () => {
    const both = { ...SCHEDULE, frequency: 3, week_frequency: ['MON'], rentention_num: 4, rentention_day: 9 };
    await withPolicy(
      async (policyId) => {
        assert.deepEqual((await show(policyId)).scheduled_policy, {
          start_time: '02:00',
          frequency: 3,
          rentention_num: 4,
          remain_first_backup_of_curMonth: 'N',
          status: 'OFF',
        });
      },
      { scheduled_policy: both },
    );
  });

  test('names need not be unique; the list is whole, the default policy and the oldest first', async () => {
    const ids = [await create(), await create(), await create()];
    const all = await list();
    assert.equal(all[0]?.backup_policy_name, 'default');
    assert.deepEqual(
      all.slice(1).map((policy) => policy.backup_policy_id),
      ids,
    );
    const idsOf = async (query: string) => (await list({}, query)).map((policy) => policy.backup_policy_id);
    assert.deepEqual(await idsOf('?limit=1&offset=1'), ids.slice(0, 1));
    assert.deepEqual(await idsOf(`?limit=2&marker=${ids[0]}`), ids.slice(1));
    assert.deepEqual(await idsOf(`?marker=${ids[2]}`), []);
    assert.deepEqual(await idsOf('?limit=0'), []);
    await bench.assertVbsFault(400, 'AutoBackup.0008', 'GET', `${url()}?limit=x`);
    await bench.assertVbsFault(400, 'AutoBackup.0008', 'GET', `${url()}?marker=${newUuid()}`);
    await bench.assertVbsFault(400, 'AutoBackup.0008', 'GET', `${url()}?marker=x`);
    for (const id of ids) await remove(id);
  });

  test('readers see, and may not change', async () => {
    const { token } = bench.reader;
    const [policy] = await list({ token });
    await bench.ask(200, 'GET', `${url()}/${policy?.backup_policy_id}`, { token });
    await bench.assertVbsFault(403, 'AutoBackup.0213', 'POST', url(), { token, body: SEED_REQUEST });
  });

  test('ten policies besides the default one', async () => {
    const ids: string[] = [];
    for (let count = 0; count < 10; count += 1) ids.push(await create());
    await bench.assertVbsFault(400, 'AutoBackup.0203', 'POST', url(), { body: SEED_REQUEST });
    await remove(ids.pop() ?? '');
    ids.push(await create());
    for (const id of ids) await remove(id);
  });
});

describe('violations on creating', () => {
  const top = (change: object) => ({ ...SEED_REQUEST, ...change });
  const schedule = (change: object) => top({ scheduled_policy: { ...SEED_REQUEST.scheduled_policy, ...change } });
  const many = Array.from({ length: 11 }, (_, index) => ({ key: `k${index}`, value: '' }));
  const cases: [string, object | null][] = [
    ['AutoBackup.0221', top({ backup_policy_name: '<' })],
    ['AutoBackup.0221', schedule({ status: '>', start_time: 'x' })],
    ['AutoBackup.0000', null],
    ['AutoBackup.0008', []],
    ['AutoBackup.0001', top({ scheduled_policy: null })],
    ['AutoBackup.0001', {}],
    ['AutoBackup.0101', top({ backup_policy_name: undefined })],
    ['AutoBackup.0101', top({ backup_policy_name: '' })],
    ['AutoBackup.0101', top({ backup_policy_name: 'n'.repeat(65) })],
    ['AutoBackup.0102', top({ backup_policy_name: 'a b' })],
    ['AutoBackup.0102', top({ backup_policy_name: 'default_1' })],
    ['AutoBackup.0102', top({ backup_policy_name: 'default' })],
    ['AutoBackup.0103', schedule({ start_time: undefined })],
    ['AutoBackup.0103', schedule({ start_time: '12:30' })],
    ['AutoBackup.0103', schedule({ start_time: '12:00,12:00' })],
    ['AutoBackup.0103', schedule({ start_time: '00:00,22:00' })],
    ['AutoBackup.0106', schedule({ week_frequency: undefined })],
    ['AutoBackup.0106', schedule({ frequency: 15 })],
    ['AutoBackup.0106', schedule({ frequency: 0 })],
    ['AutoBackup.0106', schedule({ week_frequency: [] })],
    ['AutoBackup.0106', schedule({ week_frequency: ['SUN', 'SUN'] })],
    ['AutoBackup.0106', schedule({ week_frequency: ['SUNDAY'] })],
    ['AutoBackup.0107', schedule({ rentention_day: undefined })],
    ['AutoBackup.0107', schedule({ rentention_day: 1.9 })],
    ['AutoBackup.0107', schedule({ rentention_day: 100_000 })],
    ['AutoBackup.0107', schedule({ rentention_num: 1 })],
    ['AutoBackup.0107', schedule({ rentention_num: 15 })],
    ['AutoBackup.0105', schedule({ remain_first_backup_of_curMonth: 'yes' })],
    ['AutoBackup.0104', schedule({ status: undefined })],
    ['AutoBackup.0104', schedule({ status: 'on' })],
    ['AutoBackup.0214', top({ tags: [{ key: '', value: '' }] })],
    ['AutoBackup.0214', top({ tags: [{ key: 'a' }] })],
    ['AutoBackup.0215', top({ tags: many })],
    ['AutoBackup.0226', top({ time_zone: 'UTC+15:00' })],
    ['AutoBackup.0226', top({ time_zone: 'Europe/Berlin' })],
  ];
  for (const [code, body] of cases) {
    test(`${code}: ${JSON.stringify(body)?.slice(0, 90)}`, () =>
      bench.assertVbsFault(400, code, 'POST', url(), { body }));
  }

  test('bodies that are none', async () => {
    await bench.assertVbsFault(400, 'AutoBackup.0000', 'POST', url());
    const headers = { 'content-type': 'application/json' };
    await bench.assertVbsFault(400, 'AutoBackup.0000', 'POST', url(), { headers });
    await bench.assertVbsFault(400, 'AutoBackup.0008', 'POST', url(), { text: '{"backup_policy_name":' });
    const plain = { text: JSON.stringify(SEED_REQUEST), headers: { 'content-type': 'text/plain' } };
    await bench.assertVbsFault(400, 'AutoBackup.0008', 'POST', url(), plain);
    const huge = { text: JSON.stringify({ pad: 'x'.repeat(120_000) }) };
    await bench.assertVbsFault(413, 'AutoBackup.0008', 'POST', url(), huge);
  });
});

describe('modifying', () => {
  const fields = async (policyId: string) => (await show(policyId)).scheduled_policy;

  test('bodies that clients send merge into what is stored', async () => {
    await withPolicy(async (policyId) => {
      const untouched = await show(policyId);
      await modify(policyId, {});
      await modify(policyId, { scheduled_policy: {} });
      await modify(policyId, { tags: [{ key: 'ignored', value: '' }] });
      assert.deepEqual(await show(policyId), untouched);
      await modify(policyId, { scheduled_policy: { status: 'ON' } });
      assert.deepEqual(await fields(policyId), { ...untouched.scheduled_policy, status: 'ON' });
      await modify(policyId, { backup_policy_name: 'other', scheduled_policy: { frequency: 2 } });
      const { backup_policy_name, scheduled_policy } = await show(policyId);
      assert.deepEqual([backup_policy_name, scheduled_policy.frequency], ['other', 2]);
      await modify(policyId, { backup_policy_name: 'third' });
      assert.equal((await show(policyId)).backup_policy_name, 'third');
    });
  });

  test('one of a pair replaces the other; of both the first is taken', async () => {
    await withPolicy(async (policyId) => {
      const base = { start_time: '02:00', remain_first_backup_of_curMonth: 'N', status: 'OFF' };
      await modify(policyId, { scheduled_policy: { week_frequency: ['SAT', 'MON'], rentention_day: 9.5 } });
      assert.deepEqual(await fields(policyId), { ...base, week_frequency: ['SAT', 'MON'], rentention_day: 9 });
      await modify(policyId, { scheduled_policy: { frequency: 2, rentention_num: 3 } });
      assert.deepEqual(await fields(policyId), { ...base, frequency: 2, rentention_num: 3 });
      await modify(policyId, {
        scheduled_policy: { frequency: 4, week_frequency: ['SUN'], rentention_num: 6, rentention_day: 7 },
      });
      assert.deepEqual(await fields(policyId), { ...base, frequency: 4, rentention_num: 6 });
    });
  });

  test('the example of the contract: a zone together with what depends on it', async () => {
    await withPolicy(async (policyId) => {
      await modify(policyId, {
        scheduled_policy: { rentention_num: 10, frequency: 3, start_time: '12:00' },
        time_zone: 'UTC+08:00',
      });
      const { scheduled_policy, time_zone } = await show(policyId);
      assert.deepEqual(
        [scheduled_policy.start_time, scheduled_policy.frequency, scheduled_policy.rentention_num, time_zone],
        ['12:00', 3, 10, 'UTC+08:00'],
      );
    });
  });

  test('start times must ascend in the zone that results from the change', async () => {
    await withPolicy(
      async (policyId) => {
        const one = `${url()}/${policyId}`;
        const put = (body: object) => bench.assertVbsFault(400, 'AutoBackup.0103', 'PUT', one, { body });
        await put({ time_zone: 'UTC+00:00' });
        await put({ scheduled_policy: { start_time: '00:00,22:00' } });
        await put({ scheduled_policy: { start_time: '22:00,00:00' }, time_zone: 'UTC+01:00' });
        await modify(policyId, { scheduled_policy: { start_time: '23:00,00:00' } });
        await modify(policyId, { scheduled_policy: { start_time: '00:00,22:00' }, time_zone: 'UTC+00:00' });
      },
      { scheduled_policy: { ...SCHEDULE, start_time: '22:00,00:00,02:00' }, time_zone: 'UTC+02:00' },
    );
  });

  test('with week days a new zone needs start time and week days, where the days differ', async () => {
    const weekly = { start_time: '20:00', week_frequency: ['SUN'], rentention_num: 5, status: 'OFF' };
    await withPolicy(
      async (policyId) => {
        const one = `${url()}/${policyId}`;
        const put = (body: object) => bench.assertVbsFault(400, 'AutoBackup.0226', 'PUT', one, { body });
        await put({ time_zone: 'UTC+08:00' });
        await put({ time_zone: 'UTC+08:00', scheduled_policy: { start_time: '20:00' } });
        await put({ time_zone: 'UTC+08:00', scheduled_policy: { week_frequency: ['SUN'] } });
        // The same day in both zones: nothing more is needed.
        await modify(policyId, { time_zone: 'UTC+03:00' });
        await modify(policyId, {
          time_zone: 'UTC+08:00',
          scheduled_policy: { start_time: '20:00', week_frequency: ['MON'] },
        });
        // The zone it has already is no change.
        await modify(policyId, { time_zone: 'UTC+08:00' });
        assert.deepEqual((await fields(policyId)).week_frequency, ['MON']);
      },
      { scheduled_policy: weekly },
    );
    // By intervals no week day depends on the zone.
    const interval = { scheduled_policy: { ...SCHEDULE, start_time: '20:00' } };
    await withPolicy((policyId) => modify(policyId, { time_zone: 'UTC+08:00' }), interval);
  });

  test('violations have the codes of creating, and unknown policies come after them', async () => {
    const cases: [string, object][] = [
      ['AutoBackup.0221', { backup_policy_name: '<' }],
      ['AutoBackup.0101', { backup_policy_name: '' }],
      ['AutoBackup.0102', { backup_policy_name: 'default_1' }],
      ['AutoBackup.0102', { backup_policy_name: 'default' }],
      ['AutoBackup.0001', { scheduled_policy: 1 }],
      ['AutoBackup.0103', { scheduled_policy: { start_time: '7' } }],
      ['AutoBackup.0106', { scheduled_policy: { frequency: 15 } }],
      ['AutoBackup.0106', { scheduled_policy: { week_frequency: [] } }],
      ['AutoBackup.0107', { scheduled_policy: { rentention_num: 15 } }],
      ['AutoBackup.0107', { scheduled_policy: { rentention_day: 1 } }],
      ['AutoBackup.0105', { scheduled_policy: { remain_first_backup_of_curMonth: 1 } }],
      ['AutoBackup.0104', { scheduled_policy: { status: '' } }],
      ['AutoBackup.0226', { time_zone: 'UTC' }],
    ];
    await withPolicy(async (policyId) => {
      const one = `${url()}/${policyId}`;
      for (const [code, body] of cases) await bench.assertVbsFault(400, code, 'PUT', one, { body });
      await bench.assertVbsFault(400, 'AutoBackup.0000', 'PUT', one);
    });
    for (const id of [newUuid(), 'x']) {
      const one = `${url()}/${id}`;
      await bench.assertVbsFault(400, 'AutoBackup.0104', 'PUT', one, { body: { scheduled_policy: { status: 'x' } } });
      await bench.assertVbsFault(404, 'AutoBackup.0205', 'PUT', one, { body: {} });
    }
  });
});

describe('the default policy', () => {
  test('has its documented values, may be changed and named, but neither renamed nor deleted', async () => {
    const [policy] = await list();
    assert.ok(policy !== undefined);
    const { backup_policy_id: policyId, ...rest } = policy;
    const untouched = {
      backup_policy_name: 'default',
      scheduled_policy: {
        start_time: '02:00',
        frequency: 1,
        rentention_num: 7,
        remain_first_backup_of_curMonth: 'N',
        status: 'OFF',
      },
      policy_resource_count: 0,
      time_zone: 'UTC+00:00',
      tags: [],
    };
    assert.deepEqual(rest, untouched);
    const one = `${url()}/${policyId}`;
    await bench.assertVbsFault(403, 'AutoBackup.0100', 'PUT', one, { body: { backup_policy_name: 'mine' } });
    await bench.assertVbsFault(403, 'AutoBackup.0100', 'DELETE', one);
    await modify(policyId, { backup_policy_name: 'default', scheduled_policy: { frequency: 2, status: 'ON' } });
    assert.deepEqual((await show(policyId)).scheduled_policy, {
      ...untouched.scheduled_policy,
      frequency: 2,
      status: 'ON',
    });
    await modify(policyId, { scheduled_policy: { frequency: 1, status: 'OFF' } });
  });

  test('every project has one of its own', async () => {
    const { token, projectId } = bench.stranger;
    const own = (await bench.ask(200, 'GET', `/v2/${projectId}/backuppolicy`, { token }))
      .backup_policies as PolicyJson[];
    assert.deepEqual(
      own.map((policy) => policy.backup_policy_name),
      ['default'],
    );
    assert.notEqual(own[0]?.backup_policy_id, (await list())[0]?.backup_policy_id);
  });
});

describe('deleting', () => {
  test('answers 204 without body, then the policy is unknown and its volumes are free', async () => {
    const volumeId = await makeVolume();
    const [first, second] = [await create(), await create()];
    await associate(first, volumeId);
    await remove(first);
    await bench.assertVbsFault(404, 'AutoBackup.1100', 'GET', `${url()}/${first}`);
    await bench.assertVbsFault(404, 'AutoBackup.0205', 'DELETE', `${url()}/${first}`);
    const { success_resources } = await associate(second, volumeId);
    assert.equal(success_resources.length, 1);
    await remove(second);
  });
});
