// Requests and answers of .../backuptasks (contract 3.13).
import { Type } from 'typebox';
import { isUuid } from '../../core/ids.ts';
import { LIST_LIMIT_MAX } from '../../core/limits.ts';
import { TASK_STATUSES } from '../../core/model.ts';
import type { OffsetPage, TaskListFilter } from '../../services/policy-requests.ts';
import { Uuid } from './common.ts';
import { filledCount, filledMarker, filledText, type QueryValues } from './list-query.ts';
import { dropUndefined, invalidField } from './parse.ts';

const TASK_LIMIT_DEFAULT = 20;
/** No task has it: what stands for an id that is legal but none of ours. */
const NIL_UUID = '00000000-0000-0000-0000-000000000000';

const TaskStatusSchema = Type.Union(TASK_STATUSES.map((status) => Type.Literal(status)));
const TaskTime = Type.String({ examples: ['2026-02-03T22:00:00.015'], description: 'UTC, no zone suffix' });

export const TaskListQuery = Type.Object({
  sort_dir: Type.Optional(Type.Union([Type.Literal('asc'), Type.Literal('desc')])),
  sort_key: Type.Optional(Type.Literal('created_at')),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIST_LIMIT_MAX, default: TASK_LIMIT_DEFAULT })),
  offset: Type.Optional(Type.Integer({ minimum: 0, default: 0 })),
  marker: Type.Optional(Type.String({ description: 'Task id; the page starts after it' })),
  job_id: Type.Optional(Type.String({ description: 'Task id' })),
  status: Type.Optional(TaskStatusSchema),
});

export const TaskList = Type.Object(
  {
    count: Type.Integer({ description: 'All tasks that match, whatever the page' }),
    tasks: Type.Array(
      Type.Object({
        status: TaskStatusSchema,
        job_id: Type.String({ format: 'uuid', description: 'Id of the task' }),
        created_at: TaskTime,
        finished_at: Type.Optional(TaskTime),
        backup_name: Type.Optional(Type.String({ examples: ['autobk_9c3e'] })),
        resource_id: Uuid,
        resource_type: Type.Literal('volume'),
        vbs_job_id: Type.Optional(Type.String({ format: 'uuid', description: 'Id for /v1/{project_id}/jobs' })),
        code: Type.Optional(Type.String()),
        message: Type.Optional(Type.String()),
      }),
    ),
  },
  { $id: 'TaskList' },
);

export type TaskPage = OffsetPage & { readonly markerId?: string; readonly direction: 'asc' | 'desc' };

/** @throws REQUEST_FIELD_INVALID, MARKER_NOT_FOUND */
export function parseTaskQuery(query: QueryValues): { filter: TaskListFilter; page: TaskPage } {
  const direction = filledText(query, 'sort_dir') ?? 'desc';
  if (direction !== 'asc' && direction !== 'desc') throw invalidField('sort_dir', 'it must be asc or desc');
  const sortKey = filledText(query, 'sort_key') ?? 'created_at';
  if (sortKey !== 'created_at') throw invalidField('sort_key', 'it must be created_at');
  const limit = filledCount(query, 'limit') ?? TASK_LIMIT_DEFAULT;
  if (limit < 1 || limit > LIST_LIMIT_MAX) throw invalidField('limit', `it must be from 1 to ${LIST_LIMIT_MAX}`);
  const offset = filledCount(query, 'offset') ?? 0;
  const markerId = filledMarker(query);
  const taskId = parseTaskId(filledText(query, 'job_id'));
  const statusText = filledText(query, 'status');
  const status = TASK_STATUSES.find((known) => known === statusText);
  if (statusText !== undefined && status === undefined) throw invalidField('status', 'it is not a task status');
  return {
    filter: dropUndefined({ taskId, status }),
    page: { limit, offset, direction, ...(markerId === undefined ? {} : { markerId }) },
  };
}

/** Contract 1.4: any such text is a legal key to look for, whether or not a task can have it. */
function parseTaskId(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (!/^[A-Za-z0-9-]{1,64}$/.test(text)) throw invalidField('job_id', 'it is no job id');
  const dashed = /^[0-9a-f]{32}$/i.test(text)
    ? text.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
    : text;
  return isUuid(dashed) ? dashed.toLowerCase() : NIL_UUID;
}
