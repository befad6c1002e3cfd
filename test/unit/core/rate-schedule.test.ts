// Rates by the time of the day, as the settings write them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MIB } from '../../../src/core/bytes.ts';
import { parseRateSchedule, type Rates, ratesAt } from '../../../src/core/rate-schedule.ts';

function ratesOf(text: string, time: string): Rates {
  const schedule = parseRateSchedule(text);
  assert.ok(schedule, `${text} is a schedule`);
  const [hour = 0, minute = 0] = time.split(':').map(Number);
  return ratesAt(schedule, hour * 60 + minute);
}

test('a rate without a window holds all day, and an empty text limits nothing', () => {
  assert.deepEqual(ratesOf('50MiB/s', '00:00'), { bytesPerSecond: 50 * MIB });
  assert.deepEqual(ratesOf('50MiB/s', '23:59'), { bytesPerSecond: 50 * MIB });
  assert.deepEqual(ratesOf(' ', '12:00'), {});
});

test('the first window that the time lies in decides; its end is not in it', () => {
  const text = '08:00-18:00 10MiB/s 200iops; 12:00-20:00 20MiB/s; 1GiB/s';
  assert.deepEqual(ratesOf(text, '07:59'), { bytesPerSecond: 1024 * MIB });
  assert.deepEqual(ratesOf(text, '08:00'), { bytesPerSecond: 10 * MIB, operationsPerSecond: 200 });
  assert.deepEqual(ratesOf(text, '17:59'), { bytesPerSecond: 10 * MIB, operationsPerSecond: 200 });
  assert.deepEqual(ratesOf(text, '18:00'), { bytesPerSecond: 20 * MIB });
});

test('a window may reach past midnight, or end with the day', () => {
  assert.deepEqual(ratesOf('22:00-06:00 unlimited; 30iops', '23:00'), {});
  assert.deepEqual(ratesOf('22:00-06:00 unlimited; 30iops', '05:59'), {});
  assert.deepEqual(ratesOf('22:00-06:00 unlimited; 30iops', '06:00'), { operationsPerSecond: 30 });
  assert.deepEqual(ratesOf('22:00-24:00 30iops', '23:59'), { operationsPerSecond: 30 });
  assert.deepEqual(ratesOf('22:00-24:00 30iops', '00:00'), {});
});

for (const text of [
  'fast',
  '50MB/s',
  '50',
  '25:00-26:00 1MiB/s',
  '08:00-08:00 1MiB/s',
  '08:00-24:30 1MiB/s',
  '1KiB/s',
]) {
  test(`${JSON.stringify(text)} is no schedule`, () => assert.equal(parseRateSchedule(text), undefined));
}
for (const text of ['0iops', '1MiB/s 2MiB/s', '08:00-18:00', ';', '1MiB/s;', 'unlimited 3iops']) {
  test(`${JSON.stringify(text)} is no schedule either`, () => assert.equal(parseRateSchedule(text), undefined));
}

test('a window holds exactly the minutes between its ends', () => {
  const minute = fc.integer({ min: 0, max: 1439 });
  const clock = (value: number) =>
    `${String(Math.floor(value / 60)).padStart(2, '0')}:${String(value % 60).padStart(2, '0')}`;
  fc.assert(
    fc.property(minute, minute, minute, (from, to, now) => {
      fc.pre(from !== to);
      const isInside = (now - from + 1440) % 1440 < (to - from + 1440) % 1440;
      const rates = ratesOf(`${clock(from)}-${clock(to)} 7iops`, clock(now));
      assert.deepEqual(rates, isInside ? { operationsPerSecond: 7 } : {});
    }),
  );
});
