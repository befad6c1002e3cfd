// Tags of backups and policies: alone, in batches, in lists (contract 3.2 and 3.16). Backups answer with VolumeBackup.*
// codes, policies with AutoBackup.* ones.
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import type { Tag } from '../../core/model.ts';
import type { TagChange } from '../../core/tag-search.ts';
import { TagSchema } from './common.ts';
import {
  invalidField,
  isJsonObject,
  type JsonObject,
  type ParsedBody,
  readKey,
  requireEnvelope,
  requireJson,
} from './parse.ts';
import { readGiven, requireObject, requirePolicyBody } from './policy-body.ts';
import {
  BACKUP_TAG,
  checkTag,
  checkTagKey,
  checkTagList,
  checkTagValue,
  POLICY_BATCH_DELETE_TAG,
  POLICY_BATCH_TAG,
  POLICY_TAG,
  TAG_COUNT_MAX,
  type TagFaults,
  type TagRule,
} from './tag-rules.ts';

export const TagBody = Type.Object({ tag: TagSchema }, { $id: 'SetTag' });
export const TagActionBody = Type.Object(
  {
    action: Type.Union([Type.Literal('create'), Type.Literal('update'), Type.Literal('delete')]),
    tags: Type.Optional(
      Type.Array(Type.Object({ key: Type.String(), value: Type.Optional(Type.String()) }), {
        description: 'create and update insert or overwrite; delete removes by key, or by key and value',
      }),
    ),
  },
  { $id: 'TagAction', examples: [{ action: 'create', tags: [{ key: 'tier', value: 'gold' }] }] },
);
export const TagList = Type.Object({ tags: Type.Array(TagSchema) }, { $id: 'TagList' });
export const TagValueList = Type.Object(
  { tags: Type.Array(Type.Object({ key: Type.String(), values: Type.Array(Type.String()) })) },
  { $id: 'TagValueList' },
);

export const BACKUP_TAG_FAULTS: TagFaults = {
  invalid: (reason) => new VbsError('BACKUP_TAG_INVALID', { reason }),
  tooMany: () => new VbsError('BACKUP_TAGS_TOO_MANY'),
};

export function policyTagFaults(field: string): TagFaults {
  return {
    invalid: (reason) => new VbsError('POLICY_TAG_INVALID', { field, reason }),
    tooMany: (limit) => new VbsError('POLICY_TAGS_TOO_MANY', { field, limit }),
  };
}

/** @throws BACKUP_TAG_INVALID, BACKUP_TAGS_TOO_MANY */
export function checkBackupTags(value: unknown): Tag[] {
  return value === undefined || value === null ? [] : checkTags(value, BACKUP_TAG, BACKUP_TAG_FAULTS);
}

/** @throws POLICY_TAG_INVALID, POLICY_TAGS_TOO_MANY */
export function checkPolicyTags(value: unknown): Tag[] {
  return value === undefined ? [] : checkTags(value, POLICY_TAG, policyTagFaults('tags'));
}

function checkTags(value: unknown, rule: TagRule, faults: TagFaults): Tag[] {
  return checkTagList(value, faults, { countMax: TAG_COUNT_MAX }, (entry) => checkTag(entry, rule, faults));
}

/** `{"tag":{...}}`. @throws REQUEST_MALFORMED, MEDIA_TYPE_UNSUPPORTED, BACKUP_TAG_INVALID */
export function checkBackupTag(body: ParsedBody): Tag {
  return checkTag(requireEnvelope(body, 'tag'), BACKUP_TAG, BACKUP_TAG_FAULTS);
}

/** @throws POLICY_BODY_EMPTY, REQUEST_MALFORMED, MEDIA_TYPE_UNSUPPORTED, POLICY_OBJECT_MISSING, POLICY_TAG_INVALID */
export function checkPolicyTag(body: ParsedBody): Tag {
  return checkTag(requireObject(requirePolicyBody(body), 'tag'), POLICY_TAG, policyTagFaults('tag'));
}

/**
 * @throws MEDIA_TYPE_UNSUPPORTED, REQUEST_MALFORMED, REQUEST_FIELD_INVALID, BACKUP_TAG_INVALID, BACKUP_TAGS_TOO_MANY
 */
export function checkBackupTagAction(body: ParsedBody): TagChange {
  const request = requireJson(body);
  if (!isJsonObject(request)) throw new VbsError('REQUEST_MALFORMED', { reason: 'the body is not an object' });
  const action = readAction(request, TAG_ACTIONS);
  if (action === undefined) throw invalidField('action', `it must be one of ${TAG_ACTIONS.join(', ')}`);
  return checkTagChange(request, action, { change: BACKUP_TAG, deletion: BACKUP_TAG }, BACKUP_TAG_FAULTS);
}

/**
 * @throws POLICY_BODY_EMPTY, REQUEST_MALFORMED, MEDIA_TYPE_UNSUPPORTED, POLICY_ACTION_UNKNOWN, POLICY_TAG_INVALID,
 * POLICY_TAGS_TOO_MANY
 */
export function checkPolicyTagAction(body: ParsedBody): TagChange {
  const request = requirePolicyBody(body);
  const action = readAction(request, TAG_ACTIONS);
  if (action === undefined) throw new VbsError('POLICY_ACTION_UNKNOWN', { allowed: TAG_ACTIONS.join(', ') });
  const rules = { change: POLICY_BATCH_TAG, deletion: POLICY_BATCH_DELETE_TAG };
  return checkTagChange(request, action, rules, policyTagFaults('tags'));
}

const TAG_ACTIONS = ['create', 'update', 'delete'] as const;

/** Undefined when it is none of `known`; case counts. */
export function readAction<Action extends string>(request: JsonObject, known: readonly Action[]): Action | undefined {
  const action = readKey(request, 'action');
  return known.find((word) => word === action);
}

function checkTagChange(
  request: JsonObject,
  action: (typeof TAG_ACTIONS)[number],
  rules: { readonly change: TagRule; readonly deletion: TagRule },
  faults: TagFaults,
): TagChange {
  const list = readGiven(request, 'tags') ?? [];
  if (action !== 'delete') return { action, tags: checkTags(list, rules.change, faults) };
  // As many as the body holds: absent ones are skipped.
  const options = { countMax: Number.POSITIVE_INFINITY };
  return { action, tags: checkTagList(list, faults, options, (entry) => checkDeletion(entry, rules.deletion, faults)) };
}

function checkDeletion(entry: unknown, rule: TagRule, faults: TagFaults): { key: string; value?: string } {
  if (!isJsonObject(entry)) throw faults.invalid('each must have a key');
  const key = checkTagKey(readKey(entry, 'key'), rule, faults);
  const value = readGiven(entry, 'value');
  return value === undefined ? { key } : { key, value: checkTagValue(value, rule, faults) };
}
