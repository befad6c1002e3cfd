// A throttle on a clock that only its own sleeping moves: how long work waited can be read off exactly.
import assert from 'node:assert/strict';
import { parseRateSchedule } from '../../src/core/rate-schedule.ts';
import { Throttle } from '../../src/core/throttle.ts';

export function makeManualThrottle(rates: string) {
  const schedule = parseRateSchedule(rates);
  assert.ok(schedule, `${rates} are rates`);
  const time = { nowAt: 0 };
  const throttle = new Throttle({
    schedule,
    clock: { now: () => time.nowAt },
    minuteOfDay: () => 0,
    sleep: async (delayMs, signal) => {
      signal?.throwIfAborted();
      time.nowAt += delayMs;
    },
  });
  return { throttle, time };
}
