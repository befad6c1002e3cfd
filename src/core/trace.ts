// Audit traces: who did what to which resource (contract 5.14). Written in the transaction of the operation itself, so
// that there is none without the other.
import type { JobId, ProjectId, TraceId, UserId } from './ids.ts';

/** `autobackup`: policies. `vbs`: everything else. */
export type TraceResourceType = 'vbs' | 'autobackup';

/** Every trace there is. Those of sharings, tags, changes and imports of backups are ours: no reference has them. */
export const TRACE_RESOURCE_TYPES = {
  bksCreateBackup: 'vbs',
  bksDeleteBackup: 'vbs',
  bksRestoreBackup: 'vbs',
  bksModifyBackup: 'vbs',
  bksImportBackup: 'vbs',
  bksShareBackup: 'vbs',
  bksUnshareBackup: 'vbs',
  bksAddBackupTag: 'vbs',
  bksDeleteBackupTag: 'vbs',
  bksBatchAddBackupTag: 'vbs',
  bksBatchDeleteBackupTag: 'vbs',
  createPolicy: 'autobackup',
  modifyPolicy: 'autobackup',
  deletePolicy: 'autobackup',
  actionPolicy: 'autobackup',
  addPolicyResource: 'autobackup',
  deletePolicyResource: 'autobackup',
  scheduleCreateBackup: 'autobackup',
  scheduleDeleteBackup: 'autobackup',
  addPolicyTag: 'autobackup',
  deletePolicyTag: 'autobackup',
  batchAddPolicyTag: 'autobackup',
  batchDeletePolicyTag: 'autobackup',
} as const satisfies Record<string, TraceResourceType>;

export type TraceName = keyof typeof TRACE_RESOURCE_TYPES;

export type Trace = {
  readonly traceId: TraceId;
  readonly projectId: ProjectId;
  /** Null: the service itself, by a schedule. */
  readonly userId: UserId | null;
  readonly userName: string | null;
  readonly traceName: TraceName;
  readonly resourceType: TraceResourceType;
  /** Backup or policy. */
  readonly resourceId: string;
  readonly resourceName: string | null;
  /** The job that does the work, where there is one. */
  readonly jobId: JobId | null;
  /** What else there is to know: ids, names, numbers; nothing secret. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly createdAt: number;
};
