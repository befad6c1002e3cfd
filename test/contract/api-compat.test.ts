// What docs/api-compat.md calls refused answers as it says there: no such path, or not with this method.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newHexId, newUuid, type ProjectId } from '../../src/core/ids.ts';
import { servedKeys, supportOf } from '../../tools/api-compat.ts';
import { OPERATIONS } from '../../tools/api-operations.ts';
import { ApiBench } from '../support/api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await ApiBench.start();
});
after(() => bench[Symbol.asyncDispose]());

test('refused operations are 404 or 405 in the form of their family, for admins too', async () => {
  const served = servedKeys();
  const refused = OPERATIONS.filter((operation) => supportOf(operation, served) === 'refused');
  for (const { method, path } of refused.flatMap((operation) => operation.routes)) {
    const url = path.replaceAll(/\{(\w+)\}/g, (_match, name: string) => {
      if (name === 'project_id') return bench.admin.projectId;
      return name === 'quota_project_id' ? newHexId<ProjectId>() : newUuid();
    });
    const answer = await bench.send(method, url, {
      token: bench.admin.token,
      headers: url.startsWith('/v3') ? { 'openstack-api-version': 'volume 3.71' } : {},
    });
    const expected = answer.statusCode === 405 ? 'badMethod' : 'itemNotFound';
    assert.ok(answer.statusCode === 404 || answer.statusCode === 405, `${method} ${url}: ${answer.body}`);
    assert.deepEqual(Object.keys(answer.json<object>()), [expected], `${method} ${url}`);
  }
});
