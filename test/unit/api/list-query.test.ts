// Paging and sorting of lists (contract 1.8).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { checkJobId, parseJobFilter } from '../../../src/api/schemas/jobs.ts';
import { parseListPage, queryBoolean, queryText } from '../../../src/api/schemas/list-query.ts';
import { nextLink, resourceLinks } from '../../../src/api/views/links.ts';
import { expectCode, expectNoSurprise } from './expect-code.ts';

const ID = 'c41b9e07-2d5f-4c88-b1a6-0e7f63d2a915';
const KEYS = { id: 'id', created_at: 'createdAt', name: 'name', disk_format: null } as const;
const parse = (query: Record<string, string>) => parseListPage(query, KEYS);

describe('limit and offset', () => {
  test('absent and too large limits are 1000, 0 is kept', () => {
    assert.equal(parse({}).limit, 1000);
    assert.equal(parse({ limit: '1001' }).limit, 1000);
    assert.equal(parse({ limit: '1000' }).limit, 1000);
    assert.equal(parse({ limit: '0' }).limit, 0);
    assert.equal(parse({}).offset, 0);
  });
  for (const value of ['-1', '1.5', 'all', '', ' ', '1e3', '0x10', '9'.repeat(30)]) {
    test(`"${value}" is refused`, () => {
      expectCode('REQUEST_FIELD_INVALID', () => parse({ limit: value }));
      expectCode('REQUEST_FIELD_INVALID', () => parse({ offset: value }));
    });
  }
});

describe('sort', () => {
  test('both styles, defaults and idle keys', () => {
    assert.deepEqual(parse({}).sort, []);
    assert.deepEqual(parse({ sort: 'created_at:asc,id' }).sort, [
      { key: 'createdAt', direction: 'asc' },
      { key: 'id', direction: 'desc' },
    ]);
    assert.deepEqual(parse({ sort_key: 'name', sort_dir: 'asc' }).sort, [{ key: 'name', direction: 'asc' }]);
    assert.deepEqual(parse({ sort_key: 'name' }).sort, [{ key: 'name', direction: 'desc' }]);
    assert.deepEqual(parse({ sort_dir: 'asc' }).sort, [{ key: 'createdAt', direction: 'asc' }]);
    assert.deepEqual(parse({ sort: 'disk_format:asc' }).sort, []);
    assert.deepEqual(parse({ sort: 'id:asc,id:desc' }).sort, [{ key: 'id', direction: 'asc' }]);
  });
  test('mixed styles, unknown keys and directions are refused', () => {
    const wrong = [
      { sort: 'id', sort_key: 'id' },
      { sort: 'id', sort_dir: 'asc' },
      { sort: 'colour' },
      { sort: '' },
      { sort: 'id:up' },
      { sort: 'id:asc:desc' },
      { sort_key: 'constructor' },
      { sort_dir: 'ASC' },
    ];
    for (const query of wrong) expectCode('REQUEST_FIELD_INVALID', () => parse(query as Record<string, string>));
  });
});

test('a marker that can be no id is an unknown marker', () => {
  assert.equal(parse({ marker: ID.toUpperCase() }).markerId, ID);
  expectCode('MARKER_NOT_FOUND', () => parse({ marker: 'first' }));
});

test('values: the first of several, booleans as words, nothing that no store holds', () => {
  assert.equal(queryText({ name: ['a', 'b'] }, 'name'), 'a');
  assert.equal(queryBoolean({ all: 'On' }, 'all'), true);
  assert.equal(queryBoolean({ all: 'F' }, 'all'), false);
  expectCode('REQUEST_FIELD_INVALID', () => queryBoolean({ all: '' }, 'all'));
  expectCode('REQUEST_FIELD_INVALID', () => queryText({ name: 'a\0' }, 'name'));
});

test('the next link repeats the query without offset', () => {
  const link = nextLink({
    origin: 'https://vbs.example.net',
    path: '/v3/p/backups',
    query: 'limit=1&with_count=true&offset=4',
    limit: 1,
    lastId: ID,
  });
  assert.equal(link.href, `https://vbs.example.net/v3/p/backups?limit=1&with_count=true&marker=${ID}`);
});

test('links have the project of the path, or none', () => {
  const [self, bookmark] = resourceLinks({ origin: 'http://h', version: 'v3', project: 'p' }, 'backups', ID);
  assert.deepEqual([self?.href, bookmark?.href], [`http://h/v3/p/backups/${ID}`, `http://h/p/backups/${ID}`]);
  const [bare] = resourceLinks({ origin: 'http://h', version: 'v3', project: undefined }, 'backups', ID);
  assert.equal(bare?.href, `http://h/v3/backups/${ID}`);
});

test('jobs are found by UUID and by its 32 digits', () => {
  assert.equal(checkJobId(ID.replaceAll('-', '')), ID);
  expectCode('JOB_NOT_FOUND', () => checkJobId('job-1'));
  assert.deepEqual(parseJobFilter({ status: 'FAIL', job_type: 'bksRestoreBackup' }), {
    status: 'FAIL',
    kind: 'restore',
  });
  expectCode('REQUEST_FIELD_INVALID', () => parseJobFilter({ status: 'fail' }));
  expectCode('REQUEST_FIELD_INVALID', () => parseJobFilter({ job_type: 'backup' }));
});

test('no query leads to anything but a code of the table', () => {
  const queries = fc.dictionary(
    fc.constantFrom('limit', 'offset', 'marker', 'sort', 'sort_key', 'sort_dir'),
    fc.string(),
  );
  fc.assert(fc.property(queries, (query) => expectNoSurprise(() => parse(query))));
});
