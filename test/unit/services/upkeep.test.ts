import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type JobId, newHexId, newUuid, type ProjectId } from '../../../src/core/ids.ts';
import { JOB_KEEP_DAYS, TRACE_KEEP_DAYS } from '../../../src/core/limits.ts';
import { silentLogger } from '../../../src/core/ports.ts';
import type { Catalog } from '../../../src/db/catalog.ts';
import { recordTrace } from '../../../src/services/audit.ts';
import { RetentionRunner } from '../../../src/services/retention-runner.ts';
import { TokenKeys } from '../../../src/services/token-keys.ts';
import { TrashSweeper } from '../../../src/services/trash-sweeper.ts';
import { Upkeep } from '../../../src/services/upkeep.ts';
import { VolumeRegistry } from '../../../src/volumes/volume-registry.ts';
import { makeSqlite } from '../../support/test-catalog.ts';

const DAY_MS = 24 * 3600 * 1000;
const NOW_AT = Date.UTC(2026, 5, 1);
const clock = { now: () => NOW_AT };
const drivers = new VolumeRegistry([]);
/** There is no repository here. */
const labels = { saveAll: async () => undefined };

function makeTokenKeys(catalog: Catalog): TokenKeys {
  return new TokenKeys({ catalog, clock, rotationMs: 0 });
}

async function addEndedJob(catalog: Catalog, endedAt: number) {
  const projectId = newHexId<ProjectId>();
  await catalog.projects.insert({ projectId, name: projectId, domainId: 'default', description: '', createdAt: 0 });
  const job = { jobId: newUuid<JobId>(), projectId, kind: 'delete-volume', createdAt: 0 } as const;
  const claim = await catalog.jobs.insertTaken(job, { runnerId: 'test', leaseUntil: NOW_AT });
  await catalog.jobs.end(claim, { status: 'SUCCESS' }, endedAt);
  return claim;
}

it('forgets jobs that ended long ago, and only those', async () => {
  await using database = await makeSqlite();
  const catalog = await database.open();
  const sweepTrash = async () => ({ deletedCount: 0 });
  const tokenKeys = makeTokenKeys(catalog);
  const sweeper = new TrashSweeper({ ledger: catalog.ledger, clock, logger: silentLogger, sweepTrash });
  const retention = new RetentionRunner({ catalog, clock, logger: silentLogger, wakeJobs: () => undefined });
  const old = await addEndedJob(catalog, NOW_AT - JOB_KEEP_DAYS * DAY_MS - 1);
  const kept = await addEndedJob(catalog, NOW_AT - JOB_KEEP_DAYS * DAY_MS + 1);
  const parts = { catalog, drivers, sweeper, retention, labels, tokenKeys, clock, logger: silentLogger };
  const upkeep = new Upkeep(parts);
  upkeep.start();
  await upkeep.stop();
  await new Upkeep(parts).runOnce();
  assert.equal(await catalog.jobs.get(old.projectId, old.jobId), undefined);
  assert.notEqual(await catalog.jobs.get(kept.projectId, kept.jobId), undefined);
});

it('forgets audit traces that are old, and only those', async () => {
  await using database = await makeSqlite();
  const catalog = await database.open();
  const sweepTrash = async () => ({ deletedCount: 0 });
  const tokenKeys = makeTokenKeys(catalog);
  const sweeper = new TrashSweeper({ ledger: catalog.ledger, clock, logger: silentLogger, sweepTrash });
  const retention = new RetentionRunner({ catalog, clock, logger: silentLogger, wakeJobs: () => undefined });
  const projectId = newHexId<ProjectId>();
  await catalog.projects.insert({ projectId, name: projectId, domainId: 'default', description: '', createdAt: 0 });
  const event = { projectId, actor: null, traceName: 'scheduleDeleteBackup', resourceName: null } as const;
  for (const ageMs of [TRACE_KEEP_DAYS * DAY_MS + 1, TRACE_KEEP_DAYS * DAY_MS]) {
    await recordTrace(catalog, { ...event, resourceId: newUuid(), createdAt: NOW_AT - ageMs });
  }
  await new Upkeep({ catalog, drivers, sweeper, retention, labels, tokenKeys, clock, logger: silentLogger }).runOnce();
  const { items } = await catalog.traces.list({ projectId }, { limit: 10 });
  assert.deepEqual(
    items.map(({ createdAt, userId, resourceType }) => [createdAt, userId, resourceType]),
    [[NOW_AT - TRACE_KEEP_DAYS * DAY_MS, null, 'autobackup']],
  );
});

it('sweeps one project at a time, each request anew, whatever the one before met', async () => {
  await using database = await makeSqlite();
  const catalog = await database.open();
  let running = 0;
  let calls = 0;
  const sweepTrash = async () => {
    calls += 1;
    running += 1;
    assert.equal(running, 1, 'two sweeps at once');
    await new Promise(setImmediate);
    running -= 1;
    if (calls === 1) throw new Error('the store was away');
    return { deletedCount: 1 };
  };
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (_fields: unknown, message: string) => void warnings.push(message) };
  const sweeper = new TrashSweeper({ ledger: catalog.ledger, clock, logger, sweepTrash });
  const projectId = newHexId<ProjectId>();
  const results = await Promise.allSettled([
    sweeper.sweepProject(projectId),
    sweeper.sweepProject(projectId),
    sweeper.trySweepProject(projectId),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'fulfilled', 'fulfilled'],
  );
  assert.equal(calls, 3);
  assert.deepEqual(warnings, []);
});

it('forgets revocations of tokens that have expired, and only those', async () => {
  await using database = await makeSqlite();
  const catalog = await database.open();
  const sweepTrash = async () => ({ deletedCount: 0 });
  const tokenKeys = makeTokenKeys(catalog);
  const sweeper = new TrashSweeper({ ledger: catalog.ledger, clock, logger: silentLogger, sweepTrash });
  const retention = new RetentionRunner({ catalog, clock, logger: silentLogger, wakeJobs: () => undefined });
  await catalog.users.revokeToken('dead', NOW_AT - 1);
  await catalog.users.revokeToken('alive', NOW_AT + 1);
  await new Upkeep({ catalog, drivers, sweeper, retention, labels, tokenKeys, clock, logger: silentLogger }).runOnce();
  assert.equal(await catalog.users.isTokenRevoked('dead'), false);
  assert.equal(await catalog.users.isTokenRevoked('alive'), true);
});
