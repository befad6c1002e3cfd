// How commands answer: text for people, or one JSON document for programs.
import type { CommandContext } from './command.ts';

/** Writes the result of a command: `json` with --json, else `text`. */
export function printResult({ terminal, isJson }: CommandContext, json: unknown, text: string): void {
  terminal.stdout.write(isJson ? `${JSON.stringify(json, undefined, 2)}\n` : `${text}\n`);
}

/** Asks on a terminal unless --yes was given; where nobody can be asked, the command line itself is the answer. */
export async function confirm({ terminal, flags, signal }: CommandContext, question: string): Promise<boolean> {
  if (flags.has('yes') || !terminal.isInteractive) return true;
  const answer = await terminal.ask(`${question} [y/N] `, signal);
  return /^y(es)?$/i.test(answer.trim());
}

export const YES_OPTION = { flag: 'yes', short: 'y', kind: 'boolean', doc: 'do not ask for confirmation' } as const;
