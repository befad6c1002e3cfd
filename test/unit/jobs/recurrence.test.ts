// Due times of contract 5.4 and 3.8, case by case; test/property/recurrence.test.ts compares with an oracle.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { areAscendingLocally, hasOtherDay, parseStartTimes, parseTimeZone } from '../../../src/core/local-time.ts';
import type { Schedule } from '../../../src/core/model.ts';
import { nextRunAfter } from '../../../src/jobs/recurrence.ts';

const daily: Schedule = {
  startTime: '12:00',
  timeZone: 'UTC+00:00',
  recurrence: { kind: 'interval', everyDays: 1 },
};

function nextRuns(schedule: Schedule, from: string, count: number): string[] {
  const runs: string[] = [];
  for (let at = Date.parse(from); runs.length < count; ) {
    at = nextRunAfter(schedule, at);
    runs.push(new Date(at).toISOString().slice(0, 16));
  }
  return runs;
}

test('a due time is after the instant asked for, never at it', () => {
  assert.deepEqual(nextRuns(daily, '2026-02-03T12:00:00.000Z', 1), ['2026-02-04T12:00']);
  assert.deepEqual(nextRuns(daily, '2026-02-03T11:59:59.999Z', 1), ['2026-02-03T12:00']);
});

test('an interval of three days starts anew on the 1st of each month', () => {
  const schedule: Schedule = { ...daily, recurrence: { kind: 'interval', everyDays: 3 } };
  assert.deepEqual(nextRuns(schedule, '2026-01-02T00:00Z', 1), ['2026-01-04T12:00']);
  assert.deepEqual(nextRuns(schedule, '2026-01-27T00:00Z', 4), [
    '2026-01-28T12:00',
    '2026-01-31T12:00',
    '2026-02-01T12:00',
    '2026-02-04T12:00',
  ]);
});

test('the example of the contract: Sundays at local 00:00, 02:00 and 04:00 two hours ahead of UTC', () => {
  const schedule: Schedule = {
    startTime: '22:00,00:00,02:00',
    timeZone: 'UTC+02:00',
    recurrence: { kind: 'week', weekDays: ['SUN'] },
  };
  assert.deepEqual(nextRuns(schedule, '2026-02-02T00:00Z', 4), [
    '2026-02-07T22:00',
    '2026-02-08T00:00',
    '2026-02-08T02:00',
    '2026-02-14T22:00',
  ]);
});

test('days are local also west of Greenwich and with half hours', () => {
  const west: Schedule = {
    ...daily,
    startTime: '01:00',
    timeZone: 'UTC-02:00',
    recurrence: { kind: 'week', weekDays: ['MON'] },
  };
  // Local Monday 23:00 is Tuesday in UTC.
  assert.deepEqual(nextRuns(west, '2026-02-01T00:00Z', 2), ['2026-02-03T01:00', '2026-02-10T01:00']);
  const kolkata: Schedule = {
    ...daily,
    startTime: '19:00',
    timeZone: 'UTC+05:30',
    recurrence: { kind: 'interval', everyDays: 14 },
  };
  // Local 00:30 on the 1st, 15th and 29th.
  assert.deepEqual(nextRuns(kolkata, '2026-03-01T00:00Z', 3), [
    '2026-03-14T19:00',
    '2026-03-28T19:00',
    '2026-03-31T19:00',
  ]);
});

test('leap days are days', () => {
  const schedule: Schedule = { ...daily, recurrence: { kind: 'interval', everyDays: 14 } };
  assert.deepEqual(nextRuns(schedule, '2028-02-16T00:00Z', 2), ['2028-02-29T12:00', '2028-03-01T12:00']);
  assert.deepEqual(nextRuns(schedule, '2027-02-16T00:00Z', 1), ['2027-03-01T12:00']);
});

test('zones from UTC-12:00 to UTC+14:00 are zones, all else is not', () => {
  const cases: [string, number | undefined][] = [
    ['UTC+00:00', 0],
    ['UTC-00:00', 0],
    ['UTC+08:00', 480],
    ['UTC-02:30', -150],
    ['UTC+14:00', 840],
    ['UTC-12:00', -720],
    ['UTC+14:01', undefined],
    ['UTC-12:30', undefined],
    ['UTC+05:60', undefined],
    ['utc+05:00', undefined],
    ['UTC+5:00', undefined],
    ['+05:00', undefined],
    ['UTC+05:00 ', undefined],
    ['', undefined],
  ];
  for (const [text, minutes] of cases) assert.equal(parseTimeZone(text), minutes, text);
});

test('start times are 1 to 24 full hours', () => {
  assert.deepEqual(parseStartTimes('22:00, 00:00 ,02:00'), [1320, 0, 120]);
  const bad = [
    '',
    ',',
    '12:30',
    '24:00',
    '1:00',
    '12:00,',
    '12:00;13:00',
    '12:00:00',
    Array(25).fill('12:00').join(','),
  ];
  for (const text of bad) assert.equal(parseStartTimes(text), undefined, text);
});

test('start times ascend by local time', () => {
  const minutes = parseStartTimes('22:00,00:00,02:00') ?? [];
  assert(areAscendingLocally(minutes, 120));
  assert(!areAscendingLocally(minutes, 0));
  assert(!areAscendingLocally([600, 600], 0), 'duplicates');
  assert(areAscendingLocally([600], -720));
});

test('it is another day in UTC than locally for some start time', () => {
  assert(hasOtherDay([22 * 60, 0], 120));
  assert(hasOtherDay([60], -120));
  assert(!hasOtherDay([12 * 60], 480));
  assert(!hasOtherDay([0], 0));
});
