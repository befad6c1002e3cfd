// Verification's transactions (src/engine/README.md): which packs wait to be read, what was found in them, and which
// backups are damaged by it. Callers hold the project's lock.
import { countCommon, subtractBitmap, uniteBitmaps } from '../core/bitmap.ts';
import type { PackId, ProjectId } from '../core/ids.ts';
import type { BackupFinding, LivePack, PackFinding, RootBackup, VerificationState } from '../core/ledger.ts';
import type { Executor } from './database.ts';
import { toCommitted } from './ledger-pins.ts';
import { toLivePacks } from './ledger-prune.ts';

export async function listPacksToVerify(
  executor: Executor,
  projectId: ProjectId,
  beforeAt: number,
  limit: number,
): Promise<LivePack[]> {
  const rows = await executor
    .selectFrom('packs')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('state', '=', 'live')
    .where('verified_at', '<', beforeAt)
    .orderBy('verified_at')
    .orderBy('pack_number')
    .limit(limit)
    .execute();
  return await toLivePacks(executor, rows);
}

export async function noteFinding(executor: Executor, projectId: ProjectId, finding: PackFinding): Promise<boolean> {
  const row = await executor
    .selectFrom('packs')
    .select(['condemned', 'bad', 'verified_at'])
    .where('pack_id', '=', finding.packId)
    .where('project_id', '=', projectId)
    .where('state', '=', 'live')
    .where('object_id', '=', finding.objectId)
    .executeTakeFirst();
  if (row === undefined) {
    return false;
  }
  // Of a pack that was read as a whole all is known: whoever distrusted it had seen a part.
  const kept = finding.verifiedAt === undefined ? subtractBitmap(row.bad, finding.sound) : null;
  // What was condemned is never needed again, whatever its state.
  const bad = subtractBitmap(uniteBitmaps(kept, finding.bad), row.condemned);
  const verified_at = finding.verifiedAt ?? row.verified_at;
  await executor.updateTable('packs').set({ bad, verified_at }).where('pack_id', '=', finding.packId).execute();
  return true;
}

export async function noteBackup(
  executor: Executor,
  projectId: ProjectId,
  finding: BackupFinding,
  nowAt: number,
): Promise<boolean> {
  const row = await executor
    .selectFrom('backups')
    .select(['is_damaged', 'status'])
    .where('backup_id', '=', finding.backupId)
    .where('project_id', '=', projectId)
    .where('attempt_id', '=', finding.attemptId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  if (row === undefined) {
    return false;
  }
  if (finding.isSound && (await leadsToBadSlots(executor, projectId, finding.reached))) {
    return false;
  }
  // A backup that was good before keeps what its row says of other failures.
  if (!finding.isSound || row.is_damaged === 1) {
    // Where a restore had failed by damage that is mended now, it can be restored again.
    const status = row.status === 'error_restoring' ? ('available' as const) : undefined;
    const columns = finding.isSound
      ? { is_damaged: 0 as const, fail_reason: null, ...(status && { status }) }
      : { is_damaged: 1 as const, fail_reason: finding.reason };
    await executor
      .updateTable('backups')
      .set({ ...columns, updated_at: nowAt })
      .where('backup_id', '=', finding.backupId)
      .execute();
  }
  return true;
}

async function leadsToBadSlots(
  executor: Executor,
  projectId: ProjectId,
  reached: Iterable<readonly [PackId, Uint8Array]>,
): Promise<boolean> {
  const rows = await executor
    .selectFrom('packs')
    .select(['pack_id', 'bad'])
    .where('project_id', '=', projectId)
    .where('state', '<>', 'retired')
    .where('bad', 'is not', null)
    .execute();
  if (rows.length === 0) {
    return false;
  }
  const badOf = new Map<string, Uint8Array | null>(rows.map((row) => [row.pack_id, row.bad]));
  for (const [packId, slots] of reached) {
    if (countCommon(badOf.get(packId), slots) > 0) {
      return true;
    }
  }
  return false;
}

export async function listDamagedBackups(
  executor: Executor,
  projectId: ProjectId,
): Promise<(RootBackup & { readonly reason: string })[]> {
  const rows = await executor
    .selectFrom('backups')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('is_damaged', '=', 1)
    .where('deleted_at', 'is', null)
    .orderBy('created_at')
    .execute();
  return rows.flatMap((row) => {
    const committed = toCommitted(row);
    // The cast: rows of backups hold only what was typed.
    const volumeId = row.volume_id as RootBackup['volumeId'];
    return committed === undefined
      ? []
      : [{ ...committed, volumeId, isBeingDeleted: false, reason: row.fail_reason ?? '' }];
  });
}

export async function readVerification(executor: Executor, projectId: ProjectId): Promise<VerificationState> {
  const live = executor.selectFrom('packs').where('project_id', '=', projectId).where('state', '=', 'live');
  const all = await live
    .select(({ fn }) => [
      fn.countAll<number>().as('count'),
      fn.sum<number | null>('stored_bytes').as('bytes'),
      fn.min('verified_at').as('oldest'),
    ])
    .executeTakeFirst();
  const never = await live
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('verified_at', '=', 0)
    .executeTakeFirst();
  const damaged = await live
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('bad', 'is not', null)
    .executeTakeFirst();
  return {
    packCount: Number(all?.count ?? 0),
    storedBytes: Number(all?.bytes ?? 0),
    neverVerifiedCount: Number(never?.count ?? 0),
    oldestVerifiedAt: all?.oldest ?? undefined,
    damagedPackCount: Number(damaged?.count ?? 0),
  };
}
