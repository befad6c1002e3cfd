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
import { nativeBackupRoutes } from './routes/cinder/backups.ts';
import { serviceRoutes } from './routes/cinder/services.ts';
import { volumeActionRoutes } from './routes/cinder/volume-actions.ts';
import { volumeRoutes } from './routes/cinder/volumes.ts';
import { devRoutes } from './routes/dev.ts';
import { discoveryRoutes } from './routes/discovery.ts';
import { identityRoutes } from './routes/identity.ts';
import { siteRoutes } from './routes/site.ts';
import { backupDataRoutes } from './routes/vbs/backup-data.ts';
import { cloudBackupRoutes } from './routes/vbs/cloudbackups.ts';
import { jobRoutes } from './routes/vbs/jobs.ts';
import { policyRoutes } from './routes/vbs/policies.ts';
import { policyVolumeRoutes } from './routes/vbs/policy-resources.ts';
import { sharingRoutes } from './routes/vbs/sharings.ts';
import { tagRoutes } from './routes/vbs/tags.ts';
import { traceRoutes } from './routes/vbs/traces.ts';

/** Names of 255 characters, each percent-encoded as four bytes. */
const PARAM_LENGTH_MAX = 3072;
/** A whole request, at most 112 KiB of body, is in after this; slower clients only hold connections. */
const REQUEST_TIMEOUT_MS = 60_000;

/** The API over the given services, ready for `listen` or `inject`. */
export async function buildServer(deps: ApiDeps): Promise<FastifyInstance> {
  const routeTable = new RouteTable();
  const { publicUrl, identity, logger } = deps;
  const shared = { routeTable, logger, ...(publicUrl === undefined ? {} : { publicUrl: trimSlashes(publicUrl) }) };
  const app = createFastify(shared);
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
    ...discoveryRoutes(),
    ...identityRoutes(deps),
    ...cloudBackupRoutes(deps),
    ...jobRoutes(deps),
    ...sharingRoutes(deps),
    ...traceRoutes(deps),
    ...policyRoutes(deps),
    ...policyVolumeRoutes(deps),
    ...tagRoutes(deps),
    ...backupDataRoutes(deps),
    ...nativeBackupRoutes(deps),
    ...volumeRoutes(deps),
    ...volumeActionRoutes(deps),
    ...serviceRoutes(deps),
    ...devRoutes(deps),
    ...siteRoutes(deps.version, describeApi),
  ];
}

function createFastify(shared: ErrorReplyDeps): FastifyInstance {
  return fastify({
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

function logRequests(app: FastifyInstance, { logger }: ApiDeps): void {
  app.addHook('onResponse', async (request, reply) => {
    const { id: requestId, method, url } = request;
    const callerRequestId = request.headers['x-openstack-request-id'];
    const durationMs = Math.round(reply.elapsedTime);
    const fields = { requestId, callerRequestId, method, path: pathOfUrl(url), status: reply.statusCode, durationMs };
    logger.debug(fields, 'request');
  });
}

function trimSlashes(url: string): string {
  return url.replace(/\/+$/, '');
}
