// The fields of a policy, each judged on its own with its own code (contract 3.7). Pure; undefined is absent, null has
// been taken for absent before.
import { VbsError } from '../../core/errors.ts';
import { areAscendingLocally, parseStartTimes, parseTimeZone, START_TIME_COUNT_MAX } from '../../core/local-time.ts';
import { type Recurrence, type RetentionRule, WEEK_DAYS } from '../../core/model.ts';
import type { PolicyLimits } from '../../services/policy-requests.ts';
import { countCodePoints, type JsonObject } from './parse.ts';
import { readGiven } from './policy-body.ts';

/** The ranges that an operator may widen (contract 6.2). */
export type PolicyRanges = Pick<PolicyLimits, 'maxFrequencyDays' | 'maxRetentionCount'>;

const NAME_LENGTH_MAX = 64;
export const RETENTION_MIN = 2;
export const RETENTION_DAYS_MAX = 99_999;

/** @throws POLICY_NAME_LENGTH, POLICY_NAME_INVALID */
export function checkPolicyName(value: unknown): string {
  if (value === undefined || value === '') throw new VbsError('POLICY_NAME_LENGTH');
  if (typeof value !== 'string') throw new VbsError('POLICY_NAME_INVALID', { reason: 'it must be a string' });
  if (countCodePoints(value) > NAME_LENGTH_MAX) throw new VbsError('POLICY_NAME_LENGTH');
  if (!/^[A-Za-z0-9_-]+$/.test(value)) {
    throw new VbsError('POLICY_NAME_INVALID', { reason: 'it may hold letters, digits, "_" and "-" only' });
  }
  return value;
}

/** For new names; the default policy may be sent back under its own. @throws POLICY_NAME_INVALID */
export function refuseDefaultName(name: string): void {
  if (!name.startsWith('default')) return;
  throw new VbsError('POLICY_NAME_INVALID', { reason: 'it must not begin with "default"' });
}

/**
 * Full hours in the order given, without blanks. In which order they must be is known only with the time zone: pass
 * undefined when it is not.
 * @throws POLICY_START_TIME_INVALID
 */
export function checkStartTime(value: unknown, offsetMinutes: number | undefined): string {
  const startTimes = typeof value === 'string' ? parseStartTimes(value) : undefined;
  if (typeof value !== 'string' || startTimes === undefined) {
    const reason = `it must have 1 to ${START_TIME_COUNT_MAX} full hours HH:00, separated by commas`;
    throw new VbsError('POLICY_START_TIME_INVALID', { reason });
  }
  if (offsetMinutes !== undefined && !areAscendingLocally(startTimes, offsetMinutes)) {
    throw new VbsError('POLICY_START_TIME_INVALID', { reason: 'the times must ascend by local time' });
  }
  return value.replaceAll(/\s/g, '');
}

/**
 * `frequency` or `week_frequency`; of both the first, the other must only be of its type.
 * @throws POLICY_INTERVAL_INVALID
 */
export function checkRecurrence(schedule: JsonObject, { maxFrequencyDays }: PolicyRanges): Recurrence | undefined {
  const frequency = readGiven(schedule, 'frequency');
  const weekFrequency = readGiven(schedule, 'week_frequency');
  if (frequency === undefined) return weekFrequency === undefined ? undefined : checkWeekDays(weekFrequency);
  if (!isIntegerIn(frequency, 1, maxFrequencyDays)) {
    const reason = `it must be an integer from 1 to ${maxFrequencyDays}`;
    throw new VbsError('POLICY_INTERVAL_INVALID', { field: 'frequency', reason });
  }
  if (weekFrequency !== undefined && !isTextList(weekFrequency)) throw badWeekDays();
  return { kind: 'interval', everyDays: frequency };
}

function checkWeekDays(value: unknown): Recurrence {
  if (!isTextList(value) || value.length === 0 || new Set(value).size < value.length) throw badWeekDays();
  const weekDays = value.map((text) => {
    const day = WEEK_DAYS.find((known) => known === text);
    if (day === undefined) throw badWeekDays();
    return day;
  });
  return { kind: 'week', weekDays };
}

function badWeekDays(): VbsError {
  const reason = `it must list one or more of ${WEEK_DAYS.join(', ')}, each once`;
  return new VbsError('POLICY_INTERVAL_INVALID', { field: 'week_frequency', reason });
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
}

/**
 * `rentention_num` or `rentention_day`; of both the first, the other must only be a number.
 * @throws POLICY_RETENTION_INVALID
 */
export function checkRetention(schedule: JsonObject, { maxRetentionCount }: PolicyRanges): RetentionRule | undefined {
  const count = readGiven(schedule, 'rentention_num');
  const days = readGiven(schedule, 'rentention_day');
  if (count !== undefined && !isIntegerIn(count, RETENTION_MIN, maxRetentionCount)) {
    const reason = `it must be an integer from ${RETENTION_MIN} to ${maxRetentionCount}`;
    throw new VbsError('POLICY_RETENTION_INVALID', { field: 'rentention_num', reason });
  }
  if (days !== undefined && typeof days !== 'number') throw badRetentionDays();
  if (count !== undefined) return { kind: 'count', keepCount: count };
  if (days === undefined) return undefined;
  const wholeDays = Math.floor(days);
  if (!isIntegerIn(wholeDays, RETENTION_MIN, RETENTION_DAYS_MAX)) throw badRetentionDays();
  return { kind: 'days', keepDays: wholeDays };
}

function badRetentionDays(): VbsError {
  const reason = `it must be a number from ${RETENTION_MIN} to ${RETENTION_DAYS_MAX}`;
  return new VbsError('POLICY_RETENTION_INVALID', { field: 'rentention_day', reason });
}

function isIntegerIn(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max;
}

/** @throws POLICY_RETAIN_FIRST_INVALID */
export function checkRetainFirst(value: unknown): boolean | undefined {
  if (value === undefined) return undefined;
  if (value !== 'Y' && value !== 'N') throw new VbsError('POLICY_RETAIN_FIRST_INVALID');
  return value === 'Y';
}

/** True when the policy runs by itself. @throws POLICY_STATUS_INVALID */
export function checkPolicyStatus(value: unknown): boolean {
  if (value !== 'ON' && value !== 'OFF') throw new VbsError('POLICY_STATUS_INVALID');
  return value === 'ON';
}

/** The text as it is to be shown again. @throws POLICY_TIME_ZONE_INVALID */
export function checkTimeZone(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || parseTimeZone(value) === undefined) {
    const reason = 'it must be of the form UTC+HH:mm or UTC-HH:mm, from UTC-12:00 to UTC+14:00';
    throw new VbsError('POLICY_TIME_ZONE_INVALID', { reason });
  }
  return value;
}
