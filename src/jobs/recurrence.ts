// When a policy is due (contract 5.4). Pure: the instant to start from is an argument, offsets are fixed, and every
// local day has 24 hours.
import assert from 'node:assert/strict';
import { DAY_MS, MINUTE_MS, parseStartTimes, parseTimeZone, toLocalMinute } from '../core/local-time.ts';
import { type Recurrence, type Schedule, WEEK_DAYS } from '../core/model.ts';

/** Every interval begins anew on the 1st of a month, and a week has seven days: longer than a month never passes. */
const SEARCH_DAYS_MAX = 32;

/** The first due time after `afterAt`. `schedule` must have been checked: see core/local-time.ts. */
export function nextRunAfter(schedule: Schedule, afterAt: number): number {
  const offsetMs = offsetOf(schedule) * MINUTE_MS;
  const minutes = localMinutesOf(schedule);
  const firstDay = Math.floor((afterAt + offsetMs) / DAY_MS);
  for (let day = firstDay; day <= firstDay + SEARCH_DAYS_MAX; day++) {
    if (!runsOnDay(schedule.recurrence, day)) continue;
    for (const minute of minutes) {
      const dueAt = day * DAY_MS + minute * MINUTE_MS - offsetMs;
      if (dueAt > afterAt) return dueAt;
    }
  }
  throw new Error('a schedule is due at least once a month');
}

/** `day` counts local days since 1970-01-01, a Thursday. */
function runsOnDay(recurrence: Recurrence, day: number): boolean {
  const date = new Date(day * DAY_MS);
  if (recurrence.kind === 'interval') return (date.getUTCDate() - 1) % recurrence.everyDays === 0;
  return recurrence.weekDays.some((weekDay) => WEEK_DAYS.indexOf(weekDay) === date.getUTCDay());
}

function offsetOf({ timeZone }: Schedule): number {
  const offsetMinutes = parseTimeZone(timeZone);
  assert(offsetMinutes !== undefined, 'time zones are checked before they are stored');
  return offsetMinutes;
}

function localMinutesOf(schedule: Schedule): number[] {
  const utcMinutes = parseStartTimes(schedule.startTime);
  assert(utcMinutes !== undefined, 'start times are checked before they are stored');
  const offsetMinutes = offsetOf(schedule);
  return utcMinutes.map((minute) => toLocalMinute(minute, offsetMinutes)).toSorted((a, b) => a - b);
}
