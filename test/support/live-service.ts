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
import { LiveApi } from './live-api.ts';

export const PROJECT_ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const ADMIN_PASSWORD = 'a password for tests';
/** Slow machines are slow; a start that takes longer is broken. */
const START_WAIT_MS = 30_000;

type Child = ChildProcessByStdio<null, Readable, Readable>;

export type LiveOptions = {
  /** Holds `data` and `disks`; the latter is the only root for adopting. */
  readonly folder: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly nodeFlags?: readonly string[];
  /** Runs the service below another program, such as `prlimit`. */
  readonly prefix?: readonly string[];
};

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
  #api: LiveApi | undefined;

  private constructor(options: LiveOptions) {
    this.options = options;
    this.#child = spawnServer(options);
    this.#ended = once(this.#child, 'exit');
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
  }

  /** Returns when it serves and the user admin is logged in. */
  static async start(options: LiveOptions): Promise<LiveService> {
    await mkdir(disksFolder(options.folder), { recursive: true });
    const service = new LiveService(options);
    try {
      await service.#waitUntilServing();
      service.#api = await LiveApi.logIn(service.#url, ADMIN_PASSWORD);
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
    return await LiveService.start({ ...this.options, ...changes });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.hasEnded) await this.stop();
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
    this.#url = (JSON.parse(this.#stdout) as { url: string }).url;
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
