// Repairs a project's part of the repository: looks at all that is thought to be damaged once more, puts contents that
// are still found back into their slots, and takes the mark off backups that a verification shows to be whole. Nothing
// is deleted but the objects that were written anew. It may be cut short anywhere and run again.
import type { BackupId, PackId, ProjectId } from '../../core/ids.ts';
import type { LivePack } from '../../core/ledger.ts';
import { PRUNE_REPORT_MAX } from '../../core/limits.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { isUnreadable } from '../unreadable.ts';
import type { OpenVolume } from './content-sources.ts';
import { type DamagedBackup, type DamageFinder, markDamagedBackups } from './damaged-backups.ts';
import { type KeyGap, mendKeys } from './key-copies.ts';
import { repairPack } from './repair-pack.ts';
import { verifyCommitted } from './verify-backup.ts';
import { verifyPacks } from './verify-packs.ts';

export type RepairReport = {
  readonly projectId: ProjectId;
  /** Packs that had bad slots at the second look. */
  damagedPackCount: number;
  /** Chunks and pages that have their contents again, and those that nobody has. */
  healedCount: number;
  lostCount: number;
  rebuiltTrailerCount: number;
  /** Copies of keys in the store that were put right. */
  mendedKeys: readonly KeyGap[];
  /** Backups that are whole again. */
  mendedBackupIds: BackupId[];
  /** Backups that are damaged still. */
  damagedBackupIds: readonly BackupId[];
  /** Packs that could not be worked on; they are as they were. */
  problems: { readonly packId: PackId; readonly message: string }[];
};

export type RepairOptions = { readonly openVolume: OpenVolume };

const PACK_BATCH_COUNT = 500;

/** @throws EPOCH_CONFLICT, STORAGE_FULL, STORAGE_IO when the store as a whole does not answer; the signal's reason */
export async function repairProject(
  repository: Repository,
  projectId: ProjectId,
  { openVolume }: RepairOptions,
  signal: AbortSignal,
): Promise<RepairReport> {
  const counts = { damagedPackCount: 0, healedCount: 0, lostCount: 0, rebuiltTrailerCount: 0 };
  const lists = { mendedKeys: [], mendedBackupIds: [], damagedBackupIds: [], problems: [] };
  const report: RepairReport = { projectId, ...counts, ...lists };
  if ((await repository.ledger.readEpoch(projectId)) === undefined) return report;
  const project = await repository.openProject(projectId);
  await repository.checkEpoch(project);
  report.mendedKeys = await mendKeys(repository, project);
  // What one reading called bad may be read the next time, and of a pack that was distrusted nothing is known yet.
  await verifyPacks(repository, project, await listDamaged(repository, project), { signal });
  // Pages first: only through them is it known where on a disk a chunk once stood.
  for (const kind of ['page', 'data'] as const) {
    const { finder } = await markDamagedBackups(repository, project, signal);
    for (const pack of await listDamaged(repository, project)) {
      if (pack.kind !== kind) continue;
      report.damagedPackCount += 1;
      await tryRepair({ repository, project, openVolume, signal, report }, pack, finder);
    }
  }
  const { damaged } = await markDamagedBackups(repository, project, signal);
  await lookAgain(repository, project, { damaged, report, signal });
  return report;
}

type Run = {
  readonly repository: Repository;
  readonly project: OpenProject;
  readonly openVolume: OpenVolume;
  readonly signal: AbortSignal;
  readonly report: RepairReport;
};

/** One pack that cannot be repaired must not keep the others. */
async function tryRepair(run: Run, pack: LivePack, finder: DamageFinder): Promise<void> {
  const { repository, project, openVolume, signal, report } = run;
  try {
    const repair = await repairPack(repository, project, pack, { finder, openVolume, signal });
    report.healedCount += repair.healedCount;
    report.lostCount += repair.lostCount;
    if (repair.isTrailerRebuilt) report.rebuiltTrailerCount += 1;
    const [current] = await repository.ledger.locatePacks(project.projectId, [pack.packId]);
    // Nothing is believed to be mended that was not read back.
    if (current) await verifyPacks(repository, project, [{ ...current, slotCount: pack.slotCount }], { signal });
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    const message = error instanceof Error ? error.message : String(error);
    repository.logger.error({ err: error, packId: pack.packId }, 'a pack could not be repaired');
    if (report.problems.length < PRUNE_REPORT_MAX) report.problems.push({ packId: pack.packId, message });
  }
}

/** The mark goes only when all of the backup was read. */
async function lookAgain(
  repository: Repository,
  project: OpenProject,
  rest: { readonly damaged: readonly DamagedBackup[]; readonly report: RepairReport; readonly signal: AbortSignal },
): Promise<void> {
  const { damaged, report, signal } = rest;
  const { ledger } = repository;
  const still = new Set(damaged.map(({ root }) => root.backupId));
  for (const backup of await ledger.listDamagedBackups(project.projectId)) {
    if (still.has(backup.backupId)) continue;
    const verdict = await verifyCommitted(repository, project, backup, { report: () => undefined, signal });
    if (verdict.isSound) report.mendedBackupIds.push(backup.backupId);
    else still.add(backup.backupId);
  }
  report.damagedBackupIds = [...still];
}

async function listDamaged({ ledger }: Repository, { projectId }: OpenProject): Promise<LivePack[]> {
  const damagedIds = new Set(await ledger.listDamagedPacks(projectId));
  const found: LivePack[] = [];
  for (let afterNumber = -1; damagedIds.size > 0; ) {
    const packs = await ledger.listLivePacks(projectId, afterNumber, PACK_BATCH_COUNT);
    const last = packs.at(-1);
    if (!last) break;
    found.push(...packs.filter(({ packId }) => damagedIds.has(packId)));
    afterNumber = last.packNumber;
  }
  return found;
}
