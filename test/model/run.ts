// Runs random schedules of the model, or one again:
//   npx node test/model/run.ts [count] [first seed]     many; SECONDS=60 ends earlier; GO_ON=1 goes on after a find
//   npx node test/model/run.ts mutations [count] [part of a name]
//                                                       each mechanism taken away, until that is noticed
//   SEED=17 npx node test/model/run.ts                  one, with everything that happens in it
//   SEED=17 SHRINK=1 npx node test/model/run.ts         the same with as little in its plan as shows something wrong
//   MUTATION='the fence' PROFILE=0 ...                  without one of the mechanisms (test/model/mutations.ts)
import { parseArgs } from 'node:util';
import { MUTATIONS } from './mutations.ts';
import { runSchedule } from './schedule.ts';
import { shrinkSchedule } from './shrink.ts';
import type { Mutation } from './world.ts';

const { MUTATION, SEED, SHRINK, SECONDS, GO_ON, PROFILE } = process.env;
const [what = '1000', amount, part = ''] = parseArgs({ allowPositionals: true }).positionals;
const mutation = MUTATIONS.find(({ name }) => name === MUTATION);
if (MUTATION !== undefined && !mutation) throw new Error(`no such mutation: ${MUTATION}`);
const profile = PROFILE === undefined ? undefined : Number(PROFILE);

/** Schedules in which a mechanism that was taken away must be missed. */
const MUTATION_RUN_MAX = 400;

if (SEED !== undefined) await runOne(Number(SEED));
else if (what === 'mutations') await runMutations(Number(amount ?? MUTATION_RUN_MAX), part);
else await runMany(Number(what), Number(amount ?? 1));

async function runMany(count: number, firstSeed: number): Promise<void> {
  const startAt = performance.now();
  const seconds = () => (performance.now() - startAt) / 1000;
  let stepCount = 0;
  let doneCount = 0;
  while (doneCount < count && seconds() < Number(SECONDS ?? Number.POSITIVE_INFINITY)) {
    const seed = firstSeed + doneCount;
    const outcome = await runSchedule({ seed, mutation, profile });
    doneCount += 1;
    stepCount += outcome.stepCount;
    if (!outcome.violation) continue;
    console.error(`SEED=${seed}: ${outcome.violation}`);
    process.exitCode = 1;
    if (GO_ON === undefined) break;
  }
  console.log(`${doneCount} schedules from seed ${firstSeed}, ${stepCount} steps, ${seconds().toFixed(1)} s`);
}

async function runOne(seed: number): Promise<void> {
  const options = { seed, mutation, profile };
  const plan = SHRINK === undefined ? undefined : (await shrinkSchedule(options)).plan;
  const { violation } = await runSchedule({ ...options, plan, trace: (line) => console.log(line) });
  console.log(violation ?? 'nothing was found');
}

async function runMutations(count: number, wanted: string): Promise<void> {
  for (const each of MUTATIONS.filter(({ name }) => name.includes(wanted))) {
    // Too rare for chance, unless somebody asks for it by name.
    if (each.isScripted && wanted === '') continue;
    const startAt = performance.now();
    const caught = await findViolation(each, count);
    const seconds = ((performance.now() - startAt) / 1000).toFixed(1);
    const where = caught ? `seed ${caught.seed}` : 'NOT CAUGHT';
    console.log(`${where}, ${seconds} s: ${each.name}: ${caught?.violation ?? ''}`);
    if (!caught) process.exitCode = 1;
  }
}

async function findViolation(without: Mutation, count: number) {
  for (let seed = 1; seed <= count; seed += 1) {
    const { violation } = await runSchedule({ seed, mutation: without, profile: without.profile ?? 0 });
    if (violation !== undefined) return { seed, violation };
  }
  return undefined;
}
