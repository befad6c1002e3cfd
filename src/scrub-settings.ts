// The settings of the scrub: a part of the table in config.ts.
import { Type } from 'typebox';
import { GIB } from './core/bytes.ts';

export type ScrubConfig = {
  /** 0: only when asked. */
  readonly days: number;
  /** 0: no limit. */
  readonly maxBytesPerDay: number;
};

export const SCRUB_SETTINGS = {
  scrubDays: {
    variable: 'OPENVBS_SCRUB_DAYS',
    flag: 'scrub-days',
    kind: 'integer',
    schema: Type.Integer({ minimum: 0, maximum: 3650 }),
    hint: 'DAYS',
    expected: 'days from 0 (never by itself) to 3650',
    doc: 'within how many days all of the repository is read and checked; 0 leaves it to `openvbs repository check`',
    default: 30,
  },
  scrubLimit: {
    variable: 'OPENVBS_SCRUB_LIMIT',
    flag: 'scrub-limit',
    kind: 'integer',
    schema: Type.Integer({ minimum: 0, maximum: 1_000_000 }),
    hint: 'GIB',
    expected: 'GiB a day from 0 (no limit) to 1000000',
    doc: 'how much is read for that in a day at most, for each project; 0 is as much as the days need',
    default: 0,
  },
} as const;

/** Values that were checked; each has a default. */
export function toScrubConfig(values: {
  readonly scrubDays?: number | undefined;
  readonly scrubLimit?: number | undefined;
}): ScrubConfig {
  return { days: values.scrubDays ?? 0, maxBytesPerDay: (values.scrubLimit ?? 0) * GIB };
}
