// A schedule that somebody wrote down: who goes on, and how far. Everything is checked after every step, as in random
// schedules.
import assert from 'node:assert/strict';
import type { BackupId, JobId, ProjectId } from '../../src/core/ids.ts';
import { runJob } from './jobs.ts';
import { CHUNK_PLACES, type Contents } from './model-disks.ts';
import { Random } from './random.ts';
import { rebuild } from './rebuild.ts';
import type { Actor, Call, Fault } from './scheduler.ts';
import { settleWorld } from './settle-world.ts';
import { adopt, check, prune, repair, sweep } from './upkeep.ts';
import { type Mutation, type Process, type Volume, World } from './world.ts';

/** A backup, restore or deletion under way. */
export type Running = { readonly actor: Actor; readonly backupId: BackupId; readonly jobId: JobId };

export const before = (operation: string, name?: RegExp) => (call: Call) =>
  call.phase === 'before' && call.operation === operation && (name === undefined || name.test(call.name));
export const after = (operation: string, name?: RegExp) => (call: Call) =>
  call.phase === 'after' && call.operation === operation && (name === undefined || name.test(call.name));

export const RECORD = /\/backups\//;
export const DATA_PACK = /\/packs\//;

/** Contents of the disk's places in order; undefined for zeros. Odd ones are found again wherever they are stored. */
export function disk(...contents: readonly (number | undefined)[]): Contents {
  const pairs = contents.map((content, i) => [CHUNK_PLACES[i] ?? 0, content] as const);
  return new Map(pairs.flatMap(([place, content]) => (content === undefined ? [] : [[place, content] as const])));
}

export class Script {
  readonly world: World;

  private constructor(world: World) {
    this.world = world;
  }

  /** Two processes; all that a backup stores goes into one data pack, unless told otherwise. */
  static async start(options: { mutation?: Mutation; packTargetBytes?: number } = {}): Promise<Script> {
    const world = await World.create({ seed: 1, packTargetBytes: 2 ** 26, ...options });
    await world.startProcess();
    return new Script(world);
  }

  [Symbol.dispose](): void {
    this.world.close();
  }

  process(id: number): Process {
    const process = this.world.processes[id];
    assert(process, `process ${id} was started`);
    return process;
  }

  async startBackup(volume: Volume, options: { isIncremental?: boolean; on?: number } = {}): Promise<Running> {
    const ids = await this.world.queueBackup(volume, options.isIncremental ?? true);
    return { ...ids, actor: await this.run(ids.jobId, options.on) };
  }

  async startReader(
    backupId: BackupId,
    options: { isShared?: boolean; kind?: 'verify'; on?: number } = {},
  ): Promise<Running> {
    const jobId = await this.world.queueReader(backupId, options);
    const projectId = options.isShared ? this.world.otherProjectId : this.world.projectId;
    return { backupId, jobId, actor: await this.run(jobId, options.on, projectId) };
  }

  async startDeletion(backupId: BackupId, on = 0): Promise<Running> {
    const jobId = await this.world.queueDeletion(backupId);
    return { backupId, jobId, actor: await this.run(jobId, on) };
  }

  /** Takes a job, whoever may be running it. */
  run(jobId: JobId, on = 0, projectId: ProjectId = this.world.projectId): Promise<Actor> {
    return this.#spawn(`job ${jobId}`, on, (process) => runJob(this.world, process, jobId, projectId));
  }

  startPrune(on = 0): Promise<Actor> {
    return this.#spawn('prune', on, (process) => prune(this.world, process));
  }

  startSweep(on = 0): Promise<Actor> {
    return this.#spawn('sweep', on, (process) => sweep(this.world, process));
  }

  startCheck(on = 0): Promise<Actor> {
    return this.#spawn('check', on, (process) => check(this.world, process));
  }

  startRepair(on = 0): Promise<Actor> {
    return this.#spawn('repair', on, (process) => repair(this.world, process));
  }

  startAdoption(on = 0): Promise<Actor> {
    return this.#spawn('adoption', on, async (process) => void (await adopt(this.world, process)));
  }

  /** The catalog is lost and made anew, by one try. */
  async rebuild(): Promise<void> {
    for (const process of this.world.processes) if (process.isAlive) this.world.killProcess(process);
    const once = new Random(1);
    once.oneIn = () => false;
    await rebuild(this.world, once);
    this.#throwViolation();
  }

  /** A whole backup of the disk as it is. */
  async backUp(volume: Volume, options: { isIncremental?: boolean } = {}): Promise<BackupId> {
    const { actor, backupId } = await this.startBackup(volume, options);
    await this.finish(actor);
    return backupId;
  }

  async delete(backupId: BackupId): Promise<void> {
    await this.finish((await this.startDeletion(backupId)).actor);
  }

  async prune(on = 0): Promise<void> {
    await this.finish(await this.startPrune(on));
  }

  /** Lets this actor alone go on until it waits before (or after) such a call. */
  async until(actor: Actor, isThere: (call: Call) => boolean): Promise<void> {
    for (;;) {
      const own = this.#waitingOf(actor);
      if (own.some(({ call }) => isThere(call))) return;
      const next = own[0];
      assert(next, `${actor.name} ended before it came there`);
      await this.#open(next);
    }
  }

  /** Lets this actor alone go on until such an object was read; false when it ends before. */
  async passRead(actor: Actor, name: RegExp): Promise<boolean> {
    for (let next = this.#waitingOf(actor)[0]; next; next = this.#waitingOf(actor)[0]) {
      await this.#open(next);
      if (next.call.target === 'store' && next.call.operation.startsWith('read') && name.test(next.call.name))
        return true;
    }
    return false;
  }

  /** Lets this actor alone go on to its end. */
  async finish(actor: Actor): Promise<void> {
    for (let next = this.#waitingOf(actor)[0]; next; next = this.#waitingOf(actor)[0]) await this.#open(next);
    assert.equal(actor.state, 'done', `${actor.name}: ${actor.error}`);
  }

  /** Lets the call that the actor waits at go on, and fail in this way. */
  async fail(actor: Actor, fault: Fault): Promise<void> {
    const next = this.#waitingOf(actor)[0];
    assert(next, `${actor.name} waits nowhere`);
    await this.#open(next, fault);
  }

  /** Everything comes to its end, and only what is needed is left. */
  async settle(): Promise<void> {
    await settleWorld(this.world, { reads: true, trace: () => undefined });
    this.#throwViolation();
  }

  statusOf({ jobId }: { jobId: JobId }): string {
    return String(this.world.catalog.query('select status from jobs where job_id = ?', jobId)[0]?.status);
  }

  /** Data packs in this state. */
  countPacks(state: 'writing' | 'live' | 'retired'): number {
    return this.world.catalog.query(`select 1 from packs where kind = 'data' and state = ?`, state).length;
  }

  countCondemned(): number {
    const rows = this.world.catalog.query(`select 1 from packs where condemned is not null`);
    return rows.length;
  }

  #waitingOf(actor: Actor) {
    return this.world.scheduler.waiting.filter((each) => each.actor === actor);
  }

  async #open(waiting: Parameters<World['scheduler']['open']>[0], fault?: Fault): Promise<void> {
    await this.world.scheduler.open(waiting, fault);
    await this.world.check();
    this.#throwViolation();
  }

  #throwViolation(): void {
    if (this.world.violation) throw this.world.violation;
  }

  async #spawn(name: string, on: number, work: (process: Process) => Promise<void>): Promise<Actor> {
    const process = this.process(on);
    const actor = this.world.scheduler.spawn(name, on, () => work(process));
    await this.world.scheduler.settle(actor);
    return actor;
  }
}
