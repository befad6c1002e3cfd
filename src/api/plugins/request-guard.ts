// Everything that is checked before a body is read, in the order of contract section 3: token, project of the path,
// role; then microversion and Accept. It also sets the headers that every answer carries.
import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { VbsError } from '../../core/errors.ts';
import { type ProjectId, parseHexId } from '../../core/ids.ts';
import type { Role } from '../../core/model.ts';
import { type Caller, requireProject, requireRole } from '../../services/caller.ts';
import { isAcceptable } from './accept.ts';
import { type Family, familyOfPath, isVbsFamily, pathOfUrl } from './family.ts';
import { formatMicroversion, MICROVERSION_MIN, type Microversion, negotiateMicroversion } from './microversion.ts';
import type { RouteTable } from './route-table.ts';

/** Who may call a route. `role` defaults to `reader` for GET and HEAD, `member` otherwise (contract 1.5). */
export type RouteAccess =
  | { readonly kind: 'public'; readonly accepts?: 'anything' }
  | { readonly kind: 'token'; readonly role?: Role | 'none'; readonly minVersion?: Microversion }
  | {
      readonly kind: 'project';
      readonly role?: Role;
      readonly minVersion?: Microversion;
      readonly accepts?: 'anything';
    };

/** What the guard found out about a request. */
export type GuardState = {
  readonly family: Family;
  readonly origin: string;
  version: Microversion;
  caller: Caller | undefined;
  projectId: ProjectId | undefined;
};

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: RouteAccess;
  }
  interface FastifyRequest {
    guard: GuardState;
  }
}

export type GuardDeps = {
  readonly identity: { authenticate(tokenId: string): Promise<Caller> };
  readonly publicUrl?: string;
  /** Set: users and tokens are kept there, and the routes of identity are not served. */
  readonly externalIdentityUrl?: string;
  readonly routeTable: RouteTable;
};

/** Version from which paths without project exist (contract 1.9). */
const PROJECTLESS_VERSION: Microversion = 67;

export function newRequestId(): string {
  return `req-${randomUUID()}`;
}

export function installRequestGuard(app: FastifyInstance, deps: GuardDeps): void {
  // The cast: Fastify wants reference types declared empty; beginRequest sets the state before anything reads it.
  app.decorateRequest('guard', null as unknown as GuardState);
  app.addHook('onRequest', async (request, reply) => beginRequest(request, reply, deps.publicUrl));
  app.addHook('onRequest', async (request, reply) => {
    if (request.is404) return;
    refuseLiteralIds(request, reply, deps.routeTable);
    await guardRequest(request, deps);
  });
  app.addHook('onSend', async (request, reply, payload) => {
    finishHeaders(request, reply, payload);
    return payload;
  });
}

/** Sets what error replies need; also called for requests that the router refuses before any hook runs. */
export function beginRequest(request: FastifyRequest, reply: FastifyReply, publicUrl: string | undefined): void {
  const family = familyOfPath(pathOfUrl(request.url));
  const origin = publicUrl ?? originOf(request);
  request.guard = { family, origin, version: MICROVERSION_MIN, caller: undefined, projectId: undefined };
  reply.header('x-openstack-request-id', request.id);
  reply.header('x-compute-request-id', request.id);
  if (isVbsFamily(family) || family === 'sharing') reply.header('X-Request-Id', request.id);
  reply.header('X-Content-Type-Options', 'nosniff');
  reply.header('X-Frame-Options', 'DENY');
  reply.header('Referrer-Policy', 'no-referrer');
  reply.header('Cache-Control', 'no-store');
}

const HOST_PATTERN = /^(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/;

/** The Host header goes into links and headers of the answer, so anything unusual in it is left out. */
function originOf(request: FastifyRequest): string {
  const host = request.host;
  return `${request.protocol}://${HOST_PATTERN.test(host) ? host : 'localhost'}`;
}

/** `detail`, `quota` and their like are never ids (contract 2.1), though a parameter would match them. */
function refuseLiteralIds(request: FastifyRequest, reply: FastifyReply, routeTable: RouteTable): void {
  if (routeTable.hasLiteralAsId(request.params)) refuseUnrouted(request, reply, routeTable);
}

/** @throws METHOD_NOT_ALLOWED when the path is known with other methods, else ROUTE_NOT_FOUND. */
export function refuseUnrouted(request: FastifyRequest, reply: FastifyReply, routeTable: RouteTable): never {
  const methods = routeTable.methodsOf(pathOfUrl(request.url));
  if (methods.length === 0) throw new VbsError('ROUTE_NOT_FOUND');
  reply.header('Allow', methods.join(', '));
  throw new VbsError('METHOD_NOT_ALLOWED', { method: request.method });
}

async function guardRequest(request: FastifyRequest, deps: GuardDeps): Promise<void> {
  const access = request.routeOptions.config.access;
  if (access === undefined) throw new Error(`route ${request.routeOptions.url} declares no access`);
  const negotiation = negotiateFor(request);
  if (access.kind !== 'public') {
    refuseElsewhere(request, deps.externalIdentityUrl);
    request.guard.caller = { ...(await authenticate(request, deps.identity)), requestId: request.id };
    request.guard.projectId = checkProject(request, request.guard.caller, access.kind === 'project');
    checkRole(request, request.guard.caller, access.role);
    if (negotiation.error !== undefined) throw negotiation.error;
    requireVersion(request, access.minVersion ?? 0);
  }
  const acceptsAnything = access.kind !== 'token' && access.accepts === 'anything';
  if (!acceptsAnything && !isAcceptable(request.headers.accept)) throw new VbsError('NOT_ACCEPTABLE');
}

/** @throws IDENTITY_EXTERNAL */
function refuseElsewhere(request: FastifyRequest, url: string | undefined): void {
  if (url !== undefined && request.guard.family === 'identity') throw new VbsError('IDENTITY_EXTERNAL', { url });
}

function checkRole(request: FastifyRequest, caller: Caller, role: Role | 'none' | undefined): void {
  const isReading = request.method === 'GET' || request.method === 'HEAD';
  const needed = role ?? (isReading ? 'reader' : 'member');
  if (needed !== 'none') requireRole(caller, needed);
}

/** Settles the version first, so that faults of the other checks name it; a bad header is refused only in its turn. */
function negotiateFor(request: FastifyRequest): { error?: VbsError } {
  if (request.guard.family !== 'native3') return {};
  const header = request.headers['openstack-api-version'];
  try {
    request.guard.version = negotiateMicroversion(Array.isArray(header) ? header.join(',') : header);
    return {};
  } catch (error) {
    if (error instanceof VbsError) return { error };
    throw error;
  }
}

async function authenticate(request: FastifyRequest, identity: GuardDeps['identity']): Promise<Caller> {
  const token = request.headers['x-auth-token'];
  if (typeof token !== 'string' || token.trim() === '') throw new VbsError('TOKEN_MISSING');
  return identity.authenticate(token.trim());
}

/** The project that the request is about; undefined for routes that are about none. */
function checkProject(request: FastifyRequest, caller: Caller, isNeeded: boolean): ProjectId | undefined {
  // The cast names what the router always produces.
  const text = (request.params as Readonly<Record<string, string>>).project_id;
  if (text !== undefined) {
    const projectId = parseHexId<ProjectId>(text);
    if (projectId === undefined) throw new VbsError('PROJECT_MISMATCH', { projectId: text.slice(0, 64) });
    requireProject(caller, projectId);
    return projectId;
  }
  if (caller.projectId === null && isNeeded) throw new VbsError('PROJECT_MISMATCH', { projectId: 'of any kind' });
  return caller.projectId ?? undefined;
}

function requireVersion(request: FastifyRequest, minVersion: Microversion): void {
  const { family, version } = request.guard;
  if (family !== 'native3') return;
  // The cast names what the router always produces.
  const hasProject = (request.params as Readonly<Record<string, string>>).project_id !== undefined;
  if (version < Math.max(minVersion, hasProject ? 0 : PROJECTLESS_VERSION)) throw new VbsError('ROUTE_NOT_FOUND');
}

function finishHeaders(request: FastifyRequest, reply: FastifyReply, payload: unknown): void {
  const type = String(reply.getHeader('content-type') ?? '');
  const isEmpty = payload === undefined || payload === null || payload === '';
  if (isEmpty) reply.removeHeader('content-type');
  // Fastify adds a charset parameter; the documented header has none.
  else if (type.startsWith('application/json')) reply.header('content-type', 'application/json');
  addVersionHeaders(request, reply);
}

/** Names the version in force on every native v3 answer. */
export function addVersionHeaders({ guard }: FastifyRequest, reply: FastifyReply): void {
  if (guard.family !== 'native3') return;
  reply.header('OpenStack-API-Version', `volume ${formatMicroversion(guard.version)}`);
  reply.header('Vary', 'OpenStack-API-Version');
}
