// The times of policies as the wire writes them: zones of fixed offset and lists of full hours (contract 3.7 and 3.8).

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;
export const DAY_MINUTES = 24 * 60;
/** One for every hour of a day. */
export const START_TIME_COUNT_MAX = 24;
export const UTC_ZONE = 'UTC+00:00';

const ZONE_PATTERN = /^UTC([+-])(\d{2}):(\d{2})$/;
const FULL_HOUR_PATTERN = /^([01]\d|2[0-3]):00$/;
const OFFSET_MIN_MINUTES = -12 * 60;
const OFFSET_MAX_MINUTES = 14 * 60;

/** Minutes ahead of UTC of `UTC+08:00`; undefined unless it is a zone from UTC-12:00 to UTC+14:00. */
export function parseTimeZone(text: string): number | undefined {
  const [, sign, hours = '', minutes = ''] = ZONE_PATTERN.exec(text) ?? [];
  if (sign === undefined || Number(minutes) >= 60) return undefined;
  const size = Number(hours) * 60 + Number(minutes);
  const offsetMinutes = sign === '-' ? 0 - size : size;
  return offsetMinutes >= OFFSET_MIN_MINUTES && offsetMinutes <= OFFSET_MAX_MINUTES ? offsetMinutes : undefined;
}

/**
 * Minutes of the UTC day of `22:00,00:00`, as listed; blanks around an entry are no matter. Undefined unless it is 1 to
 * 24 full hours. Their order is another matter: `areAscendingLocally`.
 */
export function parseStartTimes(text: string): readonly number[] | undefined {
  const entries = text.split(',').map((entry) => entry.trim());
  if (entries.length > START_TIME_COUNT_MAX || !entries.every((entry) => FULL_HOUR_PATTERN.test(entry)))
    return undefined;
  return entries.map((entry) => Number(entry.slice(0, 2)) * 60);
}

/** The local minute of the day of a minute of the UTC day. */
export function toLocalMinute(utcMinute: number, offsetMinutes: number): number {
  return (utcMinute + offsetMinutes + DAY_MINUTES) % DAY_MINUTES;
}

/** Strictly ascending by local time, so without duplicates too. */
export function areAscendingLocally(utcMinutes: readonly number[], offsetMinutes: number): boolean {
  const local = utcMinutes.map((minute) => toLocalMinute(minute, offsetMinutes));
  return local.every((minute, index) => index === 0 || minute > (local[index - 1] ?? DAY_MINUTES));
}

/** For some start time it is another day in UTC than it is locally. */
export function hasOtherDay(utcMinutes: readonly number[], offsetMinutes: number): boolean {
  return utcMinutes.some((minute) => {
    const shifted = minute + offsetMinutes;
    return shifted < 0 || shifted >= DAY_MINUTES;
  });
}
