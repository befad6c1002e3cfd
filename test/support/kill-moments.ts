// When a test kills: as often as OPENVBS_TEST_KILLS says, at moments that are spread evenly and the same for a seed.
import assert from 'node:assert/strict';
import { makeRandom } from './disk-files.ts';

/** OPENVBS_TEST_KILLS, or what the test takes for enough. */
export function readKillCount(usualCount: number): number {
  const count = Number(process.env.OPENVBS_TEST_KILLS ?? usualCount);
  assert(Number.isSafeInteger(count) && count > 0, `OPENVBS_TEST_KILLS is ${count}`);
  return count;
}

/**
 * Parts of a duration, 0 to 1: one at random in each of `count` equal parts of it, in random order. So every part is
 * met whatever the seed.
 */
export function drawMoments(seed: string, count: number): number[] {
  const random = makeRandom(`moments/${seed}`);
  const moments = Array.from({ length: count }, (_, index) => (index + random()) / count);
  for (let last = count - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [moments[last], moments[other]] = [moments[other] ?? 0, moments[last] ?? 0];
  }
  return moments;
}

/** What came out of kills, in one line. */
export function countOutcomes(outcomes: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const outcome of outcomes) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  const parts = [...counts].sort(([a], [b]) => a.localeCompare(b)).map(([outcome, count]) => `${count} ${outcome}`);
  return `${outcomes.length} kills: ${parts.join(', ')}`;
}
