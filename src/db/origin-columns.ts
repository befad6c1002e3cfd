// Who asked for a backup and how, between its row and what the repository says of it.
import type { Selectable } from 'kysely';
import type { PolicyId, SnapshotId, UserId } from '../core/ids.ts';
import type { BackupOrigin } from '../core/ledger.ts';
import type { BackupTable } from './tables.ts';

export function toOriginColumns(origin: BackupOrigin) {
  return {
    user_id: origin.userId,
    policy_id: origin.policyId,
    dialect: origin.dialect,
    container: origin.container,
    availability_zone: origin.availabilityZone,
    snapshot_id: origin.snapshotId,
    is_incremental_requested: origin.isIncrementalRequested ? (1 as const) : (0 as const),
  };
}

export function toOrigin(row: Selectable<BackupTable>): BackupOrigin {
  // Casts: rows hold only what was inserted from typed values.
  return {
    userId: row.user_id as UserId,
    policyId: row.policy_id as PolicyId | null,
    dialect: row.dialect as BackupOrigin['dialect'],
    container: row.container,
    availabilityZone: row.availability_zone,
    snapshotId: row.snapshot_id as SnapshotId | null,
    isIncrementalRequested: row.is_incremental_requested === 1,
  };
}
