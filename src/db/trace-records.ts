// Audit traces: written once, listed, and forgotten when they are old.
import { type Selectable, sql } from 'kysely';
import type { JobId, ProjectId, TraceId, UserId } from '../core/ids.ts';
import type { Trace, TraceName, TraceResourceType } from '../core/trace.ts';
import { equals, type ListSpec, listRows } from './list-rows.ts';
import type { ListPage, ListResult, TraceFilter, TraceSortKey } from './record-types.ts';
import type { Scope } from './scope.ts';
import type { TraceTable } from './tables.ts';

const SORT_COLUMNS: ListSpec<TraceSortKey>['columns'] = { id: sql`trace_id`, createdAt: sql`created_at` };

export class TraceRecords {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  async insert(trace: Trace): Promise<void> {
    const row = {
      trace_id: trace.traceId,
      project_id: trace.projectId,
      user_id: trace.userId,
      user_name: trace.userName,
      trace_name: trace.traceName,
      resource_type: trace.resourceType,
      resource_id: trace.resourceId,
      resource_name: trace.resourceName,
      job_id: trace.jobId,
      details: JSON.stringify(trace.details),
      created_at: trace.createdAt,
    };
    await this.#scope.executor.insertInto('traces').values(row).execute();
  }

  /** @throws MARKER_NOT_FOUND */
  async list(filter: TraceFilter, page: ListPage<TraceSortKey>): Promise<ListResult<Trace>> {
    const spec: ListSpec<TraceSortKey> = {
      table: 'traces',
      columns: SORT_COLUMNS,
      visible: equals('project_id', filter.projectId),
      filters: [
        ...equals('trace_name', filter.traceName),
        ...equals('resource_type', filter.resourceType),
        ...equals('resource_id', filter.resourceId),
        ...equals('user_id', filter.userId),
      ],
    };
    const { rows, ...counted } = await listRows<Selectable<TraceTable>, TraceSortKey>(this.#scope.executor, spec, page);
    return { items: rows.map(toTrace), ...counted };
  }

  /** Returns how many were forgotten. */
  async deleteBefore(createdBefore: number): Promise<number> {
    const result = await this.#scope.executor
      .deleteFrom('traces')
      .where('created_at', '<', createdBefore)
      .executeTakeFirst();
    return Number(result.numDeletedRows);
  }
}

function toTrace(row: Selectable<TraceTable>): Trace {
  // Casts: rows hold only what `insert` took from typed values.
  return {
    traceId: row.trace_id as TraceId,
    projectId: row.project_id as ProjectId,
    userId: row.user_id as UserId | null,
    userName: row.user_name,
    traceName: row.trace_name as TraceName,
    resourceType: row.resource_type as TraceResourceType,
    resourceId: row.resource_id,
    resourceName: row.resource_name,
    jobId: row.job_id as JobId | null,
    details: JSON.parse(row.details) as Record<string, unknown>,
    createdAt: row.created_at,
  };
}
