// One random schedule: what is asked for and when (the plan), who goes on at each step, and what goes wrong, all from a
// seed. Then everything is brought to an end, and what nobody needs must be gone.
import type { BackupId, JobId } from '../../src/core/ids.ts';
import { runJob } from './jobs.ts';
import { CHUNK_PLACES, contentCount } from './model-disks.ts';
import { type Operation, PROFILES, type Profile } from './profiles.ts';
import { Random } from './random.ts';
import { rebuild } from './rebuild.ts';
import type { Actor, Call, Fault, Waiting } from './scheduler.ts';
import { settleWorld } from './settle-world.ts';
import { isRecord } from './truth.ts';
import { adopt, check, prune, repair, scrub, sweep } from './upkeep.ts';
import { type Mutation, type Process, World } from './world.ts';

/** At this step this is asked for; `choice` decides of which volume, backup, process. */
export type PlanItem = { readonly at: number; readonly operation: Operation; readonly choice: number };

export type ScheduleOptions = {
  readonly seed: number;
  readonly mutation?: Mutation | undefined;
  /** One of PROFILES or another one; absent: drawn from the seed. */
  readonly profile?: number | Profile | undefined;
  /** Absent: drawn from the seed. */
  readonly plan?: readonly PlanItem[] | undefined;
  /** Told of everything that happens. */
  readonly trace?: ((line: string) => void) | undefined;
};

export type Outcome = {
  readonly plan: readonly PlanItem[];
  readonly stepCount: number;
  readonly violation: string | undefined;
};

/** Steps over which the plan is spread; what is under way then goes on until it ends. */
const PLAN_STEPS = 300;
const POLL_STEPS = 12;
const PROCESS_COUNT = 2;
const VOLUME_COUNT = 2;

export function drawPlan(random: Random, wanted?: number | Profile): PlanItem[] {
  const drawn = random.weighted(PROFILES.map((each) => [each.share ?? 0, each] as const));
  const known = typeof wanted === 'number' ? PROFILES[wanted] : wanted;
  const profile = known ?? drawn ?? { weights: { backup: 1 } };
  // The cast: the keys of the weights are operations.
  const choices = Object.entries(profile.weights).map(([name, weight]) => [weight, name as Operation] as const);
  const count = 5 + random.below(12);
  const items = Array.from({ length: count }, () => ({
    at: random.below(profile.steps ?? PLAN_STEPS),
    operation: random.weighted(choices) ?? 'backup',
    choice: random.next(),
  }));
  const start = [0, 1].map((choice) => ({ at: 0, operation: 'full-backup' as const, choice }));
  return [...start, ...items.sort((a, b) => a.at - b.at)];
}

/** Runs a schedule to its end, or to the first thing that must not be. */
export async function runSchedule(options: ScheduleOptions): Promise<Outcome> {
  const random = new Random(options.seed);
  const drawn = drawPlan(random, options.profile ?? options.mutation?.profile);
  const schedule = await Schedule.start(options, random, options.plan ?? drawn);
  try {
    await schedule.run();
    return schedule.outcome();
  } catch (cause) {
    throw new Error(`schedule of SEED=${options.seed} broke off`, { cause });
  } finally {
    schedule.world.close();
  }
}

class Schedule {
  readonly world: World;
  readonly #seed: number;
  readonly #random: Random;
  readonly #plan: readonly PlanItem[];
  readonly #trace: (line: string) => void;
  readonly #runners = new Map<JobId, Actor[]>();
  /** Actors that are slow: a zombie is one that others have overtaken. */
  readonly #slow = new Set<Actor>();
  /** Of ten steps, how many go to the actor that moved last. */
  readonly #patience: number;
  #last: Actor | undefined;
  #faults: Fault[] = [];
  /** What was refused to whom: a moment's trouble is over at the next try. */
  readonly #refused = new Set<string>();
  /** Of each volume. */
  readonly #earlier: Map<number, number>[][] = [];
  #copy: Uint8Array | undefined;
  #recent: Uint8Array | undefined;
  #adoption: Actor | undefined;

  private constructor(world: World, random: Random, options: ScheduleOptions, plan: readonly PlanItem[]) {
    this.world = world;
    this.#seed = options.seed;
    this.#random = random;
    this.#plan = plan;
    this.#trace = options.trace ?? (() => undefined);
    this.#patience = random.pick([0, 5, 9, 9.7]);
  }

  static async start(options: ScheduleOptions, random: Random, plan: readonly PlanItem[]): Promise<Schedule> {
    const packTargetBytes = random.pick([1, 300, 700]);
    const { seed, mutation } = options;
    const world = await World.create({ seed, mutation, packTargetBytes });
    while (world.processes.length < PROCESS_COUNT) await world.startProcess();
    const schedule = new Schedule(world, random, options, plan);
    for (let i = 0; i < VOLUME_COUNT; i += 1) {
      world.addVolume(schedule.#drawContents());
      schedule.#earlier.push([]);
    }
    return schedule;
  }

  outcome(): Outcome {
    return {
      plan: this.#plan,
      stepCount: this.world.scheduler.stepCount,
      violation: this.world.violation?.message,
    };
  }

  async run(): Promise<void> {
    const { world } = this;
    const { scheduler } = world;
    const plan = [...this.#plan];
    for (let step = 0; !world.violation; step += 1) {
      while (plan[0] && plan[0].at <= step) {
        const item = plan.shift();
        if (item) await this.#carryOut(item);
        await world.check();
      }
      if (step % POLL_STEPS === 0) await this.#poll();
      const next = this.#choose(scheduler.waiting);
      if (next) await this.#open(next);
      else if (plan[0]) step = plan[0].at - 1;
      else break;
      await world.check();
      if (!plan[0] && step > PLAN_STEPS) break;
    }
    // What is stored was opened and compared with the disks already: few schedules need the reading itself.
    const reads = this.#seed % 4 === 0;
    if (!world.violation) await settleWorld(world, { reads, trace: this.#trace });
  }

  #choose(waiting: readonly Waiting[]): Waiting | undefined {
    const own = waiting.filter(({ actor }) => actor === this.#last);
    if (own.length > 0 && this.#random.below(10) < this.#patience) return this.#random.pick(own);
    const quick = waiting.filter(({ actor }) => !this.#slow.has(actor));
    if (quick.length > 0 && !this.#random.oneIn(30)) return this.#random.pick(quick);
    return waiting.length > 0 ? this.#random.pick(waiting) : undefined;
  }

  async #open(waiting: Waiting): Promise<void> {
    const { actor, call } = waiting;
    this.#last = actor;
    let fault: Fault | undefined;
    if (this.#faults.length > 0 && this.#random.oneIn(6)) fault = this.#takeFault(waiting);
    this.#trace(
      `${actor.name}: ${call.target} ${call.operation} ${call.name} ${call.phase}${fault ? ` ${fault}` : ''}`,
    );
    await this.world.scheduler.open(waiting, fault);
  }

  #takeFault({ actor, call }: Waiting): Fault | undefined {
    const wanted = this.#faults.at(-1);
    const trial = `${actor.name} ${call.operation} ${call.name}`;
    if (wanted === 'misread' ? !isMisread(call) : this.#refused.has(trial)) return undefined;
    this.#faults.pop();
    if (wanted === 'misread') {
      this.world.hasMisread = true;
      return wanted;
    }
    this.#refused.add(trial);
    // Late calls and lost answers are of changes; a read is simply refused.
    if (call.phase === 'after') return 'lost-answer';
    return isChange(call.operation) ? wanted : 'refuse';
  }

  async #carryOut({ operation, choice }: PlanItem): Promise<void> {
    const { world } = this;
    this.#trace(`--- ${operation} ${choice}`);
    const pick = <Item>(items: readonly Item[]): Item | undefined => items[choice % Math.max(1, items.length)];
    switch (operation) {
      case 'backup':
      case 'full-backup': {
        const volume = pick(world.volumes);
        if (!volume) return;
        volume.contents = this.#changeContents(world.volumes.indexOf(volume), volume.contents);
        const { jobId } = await world.queueBackup(volume, operation === 'backup');
        await this.#run(jobId);
        return;
      }
      case 'read':
      case 'read-shared': {
        const backupId = pick(this.#restorable());
        if (backupId) await this.#run(await world.queueReader(backupId, { isShared: operation === 'read-shared' }));
        return;
      }
      case 'verify': {
        const backupId = pick(this.#restorable());
        if (backupId) await this.#run(await world.queueReader(backupId, { kind: 'verify' }));
        return;
      }
      case 'delete': {
        // The newest one as often as any: increments are being built on it.
        const all = this.#restorable();
        const backupId = choice % 2 === 0 ? all.at(-1) : pick(all);
        if (backupId) await this.#run(await world.queueDeletion(backupId));
        return;
      }
      case 'prune':
        await this.#spawn('prune', (process) => prune(world, process));
        return;
      case 'sweep':
        await this.#spawn('sweep', (process) => sweep(world, process));
        return;
      case 'check':
        await this.#spawn('check', (process) => check(world, process, choice % 3 === 0 ? 0.3 : 1), true);
        return;
      case 'repair':
        await this.#spawn('repair', (process) => repair(world, process), true);
        return;
      case 'scrub':
        await this.#spawn('scrub', (process) => scrub(world, process), true);
        return;
      case 'take-over': {
        const job = pick(world.openJobs().filter(({ status }) => status === 'RUNNING'));
        if (!job) return;
        for (const actor of this.#runners.get(job.jobId) ?? []) this.#slow.add(actor);
        await this.#run(job.jobId);
        return;
      }
      case 'crash': {
        const process = pick(this.#processes());
        if (!process) return;
        world.killProcess(process);
        await world.startProcess();
        return;
      }
      case 'power-loss':
        for (const process of this.#processes()) world.killProcess(process);
        await world.store.losePower(this.#random);
        await this.#restart();
        return;
      default:
        await this.#disturb(operation, choice);
    }
  }

  async #disturb(operation: Operation, choice: number): Promise<void> {
    const { world } = this;
    switch (operation) {
      case 'fault':
        this.#faults.push(choice % 2 === 0 ? 'refuse' : 'timeout');
        return;
      case 'misread':
        this.#faults.push('misread');
        return;
      case 'late-call':
        await world.store.late.splice(choice % Math.max(1, world.store.late.length), 1)[0]?.land();
        return;
      case 'copy-catalog':
        if (!world.isSetBack) this.#copy = world.catalog.copy();
        return;
      case 'set-back':
        // Somebody puts yesterday's copy back: that takes a restart.
        if (!this.#copy) return;
        for (const process of this.#processes()) world.killProcess(process);
        await world.setBack(this.#copy);
        await this.#restart();
        return;
      case 'fail-over':
        // The database lost its last transactions: nobody is told, everybody goes on.
        if (this.#recent && !world.isSetBack) await world.setBack(this.#recent);
        this.#recent = undefined;
        return;
      case 'adopt':
        if (!world.isSetBack || this.#adoption?.hasEnded === false) return;
        // The operator stops everything that worked with the state that is lost, and waits for what it had asked for.
        await this.#restart();
        for (const call of world.store.late.splice(0)) await call.land();
        this.#adoption = await this.#spawn('adopt', async (process) => void (await adopt(world, process)));
        return;
      case 'rebuild':
        if (!world.isSetBack) await this.#rebuild(choice);
        return;
      case 'listing-lag':
        // Records that are there and not listed yet: an adoption may miss them, and prune waits a week after it.
        if (!world.isSetBack) return;
        for (const name of world.store.names) if (isRecord(name) && choice % 2 === 0) world.store.unlisted.add(name);
        return;
      case 'reset-status': {
        const [backupId] = this.#restorable();
        if (!backupId) return;
        const status = choice % 2 === 0 ? 'error' : 'available';
        await world.scheduler.aside(() => world.catalog.catalog.backups.update(backupId, { status }));
        return;
      }
      case 'an-hour':
        world.pass(3600 * 1000);
        return;
      case 'a-day':
        // A call that was asked for comes within a day, or never (src/engine/README.md, "The second deletion").
        for (const call of world.store.late.splice(0)) await call.land();
        if ([...this.#slow].some((actor) => !actor.hasEnded)) await this.#restart();
        world.pass(25 * 3600 * 1000);
        return;
      default:
        throw new Error(`no such operation: ${operation}`);
    }
  }

  /** The catalog is gone, and with it all who worked with it; what they had asked of the store is waited for. */
  async #rebuild(choice: number): Promise<void> {
    const { world } = this;
    for (const process of world.processes) if (process.isAlive) world.killProcess(process);
    for (const call of world.store.late.splice(0)) await call.land();
    // Listings may lack records that are there: nothing is condemned for a week.
    const [hidden] = choice % 3 === 0 ? this.#restorable().slice(-1) : [];
    for (const name of world.store.names) if (hidden && name.includes(hidden)) world.store.unlisted.add(name);
    const lost = await rebuild(world, this.#random, this.#trace);
    if (world.violation) return;
    // It may turn up again.
    this.#copy = lost.copy();
    this.#recent = undefined;
    await this.#restart();
    if (choice % 2 === 0) return;
    // Somebody starts a server on the lost catalog all the same.
    const zombie = await world.startProcess(lost);
    for (const [name, work] of [['prune', prune] as const, ['sweep', sweep] as const]) {
      world.scheduler.spawn(`${name} @${zombie.id}`, zombie.id, () => work(world, zombie));
    }
    for (const { jobId, projectId, kind } of world.openJobs(lost)) {
      const name = `${kind} ${jobId.slice(0, 4)} @${zombie.id}`;
      world.scheduler.spawn(name, zombie.id, () => runJob(world, zombie, jobId, projectId));
    }
    await world.scheduler.settle();
  }

  async #restart(): Promise<void> {
    for (const process of this.world.processes) if (process.isAlive) this.world.killProcess(process);
    while (this.#processes().length < PROCESS_COUNT) await this.world.startProcess();
  }

  /** Runs the jobs that nobody runs. */
  async #poll(): Promise<void> {
    const canFailOver = this.#plan.some(({ operation }) => operation === 'fail-over');
    if (canFailOver && !this.world.isSetBack) this.#recent = this.world.catalog.copy();
    for (const { jobId } of this.world.openJobs()) {
      const isRun = (this.#runners.get(jobId) ?? []).some((actor) => !actor.hasEnded && !this.#slow.has(actor));
      // Until the lease of whoever ran it has ended, nobody takes it.
      if (!isRun && this.#random.oneIn(2)) await this.#run(jobId);
    }
  }

  async #run(jobId: JobId): Promise<void> {
    const { world } = this;
    const job = world.openJobs().find((each) => each.jobId === jobId);
    if (!job) return;
    const isLong = job.kind !== 'delete-backup';
    const name = `${job.kind} ${jobId.slice(0, 4)}`;
    const actor = await this.#spawn(name, (process) => runJob(world, process, jobId, job.projectId), isLong);
    this.#runners.set(jobId, [...(this.#runners.get(jobId) ?? []), actor]);
  }

  async #spawn(name: string, work: (process: Process) => Promise<void>, isLong = false): Promise<Actor> {
    const process = this.#random.pick(this.#processes());
    const actor = this.world.scheduler.spawn(`${name} @${process.id}`, process.id, () => work(process));
    if (this.#random.oneIn(isLong ? 3 : 8)) this.#slow.add(actor);
    await this.world.scheduler.settle(actor);
    return actor;
  }

  #processes(): Process[] {
    return this.world.processes.filter(({ isAlive, catalog }) => isAlive && catalog === this.world.catalog);
  }

  #restorable(): BackupId[] {
    const rows = this.world.catalog.query(
      `select backup_id from backups where attempt_id is not null and deleted_at is null
       and status in ('available', 'error') order by created_at`,
    );
    return rows.map((row) => row.backup_id as BackupId);
  }

  /** Sometimes a disk is put back to what it once was: what died with its backups is wanted again. */
  #changeContents(volumeNumber: number, before: ReadonlyMap<number, number>): Map<number, number> {
    const earlier = this.#earlier[volumeNumber] ?? [];
    const contents =
      earlier.length > 0 && this.#random.oneIn(3) ? new Map(this.#random.pick(earlier)) : this.#drawContents(before);
    earlier.push(new Map(before));
    return contents;
  }

  /** Changes a place or two; sometimes a disk gets the contents of another one. */
  #drawContents(before?: ReadonlyMap<number, number>): Map<number, number> {
    const other = this.world.volumes[this.#random.below(VOLUME_COUNT)];
    const contents = new Map(this.#random.oneIn(6) && other ? other.contents : before);
    const count = before ? 1 + this.#random.below(3) : CHUNK_PLACES.length;
    for (let i = 0; i < count; i += 1) {
      const place = before ? this.#random.pick(CHUNK_PLACES) : (CHUNK_PLACES[i] ?? 0);
      if (this.#random.oneIn(5)) contents.delete(place);
      else contents.set(place, this.#random.below(contentCount));
    }
    return contents;
  }
}

function isChange(operation: string): boolean {
  return ['put', 'commit', 'replace', 'delete'].includes(operation);
}

/** Packs and records: keys and the epoch are small, and a bit of theirs that is wrong ends the work at once. */
function isMisread({ target, operation, name, phase }: Call): boolean {
  const isRead = ['get', 'readRange', 'readSuffix'].includes(operation);
  return target === 'store' && phase === 'before' && isRead && /\/(packs|pages|backups)\//.test(name);
}
