// What a process does besides jobs: sweep, prune, check, repair, scrub, adopt.
import type { VolumeId } from '../../src/core/ids.ts';
import { type AdoptionReport, adoptProject } from '../../src/engine/prune/adopt-project.ts';
import { runPrune } from '../../src/engine/prune/run-prune.ts';
import { sweepTrash } from '../../src/engine/sweep.ts';
import { checkProject } from '../../src/engine/verify/check-project.ts';
import { repairProject } from '../../src/engine/verify/repair-project.ts';
import { scrubProject } from '../../src/engine/verify/scrub-project.ts';
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

/** What an operator does when the store is ahead of its catalog. Answers nothing when it failed. */
export async function adopt(world: World, { repository }: Process): Promise<AdoptionReport | undefined> {
  try {
    return await adoptProject(repository, world.projectId, {}, new AbortController().signal);
  } catch (error) {
    noteUnexpected(world, 'an adoption', error);
    return undefined;
  }
}

/** Looks at all of the repository. `readShare`: part of the data that is read, 0 to 1. */
export async function check(world: World, { repository }: Process, readShare = 1): Promise<void> {
  try {
    const report = await checkProject(repository, world.projectId, { readShare }, new AbortController().signal);
    const [first] = [...report.damage, ...report.gaps, ...report.keyGaps];
    if (report.isSound) return;
    const isKnown = report.damagedBackupIds.length > 0;
    world.noteDamage('a check', isKnown ? report.damagedBackupIds : undefined, JSON.stringify(first));
  } catch (error) {
    noteUnexpected(world, 'a check', error);
  }
}

export async function repair(world: World, { repository }: Process): Promise<void> {
  const openVolume = async (volumeId: VolumeId) => {
    const volume = world.volumes.find((each) => each.volumeId === volumeId);
    return volume && world.disks.descriptor(volume.contents);
  };
  try {
    const options = { openVolume };
    const report = await repairProject(repository, world.projectId, options, new AbortController().signal);
    const { damagedBackupIds, lostCount } = report;
    if (damagedBackupIds.length > 0) world.noteDamage('a repair', damagedBackupIds, `${lostCount} slots are lost`);
  } catch (error) {
    noteUnexpected(world, 'a repair', error);
  }
}

export async function scrub(world: World, { repository }: Process): Promise<void> {
  const options = { beforeAt: world.clock.now() + 1, maxBytes: Number.MAX_SAFE_INTEGER };
  try {
    const { damage, damagedBackupIds } = await scrubProject(
      repository,
      world.projectId,
      options,
      new AbortController().signal,
    );
    if (damage.length > 0) world.noteDamage('a scrub', damagedBackupIds, JSON.stringify(damage[0]));
  } catch (error) {
    noteUnexpected(world, 'a scrub', error);
  }
}
