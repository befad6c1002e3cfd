// The settings that bound what a host's disks and memory are used for, and how hard is compressed: a part of the table
// in config.ts.
import { Type } from 'typebox';
import { MIB } from './core/bytes.ts';
import { parseRateSchedule, type RateSchedule } from './core/rate-schedule.ts';

type RateSetting = 'readLimit' | 'writeLimit' | 'repositoryReadLimit' | 'repositoryWriteLimit';
type Compression = 'fast' | 'default' | 'small';

/** Measured: docs/decisions/0012-limits.md. */
const COMPRESSION_LEVELS: Readonly<Record<Compression, number>> = { fast: -2, default: 1, small: 15 };

export type LimitConfig = {
  /** Of disks. Empty = unlimited. */
  readonly readSchedule: RateSchedule;
  readonly writeSchedule: RateSchedule;
  /** Of the repository, in stored bytes. */
  readonly repositoryReadSchedule: RateSchedule;
  readonly repositoryWriteSchedule: RateSchedule;
  /** Of zstd. */
  readonly compressionLevel: number;
  /** Absent: what is enough for full speed. */
  readonly memoryBytes?: number;
};

const RATES_EXPECTED =
  'rates (50MiB/s, 200iops or unlimited; at least 64KiB/s and 1iops), with windows of time where they differ, ' +
  'for example "08:00-18:00 50MiB/s 200iops; unlimited"';

export const LIMIT_SETTINGS = {
  readLimit: {
    variable: 'OPENVBS_READ_LIMIT',
    flag: 'read-limit',
    kind: 'text',
    schema: Type.String({ maxLength: 1000 }),
    hint: 'RATES',
    expected: RATES_EXPECTED,
    doc: 'how fast this host may read its disks, for example "08:00-18:00 50MiB/s 200iops; unlimited"',
    default: 'unlimited',
  },
  writeLimit: {
    variable: 'OPENVBS_WRITE_LIMIT',
    flag: 'write-limit',
    kind: 'text',
    schema: Type.String({ maxLength: 1000 }),
    hint: 'RATES',
    expected: RATES_EXPECTED,
    doc: 'how fast this host may write to its disks',
    default: 'unlimited',
  },
  repositoryReadLimit: {
    variable: 'OPENVBS_REPOSITORY_READ_LIMIT',
    flag: 'repository-read-limit',
    kind: 'text',
    schema: Type.String({ maxLength: 1000 }),
    hint: 'RATES',
    expected: RATES_EXPECTED,
    doc: 'how fast this host may read from the repository, in stored bytes',
    default: 'unlimited',
  },
  repositoryWriteLimit: {
    variable: 'OPENVBS_REPOSITORY_WRITE_LIMIT',
    flag: 'repository-write-limit',
    kind: 'text',
    schema: Type.String({ maxLength: 1000 }),
    hint: 'RATES',
    expected: RATES_EXPECTED,
    doc: 'how fast this host may write to the repository, in stored bytes',
    default: 'unlimited',
  },
  compression: {
    variable: 'OPENVBS_COMPRESSION',
    flag: 'compression',
    kind: 'text',
    schema: Type.Union([Type.Literal('fast'), Type.Literal('default'), Type.Literal('small')]),
    hint: 'HOW',
    expected: 'fast, default or small',
    doc: 'how hard new data is compressed: small takes a multiple of the processor time of default',
    default: 'default',
  },
  memory: {
    variable: 'OPENVBS_MEMORY',
    flag: 'memory',
    kind: 'integer',
    schema: Type.Integer({ minimum: 16, maximum: 65_536 }),
    hint: 'MIB',
    expected: 'MiB from 16 to 65536',
    doc: 'memory for data under way and caches, besides the 220 MiB of the program; by default what full speed needs',
  },
} as const;

/**
 * Values that were checked against their schemas.
 * @throws what `refuse` makes of a setting whose text is no schedule of rates
 */
export function toLimitConfig(
  values: { readonly [Setting in RateSetting]?: string | undefined } & {
    readonly compression?: Compression | undefined;
    readonly memory?: number | undefined;
  },
  refuse: (setting: RateSetting, text: string, expected: string) => Error,
): LimitConfig {
  const scheduleOf = (setting: RateSetting): RateSchedule => {
    const text = values[setting] ?? '';
    const schedule = parseRateSchedule(text);
    if (schedule === undefined) throw refuse(setting, text, RATES_EXPECTED);
    // A limit that never limits must not make anybody take turns.
    return schedule.every(({ rates }) => Object.keys(rates).length === 0) ? [] : schedule;
  };
  return {
    readSchedule: scheduleOf('readLimit'),
    writeSchedule: scheduleOf('writeLimit'),
    repositoryReadSchedule: scheduleOf('repositoryReadLimit'),
    repositoryWriteSchedule: scheduleOf('repositoryWriteLimit'),
    compressionLevel: COMPRESSION_LEVELS[values.compression ?? 'default'],
    ...(values.memory === undefined ? {} : { memoryBytes: values.memory * MIB }),
  };
}
