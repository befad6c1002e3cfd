// What the report of a maintenance run comes to in figures.
import type { MaintenanceWork } from '../core/metrics.ts';
import type { PruneReport } from '../engine/prune/run-prune.ts';
import type { CheckReport } from '../engine/verify/check-project.ts';
import type { RepairReport } from '../engine/verify/repair-project.ts';
import type { ScrubReport } from '../engine/verify/scrub-project.ts';

export type MaintenanceCounts = Omit<MaintenanceWork, 'operation' | 'isDone' | 'durationMs'>;

export const NOTHING_COUNTED: MaintenanceCounts = {
  freedBytes: 0,
  verifiedBytes: 0,
  healedCount: 0,
  lostCount: 0,
  mendedBackupCount: 0,
};

/** `report` is what the work of this operation answered. */
export function countWork(operation: string, report: unknown): MaintenanceCounts {
  // Casts: each operation has its own report, and the runs keep them all alike.
  if (operation === 'prune') {
    return { ...NOTHING_COUNTED, freedBytes: (report as PruneReport).freedBytes };
  }
  if (operation === 'check' || operation === 'scrub') {
    return { ...NOTHING_COUNTED, verifiedBytes: (report as CheckReport | ScrubReport).readBytes };
  }
  if (operation !== 'repair') return NOTHING_COUNTED;
  const { healedCount, lostCount, mendedBackupIds } = report as RepairReport;
  return { ...NOTHING_COUNTED, healedCount, lostCount, mendedBackupCount: mendedBackupIds.length };
}
