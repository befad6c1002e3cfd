// Requests of /cloudbackups: every documented violation of contract 3.1, 3.2 and 3.4, at and over its limit.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  checkCreateCloudBackup,
  checkDeletedBackupId,
  checkRestoreCloudBackup,
} from '../../../src/api/schemas/cloudbackups.ts';
import type { ParsedBody } from '../../../src/api/schemas/parse.ts';
import type { ErrorCode } from '../../../src/core/errors.ts';
import { expectCode, expectNoSurprise, json } from './expect-code.ts';

const VOLUME = '3b6d0c52-8f0e-4a53-9d57-2f6f0f3a1c11';
const BACKUP = 'c41b9e07-2d5f-4c88-b1a6-0e7f63d2a915';
const GOOD = { volume_id: VOLUME, name: 'db_nightly-01' };

function create(change: Record<string, unknown>): ReturnType<typeof checkCreateCloudBackup> {
  return checkCreateCloudBackup(json({ backup: { ...GOOD, ...change } }));
}

function tag(key: unknown, value: unknown = 'v'): { tags: unknown[] } {
  return { tags: [{ key, value }] };
}

function tagsOf(count: number): { tags: unknown[] } {
  return { tags: Array.from({ length: count }, (_, index) => ({ key: `k${index}`, value: '' })) };
}

describe('creating a backup', () => {
  test('the documented example is understood', () => {
    const input = create({
      description: 'before upgrade',
      tags: [{ key: 'tier', value: 'gold' }],
      extend_param: { FullBackup: 'true' },
    });
    assert.deepEqual(input, {
      volumeId: VOLUME,
      name: 'db_nightly-01',
      description: 'before upgrade',
      tags: [{ key: 'tier', value: 'gold' }],
      isIncrementalRequested: false,
      dialect: 'vbs',
    });
  });

  test('the example of the seed is understood, upper-case ids become lower-case', () => {
    const input = create({ volume_id: VOLUME.toUpperCase(), snapshot_id: null, description: 'Backup_Demo' });
    assert.equal(input.volumeId, VOLUME);
    assert.equal(input.snapshotId, undefined);
    assert.equal(input.isIncrementalRequested, true);
  });

  const violations: [ErrorCode, Record<string, unknown>][] = [
    ['BACKUP_VOLUME_ID_MISSING', { volume_id: undefined }],
    ['BACKUP_VOLUME_ID_MISSING', { volume_id: null }],
    ['BACKUP_VOLUME_ID_MISSING', { volume_id: '' }],
    ['BACKUP_VOLUME_ID_INVALID', { volume_id: 'disk' }],
    ['BACKUP_VOLUME_ID_INVALID', { volume_id: 7 }],
    ['BACKUP_VOLUME_ID_INVALID', { volume_id: `${VOLUME}0` }],
    ['REQUEST_FIELD_INVALID', { snapshot_id: '' }],
    ['REQUEST_FIELD_INVALID', { snapshot_id: 'snap' }],
    ['REQUEST_FIELD_INVALID', { snapshot_id: {} }],
    ['BACKUP_NAME_MISSING', { name: undefined }],
    ['BACKUP_NAME_MISSING', { name: null }],
    ['BACKUP_NAME_TOO_SHORT', { name: '' }],
    ['BACKUP_NAME_TOO_LONG', { name: 'n'.repeat(65) }],
    ['BACKUP_NAME_CHARACTERS', { name: 'a b' }],
    ['BACKUP_NAME_CHARACTERS', { name: 'n.1' }],
    ['BACKUP_NAME_CHARACTERS', { name: 'ä' }],
    ['BACKUP_NAME_CHARACTERS', { name: 'line\n' }],
    ['BACKUP_NAME_RESERVED', { name: 'auto' }],
    ['BACKUP_NAME_RESERVED', { name: 'autobk_1' }],
    ['REQUEST_FIELD_INVALID', { name: 5 }],
    ['BACKUP_DESCRIPTION_INVALID', { description: 'd'.repeat(65) }],
    ['BACKUP_DESCRIPTION_INVALID', { description: 'a<b' }],
    ['BACKUP_DESCRIPTION_INVALID', { description: '>' }],
    ['BACKUP_DESCRIPTION_INVALID', { description: 5 }],
    ['BACKUP_DESCRIPTION_INVALID', { description: '\ud800' }],
    ['BACKUP_TAG_INVALID', { tags: {} }],
    ['BACKUP_TAG_INVALID', { tags: ['k'] }],
    ['BACKUP_TAG_INVALID', { tags: [{ key: 'k' }] }],
    ['BACKUP_TAG_INVALID', { tags: [{ value: 'v' }] }],
    ['BACKUP_TAG_INVALID', { tags: [{ key: 'k', value: null }] }],
    ['BACKUP_TAG_INVALID', tag('')],
    ['BACKUP_TAG_INVALID', tag('k'.repeat(37))],
    ['BACKUP_TAG_INVALID', tag('k', 'v'.repeat(44))],
    ['BACKUP_TAG_INVALID', { tags: [...tag('k').tags, ...tag('k', 'w').tags] }],
    ['BACKUP_TAGS_TOO_MANY', tagsOf(11)],
    ['REQUEST_FIELD_INVALID', { extend_param: 'full' }],
    ['REQUEST_FIELD_INVALID', { extend_param: { FullBackup: 'yes' } }],
    ['REQUEST_FIELD_INVALID', { extend_param: { FullBackup: 1 } }],
  ];
  for (const [code, change] of violations) {
    test(`${code} for ${JSON.stringify(change).slice(0, 60)}`, () => expectCode(code, () => create(change)));
  }

  test('no sign that tags exclude passes, in keys or in values', () => {
    for (const sign of [...'=*<>\\,|/', '\u0000', '\u001f', '\n']) {
      expectCode('BACKUP_TAG_INVALID', () => create(tag(`k${sign}`)), `key with ${JSON.stringify(sign)}`);
      expectCode('BACKUP_TAG_INVALID', () => create(tag('k', sign)), `value with ${JSON.stringify(sign)}`);
    }
  });

  test('everything is taken at its limit, counted in code points', () => {
    assert.equal(create({ name: 'n'.repeat(64) }).name?.length, 64);
    assert.equal(create({ description: '😀'.repeat(64) }).description, '😀'.repeat(64));
    assert.equal(create(tagsOf(10)).tags.length, 10);
    assert.deepEqual(create(tag('😀'.repeat(36), '😀'.repeat(43))).tags.length, 1);
    assert.equal(create({ name: 'Auto' }).name, 'Auto');
    assert.equal(create({ name: 'a' }).name, 'a');
  });

  test('empty and null descriptions are none; unknown keys are ignored', () => {
    assert.equal(create({ description: '' }).description, null);
    assert.equal(create({ description: null }).description, null);
    assert.doesNotThrow(() => create({ colour: 'red', extend_param: { other: 5 } }));
  });

  test('FullBackup is taken as text of any case or as a boolean', () => {
    for (const value of ['true', 'TRUE', true]) {
      assert.equal(create({ extend_param: { FullBackup: value } }).isIncrementalRequested, false);
    }
    for (const value of ['false', 'False', '', false, null, undefined]) {
      assert.equal(create({ extend_param: { FullBackup: value } }).isIncrementalRequested, true);
    }
  });

  test('the first fault in table order is the one that is told', () => {
    expectCode('BACKUP_VOLUME_ID_INVALID', () => create({ volume_id: 'x', name: '', description: '<' }));
    expectCode('BACKUP_NAME_TOO_LONG', () => create({ name: 'auto <'.repeat(20), description: '<' }));
    expectCode('BACKUP_DESCRIPTION_INVALID', () => create({ description: '<', tags: 5, extend_param: 5 }));
    expectCode('BACKUP_TAG_INVALID', () => create({ tags: 5, extend_param: 5 }));
  });

  test('a body that is no envelope is malformed', () => {
    const bodies: ParsedBody[] = [
      { kind: 'absent' },
      { kind: 'broken' },
      json(null),
      json([]),
      json('backup'),
      json({}),
      json({ backup: null }),
      json({ backup: [] }),
      json({ backup: 'x' }),
    ];
    for (const body of bodies)
      expectCode('REQUEST_MALFORMED', () => checkCreateCloudBackup(body), JSON.stringify(body));
    const text: ParsedBody = { kind: 'unsupported', contentType: 'text/plain' };
    expectCode('MEDIA_TYPE_UNSUPPORTED', () => checkCreateCloudBackup(text));
  });

  test('no body leads to anything but a code of the table', () => {
    const fields = fc.record(
      {
        volume_id: fc.oneof(fc.constant(VOLUME), fc.anything()),
        snapshot_id: fc.oneof(fc.constant(null), fc.anything()),
        name: fc.oneof(fc.constant('n'), fc.string({ unit: 'binary' }), fc.anything()),
        description: fc.oneof(fc.string({ unit: 'binary' }), fc.anything()),
        tags: fc.oneof(fc.array(fc.record({ key: fc.string({ unit: 'binary' }), value: fc.string() })), fc.anything()),
        extend_param: fc.anything(),
      },
      { requiredKeys: [] },
    );
    fc.assert(fc.property(fields, (backup) => expectNoSurprise(() => checkCreateCloudBackup(json({ backup })))));
    fc.assert(fc.property(fc.anything(), (value) => expectNoSurprise(() => checkCreateCloudBackup(json(value)))));
  });
});

describe('restoring a backup', () => {
  const restore = (value: unknown, id = BACKUP) => checkRestoreCloudBackup(json(value), id);

  test('the documented example is understood', () => {
    const ids = { backupId: BACKUP, volumeId: VOLUME };
    assert.deepEqual(restore({ restore: { volume_id: VOLUME } }), { ...ids, verify: false });
    assert.deepEqual(restore({ restore: { volume_id: VOLUME, verify: true } }), { ...ids, verify: true });
    assert.deepEqual(restore({ restore: { volume_id: VOLUME, verify: false } }), { ...ids, verify: false });
    for (const verify of ['true', 1, {}, []]) {
      expectCode('REQUEST_FIELD_INVALID', () => restore({ restore: { volume_id: VOLUME, verify } }));
    }
  });

  test('each part has its code, in table order', () => {
    for (const value of [null, [], {}, { restore: null }, { restore: 'x' }, { restore: [] }]) {
      expectCode('RESTORE_MALFORMED', () => restore(value, 'no id'), JSON.stringify(value));
    }
    expectCode('RESTORE_MALFORMED', () => checkRestoreCloudBackup({ kind: 'absent' }, BACKUP));
    expectCode('RESTORE_MALFORMED', () => checkRestoreCloudBackup({ kind: 'broken' }, BACKUP));
    expectCode('RESTORE_BACKUP_ID_MISSING', () => restore({ restore: {} }, ' '));
    expectCode('RESTORE_BACKUP_ID_INVALID', () => restore({ restore: {} }, 'first'));
    for (const volumeId of [undefined, null, '', 'disk', 5]) {
      expectCode('RESTORE_VOLUME_ID_INVALID', () => restore({ restore: { volume_id: volumeId } }));
    }
  });

  test('no body and no id lead to anything but a code of the table', () => {
    fc.assert(
      fc.property(fc.anything(), fc.string(), (value, id) => {
        expectNoSurprise(() => restore(value, id));
        expectNoSurprise(() => restore({ restore: value }));
        expectNoSurprise(() => checkDeletedBackupId(id));
      }),
    );
  });
});

test('deleting wants a UUID in the path', () => {
  assert.equal(checkDeletedBackupId(BACKUP.toUpperCase()), BACKUP);
  expectCode('BACKUP_ID_INVALID', () => checkDeletedBackupId('first'));
  expectCode('BACKUP_ID_INVALID', () => checkDeletedBackupId(''));
});
