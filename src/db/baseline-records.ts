// Baselines: for each volume the state of its disk at one backup, which the next backup may compare extents with. What
// a driver keeps for one (a snapshot takes space) is removed only through a trash: its row is made in the transaction
// that gives the baseline up, so that no crash leaves anything behind or takes what is still referred to.
import type { BackupId, VolumeId } from '../core/ids.ts';
import type { BackupCommit, BaselineState } from '../core/ledger.ts';
import type { Executor } from './database.ts';
import type { Scope } from './scope.ts';

export type VolumeBaseline = BaselineState & { readonly backupId: BackupId };
export type BaselineTrashItem = BaselineState & { readonly trashId: number };

export class BaselineRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async get(volumeId: VolumeId): Promise<VolumeBaseline | undefined> {
    const row = await selectBaseline(this.#scope.executor, volumeId).executeTakeFirst();
    // The cast: the commit took the id from a typed value.
    return row && { backupId: row.backup_id as BackupId, ...toState(row) };
  }

  /**
   * Gives the volume's baseline up, in a transaction: somebody else than its user is about to write to the disk.
   * Harmless without one.
   */
  async drop(volumeId: VolumeId): Promise<void> {
    await trashBaselines(this.#scope.executor, { volumeId });
  }

  /** Oldest first. */
  async listTrash(limit: number): Promise<readonly BaselineTrashItem[]> {
    const rows = await this.#scope.executor
      .selectFrom('baseline_trash')
      .selectAll()
      .orderBy('trash_id')
      .limit(limit)
      .execute();
    return rows.map((row) => ({ trashId: row.trash_id, ...toState(row) }));
  }

  /** What the driver kept for it is gone. Harmless twice. */
  async confirmTrash(trashId: number): Promise<void> {
    await this.#scope.executor.deleteFrom('baseline_trash').where('trash_id', '=', trashId).execute();
  }
}

/** The volume's baseline, when it was made for this very backup. */
export async function findBaselineOf(
  executor: Executor,
  volumeId: VolumeId,
  backupId: BackupId,
): Promise<BaselineState | undefined> {
  const row = await selectBaseline(executor, volumeId).where('backup_id', '=', backupId).executeTakeFirst();
  return row && toState(row);
}

/** A baseline belongs to one backup: extents may be compared with it only by an increment on that very backup. */
export async function replaceBaseline(
  executor: Executor,
  volumeId: VolumeId,
  { backupId, baseline }: BackupCommit,
): Promise<void> {
  await trashBaselines(executor, { volumeId });
  if (baseline === undefined) {
    return;
  }
  const state = JSON.stringify(baseline.state);
  const row = { volume_id: volumeId, backup_id: backupId, driver: baseline.driver, state };
  await executor.insertInto('baselines').values(row).execute();
}

/** Moves baselines of a volume or of a backup into the trash. */
export async function trashBaselines(
  executor: Executor,
  of: { readonly volumeId: VolumeId } | { readonly backupId: BackupId },
): Promise<void> {
  const rows = await executor
    .deleteFrom('baselines')
    .where((query) => ('volumeId' in of ? query('volume_id', '=', of.volumeId) : query('backup_id', '=', of.backupId)))
    .returning(['driver', 'state'])
    .execute();
  if (rows.length > 0) {
    await executor.insertInto('baseline_trash').values(rows).execute();
  }
}

function selectBaseline(executor: Executor, volumeId: VolumeId) {
  return executor.selectFrom('baselines').selectAll().where('volume_id', '=', volumeId);
}

function toState({ driver, state }: { readonly driver: string; readonly state: string }): BaselineState {
  return { driver, state: JSON.parse(state) as Record<string, unknown> };
}
