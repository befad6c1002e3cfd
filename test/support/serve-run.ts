// `openvbs serve` as a person starts it: what it prints, and how it ends.
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/core/ports.ts';
import { PROJECT_ROOT, withoutSettings } from './live-service.ts';

const WAIT_MS = 30_000;

export class ServeRun {
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #ended: Promise<unknown[]>;
  stdout = '';
  stderr = '';

  private constructor(child: ChildProcessByStdio<null, Readable, Readable>) {
    this.#child = child;
    // Once the streams are read to their ends, which may be after the process has gone.
    this.#ended = once(child, 'close');
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
  }

  static begin(args: readonly string[], env: Readonly<Record<string, string>> = {}): ServeRun {
    const words = [join(PROJECT_ROOT, 'src/main.ts'), 'serve', ...args];
    const child = spawn(process.execPath, words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...withoutSettings(process.env), ...env },
    });
    process.once('exit', () => child.kill('SIGKILL'));
    return new ServeRun(child);
  }

  /** What it prints when it is up. */
  async waitForText(): Promise<string> {
    const deadlineAt = systemClock.now() + WAIT_MS;
    while (!this.stdout.includes('Ctrl-C')) {
      assert(this.#child.exitCode === null, `it ended:\n${this.stderr}`);
      assert(systemClock.now() < deadlineAt, `it does not start:\n${this.stderr}`);
      await delay(5);
    }
    return this.stdout;
  }

  /** Returns the exit code. */
  async waitForEnd(): Promise<number | null> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), WAIT_MS);
    await this.#ended;
    clearTimeout(timer);
    return this.#child.exitCode;
  }

  /** As Ctrl-C does; returns the exit code. */
  async stop(): Promise<number | null> {
    this.#child.kill('SIGINT');
    return await this.waitForEnd();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.stop();
  }
}
