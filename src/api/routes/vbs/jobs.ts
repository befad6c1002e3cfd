// /v1/{project_id}/jobs (contract 3.6); one job is shown below /v2 as well, where two SDKs ask for it.
import type { ApiDeps, ProjectRoute } from '../../route.ts';
import { checkJobId, JobBody, JobList, JobListQuery, JobQuery, parseJobFilter } from '../../schemas/jobs.ts';
import { parseListPage, queryBoolean, withoutEmptyValues } from '../../schemas/list-query.ts';
import { viewJob } from '../../views/job-view.ts';

export function jobRoutes({ jobs }: ApiDeps): ProjectRoute[] {
  return [
    {
      method: 'GET',
      paths: ['/v1/:project_id/jobs/:job_id', '/v2/:project_id/jobs/:job_id'],
      access: { kind: 'project' },
      doc: { summary: 'Show a job', tag: 'jobs', query: JobQuery, ok: { status: 200, schema: JobBody } },
      handle: async ({ caller, projectId, param, query }) => {
        const withProgress = queryBoolean(query, 'progress') === true;
        return viewJob(await jobs.getJob(caller, projectId, checkJobId(param('job_id'))), { withProgress });
      },
    },
    {
      method: 'GET',
      paths: ['/v1/:project_id/jobs'],
      access: { kind: 'project' },
      doc: {
        summary: 'List jobs, newest first',
        tag: 'jobs',
        query: JobListQuery,
        ok: { status: 200, schema: JobList },
      },
      handle: async (call) => {
        const { caller, projectId } = call;
        const query = withoutEmptyValues(call.query);
        const filter = parseJobFilter(query);
        const { limit, offset, markerId } = parseListPage(query, {});
        const withProgress = queryBoolean(query, 'progress') === true;
        const page = { limit, offset, markerId, withTotalCount: true };
        const { items, totalCount } = await jobs.listJobs(caller, projectId, filter, page);
        return { jobs: items.map((job) => viewJob(job, { withProgress })), count: totalCount ?? items.length };
      },
    },
  ];
}
