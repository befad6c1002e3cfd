// Every route of the server with the rule of who may call it, without a server.
import type { RouteAccess } from '../../src/api/plugins/request-guard.ts';
import type { ApiDeps } from '../../src/api/route.ts';
import type { RouteDoc } from '../../src/api/schemas/openapi.ts';
import { listRoutes } from '../../src/api/server.ts';

export type ListedRoute = {
  readonly method: string;
  readonly path: string;
  readonly access: RouteAccess;
  readonly doc: RouteDoc;
};

export function listServerRoutes(): ListedRoute[] {
  const anything: unknown = new Proxy(() => undefined, {
    get: (_target, key) => (key === Symbol.toPrimitive ? () => '' : anything),
    apply: () => anything,
  });
  // The cast: a thing that has every property stands for the services; no handler ever runs.
  return listRoutes(anything as ApiDeps, () => ({})).flatMap(({ method, paths, access, doc }) =>
    [method].flat().flatMap((name) => paths.map((path) => ({ method: name, path, access, doc }))),
  );
}
