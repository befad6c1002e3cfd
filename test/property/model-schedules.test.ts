// Random schedules of everything that may run at once (docs/testing.md), a few of them; test/heavy has many.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSchedule } from '../model/schedule.ts';

const RUN_COUNT = Number(process.env.OPENVBS_TEST_RUNS ?? 12);

test('in random schedules no backup is lost, and what nobody needs is gone at the end', async () => {
  for (let seed = 1; seed <= RUN_COUNT; seed += 1) {
    const { violation } = await runSchedule({ seed });
    assert.equal(violation, undefined, `SEED=${seed} npx node test/model/run.ts`);
  }
});

test('a seed makes the same schedule each time', async () => {
  const run = async () => {
    const lines: string[] = [];
    const { stepCount } = await runSchedule({ seed: 7, trace: (line) => lines.push(line) });
    assert(stepCount > 100, 'something was scheduled');
    return lines;
  };
  assert.deepEqual(await run(), await run());
});

test('a schedule whose plan is cut down runs as it is planned', async () => {
  const whole = await runSchedule({ seed: 7 });
  const plan = whole.plan.filter(({ operation }) => operation === 'full-backup');
  const part = await runSchedule({ seed: 7, plan });
  assert.deepEqual(part.plan, plan);
  assert(part.stepCount < whole.stepCount);
});
