import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkBackupDiff } from '../../../src/api/schemas/backup-diff.ts';
import { LIST_LIMIT_MAX } from '../../../src/core/limits.ts';
import { expectCode } from './expect-code.ts';

const FROM = '11111111-2222-3333-4444-555555555555';

describe('the query of a comparison', () => {
  test('has defaults for all but the other backup', () => {
    const defaults = { offsetBytes: 0, limit: LIST_LIMIT_MAX };
    assert.deepEqual(checkBackupDiff({ from: FROM }), { fromId: FROM, ...defaults });
    assert.deepEqual(checkBackupDiff({ from: FROM, offset: '', limit: '' }), { fromId: FROM, ...defaults });
    const given = { from: FROM.toUpperCase(), offset: '65536', limit: '5' };
    assert.deepEqual(checkBackupDiff(given), { fromId: FROM, offsetBytes: 65_536, limit: 5 });
  });

  test('is refused with the field that is wrong', () => {
    for (const query of [{}, { from: '' }, { from: 'first' }, { from: `${FROM}0` }]) {
      expectCode('REQUEST_FIELD_INVALID', () => checkBackupDiff(query), JSON.stringify(query));
    }
    const wrong = [{ limit: '0' }, { limit: '1001' }, { limit: '-1' }, { offset: '-1' }, { offset: '1.5' }];
    for (const query of wrong) {
      expectCode('REQUEST_FIELD_INVALID', () => checkBackupDiff({ from: FROM, ...query }), JSON.stringify(query));
    }
  });
});
