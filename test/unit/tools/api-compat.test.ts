import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { COMPAT_DOC, listExtensions, renderCompatDoc, servedKeys, supportOf } from '../../../tools/api-compat.ts';
import { OPERATIONS } from '../../../tools/api-operations.ts';

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_none, index) => first + index);
}

describe('docs/api-compat.md', () => {
  test('is what the routes of the server and the table of operations make', () => {
    assert.equal(readFileSync(COMPAT_DOC, 'utf8'), renderCompatDoc(), 'run node tools/api-compat.ts');
  });

  test('names every operation of the contract once', () => {
    const numbers = OPERATIONS.map((operation) => operation.number).sort((a, b) => a - b);
    assert.deepEqual(numbers, [...range(1, 33), ...range(40, 51), ...range(60, 85), ...range(90, 95)]);
    const routes = OPERATIONS.filter(({ number }) => number !== 43 && number !== 44 && number !== 51).flatMap(
      (operation) => operation.routes.map(({ method, path }) => `${method} ${path}`),
    );
    assert.equal(new Set(routes).size, routes.length);
  });

  test('the VBS families are offered, every one of them', () => {
    const served = servedKeys();
    for (const operation of OPERATIONS.filter(({ number }) => number < 40)) {
      assert.equal(supportOf(operation, served), 'full', String(operation.number));
    }
  });

  test('of the native API everything is offered but images and what is no part of a backup service', () => {
    const served = servedKeys();
    const others = OPERATIONS.filter((operation) => supportOf(operation, served) !== 'full');
    assert.deepEqual(
      others.map((operation) => [operation.number, supportOf(operation, served)]),
      [
        [60, 'partial'],
        [84, 'refused'],
      ],
    );
  });

  test('whatever else the server answers is named as an extension', () => {
    const paths = listExtensions().map(({ method, path }) => `${method} ${path}`);
    for (const path of ['GET /v1/:project_id/traces', 'GET /v1/:project_id/backups/:backup_id/data']) {
      assert.ok(paths.includes(path), path);
    }
    assert.ok(paths.every((path) => !path.includes('/auth/')));
  });
});
