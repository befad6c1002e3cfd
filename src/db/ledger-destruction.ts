// What is left of a project's backups when its keys are destroyed: rows that say that they are gone, and nothing else.
import type { BackupId, ProjectId } from '../core/ids.ts';
import type { DestructionOutcome } from '../core/ledger.ts';
import { trashBaselines } from './baseline-records.ts';
import type { Executor } from './database.ts';

/**
 * Forgets every pack, hook, record and wrapped key of the project, and marks its backups as deleted. Nothing of the
 * repository can be read or written for it afterwards; its next backup begins with new keys. Harmless twice.
 */
export async function forgetProject(
  executor: Executor,
  projectId: ProjectId,
  deletedAt: number,
): Promise<DestructionOutcome> {
  const backups = executor.selectFrom('backups').select('backup_id').where('project_id', '=', projectId);
  const packs = executor.selectFrom('packs').select('pack_id').where('project_id', '=', projectId);
  const openJobCount = await countOpenJobs(executor, projectId);
  if (openJobCount > 0) return { openJobCount };
  const live = await backups.where('deleted_at', 'is', null).execute();
  const baselines = await executor
    .selectFrom('baselines')
    .select('backup_id')
    .where('backup_id', 'in', backups)
    .execute();
  // The cast: the commit took it from a typed value.
  for (const row of baselines) await trashBaselines(executor, { backupId: row.backup_id as BackupId });
  await executor.deleteFrom('uses').where('pack_id', 'in', packs).execute();
  await executor.deleteFrom('pins').where('backup_id', 'in', backups).execute();
  await executor.deleteFrom('packs').where('project_id', '=', projectId).execute();
  await executor.deleteFrom('trash').where('project_id', '=', projectId).execute();
  await executor.deleteFrom('attempts').where('backup_id', 'in', backups).execute();
  await executor.deleteFrom('sharings').where('backup_id', 'in', backups).execute();
  await executor.deleteFrom('backup_tags').where('backup_id', 'in', backups).execute();
  await executor
    .updateTable('backups')
    .set({ deleted_at: deletedAt, updated_at: deletedAt, is_record_trashed: 1 })
    .where('project_id', '=', projectId)
    .where('deleted_at', 'is', null)
    .execute();
  await executor.deleteFrom('keys').where('project_id', '=', projectId).execute();
  await executor.updateTable('projects').set({ epoch: null }).where('project_id', '=', projectId).execute();
  return { backupCount: live.length };
}

/** Its own, and those of others that read its shared backups. */
async function countOpenJobs(executor: Executor, projectId: ProjectId): Promise<number> {
  const own = executor.selectFrom('backups').select('backup_id').where('project_id', '=', projectId);
  const rows = await executor
    .selectFrom('jobs')
    .select('job_id')
    .where('status', 'in', ['INIT', 'RUNNING'])
    .where((where) => where.or([where('project_id', '=', projectId), where('backup_id', 'in', own)]))
    .execute();
  return rows.length;
}
