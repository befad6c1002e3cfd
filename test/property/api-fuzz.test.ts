// Random requests to every route, each with at most one thing wrong; see support/api-fuzz.ts for what must hold. A long
// run is among the heavy tests.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newFuzzSeed, runFuzz } from '../support/api-fuzz.ts';

const REQUESTS_PER_ROUTE = 3;

test('no request makes the server fail, hang, or change anything that it refuses to change', async (context) => {
  const seed = newFuzzSeed();
  const { requestCount, acceptedCount, failures } = await runFuzz(seed, REQUESTS_PER_ROUTE);
  context.diagnostic(`seed ${seed}: ${requestCount} requests, ${acceptedCount} of them accepted`);
  assert.deepEqual(failures, [], `OPENVBS_TEST_SEED=${seed}`);
  assert(acceptedCount > requestCount / 8, 'most requests must get beyond the first check');
});
