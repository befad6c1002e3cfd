// What goes into the records of policies and tasks, and how their lists are asked for.
import type { BackupId, JobId, PolicyId, ProjectId, TaskId, VolumeId } from '../core/ids.ts';
import type { Backup, Policy, RetentionRule, Schedule, Task, TaskStatus } from '../core/model.ts';
import type { TagSearch } from '../core/tag-search.ts';

export type NewPolicy = Omit<Policy, 'volumeCount' | 'updatedAt'>;

/** Values that are present are written; `undefined` leaves a column alone. */
export type PolicyChanges = {
  readonly name?: string | undefined;
  readonly schedule?: Schedule | undefined;
  readonly retention?: RetentionRule | undefined;
  readonly keepsFirstOfMonth?: boolean | undefined;
  readonly isEnabled?: boolean | undefined;
  readonly nextRunAt?: number | null | undefined;
  readonly updatedAt?: number | undefined;
};

export type PolicyFilter = { readonly projectId: ProjectId; readonly tags?: TagSearch | undefined };
/** `isOther`: the default policy is before all others. */
export type PolicySortKey = 'id' | 'createdAt' | 'isOther';

/** A due time that waits for somebody to claim it. */
export type DueRun = { readonly policyId: PolicyId; readonly projectId: ProjectId; readonly dueAt: number };

export type PolicyVolumeFilter = {
  /** Substring, case-sensitive. */
  readonly nameLike?: string | undefined;
  readonly volumeId?: string | undefined;
  readonly status?: string | undefined;
};

export type TaskFilter = {
  readonly projectId: ProjectId;
  readonly policyId: PolicyId;
  readonly taskId?: string | undefined;
  readonly status?: TaskStatus | undefined;
  /** Only those of this instant or later. */
  readonly createdFrom?: number | undefined;
};
export type TaskSortKey = 'id' | 'createdAt';

/** A task as it is entered: `WAITING`, or ended at once as `SKIP`. */
export type NewTask = Pick<
  Task,
  'taskId' | 'projectId' | 'policyId' | 'volumeId' | 'dueAt' | 'createdAt' | 'runAfter'
> & { readonly skipped?: TaskFailure | undefined };

export type TaskFailure = { readonly errorCode: string; readonly message: string };

export type TaskStart = { readonly backupName: string; readonly backupId: BackupId; readonly jobId: JobId };

export type TaskEnd = {
  readonly status: Exclude<TaskStatus, 'WAITING' | 'RUNNING'>;
  readonly failure?: TaskFailure | undefined;
  readonly finishedAt: number;
};

/** An open task as the watchdog sees it. */
export type WatchedTask = {
  readonly taskId: TaskId;
  readonly projectId: ProjectId;
  readonly policyId: PolicyId;
  readonly volumeId: VolumeId;
  readonly createdAt: number;
  /** Bytes handled when they were last seen to change, and when that was. */
  readonly seenBytes: number;
  readonly seenAt: number;
  /** Of the job now; null without a job that runs. */
  readonly handledBytes: number | null;
};

/** A backup that a policy made, as retention sees it. */
export type PolicyBackup = Pick<Backup, 'backupId' | 'name' | 'status' | 'createdAt'> & { readonly isDamaged: boolean };
