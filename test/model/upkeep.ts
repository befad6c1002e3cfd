// What a process does besides jobs: sweep, prune, adopt.
import { adoptProject } from '../../src/engine/prune/adopt-project.ts';
import { runPrune } from '../../src/engine/prune/run-prune.ts';
import { sweepTrash } from '../../src/engine/sweep.ts';
import { noteUnexpected } from './jobs.ts';
import type { Process, World } from './world.ts';

export async function sweep(world: World, { repository }: Process): Promise<void> {
  try {
    await sweepTrash(repository, world.projectId);
  } catch (error) {
    noteUnexpected(world, 'a sweep', error);
  }
}

export async function prune(world: World, { repository }: Process): Promise<void> {
  try {
    await runPrune(repository, world.projectId, {}, new AbortController().signal);
  } catch (error) {
    noteUnexpected(world, 'a prune', error);
  }
}

/** What an operator does when the store is ahead of its catalog. */
export async function adopt(world: World, { repository }: Process): Promise<void> {
  try {
    await adoptProject(repository, world.projectId, {}, new AbortController().signal);
  } catch (error) {
    noteUnexpected(world, 'an adoption', error);
  }
}
