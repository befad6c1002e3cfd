// The program as people run it: processes with arguments, an environment of their own, and exit codes.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { runCommandLine } from '../../src/cli/run.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { systemClock } from '../../src/core/ports.ts';
import { COMMANDS } from '../../src/local/commands.ts';

export const OPENVBS = fileURLToPath(new URL('../../bin/openvbs.js', import.meta.url));

export type CliResult = { readonly code: number; readonly stdout: string; readonly stderr: string };
export type CliOptions = {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
};

/** Nothing of the developer's own: no OPENVBS_* or OS_* variables, and a home of the test. */
function environmentOf({ cwd, env }: CliOptions): Record<string, string> {
  // `#!/usr/bin/env node` must find the Node that runs the tests.
  const path = `${dirname(process.execPath)}:${process.env.PATH ?? ''}`;
  const { NODE_COMPILE_CACHE = '' } = process.env;
  return { PATH: path, NODE_COMPILE_CACHE, HOME: cwd, XDG_CONFIG_HOME: `${cwd}/.config`, ...env };
}

/** Runs a program to its end. */
export async function runProcess(command: string, args: readonly string[], options: CliOptions): Promise<CliResult> {
  const child = spawn(command, args, { cwd: options.cwd, env: environmentOf(options) });
  child.stdin.end(options.stdin ?? '');
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null, string | null]>,
  ]);
  return { code: code ?? -1, stdout, stderr: signal === null ? stderr : `${stderr}\nended by ${signal}` };
}

/** As `runCli` without a process of its own: ten times faster, for all that does not concern the process. */
export async function runInProcess(line: string, options: CliOptions): Promise<CliResult> {
  const written = { stdout: '', stderr: '' };
  const nobody = (): Promise<never> => assert.fail('there is nobody to ask');
  const terminal: Terminal = {
    stdout: { write: (chunk: string) => (written.stdout += chunk) },
    stderr: { write: (chunk: string) => (written.stderr += chunk) },
    isInteractive: false,
    env: environmentOf(options),
    cwd: options.cwd,
    homeFolder: options.cwd,
    readStdin: async () => options.stdin ?? '',
    ask: nobody,
    askSecret: nobody,
  };
  const { signal } = new AbortController();
  const deps = { commands: COMMANDS, terminal, clock: systemClock, program: 'openvbs', signal };
  const code = await runCommandLine(deps, splitWords(line));
  return { code, ...written };
}

function splitWords(line: string): string[] {
  return line.split(' ').filter((word) => word !== '');
}

export async function runCli(line: string, options: CliOptions): Promise<CliResult> {
  return await runProcess(process.execPath, [OPENVBS, ...splitWords(line)], options);
}

/** `openvbs serve`, up until it is disposed of. */
export class ServeProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  /** What it said when it was up. */
  readonly startText: string;
  readonly #stderr: Promise<string>;

  private constructor(child: ChildProcess, startText: string, stderr: Promise<string>) {
    this.#child = child;
    this.startText = startText;
    this.#stderr = stderr;
  }

  static async start(line: string, options: CliOptions): Promise<ServeProcess> {
    const args = [OPENVBS, 'serve', ...splitWords(line)];
    const child = spawn(process.execPath, args, { cwd: options.cwd, env: environmentOf(options) });
    const stderr = text(child.stderr);
    let startText = '';
    for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
      startText += String(chunk);
      if (startText.includes('Ctrl-C stops it.')) break;
    }
    child.stdout.resume();
    if (!startText.includes('Ctrl-C stops it.')) assert.fail(`serve did not start: ${startText}${await stderr}`);
    return new ServeProcess(child, startText, stderr);
  }

  get url(): string {
    return this.field('API').split(' ')[0] ?? '';
  }

  /** The value behind `Name:` in the start text. */
  field(name: string): string {
    return new RegExp(`^ *${name}: *(.*)$`, 'm').exec(this.startText)?.[1] ?? '';
  }

  /** Sends a signal and waits for the end; returns the exit code and the log. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<{ code: number | null; log: string }> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const closed = once(this.#child, 'close');
      this.#child.kill(signal);
      await closed;
    }
    return { code: this.#child.exitCode, log: await this.#stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
