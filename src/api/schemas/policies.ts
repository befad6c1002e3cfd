// Requests and answers of /v2/{project_id}/backuppolicy: making, changing and showing policies (contract 3.7 to 3.10).
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { type PolicyId, parseUuid } from '../../core/ids.ts';
import { parseTimeZone, UTC_ZONE } from '../../core/local-time.ts';
import type { RetentionRule } from '../../core/model.ts';
import { WEEK_DAYS } from '../../core/model.ts';
import type { CreatePolicyInput, ModifyPolicyInput } from '../../services/policy-requests.ts';
import { nullable, TagSchema, Uuid } from './common.ts';
import { filledCount, filledMarker, filledText, type QueryValues } from './list-query.ts';
import { dropUndefined, type JsonObject, type ParsedBody, readKey } from './parse.ts';
import { readGiven, refuseAngleBrackets, requireObject, requirePolicyBody } from './policy-body.ts';
import {
  checkPolicyName,
  checkPolicyStatus,
  checkRecurrence,
  checkRetainFirst,
  checkRetention,
  checkStartTime,
  checkTimeZone,
  type PolicyRanges,
  RETENTION_DAYS_MAX,
  RETENTION_MIN,
  refuseDefaultName,
} from './policy-fields.ts';
import { checkPolicyTags } from './tags.ts';

/** Name of the policy that every project has; only that policy may be sent it (contract 3.10). */
const DEFAULT_NAME = 'default';

const PolicyName = Type.String({ minLength: 1, maxLength: 64, pattern: '^(?!default)[A-Za-z0-9_-]+$' });
const TimeZone = Type.String({ examples: ['UTC+08:00'], description: 'Fixed offset, UTC-12:00 to UTC+14:00' });
const YesNo = Type.Union([Type.Literal('Y'), Type.Literal('N')]);
const OnOff = Type.Union([Type.Literal('ON'), Type.Literal('OFF')]);
const ScheduleFields = {
  start_time: Type.String({
    examples: ['22:00,00:00,02:00'],
    description: '1 to 24 full hours in UTC, ascending by local time',
  }),
  frequency: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: 'Interval in days; wins over week_frequency. The upper limit is a setting',
    }),
  ),
  week_frequency: Type.Optional(Type.Array(Type.Union(WEEK_DAYS.map((day) => Type.Literal(day))), { minItems: 1 })),
  rentention_num: Type.Optional(
    Type.Integer({
      minimum: RETENTION_MIN,
      description: 'Backups kept; wins over rentention_day. The upper limit is a setting',
    }),
  ),
  rentention_day: Type.Optional(
    Type.Number({ minimum: RETENTION_MIN, maximum: RETENTION_DAYS_MAX, description: 'Days kept; rounded down' }),
  ),
  remain_first_backup_of_curMonth: Type.Optional(YesNo),
  status: OnOff,
};

export const CreatePolicyBody = Type.Object(
  {
    backup_policy_name: PolicyName,
    scheduled_policy: Type.Object(ScheduleFields),
    tags: Type.Optional(Type.Array(TagSchema, { maxItems: 10 })),
    time_zone: Type.Optional(TimeZone),
  },
  {
    $id: 'CreatePolicy',
    examples: [
      {
        backup_policy_name: 'policy_01',
        scheduled_policy: {
          remain_first_backup_of_curMonth: 'Y',
          rentention_day: 30,
          week_frequency: ['SUN', 'WED'],
          start_time: '12:00',
          status: 'ON',
        },
        tags: [{ key: 'key', value: 'value' }],
        time_zone: 'UTC+08:00',
      },
    ],
  },
);

export const ModifyPolicyBody = Type.Object(
  {
    backup_policy_name: Type.Optional(PolicyName),
    scheduled_policy: Type.Optional(Type.Partial(Type.Object(ScheduleFields))),
    time_zone: Type.Optional(TimeZone),
  },
  { $id: 'ModifyPolicy', description: 'What is absent stays as it is' },
);

export const PolicyReference = Type.Object({ backup_policy_id: Uuid }, { $id: 'PolicyReference' });

export const PolicyBody = Type.Object(
  {
    backup_policy_id: Uuid,
    backup_policy_name: Type.String(),
    scheduled_policy: Type.Object(ScheduleFields, {
      description: 'Of frequency and week_frequency, and of rentention_num and rentention_day, only the one in force',
    }),
    policy_resource_count: Type.Integer(),
    time_zone: TimeZone,
    tags: Type.Array(TagSchema),
  },
  { $id: 'Policy' },
);

export const PolicyList = Type.Object({ backup_policies: Type.Array(PolicyBody) });
export const PolicyListQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 0, description: 'All policies when absent' })),
  offset: Type.Optional(Type.Integer({ minimum: 0 })),
  marker: Type.Optional(Type.String({ description: 'Id of the last policy seen' })),
});

/**
 * @throws POLICY_BODY_EMPTY, MEDIA_TYPE_UNSUPPORTED, REQUEST_MALFORMED, POLICY_TEXT_FORBIDDEN, POLICY_OBJECT_MISSING
 * and the codes of the fields, in the order of contract 3.7
 */
export function checkCreatePolicy(body: ParsedBody, ranges: PolicyRanges): CreatePolicyInput {
  const policy = requirePolicyBody(body);
  refuseAngleBrackets(policy);
  const schedule = requireObject(policy, 'scheduled_policy');
  const name = checkPolicyName(readGiven(policy, 'backup_policy_name'));
  refuseDefaultName(name);
  const startTime = checkStartTime(readKey(schedule, 'start_time'), peekOffset(policy, UTC_ZONE));
  const recurrence = checkRecurrence(schedule, ranges);
  if (recurrence === undefined) {
    const reason = 'either it or week_frequency is needed';
    throw new VbsError('POLICY_INTERVAL_INVALID', { field: 'frequency', reason });
  }
  const retention = checkRetention(schedule, ranges);
  if (retention === undefined) {
    const reason = 'either it or rentention_day is needed';
    throw new VbsError('POLICY_RETENTION_INVALID', { field: 'rentention_num', reason });
  }
  const keepsFirstOfMonth = checkRetainFirst(readGiven(schedule, 'remain_first_backup_of_curMonth')) ?? false;
  const isEnabled = checkPolicyStatus(readKey(schedule, 'status'));
  const tags = checkPolicyTags(readGiven(policy, 'tags'));
  const timeZone = checkTimeZone(readGiven(policy, 'time_zone')) ?? UTC_ZONE;
  return { name, startTime, timeZone, recurrence, retention, keepsFirstOfMonth, isEnabled, tags };
}

/**
 * Members that are absent or null stay as they are; `tags` is not looked at.
 * @throws as checkCreatePolicy
 */
export function checkModifyPolicy(body: ParsedBody, ranges: PolicyRanges): ModifyPolicyInput {
  const policy = requirePolicyBody(body);
  refuseAngleBrackets(policy);
  const schedule = readGiven(policy, 'scheduled_policy') === undefined ? {} : requireObject(policy, 'scheduled_policy');
  const given = <Value>(object: JsonObject, key: string, check: (value: unknown) => Value): Value | undefined => {
    const value = readGiven(object, key);
    return value === undefined ? undefined : check(value);
  };
  // In table order, as the calls are evaluated.
  return dropUndefined({
    name: given(policy, 'backup_policy_name', checkNewName),
    startTime: given(schedule, 'start_time', (value) => checkStartTime(value, peekOffset(policy, undefined))),
    recurrence: checkRecurrence(schedule, ranges),
    retention: checkRetention(schedule, ranges),
    keepsFirstOfMonth: checkRetainFirst(readGiven(schedule, 'remain_first_backup_of_curMonth')),
    isEnabled: given(schedule, 'status', checkPolicyStatus),
    timeZone: checkTimeZone(readGiven(policy, 'time_zone')),
  });
}

/** The name `default` passes here: whether it is allowed depends on the policy, which only the service knows. */
function checkNewName(value: unknown): string {
  const name = checkPolicyName(value);
  if (name !== DEFAULT_NAME) refuseDefaultName(name);
  return name;
}

/** The offset that start times are to be ordered by; undefined while it is unknown or not valid. */
function peekOffset(policy: JsonObject, fallback: string | undefined): number | undefined {
  const timeZone = readGiven(policy, 'time_zone') ?? fallback;
  return typeof timeZone === 'string' ? parseTimeZone(timeZone) : undefined;
}

/** The id in a path of calls that change something. @throws POLICY_NOT_FOUND */
export function checkPolicyId(text: string): PolicyId {
  const policyId = parseUuid<PolicyId>(text);
  if (policyId === undefined) throw new VbsError('POLICY_NOT_FOUND', { policyId: text.slice(0, 64) });
  return policyId;
}

/** The id in a path of calls that read. @throws POLICY_QUERIED_NOT_FOUND */
export function checkQueriedPolicyId(text: string): PolicyId {
  const policyId = parseUuid<PolicyId>(text);
  if (policyId === undefined) throw new VbsError('POLICY_QUERIED_NOT_FOUND', { policyId: text.slice(0, 64) });
  return policyId;
}

/** Paging of lists that are whole unless asked otherwise. @throws REQUEST_FIELD_INVALID, MARKER_NOT_FOUND */
export function parsePolicyPage(query: QueryValues): { limit?: number; offset?: number; markerId?: string } {
  const limit = filledCount(query, 'limit');
  const offset = filledCount(query, 'offset');
  return dropUndefined({ limit, offset, markerId: filledMarker(query) });
}

export const RetentionPreviewBody = Type.Object(
  {
    delete_count: Type.Integer(),
    backups: Type.Array(
      Type.Object({
        backup_id: Uuid,
        backup_name: nullable(Type.String()),
        volume_id: Uuid,
        created_at: Type.String({ examples: ['2026-02-03T22:00:00.015'] }),
        action: Type.Union([Type.Literal('delete'), Type.Literal('keep')]),
        reason: Type.String({ examples: ['beyond-count', 'first-of-month', 'last-good'] }),
      }),
      { description: 'Automatic backups of the policy, volume by volume, newest first' },
    ),
  },
  { $id: 'RetentionPreview' },
);

export const RetentionPreviewQuery = Type.Object({
  rentention_num: Type.Optional(Type.Integer({ minimum: RETENTION_MIN })),
  rentention_day: Type.Optional(Type.Number({ minimum: RETENTION_MIN, maximum: RETENTION_DAYS_MAX })),
  remain_first_backup_of_curMonth: Type.Optional(YesNo),
});

/**
 * A rule to be tried in place of the policy's own, as query values with the ranges of contract 3.7.
 * @throws REQUEST_FIELD_INVALID, POLICY_RETENTION_INVALID, POLICY_RETAIN_FIRST_INVALID
 */
export function parseTriedRule(
  query: QueryValues,
  ranges: PolicyRanges,
): { retention?: RetentionRule; keepsFirstOfMonth?: boolean } {
  const retention = checkRetention(
    dropUndefined({
      rentention_num: readNumber(query, 'rentention_num'),
      rentention_day: readNumber(query, 'rentention_day'),
    }),
    ranges,
  );
  const keepsFirstOfMonth = checkRetainFirst(filledText(query, 'remain_first_backup_of_curMonth'));
  return dropUndefined({ retention, keepsFirstOfMonth });
}

/** Text that is no number stays one, so that the check of the field refuses it. */
function readNumber(query: QueryValues, key: string): unknown {
  const text = filledText(query, key);
  return text !== undefined && /^\d{1,9}(\.\d{1,9})?$/.test(text) ? Number(text) : text;
}
