// The random requests of property/api-fuzz.test.ts for a minute: a new world for every round.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newFuzzSeed, runFuzz } from '../support/api-fuzz.ts';

const DURATION_MS = 60_000;
const REQUESTS_PER_ROUTE = 12;

test('no request of a minute of them makes the server fail, hang, or change what it refuses to', async (context) => {
  const firstSeed = newFuzzSeed();
  const beganAt = performance.now();
  let count = 0;
  for (let round = 0; performance.now() - beganAt < DURATION_MS; round += 1) {
    const seed = firstSeed + round;
    const { requestCount, failures } = await runFuzz(seed, REQUESTS_PER_ROUTE);
    assert.deepEqual(failures, [], `OPENVBS_TEST_SEED=${seed}, REQUESTS_PER_ROUTE ${REQUESTS_PER_ROUTE}`);
    count += requestCount;
  }
  context.diagnostic(`seed ${firstSeed}: ${count} requests`);
});
