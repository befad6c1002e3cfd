// Percent, rate and remaining time of a job.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { NO_PROGRESS } from '../../../src/core/model.ts';
import { advanceRate, describeProgress, percentOf, startRate } from '../../../src/jobs/progress.ts';

const MB = 1_000_000;

describe('progress', () => {
  test('percent counts what was skipped, rounds down, and is 0 while the total is unknown', () => {
    assert.equal(percentOf(NO_PROGRESS), 0);
    assert.equal(percentOf({ ...NO_PROGRESS, doneBytes: 5 }), 0);
    assert.equal(percentOf({ ...NO_PROGRESS, totalBytes: 1000, doneBytes: 500, skippedBytes: 499 }), 99);
    assert.equal(percentOf({ ...NO_PROGRESS, totalBytes: 1000, doneBytes: 600, skippedBytes: 400 }), 100);
    assert.equal(percentOf({ ...NO_PROGRESS, totalBytes: 1000, doneBytes: 1200 }), 100);
  });

  test('a steady job has its rate and its end at once', () => {
    let rate = startRate(0, 0);
    rate = advanceRate(rate, 1000, 100 * MB);
    const progress = { totalBytes: 1000 * MB, doneBytes: 100 * MB, skippedBytes: 200 * MB, storedBytes: 7 };
    const shown = describeProgress(progress, rate);
    assert.deepEqual(shown, { ...progress, percent: 30, rateBytesPerS: 100 * MB, etaS: 7 });
  });

  test('nothing is claimed before there is something to go by', () => {
    const progress = { ...NO_PROGRESS, totalBytes: 1000 };
    assert.deepEqual(describeProgress(progress), { ...progress, percent: 0, rateBytesPerS: 0, etaS: null });
    const shown = describeProgress(progress, startRate(0, 0));
    assert.deepEqual(shown, { ...progress, percent: 0, rateBytesPerS: 0, etaS: null });
    const unknownTotal = { ...NO_PROGRESS, doneBytes: 500 };
    assert.equal(describeProgress(unknownTotal, advanceRate(startRate(0, 0), 100, 500)).etaS, null);
  });

  test('a job that stalls slows down and never shows a negative rate', () => {
    let rate = advanceRate(startRate(0, 0), 1000, 100 * MB);
    rate = advanceRate(rate, 11_000, 100 * MB);
    const slow = describeProgress({ ...NO_PROGRESS, totalBytes: 200 * MB, doneBytes: 100 * MB }, rate);
    assert.ok(slow.rateBytesPerS > 0 && slow.rateBytesPerS < 50 * MB, String(slow.rateBytesPerS));
    rate = advanceRate(rate, 12_000, 10);
    assert.equal(rate.bytesPerMs, null, 'a new attempt starts anew');
  });

  test('how often reports come makes no difference to a steady rate', () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(gaps, fc.integer({ min: 1, max: 1000 }), (gapsMs, bytesPerMs) => {
        let atMs = 0;
        let rate = startRate(0, 0);
        for (const gapMs of gapsMs) {
          atMs += gapMs;
          rate = advanceRate(rate, atMs, atMs * bytesPerMs);
        }
        assert.ok(rate.bytesPerMs === null ? atMs === 0 : Math.abs(rate.bytesPerMs - bytesPerMs) < 1e-6);
      }),
    );
  });
});
