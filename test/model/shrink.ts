// Makes a schedule that shows something wrong as short as it gets: what is asked for is left out piece by piece, as
// long as something wrong still shows.
import { type Outcome, runSchedule, type ScheduleOptions } from './schedule.ts';

/** The outcome of the shortest plan that was found. `options` must lead to a violation. */
export async function shrinkSchedule(options: ScheduleOptions): Promise<Outcome> {
  let best = await runSchedule(options);
  for (let size = Math.ceil(best.plan.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.plan.length; ) {
      const plan = best.plan.toSpliced(at, size);
      const outcome = await runSchedule({ ...options, plan });
      if (outcome.violation === undefined) at += size;
      else best = outcome;
    }
  }
  return best;
}
