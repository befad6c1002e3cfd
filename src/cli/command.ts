// What a command is: words, options, help and a function. The table of all commands is src/local/commands.ts.
import type { Clock } from '../core/ports.ts';
import type { ExitCode } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

export type OptionSpec = {
  /** Without dashes. */
  readonly flag: string;
  /** One letter, without dash. */
  readonly short?: string;
  /** `text`: takes a value, the last one counts. `texts`: may be repeated. */
  readonly kind: 'boolean' | 'text' | 'texts';
  /** Stands for the value in help. */
  readonly hint?: string;
  readonly doc: string;
};

export type ArgumentSpec = { readonly name: string; readonly doc: string; readonly isOptional?: true };

export type Flags = {
  has(flag: string): boolean;
  text(flag: string): string | undefined;
  texts(flag: string): readonly string[];
  /** Everything given, as `loadConfig` takes it. */
  readonly all: Readonly<Record<string, string | boolean>>;
};

export type CommandContext = {
  readonly terminal: Terminal;
  readonly flags: Flags;
  readonly args: readonly string[];
  readonly isJson: boolean;
  readonly clock: Clock;
  /** How this program was called, for hints: `openvbs`, `bin/openvbs.js`, ... */
  readonly program: string;
  /** Aborts at the first Ctrl-C. */
  readonly signal: AbortSignal;
};

export type Command = {
  /** `['volume', 'add']` */
  readonly path: readonly string[];
  readonly summary: string;
  /** Further paragraphs of the help. */
  readonly details?: string;
  readonly args: readonly ArgumentSpec[];
  readonly options: readonly OptionSpec[];
  /** Talks to a server: takes the options of the connection too. */
  readonly isRemote: boolean;
  /** Without the program name. */
  readonly examples: readonly string[];
  run(context: CommandContext): Promise<ExitCode>;
};

/** Every command takes these. */
export const COMMON_OPTIONS: readonly OptionSpec[] = [
  {
    flag: 'json',
    kind: 'boolean',
    doc: 'one JSON document on stdout instead of text; progress and errors stay on stderr',
  },
  { flag: 'help', short: 'h', kind: 'boolean', doc: 'this help' },
];

/** Commands that talk to a server take these. */
export const CONNECTION_OPTIONS: readonly OptionSpec[] = [
  { flag: 'url', kind: 'text', hint: 'URL', doc: 'address of the server (OPENVBS_URL; http://127.0.0.1:8776)' },
  { flag: 'user', kind: 'text', hint: 'NAME', doc: 'user (OPENVBS_USER, OS_USERNAME; admin)' },
  {
    flag: 'password-file',
    kind: 'text',
    hint: 'FILE',
    doc: 'file whose first line is the password, "-" for stdin (or OPENVBS_PASSWORD, OS_PASSWORD)',
  },
  { flag: 'project', kind: 'text', hint: 'NAME', doc: 'project (OPENVBS_PROJECT, OS_PROJECT_NAME; admin)' },
];

export function optionsOf(command: Command): readonly OptionSpec[] {
  return [...command.options, ...(command.isRemote ? CONNECTION_OPTIONS : []), ...COMMON_OPTIONS];
}
