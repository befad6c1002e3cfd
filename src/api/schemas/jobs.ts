// Requests and answers of /v1/{project_id}/jobs (contract 3.6).
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { type JobId, parseUuid } from '../../core/ids.ts';
import type { JobKind, JobStatus } from '../../core/model.ts';
import type { JobListFilter } from '../../services/job-service.ts';
import { JOB_TYPES } from '../views/job-view.ts';
import { nullable, PageQuery, Uuid } from './common.ts';
import { type QueryValues, queryText } from './list-query.ts';
import { invalidField } from './parse.ts';

const Progress = Type.Object(
  {
    percent: nullable(Type.Number()),
    total_bytes: Type.Integer(),
    done_bytes: Type.Integer(),
    skipped_bytes: Type.Integer(),
    stored_bytes: Type.Integer(),
    rate_bytes_per_s: nullable(Type.Number()),
    eta_s: nullable(Type.Number()),
  },
  { description: 'Extension: only with progress=true' },
);

export const JobBody = Type.Object(
  {
    status: Type.Union(['INIT', 'RUNNING', 'SUCCESS', 'FAIL'].map((status) => Type.Literal(status))),
    entities: Type.Record(Type.String(), Type.String()),
    job_id: Uuid,
    job_type: Type.String({ examples: Object.values(JOB_TYPES) }),
    begin_time: Type.String({ examples: ['2026-02-03T09:15:00.120Z'] }),
    end_time: nullable(Type.String()),
    error_code: nullable(Type.String()),
    fail_reason: nullable(Type.String()),
    sub_jobs: Type.Array(Type.Unknown()),
    progress: Type.Optional(Progress),
    result: Type.Optional(
      nullable(
        Type.Record(Type.String(), Type.Unknown(), {
          description: 'Extension: only with progress=true. How a backup read its disk, how a restore wrote it',
          examples: [{ mode: 'changed-extents', reason: null, sample_count: 32, mismatch_count: 0 }],
        }),
      ),
    ),
  },
  { $id: 'Job', description: 'A durable unit of work' },
);

export const JobList = Type.Object({ jobs: Type.Array(JobBody), count: Type.Integer() });

const ProgressFlag = Type.Optional(Type.Boolean({ description: 'Extension: show progress, rate and time left' }));

export const JobQuery = Type.Object({ progress: ProgressFlag });
export const JobListQuery = Type.Object({
  status: Type.Optional(Type.String()),
  job_type: Type.Optional(Type.String()),
  limit: PageQuery.limit,
  offset: PageQuery.offset,
  marker: PageQuery.marker,
  progress: ProgressFlag,
});

/** UUIDs and their 32 hex digits; whatever else a client has, no job has it. @throws JOB_NOT_FOUND */
export function checkJobId(text: string): JobId {
  const hex = /^[0-9a-f]{32}$/i.test(text) ? text.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') : text;
  const jobId = parseUuid<JobId>(hex);
  if (jobId === undefined) throw new VbsError('JOB_NOT_FOUND', { jobId: text.slice(0, 64) });
  return jobId;
}

const JOB_STATUSES: readonly JobStatus[] = ['INIT', 'RUNNING', 'SUCCESS', 'FAIL'];

/** @throws REQUEST_FIELD_INVALID */
export function parseJobFilter(query: QueryValues): JobListFilter {
  const statusText = queryText(query, 'status');
  const typeText = queryText(query, 'job_type');
  const status = JOB_STATUSES.find((known) => known === statusText);
  // The cast names the keys of the table, which Object.entries does not.
  const kind = (Object.entries(JOB_TYPES) as [JobKind, string][]).find(([, type]) => type === typeText)?.[0];
  if (statusText !== undefined && status === undefined) throw invalidField('status', 'it is not a job status');
  if (typeText !== undefined && kind === undefined) throw invalidField('job_type', 'it is not a job type');
  return { ...(status === undefined ? {} : { status }), ...(kind === undefined ? {} : { kind }) };
}
