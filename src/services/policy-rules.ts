// What a new policy looks like and what a change makes of one (contract 3.7, 3.10, 5.13). Pure: rows and clock are
// arguments.
import { VbsError } from '../core/errors.ts';
import { newUuid, type PolicyId, type ProjectId, type UserId } from '../core/ids.ts';
import { areAscendingLocally, hasOtherDay, parseStartTimes, parseTimeZone, UTC_ZONE } from '../core/local-time.ts';
import type { Policy, Recurrence, Schedule } from '../core/model.ts';
import type { NewPolicy, PolicyChanges } from '../db/policy-types.ts';
import { nextRunAfter } from '../jobs/recurrence.ts';
import type { CreatePolicyInput, ModifyPolicyInput } from './policy-requests.ts';

export const DEFAULT_POLICY_NAME = 'default';

type Origin = { readonly projectId: ProjectId; readonly userId: UserId; readonly createdAt: number };

/** `input` has passed `requireSchedule`. */
export function newPolicy(input: CreatePolicyInput, origin: Origin): NewPolicy {
  const { name, startTime, timeZone, recurrence, retention, keepsFirstOfMonth, isEnabled, tags } = input;
  const schedule: Schedule = { startTime, timeZone, recurrence };
  return {
    ...origin,
    policyId: newUuid<PolicyId>(),
    name,
    isDefault: false,
    schedule,
    retention,
    keepsFirstOfMonth,
    isEnabled,
    tags,
    nextRunAt: isEnabled ? nextRunAfter(schedule, origin.createdAt) : null,
  };
}

/** Off until somebody switches it on. */
export function defaultPolicy(origin: Origin): NewPolicy {
  const input: CreatePolicyInput = {
    name: DEFAULT_POLICY_NAME,
    startTime: '02:00',
    timeZone: UTC_ZONE,
    recurrence: { kind: 'interval', everyDays: 1 },
    retention: { kind: 'count', keepCount: 7 },
    keepsFirstOfMonth: false,
    isEnabled: false,
    tags: [],
  };
  return { ...newPolicy(input, origin), isDefault: true };
}

/** @throws POLICY_TIME_ZONE_INVALID, POLICY_START_TIME_INVALID */
export function requireSchedule({ startTime, timeZone }: Pick<Schedule, 'startTime' | 'timeZone'>): void {
  const offsetMinutes = parseTimeZone(timeZone);
  if (offsetMinutes === undefined) {
    throw new VbsError('POLICY_TIME_ZONE_INVALID', { reason: 'it must be UTC+HH:mm or UTC-HH:mm' });
  }
  const utcMinutes = parseStartTimes(startTime);
  if (utcMinutes === undefined) {
    throw new VbsError('POLICY_START_TIME_INVALID', { reason: 'it must be 1 to 24 full hours' });
  }
  if (!areAscendingLocally(utcMinutes, offsetMinutes)) {
    throw new VbsError('POLICY_START_TIME_INVALID', { reason: 'the times must ascend by local time' });
  }
}

export type Modification = {
  /** Empty when nothing was asked for. */
  readonly changes: PolicyChanges;
  /** Another schedule, or on instead of off: the next due time is counted anew. */
  readonly isRescheduled: boolean;
};

/** @throws POLICY_DEFAULT_FIXED, POLICY_NAME_INVALID, POLICY_TIME_ZONE_INVALID, POLICY_START_TIME_INVALID */
export function planModification(policy: Policy, input: ModifyPolicyInput): Modification {
  const { name, retention, keepsFirstOfMonth, isEnabled } = input;
  if (name !== undefined) requireName(policy, name);
  const schedule: Schedule = {
    startTime: input.startTime ?? policy.schedule.startTime,
    timeZone: input.timeZone ?? policy.schedule.timeZone,
    recurrence: input.recurrence ?? policy.schedule.recurrence,
  };
  const isMoved = !isSameSchedule(schedule, policy.schedule);
  if (isMoved) requireMovable(policy, input, schedule);
  const given = { name, retention, keepsFirstOfMonth, isEnabled, ...(isMoved ? { schedule } : {}) };
  const changes = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const isSwitched = isEnabled !== undefined && isEnabled !== policy.isEnabled;
  return { changes, isRescheduled: isMoved || isSwitched };
}

/** The edge lets the name of the default policy pass, because only here it is known which policy is meant. */
function requireName(policy: Policy, name: string): void {
  if (policy.isDefault && name !== policy.name) throw new VbsError('POLICY_DEFAULT_FIXED');
  if (!policy.isDefault && name.startsWith(DEFAULT_POLICY_NAME)) {
    throw new VbsError('POLICY_NAME_INVALID', { reason: `it must not begin with "${DEFAULT_POLICY_NAME}"` });
  }
}

/** Another zone may move fire times to other days: then the days must be said anew. */
function requireMovable(policy: Policy, input: ModifyPolicyInput, schedule: Schedule): void {
  const isComplete = input.startTime !== undefined && input.recurrence !== undefined;
  const isOtherZone = schedule.timeZone !== policy.schedule.timeZone;
  if (isOtherZone && schedule.recurrence.kind === 'week' && !isComplete) {
    const utcMinutes = parseStartTimes(schedule.startTime) ?? [];
    if (hasOtherDay(utcMinutes, parseTimeZone(schedule.timeZone) ?? 0)) {
      const reason = 'days differ between UTC and local time: send start_time and week_frequency too';
      throw new VbsError('POLICY_TIME_ZONE_INVALID', { reason });
    }
  }
  requireSchedule(schedule);
}

function isSameSchedule(a: Schedule, b: Schedule): boolean {
  return a.startTime === b.startTime && a.timeZone === b.timeZone && isSameRecurrence(a.recurrence, b.recurrence);
}

function isSameRecurrence(a: Recurrence, b: Recurrence): boolean {
  if (a.kind === 'interval') return b.kind === 'interval' && a.everyDays === b.everyDays;
  return b.kind === 'week' && a.weekDays.join() === b.weekDays.join();
}
