// One run of the command line: parse, help or command, and every failure told with its exit code.
import type { Clock } from '../core/ports.ts';
import type { Command } from './command.ts';
import { EXIT, type ExitCode, reportError } from './exit-code.ts';
import { clean } from './format.ts';
import { renderHelp } from './help.ts';
import { parseLine } from './parse.ts';
import type { Terminal } from './terminal.ts';

export type RunDeps = {
  readonly commands: readonly Command[];
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly program: string;
  readonly signal: AbortSignal;
};

/** Never throws. */
export async function runCommandLine(deps: RunDeps, argv: readonly string[]): Promise<ExitCode> {
  const { commands, terminal, clock, program, signal } = deps;
  const isJson = argv.includes('--json');
  try {
    const line = parseLine(commands, argv);
    if (line.kind === 'help') {
      terminal.stdout.write(`${renderHelp(commands, line.words, program)}\n`);
      return EXIT.OK;
    }
    const { command, flags, args } = line;
    return await command.run({ terminal, flags, args, isJson: flags.has('json'), clock, program, signal });
  } catch (error) {
    return tellError(terminal, program, isJson, error);
  }
}

function tellError(terminal: Terminal, program: string, isJson: boolean, error: unknown): ExitCode {
  const { exitCode, code, message, requestId, ...report } = reportError(error);
  const hint = report.hint === undefined ? undefined : nameProgram(report.hint, program);
  const request = requestId === undefined ? '' : `, ${requestId}`;
  terminal.stderr.write(`openvbs: ${clean(message)} (${code}${request})\n`);
  if (hint !== undefined) terminal.stderr.write(`  ${hint}\n`);
  if (isJson) {
    const document = { error: { code, message, hint: hint ?? null, requestId: requestId ?? null, exitCode } };
    terminal.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`);
  }
  // Only what nobody foresaw deserves a stack.
  if (code === 'INTERNAL' && error instanceof Error) terminal.stderr.write(`${error.stack ?? ''}\n`);
  return exitCode;
}

/** Hints say `openvbs login`; what is to be typed may be another path. */
function nameProgram(hint: string, program: string): string {
  return hint.replaceAll(
    /\bopenvbs (?=(login|config|serve|help|volume|backup|job|restore|repository|prune)\b)/g,
    () => `${program} `,
  );
}
