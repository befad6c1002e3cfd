// What a round of the scrub reads, how fast at least, and what becomes of one that was cut short.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { Foreground } from '../../../src/core/background-pace.ts';
import { GIB, MIB } from '../../../src/core/bytes.ts';
import { newHexId, type ProjectId } from '../../../src/core/ids.ts';
import type { VerificationState } from '../../../src/core/ledger.ts';
import { BACKGROUND_MIN_BYTES_PER_SECOND, SCRUB_ROUND_MS } from '../../../src/core/limits.ts';
import { silentLogger } from '../../../src/core/ports.ts';
import type { RepairReport } from '../../../src/engine/verify/repair-project.ts';
import type { ScrubOptions, ScrubReport } from '../../../src/engine/verify/scrub-project.ts';
import { MaintenanceRuns } from '../../../src/services/maintenance-runs.ts';
import { planLeastSpeed, planRound, ScrubRunner } from '../../../src/services/scrub-runner.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const ROUNDS_PER_DAY = (24 * 3600 * 1000) / SCRUB_ROUND_MS;

test('giving way costs a round at most half of its time, so the days that are promised can be kept', () => {
  const sizes = fc.record({ gib: fc.integer({ min: 1, max: 2_000_000 }), days: fc.integer({ min: 1, max: 365 }) });
  fc.assert(
    fc.property(sizes, ({ gib, days }) => {
      const roundBytes = planRound(gib * GIB, { days, maxBytesPerDay: 0 }, 0);
      const least = planLeastSpeed(roundBytes);
      assert.ok((roundBytes / least) * 1000 <= SCRUB_ROUND_MS / 2 + 1e-6);
      assert.ok(least >= BACKGROUND_MIN_BYTES_PER_SECOND);
      // All rounds of the days read all there is.
      assert.ok(Math.abs(roundBytes * days * ROUNDS_PER_DAY - gib * GIB) < 1e-6 * gib * GIB);
    }),
  );
});

const state = { packCount: 1, storedBytes: GIB } as unknown as VerificationState;
const report = { readBytes: MIB, packCount: 1, damage: [] } as unknown as ScrubReport;

function makeRunner(scrub: (projectId: ProjectId, options: ScrubOptions, signal: AbortSignal) => Promise<ScrubReport>) {
  const projects = [newHexId<ProjectId>(), newHexId<ProjectId>()] as const;
  const damaged: string[] = [];
  const repaired: ProjectId[] = [];
  const clock = new ManualClock();
  const runs = new MaintenanceRuns({ clock, logger: silentLogger });
  const runner = new ScrubRunner({
    ...{ scrub, runs, clock, logger: silentLogger, foreground: new Foreground() },
    repair: async (projectId) => {
      repaired.push(projectId);
      return {} as unknown as RepairReport;
    },
    ledger: { readVerification: async () => state, listDamagedPacks: async () => damaged },
    listProjects: async () => projects,
    pace: { days: 30, maxBytesPerDay: 0 },
  });
  return { runner, runs, projects, damaged, repaired };
}

test('a round reads its part of every project, one after the other', async () => {
  const scrubbed: ProjectId[] = [];
  let running = 0;
  const { runner, projects } = makeRunner(async (projectId, { maxBytes, pace }) => {
    running += 1;
    assert.equal(running, 1);
    assert.ok(pace, 'it is held to a pace');
    assert.equal(Math.round(maxBytes), Math.round(GIB / 30 / ROUNDS_PER_DAY));
    await setImmediate();
    scrubbed.push(projectId);
    running -= 1;
    return report;
  });
  await runner.runRound();
  assert.deepEqual(scrubbed, [...projects]);
});

test('what a scrub found before another run ended it is repaired, and the round goes on', async () => {
  const scrubbed: ProjectId[] = [];
  const { runner, runs, projects, damaged, repaired } = makeRunner(async (projectId, _options, signal) => {
    scrubbed.push(projectId);
    await setImmediate();
    if (projectId === projects[0]) {
      runs.begin(projectId, 'prune', async () => 'pruned');
      assert.ok(signal.aborted);
      damaged.push('a pack');
      throw signal.reason;
    }
    damaged.pop();
    return report;
  });
  await runner.runRound();
  await runner.settle();
  assert.deepEqual(scrubbed, [...projects]);
  assert.deepEqual(repaired, [projects[0]]);
});
