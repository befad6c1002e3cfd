// `openvbs dev ...`: what only a server of development can do (serve --dev).
import { usageError } from '../cli-error.ts';
import type { Command } from '../command.ts';
import { connect } from '../connection.ts';
import { EXIT } from '../exit-code.ts';
import { formatTime } from '../format.ts';
import { printResult } from '../output.ts';

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
const DAY_S = 86_400;
/** Ten years, as the server has it. */
const ADVANCE_MAX_S = 3660 * DAY_S;

const advanceClock: Command = {
  path: ['dev', 'clock', 'advance'],
  summary: 'move the clock of a development server ahead',
  details:
    'The policy runs of that time happen, in order, with real backups. Works with servers that were started with ' +
    '--dev or OPENVBS_DEV=1, for administrators. The clock is back after a restart of the server.',
  args: [{ name: 'TIME', doc: 'a whole number with s, m, h, d or w: 90s, 12h, 40d' }],
  options: [],
  isRemote: true,
  examples: ['dev clock advance 40d', 'dev clock advance 12h --json'],
  run: async (context) => {
    const { args, signal } = context;
    const advanceS = parseAdvance(args[0] ?? '');
    const client = await connect(context);
    // Day by day: each request ends soon, however many backups there are to make.
    let now = '';
    let leftS = advanceS;
    do {
      const stepS = Math.min(leftS, DAY_S);
      now = await client.advanceClock(stepS, signal);
      leftS -= stepS;
    } while (leftS > 0);
    printResult(context, { now }, `The server's clock shows ${formatTime(now)}.`);
    return EXIT.OK;
  },
};

/** Seconds. @throws CliError exit code 2 */
export function parseAdvance(text: string): number {
  const [, count, unit = ''] = /^(\d{1,9})([smhdw])$/.exec(text) ?? [];
  const seconds = Number(count) * (UNIT_SECONDS[unit] ?? Number.NaN);
  if (!(seconds > 0 && seconds <= ADVANCE_MAX_S)) {
    throw usageError(`${text || 'TIME'}: must be a whole number with s, m, h, d or w, at most ten years; like 40d`);
  }
  return seconds;
}

export const DEV_COMMANDS: readonly Command[] = [advanceClock];
