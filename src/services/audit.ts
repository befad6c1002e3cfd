// Audit traces as services write them: in the transaction of what they tell of (contract 5.14).
import { type JobId, newUuid, type ProjectId, type UserId } from '../core/ids.ts';
import type { Backup, Job } from '../core/model.ts';
import { TRACE_RESOURCE_TYPES, type Trace, type TraceName } from '../core/trace.ts';
import type { CatalogRecords } from '../db/catalog.ts';

/** Who acts: a caller, or nobody for what a schedule does. */
export type Actor = { readonly userId: UserId; readonly userName: string } | null;

export type TraceInput = {
  readonly projectId: ProjectId;
  readonly actor: Actor;
  readonly traceName: TraceName;
  /** Of the backup or policy. */
  readonly resourceId: string;
  readonly resourceName: string | null;
  readonly jobId?: JobId;
  /** Shown to members of the project: nothing secret belongs here. */
  readonly details?: Trace['details'];
  readonly createdAt: number;
};

export async function recordTrace({ traces }: Pick<CatalogRecords, 'traces'>, input: TraceInput): Promise<void> {
  const { actor, traceName, jobId, details, ...rest } = input;
  await traces.insert({
    ...rest,
    traceName,
    traceId: newUuid(),
    resourceType: TRACE_RESOURCE_TYPES[traceName],
    userId: actor?.userId ?? null,
    userName: actor?.userName ?? null,
    jobId: jobId ?? null,
    details: details ?? {},
  });
}

/** The trace of an operation on a backup that a job carries out. */
export async function traceJob(
  records: Pick<CatalogRecords, 'traces'>,
  traceName: TraceName,
  { caller, job, backup }: { readonly caller: Actor; readonly job: Job; readonly backup: Backup },
): Promise<void> {
  const { projectId, jobId, createdAt, volumeId } = job;
  await recordTrace(records, {
    ...{ projectId, actor: caller, traceName, jobId, createdAt },
    resourceId: backup.backupId,
    resourceName: backup.name,
    details: volumeId === null ? {} : { volume_id: volumeId },
  });
}
