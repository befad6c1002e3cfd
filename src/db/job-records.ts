// Jobs: durable units of work, who runs them, and how they ended.
import { type Selectable, type SqlBool, sql } from 'kysely';
import type { BackupId, JobId, ProjectId, SnapshotId, VolumeId } from '../core/ids.ts';
import type { JobClaim } from '../core/ledger.ts';
import type { Job, JobKind, JobStatus, Progress } from '../core/model.ts';
import type { Executor } from './database.ts';
import { requireClaim } from './fence.ts';
import { type Condition, equals, type ListSpec, listRows } from './list-rows.ts';
import { insertJobMessage } from './message-records.ts';
import type {
  JobFilter,
  JobOutcome,
  JobSortKey,
  Lease,
  ListPage,
  ListResult,
  NewJob,
  OpenJobQuery,
  TakenJob,
} from './record-types.ts';
import type { Scope } from './scope.ts';
import type { JobTable } from './tables.ts';

const SORT_COLUMNS: ListSpec<JobSortKey>['columns'] = { id: sql`job_id`, createdAt: sql`created_at` };
/** All that there is to do; what nobody reported stays as it is. */
const HANDLED_BYTES = sql<number>`case when total_bytes > skipped_bytes then total_bytes - skipped_bytes
  else done_bytes end`;
/** Kinds that the API has no name for. */
const NOT_INTERNAL: Condition = sql<SqlBool>`kind <> 'export'`;

/** Candidates per look: more projects than this wait for the next one. */
const RUNNABLE_MAX = 100;

export class JobRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /** Queues a job: any runner may take it as soon as this is committed. */
  async insert(job: NewJob): Promise<void> {
    await this.#scope.executor.insertInto('jobs').values(toRow(job)).execute();
  }

  /** Enters a job that its maker runs itself; keep the lease alive with `JobRunner.hold`. */
  async insertTaken(job: NewJob, lease: Lease): Promise<JobClaim> {
    const row = {
      ...toRow(job),
      status: 'RUNNING',
      attempt: 1,
      started_at: job.createdAt,
      runner_id: lease.runnerId,
      lease_until: lease.leaseUntil,
    };
    await this.#scope.executor.insertInto('jobs').values(row).execute();
    return { jobId: job.jobId, projectId: job.projectId, attempt: 1 };
  }

  async get(projectId: ProjectId, jobId: JobId): Promise<Job | undefined> {
    const row = await this.#select().where('job_id', '=', jobId).where('project_id', '=', projectId).executeTakeFirst();
    return row === undefined ? undefined : toJob(row);
  }

  /** @throws MARKER_NOT_FOUND */
  async list(filter: JobFilter, page: ListPage<JobSortKey>): Promise<ListResult<Job>> {
    const isInternalWanted = filter.includeInternal === true || filter.kind !== undefined;
    const spec: ListSpec<JobSortKey> = {
      table: 'jobs',
      columns: SORT_COLUMNS,
      visible: equals('project_id', filter.projectId),
      filters: [
        ...(isInternalWanted ? [] : [NOT_INTERNAL]),
        ...equals('status', filter.status),
        ...equals('kind', filter.kind),
        ...equals('backup_id', filter.backupId),
        ...equals('volume_id', filter.volumeId),
      ],
    };
    const { rows, ...counted } = await listRows<Selectable<JobTable>, JobSortKey>(this.#scope.executor, spec, page);
    return { items: rows.map(toJob), ...counted };
  }

  /** A job of these kinds that has not ended, about the backup or the volume. */
  async findOpen(query: OpenJobQuery): Promise<Job | undefined> {
    const row = await this.#select()
      .where('project_id', '=', query.projectId)
      .where('kind', 'in', query.kinds)
      .where('status', 'in', ['INIT', 'RUNNING'])
      .where(...subjectOf(query))
      .executeTakeFirst();
    return row === undefined ? undefined : toJob(row);
  }

  /** A job that has not ended reads the volume, or writes it, for a snapshot of it or for a volume made from it. */
  async isVolumeBeingCopied(projectId: ProjectId, volumeId: VolumeId): Promise<boolean> {
    const clones = this.#scope.executor
      .selectFrom('volumes')
      .select('volume_id')
      .where('source_volume_id', '=', volumeId);
    const row = await this.#scope.executor
      .selectFrom('jobs')
      .select('job_id')
      .where('project_id', '=', projectId)
      .where('status', 'in', ['INIT', 'RUNNING'])
      .where((query) =>
        query.or([
          query.and([query('kind', 'in', ['create-snapshot', 'revert-volume']), query('volume_id', '=', volumeId)]),
          query.and([query('kind', '=', 'copy-volume'), query('volume_id', 'in', clones)]),
        ]),
      )
      .executeTakeFirst();
    return row !== undefined;
  }

  /**
   * Jobs that could be taken now: the oldest of each project, so that one project's queue hides nobody else's.
   * `excludedIds` are those that the asker runs itself, whose leases may look expired after a stall.
   */
  async listRunnable(query: {
    readonly kinds: readonly JobKind[];
    readonly excludedIds: readonly JobId[];
    readonly nowAt: number;
  }): Promise<Job[]> {
    if (query.kinds.length === 0) {
      return [];
    }
    const isRunnable = runnableAt(query.nowAt);
    const ranked = this.#scope.executor
      .selectFrom('jobs')
      .selectAll()
      .select(
        sql<number>`row_number() over (partition by project_id order by created_at, job_id)`.as('place_in_project'),
      )
      .where('kind', 'in', query.kinds)
      .where(isRunnable)
      .$if(query.excludedIds.length > 0, (builder) => builder.where('job_id', 'not in', query.excludedIds));
    const rows = await this.#scope.executor
      .selectFrom(ranked.as('ranked'))
      .selectAll()
      .where('place_in_project', '=', 1)
      .orderBy('created_at')
      .orderBy('job_id')
      .limit(RUNNABLE_MAX)
      .execute();
    return rows.map(toJob);
  }

  /** Takes a job as it was listed, by compare-and-set; undefined when somebody else was faster. */
  async take(listed: Job, lease: Lease, nowAt: number): Promise<TakenJob | undefined> {
    return await this.#scope.transact([listed.projectId], async (executor) => {
      const row = await executor
        .updateTable('jobs')
        .set({
          status: 'RUNNING',
          attempt: listed.attempt + 1,
          // One that was given back is INIT: only a runner that died leaves a job RUNNING.
          crashes: sql<number>`crashes + case when status = 'RUNNING' then 1 else 0 end`,
          started_at: nowAt,
          runner_id: lease.runnerId,
          lease_until: lease.leaseUntil,
        })
        .where('job_id', '=', listed.jobId)
        .where('attempt', '=', listed.attempt)
        .where(runnableAt(nowAt))
        .returningAll()
        .executeTakeFirst();
      if (row === undefined) {
        return undefined;
      }
      const job = toJob(row);
      const claim = { jobId: job.jobId, projectId: job.projectId, attempt: job.attempt };
      return { job, claim, failures: row.failures, crashes: row.crashes, lastError: row.last_error };
    });
  }

  /** Extends the lease. False when the claim is lost. */
  async heartbeat(claim: JobClaim, leaseUntil: number): Promise<boolean> {
    const result = await this.#scope.executor
      .updateTable('jobs')
      .set({ lease_until: leaseUntil })
      .where('job_id', '=', claim.jobId)
      .where('attempt', '=', claim.attempt)
      .where('status', '=', 'RUNNING')
      .executeTakeFirst();
    return result.numUpdatedRows > 0n;
  }

  /** Writes the progress of a job that runs or has succeeded; anything else is left alone. */
  async saveProgress(claim: JobClaim, progress: Progress): Promise<void> {
    await this.#scope.executor
      .updateTable('jobs')
      .set(toProgressColumns(progress))
      .where('job_id', '=', claim.jobId)
      .where('attempt', '=', claim.attempt)
      .where('status', 'in', ['RUNNING', 'SUCCESS'])
      .execute();
  }

  /**
   * Puts a taken job back into the queue. With `failure` the try counts as a failed one.
   * False when the claim is lost (somebody else has the job, or it has ended).
   */
  async putBack(claim: JobClaim, runAfter: number, failure?: string): Promise<boolean> {
    const result = await this.#scope.executor
      .updateTable('jobs')
      .set((query) => ({
        status: 'INIT',
        run_after: runAfter,
        runner_id: null,
        lease_until: null,
        ...(failure === undefined ? {} : { failures: query('failures', '+', 1), last_error: failure }),
      }))
      .where('job_id', '=', claim.jobId)
      .where('attempt', '=', claim.attempt)
      .where('status', '=', 'RUNNING')
      .executeTakeFirst();
    return result.numUpdatedRows > 0n;
  }

  /** Throws JOB_FENCED unless the claim is current: for rules in services that change rows of their own. */
  async requireClaim(claim: JobClaim): Promise<void> {
    await requireClaim(this.#scope.executor, claim);
  }

  /** Notes the snapshot that the job works from. @throws JOB_FENCED */
  async setSnapshot(claim: JobClaim, snapshotId: SnapshotId): Promise<void> {
    await this.#scope.transact([claim.projectId], async (executor) => {
      await requireClaim(executor, claim);
      await executor.updateTable('jobs').set({ snapshot_id: snapshotId }).where('job_id', '=', claim.jobId).execute();
    });
  }

  /** Replaces what the job carries, for its later attempts. @throws JOB_FENCED */
  async savePayload(claim: JobClaim, payload: Job['payload']): Promise<void> {
    await this.#scope.transact([claim.projectId], async (executor) => {
      await requireClaim(executor, claim);
      const columns = { payload: JSON.stringify(payload) };
      await executor.updateTable('jobs').set(columns).where('job_id', '=', claim.jobId).execute();
    });
  }

  /** Ends the job and drops its pins and uses. @throws JOB_FENCED */
  async end(claim: JobClaim, outcome: JobOutcome, endedAt: number): Promise<void> {
    await this.#scope.transact([claim.projectId], async (executor) => {
      await requireClaim(executor, claim);
      await endJob(executor, claim, outcome, endedAt);
    });
  }

  /** Single process only: whatever still runs according to its row died with an earlier process. */
  async expireLeases(): Promise<void> {
    await this.#scope.executor.updateTable('jobs').set({ lease_until: 0 }).where('status', '=', 'RUNNING').execute();
  }

  /** Forgets ended jobs. Returns how many. */
  async deleteEndedBefore(endedBefore: number): Promise<number> {
    const result = await this.#scope.executor
      .deleteFrom('jobs')
      .where('ended_at', '<', endedBefore)
      .where('status', 'in', ['SUCCESS', 'FAIL'])
      .executeTakeFirst();
    return Number(result.numDeletedRows);
  }

  #select() {
    return this.#scope.executor.selectFrom('jobs').selectAll();
  }
}

function subjectOf(query: OpenJobQuery): ['backup_id' | 'volume_id' | 'snapshot_id', '=', string] {
  if ('backupId' in query) return ['backup_id', '=', query.backupId];
  return 'volumeId' in query ? ['volume_id', '=', query.volumeId] : ['snapshot_id', '=', query.snapshotId];
}

/** Ends a job inside a transaction that has checked the claim. */
export async function endJob(executor: Executor, claim: JobClaim, outcome: JobOutcome, endedAt: number): Promise<void> {
  await executor.deleteFrom('pins').where('job_id', '=', claim.jobId).execute();
  await executor.deleteFrom('uses').where('job_id', '=', claim.jobId).execute();
  const failed = outcome.status === 'FAIL' ? outcome : undefined;
  await executor
    .updateTable('jobs')
    .set({
      status: outcome.status,
      error_code: failed?.errorCode ?? null,
      fail_reason: failed?.failReason ?? null,
      ended_at: endedAt,
      runner_id: null,
      lease_until: null,
      // Progress is written now and then; a job that succeeded has handled everything.
      ...(failed === undefined ? { done_bytes: HANDLED_BYTES } : {}),
    })
    .where('job_id', '=', claim.jobId)
    .execute();
  if (failed !== undefined) await insertJobMessage(executor, claim.jobId, { ...failed, endedAt });
}

function runnableAt(nowAt: number): Condition {
  // The first condition says nothing new; by it the planners see that the index of open jobs has all there is to find.
  return sql<SqlBool>`(status in ('INIT', 'RUNNING') and
    ((status = 'INIT' and run_after <= ${nowAt}) or (status = 'RUNNING' and lease_until <= ${nowAt})))`;
}

function toProgressColumns(progress: Progress) {
  return {
    total_bytes: progress.totalBytes,
    done_bytes: progress.doneBytes,
    skipped_bytes: progress.skippedBytes,
    stored_bytes: progress.storedBytes,
  };
}

function toRow(job: NewJob) {
  return {
    job_id: job.jobId,
    project_id: job.projectId,
    kind: job.kind,
    status: 'INIT',
    backup_id: job.backupId ?? null,
    volume_id: job.volumeId ?? null,
    snapshot_id: job.snapshotId ?? null,
    attempt: 0,
    failures: 0,
    crashes: 0,
    last_error: null,
    payload: JSON.stringify(job.payload ?? {}),
    total_bytes: 0,
    done_bytes: 0,
    skipped_bytes: 0,
    stored_bytes: 0,
    error_code: null,
    fail_reason: null,
    created_at: job.createdAt,
    started_at: null,
    ended_at: null,
    // Due at once by anybody's clock; a worker's may be behind that of the host which queued it.
    run_after: 0,
    runner_id: null,
    lease_until: null,
    request_id: job.requestId ?? null,
  };
}

function toJob(row: Selectable<JobTable>): Job {
  // Casts: rows hold only what this file took from typed values.
  return {
    jobId: row.job_id as JobId,
    projectId: row.project_id as ProjectId,
    kind: row.kind as JobKind,
    status: row.status as JobStatus,
    backupId: row.backup_id as BackupId | null,
    volumeId: row.volume_id as VolumeId | null,
    snapshotId: row.snapshot_id as SnapshotId | null,
    attempt: row.attempt,
    payload: JSON.parse(row.payload) as Record<string, unknown>,
    progress: {
      totalBytes: row.total_bytes,
      doneBytes: row.done_bytes,
      skippedBytes: row.skipped_bytes,
      storedBytes: row.stored_bytes,
    },
    errorCode: row.error_code,
    failReason: row.fail_reason,
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
  };
}
