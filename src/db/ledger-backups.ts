// A backup's way through the catalog (src/engine/README.md): begun with its parent pinned, committed or failed in one
// transaction. Callers hold the project's lock; all but `failBackup` have checked the fence.
import { sql } from 'kysely';
import { VbsError } from '../core/errors.ts';
import type { AttemptId, BackupId, JobId, ProjectId, VolumeId } from '../core/ids.ts';
import type { BackupCommit, BaselineState, CommittedBackup, JobClaim } from '../core/ledger.ts';
import type { BackupStatus } from '../core/model.ts';
import { findBaselineOf, replaceBaseline } from './baseline-records.ts';
import { ROW_BATCH_COUNT, splitIntoBatches } from './batches.ts';
import type { Executor } from './database.ts';
import { requireClaim } from './fence.ts';
import { endJob } from './job-records.ts';
import { insertPin, isPinnedBy, releasePins, toCommitted } from './ledger-pins.ts';
import { retireWrittenPacks, trashRecords } from './ledger-trash.ts';
import type { BackupFailure } from './record-types.ts';

/** When the data of a backup was frozen. */
const DATA_TIME = sql<number>`coalesce(data_timestamp_at, created_at)`;

type BackupStart = {
  readonly backupId: BackupId;
  readonly volumeId: VolumeId;
  readonly attemptId: AttemptId;
  readonly isIncremental: boolean;
  /** The parent's data must be older than this, for backups of snapshots; epoch ms. */
  readonly parentBefore?: number | undefined;
};

/** A backup that an increment builds on, with what its driver kept to tell the changes since then. */
type BackupBase = { readonly parent: CommittedBackup | undefined; readonly baseline?: BaselineState | undefined };

/** Notes the attempt, so that its record has a name before it has bytes, and answers the pinned parent. */
export async function beginBackup(executor: Executor, claim: JobClaim, backup: BackupStart): Promise<BackupBase> {
  const row = await executor
    .selectFrom('backups')
    .select('backup_id')
    .where('backup_id', '=', backup.backupId)
    .where('project_id', '=', claim.projectId)
    .where('job_id', '=', claim.jobId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  if (row === undefined) {
    throw new VbsError('BACKUP_NOT_FOUND', { backupId: backup.backupId });
  }
  const attempt = {
    attempt_id: backup.attemptId,
    job_id: claim.jobId,
    attempt: claim.attempt,
    backup_id: backup.backupId,
  };
  await executor.insertInto('attempts').values(attempt).execute();
  const parent = backup.isIncremental ? await keepOrChooseParent(executor, claim, backup) : undefined;
  return { parent, baseline: parent && (await findBaselineOf(executor, backup.volumeId, parent.backupId)) };
}

export type ParentQuery = {
  readonly projectId: ProjectId;
  readonly volumeId: VolumeId;
  /** Only data that was frozen earlier; epoch ms. */
  readonly before?: number | undefined;
};

/** Of the backups that an increment can be made on, the one with the newest data. */
export async function findParentRow(
  executor: Executor,
  { projectId, volumeId, before }: ParentQuery,
  statuses: readonly BackupStatus[],
) {
  return await executor
    .selectFrom('backups')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('volume_id', '=', volumeId)
    .where('status', 'in', statuses)
    .where('attempt_id', 'is not', null)
    .where('is_damaged', '=', 0)
    .where('is_record_trashed', '=', 0)
    .where('deleted_at', 'is', null)
    .$if(before !== undefined, (builder) => builder.where(DATA_TIME, '<', before ?? 0))
    .orderBy(DATA_TIME, 'desc')
    .orderBy('created_at', 'desc')
    .orderBy('backup_id', 'desc')
    .limit(1)
    .executeTakeFirst();
}

async function keepOrChooseParent(
  executor: Executor,
  claim: JobClaim,
  { volumeId, parentBefore }: Pick<BackupStart, 'volumeId' | 'parentBefore'>,
): Promise<CommittedBackup | undefined> {
  const pinned = await executor
    .selectFrom('pins')
    .innerJoin('backups', 'backups.backup_id', 'pins.backup_id')
    .selectAll('backups')
    .where('pins.job_id', '=', claim.jobId)
    .executeTakeFirst();
  const kept = pinned === undefined || pinned.is_damaged === 1 ? undefined : toCommitted(pinned);
  if (kept !== undefined) {
    return kept;
  }
  await releasePins(executor, claim);
  const query = { projectId: claim.projectId, volumeId, before: parentBefore };
  // One that is just being restored is as good a parent: its data does not change.
  const newest = await findParentRow(executor, query, ['available', 'restoring']);
  const parent = newest === undefined ? undefined : toCommitted(newest);
  if (parent !== undefined) {
    await insertPin(executor, claim, parent.backupId);
  }
  return parent;
}

/** @throws COMMIT_CHECK_FAILED */
export async function commitBackup(
  executor: Executor,
  claim: JobClaim,
  commit: BackupCommit,
  endedAt: number,
): Promise<void> {
  const volumeId = await checkCommit(executor, claim, commit);
  await makePacksLive(executor, commit, endedAt);
  await retireWrittenPacks(executor, claim.projectId, claim.jobId);
  const attemptIds = await readAttempts(executor, commit.backupId);
  const earlierIds = attemptIds.filter((attemptId) => attemptId !== commit.attemptId);
  await trashRecords(executor, claim.projectId, { backupId: commit.backupId }, earlierIds);
  await executor
    .updateTable('backups')
    .set({
      status: unlessDeleting('available'),
      attempt_id: commit.attemptId,
      record_sha256: commit.recordSha256,
      parent_id: commit.parentId ?? null,
      is_incremental: commit.isIncremental ? 1 : 0,
      size_bytes: commit.sizeBytes,
      stored_bytes: commit.storedBytes,
      object_count: commit.objectCount,
      consistency: commit.consistency,
      data_timestamp_at: commit.dataTimestampAt,
      fail_reason: null,
      updated_at: commit.recordedAt ?? endedAt,
    })
    .where('backup_id', '=', commit.backupId)
    .execute();
  await replaceBaseline(executor, volumeId, commit);
  await executor
    .updateTable('jobs')
    .set({ total_bytes: commit.sizeBytes, stored_bytes: commit.storedBytes })
    .where('job_id', '=', claim.jobId)
    .execute();
  await endJob(executor, claim, { status: 'SUCCESS' }, endedAt);
}

/**
 * Everything that the new backup relies on must still be there: a catalog that failed over may have lost the rows
 * written last, and a prune on the new one may have condemned what they protected (src/engine/README.md).
 */
async function checkCommit(executor: Executor, claim: JobClaim, commit: BackupCommit): Promise<VolumeId> {
  const refuse = (reason: string) => new VbsError('COMMIT_CHECK_FAILED', { backupId: commit.backupId, reason });
  const attempt = await executor
    .selectFrom('attempts')
    .innerJoin('backups', 'backups.backup_id', 'attempts.backup_id')
    .select('backups.volume_id')
    .where('attempts.attempt_id', '=', commit.attemptId)
    .where('attempts.job_id', '=', claim.jobId)
    .where('attempts.attempt', '=', claim.attempt)
    .where('attempts.backup_id', '=', commit.backupId)
    .where('backups.project_id', '=', claim.projectId)
    .where('backups.attempt_id', 'is', null)
    .where('backups.deleted_at', 'is', null)
    .executeTakeFirst();
  if (attempt === undefined) {
    throw refuse('the row of the attempt is gone');
  }
  if (commit.parentId !== undefined && !(await isPinnedBy(executor, claim.jobId, commit.parentId))) {
    throw refuse(`the pin of parent ${commit.parentId} is gone`);
  }
  const used = await readUsedPacks(executor, claim.jobId);
  const lostUse = commit.usedPackIds.find((packId) => !used.has(packId));
  if (lostUse !== undefined) {
    throw refuse(`the use of pack ${lostUse} is gone`);
  }
  const written = await readWrittenPacks(executor, claim.jobId);
  const lostPack = commit.packs.find((pack) => !written.has(pack.packId));
  if (lostPack !== undefined) {
    throw refuse(`the row of pack ${lostPack.packId} is gone`);
  }
  return attempt.volume_id as VolumeId;
}

async function readUsedPacks(executor: Executor, jobId: JobId): Promise<Set<string>> {
  const rows = await executor
    .selectFrom('uses')
    .innerJoin('packs', 'packs.pack_id', 'uses.pack_id')
    .select('uses.pack_id')
    .where('uses.job_id', '=', jobId)
    .where('packs.state', '=', 'live')
    .execute();
  return new Set(rows.map((row) => row.pack_id));
}

async function readWrittenPacks(executor: Executor, jobId: JobId): Promise<Set<string>> {
  const rows = await executor
    .selectFrom('packs')
    .select('pack_id')
    .where('job_id', '=', jobId)
    .where('state', '=', 'writing')
    .execute();
  return new Set(rows.map((row) => row.pack_id));
}

/** One statement for many packs: a backup of 16 TiB has a quarter of a million. */
async function makePacksLive(executor: Executor, commit: BackupCommit, endedAt: number): Promise<void> {
  for (const batch of splitIntoBatches(commit.packs, ROW_BATCH_COUNT)) {
    const rows = batch.map(
      (pack) => sql`(${pack.packId}, cast(${pack.slotCount} as bigint), cast(${pack.storedBytes} as bigint))`,
    );
    await sql`with closed (pack_id, slot_count, stored_bytes) as (values ${sql.join(rows)})
      update packs set state = 'live', slot_count = closed.slot_count, stored_bytes = closed.stored_bytes,
      verified_at = cast(${endedAt} as bigint)
      from closed where packs.pack_id = closed.pack_id`.execute(executor);
  }
}

export async function failBackup(
  executor: Executor,
  claim: JobClaim,
  failure: BackupFailure,
  endedAt: number,
): Promise<{ isCommitted: boolean }> {
  const rows = await executor
    .selectFrom('backups')
    .select(['backup_id', 'attempt_id'])
    .where('job_id', '=', claim.jobId)
    .where('project_id', '=', claim.projectId)
    .execute();
  // Looked at before the fence: a job whose commit took place has ended, and that is no failure.
  if (rows.some((row) => row.attempt_id !== null)) {
    return { isCommitted: true };
  }
  await requireClaim(executor, claim);
  await discardWriter(executor, claim, claim.jobId);
  await executor
    .updateTable('backups')
    .set({ status: unlessDeleting('error'), parent_id: null, fail_reason: failure.failReason, updated_at: endedAt })
    .where('job_id', '=', claim.jobId)
    .where('deleted_at', 'is', null)
    .execute();
  await endJob(executor, claim, { status: 'FAIL', ...failure }, endedAt);
  return { isCommitted: false };
}

/** A deletion that was forced meanwhile goes on: a job waits for this one to end, and then removes the backup. */
function unlessDeleting(status: BackupStatus) {
  return sql<string>`case when status = 'deleting' then status else ${status} end`;
}

/** Gives up what a job wrote for backups that never committed: its packs, and the records of all its attempts. */
export async function discardWriter(
  executor: Executor,
  owner: Pick<JobClaim, 'projectId'>,
  jobId: JobId,
): Promise<void> {
  await retireWrittenPacks(executor, owner.projectId, jobId);
  const rows = await executor
    .selectFrom('attempts')
    .innerJoin('backups', 'backups.backup_id', 'attempts.backup_id')
    .select(['attempts.attempt_id', 'attempts.backup_id'])
    .where('attempts.job_id', '=', jobId)
    .where('backups.attempt_id', 'is', null)
    .execute();
  for (const row of rows) {
    // Casts: `beginBackup` took both from typed values.
    const attemptIds = [row.attempt_id as AttemptId];
    await trashRecords(executor, owner.projectId, { backupId: row.backup_id as BackupId }, attemptIds);
  }
}

export async function readAttempts(executor: Executor, backupId: BackupId): Promise<AttemptId[]> {
  const rows = await executor.selectFrom('attempts').select('attempt_id').where('backup_id', '=', backupId).execute();
  return rows.map((row) => row.attempt_id as AttemptId);
}

export async function isCommittedByJob(executor: Executor, jobId: JobId, backupId: BackupId): Promise<boolean> {
  const row = await executor
    .selectFrom('backups')
    .innerJoin('attempts', 'attempts.attempt_id', 'backups.attempt_id')
    .select('backups.backup_id')
    .where('backups.backup_id', '=', backupId)
    .where('attempts.job_id', '=', jobId)
    .executeTakeFirst();
  return row !== undefined;
}
