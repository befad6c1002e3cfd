// GET /v1/{project_id}/traces, an extension: the audit traces of a project, newest first (contract 5.14).
import type { Trace } from '../../../core/trace.ts';
import type { ApiDeps, ProjectRoute } from '../../route.ts';
import { parseListPage, withoutEmptyValues } from '../../schemas/list-query.ts';
import { parseTraceFilter, TraceList, TraceListQuery } from '../../schemas/traces.ts';
import { formatJobTime } from '../../views/times.ts';

export function traceRoutes({ traces }: ApiDeps): ProjectRoute[] {
  return [
    {
      method: 'GET',
      paths: ['/v1/:project_id/traces'],
      access: { kind: 'project' },
      doc: {
        summary: 'List audit traces, newest first',
        description: 'Kept for 90 days. Every change of backups, sharings, tags and policies has one.',
        tag: 'extensions',
        query: TraceListQuery,
        ok: { status: 200, schema: TraceList },
      },
      handle: async ({ caller, projectId, query }) => {
        const values = withoutEmptyValues(query);
        const filter = parseTraceFilter(values);
        const { limit, offset, markerId } = parseListPage(values, {});
        const page = { limit, offset, markerId, withTotalCount: true };
        const { items, totalCount } = await traces.listTraces(caller, projectId, filter, page);
        return { traces: items.map(viewTrace), count: totalCount ?? items.length };
      },
    },
  ];
}

function viewTrace(trace: Trace): Record<string, unknown> {
  return {
    trace_id: trace.traceId,
    trace_name: trace.traceName,
    trace_type: trace.userId === null ? 'SystemAction' : 'ApiCall',
    resource_type: trace.resourceType,
    resource_id: trace.resourceId,
    resource_name: trace.resourceName,
    user: trace.userId === null ? null : { id: trace.userId, name: trace.userName ?? '' },
    job_id: trace.jobId,
    details: trace.details,
    created_at: formatJobTime(trace.createdAt),
  };
}
