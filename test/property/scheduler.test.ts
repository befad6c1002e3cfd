// Two schedulers on one catalog, with clocks that jump, restarts and deaths at any moment: every due time runs once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { newHexId, newUuid, type PolicyId, type ProjectId, type UserId, type VolumeId } from '../../src/core/ids.ts';
import { DAY_MS, HOUR_MS } from '../../src/core/local-time.ts';
import type { Schedule, Task } from '../../src/core/model.ts';
import { silentLogger } from '../../src/core/ports.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import { nextRunAfter } from '../../src/jobs/recurrence.ts';
import { Scheduler } from '../../src/jobs/scheduler.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { makeSqlite } from '../support/test-catalog.ts';

const START_AT = Date.UTC(2026, 0, 30, 9, 30);
const schedules: readonly Schedule[] = [
  { startTime: '00:00,12:00', timeZone: 'UTC+00:00', recurrence: { kind: 'interval', everyDays: 2 } },
  {
    startTime: '22:00,23:00,00:00,01:00',
    timeZone: 'UTC+02:00',
    recurrence: { kind: 'week', weekDays: ['SUN', 'MON', 'SAT'] },
  },
];

/** What can befall a server. `crash`: it dies in the middle of a claim or start, or after claims before any start. */
type Event =
  | { readonly kind: 'pass'; readonly minutes: number }
  /** Time passes to so many minutes after the next due time. */
  | { readonly kind: 'due'; readonly minutes: number }
  | { readonly kind: 'back'; readonly minutes: number }
  | { readonly kind: 'look'; readonly who: 'a' | 'b' | 'both' }
  | { readonly kind: 'restart' | 'crash' | 'crash after claims'; readonly who: 'a' | 'b' };

/** Long enough for a clock to go back and forth with looks in between. */
const LENGTHS = { minLength: 20, maxLength: 50, size: 'max' } as const;
const who = fc.constantFrom('a' as const, 'b' as const);
const forward: fc.Arbitrary<Event> = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 70 }).map((minutes) => ({ kind: 'due' as const, minutes })) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 55 }).map((minutes) => ({ kind: 'pass' as const, minutes })) },
  { weight: 1, arbitrary: fc.integer({ min: 60, max: 3000 }).map((minutes) => ({ kind: 'pass' as const, minutes })) },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom('a' as const, 'b' as const, 'both' as const)
      .map((one) => ({ kind: 'look' as const, who: one })),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('restart' as const, 'crash' as const, 'crash after claims' as const),
      who,
    }),
  },
);
const anyway: fc.Arbitrary<Event> = fc.oneof(
  { weight: 5, arbitrary: forward },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 5000 }).map((minutes) => ({ kind: 'back' as const, minutes })) },
);

class World {
  readonly clock = new ManualClock(START_AT);
  readonly projectId = newHexId<ProjectId>();
  readonly policyIds = schedules.map(() => newUuid<PolicyId>());
  readonly starts: Task[] = [];
  readonly #catalogs: Record<'a' | 'b', Catalog>;
  readonly #schedulers: Record<'a' | 'b', Scheduler>;

  constructor(catalogs: Record<'a' | 'b', Catalog>) {
    this.#catalogs = catalogs;
    this.#schedulers = { a: this.#newScheduler('a'), b: this.#newScheduler('b') };
  }

  async prepare(): Promise<void> {
    const { projectId } = this;
    const { projects, volumes, policies } = this.#catalogs.a;
    await projects.insert({ projectId, name: projectId, domainId: 'default', description: '', createdAt: 0 });
    const userId = newHexId<UserId>();
    for (const [index, schedule] of schedules.entries()) {
      const policyId = this.policyIds[index] ?? newUuid<PolicyId>();
      const volumeId = newUuid<VolumeId>();
      await volumes.insert({
        ...{ volumeId, projectId, userId, name: null, description: null, status: 'available', sizeBytes: 1 },
        ...{
          volumeType: '__DEFAULT__',
          availabilityZone: '',
          driver: 'file',
          source: '',
          isAdopted: false,
          isFresh: true,
        },
        ...{ isBootable: false, metadata: {}, createdAt: 0 },
        ...{ sourceBackupId: null, sourceSnapshotId: null, sourceVolumeId: null },
      });
      await policies.insert({
        ...{ policyId, projectId, userId, name: 'p', isDefault: false, schedule, keepsFirstOfMonth: false, tags: [] },
        retention: { kind: 'count', keepCount: 2 },
        isEnabled: true,
        nextRunAt: nextRunAfter(schedule, START_AT),
        createdAt: START_AT,
      });
      await policies.addVolume(policyId, volumeId, START_AT);
    }
  }

  async befall(event: Event): Promise<void> {
    if (event.kind === 'pass') this.clock.advance(event.minutes * 60_000);
    else if (event.kind === 'due') this.#passTo(event.minutes);
    else if (event.kind === 'back') this.clock.advance(-event.minutes * 60_000);
    else if (event.kind === 'look') await this.#look(event.who);
    else if (event.kind === 'restart') this.#schedulers[event.who] = this.#newScheduler(event.who);
    else if (event.kind === 'crash') await this.#die(event.who, this.#dyingCatalog(event.who));
    else await this.#die(event.who, this.#catalogs[event.who], () => Promise.reject(new Error('the power is gone')));
  }

  async tasks(policyId: PolicyId): Promise<readonly Task[]> {
    const { items } = await this.#catalogs.a.tasks.list({ projectId: this.projectId, policyId }, { limit: 1000 });
    return items;
  }

  #passTo(minutes: number): void {
    const nowAt = this.clock.now();
    const dueAt = Math.min(...schedules.map((schedule) => nextRunAfter(schedule, nowAt)));
    this.clock.advance(dueAt - nowAt + minutes * 60_000);
  }

  async #look(one: 'a' | 'b' | 'both'): Promise<void> {
    const names = one === 'both' ? (['a', 'b'] as const) : [one];
    await Promise.all(names.map((name) => this.#schedulers[name].lookOnce()));
  }

  /** What it does until it dies is all that it ever does; another one takes its place. */
  async #die(name: 'a' | 'b', catalog: Catalog, startTask?: (task: Task) => Promise<void>): Promise<void> {
    await this.#newScheduler(name, catalog, startTask).lookOnce();
    this.#schedulers[name] = this.#newScheduler(name);
  }

  /** Every transaction is lost right before its commit. */
  #dyingCatalog(name: 'a' | 'b'): Catalog {
    const catalog = this.#catalogs[name];
    const transact: Catalog['transact'] = (projectId, work) =>
      catalog.transact(projectId, async (records) => {
        await work(records);
        throw new Error('the power is gone');
      });
    const { policies, tasks } = catalog;
    // The cast: a scheduler uses no more of a catalog than this.
    return { policies, tasks, transact } as Catalog;
  }

  #newScheduler(
    name: 'a' | 'b',
    catalog = this.#catalogs[name],
    startTask = (task: Task) => this.#start(catalog, task),
  ): Scheduler {
    return new Scheduler({
      ...{ catalog, clock: this.clock, logger: silentLogger, startJitterMs: 0, startTask },
      ...{ taskTimeoutMs: 400 * DAY_MS, taskStallMs: 400 * DAY_MS },
    });
  }

  /** A backup that takes no time: what begins has ended in the same transaction. */
  async #start(catalog: Catalog, { projectId, taskId }: Task): Promise<void> {
    const started = await catalog.transact(projectId, async ({ tasks }) => {
      const task = await tasks.get(projectId, taskId);
      if (task?.status !== 'WAITING') return undefined;
      await tasks.end(taskId, { status: 'EXECUTE_SUCCESS', finishedAt: this.clock.now() });
      return task;
    });
    if (started !== undefined) this.starts.push(started);
  }
}

async function playWorld(events: readonly Event[], check: (world: World) => Promise<void>): Promise<void> {
  await using database = await makeSqlite();
  const world = new World({ a: await database.open(), b: await database.open() });
  await world.prepare();
  for (const event of events) await world.befall(event);
  await world.befall({ kind: 'look', who: 'both' });
  await check(world);
}

const dueTimes = (schedule: Schedule, untilAt: number): number[] => {
  const times: number[] = [];
  for (let at = nextRunAfter(schedule, START_AT); at <= untilAt; at = nextRunAfter(schedule, at)) times.push(at);
  return times;
};

test('with a clock that only goes forward, each due time has one task: run, or SKIP when an hour late', async () => {
  const property = fc.asyncProperty(fc.array(forward, LENGTHS), (events) =>
    playWorld(events, async (world) => {
      const untilAt = world.clock.now();
      for (const [index, schedule] of schedules.entries()) {
        const tasks = await world.tasks(world.policyIds[index] ?? newUuid());
        const dueAts = tasks.map(({ dueAt }) => dueAt).toSorted((a, b) => (a ?? 0) - (b ?? 0));
        assert.deepEqual(dueAts, dueTimes(schedule, untilAt));
        for (const { status, dueAt, createdAt, errorCode } of tasks) {
          assert(dueAt !== null);
          if (status === 'SKIP') assert(errorCode === 'POLICY_RUN_MISSED' || errorCode === 'POLICY_TASK_OVERLAPS');
          else assert(status === 'EXECUTE_SUCCESS' && createdAt - dueAt < HOUR_MS);
        }
      }
      assert.equal(new Set(world.starts.map(({ taskId }) => taskId)).size, world.starts.length, 'a task began twice');
    }),
  );
  await fc.assert(property, { numRuns: 15 });
});

test('whatever the clock does, no due time runs twice, and what comes around unrun still runs', async () => {
  const property = fc.asyncProperty(fc.array(anyway, LENGTHS), (events) =>
    playWorld(events, async (world) => {
      const isLate = world.clock.now() < START_AT;
      for (const [index, schedule] of schedules.entries()) {
        const policyId = world.policyIds[index] ?? newUuid<PolicyId>();
        const run = (tasks: readonly Task[]) =>
          tasks.filter(({ status }) => status !== 'SKIP').map(({ dueAt }) => dueAt);
        const ran = run(await world.tasks(policyId));
        assert.equal(new Set(ran).size, ran.length, 'a due time ran twice');
        if (isLate) continue;
        // From here on time passes as it should: the next three due times that have not run do.
        for (let count = 0; count < 3; count++) {
          const dueAt = nextRunAfter(schedule, world.clock.now());
          world.clock.advance(dueAt - world.clock.now());
          await world.befall({ kind: 'look', who: 'both' });
          assert(run(await world.tasks(policyId)).includes(dueAt), `${new Date(dueAt).toISOString()} did not run`);
        }
      }
    }),
  );
  await fc.assert(property, { numRuns: 15 });
});
