// A scrub that nobody asked for gives way to a run that somebody did.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { newHexId, type ProjectId } from '../../../src/core/ids.ts';
import { type Logger, silentLogger } from '../../../src/core/ports.ts';
import { MaintenanceRuns } from '../../../src/services/maintenance-runs.ts';
import { ManualClock } from '../../support/manual-clock.ts';

function makeRuns() {
  const errors: string[] = [];
  const logger: Logger = { ...silentLogger, error: (_fields, message) => void errors.push(message) };
  return { runs: new MaintenanceRuns({ clock: new ManualClock(), logger }), errors, projectId: newHexId<ProjectId>() };
}

/** Work that ends when it is told to, and notes when its signal was aborted. */
function makeWork() {
  const { promise, resolve } = Promise.withResolvers<string>();
  const state = { isBegun: false, signal: undefined as AbortSignal | undefined };
  const work = (signal: AbortSignal) => {
    state.isBegun = true;
    state.signal = signal;
    return promise;
  };
  return { state, work, end: () => resolve('report') };
}

test('a run that is asked for begins when the scrub has come to its end, and is the one that is told of', async () => {
  const { runs, errors, projectId } = makeRuns();
  const [scrub, check] = [makeWork(), makeWork()];
  runs.begin(projectId, 'scrub', scrub.work);
  assert.equal(runs.begin(projectId, 'check', check.work).status, 'running');
  assert.equal(scrub.state.signal?.aborted, true);
  await setImmediate();
  assert.equal(check.state.isBegun, false, 'never two at a time');
  scrub.end();
  await setImmediate();
  assert.equal(check.state.isBegun, true);
  assert.equal(check.state.signal?.aborted, false);
  assert.deepEqual([runs.last(projectId)?.operation, runs.last(projectId)?.status], ['check', 'running']);
  assert.throws(() => runs.begin(projectId, 'prune', scrub.work), { code: 'MAINTENANCE_RUNNING' });
  check.end();
  const ended = await runs.settle(projectId);
  assert.deepEqual([ended?.operation, ended?.status, ended?.report], ['check', 'done', 'report']);
  assert.equal(runs.isBusy(projectId), false);
  assert.deepEqual(errors, []);
});

test('a scrub gives way to no other scrub, and nothing else gives way', async () => {
  const { runs, projectId } = makeRuns();
  const first = makeWork();
  runs.begin(projectId, 'scrub', first.work);
  assert.throws(() => runs.begin(projectId, 'scrub', first.work), { code: 'MAINTENANCE_RUNNING' });
  first.end();
  await runs.settle(projectId);
  const prune = makeWork();
  runs.begin(projectId, 'prune', prune.work);
  assert.throws(() => runs.begin(projectId, 'check', prune.work), { code: 'MAINTENANCE_RUNNING' });
  assert.equal(prune.state.signal?.aborted, false);
  prune.end();
  await runs.stop();
});

test('a service that stops waits for the scrub and begins nothing after it', async () => {
  const { runs, projectId } = makeRuns();
  const [scrub, check] = [makeWork(), makeWork()];
  runs.begin(projectId, 'scrub', scrub.work);
  runs.begin(projectId, 'check', check.work);
  const stopped = runs.stop();
  scrub.end();
  await stopped;
  assert.equal(check.state.isBegun, false);
  assert.equal(runs.last(projectId)?.error?.code, 'SHUTTING_DOWN');
});
