// Policies at the edge: every rule of contract 3.7 and 3.10 with its code, in the order of the table, and the two views
// that clients are exact about.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  checkCreatePolicy,
  checkModifyPolicy,
  checkPolicyId,
  checkQueriedPolicyId,
  parsePolicyPage,
  parseTriedRule,
} from '../../../src/api/schemas/policies.ts';
import { requireNoContent } from '../../../src/api/schemas/policy-body.ts';
import { parseTaskQuery } from '../../../src/api/schemas/policy-tasks.ts';
import type { ErrorCode } from '../../../src/core/errors.ts';
import { expectCode, expectNoSurprise, json } from './expect-code.ts';

const RANGES = { maxFrequencyDays: 14, maxRetentionCount: 14 };

/** As the reference prints it (seed "Creating a Backup Policy"), with a second tag. */
const EXAMPLE = {
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

const create = (value: unknown, ranges = RANGES) => checkCreatePolicy(json(value), ranges);
const modify = (value: unknown) => checkModifyPolicy(json(value), RANGES);
const withTop = (change: object) => ({ ...EXAMPLE, ...change });
const withSchedule = (change: object) => withTop({ scheduled_policy: { ...EXAMPLE.scheduled_policy, ...change } });

describe('creating', () => {
  test('the example of the reference', () => {
    assert.deepEqual(create(EXAMPLE), {
      name: 'policy_01',
      startTime: '12:00',
      timeZone: 'UTC+08:00',
      recurrence: { kind: 'week', weekDays: ['SUN', 'WED'] },
      retention: { kind: 'days', keepDays: 30 },
      keepsFirstOfMonth: true,
      isEnabled: true,
      tags: [{ key: 'key', value: 'value' }],
    });
  });

  test('what is optional has its defaults, absent or null', () => {
    const bare = {
      backup_policy_name: 'a',
      scheduled_policy: { start_time: '02:00', frequency: 1, rentention_num: 2, status: 'OFF' },
    };
    const expected = {
      name: 'a',
      startTime: '02:00',
      timeZone: 'UTC+00:00',
      recurrence: { kind: 'interval', everyDays: 1 },
      retention: { kind: 'count', keepCount: 2 },
      keepsFirstOfMonth: false,
      isEnabled: false,
      tags: [],
    };
    assert.deepEqual(create(bare), expected);
    const schedule = { week_frequency: null, rentention_day: null, remain_first_backup_of_curMonth: null };
    const nulls = { tags: null, time_zone: null, scheduled_policy: { ...bare.scheduled_policy, ...schedule } };
    assert.deepEqual(create({ ...bare, ...nulls, unknown: { key: 1 } }), expected);
  });

  test('of a pair the first wins, and of the other only the type is looked at', () => {
    const both = create(withSchedule({ frequency: 3, week_frequency: [], rentention_num: 5, rentention_day: 1 }));
    assert.deepEqual(both.recurrence, { kind: 'interval', everyDays: 3 });
    assert.deepEqual(both.retention, { kind: 'count', keepCount: 5 });
    expectCode('POLICY_INTERVAL_INVALID', () => create(withSchedule({ frequency: 3, week_frequency: 'MON' })));
    expectCode('POLICY_RETENTION_INVALID', () => create(withSchedule({ rentention_num: 5, rentention_day: '30' })));
    expectCode('POLICY_INTERVAL_INVALID', () => create(withSchedule({ frequency: 0 })));
  });

  test('days of retention are rounded down before they are judged', () => {
    for (const [given, kept] of [
      [30.9, 30],
      [2, 2],
      [99_999.9, 99_999],
    ]) {
      assert.deepEqual(create(withSchedule({ rentention_day: given })).retention, { kind: 'days', keepDays: kept });
    }
    for (const days of [1.99, 0, -3, 100_000, 1e300, '30', true, []]) {
      expectCode('POLICY_RETENTION_INVALID', () => create(withSchedule({ rentention_day: days })), String(days));
    }
  });

  test('start times ascend by local time (contract 3.8) and come back as they were sent', () => {
    const times = '22:00,00:00,02:00';
    assert.equal(create({ ...withSchedule({ start_time: times }), time_zone: 'UTC+02:00' }).startTime, times);
    expectCode('POLICY_START_TIME_INVALID', () =>
      create({ ...withSchedule({ start_time: times }), time_zone: 'UTC+00:00' }),
    );
    expectCode('POLICY_START_TIME_INVALID', () =>
      create({ ...withSchedule({ start_time: times }), time_zone: undefined }),
    );
    assert.equal(create(withSchedule({ start_time: ' 12:00 ,\t14:00' })).startTime, '12:00,14:00');
    const all = Array.from({ length: 24 }, (_, hour) => `${String(hour).padStart(2, '0')}:00`).join(',');
    assert.equal(create({ ...withSchedule({ start_time: all }), time_zone: undefined }).startTime, all);
    assert.equal(create({ ...withSchedule({ start_time: '00:00,12:00' }), time_zone: null }).startTime, '00:00,12:00');
    for (const bad of [
      '',
      ',',
      '12:00,',
      '12:30',
      '24:00',
      '1:00',
      '12',
      '12:00:00',
      '12:00;13:00',
      '12:00,12:00',
      `${all},00:00`,
      null,
      undefined,
      12,
      ['12:00'],
    ]) {
      expectCode('POLICY_START_TIME_INVALID', () => create(withSchedule({ start_time: bad })), String(bad));
    }
  });

  const violations: [ErrorCode, object][] = [
    ['POLICY_NAME_LENGTH', withTop({ backup_policy_name: undefined })],
    ['POLICY_NAME_LENGTH', withTop({ backup_policy_name: null })],
    ['POLICY_NAME_LENGTH', withTop({ backup_policy_name: '' })],
    ['POLICY_NAME_LENGTH', withTop({ backup_policy_name: 'n'.repeat(65) })],
    ['POLICY_NAME_LENGTH', withTop({ backup_policy_name: 'ä'.repeat(65) })],
    ['POLICY_NAME_INVALID', withTop({ backup_policy_name: 'ä' })],
    ['POLICY_NAME_INVALID', withTop({ backup_policy_name: 'a b' })],
    ['POLICY_NAME_INVALID', withTop({ backup_policy_name: 'a.b' })],
    ['POLICY_NAME_INVALID', withTop({ backup_policy_name: 7 })],
    ['POLICY_NAME_INVALID', withTop({ backup_policy_name: 'default' })],
    ['POLICY_NAME_INVALID', withTop({ backup_policy_name: 'defaults_1' })],
    ['POLICY_OBJECT_MISSING', withTop({ scheduled_policy: undefined })],
    ['POLICY_OBJECT_MISSING', withTop({ scheduled_policy: null })],
    ['POLICY_OBJECT_MISSING', withTop({ scheduled_policy: 'daily' })],
    ['POLICY_OBJECT_MISSING', withTop({ scheduled_policy: [] })],
    ['POLICY_INTERVAL_INVALID', withSchedule({ frequency: 15 })],
    ['POLICY_INTERVAL_INVALID', withSchedule({ frequency: -1 })],
    ['POLICY_INTERVAL_INVALID', withSchedule({ frequency: 1.5 })],
    ['POLICY_INTERVAL_INVALID', withSchedule({ frequency: '1' })],
    ['POLICY_INTERVAL_INVALID', withSchedule({ week_frequency: undefined })],
    ['POLICY_INTERVAL_INVALID', withSchedule({ week_frequency: [] })],
    ['POLICY_INTERVAL_INVALID', withSchedule({ week_frequency: ['MON', 'MON'] })],
    ['POLICY_INTERVAL_INVALID', withSchedule({ week_frequency: ['mon'] })],
    ['POLICY_INTERVAL_INVALID', withSchedule({ week_frequency: ['MON', 1] })],
    ['POLICY_INTERVAL_INVALID', withSchedule({ week_frequency: 'MON' })],
    ['POLICY_RETENTION_INVALID', withSchedule({ rentention_day: undefined })],
    ['POLICY_RETENTION_INVALID', withSchedule({ rentention_num: 1 })],
    ['POLICY_RETENTION_INVALID', withSchedule({ rentention_num: 15 })],
    ['POLICY_RETENTION_INVALID', withSchedule({ rentention_num: 2.5 })],
    ['POLICY_RETENTION_INVALID', withSchedule({ rentention_num: '2' })],
    ['POLICY_RETAIN_FIRST_INVALID', withSchedule({ remain_first_backup_of_curMonth: 'y' })],
    ['POLICY_RETAIN_FIRST_INVALID', withSchedule({ remain_first_backup_of_curMonth: '' })],
    ['POLICY_RETAIN_FIRST_INVALID', withSchedule({ remain_first_backup_of_curMonth: true })],
    ['POLICY_STATUS_INVALID', withSchedule({ status: undefined })],
    ['POLICY_STATUS_INVALID', withSchedule({ status: null })],
    ['POLICY_STATUS_INVALID', withSchedule({ status: 'on' })],
    ['POLICY_TAG_INVALID', withTop({ tags: { key: 'a', value: 'b' } })],
    ['POLICY_TAG_INVALID', withTop({ tags: [{ key: 'a.b', value: '' }] })],
    ['POLICY_TAGS_TOO_MANY', withTop({ tags: Array.from({ length: 11 }, (_, i) => ({ key: `k${i}`, value: '' })) })],
    ['POLICY_TIME_ZONE_INVALID', withTop({ time_zone: '' })],
    ['POLICY_TIME_ZONE_INVALID', withTop({ time_zone: 'UTC' })],
    ['POLICY_TIME_ZONE_INVALID', withTop({ time_zone: '+08:00' })],
    ['POLICY_TIME_ZONE_INVALID', withTop({ time_zone: 'UTC+8:00' })],
    ['POLICY_TIME_ZONE_INVALID', withTop({ time_zone: 'utc+08:00' })],
    ['POLICY_TIME_ZONE_INVALID', withTop({ time_zone: 'UTC+14:30' })],
    ['POLICY_TIME_ZONE_INVALID', withTop({ time_zone: 'UTC-12:30' })],
    ['POLICY_TIME_ZONE_INVALID', withTop({ time_zone: 'UTC+08:60' })],
    ['POLICY_TIME_ZONE_INVALID', withTop({ time_zone: 8 })],
    ['POLICY_TEXT_FORBIDDEN', withTop({ backup_policy_name: 'a<b' })],
    ['POLICY_TEXT_FORBIDDEN', withTop({ tags: [{ key: 'a', value: '>' }] })],
    ['POLICY_TEXT_FORBIDDEN', withTop({ ignored: [[{ deep: ['<'] }]] })],
    ['POLICY_TEXT_FORBIDDEN', withTop({ '<': 1 })],
  ];
  for (const [code, body] of violations) {
    test(`${code}: ${JSON.stringify(body).slice(0, 100)}`, () => expectCode(code, () => create(body)));
  }

  test('zones at both ends of their range', () => {
    for (const zone of ['UTC+14:00', 'UTC-12:00', 'UTC-00:00', 'UTC+05:30', 'UTC+00:00']) {
      assert.equal(create(withTop({ time_zone: zone })).timeZone, zone);
    }
  });

  test('ranges that the operator widened (contract 6.2)', () => {
    const wide = { maxFrequencyDays: 30, maxRetentionCount: 99 };
    const { recurrence, retention } = create(withSchedule({ frequency: 30, rentention_num: 99 }), wide);
    assert.deepEqual(
      [recurrence, retention],
      [
        { kind: 'interval', everyDays: 30 },
        { kind: 'count', keepCount: 99 },
      ],
    );
    expectCode('POLICY_INTERVAL_INVALID', () => create(withSchedule({ frequency: 31 }), wide));
    expectCode('POLICY_RETENTION_INVALID', () => create(withSchedule({ rentention_num: 100 }), wide));
  });

  test('the first violation of the table is the one that is told', () => {
    const wrong = {
      backup_policy_name: '',
      scheduled_policy: {
        start_time: 'x',
        frequency: 0,
        rentention_num: 0,
        remain_first_backup_of_curMonth: 'x',
        status: 'x',
      },
      tags: 'x',
      time_zone: 'x',
    } as Record<string, unknown>;
    const schedule = wrong.scheduled_policy as Record<string, unknown>;
    const repairs: [ErrorCode, () => void][] = [
      ['POLICY_TEXT_FORBIDDEN', () => delete wrong.note],
      ['POLICY_NAME_LENGTH', () => (wrong.backup_policy_name = 'ok')],
      ['POLICY_START_TIME_INVALID', () => (schedule.start_time = '12:00')],
      ['POLICY_INTERVAL_INVALID', () => (schedule.frequency = 1)],
      ['POLICY_RETENTION_INVALID', () => (schedule.rentention_num = 2)],
      ['POLICY_RETAIN_FIRST_INVALID', () => (schedule.remain_first_backup_of_curMonth = 'N')],
      ['POLICY_STATUS_INVALID', () => (schedule.status = 'ON')],
      ['POLICY_TAG_INVALID', () => (wrong.tags = [])],
      ['POLICY_TIME_ZONE_INVALID', () => (wrong.time_zone = 'UTC+01:00')],
    ];
    wrong.note = '<';
    for (const [code, repair] of repairs) {
      expectCode(code, () => create(wrong), code);
      repair();
    }
    assert.equal(create(wrong).name, 'ok');
    expectCode('POLICY_OBJECT_MISSING', () => create({ backup_policy_name: '' }));
  });

  test('bodies that are none', () => {
    expectCode('POLICY_BODY_EMPTY', () => checkCreatePolicy({ kind: 'absent' }, RANGES));
    expectCode('POLICY_BODY_EMPTY', () => create(null));
    expectCode('REQUEST_MALFORMED', () => checkCreatePolicy({ kind: 'broken' }, RANGES));
    expectCode('MEDIA_TYPE_UNSUPPORTED', () =>
      checkCreatePolicy({ kind: 'unsupported', contentType: 'text/plain' }, RANGES),
    );
    for (const value of [[], 'text', 1, true]) expectCode('REQUEST_MALFORMED', () => create(value));
    expectCode('POLICY_OBJECT_MISSING', () => create({}));
  });

  test('a body nested deeper than the stack is judged like any other', () => {
    const deep = JSON.parse(`${'['.repeat(50_000)}"<"${']'.repeat(50_000)}`);
    expectCode('POLICY_TEXT_FORBIDDEN', () => create(withTop({ deep })));
  });

  test('whatever is sent is answered, never an accident', () => {
    const field = fc.constantFrom(...Object.keys(EXAMPLE), ...Object.keys(EXAMPLE.scheduled_policy));
    fc.assert(
      fc.property(fc.jsonValue(), field, (value, name) => {
        expectNoSurprise(() => create(value));
        expectNoSurprise(() => create(withTop({ [name]: value })));
        expectNoSurprise(() => create(withSchedule({ [name]: value })));
        expectNoSurprise(() => modify(withSchedule({ [name]: value })));
      }),
    );
  });
});

describe('modifying', () => {
  test('bodies that clients send', () => {
    assert.deepEqual(modify({}), {});
    assert.deepEqual(modify({ scheduled_policy: {} }), {});
    assert.deepEqual(modify({ scheduled_policy: null, backup_policy_name: null, time_zone: null }), {});
    assert.deepEqual(modify({ scheduled_policy: { status: 'OFF' } }), { isEnabled: false });
    assert.deepEqual(modify({ backup_policy_name: 'b', scheduled_policy: {} }), { name: 'b' });
    assert.deepEqual(modify({ backup_policy_name: 'b', scheduled_policy: { frequency: 1 } }), {
      name: 'b',
      recurrence: { kind: 'interval', everyDays: 1 },
    });
    assert.deepEqual(modify({ scheduled_policy: { week_frequency: ['MON'] } }), {
      recurrence: { kind: 'week', weekDays: ['MON'] },
    });
    assert.deepEqual(
      modify({
        backup_policy_name: 'policy_01',
        scheduled_policy: {
          remain_first_backup_of_curMonth: 'Y',
          rentention_num: 10,
          week_frequency: ['MON'],
          start_time: '12:00',
          status: 'ON',
        },
        time_zone: 'UTC+08:00',
      }),
      {
        name: 'policy_01',
        startTime: '12:00',
        recurrence: { kind: 'week', weekDays: ['MON'] },
        retention: { kind: 'count', keepCount: 10 },
        keepsFirstOfMonth: true,
        isEnabled: true,
        timeZone: 'UTC+08:00',
      },
    );
  });

  test('tags are not looked at', () => {
    assert.deepEqual(modify({ tags: 'nonsense' }), {});
  });

  test('the same rules and codes as for creating', () => {
    const cases: [ErrorCode, object][] = [
      ['POLICY_TEXT_FORBIDDEN', { tags: '<' }],
      ['POLICY_NAME_LENGTH', { backup_policy_name: '' }],
      ['POLICY_NAME_INVALID', { backup_policy_name: 'default_2' }],
      ['POLICY_NAME_INVALID', { backup_policy_name: 'a b' }],
      ['POLICY_OBJECT_MISSING', { scheduled_policy: 'x' }],
      ['POLICY_START_TIME_INVALID', { scheduled_policy: { start_time: '12:01' } }],
      ['POLICY_START_TIME_INVALID', { scheduled_policy: { start_time: '22:00,00:00' }, time_zone: 'UTC+00:00' }],
      ['POLICY_INTERVAL_INVALID', { scheduled_policy: { frequency: 15 } }],
      ['POLICY_INTERVAL_INVALID', { scheduled_policy: { week_frequency: [] } }],
      ['POLICY_RETENTION_INVALID', { scheduled_policy: { rentention_num: 1 } }],
      ['POLICY_RETENTION_INVALID', { scheduled_policy: { rentention_day: 1 } }],
      ['POLICY_RETAIN_FIRST_INVALID', { scheduled_policy: { remain_first_backup_of_curMonth: 'x' } }],
      ['POLICY_STATUS_INVALID', { scheduled_policy: { status: 'x' } }],
      ['POLICY_TIME_ZONE_INVALID', { time_zone: 'x' }],
    ];
    for (const [code, body] of cases) expectCode(code, () => modify(body), JSON.stringify(body));
    expectCode('POLICY_BODY_EMPTY', () => checkModifyPolicy({ kind: 'absent' }, RANGES));
  });

  test('the order of start times without a zone, and the name default, are left to who knows the policy', () => {
    assert.deepEqual(modify({ scheduled_policy: { start_time: '22:00,00:00' } }), { startTime: '22:00,00:00' });
    assert.deepEqual(modify({ backup_policy_name: 'default' }), { name: 'default' });
  });
});

test('ids that none can have are unknown', () => {
  expectCode('POLICY_NOT_FOUND', () => checkPolicyId('x'));
  expectCode('POLICY_QUERIED_NOT_FOUND', () => checkQueriedPolicyId('x'));
  const id = 'A87D4F13-9BE0-4D27-86C5-1F3E2B9C7D60';
  assert.equal(checkPolicyId(id), id.toLowerCase());
});

test('calls without content take nothing, null and objects', () => {
  requireNoContent({ kind: 'absent' });
  for (const value of [null, {}, { unknown: 1 }]) requireNoContent(json(value));
  for (const value of [[], 'x', 0]) expectCode('REQUEST_MALFORMED', () => requireNoContent(json(value)));
  expectCode('REQUEST_MALFORMED', () => requireNoContent({ kind: 'broken' }));
  expectCode('MEDIA_TYPE_UNSUPPORTED', () => requireNoContent({ kind: 'unsupported', contentType: 'text/plain' }));
});

test('pages of policies: whole unless asked otherwise', () => {
  assert.deepEqual(parsePolicyPage({}), {});
  assert.deepEqual(parsePolicyPage({ limit: '', offset: '', marker: '' }), {});
  const marker = 'a87d4f13-9be0-4d27-86c5-1f3e2b9c7d60';
  assert.deepEqual(parsePolicyPage({ limit: '2', offset: '1', marker }), { limit: 2, offset: 1, markerId: marker });
  expectCode('REQUEST_FIELD_INVALID', () => parsePolicyPage({ limit: '-1' }));
  expectCode('MARKER_NOT_FOUND', () => parsePolicyPage({ marker: 'x' }));
});

test('a rule to be tried has the ranges of a policy', () => {
  assert.deepEqual(parseTriedRule({}, RANGES), {});
  assert.deepEqual(parseTriedRule({ rentention_num: '3', remain_first_backup_of_curMonth: 'Y' }, RANGES), {
    retention: { kind: 'count', keepCount: 3 },
    keepsFirstOfMonth: true,
  });
  assert.deepEqual(parseTriedRule({ rentention_day: '30.9' }, RANGES), { retention: { kind: 'days', keepDays: 30 } });
  for (const text of ['x', '1', '15', '-2', '2e0', ' 3']) {
    expectCode('POLICY_RETENTION_INVALID', () => parseTriedRule({ rentention_num: text }, RANGES), text);
  }
  expectCode('POLICY_RETAIN_FIRST_INVALID', () => parseTriedRule({ remain_first_backup_of_curMonth: 'yes' }, RANGES));
});

describe('query of tasks (contract 3.13)', () => {
  const TASK = '2b90a4c7-03de-4f11-8d6a-77e1c5b0f932';

  test('defaults, and an empty text is no filter', () => {
    const expected = { filter: {}, page: { limit: 20, offset: 0, direction: 'desc' } };
    assert.deepEqual(parseTaskQuery({}), expected);
    const empty = { sort_dir: '', sort_key: '', limit: '', offset: '', marker: '', job_id: '', status: '' };
    assert.deepEqual(parseTaskQuery(empty), expected);
  });

  test('all of them', () => {
    const query = { sort_dir: 'asc', sort_key: 'created_at', limit: '1000', offset: '7', marker: TASK.toUpperCase() };
    assert.deepEqual(parseTaskQuery({ ...query, job_id: TASK.replaceAll('-', ''), status: 'SKIP' }), {
      filter: { taskId: TASK, status: 'SKIP' },
      page: { limit: 1000, offset: 7, direction: 'asc', markerId: TASK },
    });
    assert.deepEqual(parseTaskQuery({ job_id: 'some-key' }).filter, {
      taskId: '00000000-0000-0000-0000-000000000000',
    });
  });

  test('bad values', () => {
    const bad: Record<string, string[]> = {
      sort_dir: ['up', 'ASC'],
      sort_key: ['id', 'status'],
      limit: ['0', '1001', '-1', 'x', '1.5'],
      offset: ['-1', 'x'],
      job_id: ['a b', 'ä', 'x'.repeat(65)],
      status: ['running', 'FAIL'],
    };
    for (const [key, values] of Object.entries(bad)) {
      for (const value of values) expectCode('REQUEST_FIELD_INVALID', () => parseTaskQuery({ [key]: value }), value);
    }
    expectCode('MARKER_NOT_FOUND', () => parseTaskQuery({ marker: 'x' }));
  });
});
