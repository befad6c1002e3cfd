// Prune as the service runs it: after deletions, when asked, one at a time, and on a full disk.
import assert from 'node:assert/strict';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { VbsError } from '../../../src/core/errors.ts';
import { newHexId, type ProjectId } from '../../../src/core/ids.ts';
import { silentLogger } from '../../../src/core/ports.ts';
import type { PruneOptions, PruneReport } from '../../../src/engine/prune/run-prune.ts';
import { MaintenanceRuns } from '../../../src/services/maintenance-runs.ts';
import { PruneRunner } from '../../../src/services/prune-runner.ts';
import { ReserveFile } from '../../../src/services/reserve-file.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

const signal = new AbortController().signal;
// What a prune reports is passed on unseen.
const report = { unknownRecords: [] } as unknown as PruneReport;

function makeRunner(
  prune: (projectId: ProjectId, options: PruneOptions) => Promise<PruneReport>,
  reserve?: ReserveFile,
) {
  const runs = new MaintenanceRuns({ clock: new ManualClock(), logger: silentLogger });
  const deps = { runs, prune, reserve, logger: silentLogger, intervalMs: 0, listProjects: async () => [] };
  return { runs, runner: new PruneRunner(deps) };
}

test('projects in which something was deleted are pruned once, others not at all', async () => {
  const pruned: ProjectId[] = [];
  const { runner, runs } = makeRunner(async (projectId) => {
    pruned.push(projectId);
    return report;
  });
  const projectId = newHexId<ProjectId>();
  await runner.runRound();
  runner.noteDeletion(projectId);
  runner.noteDeletion(projectId);
  await runner.runRound();
  await runner.runRound();
  assert.deepEqual(pruned, [projectId]);
  assert.deepEqual([runs.last(projectId)?.status, runs.last(projectId)?.report], ['done', report]);
});

test('a prune that failed is tried again with the next round', async () => {
  let calls = 0;
  const { runner, runs } = makeRunner(async () => {
    calls += 1;
    if (calls === 1) throw new VbsError('STORAGE_IO', { object: 'x', reason: 'away' });
    return report;
  });
  const projectId = newHexId<ProjectId>();
  runner.noteDeletion(projectId);
  await runner.runRound();
  assert.equal(runs.last(projectId)?.error?.code, 'STORAGE_IO');
  await runner.runRound();
  await runner.runRound();
  assert.deepEqual([calls, runs.last(projectId)?.status], [2, 'done']);
});

test('compactions that nobody asked for have a pace, and none while the disk runs full', async () => {
  await using temporary = await makeTemporaryFolder();
  const path = join(temporary.path, 'reserve');
  await writeFile(path, 'reserve');
  const reserve = new ReserveFile({ path, sizeBytes: 7 });
  // A disk that is always full while the file is there.
  reserve.isNeeded = async () => (await stat(path).catch(() => undefined)) !== undefined;
  let turns = 0;
  const takenTurns: number[] = [];
  const prune = async (_projectId: ProjectId, { pace }: PruneOptions) => {
    const before = turns;
    await pace?.take({ bytes: 1, operations: 1 });
    takenTurns.push(turns - before);
    return report;
  };
  const runs = new MaintenanceRuns({ clock: new ManualClock(), logger: silentLogger });
  const projectId = newHexId<ProjectId>();
  const take = async () => {
    turns += 1;
  };
  const deps = { runs, prune, reserve, pace: { take }, logger: silentLogger, intervalMs: 0 };
  const runner = new PruneRunner({ ...deps, listProjects: async () => [projectId] });
  runner.noteDeletion(projectId);
  await runner.runRound();
  assert.deepEqual(takenTurns, [1], 'in the background');
  await runner.checkDisk();
  assert.deepEqual(takenTurns, [1, 0], 'on a full disk');
  runner.noteDeletion(projectId);
  await runner.runRound();
  assert.deepEqual(takenTurns, [1, 0, 1], 'afterwards');
  await runner.prune(projectId, {}, signal);
  assert.deepEqual(takenTurns, [1, 0, 1, 0], 'asked for');
});

test('a prune lets a scrub go on, but not while the disk runs full', async () => {
  await using temporary = await makeTemporaryFolder();
  const path = join(temporary.path, 'reserve');
  await writeFile(path, 'reserve');
  const reserve = new ReserveFile({ path, sizeBytes: 7 });
  reserve.isNeeded = async () => true;
  const runs = new MaintenanceRuns({ clock: new ManualClock(), logger: silentLogger });
  const projectId = newHexId<ProjectId>();
  let count = 0;
  const prune = async () => {
    count += 1;
    return report;
  };
  const deps = { runs, prune, reserve, logger: silentLogger, intervalMs: 0 };
  const runner = new PruneRunner({ ...deps, listProjects: async () => [projectId] });
  runs.begin(
    projectId,
    'scrub',
    (abort) => new Promise((_, reject) => abort.addEventListener('abort', () => reject(abort.reason))),
  );
  runner.noteDeletion(projectId);
  await runner.runRound();
  assert.deepEqual([count, runs.last(projectId)?.operation], [0, 'scrub']);
  await runner.checkDisk();
  assert.deepEqual([count, runs.last(projectId)?.operation], [1, 'prune']);
});

test('one run a project: a second is refused, and after a stop none begins', async () => {
  const { runs } = makeRunner(async () => report);
  const projectId = newHexId<ProjectId>();
  const wait = (abort: AbortSignal) =>
    new Promise<never>((_, reject) => abort.addEventListener('abort', () => reject(abort.reason)));
  runs.begin(projectId, 'adopt', wait);
  assert.throws(() => runs.begin(projectId, 'prune', wait), { code: 'MAINTENANCE_RUNNING' });
  runs.begin(newHexId<ProjectId>(), 'prune', async () => report);
  await runs.stop();
  assert.deepEqual([runs.last(projectId)?.status, runs.last(projectId)?.error?.code], ['failed', 'SHUTTING_DOWN']);
  assert.throws(() => runs.begin(projectId, 'prune', wait), { code: 'SHUTTING_DOWN' });
});

test('1.20 on a full disk the reserve is given up, and only whole packs go', async () => {
  await using temporary = await makeTemporaryFolder();
  const path = join(temporary.path, 'reserve');
  const reserve = new ReserveFile({ path, sizeBytes: 3 * 2 ** 20 + 5 });
  await reserve.ensure(signal);
  assert.equal((await stat(path)).size, 3 * 2 ** 20 + 5);
  const asked: PruneOptions[] = [];
  const full = new VbsError('STORAGE_FULL', { object: 'catalog', reason: 'no space left' });
  const { runner } = makeRunner(async (_projectId, options) => {
    asked.push(options);
    if (asked.length === 1) throw full;
    return report;
  }, reserve);
  await runner.prune(newHexId<ProjectId>(), { compactShare: 0.3 }, signal);
  assert.deepEqual(asked, [{ compactShare: 0.3 }, { compactShare: 0.3, compacts: false }]);
  await assert.rejects(stat(path), { code: 'ENOENT' });
  // Without a reserve the error is the answer.
  asked.length = 0;
  await assert.rejects(runner.prune(newHexId<ProjectId>(), {}, signal), { code: 'STORAGE_FULL' });
});

test('the reserve is made once, not where there is no room for it, and removed when none is wanted', async () => {
  await using temporary = await makeTemporaryFolder();
  const path = join(temporary.path, 'reserve');
  await new ReserveFile({ path, sizeBytes: 2 ** 50 }).ensure(signal);
  await assert.rejects(stat(path), { code: 'ENOENT' });
  await writeFile(path, 'there');
  await new ReserveFile({ path, sizeBytes: 2 ** 20 }).ensure(signal);
  assert.equal((await stat(path)).size, 5);
  assert.equal(await new ReserveFile({ path, sizeBytes: 2 ** 20 }).isNeeded(), false);
  await new ReserveFile({ path, sizeBytes: 0 }).ensure(signal);
  await assert.rejects(stat(path), { code: 'ENOENT' });
});

test('a stop does not wait for the end of a prune that it interrupts', async () => {
  const runs = new MaintenanceRuns({ clock: new ManualClock(), logger: silentLogger });
  const prune = (_projectId: ProjectId, _options: PruneOptions, abort: AbortSignal) =>
    new Promise<never>((_, reject) => abort.addEventListener('abort', () => reject(abort.reason)));
  const deps = { runs, prune, reserve: undefined, logger: silentLogger, intervalMs: 5 };
  const projectId = newHexId<ProjectId>();
  const runner = new PruneRunner({ ...deps, listProjects: async () => [projectId] });
  runner.start();
  while (!runs.isBusy(projectId)) await new Promise((resolve) => setTimeout(resolve, 2));
  await Promise.all([runs.stop(), runner.stop()]);
  assert.equal(runs.last(projectId)?.error?.code, 'SHUTTING_DOWN');
});
