// What is so now, for operators to watch: the catalog's view of all projects, and the room that the repository has.
import { statfs } from 'node:fs/promises';
import type { CurrentState } from '../core/metrics.ts';
import type { Clock } from '../core/ports.ts';
import type { Catalog } from '../db/catalog.ts';

export type CurrentStateDeps = {
  readonly catalog: Pick<Catalog, 'overview'>;
  readonly clock: Clock;
  /** Where the repository lies. */
  readonly folder: string;
  /** Days within which everything is promised to be verified; 0: nothing is promised. */
  readonly scrubDays: number;
};

const DAY_MS = 24 * 3600 * 1000;
/** Rounds of the scrub, and a service that is stopped for a moment, must not look like a broken promise. */
const SCRUB_SLACK_MS = DAY_MS;

/** @throws CATALOG_UNAVAILABLE; an error of the file system when the folder is not there */
export async function readCurrentState({ catalog, clock, folder, scrubDays }: CurrentStateDeps): Promise<CurrentState> {
  const overview = await catalog.overview.read();
  const { bavail, bsize, blocks } = await statfs(folder);
  const lateBefore = clock.now() - scrubDays * DAY_MS - SCRUB_SLACK_MS;
  const { oldestVerifiedAt } = overview;
  return {
    ...overview,
    isScrubLate: scrubDays > 0 && oldestVerifiedAt !== undefined && oldestVerifiedAt < lateBefore,
    repositoryFreeBytes: bavail * bsize,
    repositoryDiskBytes: blocks * bsize,
  };
}
