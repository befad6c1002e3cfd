import assert from 'node:assert/strict';
import { test } from 'node:test';
import { raceSignal } from '../../../src/core/concurrency.ts';

const never = () => new Promise<never>(() => undefined);

test('what settles before the signal is answered, and listens no longer', async () => {
  const abort = new AbortController();
  assert.equal(await raceSignal(Promise.resolve(5), abort.signal), 5);
  await assert.rejects(raceSignal(Promise.reject(new Error('own')), abort.signal), /own/);
  assert.equal(await raceSignal(Promise.resolve(6), undefined), 6);
  abort.abort();
});

test('what hangs is left when the signal is aborted, before or after', async () => {
  const abort = new AbortController();
  const waiting = raceSignal(never(), abort.signal);
  abort.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  await assert.rejects(raceSignal(never(), abort.signal), /enough/);
});

test('a failure after the signal is nobody’s', async () => {
  const { promise, reject } = Promise.withResolvers<never>();
  await assert.rejects(raceSignal(promise, AbortSignal.abort(new Error('enough'))), /enough/);
  reject(new Error('late'));
  await new Promise(setImmediate);
});
