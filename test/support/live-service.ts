// The service as its users run it: a process of its own on a private folder and a free port, that can be killed at any
// moment and started again.
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/core/ports.ts';
import { LiveApi, waitFor } from './live-api.ts';
import { Samples } from './samples.ts';

export const PROJECT_ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const ADMIN_PASSWORD = 'a password for tests';
/** Slow machines are slow; a start that takes longer is broken. */
const START_WAIT_MS = 30_000;

type Child = ChildProcessByStdio<null, Readable, Readable>;

/** Has the service serve metrics: `scrape` and `waitForRest` need them. */
export const METRICS_ENV = { OPENVBS_METRICS_LISTEN: '127.0.0.1:0' } as const;

export type LiveOptions = {
  /** Holds `data` and `disks`; the latter is the only root for adopting. */
  readonly folder: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly nodeFlags?: readonly string[];
  /** Runs the service below another program, such as `prlimit`. */
  readonly prefix?: readonly string[];
  /** Goes on with the token of the process before instead of logging in anew, which takes longer than most starts. */
  readonly keepsToken?: boolean;
};

/** For tests that start often: modules are compiled once, and nobody logs in again. */
export const QUICK_START = {
  keepsToken: true,
  env: { NODE_COMPILE_CACHE: join(PROJECT_ROOT, 'node_modules/.cache/compile') },
} as const;

const children = new Set<Child>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

export class LiveService {
  readonly options: LiveOptions;
  readonly #child: Child;
  readonly #ended: Promise<unknown[]>;
  #stdout = '';
  #stderr = '';
  #url = '';
  #metricsUrl: string | null = null;
  #api: LiveApi | undefined;

  private constructor(options: LiveOptions) {
    this.options = options;
    this.#child = spawnServer(options);
    // Once the streams are read to their ends, which may be after the process has gone.
    this.#ended = once(this.#child, 'close');
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
  }

  /** Returns when it serves and the user admin is logged in; `earlier` is logged in already. */
  static async start(options: LiveOptions, earlier?: LiveApi): Promise<LiveService> {
    await mkdir(disksFolder(options.folder), { recursive: true });
    const service = new LiveService(options);
    try {
      await service.#waitUntilServing();
      service.#api = earlier?.movedTo(service.#url) ?? (await LiveApi.logIn(service.#url, ADMIN_PASSWORD));
      return service;
    } catch (error) {
      await service.kill();
      throw error;
    }
  }

  get url(): string {
    return this.#url;
  }

  get api(): LiveApi {
    assert(this.#api !== undefined, 'the service is started');
    return this.#api;
  }

  get pid(): number {
    assert(this.#child.pid !== undefined, 'the process was started');
    return this.#child.pid;
  }

  get dataFolder(): string {
    return join(this.options.folder, 'data');
  }

  get disksFolder(): string {
    return disksFolder(this.options.folder);
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** kill -9, and nothing of the process is left when this returns. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** As Ctrl-C does; returns the exit code. */
  async stop(): Promise<number | null> {
    await this.#end('SIGTERM');
    return this.#child.exitCode;
  }

  /** A new process on the same folder; this one must have ended. */
  async startAgain(changes: Partial<LiveOptions> = {}): Promise<LiveService> {
    assert(this.hasEnded, 'one process at a time');
    const options = { ...this.options, ...changes };
    return await LiveService.start(options, options.keepsToken ? this.#api : undefined);
  }

  /** Waits until the log has what is looked for. False: the process has ended before. */
  async waitForLog(hasFound: (log: string) => boolean): Promise<boolean> {
    for (;;) {
      if (hasFound(this.#stderr)) return true;
      if (this.hasEnded) return false;
      await Promise.race([once(this.#child.stderr, 'data'), this.#ended]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.hasEnded) await this.stop();
  }

  /** Its metrics; it must have been started with METRICS_ENV. */
  async scrape(): Promise<Samples> {
    assert(this.#metricsUrl !== null, 'the service serves metrics');
    const answer = await fetch(this.#metricsUrl);
    const text = await answer.text();
    assert.equal(answer.status, 200, text);
    return new Samples(text);
  }

  /**
   * Waits until nothing changes any row or object by itself: no job is open, nothing trails the jobs that have ended,
   * and the upkeep of the start is done. Whoever calls it sends no requests meanwhile.
   */
  async waitForRest(): Promise<void> {
    await waitFor(async () => {
      const before = await this.scrape();
      const isEnded = before.sum('openvbs_job_attempts_begun_total') === before.sum('openvbs_job_attempts_total');
      const isKeptUp = before.sum('openvbs_maintenance_runs_total', 'operation="upkeep"') > 0;
      // Looked at afterwards: what trails a job may enter others, and without any attempt nothing can.
      const openCount = (await this.scrape()).sum('openvbs_jobs');
      return isEnded && isKeptUp && openCount === 0 ? true : undefined;
    });
  }

  /** The most memory that the process ever had in use, in bytes (VmHWM). */
  async readPeakMemoryBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * 1024;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (!this.hasEnded) this.#child.kill(signal);
    await this.#ended;
    children.delete(this.#child);
  }

  async #waitUntilServing(): Promise<void> {
    const deadlineAt = systemClock.now() + START_WAIT_MS;
    while (!this.#stdout.includes('\n')) {
      assert(!this.hasEnded, `the service ended:\n${this.#stderr}`);
      assert(systemClock.now() < deadlineAt, `the service does not start:\n${this.#stderr}`);
      await delay(5);
    }
    // The cast names what `serve --json` prints.
    const said = JSON.parse(this.#stdout) as { url: string; metricsUrl: string | null };
    this.#url = said.url;
    this.#metricsUrl = said.metricsUrl;
  }
}

function disksFolder(folder: string): string {
  return join(folder, 'disks');
}

function spawnServer({ folder, env, nodeFlags = [], prefix = [] }: LiveOptions): Child {
  const settings = {
    OPENVBS_LISTEN: '127.0.0.1:0',
    OPENVBS_DATA: join(folder, 'data'),
    OPENVBS_VOLUME_ROOTS: disksFolder(folder),
    OPENVBS_ADMIN_PASSWORD: ADMIN_PASSWORD,
  };
  const words = [...prefix, process.execPath, ...nodeFlags, join(PROJECT_ROOT, 'src/main.ts'), 'serve', '--json'];
  const [program = '', ...args] = words;
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...withoutSettings(process.env), ...settings, ...env },
  });
  children.add(child);
  return child;
}

/** What is set in the shell of whoever runs the tests must not reach them. */
export function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const isForeign = (name: string): boolean => name.startsWith('OPENVBS_') || name === 'NODE_TEST_CONTEXT';
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isForeign(name)));
}
