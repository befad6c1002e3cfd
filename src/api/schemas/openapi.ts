// The description of routes for /openapi.json. Fastify never validates with these schemas (see parse.ts): they are for
// readers and generators of clients.
import { type TSchema, Type } from 'typebox';
import { type Family, familyOfPath, isVbsFamily } from '../plugins/family.ts';

export type RouteDoc = {
  readonly summary: string;
  readonly description?: string;
  readonly tag: string;
  readonly query?: TSchema;
  readonly headers?: TSchema;
  readonly body?: TSchema;
  readonly ok: { readonly status: number; readonly schema?: TSchema; readonly mediaType?: string };
  /** Further documented statuses of success, by status. */
  readonly alternatives?: Readonly<Record<number, string>>;
};

/** Errors, as every route names them. */
export const ERROR_SCHEMAS: readonly TSchema[] = [
  Type.Object(
    {
      error: Type.Object({
        code: Type.String({ description: 'VBS error code', examples: ['VolumeBackup.0005'] }),
        message: Type.String(),
      }),
    },
    { $id: 'VbsError', description: 'Error of the cloudbackups, jobs and policy families' },
  ),
  Type.Record(
    Type.String(),
    Type.Object({
      code: Type.Integer({ description: 'HTTP status' }),
      message: Type.String(),
      error_code: Type.Optional(Type.String({ description: 'VBS error code, where one fits' })),
      retryAfter: Type.Optional(Type.String()),
    }),
    {
      $id: 'NativeFault',
      description: 'Fault of the native API: one key named after the status (badRequest, itemNotFound, ...)',
    },
  ),
  Type.Object(
    { error: Type.Object({ code: Type.Integer(), title: Type.String(), message: Type.String() }) },
    { $id: 'IdentityError', description: 'Error of the identity API, and every 401 of the native API' },
  ),
];

const ERROR_STATUSES: Readonly<Record<number, string>> = {
  400: 'The request is malformed, or a state or limit forbids it',
  401: 'The token is missing, unknown or expired',
  403: 'The roles of the token do not permit this',
  404: 'Not found; resources of other projects answer the same',
  405: 'The path exists, but not with this method',
  406: 'Only JSON can be produced, or the microversion is out of range',
  409: 'Another operation is running',
  413: 'The body is too large, or a quota is exhausted',
  500: 'Internal error; the message names the request id',
  503: 'The service is shutting down',
};
/** What a route without token and body can still answer. */
const PUBLIC_STATUSES: ReadonlySet<number> = new Set([405, 406, 500, 503]);

const PARAMETER_TEXTS: Readonly<Record<string, string>> = {
  project_id: 'Project of the token, 32 hex digits',
  backup_id: 'Backup id',
  policy_id: 'Policy id',
  volume_id: 'Volume id',
  job_id: 'Job id',
  sharing_id: 'Sharing id',
  type_id: 'Volume type id',
  key: 'Key of metadata or of a tag, percent-encoded',
  identity_project_id: 'Project id',
};

/** The Fastify schema of one path of a route. */
export function documentRoute(doc: RouteDoc, url: string, needsToken: boolean): Record<string, unknown> {
  const names = [...url.matchAll(/:(\w+)/g)].map((match) => match[1] ?? '');
  const params = Object.fromEntries(
    names.map((name) => [name, Type.String({ description: PARAMETER_TEXTS[name] ?? name })]),
  );
  return {
    summary: doc.summary,
    ...(doc.description === undefined ? {} : { description: doc.description }),
    tags: [doc.tag],
    security: needsToken ? [{ token: [] }] : [],
    ...(names.length === 0 ? {} : { params: Type.Object(params) }),
    ...(doc.query === undefined ? {} : { querystring: doc.query }),
    ...(doc.headers === undefined ? {} : { headers: doc.headers }),
    ...(doc.body === undefined ? {} : { body: referByName(doc.body) }),
    response: describeResponses(doc, url, needsToken),
  };
}

function describeResponses(doc: RouteDoc, url: string, needsToken: boolean): Record<string, unknown> {
  const family = familyOfPath(url);
  const responses: Record<string, unknown> = { [doc.ok.status]: describeSuccess(doc) };
  for (const [status, description] of Object.entries(doc.alternatives ?? {})) {
    responses[status] = { description, type: 'null' };
  }
  for (const [status, description] of Object.entries(ERROR_STATUSES)) {
    if (!needsToken && doc.body === undefined && !PUBLIC_STATUSES.has(Number(status))) continue;
    responses[status] ??= {
      description,
      content: { 'application/json': { schema: { $ref: `${errorSchema(family, Number(status))}#` } } },
    };
  }
  return responses;
}

function describeSuccess({ ok, summary }: RouteDoc): unknown {
  if (ok.schema === undefined) return { description: `${summary}: done, without content`, type: 'null' };
  const mediaType = ok.mediaType ?? 'application/json';
  return { description: summary, content: { [mediaType]: { schema: referByName(ok.schema) } } };
}

/** The same schema with every part that has a name (`$id`) replaced by a reference to it. */
export function referByName(schema: unknown): unknown {
  return isNamed(schema) ? { $ref: `${schema.$id}#` } : referWithin(schema);
}

function isNamed(schema: unknown): schema is { readonly $id: string } {
  return typeof schema === 'object' && schema !== null && '$id' in schema;
}

/** As `referByName`, but the schema itself stays. */
export function referWithin(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(referByName);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(Object.entries(schema).map(([key, part]) => [key, referByName(part)]));
}

function errorSchema(family: Family, status: number): string {
  if (isVbsFamily(family)) return 'VbsError';
  return family === 'identity' || status === 401 ? 'IdentityError' : 'NativeFault';
}
