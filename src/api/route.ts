// What a route is: its paths, who may call it, its documentation and its handler. Routes hold no rules: they check the
// form of a request (schemas/), call one service and shape the answer (views/).
import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import type { ProjectId } from '../core/ids.ts';
import type { Metrics } from '../core/metrics.ts';
import type { NativeRules } from '../core/native-rules.ts';
import type { Clock, Logger } from '../core/ports.ts';
import type { AttachmentService } from '../services/attachment-service.ts';
import type { BackupRecordService } from '../services/backup-record-service.ts';
import type { BackupService } from '../services/backup-service.ts';
import type { BackupTagService } from '../services/backup-tag-service.ts';
import type { Caller } from '../services/caller.ts';
import type { DevClock } from '../services/dev-clock.ts';
import type { Directory } from '../services/directory.ts';
import type { HostService } from '../services/host-service.ts';
import type { IdentityService } from '../services/identity-service.ts';
import type { JobService } from '../services/job-service.ts';
import type { ManageableService } from '../services/manageable-service.ts';
import type { MessageService } from '../services/message-service.ts';
import type { PolicyService } from '../services/policy-service.ts';
import type { QuotaService } from '../services/quota-service.ts';
import type { RepositoryService } from '../services/repository-service.ts';
import type { SharingService } from '../services/sharing-service.ts';
import type { SnapshotService } from '../services/snapshot-service.ts';
import type { TraceService } from '../services/trace-service.ts';
import type { VerifyService } from '../services/verify-service.ts';
import type { VolumeActionService } from '../services/volume-action-service.ts';
import type { VolumeCreator } from '../services/volume-creation.ts';
import type { VolumeService } from '../services/volume-service.ts';
import type { VolumeTypeService } from '../services/volume-type-service.ts';
import { bodyOf } from './plugins/body-parser.ts';
import type { Family } from './plugins/family.ts';
import { pathOfUrl } from './plugins/family.ts';
import type { Microversion } from './plugins/microversion.ts';
import type { RouteAccess } from './plugins/request-guard.ts';
import type { QueryValues } from './schemas/list-query.ts';
import { documentRoute, type RouteDoc } from './schemas/openapi.ts';
import type { ParsedBody } from './schemas/parse.ts';
import type { LinkBase } from './views/links.ts';

/** What the API is built from. */
export type ApiDeps = {
  readonly identity: Pick<IdentityService, 'issueToken' | 'authenticate' | 'describeToken' | 'revokeToken'>;
  readonly directory: Directory;
  /** Where users and tokens are kept when not here: Keystone's address, ending in /v3. */
  readonly externalIdentityUrl?: string;
  /** Addresses whose X-Forwarded-* headers are believed. */
  readonly trustedProxies?: readonly string[];
  readonly volumes: VolumeService;
  readonly volumeActions: VolumeActionService;
  readonly attachments: AttachmentService;
  readonly volumeTypes: VolumeTypeService;
  readonly manageable: ManageableService;
  readonly quotas: QuotaService;
  readonly hosts: HostService;
  readonly messages: MessageService;
  readonly volumeCreator: Pick<VolumeCreator, 'createVolume'>;
  readonly snapshots: SnapshotService;
  readonly backups: BackupService;
  readonly backupRecords: Pick<BackupRecordService, 'exportRecord' | 'importRecord'>;
  readonly backupTags: BackupTagService;
  readonly jobs: JobService;
  readonly sharings: SharingService;
  readonly traces: TraceService;
  readonly policies: PolicyService;
  /** Absent: the documented defaults. */
  readonly nativeRules?: NativeRules;
  readonly repository: RepositoryService;
  readonly verify: VerifyService;
  /** Development only. */
  readonly devClock?: Pick<DevClock, 'advance'>;
  readonly region: string;
  readonly availabilityZone: string;
  /** Origin that links and catalogs name; absent: the one that the client used. */
  readonly publicUrl?: string;
  readonly version: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: Metrics;
};

/** One request, as a handler sees it. */
export type Call = {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly family: Family;
  readonly version: Microversion;
  readonly origin: string;
  readonly path: string;
  readonly query: QueryValues;
  readonly body: ParsedBody;
  param(name: string): string;
};

export type TokenCall = Call & { readonly caller: Caller };
export type ProjectCall = TokenCall & { readonly projectId: ProjectId; readonly links: LinkBase };

type RouteBase = {
  readonly method: HTTPMethods;
  readonly paths: readonly string[];
  readonly doc: RouteDoc;
};

/** No token is asked for. */
export type PublicRoute = RouteBase & {
  readonly access: Extract<RouteAccess, { kind: 'public' }>;
  handle(call: Call): unknown;
};
/** Any valid token; a project in the path must be the token's. */
export type TokenRoute = RouteBase & {
  readonly access: Extract<RouteAccess, { kind: 'token' }>;
  handle(call: TokenCall): unknown;
};
/** A token of the project that the path names, or of any project where the path names none. */
export type ProjectRoute = RouteBase & {
  readonly access: Extract<RouteAccess, { kind: 'project' }>;
  handle(call: ProjectCall): unknown;
};
export type Route = PublicRoute | TokenRoute | ProjectRoute;

/** The paths of a native resource: with project on v3 and v2, and without project (3.67). */
export function nativePaths(tail: string, versions: 'v3' | 'v2 and v3' = 'v2 and v3'): string[] {
  const paths = [`/v3/:project_id${tail}`, `/v3${tail}`];
  return versions === 'v3' ? paths : [...paths, `/v2/:project_id${tail}`];
}

export function registerRoutes(app: FastifyInstance, routes: readonly Route[]): void {
  for (const route of routes) {
    for (const url of route.paths) {
      const config: FastifyContextConfig = { access: route.access };
      app.route({
        method: route.method,
        url,
        config,
        schema: documentRoute(route.doc, url, route.access.kind !== 'public'),
        handler: async (request, reply) => {
          reply.code(route.doc.ok.status);
          const answer = await runHandler(route, request, reply);
          return answer === undefined ? reply.send() : answer;
        },
      });
    }
  }
}

async function runHandler(route: Route, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const call = describeCall(request, reply);
  if (isPublic(route)) return route.handle(call);
  const { caller, projectId } = request.guard;
  if (caller === undefined) throw new Error('the guard let a request without caller pass');
  if (isForToken(route)) return route.handle({ ...call, caller });
  if (projectId === undefined) throw new Error('the guard let a request without project pass');
  return route.handle({ ...call, caller, projectId, links: linkBase(call, projectId) });
}

function isPublic(route: Route): route is PublicRoute {
  return route.access.kind === 'public';
}

function isForToken(route: Route): route is TokenRoute {
  return route.access.kind === 'token';
}

function describeCall(request: FastifyRequest, reply: FastifyReply): Call {
  // The casts name what Fastify's router and query parser always produce: maps of strings.
  const params = request.params as Readonly<Record<string, string>>;
  const { family, version, origin } = request.guard;
  return {
    request,
    reply,
    family,
    version,
    origin,
    path: pathOfUrl(request.url),
    query: request.query as QueryValues,
    body: bodyOf(request),
    param: (name) => params[name] ?? '',
  };
}

function linkBase(call: Call, projectId: ProjectId): LinkBase {
  const hasProject = call.param('project_id') !== '';
  return {
    origin: call.origin,
    version: call.path.startsWith('/v2/') ? 'v2' : 'v3',
    project: hasProject ? projectId : undefined,
  };
}
