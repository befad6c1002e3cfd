// How fast a host may read or write at which time of the day: `08:00-18:00 50MiB/s 200iops; 400MiB/s`. Pure; the clock
// is the caller's.
import { GIB, KIB, MIB } from './bytes.ts';
import { DAY_MINUTES } from './local-time.ts';

/** Absent = unlimited. */
export type Rates = { readonly bytesPerSecond?: number; readonly operationsPerSecond?: number };

/** Minutes of the local day, `from` within and `to` without; `to` before `from` reaches past midnight. */
export type RateWindow = { readonly fromMinute: number; readonly toMinute: number; readonly rates: Rates };

/** The first window that the minute lies in decides. */
export type RateSchedule = readonly RateWindow[];

export const UNLIMITED_RATES: Rates = {};
/** Less would look like a hang: one chunk a second. */
const BYTES_PER_SECOND_MIN = 64 * KIB;

const WINDOW_PATTERN = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24):([0-5]\d)$/;
const BYTES_PATTERN = /^(\d{1,9})(KiB|MiB|GiB)\/s$/;
const OPERATIONS_PATTERN = /^(\d{1,9})iops$/;
const UNIT_BYTES: Readonly<Record<string, number>> = { KiB: KIB, MiB: MIB, GiB: GIB };

/**
 * Entries are separated by `;`, each an optional window of time and then rates (`50MiB/s`, `200iops`, both, or
 * `unlimited`). An empty text limits nothing. Undefined when it cannot be read, or is below 64 KiB/s or 1 iops.
 */
export function parseRateSchedule(text: string): RateSchedule | undefined {
  if (text.trim() === '') return [];
  const windows = text.split(';').map(parseEntry);
  return windows.every((window) => window !== undefined) ? windows : undefined;
}

/** What holds at a minute of the local day (0 to 1439). */
export function ratesAt(schedule: RateSchedule, minuteOfDay: number): Rates {
  return schedule.find((window) => isWithin(window, minuteOfDay))?.rates ?? UNLIMITED_RATES;
}

function isWithin({ fromMinute, toMinute }: RateWindow, minute: number): boolean {
  if (fromMinute < toMinute) return minute >= fromMinute && minute < toMinute;
  return minute >= fromMinute || minute < toMinute;
}

function parseEntry(text: string): RateWindow | undefined {
  const words = text.trim().split(/\s+/);
  const window = parseWindow(words[0] ?? '');
  const rates = parseRates(window === undefined ? words : words.slice(1));
  if (rates === undefined) return undefined;
  return { ...(window ?? { fromMinute: 0, toMinute: DAY_MINUTES }), rates };
}

function parseWindow(word: string): Pick<RateWindow, 'fromMinute' | 'toMinute'> | undefined {
  const [, fromHour, fromRest, toHour, toRest] = WINDOW_PATTERN.exec(word) ?? [];
  if (fromHour === undefined) return undefined;
  const fromMinute = Number(fromHour) * 60 + Number(fromRest);
  const toMinute = Number(toHour) * 60 + Number(toRest);
  // A window of no length would hold all day by the rule of midnight, which nobody means.
  return toMinute > DAY_MINUTES || fromMinute === toMinute ? undefined : { fromMinute, toMinute };
}

function parseRates(words: readonly string[]): Rates | undefined {
  if (words.length === 1 && words[0] === 'unlimited') return UNLIMITED_RATES;
  let rates: Rates = {};
  for (const word of words) {
    const rate = parseRate(word);
    const isRepeated = rate !== undefined && Object.keys(rate).some((key) => key in rates);
    if (rate === undefined || isRepeated) return undefined;
    rates = { ...rates, ...rate };
  }
  return words.length === 0 ? undefined : rates;
}

function parseRate(word: string): Rates | undefined {
  const [, count, unit = ''] = BYTES_PATTERN.exec(word) ?? [];
  if (count !== undefined) {
    const bytesPerSecond = Number(count) * (UNIT_BYTES[unit] ?? 0);
    return bytesPerSecond < BYTES_PER_SECOND_MIN ? undefined : { bytesPerSecond };
  }
  const [, operations] = OPERATIONS_PATTERN.exec(word) ?? [];
  const operationsPerSecond = Number(operations);
  return operations === undefined || operationsPerSecond < 1 ? undefined : { operationsPerSecond };
}
