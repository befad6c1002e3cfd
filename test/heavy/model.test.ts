// The model test at length (docs/testing.md): schedules from a new seed each time, and every mechanism of
// src/engine/README.md taken away in turn, which must be noticed.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { MUTATIONS } from '../model/mutations.ts';
import { runSchedule } from '../model/schedule.ts';

const RUN_MS = 60_000;
/** Drawn before anything runs: the model replaces the source of randomness of its process. */
const firstSeed = Number(process.env.OPENVBS_MODEL_SEED ?? randomInt(1, 2 ** 31));
/** Schedules in which a mechanism that was taken away must be missed. */
const MUTATION_RUN_MAX = 400;

test('a minute of random schedules loses no backup and leaves nothing behind', async (t) => {
  const endAt = performance.now() + RUN_MS;
  let seed = firstSeed;
  for (; performance.now() < endAt; seed += 1) {
    const { violation } = await runSchedule({ seed });
    assert.equal(violation, undefined, `SEED=${seed} npx node test/model/run.ts`);
  }
  assert(seed > firstSeed);
  t.diagnostic(`${seed - firstSeed} schedules from seed ${firstSeed}`);
});

for (const mutation of MUTATIONS.filter(({ isScripted }) => !isScripted)) {
  test(`the model notices when this is taken away: ${mutation.name}`, async (t) => {
    for (let seed = 1; seed <= MUTATION_RUN_MAX; seed += 1) {
      const { violation } = await runSchedule({ seed, mutation, profile: mutation.profile ?? 0 });
      if (violation === undefined) continue;
      t.diagnostic(`seed ${seed}: ${violation}`);
      return;
    }
    assert.fail(`not within ${MUTATION_RUN_MAX} schedules`);
  });
}
