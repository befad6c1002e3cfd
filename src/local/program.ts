// Puts the program together: the commands, the signals, the exit code.
import { homedir } from 'node:os';
import { basename, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CLIENT_COMMANDS } from '../cli/client-commands.ts';
import type { Command } from '../cli/command.ts';
import { EXIT } from '../cli/exit-code.ts';
import { runCommandLine } from '../cli/run.ts';
import { processTerminal } from '../cli/terminal.ts';
import { systemClock } from '../core/ports.ts';

/** An ended command whose sockets or threads linger is not worth more waiting. */
const LINGER_MS = 2_000;
/** One Ctrl-C arrives twice when npm or bin/openvbs.js stands between: from the terminal, and passed on. */
const SAME_SIGNAL_MS = 300;

export async function runProgram(argv: readonly string[]): Promise<void> {
  const stopping = new AbortController();
  let stoppedAt = 0;
  const stop = (): void => {
    if (!stopping.signal.aborted) {
      stoppedAt = systemClock.now();
      stopping.abort(new DOMException('interrupted', 'AbortError'));
    } else if (systemClock.now() - stoppedAt > SAME_SIGNAL_MS) {
      process.exit(EXIT.INTERRUPTED);
    }
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  // A reader that went away (`| head`) is no reason for a stack trace.
  process.stdout.on('error', exitOnClosedPipe);
  process.stderr.on('error', exitOnClosedPipe);
  const terminal = processTerminal(homedir());
  const commands = await loadCommands(argv);
  const deps = { commands, terminal, clock: systemClock, program: programName(), signal: stopping.signal };
  const exitCode = await runCommandLine(deps, argv);
  process.exitCode = exitCode;
  setTimeout(() => process.exit(exitCode), LINGER_MS).unref();
}

/** What talks to a server starts in half the time without the modules of the service itself. */
async function loadCommands(argv: readonly string[]): Promise<readonly Command[]> {
  const isClient = CLIENT_COMMANDS.some(({ path }) => path.every((word, i) => argv[i] === word));
  return isClient ? CLIENT_COMMANDS : (await import('./commands.ts')).COMMANDS;
}

function exitOnClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit(EXIT.FAILED);
}

/** What to type to call this program again: `openvbs` when it is installed, the path of its script in a checkout. */
function programName(): string {
  const called = process.argv[1] ?? '';
  if (basename(called) === 'openvbs') return 'openvbs';
  const script = fileURLToPath(new URL('../../bin/openvbs.js', import.meta.url));
  const near = relative(process.cwd(), script);
  return near.startsWith('..') ? script : near;
}
