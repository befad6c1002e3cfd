// Giving way, on a clock that moves only when a test says so.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { BackgroundPace, Foreground } from '../../../src/core/background-pace.ts';
import { MIB } from '../../../src/core/bytes.ts';
import { ManualSleep } from '../../support/manual-sleep.ts';

function makePace(leastMibPerSecond = 8) {
  const foreground = new Foreground();
  const time = new ManualSleep();
  const pace = new BackgroundPace({ foreground, leastBytesPerSecond: leastMibPerSecond * MIB, sleep: time.sleep });
  /** Begins a piece; tells whether it was let through. */
  const begin = (bytes: number, signal?: AbortSignal) => {
    const piece = { isThrough: false, taken: Promise.resolve() };
    piece.taken = pace.take({ bytes, operations: 1 }, signal).then(() => {
      piece.isThrough = true;
    });
    return piece;
  };
  return { foreground, time, pace, begin };
}

test('with nothing else under way no piece waits', async () => {
  const { begin, time } = makePace();
  for (let i = 0; i < 3; i += 1) await begin(8 * MIB).taken;
  assert.equal(time.nowMs, 0);
});

test('a piece waits while somebody waits for other work, and goes the moment that has ended', async () => {
  const { foreground, time, begin } = makePace();
  const [backup, restore] = [foreground.enter(), foreground.enter()];
  const piece = begin(8 * MIB);
  await time.advance(999);
  backup[Symbol.dispose]();
  // Twice is once: the restore still counts.
  backup[Symbol.dispose]();
  await setImmediate();
  assert.equal(piece.isThrough, false);
  restore[Symbol.dispose]();
  await piece.taken;
  assert.equal(time.sleeperCount, 0, 'no timer is left');
});

test('it never waits longer than its bytes take at the least speed', async () => {
  const { foreground, time, begin } = makePace(8);
  using _backup = foreground.enter();
  for (const mib of [8, 2, 4]) {
    const piece = begin(mib * MIB);
    await time.advance((mib / 8) * 1000 - 1);
    assert.equal(piece.isThrough, false);
    await time.advance(1);
    assert.equal(piece.isThrough, true);
  }
});

test('what reads no data is not held back', async () => {
  const { foreground, begin } = makePace();
  using _backup = foreground.enter();
  await begin(0).taken;
});

test('a run that is stopped waits no longer', async () => {
  const { foreground, begin, time } = makePace();
  using _backup = foreground.enter();
  const stopped = new AbortController();
  const piece = begin(8 * MIB, stopped.signal);
  const reason = new Error('stopped');
  stopped.abort(reason);
  await assert.rejects(piece.taken, reason);
  assert.equal(time.sleeperCount, 0);
  await assert.rejects(begin(MIB, stopped.signal).taken, reason);
});

test('whatever others do: no piece goes beside them before its time, and none starves', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('enter' as const) }),
    fc.record({ kind: fc.constant('leave' as const) }),
    fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 700 }) }),
  );
  const sizes = fc.array(fc.integer({ min: 1, max: 8 * MIB }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(sizes, fc.array(step, { maxLength: 40 }), async (pieces, steps) => {
      const { foreground, time, begin } = makePace();
      const entered: Disposable[] = [];
      const queue = [...pieces];
      let current: { bytes: number; sinceMs: number; piece: ReturnType<typeof begin> } | undefined;
      const look = async (canGo: boolean) => {
        await setImmediate();
        if (current) {
          const isTime = time.nowMs - current.sinceMs >= (current.bytes / (8 * MIB)) * 1000;
          assert.equal(current.piece.isThrough, canGo || isTime);
          if (!current.piece.isThrough) return;
        }
        const bytes = queue.shift();
        current = bytes === undefined ? undefined : { bytes, sinceMs: time.nowMs, piece: begin(bytes) };
        await setImmediate();
        if (current) assert.equal(current.piece.isThrough, !foreground.isBusy);
      };
      await look(true);
      for (const next of steps) {
        if (next.kind === 'enter') entered.push(foreground.enter());
        else if (next.kind === 'leave') entered.pop()?.[Symbol.dispose]();
        else await time.advance(next.ms);
        // One that began while nothing was under way has gone through already.
        const wasThrough = current?.piece.isThrough ?? false;
        await look(wasThrough || entered.length === 0);
      }
      const restMs = 1000 * (queue.length + 1);
      for (let ms = 0; ms < restMs && current; ms += 1000) {
        await time.advance(1000);
        await look(true);
      }
      assert.deepEqual(queue, [], 'a second for each of at most 8 MiB is enough');
    }),
    { numRuns: 60 },
  );
});
