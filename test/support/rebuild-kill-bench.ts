// Kills rebuilds of a catalog, processes of their own, at random moments, and checks what a user may rely on: no
// service starts on half a catalog, and the rebuild that comes to its end makes what an undisturbed one makes.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { startApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import { silentLogger, systemClock } from '../../src/core/ports.ts';
import { FilesystemStore } from '../../src/storage/filesystem-store.ts';
import { makeRandom, runProgram } from './disk-files.ts';
import { EngineBench, PASSPHRASE } from './engine-bench.ts';
import { drawMoments } from './kill-moments.ts';
import { PROJECT_ROOT, QUICK_START } from './live-service.ts';
import { backUpVersions, fillRepository } from './rebuild-bench.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

/** Backups of a disk large enough for pages that are stored. */
const VERSION_COUNT = 5;
/** Part of the kills after which the rebuild that goes on is killed as well. */
const AGAIN_SHARE = 0.6;
/** What a rebuild does first, once it has the keys. */
const FIRST_PHASE = 'packs';

export type RebuildKillOptions = {
  readonly seed: string;
  /** How many kills there will be: moments are spread evenly over them. */
  readonly killCount: number;
  readonly backupCount: number;
};

export class RebuildKillBench {
  readonly #stack = new AsyncDisposableStack();
  readonly #folder: string;
  readonly #random: () => number;
  readonly #moments: number[];
  #expected: unknown[] = [];
  #workMs = 0;
  /** What the rebuild was doing at each kill. */
  readonly interrupted: string[] = [];
  /** Rebuilds that were over before they could be killed. */
  missedCount = 0;
  /** Starts of a service on half a catalog, all refused. */
  refusedCount = 0;

  private constructor(options: RebuildKillOptions, folder: string) {
    this.#folder = folder;
    this.#random = makeRandom(options.seed);
    this.#moments = drawMoments(options.seed, options.killCount);
  }

  static async start(options: RebuildKillOptions): Promise<RebuildKillBench> {
    await using stack = new AsyncDisposableStack();
    const { path } = stack.use(await makeTemporaryFolder());
    const bench = new RebuildKillBench(options, path);
    await bench.#prepare(options.backupCount);
    bench.#stack.use(stack.move());
    return bench;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  /** From the first pack to the end of the process, undisturbed. */
  get workMs(): number {
    return this.#workMs;
  }

  get killsLeft(): number {
    return this.#moments.length;
  }

  /** A rebuild from nothing that is killed, perhaps again and again, and the one that comes to its end. */
  async runRound(): Promise<void> {
    await this.#lose();
    do await this.#killDuringRebuild();
    while (this.killsLeft > 0 && this.#random() < AGAIN_SHARE && !(await this.#isRebuilt()));
    assert.equal(await this.#startRebuild().ended, 0, 'the last rebuild comes to its end');
    const found = summarize(this.#lost);
    for (const [index, rows] of this.#expected.entries()) assert.deepEqual(found[index], rows);
  }

  get #lost(): string {
    return join(this.#folder, 'lost', 'data');
  }

  get #kept(): string {
    return join(this.#folder, 'kept', 'data');
  }

  async #prepare(backupCount: number): Promise<void> {
    await mkdir(join(this.#kept, 'repository'), { recursive: true });
    const store = new FilesystemStore({ root: join(this.#kept, 'repository') });
    {
      await using bench = await EngineBench.start(store);
      await fillRepository(bench, backupCount);
      await backUpVersions(bench, VERSION_COUNT);
    }
    await store.close();
    await writeFile(join(this.#kept, 'passphrase'), `${PASSPHRASE}\n`, { mode: 0o600 });
    await this.#lose();
    const rebuild = this.#startRebuild();
    assert(await rebuild.hasBegun, 'a rebuild begins');
    const beganAt = systemClock.now();
    assert.equal(await rebuild.ended, 0);
    this.#workMs = systemClock.now() - beganAt;
    this.#expected = summarize(this.#lost);
    const [, , , , keys] = this.#expected;
    assert.equal((keys as unknown[]).length, 2, 'one key each of the repository and of the project');
  }

  /** The repository as it was, without a catalog. Objects are never changed in place, so links to them will do. */
  async #lose(): Promise<void> {
    await rm(join(this.#folder, 'lost'), { recursive: true, force: true });
    await mkdir(join(this.#folder, 'lost'));
    await runProgram('cp', ['-al', this.#kept, this.#lost]);
  }

  async #killDuringRebuild(): Promise<void> {
    const moment = this.#moments.at(-1);
    assert(moment !== undefined, 'no more kills than were asked for');
    const rebuild = this.#startRebuild();
    const hasBegun = await rebuild.hasBegun;
    const beganAt = systemClock.now();
    if (hasBegun) await Promise.race([delay(moment * this.#workMs), rebuild.ended]);
    rebuild.child.kill('SIGKILL');
    const code = await rebuild.ended;
    assert(code === null || code === 0, `the rebuild failed:\n${rebuild.readLog()}`);
    if (code === null) {
      this.#moments.pop();
      this.interrupted.push(rebuild.readPhase());
    } else if (hasBegun) {
      // It was over sooner than the one that was measured: this moment comes again, of a shorter time.
      this.missedCount += 1;
      this.#workMs = Math.min(this.#workMs, systemClock.now() - beganAt);
    }
    if (await this.#isRebuilt()) return;
    await assert.rejects(this.#startService(), { code: 'REPOSITORY_MISMATCH' });
    this.refusedCount += 1;
  }

  async #isRebuilt(): Promise<boolean> {
    using database = new DatabaseSync(join(this.#lost, 'catalog.sqlite'), { readOnly: true });
    return database.prepare("select 1 from meta where value like 'done %'").all().length > 0;
  }

  async #startService(): Promise<void> {
    const env = { OPENVBS_DATA: this.#lost, OPENVBS_LISTEN: '127.0.0.1:0' };
    const { config } = loadConfig({ flags: {}, env, cwd: this.#folder });
    const app = await startApp(config, { logger: silentLogger });
    await app.close();
  }

  /** A process of its own; `ended` is its exit code, null when it was killed. */
  #startRebuild() {
    const args = [join(PROJECT_ROOT, 'src', 'main.ts'), 'repository', 'rebuild-catalog'];
    const env = { PATH: process.env.PATH, ...QUICK_START.env, OPENVBS_LOG_LEVEL: 'debug' };
    const cwd = join(this.#folder, 'lost');
    const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'], env });
    let log = '';
    const isBegun = () => log.includes(`"phase":"${FIRST_PHASE}"`);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
    const ended = once(child, 'close').then(([code]: (number | null)[]) => code ?? null);
    const hasBegun = new Promise<boolean>((resolve) => {
      child.stderr.on('data', () => isBegun() && resolve(true));
      void ended.then(() => resolve(isBegun()));
    });
    const readPhase = () => [...log.matchAll(/"phase":"(\w+)"/g)].at(-1)?.[1] ?? 'nothing yet';
    return { child, ended, hasBegun, readPhase, readLog: () => log };
  }
}

/** Everything that a rebuild enters and that is not drawn anew by each. */
function summarize(data: string): unknown[] {
  using database = new DatabaseSync(join(data, 'catalog.sqlite'), { readOnly: true });
  const queries = [
    `select backup_id, project_id, attempt_id, parent_id, name, status, size_bytes, stored_bytes, hex(record_sha256)
      from backups order by backup_id`,
    'select pack_id, kind, state, object_id, slot_count, dropped_count, stored_bytes from packs order by pack_id',
    'select hex(hook) as hook, pack_id from hooks join packs using (pack_number) order by hook, pack_id',
    "select project_id, name from projects where name <> 'admin' order by project_id",
    'select project_id from keys order by project_id',
  ];
  return queries.map((query) => database.prepare(query).all());
}
