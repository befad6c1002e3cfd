// Tags at the edge: who may use which signs (contract 3.2), batches (3.16), searches (3.17), and volumes of policies
// (3.14, 3.15), each violation with its code.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { checkAssociate, checkDisassociate } from '../../../src/api/schemas/policy-resources.ts';
import { checkBackupSearch, checkPolicySearch } from '../../../src/api/schemas/tag-search.ts';
import {
  checkBackupTag,
  checkBackupTagAction,
  checkPolicyTag,
  checkPolicyTagAction,
  checkPolicyTags,
} from '../../../src/api/schemas/tags.ts';
import type { ErrorCode } from '../../../src/core/errors.ts';
import { expectCode, expectNoSurprise, json } from './expect-code.ts';

const many = (count: number) => Array.from({ length: count }, (_, index) => ({ key: `k${index}`, value: '' }));
const ASTRAL = '\u{1f4be}';

describe('one tag of a policy', () => {
  const set = (tag: unknown) => checkPolicyTag(json({ tag }));
  test('letters, digits, - and _; lengths at their ends', () => {
    const longest = { key: 'k'.repeat(36), value: 'v'.repeat(43) };
    for (const tag of [longest, { key: 'Az_09-', value: '' }]) assert.deepEqual(set(tag), tag);
  });
  const bad = [
    {},
    { key: 'a' },
    { value: 'a' },
    { key: '', value: '' },
    { key: 'a', value: null },
    { key: 1, value: '' },
    { key: 'a.b', value: '' },
    { key: 'ä', value: '' },
    { key: 'a', value: 'b c' },
    { key: 'k'.repeat(37), value: '' },
    { key: 'a', value: 'v'.repeat(44) },
    { key: 'a<', value: '' },
  ];
  for (const tag of bad) {
    test(`refused: ${JSON.stringify(tag)}`, () => expectCode('POLICY_TAG_INVALID', () => set(tag)));
  }
  test('envelopes', () => {
    expectCode('POLICY_BODY_EMPTY', () => checkPolicyTag({ kind: 'absent' }));
    expectCode('REQUEST_MALFORMED', () => checkPolicyTag({ kind: 'broken' }));
    for (const tag of [undefined, null, 'x', []]) expectCode('POLICY_OBJECT_MISSING', () => set(tag));
  });
  test('lists have at most ten, keys distinct', () => {
    assert.equal(checkPolicyTags(many(10)).length, 10);
    expectCode('POLICY_TAGS_TOO_MANY', () => checkPolicyTags(many(11)));
    expectCode('POLICY_TAG_INVALID', () => checkPolicyTags([...many(2), { key: 'k0', value: 'x' }]));
    assert.equal(
      checkPolicyTags([
        { key: 'a', value: '' },
        { key: 'A', value: '' },
      ]).length,
      2,
    );
  });
});

describe('batches of a policy', () => {
  const act = (action: unknown, tags?: unknown) => checkPolicyTagAction(json({ action, tags }));

  test('no tags, null or an empty list: nothing to do', () => {
    for (const action of ['create', 'update', 'delete']) {
      for (const tags of [undefined, null, []]) assert.deepEqual(act(action, tags), { action, tags: [] });
    }
    assert.deepEqual(checkPolicyTagAction(json({ action: 'delete' })), { action: 'delete', tags: [] });
  });

  test('keys as wide as those of backups, values as narrow as those of policies', () => {
    const tag = { key: `größe.2 #${ASTRAL}`, value: 'gold' };
    for (const action of ['create', 'update']) assert.deepEqual(act(action, [tag]), { action, tags: [tag] });
    assert.equal(act('create', [{ key: ASTRAL.repeat(36), value: '' }]).tags.length, 1);
    for (const action of ['create', 'update']) {
      expectCode('POLICY_TAG_INVALID', () => act(action, [{ key: ASTRAL.repeat(37), value: '' }]));
      expectCode('POLICY_TAG_INVALID', () => act(action, [{ key: 'a', value: 'b c' }]));
      expectCode('POLICY_TAG_INVALID', () => act(action, [{ key: 'a' }]));
      expectCode('POLICY_TAG_INVALID', () => act(action, [...many(1), ...many(1)]));
      expectCode('POLICY_TAGS_TOO_MANY', () => act(action, many(11)));
      for (const sign of '=*<>\\,|/\u0000\u001f') {
        expectCode('POLICY_TAG_INVALID', () => act(action, [{ key: `a${sign}`, value: '' }]), sign);
      }
    }
  });

  test('deletions: longer keys, the value optional, as many as there are', () => {
    const tags = [{ key: 'k'.repeat(127) }, { key: 'a', value: 'v.'.repeat(127) }];
    assert.deepEqual(act('delete', tags), { action: 'delete', tags });
    assert.deepEqual(act('delete', [{ key: 'a', value: null }]).tags, [{ key: 'a' }]);
    assert.equal(act('delete', many(11)).tags.length, 11);
    for (const bad of [{ key: 'k'.repeat(128) }, { key: '' }, {}, 'a', { key: 'a', value: 'v'.repeat(256) }]) {
      expectCode('POLICY_TAG_INVALID', () => act('delete', [bad]), JSON.stringify(bad));
    }
    expectCode('POLICY_TAG_INVALID', () =>
      act('delete', [
        { key: 'a', value: 'x' },
        { key: 'a', value: 'y' },
      ]),
    );
  });

  test('the action is judged before the tags, and its case counts', () => {
    for (const action of [undefined, null, 'Create', 'remove', 1]) {
      expectCode('POLICY_ACTION_UNKNOWN', () => act(action, 'nonsense'), String(action));
    }
    expectCode('POLICY_TAG_INVALID', () => act('create', 'nonsense'));
    expectCode('POLICY_BODY_EMPTY', () => checkPolicyTagAction(json(null)));
  });
});

describe('tags of backups', () => {
  test('the rules and codes of backups', () => {
    const tag = { key: `größe.2 #${ASTRAL}`, value: 'Gold & Silver' };
    assert.deepEqual(checkBackupTag(json({ tag })), tag);
    assert.deepEqual(checkBackupTagAction(json({ action: 'create', tags: [tag] })).tags, [tag]);
    assert.deepEqual(checkBackupTagAction(json({ action: 'delete', tags: [{ key: 'a' }] })).tags, [{ key: 'a' }]);
    assert.deepEqual(checkBackupTagAction(json({ action: 'delete' })), { action: 'delete', tags: [] });
    for (const bad of [{ key: 'a=b', value: '' }, { key: 'a', value: 'v'.repeat(44) }, { key: 'a' }]) {
      expectCode('BACKUP_TAG_INVALID', () => checkBackupTag(json({ tag: bad })));
      expectCode('BACKUP_TAG_INVALID', () => checkBackupTagAction(json({ action: 'update', tags: [bad] })));
    }
    expectCode('BACKUP_TAGS_TOO_MANY', () => checkBackupTagAction(json({ action: 'create', tags: many(11) })));
    for (const body of [json({}), json({ tag: null }), json([]), { kind: 'absent' } as const]) {
      expectCode('REQUEST_MALFORMED', () => checkBackupTag(body));
    }
    expectCode('REQUEST_FIELD_INVALID', () => checkBackupTagAction(json({ action: 'x' })));
    expectCode('REQUEST_MALFORMED', () => checkBackupTagAction(json('x')));
  });
});

describe('search by tags', () => {
  const search = (request: object) => checkPolicySearch(json({ action: 'filter', ...request }));
  const list = (count: number) => many(count).map(({ key }) => ({ key, values: ['v'] }));

  test('the documented request; numbers come as strings or as numbers', () => {
    const request = {
      limit: '10',
      offset: '0',
      tags: [{ key: 'tier', values: ['gold', 'silver'] }],
      not_tags_any: [{ key: 'env', values: ['test'] }],
    };
    const expected = {
      search: {
        tags: [{ key: 'tier', values: ['gold', 'silver'] }],
        notTagsAny: [{ key: 'env', values: ['test'] }],
      },
      page: { limit: 10, offset: 0 },
    };
    assert.deepEqual(search(request), expected);
    assert.deepEqual(search({ ...request, limit: 10, offset: 0 }), expected);
    assert.deepEqual(search({}), { search: {}, page: { limit: 1000, offset: 0 } });
  });

  test('all lists, any value, a part of the name', () => {
    const values = { tags: [], tags_any: list(1), not_tags: [{ key: 'a', values: [] }], not_tags_any: list(10) };
    assert.deepEqual(search({ ...values, matches: [{ key: 'resource_name', value: 'Night' }] }).search, {
      tags: [],
      tagsAny: list(1),
      notTags: [{ key: 'a', values: [] }],
      notTagsAny: list(10),
      nameLike: 'Night',
    });
    assert.deepEqual(search({ tags: [{ key: 'a', values: ['x', 'x'] }] }).search.tags, [{ key: 'a', values: ['x'] }]);
    assert.deepEqual(search({ matches: [] }).search, {});
  });

  test('count takes neither limit nor offset', () => {
    const counted = checkPolicySearch(json({ action: 'count', limit: 'x', offset: -1, tags: list(1) }));
    assert.deepEqual(counted, { search: { tags: list(1) }, page: undefined });
  });

  const cases: [ErrorCode, object][] = [
    ['POLICY_TAG_INVALID', { tags: 'x' }],
    ['POLICY_TAG_INVALID', { tags: ['x'] }],
    ['POLICY_TAG_INVALID', { tags: [{ key: 'a' }] }],
    ['POLICY_TAG_INVALID', { tags: [{ key: 'a', values: 'b' }] }],
    ['POLICY_TAG_INVALID', { tags: [{ key: 'a', values: [1] }] }],
    ['POLICY_TAG_INVALID', { tags: [{ key: '', values: [] }] }],
    ['POLICY_TAG_INVALID', { tags: [{ key: 'k'.repeat(128), values: [] }] }],
    ['POLICY_TAG_INVALID', { tags: [{ key: 'a', values: ['v'.repeat(256)] }] }],
    ['POLICY_TAG_INVALID', { tags: [{ key: 'a\0', values: [] }] }],
    ['POLICY_TAG_INVALID', { tags: [...list(1), ...list(1)] }],
    ['POLICY_TAGS_TOO_MANY', { tags: list(11) }],
    ['POLICY_TAGS_TOO_MANY', { tags: [{ key: 'a', values: many(11).map(({ key }) => key) }] }],
    ['POLICY_TAG_INVALID', { tags_any: [] }],
    ['POLICY_TAG_INVALID', { not_tags: [] }],
    ['POLICY_TAG_INVALID', { not_tags_any: [] }],
    ['POLICY_TAG_INVALID', { matches: 'x' }],
    ['POLICY_TAG_INVALID', { matches: [{ key: 'name', value: 'x' }] }],
    ['POLICY_TAG_INVALID', { matches: [{ key: 'resource_name' }] }],
    [
      'POLICY_TAG_INVALID',
      {
        matches: [
          { key: 'resource_name', value: 'a' },
          { key: 'resource_name', value: 'b' },
        ],
      },
    ],
    ['REQUEST_FIELD_INVALID', { limit: 0 }],
    ['REQUEST_FIELD_INVALID', { limit: '1001' }],
    ['REQUEST_FIELD_INVALID', { limit: 'x' }],
    ['REQUEST_FIELD_INVALID', { limit: 1.5 }],
    ['REQUEST_FIELD_INVALID', { offset: -1 }],
    ['REQUEST_FIELD_INVALID', { offset: '-1' }],
    ['POLICY_ACTION_UNKNOWN', { action: 'Filter', tags: 'x' }],
    ['POLICY_ACTION_UNKNOWN', { action: undefined }],
  ];
  for (const [code, request] of cases) {
    test(`${code}: ${JSON.stringify(request).slice(0, 80)}`, () => {
      expectCode(code, () => search(request));
      const ofBackups: Partial<Record<ErrorCode, ErrorCode>> = {
        POLICY_TAG_INVALID: 'BACKUP_TAG_INVALID',
        POLICY_TAGS_TOO_MANY: 'BACKUP_TAGS_TOO_MANY',
        POLICY_ACTION_UNKNOWN: 'REQUEST_FIELD_INVALID',
      };
      const call = () => checkBackupSearch(json({ action: 'filter', ...request }));
      expectCode(ofBackups[code] ?? code, call);
    });
  }

  test('whatever is sent is answered, never an accident', () => {
    const field = fc.constantFrom('action', 'tags', 'tags_any', 'not_tags', 'matches', 'limit', 'offset');
    fc.assert(
      fc.property(fc.jsonValue(), field, (value, name) => {
        expectNoSurprise(() => checkPolicySearch(json(value)));
        expectNoSurprise(() => search({ [name]: value }));
        expectNoSurprise(() => search({ tags: [value] }));
        expectNoSurprise(() => checkPolicyTagAction(json({ action: 'create', tags: value })));
        expectNoSurprise(() => checkPolicyTagAction(json({ action: 'delete', tags: [value] })));
        expectNoSurprise(() => checkBackupTag(json({ tag: value })));
        expectNoSurprise(() => checkAssociate(json({ backup_policy_id: value, resources: [value] })));
        expectNoSurprise(() => checkDisassociate(json({ resources: value })));
      }),
    );
  });
});

describe('volumes of a policy', () => {
  const POLICY = 'a87d4f13-9be0-4d27-86c5-1f3e2b9c7d60';
  const resources = [{ resource_id: 'some volume', resource_type: 'volume' }];
  const associate = (change: object) => checkAssociate(json({ backup_policy_id: POLICY, resources, ...change }));

  test('ids are handed on as they were sent', () => {
    assert.deepEqual(associate({}), { policyId: POLICY, resourceIds: ['some volume'] });
    assert.deepEqual(checkDisassociate(json({ resources: [{ resource_id: 'x', resource_type: 7 }] })), ['x']);
  });

  const cases: [ErrorCode, object][] = [
    ['POLICY_ID_MISSING', { backup_policy_id: undefined, resources: [] }],
    ['POLICY_ID_MISSING', { backup_policy_id: null }],
    ['POLICY_ID_MISSING', { backup_policy_id: ' ' }],
    ['POLICY_ID_MISSING', { backup_policy_id: 7 }],
    ['POLICY_OBJECT_MISSING', { resources: undefined }],
    ['POLICY_OBJECT_MISSING', { resources: null }],
    ['POLICY_OBJECT_MISSING', { resources: {} }],
    ['POLICY_RESOURCES_EMPTY', { resources: [] }],
    ['REQUEST_FIELD_INVALID', { resources: ['x'] }],
    ['POLICY_RESOURCE_ID_MISSING', { resources: [{ resource_type: 'volume' }] }],
    ['POLICY_RESOURCE_ID_MISSING', { resources: [{ resource_id: '', resource_type: 'x' }] }],
    ['POLICY_RESOURCE_ID_MISSING', { resources: [{ resource_id: ' ', resource_type: 'volume' }] }],
    ['POLICY_RESOURCE_TYPE_UNKNOWN', { resources: [{ resource_id: 'x', resource_type: 'server' }] }],
    ['POLICY_RESOURCE_TYPE_UNKNOWN', { resources: [{ resource_id: 'x' }] }],
    ['POLICY_NOT_FOUND', { backup_policy_id: 'x' }],
    ['POLICY_RESOURCES_EMPTY', { backup_policy_id: 'x', resources: [] }],
  ];
  for (const [code, change] of cases) {
    test(`${code}: ${JSON.stringify(change)}`, () => expectCode(code, () => associate(change)));
  }

  test('taking out has the same codes', () => {
    const out = (request: unknown) => checkDisassociate(json(request));
    expectCode('POLICY_BODY_EMPTY', () => checkDisassociate({ kind: 'absent' }));
    expectCode('POLICY_OBJECT_MISSING', () => out({}));
    expectCode('POLICY_RESOURCES_EMPTY', () => out({ resources: [] }));
    expectCode('POLICY_RESOURCE_ID_MISSING', () => out({ resources: [{ resource_id: '' }] }));
    expectCode('REQUEST_FIELD_INVALID', () => out({ resources: [null] }));
  });
});
