// The command line into a command, its flags and its arguments. Pure; what is wrong becomes a usage error that names
// the nearest right thing.
import { parseArgs } from 'node:util';
import { didYouMean } from '../core/suggest.ts';
import { usageError } from './cli-error.ts';
import { COMMON_OPTIONS, CONNECTION_OPTIONS, type Command, type Flags, type OptionSpec, optionsOf } from './command.ts';

export type ParsedLine =
  | { readonly kind: 'run'; readonly command: Command; readonly flags: Flags; readonly args: readonly string[] }
  /** Help for everything, a group (`backup`) or one command. */
  | { readonly kind: 'help'; readonly words: readonly string[] };

/** @throws CliError exit code 2 */
export function parseLine(commands: readonly Command[], argv: readonly string[]): ParsedLine {
  const { words: line, moved } = moveLeadingOptions(argv);
  if (line[0] === undefined)
    return moved.includes('--version') ? parseLine(commands, ['version']) : { kind: 'help', words: [] };
  if (line[0] === 'help') return { kind: 'help', words: line.slice(1) };
  const command = findCommand(commands, line);
  if (command === undefined) {
    const group = commands.filter((candidate) => candidate.path[0] === line[0]);
    if (group.length > 0 && wantsHelp([...line, ...moved])) return { kind: 'help', words: line.slice(0, 1) };
    throw unknownCommand(commands, line);
  }
  const rest = [...moved, ...line.slice(command.path.length)];
  const { flags, args } = readOptions(command, rest);
  if (flags.has('help')) return { kind: 'help', words: command.path };
  checkArguments(command, args);
  return { kind: 'run', command, flags, args };
}

function wantsHelp(words: readonly string[]): boolean {
  return words.includes('--help') || words.includes('-h');
}

/** Options of every command may stand before it too: `openvbs --json volume list`. */
function moveLeadingOptions(argv: readonly string[]): { words: readonly string[]; moved: readonly string[] } {
  const early = [...COMMON_OPTIONS, ...CONNECTION_OPTIONS];
  let end = 0;
  while (argv[end]?.startsWith('-') && argv[end] !== '--') {
    const word = argv[end] ?? '';
    const spec = early.find((option) => `--${option.flag}` === word);
    end += spec?.kind === 'text' ? 2 : 1;
  }
  const words = argv.slice(end);
  const moved = argv.slice(0, end);
  // `openvbs --help` and `openvbs -h backup` mean the command help.
  if (words.length === 0 && !moved.includes('--version')) {
    const unknown = moved.find((word) => word.startsWith('-') && !early.some((option) => isFlagOf(option, word)));
    if (unknown !== undefined) throw unknownOption(unknown, early);
  }
  return { words, moved };
}

function isFlagOf(option: OptionSpec, word: string): boolean {
  return word.split('=')[0] === `--${option.flag}` || word === `-${option.short}`;
}

/** The command with the longest path that begins the line. */
function findCommand(commands: readonly Command[], line: readonly string[]): Command | undefined {
  const fitting = commands.filter(({ path }) => path.every((word, index) => line[index] === word));
  return fitting.toSorted((left, right) => right.path.length - left.path.length)[0];
}

function unknownCommand(commands: readonly Command[], line: readonly string[]): Error {
  const [first = '', second] = line;
  const group = commands.filter(({ path }) => path[0] === first && path.length > 1);
  const subcommands = [...new Set(group.map(({ path }) => path[1] ?? ''))];
  if (group.length === 0) {
    const names = new Set(commands.map(({ path }) => path[0] ?? ''));
    return usageError(`there is no command ${first}.${didYouMean(first, names)}`, 'openvbs help lists the commands');
  }
  const problem = second === undefined ? `${first} needs a command` : `there is no command ${first} ${second}`;
  const suggestion = second === undefined ? '' : didYouMean(second, subcommands);
  return usageError(`${problem}: ${subcommands.join(', ')}.${suggestion}`, `openvbs help ${first} says what they do`);
}

function readOptions(command: Command, line: readonly string[]): { flags: Flags; args: readonly string[] } {
  const specs = optionsOf(command);
  const { tokens } = parseArgs({
    args: [...line],
    options: toNodeOptions(specs),
    strict: false,
    tokens: true,
    allowPositionals: true,
  });
  const given = new Map<string, string[]>();
  const args: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') args.push(token.value);
    if (token.kind !== 'option') continue;
    const spec = specs.find((option) => option.flag === token.name);
    if (spec === undefined) throw unknownOption(token.rawName, specs, command);
    const text = readOptionValue(spec, token.value, token.inlineValue === true);
    given.set(spec.flag, spec.kind === 'texts' ? [...(given.get(spec.flag) ?? []), text] : [text]);
  }
  return { flags: toFlags(specs, given), args };
}

function toNodeOptions(specs: readonly OptionSpec[]): Record<string, { type: 'boolean' | 'string'; short?: string }> {
  return Object.fromEntries(
    specs.map(({ flag, kind, short }) => {
      return [flag, { type: kind === 'boolean' ? 'boolean' : 'string', ...(short === undefined ? {} : { short }) }];
    }),
  );
}

function readOptionValue(spec: OptionSpec, value: string | undefined, isInline: boolean): string {
  if (spec.kind === 'boolean') {
    if (value !== undefined) throw usageError(`--${spec.flag} takes no value`);
    return '';
  }
  // A value that looks like the next option is most likely a forgotten value; `--name=-x` says it is meant.
  if (value === undefined || (!isInline && value.startsWith('-') && value !== '-' && !/^-\d/.test(value))) {
    throw usageError(`--${spec.flag} needs a value: --${spec.flag} ${spec.hint ?? 'VALUE'}`);
  }
  return value;
}

function toFlags(specs: readonly OptionSpec[], given: ReadonlyMap<string, readonly string[]>): Flags {
  const isBoolean = (flag: string): boolean => specs.find((option) => option.flag === flag)?.kind === 'boolean';
  return {
    has: (flag) => given.has(flag),
    text: (flag) => given.get(flag)?.at(-1),
    texts: (flag) => given.get(flag) ?? [],
    all: Object.fromEntries([...given].map(([flag, values]) => [flag, isBoolean(flag) ? true : (values.at(-1) ?? '')])),
  };
}

function unknownOption(word: string, specs: readonly OptionSpec[], command?: Command): Error {
  const names = specs.map((option) => `--${option.flag}`);
  const hint = command === undefined ? 'openvbs help' : `openvbs help ${command.path.join(' ')}`;
  return usageError(`there is no option ${word}.${didYouMean(word, names)}`, `${hint} lists the options`);
}

function checkArguments(command: Command, args: readonly string[]): void {
  const missing = command.args.find((spec, index) => spec.isOptional !== true && args[index] === undefined);
  const usage = `openvbs ${[...command.path, ...command.args.map(({ name }) => name)].join(' ')}`;
  if (missing !== undefined) throw usageError(`${missing.name} is missing: ${missing.doc}`, `usage: ${usage}`);
  const extra = args[command.args.length];
  if (extra !== undefined) throw usageError(`unexpected argument ${JSON.stringify(extra)}`, `usage: ${usage}`);
}
