// Search by tags: the same request for policies and backups, with the codes of each family (contract 3.17).
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { LIST_LIMIT_MAX } from '../../core/limits.ts';
import type { TagMatch, TagSearch } from '../../core/tag-search.ts';
import type { OffsetPage } from '../../services/policy-requests.ts';
import { nullable, TagSchema, Uuid } from './common.ts';
import {
  dropUndefined,
  invalidField,
  isJsonObject,
  type JsonObject,
  type ParsedBody,
  parseInteger,
  readKey,
  requireJson,
} from './parse.ts';
import { readGiven, requirePolicyBody } from './policy-body.ts';
import { checkTagKey, checkTagList, checkTagValue, SEARCHED_TAG, TAG_COUNT_MAX, type TagFaults } from './tag-rules.ts';
import { BACKUP_TAG_FAULTS, policyTagFaults, readAction } from './tags.ts';

/** The only key of `matches`. */
const NAME_KEY = 'resource_name';
const SEARCH_ACTIONS = ['filter', 'count'] as const;

const Matches = (description: string) =>
  Type.Optional(
    Type.Array(Type.Object({ key: Type.String(), values: Type.Array(Type.String(), { maxItems: TAG_COUNT_MAX }) }), {
      maxItems: TAG_COUNT_MAX,
      description,
    }),
  );
const NumberText = Type.Union([Type.Integer(), Type.String({ pattern: '^\\d+$' })]);

export const TagSearchBody = Type.Object(
  {
    action: Type.Union([Type.Literal('filter'), Type.Literal('count')]),
    tags: Matches('All keys, each with any of its values; no values: any'),
    tags_any: Matches('Any of the keys with any of its values'),
    not_tags: Matches('Not all of them'),
    not_tags_any: Matches('None of them'),
    matches: Type.Optional(Type.Array(Type.Object({ key: Type.Literal(NAME_KEY), value: Type.String() }))),
    limit: Type.Optional(NumberText),
    offset: Type.Optional(NumberText),
  },
  {
    $id: 'TagSearch',
    examples: [{ action: 'filter', limit: '10', offset: '0', tags: [{ key: 'tier', values: ['gold', 'silver'] }] }],
  },
);
export const TagSearchResult = Type.Object(
  {
    total_count: Type.Integer({ description: 'All that match, whatever the page' }),
    resources: Type.Optional(
      Type.Array(
        Type.Object({
          resource_id: Uuid,
          resource_name: nullable(Type.String()),
          resource_detail: Type.Null(),
          tags: Type.Array(TagSchema),
        }),
        { description: 'Absent for action count' },
      ),
    ),
  },
  { $id: 'TagSearchResult' },
);

/** `page` is undefined when only the count is asked for. */
export type TagSearchRequest = { readonly search: TagSearch; readonly page: OffsetPage | undefined };

/**
 * @throws POLICY_BODY_EMPTY, MEDIA_TYPE_UNSUPPORTED, REQUEST_MALFORMED, POLICY_ACTION_UNKNOWN, POLICY_TAG_INVALID,
 * POLICY_TAGS_TOO_MANY, REQUEST_FIELD_INVALID
 */
export function checkPolicySearch(body: ParsedBody): TagSearchRequest {
  const request = requirePolicyBody(body);
  const action = readAction(request, SEARCH_ACTIONS);
  if (action === undefined) throw new VbsError('POLICY_ACTION_UNKNOWN', { allowed: SEARCH_ACTIONS.join(', ') });
  return checkSearch(request, action, policyTagFaults);
}

/**
 * @throws MEDIA_TYPE_UNSUPPORTED, REQUEST_MALFORMED, REQUEST_FIELD_INVALID, BACKUP_TAG_INVALID, BACKUP_TAGS_TOO_MANY
 */
export function checkBackupSearch(body: ParsedBody): TagSearchRequest {
  const request = requireJson(body);
  if (!isJsonObject(request)) throw new VbsError('REQUEST_MALFORMED', { reason: 'the body is not an object' });
  const action = readAction(request, SEARCH_ACTIONS);
  if (action === undefined) throw invalidField('action', `it must be one of ${SEARCH_ACTIONS.join(', ')}`);
  return checkSearch(request, action, () => BACKUP_TAG_FAULTS);
}

function checkSearch(
  request: JsonObject,
  action: (typeof SEARCH_ACTIONS)[number],
  faultsOf: (field: string) => TagFaults,
): TagSearchRequest {
  const read = (field: string) => checkMatches(readGiven(request, field), faultsOf(field), field !== 'tags');
  const search = dropUndefined({
    tags: read('tags'),
    tagsAny: read('tags_any'),
    notTags: read('not_tags'),
    notTagsAny: read('not_tags_any'),
    nameLike: checkNameMatch(readGiven(request, 'matches'), faultsOf('matches')),
  });
  return { search, page: action === 'count' ? undefined : checkPage(request) };
}

function checkMatches(value: unknown, faults: TagFaults, mustBeFilled: boolean): TagMatch[] | undefined {
  if (value === undefined) return undefined;
  const matches = checkTagList(value, faults, { countMax: TAG_COUNT_MAX }, (entry) => checkMatch(entry, faults));
  if (mustBeFilled && matches.length === 0) throw faults.invalid('the list is empty');
  return matches;
}

function checkMatch(entry: unknown, faults: TagFaults): TagMatch {
  if (!isJsonObject(entry)) throw faults.invalid('each must have key and values');
  const key = checkTagKey(readKey(entry, 'key'), SEARCHED_TAG, faults);
  const list = readKey(entry, 'values');
  if (!Array.isArray(list)) throw faults.invalid('values must be a list');
  const values = [...new Set(list.map((value) => checkTagValue(value, SEARCHED_TAG, faults)))];
  if (values.length > TAG_COUNT_MAX) throw faults.tooMany(TAG_COUNT_MAX);
  return { key, values };
}

function checkNameMatch(value: unknown, faults: TagFaults): string | undefined {
  if (value === undefined) return undefined;
  const [match] = checkTagList(value, faults, { countMax: TAG_COUNT_MAX }, (entry) => {
    if (!isJsonObject(entry)) throw faults.invalid('each must have key and value');
    if (readKey(entry, 'key') !== NAME_KEY) throw faults.invalid(`the key must be ${NAME_KEY}`);
    return { key: NAME_KEY, value: checkTagValue(readKey(entry, 'value'), SEARCHED_TAG, faults) };
  });
  return match?.value;
}

/** Clients send both numbers as strings. @throws REQUEST_FIELD_INVALID */
function checkPage(request: JsonObject): OffsetPage {
  const limit = readCount(request, 'limit') ?? LIST_LIMIT_MAX;
  if (limit < 1 || limit > LIST_LIMIT_MAX) throw invalidField('limit', `it must be from 1 to ${LIST_LIMIT_MAX}`);
  return { limit, offset: readCount(request, 'offset') ?? 0 };
}

function readCount(request: JsonObject, key: string): number | undefined {
  const value = readGiven(request, key);
  if (value === undefined) return undefined;
  const count = parseInteger(value);
  if (count === undefined || count < 0) throw invalidField(key, 'it must be an integer from 0 on');
  return count;
}
