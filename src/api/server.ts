// Puts the API together: guard, body parser, error replies, routes. It listens nowhere; app.ts does.
import fastify, { type FastifyInstance } from 'fastify';
import { REQUEST_BODY_MAX_BYTES } from '../core/limits.ts';
import { installBodyParser } from './plugins/body-parser.ts';
import { type ErrorReplyDeps, installErrorReply, sendFrameworkError } from './plugins/error-reply.ts';
import { pathOfUrl } from './plugins/family.ts';
import { installOpenApi } from './plugins/openapi.ts';
import { installRequestGuard, newRequestId } from './plugins/request-guard.ts';
import { RouteTable } from './plugins/route-table.ts';
import { type ApiDeps, type Route, registerRoutes } from './route.ts';
import { attachmentRoutes } from './routes/cinder/attachments.ts';
import { nativeBackupRoutes } from './routes/cinder/backups.ts';
import { manageableVolumeRoutes } from './routes/cinder/manageable-volumes.ts';
import { messageRoutes } from './routes/cinder/messages.ts';
import { quotaRoutes } from './routes/cinder/quotas.ts';
import { serviceRoutes } from './routes/cinder/services.ts';
import { snapshotRoutes } from './routes/cinder/snapshots.ts';
import { volumeActionRoutes } from './routes/cinder/volume-actions.ts';
import { volumeTypeRoutes } from './routes/cinder/volume-types.ts';
import { volumeRoutes } from './routes/cinder/volumes.ts';
import { devRoutes } from './routes/dev.ts';
import { discoveryRoutes } from './routes/discovery.ts';
import { identityRoutes } from './routes/identity.ts';
import { accessRoutes } from './routes/identity-access.ts';
import { directoryRoutes } from './routes/identity-directory.ts';
import { siteRoutes } from './routes/site.ts';
import { backupDataRoutes } from './routes/vbs/backup-data.ts';
import { backupDiffRoutes } from './routes/vbs/backup-diff.ts';
import { cloudBackupRoutes } from './routes/vbs/cloudbackups.ts';
import { jobRoutes } from './routes/vbs/jobs.ts';
import { policyRoutes } from './routes/vbs/policies.ts';
import { policyVolumeRoutes } from './routes/vbs/policy-resources.ts';
import { repositoryRoutes } from './routes/vbs/repository.ts';
import { sharingRoutes } from './routes/vbs/sharings.ts';
import { tagRoutes } from './routes/vbs/tags.ts';
import { traceRoutes } from './routes/vbs/traces.ts';
import { verifyRoutes } from './routes/vbs/verify.ts';

/** Names of 255 characters, each percent-encoded as four bytes. */
const PARAM_LENGTH_MAX = 3072;
/** A whole request, at most 112 KiB of body, is in after this; slower clients only hold connections. */
const REQUEST_TIMEOUT_MS = 60_000;

/** The API over the given services, ready for `listen` or `inject`. */
export async function buildServer(deps: ApiDeps): Promise<FastifyInstance> {
  const routeTable = new RouteTable();
  const { publicUrl, identity, logger, externalIdentityUrl } = deps;
  const shared = {
    ...{ routeTable, logger },
    ...(publicUrl === undefined ? {} : { publicUrl: trimSlashes(publicUrl) }),
    ...(externalIdentityUrl === undefined ? {} : { externalIdentityUrl }),
  };
  const app = createFastify(shared, deps.trustedProxies ?? []);
  routeTable.watch(app);
  // The contract's checks stand in schemas/*: Fastify's own would answer with other codes in another order.
  app.setValidatorCompiler(() => () => true);
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  installBodyParser(app);
  installErrorReply(app, shared);
  installRequestGuard(app, { ...shared, identity });
  logRequests(app, deps);
  await installOpenApi(app, deps.version);
  app.register(async (scope) =>
    registerRoutes(
      scope,
      listRoutes(deps, () => app.swagger()),
    ),
  );
  return app;
}

export function listRoutes(deps: ApiDeps, describeApi: () => unknown): Route[] {
  return [
    ...discoveryRoutes(deps),
    ...identityRoutes(deps),
    ...directoryRoutes(deps),
    ...accessRoutes(deps),
    ...cloudBackupRoutes(deps),
    ...jobRoutes(deps),
    ...sharingRoutes(deps),
    ...traceRoutes(deps),
    ...repositoryRoutes(deps),
    ...verifyRoutes(deps),
    ...policyRoutes(deps),
    ...policyVolumeRoutes(deps),
    ...tagRoutes(deps),
    ...backupDataRoutes(deps),
    ...backupDiffRoutes(deps),
    ...nativeBackupRoutes(deps),
    ...volumeRoutes(deps),
    ...volumeActionRoutes(deps),
    ...snapshotRoutes(deps),
    ...manageableVolumeRoutes(deps),
    ...attachmentRoutes(deps),
    ...volumeTypeRoutes(deps),
    ...quotaRoutes(deps),
    ...messageRoutes(deps),
    ...serviceRoutes(deps),
    ...devRoutes(deps),
    ...siteRoutes(deps.version, describeApi),
  ];
}

function createFastify(shared: ErrorReplyDeps, trustedProxies: readonly string[]): FastifyInstance {
  return fastify({
    ...(trustedProxies.length === 0 ? {} : { trustProxy: [...trustedProxies] }),
    bodyLimit: REQUEST_BODY_MAX_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    exposeHeadRoutes: false,
    genReqId: newRequestId,
    // Ids of callers are logged, never taken over: ours must be unique.
    requestIdHeader: false,
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX },
    frameworkErrors: (error, request, reply) => sendFrameworkError(error, request, reply, shared),
  });
}

function logRequests(app: FastifyInstance, { logger, metrics }: ApiDeps): void {
  app.addHook('onResponse', async (request, reply) => {
    const { id: requestId, method, url } = request;
    const callerRequestId = request.headers['x-openstack-request-id'];
    const durationMs = Math.round(reply.elapsedTime);
    const fields = { requestId, callerRequestId, method, path: pathOfUrl(url), status: reply.statusCode, durationMs };
    logger.debug(fields, 'request');
    // Patterns are few; paths hold ids, and those that lead nowhere whatever a caller thought of.
    const route = request.is404 ? 'none' : (request.routeOptions.url ?? 'none');
    metrics?.served({ method, route, status: reply.statusCode, durationMs: reply.elapsedTime });
  });
}

function trimSlashes(url: string): string {
  return url.replace(/\/+$/, '');
}
