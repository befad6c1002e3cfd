// The only place that turns errors into answers: VBS form, native fault or Keystone form by family (contract 1.5, 1.6).
// At 5xx nothing leaves but a code and the request id; the rest is in the log.
import { STATUS_CODES } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, policyWireOf, VbsError } from '../../core/errors.ts';
import { REQUEST_BODY_MAX_BYTES } from '../../core/limits.ts';
import type { Logger } from '../../core/ports.ts';
import { type Family, isVbsFamily, pathOfUrl } from './family.ts';
import { addVersionHeaders, beginRequest, refuseUnrouted } from './request-guard.ts';
import type { RouteTable } from './route-table.ts';

/** Where a family answers another status than the table of errors says. */
const VBS_STATUS: Partial<Record<ErrorCode, number>> = { ROLES_EMPTY: 401 };
/** A marker that is unknown is a bad parameter there (contract 1.8). */
const POLICY_STATUS: Partial<Record<ErrorCode, number>> = {
  ...VBS_STATUS,
  MARKER_NOT_FOUND: 400,
  KEYSTONE_UNAVAILABLE: 500,
};
const NATIVE_STATUS: Partial<Record<ErrorCode, number>> = {
  PROJECT_MISMATCH: 400,
  QUOTA_BACKUPS_EXCEEDED: 413,
  QUOTA_BACKUP_GIGABYTES_EXCEEDED: 413,
  QUOTA_VOLUMES_EXCEEDED: 413,
  QUOTA_GIGABYTES_EXCEEDED: 413,
  QUOTA_VOLUME_SIZE_EXCEEDED: 413,
  QUOTA_SNAPSHOTS_EXCEEDED: 413,
  // Cinder answers 400 whenever a state forbids something.
  BACKUP_IN_PROGRESS: 400,
  RESTORE_VOLUME_BEING_BACKED_UP: 400,
  VOLUME_ATTACHED: 400,
  VOLUME_BEING_COPIED: 400,
};

const FAULT_NAMES: Readonly<Record<number, string>> = {
  400: 'badRequest',
  403: 'forbidden',
  404: 'itemNotFound',
  405: 'badMethod',
  409: 'conflictingRequest',
  413: 'overLimit',
  415: 'badMediaType',
  501: 'notImplemented',
  503: 'serviceUnavailable',
};

/** VBS codes that say no more than the status does; native faults leave them out. */
const GENERAL_WIRE_CODES: ReadonlySet<string> = new Set([
  'VolumeBackup.0002',
  'VolumeBackup.0041',
  'VolumeBackup.0042',
  'VolumeBackup.0044',
  'VolumeBackup.0900',
]);

export type ErrorReply = { readonly status: number; readonly body: Readonly<Record<string, unknown>> };

/** The answer to an error. Pure. */
export function shapeError(error: VbsError, family: Family, requestId: string): ErrorReply {
  const status = statusOf(error, family);
  const message = status >= 500 ? `${error.code} (request ${requestId})` : error.message;
  if (family === 'vbs') return { status, body: { error: { code: error.spec.wire, message } } };
  if (family === 'policy') return { status, body: { error: { code: policyWireOf(error.code), message } } };
  if (family === 'identity' || status === 401) {
    return { status, body: { error: { code: status, title: STATUS_CODES[status] ?? 'Error', message } } };
  }
  const fault: Record<string, unknown> = { code: status, message };
  if (status === 413) fault.retryAfter = '0';
  const hasOwnCode = (status === 400 || status === 409) && !GENERAL_WIRE_CODES.has(error.spec.wire);
  if (hasOwnCode) fault.error_code = error.spec.wire;
  return { status, body: { [FAULT_NAMES[status] ?? 'computeFault']: fault } };
}

function statusOf(error: VbsError, family: Family): number {
  return statusOverrides(family)[error.code] ?? error.spec.status;
}

function statusOverrides(family: Family): Partial<Record<ErrorCode, number>> {
  if (family === 'policy') return POLICY_STATUS;
  return family === 'vbs' ? VBS_STATUS : NATIVE_STATUS;
}

/** What Fastify itself refuses, in our codes. */
const FASTIFY_CODES: Readonly<Record<string, VbsError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: new VbsError('REQUEST_TOO_LARGE', { limitBytes: REQUEST_BODY_MAX_BYTES }),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: new VbsError('REQUEST_MALFORMED', { reason: 'Content-Length is wrong' }),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: new VbsError('MEDIA_TYPE_UNSUPPORTED', { contentType: 'of the request' }),
  FST_ERR_BAD_URL: new VbsError('ROUTE_NOT_FOUND'),
  FST_ERR_MAX_PARAM_LENGTH: new VbsError('ROUTE_NOT_FOUND'),
  // The client went away while it sent the body; nobody reads this answer.
  ECONNRESET: new VbsError('REQUEST_MALFORMED', { reason: 'the body ended early' }),
};

export function toVbsError(error: unknown): VbsError {
  if (error instanceof VbsError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return FASTIFY_CODES[code] ?? new VbsError('INTERNAL', {}, { cause: error });
}

export type ErrorReplyDeps = {
  readonly logger: Logger;
  readonly publicUrl?: string;
  /** What a 401 names as the place to get tokens from; unset: this service. */
  readonly externalIdentityUrl?: string;
  readonly routeTable: RouteTable;
};

export function installErrorReply(app: FastifyInstance, deps: ErrorReplyDeps): void {
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply, deps));
  app.setNotFoundHandler((request, reply) => refuseUnrouted(request, reply, deps.routeTable));
}

/** Answers a request that the router refused before any hook ran. */
export function sendFrameworkError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  deps: ErrorReplyDeps,
): void {
  beginRequest(request, reply, deps.publicUrl);
  addVersionHeaders(request, reply);
  sendError(error, request, reply, deps);
}

function sendError(cause: unknown, request: FastifyRequest, reply: FastifyReply, deps: ErrorReplyDeps): FastifyReply {
  const error = toVbsError(cause);
  const { status, body } = shapeError(error, request.guard.family, request.id);
  if (status >= 500) logFailure(error, request, deps.logger);
  const identityUrl = deps.externalIdentityUrl ?? `${request.guard.origin}/identity/v3`;
  if (status === 401) reply.header('WWW-Authenticate', `Keystone uri="${identityUrl}"`);
  if (status === 413 && !isVbsFamily(request.guard.family)) reply.header('Retry-After', '0');
  // Bytes, because Fastify would add a charset parameter where no hook can take it away (refused by the router).
  return reply
    .code(status)
    .type('application/json')
    .send(Buffer.from(JSON.stringify(body)));
}

function logFailure(error: VbsError, request: FastifyRequest, logger: Logger): void {
  const origin = error.cause instanceof Error ? error.cause : error;
  logger.error(
    { requestId: request.id, method: request.method, path: pathOfUrl(request.url), code: error.code, err: origin },
    'request failed',
  );
}
