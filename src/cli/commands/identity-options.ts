// Options that users and projects share.
import { usageError } from '../cli-error.ts';
import type { Flags, OptionSpec } from '../command.ts';

export const STATE_OPTIONS: readonly OptionSpec[] = [
  { flag: 'enable', kind: 'boolean', doc: 'let it in again' },
  { flag: 'disable', kind: 'boolean', doc: 'keep it, but let nobody in with it; its tokens end' },
];

/** Undefined when neither is given. @throws CliError for both */
export function readEnabled(flags: Flags): boolean | undefined {
  if (flags.has('enable') && flags.has('disable')) throw usageError('--enable and --disable exclude each other');
  if (flags.has('enable')) return true;
  return flags.has('disable') ? false : undefined;
}
