// The next due time against an oracle that tries every hour of 50 years, with calendar arithmetic of its own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { areAscendingLocally } from '../../src/core/local-time.ts';
import { type Schedule, WEEK_DAYS } from '../../src/core/model.ts';
import { nextRunAfter } from '../../src/jobs/recurrence.ts';

const HOUR_MS = 3_600_000;
const YEARS = 50;
const SCHEDULES = 25;

type Case = { readonly schedule: Schedule; readonly hours: readonly number[]; readonly offsetMinutes: number };

const offset = fc.integer({ min: -48, max: 56 }).map((quarters) => quarters * 15);
const recurrence: fc.Arbitrary<Schedule['recurrence']> = fc.oneof(
  fc.integer({ min: 1, max: 30 }).map((everyDays) => ({ kind: 'interval' as const, everyDays })),
  fc
    .uniqueArray(fc.constantFrom(...WEEK_DAYS), { minLength: 1, maxLength: 7 })
    .map((weekDays) => ({ kind: 'week' as const, weekDays })),
);
const aCase: fc.Arbitrary<Case> = fc
  .record({
    offsetMinutes: offset,
    recurrence,
    hours: fc.uniqueArray(fc.integer({ min: 0, max: 23 }), { minLength: 1, maxLength: 24 }),
  })
  .map(({ offsetMinutes, recurrence: days, hours }) => {
    const local = (hour: number) => (hour * 60 + offsetMinutes + 1440) % 1440;
    const ascending = hours.toSorted((a, b) => local(a) - local(b));
    assert(
      areAscendingLocally(
        ascending.map((hour) => hour * 60),
        offsetMinutes,
      ),
    );
    const pad = (value: number) => String(value).padStart(2, '0');
    const size = Math.abs(offsetMinutes);
    const timeZone = `UTC${offsetMinutes < 0 ? '-' : '+'}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
    const startTime = ascending.map((hour) => `${pad(hour)}:00`).join(',');
    return { schedule: { startTime, timeZone, recurrence: days }, hours, offsetMinutes };
  });

const isLeap = (year: number) => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;

/** Walks hour by hour and counts the calendar along; it knows nothing of Date beyond the start. */
function* dueHours({ schedule, hours, offsetMinutes }: Case, fromAt: number): Generator<number> {
  const wanted = new Set(hours);
  const start = new Date(fromAt + offsetMinutes * 60_000);
  let [year, month, day] = [start.getUTCFullYear(), start.getUTCMonth(), start.getUTCDate()];
  let weekDay = start.getUTCDay();
  let minute = start.getUTCHours() * 60 + start.getUTCMinutes();
  const { recurrence: days } = schedule;
  for (let hour = 0; hour < YEARS * 365.25 * 24; hour++) {
    const at = fromAt + hour * HOUR_MS;
    const runsToday =
      days.kind === 'week' ? days.weekDays.includes(WEEK_DAYS[weekDay] ?? 'SUN') : (day - 1) % days.everyDays === 0;
    if (runsToday && wanted.has((at / HOUR_MS) % 24)) yield at;
    minute += 60;
    if (minute < 1440) continue;
    minute -= 1440;
    weekDay = (weekDay + 1) % 7;
    day += 1;
    const lengths = [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if (day <= (lengths[month] ?? 0)) continue;
    day = 1;
    month = (month + 1) % 12;
    year += month === 0 ? 1 : 0;
  }
}

test('the due times of 50 years are those that an oracle finds hour by hour', () => {
  const startHour = fc.integer({ min: Date.UTC(1999, 11, 1) / HOUR_MS, max: Date.UTC(2090, 0, 1) / HOUR_MS });
  const property = fc.property(aCase, startHour, (one, hour) => {
    const fromAt = hour * HOUR_MS;
    let at = fromAt - 1;
    for (const expectedAt of dueHours(one, fromAt)) {
      at = nextRunAfter(one.schedule, at);
      if (at !== expectedAt) assert.equal(new Date(at).toISOString(), new Date(expectedAt).toISOString());
    }
  });
  fc.assert(property, { numRuns: SCHEDULES });
});

test('from any instant, the next due time is the first that the oracle finds after it', () => {
  const instant = fc.integer({ min: Date.UTC(2000, 0, 1), max: Date.UTC(2050, 0, 1) });
  const property = fc.property(aCase, instant, (one, afterAt) => {
    const firstHour = (Math.floor(afterAt / HOUR_MS) + 1) * HOUR_MS;
    const expectedAt = dueHours(one, firstHour).next().value;
    assert.equal(nextRunAfter(one.schedule, afterAt), expectedAt);
  });
  fc.assert(property, { numRuns: 500 });
});
