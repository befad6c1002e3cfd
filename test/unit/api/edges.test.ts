// The pure parts round a request: families, microversions, Accept, bodies, ranges, tokens, error replies.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isAcceptable } from '../../../src/api/plugins/accept.ts';
import { parseBody } from '../../../src/api/plugins/body-parser.ts';
import { shapeError, toVbsError } from '../../../src/api/plugins/error-reply.ts';
import { familyOfPath } from '../../../src/api/plugins/family.ts';
import { negotiateMicroversion } from '../../../src/api/plugins/microversion.ts';
import { parseByteRange } from '../../../src/api/schemas/byte-range.ts';
import { checkTokenRequest } from '../../../src/api/schemas/identity.ts';
import { formatIdentityTime, formatJobTime, formatNativeTime } from '../../../src/api/views/times.ts';
import { ERROR_TABLE, type ErrorCode, VbsError } from '../../../src/core/errors.ts';
import { expectCode, expectNoSurprise, json } from './expect-code.ts';

test('families by path', () => {
  const families = {
    '/v2/p/cloudbackups': 'vbs',
    '/v2/p/cloudbackups/quota': 'vbs',
    '/v2/p/jobs/j': 'vbs',
    '/v1/p/jobs': 'vbs',
    '/v1/p/backups/b/data': 'vbs',
    '/v2/p/backuppolicy': 'policy',
    '/v2/p/backuppolicyresources/x': 'policy',
    '/v2/p/backups': 'native2',
    '/v2/p/volumes/detail': 'native2',
    '/v3/p/backups': 'native3',
    '/v3/auth/tokens': 'identity',
    '/identity/v3/auth/tokens': 'identity',
    '/': 'plain',
    '/healthz': 'plain',
  };
  for (const [path, family] of Object.entries(families)) assert.equal(familyOfPath(path), family, path);
});

test('times as each family writes them', () => {
  const at = Date.UTC(2026, 1, 3, 9, 15, 0, 120);
  assert.equal(formatJobTime(at), '2026-02-03T09:15:00.120Z');
  assert.equal(formatNativeTime(at), '2026-02-03T09:15:00.120000');
  assert.equal(formatIdentityTime(at), '2026-02-03T09:15:00.120000Z');
});

describe('microversions', () => {
  test('absent, latest, one among several services', () => {
    assert.equal(negotiateMicroversion(undefined), 0);
    assert.equal(negotiateMicroversion('volume latest'), 71);
    assert.equal(negotiateMicroversion('volume 3.45'), 45);
    assert.equal(negotiateMicroversion('compute 2.1, volume 3.45'), 45);
    assert.equal(negotiateMicroversion('Volume  3.0'), 0);
    for (const word of ['volumev3', 'block-storage', 'block-store']) {
      assert.equal(negotiateMicroversion(`${word} 3.54`), 54, word);
    }
  });
  test('malformed and out of range', () => {
    for (const header of [
      '',
      'volume',
      'volume 3',
      'volume foo',
      'volume 3.1.2',
      'compute 2.1',
      'volume 3.05',
      '3.5',
    ]) {
      expectCode('MICROVERSION_INVALID', () => negotiateMicroversion(header), header);
    }
    for (const header of ['volume 3.72', 'volume 2.0', 'volume 4.0']) {
      expectCode('MICROVERSION_UNSUPPORTED', () => negotiateMicroversion(header), header);
    }
    fc.assert(fc.property(fc.string(), (text) => expectNoSurprise(() => negotiateMicroversion(text))));
  });
});

test('Accept: JSON and everything, absent and empty', () => {
  const good = [undefined, '', 'application/json', '*/*', 'application/*', 'text/html, */*;q=0.8', 'APPLICATION/JSON'];
  for (const header of good) assert.equal(isAcceptable(header), true, String(header));
  for (const header of ['text/html', 'application/json;q=0', 'application/xml'])
    assert.equal(isAcceptable(header), false);
});

test('bodies: absent, JSON, broken, of another type', () => {
  assert.deepEqual(parseBody('application/json', Buffer.alloc(0)), { kind: 'absent' });
  assert.deepEqual(parseBody('Application/JSON;charset=utf-8', Buffer.from('null')), { kind: 'json', value: null });
  assert.deepEqual(parseBody('application/json', Buffer.from('{')), { kind: 'broken' });
  assert.deepEqual(parseBody('application/json', Buffer.from([0x22, 0xff, 0x22])), { kind: 'broken' });
  assert.equal(parseBody('text/plain', Buffer.from('{}')).kind, 'unsupported');
  assert.equal(parseBody('', Buffer.from('{}')).kind, 'unsupported');
  assert.equal(parseBody('application/jsonp', Buffer.from('{}')).kind, 'unsupported');
});

describe('ranges', () => {
  const cases: [string | undefined, [number, number] | undefined][] = [
    [undefined, undefined],
    ['bytes=0-0', [0, 1]],
    ['bytes=10-19', [10, 10]],
    ['bytes=90-', [90, 10]],
    ['bytes=90-200', [90, 10]],
    ['bytes=-10', [90, 10]],
    ['bytes=-200', [0, 100]],
    ['bytes=5-4', undefined],
    ['bytes=0-1,3-4', undefined],
    ['bytes=-', undefined],
    ['items=0-1', undefined],
  ];
  for (const [header, expected] of cases) {
    test(`${header} of 100 bytes`, () => {
      const range = parseByteRange(header, 100);
      assert.deepEqual(range === undefined ? undefined : [range.offsetBytes, range.lengthBytes], expected);
    });
  }
  test('beyond the end', () => {
    expectCode('RANGE_NOT_SATISFIABLE', () => parseByteRange('bytes=100-', 100));
    expectCode('RANGE_NOT_SATISFIABLE', () => parseByteRange('bytes=-0', 100));
  });
  test('a range lies within the size, whatever the header says', () => {
    const headers = fc.oneof(
      fc.string(),
      fc.tuple(fc.nat(), fc.nat()).map(([from, to]) => `bytes=${from}-${to}`),
    );
    fc.assert(
      fc.property(headers, fc.integer({ min: 1, max: 1000 }), (header, sizeBytes) => {
        expectNoSurprise(() => {
          const range = parseByteRange(header, sizeBytes);
          if (range === undefined) return;
          assert.ok(range.lengthBytes > 0 && range.offsetBytes + range.lengthBytes <= sizeBytes);
        });
      }),
    );
  });
});

describe('token requests', () => {
  const user = { name: 'ops', domain: { name: 'Default' }, password: 's3cret' };
  const password = { methods: ['password'], password: { user } };
  const check = (identity: unknown, scope?: unknown) => checkTokenRequest(json({ auth: { identity, scope } }));

  test('password and token methods, the scopes', () => {
    const request = check(password, { project: { name: 'lab', domain: { id: 'default' } } });
    assert.deepEqual(request, {
      identities: [{ method: 'password', user: { name: 'ops', domain: { name: 'Default' } }, password: 's3cret' }],
      scope: { kind: 'project', project: { name: 'lab', domain: { id: 'default' } } },
    });
    assert.deepEqual(check({ methods: ['token'], token: { id: 't' } }).identities, [{ method: 'token', tokenId: 't' }]);
    assert.deepEqual(check(password).scope, { kind: 'unscoped' });
    assert.deepEqual(check(password, 'unscoped').scope, { kind: 'unscoped' });
    assert.deepEqual(check(password, { domain: { name: 'Default' } }).scope, {
      kind: 'domain',
      domain: { name: 'Default' },
    });
    assert.deepEqual(check({ methods: ['totp'] }).identities, [{ method: 'other', name: 'totp' }]);
  });
  test('malformed ones', () => {
    expectCode('REQUEST_MALFORMED', () => checkTokenRequest({ kind: 'absent' }));
    expectCode('REQUEST_MALFORMED', () => checkTokenRequest(json({})));
    const wrong = [
      {},
      { methods: [] },
      { methods: [5] },
      { methods: 'password' },
      { methods: ['password'] },
      { methods: ['password'], password: { user: { name: 'ops', password: 'x' } } },
      { methods: ['password'], password: { user: { ...user, password: 5 } } },
      { methods: ['token'], token: {} },
    ];
    for (const identity of wrong) expectCode('REQUEST_FIELD_INVALID', () => check(identity), JSON.stringify(identity));
    expectCode('REQUEST_FIELD_INVALID', () => check(password, { project: { name: 'lab' } }));
    expectCode('CREDENTIALS_INVALID', () => check(password, { system: { all: true } }));
  });
  test('no body leads to anything but a code of the table', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (value, scope) => {
        expectNoSurprise(() => check(value, scope));
        expectNoSurprise(() => check(password, scope));
        expectNoSurprise(() => check({ methods: ['password', 'token'], password: value, token: value }));
        expectNoSurprise(() => check({ methods: ['password'], password: { user: value } }, { project: value }));
      }),
    );
  });
});

describe('error replies', () => {
  const shape = (code: ErrorCode, family: Parameters<typeof shapeError>[1]) =>
    shapeError(new VbsError(code), family, 'req-1');

  test('the documented forms', () => {
    assert.deepEqual(shape('BACKUP_NAME_RESERVED', 'vbs'), {
      status: 400,
      body: { error: { code: 'VolumeBackup.0005', message: 'name must not begin with "auto"' } },
    });
    assert.deepEqual(shape('BACKUP_NAME_RESERVED', 'native2').body, {
      badRequest: { code: 400, message: 'name must not begin with "auto"', error_code: 'VolumeBackup.0005' },
    });
    const missing = shapeError(new VbsError('BACKUP_NOT_FOUND', { backupId: 'b' }), 'native3', 'req-1');
    assert.deepEqual(missing.body, { itemNotFound: { code: 404, message: 'Backup b could not be found.' } });
    assert.deepEqual(Object.keys(shape('TOKEN_INVALID', 'native3').body), ['error']);
  });

  test('statuses that differ by family', () => {
    assert.equal(shape('PROJECT_MISMATCH', 'native3').status, 400);
    assert.equal(shape('PROJECT_MISMATCH', 'vbs').status, 403);
    assert.equal(shape('ROLES_EMPTY', 'native3').status, 403);
    assert.equal(shape('ROLES_EMPTY', 'vbs').status, 401);
    assert.equal(shape('BACKUP_IN_PROGRESS', 'vbs').status, 409);
    assert.equal(shape('BACKUP_IN_PROGRESS', 'native2').status, 400);
    const quota = shape('QUOTA_BACKUPS_EXCEEDED', 'native3');
    assert.equal(quota.status, 413);
    assert.deepEqual(Object.keys(quota.body.overLimit as object), ['code', 'message', 'retryAfter']);
    assert.equal(shape('QUOTA_BACKUPS_EXCEEDED', 'vbs').status, 400);
  });

  test('codes and statuses of the policy family', () => {
    const cases: [ErrorCode, number, string][] = [
      ['TOKEN_MISSING', 401, 'AutoBackup.0002'],
      ['TOKEN_INVALID', 401, 'AutoBackup.0003'],
      ['ROLES_EMPTY', 401, 'AutoBackup.0005'],
      ['ROLE_DENIED', 403, 'AutoBackup.0213'],
      ['PROJECT_MISMATCH', 403, 'AutoBackup.0213'],
      ['REQUEST_MALFORMED', 400, 'AutoBackup.0008'],
      ['MEDIA_TYPE_UNSUPPORTED', 400, 'AutoBackup.0008'],
      ['REQUEST_TOO_LARGE', 413, 'AutoBackup.0008'],
      ['MARKER_NOT_FOUND', 400, 'AutoBackup.0008'],
      ['QUOTA_BACKUPS_EXCEEDED', 400, 'AutoBackup.0218'],
      ['QUOTA_BACKUP_GIGABYTES_EXCEEDED', 400, 'AutoBackup.0218'],
      ['POLICY_NOT_FOUND', 404, 'AutoBackup.0205'],
      ['POLICY_RUNNING', 409, 'AutoBackup.0225'],
      ['POLICY_DELETION_FAILED', 500, 'AutoBackup.1300'],
      ['POLICY_RUN_FAILED', 500, 'AutoBackup.1700'],
      ['CATALOG_UNAVAILABLE', 503, 'AutoBackup.0009'],
      ['INTERNAL', 500, 'AutoBackup.0009'],
    ];
    for (const [code, status, wire] of cases) {
      const { status: given, body } = shape(code, 'policy');
      assert.deepEqual([given, Object.keys(body)], [status, ['error']], code);
      const error = body.error as Record<string, unknown>;
      assert.deepEqual([Object.keys(error), error.code], [['code', 'message'], wire], code);
    }
  });

  test('every code has one key and an integer or VBS code in each family', () => {
    for (const code of Object.keys(ERROR_TABLE) as ErrorCode[]) {
      for (const family of ['vbs', 'policy', 'native2', 'native3', 'identity', 'plain'] as const) {
        const { status, body } = shape(code, family);
        const keys = Object.keys(body);
        assert.equal(keys.length, 1, code);
        const fault = body[keys[0] ?? ''] as { code: unknown; message: unknown };
        if (family === 'policy') assert.match(String(fault.code), /^AutoBackup\.\d{4}$/);
        else if (family === 'vbs') assert.match(String(fault.code), /^(VolumeBackup|AutoBackup|common)\.\d{4}$/);
        else assert.equal(fault.code, status);
        if (status >= 500) assert.equal(fault.message, `${code} (request req-1)`);
      }
    }
  });

  test('what is not ours is an internal error that tells nothing', () => {
    const { status, body } = shapeError(toVbsError(new Error('secret at /srv/key')), 'native3', 'req-1');
    assert.equal(status, 500);
    assert.ok(!JSON.stringify(body).includes('secret'));
    assert.equal(toVbsError('text').code, 'INTERNAL');
  });
});
