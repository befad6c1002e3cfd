// Kills the service at random moments of prunes of a repository in which much is dead, beside backups and restores, and
// checks what a user may rely on afterwards: nothing that is available is lost, the next prune goes on, and in the end
// nothing is stored that nobody needs.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { KIB, MIB } from '../../src/core/bytes.ts';
import { systemClock } from '../../src/core/ports.ts';
import { makeImage, makeRandom, noise, overwrite } from './disk-files.ts';
import { auditAtRest, digestOfFile } from './kill-bench.ts';
import { drawMoments } from './kill-moments.ts';
import { at, type Json, type LiveApi } from './live-api.ts';
import { LiveService, QUICK_START } from './live-service.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

/** More than a page maps, so that pages are stored, shared and dead too. */
const DISK_BYTES = 72 * MIB;
const FILLED_BYTES = 16 * MIB;
/** Written before the first backup of a round; most of it is written again before the next ones. */
const ROUND_BYTES = 16 * MIB;
const AGAIN_BYTES = 10 * MIB;
const SMALL_BYTES = MIB;
const CHUNK_BYTES = 64 * KIB;
/** Backups of a disk that are kept from round to round. */
const KEPT_COUNT = 3;
/** Part of the rounds in which a backup and a restore run beside the prune. */
const BUSY_SHARE = 0.4;
/** Part of the kills after which the prune that goes on is killed as well. */
const AGAIN_SHARE = 0.5;
/** Steps of a prune that kills are aimed at, in turn, as they come in its log; the others come at any moment. */
const AIMED_STEPS = ['mark', 'condemn', 'sweep', 'compact', 'condemn', 'last sweep', 'condemn', 'compact'] as const;
const SECOND_DELETION_S = 25 * 3600;
const CLEAN = { unknownNames: [], missingNames: [], trashedNames: [] };

type Disk = { readonly path: string; readonly volumeId: string; targetId: string };
type Expected = { readonly disk: Disk; readonly digest: string };
type Step = { readonly phase: string; readonly beganAt: number };

export type PruneKillOptions = {
  readonly seed: string;
  /** How many kills there will be: moments are spread evenly over them. */
  readonly killCount: number;
  /** Backups that are there before the first round, each with a pack of its own. */
  readonly smallBackupCount: number;
};

export class PruneKillBench {
  readonly #stack = new AsyncDisposableStack();
  readonly #options: PruneKillOptions;
  readonly #random: () => number;
  readonly #moments: number[];
  /** By the id of a backup: what it must restore to. */
  readonly #expected = new Map<string, Expected>();
  #service: LiveService;
  #disks: { large: Disk; other: Disk; small: Disk } | undefined;
  #changeCount = 0;
  /** Of a prune that nobody disturbs. */
  #steps: readonly Step[] = [];
  #durationMs = 0;
  /** What the prune was doing at each kill. */
  readonly interrupted: string[] = [];
  /** Kills that left the row of a compaction, or names that were to be swept. */
  readonly leftOpen = { compactionCount: 0, trashCount: 0 };
  busyCount = 0;
  restoredCount = 0;

  private constructor(options: PruneKillOptions, service: LiveService) {
    this.#options = options;
    this.#random = makeRandom(options.seed);
    this.#moments = drawMoments(options.seed, options.killCount);
    this.#service = service;
  }

  static async start(options: PruneKillOptions): Promise<PruneKillBench> {
    await using stack = new AsyncDisposableStack();
    const { path: folder } = stack.use(await makeTemporaryFolder());
    const env = { ...QUICK_START.env, OPENVBS_LOG_LEVEL: 'debug', OPENVBS_PRUNE_INTERVAL: '0' };
    const bench = new PruneKillBench(options, await LiveService.start({ ...QUICK_START, env, folder }));
    stack.defer(() => bench.#service[Symbol.asyncDispose]());
    await bench.#prepare();
    bench.#stack.use(stack.move());
    return bench;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  /** Of a prune that nobody disturbs: its steps and how long each takes. */
  describeUndisturbed(): string {
    return this.#steps
      .slice(0, -1)
      .map(({ phase }, i) => `${phase} ${this.#stepMs(i)} ms`)
      .join(', ');
  }

  get killsLeft(): number {
    return this.#moments.length;
  }

  /** Fresh dead data, a prune that is killed, perhaps again and again, and one that comes to its end. */
  async runRound(): Promise<void> {
    await this.#makeDead();
    const isBusy = this.#random() < BUSY_SHARE;
    const beside = isBusy ? await this.#workBeside() : undefined;
    await this.#killDuringPrune(beside);
    while (this.killsLeft > 0 && this.#random() < AGAIN_SHARE) await this.#killDuringPrune();
    await this.#prune();
    assert.deepEqual(await auditAtRest(this.#service.dataFolder), CLEAN);
  }

  /** Restores every backup that is available and compares; returns their number. */
  async checkEveryBackup(): Promise<number> {
    const ids = await this.#listAvailable();
    assert.deepEqual(ids.toSorted(), [...this.#expected.keys()].toSorted(), 'what is available is what was made');
    for (const id of ids) await this.#checkBackup(id);
    return ids.length;
  }

  /**
   * A last prune, a day later: nothing is unknown, unreachable or waits for anything. Then all backups are deleted, and
   * the prune after that leaves no pack, no page and no record.
   */
  async finish(): Promise<void> {
    await this.#service.stop();
    const env = { ...this.#service.options.env, OPENVBS_DEV: '1', OPENVBS_PRUNE_SHARE: '1' };
    this.#service = await this.#service.startAgain({ env });
    await this.#passDay();
    await this.#prune();
    const planned = await this.#prune({ dry_run: true });
    assert.deepEqual([planned.packs, planned.condemned_count], [[], 0], 'nothing is left to do');
    const { usage } = await this.#api.must('GET', '/v1/{p}/repository/usage');
    const { dead_bytes: deadBytes, stored_bytes: storedBytes } = usage as Record<string, number>;
    assert(deadBytes !== undefined && storedBytes !== undefined && deadBytes < storedBytes / 100, `${deadBytes} dead`);
    await this.checkEveryBackup();
    await this.#deleteAll([...this.#expected.keys()]);
    await this.#prune();
    await this.#passDay();
    await this.#prune();
    assert.deepEqual(await auditAtRest(this.#service.dataFolder), CLEAN);
    assert.deepEqual(this.#query('select object_name from trash'), []);
    assert.deepEqual(this.#query("select pack_id from packs where state <> 'retired'"), []);
    const names = await readdir(join(this.#service.dataFolder, 'repository'), { recursive: true });
    assert.deepEqual(
      names.filter((name) => /\/(packs|pages|backups)\/.*\./.test(name)),
      [],
    );
  }

  get #api(): LiveApi {
    return this.#service.api;
  }

  get #all() {
    assert(this.#disks !== undefined, 'disks are made first');
    return this.#disks;
  }

  async #prepare(): Promise<void> {
    const large = await this.#addDisk('large', DISK_BYTES, FILLED_BYTES);
    const other = await this.#addDisk('other', ROUND_BYTES, ROUND_BYTES);
    const small = await this.#addDisk('small', SMALL_BYTES, SMALL_BYTES);
    this.#disks = { large, other, small };
    for (let i = 0; i < this.#options.smallBackupCount; i += 1) await this.#backUpChanged(small, 0, CHUNK_BYTES);
    for (const disk of [large, other, small]) {
      const id = await this.#backUpChanged(disk, 0, CHUNK_BYTES);
      disk.targetId = await this.#api.restoreToNewVolume(id);
    }
    // Once to have something from every round there, once to measure, in a process as young as those that are killed.
    await this.#makeDead();
    await this.#prune();
    await this.#service.kill();
    this.#service = await this.#service.startAgain();
    await this.#makeDead();
    const fromIndex = this.#service.stderr.length;
    const askedAt = systemClock.now();
    await this.#prune();
    this.#steps = readSteps(this.#service.stderr.slice(fromIndex));
    const last = this.#steps.at(-1);
    assert(last?.phase === 'end', 'the prune came to its end');
    this.#durationMs = last.beganAt - askedAt;
  }

  async #addDisk(name: string, sizeBytes: number, filledBytes: number): Promise<Disk> {
    const path = join(this.#service.disksFolder, `${name}.img`);
    await makeImage(path, sizeBytes, filledBytes, `${this.#options.seed}/${name}`);
    return { path, volumeId: await this.#api.adoptVolume(path, name), targetId: '' };
  }

  /** Writes noise over a part of the disk, backs it up and notes what the backup must restore to. */
  async #backUpChanged(disk: Disk, offsetBytes: number, lengthBytes: number): Promise<string> {
    const start = await this.#startChanged(disk, offsetBytes, lengthBytes);
    return await start.expectEnd();
  }

  async #startChanged(disk: Disk, offsetBytes: number, lengthBytes: number) {
    this.#changeCount += 1;
    const name = `backup-${this.#changeCount}`;
    await overwrite(disk.path, offsetBytes, noise(lengthBytes, `${this.#options.seed}/${name}`));
    const digest = await digestOfFile(disk.path);
    const jobId = await this.#api.startBackup(disk.volumeId, name);
    // Also by a service that was started again meanwhile.
    const expectEnd = async (): Promise<string> => {
      const job = await this.#api.waitForJob(jobId);
      assert.equal(job.status, 'SUCCESS', `${name}: ${job.failReason}`);
      this.#expected.set(job.backupId, { disk, digest });
      return job.backupId;
    };
    return { expectEnd };
  }

  /** Leaves packs that are dead as a whole, packs that are dead for the most part, and dead pages. */
  async #makeDead(): Promise<void> {
    const { large, small } = this.#all;
    const spanBytes = DISK_BYTES - ROUND_BYTES;
    const offsetBytes = Math.floor((this.#random() * spanBytes) / CHUNK_BYTES) * CHUNK_BYTES;
    const dead = [
      await this.#backUpChanged(large, offsetBytes, ROUND_BYTES),
      await this.#backUpChanged(large, offsetBytes, AGAIN_BYTES),
    ];
    await this.#backUpChanged(large, offsetBytes, AGAIN_BYTES);
    await this.#backUpChanged(small, 0, CHUNK_BYTES);
    const keptSmallCount = Math.max(KEPT_COUNT, this.#options.smallBackupCount);
    dead.push(...this.#oldest(large, dead, KEPT_COUNT), ...this.#oldest(small, [], keptSmallCount));
    await this.#deleteAll([...dead, ...this.#oldest(this.#all.other, [], KEPT_COUNT)]);
  }

  /** Backups of the disk beyond the newest `keptCount`. */
  #oldest(disk: Disk, besides: readonly string[], keptCount: number): string[] {
    const ids = [...this.#expected].flatMap(([id, expected]) => (expected.disk === disk ? [id] : []));
    return ids.filter((id) => !besides.includes(id)).slice(0, -keptCount);
  }

  async #deleteAll(ids: readonly string[]): Promise<void> {
    const jobIds = await Promise.all(ids.map((id) => this.#api.startDeletion(id)));
    for (const jobId of jobIds) {
      const { status, failReason } = await this.#api.waitForJob(jobId);
      assert.equal(status, 'SUCCESS', `deletion: ${failReason}`);
    }
    for (const id of ids) this.#expected.delete(id);
  }

  /** Begins a backup and a restore; the function, to be called after the kill, waits for their ends and looks. */
  async #workBeside(): Promise<() => Promise<void>> {
    this.busyCount += 1;
    const { large, other } = this.#all;
    const restoredId = this.#drawFrom(large);
    const backup = await this.#startChanged(other, 0, AGAIN_BYTES);
    const jobId = await this.#api.startRestore(restoredId, large.targetId);
    return async () => {
      await backup.expectEnd();
      const { status, failReason } = await this.#api.waitForJob(jobId);
      assert.equal(status, 'SUCCESS', `restore: ${failReason}`);
      await this.#checkTarget(restoredId);
    };
  }

  /** Asks for a prune, kills at the next moment, starts again, and checks that nothing is lost. */
  async #killDuringPrune(checkBeside?: () => Promise<void>): Promise<void> {
    const moment = this.#moments.pop();
    assert(moment !== undefined, 'no more kills than were asked for');
    const before = await this.#listAvailable();
    const fromIndex = this.#service.stderr.length;
    const answer = this.#api.must('POST', '/v1/{p}/repository/prune').catch((error: unknown) => {
      // The answer may be cut off by the kill; any refusal is a mistake of the test.
      assert(error instanceof TypeError, String(error));
    });
    await this.#waitForMoment(moment, fromIndex);
    await this.#service.kill();
    await answer;
    this.interrupted.push(readSteps(this.#service.stderr.slice(fromIndex)).at(-1)?.phase ?? 'nothing yet');
    this.#noteLeftOpen();
    this.#service = await this.#service.startAgain();
    for (const { status, failReason, jobId } of await this.#api.waitForAllJobs()) {
      assert.equal(status, 'SUCCESS', `job ${jobId}: ${failReason}`);
    }
    const after = new Set(await this.#listAvailable());
    for (const id of before) assert(after.has(id), `backup ${id} was available and is not any more`);
    await checkBeside?.();
    await this.#checkBackup(this.#drawFrom(this.#all.large));
  }

  /** By turns: at `moment` of the whole duration, and at `moment` of one of the steps, counted from its beginning. */
  async #waitForMoment(moment: number, fromIndex: number): Promise<void> {
    const index = this.interrupted.length;
    if (index % 2 === 0) return await delay(moment * this.#durationMs);
    const aim = AIMED_STEPS[((index - 1) / 2) % AIMED_STEPS.length];
    const phases = this.#steps.map(({ phase }) => phase);
    const stepIndex = aim === 'last sweep' ? phases.lastIndexOf('sweep') : phases.indexOf(aim ?? 'mark', 1);
    await this.#service.waitForLog((log) => readSteps(log.slice(fromIndex)).length > stepIndex);
    const waitMs = moment * this.#stepMs(stepIndex);
    // A timer waits for a millisecond at least, and a step may take less.
    if (waitMs >= 1) await delay(waitMs);
  }

  #stepMs(index: number): number {
    const [step, next] = [this.#steps[index], this.#steps[index + 1]];
    return step && next ? next.beganAt - step.beganAt : 0;
  }

  /** Runs to the end; returns the report. */
  async #prune(body: Json = {}): Promise<Json> {
    await this.#api.must('POST', '/v1/{p}/repository/prune', { body });
    const run = await this.#api.waitForRun();
    assert.equal(run.status, 'done', JSON.stringify(run.error));
    const report = at(run, 'report');
    assert.deepEqual(report.unknown_records, []);
    assert.deepEqual(report.problems, []);
    assert.equal(at(report, 'unnamed_objects').count, 0, JSON.stringify(report.unnamed_objects));
    return report;
  }

  async #passDay(): Promise<void> {
    await this.#api.must('POST', '/v1/dev/clock', { body: { advance_s: SECOND_DELETION_S } });
  }

  async #listAvailable(): Promise<string[]> {
    const backups = await this.#api.listBackups();
    return backups.filter(({ status }) => status === 'available').map(({ id }) => String(id));
  }

  #drawFrom(disk: Disk): string {
    const ids = [...this.#expected].flatMap(([id, expected]) => (expected.disk === disk ? [id] : []));
    const drawn = ids[Math.floor(this.#random() * ids.length)];
    assert(drawn !== undefined, 'there is a backup of the disk');
    return drawn;
  }

  async #checkBackup(id: string): Promise<void> {
    const expected = this.#expected.get(id);
    assert(expected !== undefined, `backup ${id} was made here`);
    const { status, failReason } = await this.#api.restore(id, expected.disk.targetId);
    assert.equal(status, 'SUCCESS', `restore of ${id}: ${failReason}`);
    await this.#checkTarget(id);
  }

  /** What was restored last holds that very backup. */
  async #checkTarget(id: string): Promise<void> {
    const expected = this.#expected.get(id);
    const restored = join(this.#service.dataFolder, 'volumes', `${expected?.disk.targetId}.raw`);
    assert.equal(await digestOfFile(restored), expected?.digest, `backup ${id} was restored wrongly`);
    this.restoredCount += 1;
  }

  /** What the dead process has left to do, as its catalog says. */
  #noteLeftOpen(): void {
    if (this.#query('select 1 from packs where next_object_id is not null').length > 0) {
      this.leftOpen.compactionCount += 1;
    }
    if (this.#query('select 1 from trash where deleted_at is null').length > 0) this.leftOpen.trashCount += 1;
  }

  #query(sql: string): unknown[] {
    const path = join(this.#service.dataFolder, 'catalog.sqlite');
    using database = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
    return database.prepare(sql).all();
  }
}

/** What prunes began to do, as the log tells. */
function readSteps(log: string): Step[] {
  return log.split('\n').flatMap((line) => {
    if (!line.includes('"message":"prune"') || !line.endsWith('}')) return [];
    const { phase, time } = at(JSON.parse(line));
    return [{ phase: String(phase), beganAt: Date.parse(String(time)) }];
  });
}
