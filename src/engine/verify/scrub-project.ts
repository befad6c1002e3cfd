// Scrub: reads packs as a whole, those that wait longest first, until a number of bytes was read. It is how damage is
// found before somebody needs what is damaged.
import type { Pace } from '../../core/background-pace.ts';
import type { BackupId, ProjectId } from '../../core/ids.ts';
import type { Repository } from '../repository.ts';
import { markDamagedBackups } from './damaged-backups.ts';
import { type Damage, isDistrusted } from './verify-pack.ts';
import { verifyPacks } from './verify-packs.ts';

export type ScrubOptions = {
  /** Packs verified since this instant are left alone. */
  readonly beforeAt: number;
  /** No further pack is begun once this many bytes were read; distrusted packs do not count. */
  readonly maxBytes: number;
  /** Absent: as fast as it can, several packs at once. */
  readonly pace?: Pace | undefined;
};

export type ScrubReport = {
  readonly projectId: ProjectId;
  readonly readBytes: number;
  readonly packCount: number;
  readonly damage: readonly Damage[];
  readonly damagedBackupIds: readonly BackupId[];
};

/** Looked up at once: what they find is known to the catalog before more are begun. */
const BATCH_COUNT = 8;

/** It may be cut short anywhere and goes on where it was. @throws STORAGE_IO, EPOCH_CONFLICT; the signal's reason */
export async function scrubProject(
  repository: Repository,
  projectId: ProjectId,
  { beforeAt, maxBytes, pace }: ScrubOptions,
  signal: AbortSignal,
): Promise<ScrubReport> {
  const damage: Damage[] = [];
  let readBytes = 0;
  let packCount = 0;
  const report = (damagedBackupIds: readonly BackupId[]) => ({
    projectId,
    readBytes,
    packCount,
    damage,
    damagedBackupIds,
  });
  if ((await repository.ledger.readEpoch(projectId)) === undefined) return report([]);
  const project = await repository.openProject(projectId);
  await repository.checkEpoch(project);
  const looked = new Set<string>();
  for (;;) {
    signal.throwIfAborted();
    const listed = await repository.ledger.listPacksToVerify(projectId, beforeAt, BATCH_COUNT);
    const fresh = listed.filter(({ packId }) => !looked.has(packId));
    const urgent = fresh.filter(({ bad }) => bad !== null && isDistrusted(bad));
    const batch = readBytes < maxBytes ? takeUpTo(fresh, maxBytes - readBytes) : urgent;
    if (batch.length === 0) break;
    for (const { packId } of batch) looked.add(packId);
    const verdict = await verifyPacks(repository, project, batch, { pace, signal });
    damage.push(...verdict.damage);
    readBytes += verdict.readBytes;
    packCount += verdict.packCount;
  }
  if (damage.length === 0) return report([]);
  const { damaged } = await markDamagedBackups(repository, project, signal);
  return report(damaged.map(({ root }) => root.backupId));
}

/** At least one; more as long as they fit. */
function takeUpTo<Pack extends { readonly storedBytes: number }>(packs: readonly Pack[], maxBytes: number): Pack[] {
  let totalBytes = 0;
  return packs.filter((pack, i) => {
    totalBytes += pack.storedBytes;
    return i === 0 || totalBytes <= maxBytes;
  });
}
