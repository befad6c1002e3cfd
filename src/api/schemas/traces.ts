// Requests and answers of /v1/{project_id}/traces, an extension (contract 5.14).
import { Type } from 'typebox';
import { TRACE_RESOURCE_TYPES, type TraceName, type TraceResourceType } from '../../core/trace.ts';
import type { TraceListFilter } from '../../services/trace-service.ts';
import { nullable, PageQuery, Uuid } from './common.ts';
import { type QueryValues, queryText } from './list-query.ts';
import { dropUndefined, invalidField } from './parse.ts';

const TRACE_NAMES = Object.keys(TRACE_RESOURCE_TYPES);
const RESOURCE_TYPES: readonly TraceResourceType[] = ['vbs', 'autobackup'];

export const TraceBody = Type.Object(
  {
    trace_id: Uuid,
    trace_name: Type.String({ examples: TRACE_NAMES }),
    trace_type: Type.String({ description: 'ApiCall, or SystemAction for what a schedule did' }),
    resource_type: Type.String({ examples: RESOURCE_TYPES }),
    resource_id: Uuid,
    resource_name: nullable(Type.String()),
    user: nullable(Type.Object({ id: Type.String(), name: Type.String() })),
    job_id: nullable(Uuid),
    details: Type.Record(Type.String(), Type.Unknown()),
    created_at: Type.String({ examples: ['2026-02-03T09:15:00.120Z'] }),
  },
  { $id: 'Trace', description: 'Who did what to which backup or policy' },
);

export const TraceList = Type.Object({ traces: Type.Array(TraceBody), count: Type.Integer() });

export const TraceListQuery = Type.Object({
  trace_name: Type.Optional(Type.String()),
  resource_type: Type.Optional(Type.String()),
  resource_id: Type.Optional(Type.String()),
  user_id: Type.Optional(Type.String()),
  limit: PageQuery.limit,
  offset: PageQuery.offset,
  marker: PageQuery.marker,
});

/** Takes the query without its empty values. @throws REQUEST_FIELD_INVALID */
export function parseTraceFilter(query: QueryValues): TraceListFilter {
  const nameText = queryText(query, 'trace_name');
  const typeText = queryText(query, 'resource_type');
  const resourceType = RESOURCE_TYPES.find((type) => type === typeText);
  if (nameText !== undefined && !isTraceName(nameText)) throw invalidField('trace_name', 'there is no such trace');
  if (typeText !== undefined && resourceType === undefined)
    throw invalidField('resource_type', 'there is no such type');
  return dropUndefined({
    traceName: nameText,
    resourceType,
    resourceId: queryText(query, 'resource_id')?.toLowerCase(),
    userId: queryText(query, 'user_id')?.toLowerCase(),
  });
}

function isTraceName(text: string): text is TraceName {
  return Object.hasOwn(TRACE_RESOURCE_TYPES, text);
}
