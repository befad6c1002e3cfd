// The throttle against a clock that only its own sleeping moves.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KIB, MIB } from '../../../src/core/bytes.ts';
import { parseRateSchedule } from '../../../src/core/rate-schedule.ts';
import { Throttle } from '../../../src/core/throttle.ts';

function makeThrottle(text: string, startMinute = 0) {
  const schedule = parseRateSchedule(text);
  assert.ok(schedule, `${text} is a schedule`);
  const time = { nowAt: 0 };
  const throttle = new Throttle({
    schedule,
    clock: { now: () => time.nowAt },
    minuteOfDay: (nowAt) => (startMinute + Math.floor(nowAt / 60_000)) % 1440,
    sleep: async (delayMs, signal) => {
      signal?.throwIfAborted();
      time.nowAt += delayMs;
    },
  });
  return { throttle, time };
}

test('ten seconds of work at the rate take about ten seconds, the first piece none', async () => {
  const { throttle, time } = makeThrottle('4MiB/s');
  for (let piece = 0; piece < 11; piece += 1) await throttle.take({ bytes: 4 * MIB, operations: 1 });
  assert.equal(time.nowAt, 10_000);
});

test('the stricter of the two rates holds', async () => {
  const { throttle, time } = makeThrottle('100MiB/s 2iops');
  for (let piece = 0; piece < 9; piece += 1) await throttle.take({ bytes: 64 * KIB, operations: 1 });
  assert.equal(time.nowAt, 4000);
});

test('a window that ends lets a long wait go', async () => {
  const { throttle, time } = makeThrottle('00:00-00:01 64KiB/s; unlimited');
  await throttle.take({ bytes: 64 * MIB, operations: 1 });
  await throttle.take({ bytes: 64 * MIB, operations: 1 });
  assert.equal(time.nowAt, 60_000, 'not the 1024 s that 64 MiB take at 64 KiB/s');
});

test('a window that begins slows down what comes after it', async () => {
  const { throttle, time } = makeThrottle('00:01-00:10 1MiB/s', 0);
  for (let piece = 0; piece < 100; piece += 1) await throttle.take({ bytes: 100 * MIB, operations: 1 });
  assert.equal(time.nowAt, 0);
  time.nowAt = 60_000;
  for (let piece = 0; piece < 4; piece += 1) await throttle.take({ bytes: MIB, operations: 1 });
  assert.equal(time.nowAt, 63_000);
});

test('a clock that is set back makes nobody wait longer', async () => {
  const { throttle, time } = makeThrottle('1MiB/s');
  time.nowAt = 1_000_000;
  await throttle.take({ bytes: MIB, operations: 1 });
  time.nowAt = 0;
  await throttle.take({ bytes: MIB, operations: 1 });
  assert.equal(time.nowAt, 1000);
});

test('who gives up waiting leaves the turn to the next', async () => {
  const { throttle } = makeThrottle('1MiB/s');
  await throttle.take({ bytes: MIB, operations: 1 });
  const reason = new Error('stopped');
  await assert.rejects(throttle.take({ bytes: MIB, operations: 1 }, AbortSignal.abort(reason)), reason);
  await throttle.take({ bytes: MIB, operations: 1 });
});

test('over any work the rate is kept but for the last piece', async () => {
  const pieces = fc.array(fc.integer({ min: 1, max: 8 * MIB }), { minLength: 2, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(pieces, fc.integer({ min: 1, max: 64 }), async (sizes, rateMib) => {
      const { throttle, time } = makeThrottle(`${rateMib}MiB/s`);
      for (const bytes of sizes) await throttle.take({ bytes, operations: 1 });
      const before = sizes.slice(0, -1).reduce((total, bytes) => total + bytes, 0);
      const leastMs = (before / (rateMib * MIB)) * 1000;
      assert.ok(time.nowAt >= leastMs - 1e-6, `${time.nowAt} ms for ${leastMs} ms of work`);
      assert.ok(time.nowAt <= leastMs + sizes.length, 'nor is it slower: each wait is rounded up to a millisecond');
    }),
  );
});
