// The runner over a real catalog: tries, turns, places, takeovers, stopping. On every database.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { VbsError } from '../../src/core/errors.ts';
import { type JobId, newUuid, type ProjectId } from '../../src/core/ids.ts';
import { JOB_CRASH_MAX, JOB_FAILURE_MAX, JOB_LEASE_MS } from '../../src/core/limits.ts';
import { type JobAttempt, type Metrics, noMetrics } from '../../src/core/metrics.ts';
import type { JobKind, JobStatus } from '../../src/core/model.ts';
import { silentLogger } from '../../src/core/ports.ts';
import { Catalog } from '../../src/db/catalog.ts';
import { type Database, openDatabase } from '../../src/db/database.ts';
import { type JobContext, type JobHandler, JobPostponed } from '../../src/jobs/job.ts';
import { JobRunner } from '../../src/jobs/job-runner.ts';
import { addProject, queueJob } from '../support/catalog-rows.ts';
import { ManualClock } from '../support/manual-clock.ts';
import type { TestDatabase } from '../support/test-catalog.ts';

const GIVE_UP_MS = 10_000;

export function defineRunnerSuite(name: string, make: () => Promise<TestDatabase>): void {
  describe(`job runner on ${name}`, () => {
    let made: TestDatabase;
    let database: Database;
    let catalog: Catalog;
    let clock: ManualClock;
    let projectId: ProjectId;
    let runners: JobRunner[];
    let failures: { jobId: JobId; code: string }[];

    beforeEach(async () => {
      made = await make();
      database = await openDatabase(made.config);
      catalog = new Catalog({ database });
      clock = new ManualClock();
      projectId = await addProject(catalog);
      runners = [];
      failures = [];
    });

    afterEach(async () => {
      await Promise.all(runners.map((runner) => runner.stop()));
      await catalog.close();
      await made[Symbol.asyncDispose]();
    });

    const succeed = ({ claim }: JobContext) => catalog.jobs.end(claim, { status: 'SUCCESS' }, clock.now());

    type StartOptions = { maxJobs?: number; fail?: JobHandler['fail']; metrics?: Metrics };
    const start = async (run: JobHandler['run'], options: StartOptions = {}) => {
      const handler: JobHandler = {
        run,
        fail:
          options.fail ??
          (async ({ claim }, error) => {
            failures.push({ jobId: claim.jobId, code: error.code });
            const outcome = { status: 'FAIL', errorCode: error.code, failReason: error.message } as const;
            await catalog.jobs.end(claim, outcome, clock.now());
          }),
      };
      const kinds: readonly JobKind[] = [
        ...(['backup', 'restore', 'export', 'delete-backup', 'delete-volume'] as const),
        ...(['create-snapshot', 'copy-volume', 'revert-volume', 'delete-snapshot'] as const),
      ];
      const handlers = Object.fromEntries(kinds.map((kind) => [kind, handler])) as Record<JobKind, JobHandler>;
      const maxJobs = options.maxJobs ?? 2;
      const { metrics = noMetrics } = options;
      const deps = { catalog, clock, logger: silentLogger, metrics };
      const runner = new JobRunner({ ...deps, handlers, maxJobs, runnerId: 'r' });
      runners.push(runner);
      await runner.start();
      return runner;
    };

    const until = async (isSo: () => boolean | Promise<boolean>) => {
      const giveUpAt = performance.now() + GIVE_UP_MS;
      while (!(await isSo())) {
        assert.ok(performance.now() < giveUpAt, 'it does not come to pass');
        await wait(5);
      }
    };
    const jobIs = (jobId: JobId, status: JobStatus, attempt?: number) =>
      until(async () => {
        const job = await catalog.jobs.get(projectId, jobId);
        return job?.status === status && (attempt === undefined || job.attempt === attempt);
      });
    const queue = (kind: JobKind = 'backup', ownerId = projectId) => queueJob(catalog, ownerId, kind);

    test('a job that is queued and announced is run at once, with its progress', async () => {
      let go = (): void => undefined;
      const gate = new Promise<void>((resolve) => {
        go = resolve;
      });
      const runner = await start(async (context) => {
        context.report({ totalBytes: 4000, doneBytes: 0 });
        clock.advance(1000);
        context.report({ doneBytes: 1000, storedBytes: 10 });
        await gate;
        context.report({ skippedBytes: 500 });
        await succeed(context);
      });
      const jobId = await queue();
      assert.equal(runner.progressOf(jobId), undefined);
      runner.wake();
      await until(() => runner.progressOf(jobId)?.doneBytes === 1000);
      const live = runner.progressOf(jobId);
      assert.deepEqual([live?.percent, live?.rateBytesPerS, live?.etaS], [25, 1000, 3]);
      await until(async () => (await catalog.jobs.get(projectId, jobId))?.progress.doneBytes === 1000);
      go();
      await jobIs(jobId, 'SUCCESS', 1);
      await until(() => runner.progressOf(jobId) === undefined);
      const job = await catalog.jobs.get(projectId, jobId);
      assert.deepEqual(job?.progress, { totalBytes: 4000, doneBytes: 3500, skippedBytes: 500, storedBytes: 10 });
      assert.notEqual(job.startedAt, null);
    });

    test('every attempt is counted by how it ended, after all that trails it', async () => {
      const ended: Omit<JobAttempt, 'kind'>[] = [];
      const codes: string[] = [];
      let begunCount = 0;
      const metrics: Metrics = {
        ...noMetrics,
        attemptBegun: () => {
          begunCount += 1;
        },
        attemptEnded: ({ kind: _kind, ...attempt }) => void ended.push(attempt),
        failed: (code) => void codes.push(code),
      };
      let finish = (): void => undefined;
      const gate = new Promise<void>((resolve) => {
        finish = resolve;
      });
      const steps: ((context: JobContext) => Promise<void>)[] = [
        () => Promise.reject(new VbsError('STORAGE_IO', { object: 'o', reason: 'r' })),
        () => Promise.reject(new JobPostponed(0)),
        async (context) => {
          context.report({ totalBytes: 10, doneBytes: 10, storedBytes: 4 });
          await succeed(context);
          clock.advance(1500);
          await gate;
        },
        () => Promise.reject(new VbsError('VOLUME_ATTACHED')),
      ];
      const runner = await start(async (context) => await steps.shift()?.(context), { metrics, maxJobs: 1 });
      const jobId = await queue();
      runner.wake();
      await jobIs(jobId, 'INIT', 1);
      clock.advance(1000);
      runner.wake();
      await jobIs(jobId, 'SUCCESS', 3);
      assert.equal(begunCount, 3);
      assert.deepEqual(
        ended.map(({ outcome }) => outcome),
        ['retried', 'postponed'],
      );
      finish();
      await until(() => ended.length === 3);
      const progress = { totalBytes: 10, doneBytes: 10, skippedBytes: 0, storedBytes: 4 };
      assert.deepEqual(ended[2], { outcome: 'succeeded', durationMs: 1500, progress });
      await queue('backup');
      runner.wake();
      await until(() => ended.length === 4);
      assert.equal(ended[3]?.outcome, 'failed');
      assert.deepEqual(codes, ['STORAGE_IO', 'VOLUME_ATTACHED']);
    });

    test('passing trouble is tried again with growing delays, then the job fails with its last reason', async () => {
      const seenAt: number[] = [];
      const runner = await start(async () => {
        seenAt.push(clock.now());
        throw new VbsError('STORAGE_IO', { object: 'o', reason: 'r' });
      });
      const jobId = await queue();
      runner.wake();
      for (let attempt = 1; attempt < JOB_FAILURE_MAX; attempt++) {
        await jobIs(jobId, 'INIT', attempt);
        runner.wake();
        await wait(20);
        assert.equal(seenAt.length, attempt, 'not before its time');
        clock.advance(1000 * 4 ** (attempt - 1));
        runner.wake();
      }
      await jobIs(jobId, 'FAIL', JOB_FAILURE_MAX);
      assert.deepEqual(
        seenAt.map((at) => at - (seenAt[0] ?? 0)),
        [0, 1000, 5000],
      );
      assert.deepEqual(failures, [{ jobId, code: 'STORAGE_IO' }]);
      assert.equal((await catalog.jobs.get(projectId, jobId))?.errorCode, 'STORAGE_IO');
    });

    test('what no further try can mend fails at once; what is no error of ours is INTERNAL', async () => {
      const errors = [new VbsError('VOLUME_ATTACHED'), new RangeError('a bug')];
      const runner = await start(async () => {
        throw errors.shift();
      });
      const first = await queue();
      runner.wake();
      await jobIs(first, 'FAIL', 1);
      const second = await queue();
      runner.wake();
      await jobIs(second, 'FAIL', 1);
      assert.deepEqual(
        failures.map(({ code }) => code),
        ['VOLUME_ATTACHED', 'INTERNAL'],
      );
    });

    test('a postponed job comes again as often as it must, without counting as failed', async () => {
      let runs = 0;
      const runner = await start(async (context) => {
        runs += 1;
        if (runs <= JOB_FAILURE_MAX + 2) {
          throw new JobPostponed(500);
        }
        await succeed(context);
      });
      const jobId = await queue('delete-backup');
      for (let run = 1; run <= JOB_FAILURE_MAX + 2; run++) {
        runner.wake();
        await jobIs(jobId, 'INIT', run);
        clock.advance(500);
      }
      runner.wake();
      await jobIs(jobId, 'SUCCESS');
      assert.deepEqual(failures, []);
    });

    test('a deletion that waits for a reader for a long time is not given up', async () => {
      const runner = await start(async (context) => {
        if (context.claim.attempt <= JOB_CRASH_MAX + 1) {
          throw new JobPostponed(500);
        }
        await succeed(context);
      });
      const jobId = await queue('delete-backup');
      await database.kysely.updateTable('jobs').set({ attempt: JOB_CRASH_MAX }).where('job_id', '=', jobId).execute();
      runner.wake();
      await jobIs(jobId, 'INIT', JOB_CRASH_MAX + 1);
      clock.advance(500);
      runner.wake();
      await jobIs(jobId, 'SUCCESS', JOB_CRASH_MAX + 2);
      assert.deepEqual(failures, []);
    });

    test('a job whose last answer was lost is done, not failed', async () => {
      const runner = await start(async (context) => {
        await succeed(context);
        throw new Error('connection lost');
      });
      const jobId = await queue();
      runner.wake();
      await jobIs(jobId, 'SUCCESS');
      await until(() => runner.progressOf(jobId) === undefined);
      assert.deepEqual(failures, []);
      assert.equal((await catalog.jobs.get(projectId, jobId))?.status, 'SUCCESS');
    });

    test('a runner takes over at once what a dead one left, and the dead one can do no more', async (context) => {
      if (!catalog.capabilities.isSingleProcess) {
        context.skip('here other processes may be alive: leases decide');
        return;
      }
      const claims: JobContext[] = [];
      let isFirst = true;
      let letZombieGo = (): void => undefined;
      const gate = new Promise<void>((resolve) => {
        letZombieGo = resolve;
      });
      const run = async (context: JobContext) => {
        claims.push(context);
        if (isFirst) {
          isFirst = false;
          await gate;
        }
        await succeed(context);
      };
      const zombie = await start(run);
      const jobId = await queue();
      zombie.wake();
      await jobIs(jobId, 'RUNNING', 1);
      await start(run);
      await jobIs(jobId, 'SUCCESS', 2);
      const [first] = claims;
      assert(first !== undefined);
      await assert.rejects(succeed(first), { code: 'JOB_FENCED' });
      letZombieGo();
      await until(() => zombie.progressOf(jobId) === undefined);
      assert.deepEqual(failures, []);
    });

    test('a handler whose claim was lost is told so', async () => {
      let reason: unknown;
      const runner = await start(async ({ signal }) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        reason = signal.reason;
        throw signal.reason;
      });
      const jobId = await queue();
      runner.wake();
      await jobIs(jobId, 'RUNNING', 1);
      clock.advance(JOB_LEASE_MS);
      const job = await catalog.jobs.get(projectId, jobId);
      assert(job !== undefined);
      const lease = { runnerId: 'other', leaseUntil: clock.now() + JOB_LEASE_MS };
      assert.notEqual(await catalog.jobs.take(job, lease, clock.now()), undefined);
      await until(() => reason !== undefined);
      assert.equal((reason as VbsError).code, 'JOB_FENCED');
      await until(() => runner.progressOf(jobId) === undefined);
      const current = await catalog.jobs.get(projectId, jobId);
      assert.deepEqual([current?.status, current?.attempt], ['RUNNING', 2], 'the other one’s job is left alone');
    });

    test('the lease of a running job is renewed, and it is not taken from itself', async () => {
      let runs = 0;
      const runner = await start(async (context) => {
        runs += 1;
        await new Promise((resolve) => context.signal.addEventListener('abort', resolve, { once: true }));
        throw context.signal.reason;
      });
      const jobId = await queue();
      runner.wake();
      await jobIs(jobId, 'RUNNING', 1);
      clock.advance(JOB_LEASE_MS * 2);
      runner.wake();
      const leaseOf = async () =>
        (await database.kysely.selectFrom('jobs').select('lease_until').executeTakeFirstOrThrow()).lease_until ?? 0;
      await until(async () => (await leaseOf()) > clock.now());
      assert.equal(runs, 1);
    });

    test('a job that brings the process down each time ends after so many takes', async () => {
      const runner = await start(succeed);
      const jobId = await queue();
      const dead = { status: 'RUNNING', attempt: 7, lease_until: 0, crashes: JOB_CRASH_MAX - 1 };
      await database.kysely.updateTable('jobs').set(dead).where('job_id', '=', jobId).execute();
      runner.wake();
      await jobIs(jobId, 'FAIL');
      assert.deepEqual(failures, [{ jobId, code: 'JOB_ABANDONED' }]);
    });

    test('a job that cannot even be failed is taken again when its lease is over', async () => {
      let isBroken = true;
      const runner = await start(
        async () => {
          throw new VbsError('VOLUME_ATTACHED');
        },
        {
          fail: async ({ claim }, error) => {
            if (isBroken) {
              isBroken = false;
              throw new VbsError('CATALOG_UNAVAILABLE', { reason: 'away' });
            }
            await catalog.jobs.end(claim, { status: 'FAIL', errorCode: error.code, failReason: 'x' }, clock.now());
          },
        },
      );
      const jobId = await queue();
      runner.wake();
      await until(() => !isBroken && runner.progressOf(jobId) === undefined);
      await jobIs(jobId, 'RUNNING', 1);
      clock.advance(JOB_LEASE_MS);
      runner.wake();
      await jobIs(jobId, 'FAIL', 2);
    });

    test('so many at once: backups and restores share places, copies and deletions have their own', async () => {
      const open = new Map<JobKind, number>();
      let most = 0;
      let copies = 0;
      let deletions = 0;
      let go = (): void => undefined;
      const gate = new Promise<void>((resolve) => {
        go = resolve;
      });
      const runner = await start(async (context) => {
        const { kind } = context.job;
        open.set(kind, (open.get(kind) ?? 0) + 1);
        most = Math.max(most, (open.get('backup') ?? 0) + (open.get('restore') ?? 0));
        copies = Math.max(copies, (open.get('create-snapshot') ?? 0) + (open.get('copy-volume') ?? 0));
        deletions = Math.max(deletions, (open.get('delete-backup') ?? 0) + (open.get('delete-snapshot') ?? 0));
        await gate;
        open.set(kind, (open.get(kind) ?? 0) - 1);
        await succeed(context);
      });
      const kinds: JobKind[] = [
        ...(['backup', 'restore', 'backup', 'restore'] as const),
        ...(['create-snapshot', 'copy-volume', 'create-snapshot'] as const),
        ...(['delete-backup', 'delete-snapshot', 'delete-backup'] as const),
      ];
      const jobIds = [];
      for (const kind of kinds) {
        jobIds.push(await queue(kind));
      }
      runner.wake();
      await until(() => most === 2 && copies === 2 && deletions === 2);
      await wait(20);
      go();
      for (const jobId of jobIds) {
        await jobIs(jobId, 'SUCCESS');
      }
      assert.deepEqual([most, copies, deletions], [2, 2, 2]);
    });

    test('projects take turns', async () => {
      const otherId = await addProject(catalog);
      const served: ProjectId[] = [];
      for (let count = 0; count < 4; count++) {
        await queue('backup');
      }
      await queue('backup', otherId);
      await queue('backup', otherId);
      await start(
        async (context) => {
          served.push(context.job.projectId);
          await succeed(context);
        },
        { maxJobs: 1 },
      );
      await until(() => served.length === 6);
      assert.deepEqual(served, [projectId, otherId, projectId, otherId, projectId, projectId]);
    });

    test('stop aborts what runs, waits for it, and leaves the job to the next start', async () => {
      const seen: unknown[] = [];
      const runner = await start(async ({ signal }) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        await wait(10);
        seen.push((signal.reason as VbsError).code);
        throw new Error('half way');
      });
      const jobId = await queue();
      runner.wake();
      await jobIs(jobId, 'RUNNING', 1);
      const waiting = await queue();
      await runner.stop();
      assert.deepEqual(seen, ['SHUTTING_DOWN']);
      const job = await catalog.jobs.get(projectId, jobId);
      assert.equal(job?.status, 'INIT');
      runner.wake();
      await start(succeed);
      await jobIs(jobId, 'SUCCESS', 2);
      await jobIs(waiting, 'SUCCESS', 1);
      assert.deepEqual(failures, []);
    });

    test('a job that its maker runs is kept alive while it is held, and cleaned up after', async () => {
      const runs: JobId[] = [];
      const runner = await start(async (context) => {
        runs.push(context.job.jobId);
        await succeed(context);
      });
      const jobId = newUuid<JobId>();
      const lease = runner.newLease();
      const claim = await catalog.jobs.insertTaken({ jobId, projectId, kind: 'export', createdAt: clock.now() }, lease);
      const release = runner.hold(claim);
      clock.advance(JOB_LEASE_MS * 2);
      runner.wake();
      const leaseOf = async () =>
        (await database.kysely.selectFrom('jobs').select('lease_until').executeTakeFirstOrThrow()).lease_until ?? 0;
      await until(async () => (await leaseOf()) > clock.now());
      assert.deepEqual(runs, []);
      release();
      clock.advance(JOB_LEASE_MS * 2);
      runner.wake();
      await jobIs(jobId, 'SUCCESS', 2);
      assert.deepEqual(runs, [jobId]);
    });
  });
}
