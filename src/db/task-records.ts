// Tasks: what became of one volume in one run of a policy.
import { type Selectable, sql } from 'kysely';
import type { BackupId, JobId, PolicyId, ProjectId, TaskId, VolumeId } from '../core/ids.ts';
import type { Task, TaskStatus } from '../core/model.ts';
import { ROW_BATCH_COUNT, splitIntoBatches } from './batches.ts';
import { equals, type ListSpec, listRows } from './list-rows.ts';
import type { NewTask, TaskEnd, TaskFilter, TaskSortKey, TaskStart, WatchedTask } from './policy-types.ts';
import type { ListPage, ListResult } from './record-types.ts';
import type { Scope } from './scope.ts';
import type { TaskTable } from './tables.ts';

const SORT_COLUMNS: ListSpec<TaskSortKey>['columns'] = { id: sql`task_id`, createdAt: sql`created_at` };
const OPEN: readonly TaskStatus[] = ['WAITING', 'RUNNING'];

export class TaskRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async insertAll(tasks: readonly NewTask[]): Promise<void> {
    for (const batch of splitIntoBatches(tasks.map(toRow), ROW_BATCH_COUNT)) {
      await this.#scope.executor.insertInto('tasks').values(batch).execute();
    }
  }

  async get(projectId: ProjectId, taskId: TaskId): Promise<Task | undefined> {
    const row = await this.#select()
      .where('task_id', '=', taskId)
      .where('project_id', '=', projectId)
      .executeTakeFirst();
    return row === undefined ? undefined : toTask(row);
  }

  /** @throws MARKER_NOT_FOUND */
  async list(filter: TaskFilter, page: ListPage<TaskSortKey>): Promise<ListResult<Task>> {
    const { createdFrom } = filter;
    const spec: ListSpec<TaskSortKey> = {
      table: 'tasks',
      columns: SORT_COLUMNS,
      visible: [...equals('project_id', filter.projectId), ...equals('policy_id', filter.policyId)],
      filters: [
        ...equals('task_id', filter.taskId),
        ...equals('status', filter.status),
        ...(createdFrom === undefined ? [] : [sql<boolean>`created_at >= ${createdFrom}`]),
      ],
    };
    const { rows, ...counted } = await listRows<Selectable<TaskTable>, TaskSortKey>(this.#scope.executor, spec, page);
    return { items: rows.map(toTask), ...counted };
  }

  /** Tasks that may begin, the oldest first. */
  async listWaiting(nowAt: number, limit: number): Promise<Task[]> {
    const rows = await this.#select()
      .where('status', 'in', OPEN)
      .where('status', '=', 'WAITING')
      // Entered by a clock that was ahead: nobody waits for the time that it showed.
      .where((query) => query.or([query('run_after', '<=', nowAt), query('created_at', '>', nowAt)]))
      .orderBy('created_at')
      .orderBy('task_id')
      .limit(limit)
      .execute();
    return rows.map(toTask);
  }

  async hasOpen(policyId: PolicyId): Promise<boolean> {
    const row = await this.#scope.executor
      .selectFrom('tasks')
      .select('task_id')
      .where('policy_id', '=', policyId)
      .where('status', 'in', OPEN)
      .limit(1)
      .executeTakeFirst();
    return row !== undefined;
  }

  /** Of every project. */
  async countOpen(): Promise<number> {
    const row = await this.#scope.executor
      .selectFrom('tasks')
      .select((query) => query.fn.countAll<number>().as('count'))
      .where('status', 'in', OPEN)
      .executeTakeFirstOrThrow();
    return row.count;
  }

  /** Volumes of the project with a task of whatever policy that has not ended, and which. */
  async mapOpenByVolume(projectId: ProjectId): Promise<Map<VolumeId, TaskId>> {
    const rows = await this.#scope.executor
      .selectFrom('tasks')
      .select(['volume_id', 'task_id'])
      .where('project_id', '=', projectId)
      .where('status', 'in', OPEN)
      .execute();
    // Casts are the brands of ids.
    return new Map(rows.map((row) => [row.volume_id as VolumeId, row.task_id as TaskId]));
  }

  /** The last one that was entered for volume and policy, in whatever status. */
  async findNewest(policyId: PolicyId, volumeId: VolumeId): Promise<Task | undefined> {
    const row = await this.#select()
      .where('volume_id', '=', volumeId)
      .where('policy_id', '=', policyId)
      .orderBy('created_at', 'desc')
      .orderBy('task_id', 'desc')
      .limit(1)
      .executeTakeFirst();
    return row === undefined ? undefined : toTask(row);
  }

  /** WAITING becomes RUNNING; false when it was not WAITING any more. */
  async start(taskId: TaskId, start: TaskStart, startedAt: number): Promise<boolean> {
    const result = await this.#scope.executor
      .updateTable('tasks')
      .set({
        status: 'RUNNING',
        backup_name: start.backupName,
        backup_id: start.backupId,
        job_id: start.jobId,
        seen_at: startedAt,
      })
      .where('task_id', '=', taskId)
      .where('status', '=', 'WAITING')
      .executeTakeFirst();
    return result.numUpdatedRows > 0n;
  }

  /** False when it has ended already: the first end stands. */
  async end(taskId: TaskId, end: TaskEnd): Promise<boolean> {
    const result = await this.#scope.executor
      .updateTable('tasks')
      .set(toEndColumns(end))
      .where('task_id', '=', taskId)
      .where('status', 'in', OPEN)
      .executeTakeFirst();
    return result.numUpdatedRows > 0n;
  }

  /** Ends the task that waits for the job, if there is one: call it in the transaction that ends the job. */
  async endByJob(jobId: JobId, end: TaskEnd): Promise<void> {
    await this.#scope.executor
      .updateTable('tasks')
      .set(toEndColumns(end))
      .where('job_id', '=', jobId)
      .where('status', '=', 'RUNNING')
      .execute();
  }

  /** Every open task, with how far its job is. */
  async listWatched(): Promise<WatchedTask[]> {
    const rows = await this.#scope.executor
      .selectFrom('tasks')
      .leftJoin('jobs', 'jobs.job_id', 'tasks.job_id')
      .select([
        'tasks.task_id',
        'tasks.project_id',
        'tasks.policy_id',
        'tasks.volume_id',
        'tasks.created_at',
        'tasks.seen_bytes',
        'tasks.seen_at',
        'jobs.done_bytes',
        'jobs.skipped_bytes',
      ])
      .select('jobs.status as job_status')
      .where('tasks.status', 'in', OPEN)
      .execute();
    return rows.map((row) => ({
      // Casts are the brands of ids.
      taskId: row.task_id as TaskId,
      projectId: row.project_id as ProjectId,
      policyId: row.policy_id as PolicyId,
      volumeId: row.volume_id as VolumeId,
      createdAt: row.created_at,
      seenBytes: row.seen_bytes,
      seenAt: row.seen_at,
      handledBytes: row.job_status === 'RUNNING' ? (row.done_bytes ?? 0) + (row.skipped_bytes ?? 0) : null,
    }));
  }

  /** Notes that the job of the task has been seen to move. */
  async noteProgress(taskId: TaskId, seenBytes: number, seenAt: number): Promise<void> {
    const change = { seen_bytes: seenBytes, seen_at: seenAt };
    await this.#scope.executor.updateTable('tasks').set(change).where('task_id', '=', taskId).execute();
  }

  /** Forgets tasks that have ended. Returns how many. */
  async deleteEndedBefore(createdBefore: number): Promise<number> {
    const result = await this.#scope.executor
      .deleteFrom('tasks')
      .where('created_at', '<', createdBefore)
      .where('status', 'not in', OPEN)
      .executeTakeFirst();
    return Number(result.numDeletedRows);
  }

  #select() {
    return this.#scope.executor.selectFrom('tasks').selectAll();
  }
}

function toEndColumns({ status, failure, finishedAt }: TaskEnd) {
  return {
    status,
    error_code: failure?.errorCode ?? null,
    message: failure?.message ?? null,
    finished_at: finishedAt,
  };
}

function toRow({ skipped, ...task }: NewTask) {
  return {
    task_id: task.taskId,
    project_id: task.projectId,
    policy_id: task.policyId,
    volume_id: task.volumeId,
    status: skipped === undefined ? 'WAITING' : 'SKIP',
    due_at: task.dueAt,
    backup_name: null,
    backup_id: null,
    job_id: null,
    error_code: skipped?.errorCode ?? null,
    message: skipped?.message ?? null,
    created_at: task.createdAt,
    run_after: task.runAfter,
    finished_at: skipped === undefined ? null : task.createdAt,
    seen_bytes: 0,
    seen_at: task.createdAt,
  };
}

function toTask(row: Selectable<TaskTable>): Task {
  // Casts: rows hold only what this file took from typed values.
  return {
    taskId: row.task_id as TaskId,
    projectId: row.project_id as ProjectId,
    policyId: row.policy_id as PolicyId,
    volumeId: row.volume_id as VolumeId,
    status: row.status as TaskStatus,
    dueAt: row.due_at,
    backupName: row.backup_name,
    backupId: row.backup_id as BackupId | null,
    jobId: row.job_id as JobId | null,
    errorCode: row.error_code,
    message: row.message,
    createdAt: row.created_at,
    runAfter: row.run_after,
    finishedAt: row.finished_at,
  };
}
