// Help texts, made from the table of commands so that they cannot lie about it. Pure.
import { didYouMean } from '../core/suggest.ts';
import { usageError } from './cli-error.ts';
import { type Command, type OptionSpec, optionsOf } from './command.ts';
import { EXIT_CODE_DOC } from './exit-code.ts';

const DOC_WIDTH = 78;

/** Help for everything, for a group or for one command. @throws CliError exit code 2 for words that name nothing */
export function renderHelp(commands: readonly Command[], words: readonly string[], program: string): string {
  if (words.length === 0) return renderOverview(commands, program);
  const command = commands.find(({ path }) => path.join(' ') === words.join(' '));
  if (command !== undefined) return renderCommand(command, program);
  const group = commands.filter(({ path }) => words.every((word, index) => path[index] === word));
  if (group.length > 0) return renderGroup(group, words, program);
  const names = commands.map(({ path }) => path.join(' '));
  throw usageError(`there is no command ${words.join(' ')}.${didYouMean(words.join(' '), names)}`, `${program} help`);
}

function renderOverview(commands: readonly Command[], program: string): string {
  const rows = commands.map((command) => [synopsis(command), command.summary] as const);
  const exitCodes = EXIT_CODE_DOC.map(([code, doc]) => [String(code), doc] as const);
  return [
    'OpenVBS backs up block volumes, incrementally, deduplicated and encrypted, and restores them.',
    `Usage: ${program} COMMAND [options]`,
    `Commands (${program} help COMMAND says more):\n${renderPairs(rows)}`,
    `Volumes and backups are named by id or by a name that only one has. --json works everywhere.`,
    `Exit codes:\n${renderPairs(exitCodes)}`,
  ].join('\n\n');
}

function renderGroup(group: readonly Command[], words: readonly string[], program: string): string {
  const rows = group.map((command) => [synopsis(command), command.summary] as const);
  return `Usage: ${program} ${words.join(' ')} COMMAND [options]\n\n${renderPairs(rows)}`;
}

function renderCommand(command: Command, program: string): string {
  const parts = [`${capitalize(command.summary)}.`, `Usage: ${program} ${synopsis(command)} [options]`];
  if (command.details !== undefined) parts.push(wrap(command.details, DOC_WIDTH).join('\n'));
  if (command.args.length > 0) parts.push(renderPairs(command.args.map(({ name, doc }) => [name, doc] as const)));
  const options = optionsOf(command).map((option) => [renderFlag(option), option.doc] as const);
  parts.push(`Options:\n${renderPairs(options)}`);
  if (command.examples.length > 0) {
    parts.push(`Examples:\n${command.examples.map((example) => `  ${program} ${example}`).join('\n')}`);
  }
  return parts.join('\n\n');
}

function synopsis(command: Command): string {
  const args = command.args.map(({ name, isOptional }) => (isOptional === true ? `[${name}]` : name));
  return [...command.path, ...args].join(' ');
}

function renderFlag({ flag, short, kind, hint }: OptionSpec): string {
  const value = kind === 'boolean' ? '' : ` ${hint ?? 'VALUE'}`;
  return `${short === undefined ? '' : `-${short}, `}--${flag}${value}`;
}

/** Two columns; a left part that is too wide gets a line of its own. */
function renderPairs(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.min(28, Math.max(...pairs.map(([left]) => left.length)));
  const lines = pairs.flatMap(([left, right]) => {
    const [first = '', ...more] = wrap(right, DOC_WIDTH - width);
    const indent = `  ${' '.repeat(width)}  `;
    const head = left.length > width ? [`  ${left}`, `${indent}${first}`] : [`  ${left.padEnd(width)}  ${first}`];
    return [...head, ...more.map((line) => `${indent}${line}`)];
  });
  return lines.join('\n');
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split('\n')) {
    let line = '';
    for (const word of paragraph.split(' ')) {
      if (line !== '' && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else {
        line = line === '' ? word : `${line} ${word}`;
      }
    }
    lines.push(line);
  }
  return lines;
}

function capitalize(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
