// Who is refused where: a walk over the whole route table with every kind of token that must not do (contract 1.5). A
// route that says not who may call it does not even start.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fastify from 'fastify';
import { type Family, familyOfPath } from '../../src/api/plugins/family.ts';
import type { RouteAccess } from '../../src/api/plugins/request-guard.ts';
import { RouteTable } from '../../src/api/plugins/route-table.ts';
import { newUuid } from '../../src/core/ids.ts';
import type { Role } from '../../src/core/model.ts';
import { ApiBench, passwordRequest, TOKEN_LIFE_MS } from '../support/api-bench.ts';
import { type ListedRoute, listServerRoutes } from '../support/route-list.ts';

type Reason = 'missing' | 'invalid' | 'project' | 'role' | 'no role';
type Refusal = readonly [status: number, code: string];
type NonPublic = Exclude<RouteAccess, { kind: 'public' }>;
type GuardedRoute = ListedRoute & { readonly access: NonPublic; readonly family: Family };

/** What may be called without a token; anything that joins them has to be written here too. */
const PUBLIC = [
  'GET /',
  'GET /console',
  'GET /console/',
  'GET /healthz',
  'GET /identity',
  'GET /identity/',
  'GET /identity/v3',
  'GET /identity/v3/',
  'GET /image',
  'GET /image/',
  'GET /openapi.json',
  'GET /v1',
  'GET /v1/',
  'GET /v2',
  'GET /v2/',
  'GET /v3',
  'GET /v3/',
  'POST /identity/v3/auth/tokens',
  'POST /v3/auth/tokens',
];

const VBS: Readonly<Record<Reason, Refusal>> = {
  missing: [401, 'VolumeBackup.0044'],
  invalid: [401, 'VolumeBackup.0044'],
  project: [403, 'VolumeBackup.0042'],
  role: [403, 'VolumeBackup.0042'],
  'no role': [401, 'VolumeBackup.0041'],
};
const POLICY: Readonly<Record<Reason, Refusal>> = {
  missing: [401, 'AutoBackup.0002'],
  invalid: [401, 'AutoBackup.0003'],
  project: [403, 'AutoBackup.0213'],
  role: [403, 'AutoBackup.0213'],
  'no role': [401, 'AutoBackup.0005'],
};
const NATIVE: Readonly<Record<Reason, Refusal>> = {
  missing: [401, 'error 401'],
  invalid: [401, 'error 401'],
  project: [400, 'badRequest 400'],
  role: [403, 'forbidden 403'],
  'no role': [403, 'forbidden 403'],
};
const IDENTITY: Readonly<Record<Reason, Refusal>> = {
  ...NATIVE,
  role: [403, 'error 403'],
  'no role': [403, 'error 403'],
};

let bench: ApiBench;
let routes: GuardedRoute[];
const tokens = { expired: '', revoked: '', unscoped: '', domain: '', bare: '' };

before(async () => {
  bench = await ApiBench.start();
  const served = listServerRoutes().filter(({ method, path }) =>
    bench.app.hasRoute({ method: method as 'GET', url: path }),
  );
  assert.deepEqual(
    served
      .filter(({ access }) => access.kind === 'public')
      .map(({ method, path }) => `${method} ${path}`)
      .sort(),
    PUBLIC,
  );
  routes = served.flatMap((route): GuardedRoute[] => {
    const { access } = route;
    return access.kind === 'public' ? [] : [{ ...route, access, family: familyOfPath(route.path) }];
  });
  await makeTokens();
});
after(() => bench[Symbol.asyncDispose]());

async function logIn(name: string, scope?: unknown): Promise<string> {
  const answer = await bench.send('POST', '/v3/auth/tokens', { token: null, body: passwordRequest(name, scope) });
  assert.equal(answer.statusCode, 201, answer.body);
  return String(answer.headers['x-subject-token']);
}

async function makeTokens(): Promise<void> {
  const { catalog } = bench.services;
  const project = { id: bench.member.projectId };
  bench.clockShiftMs = -TOKEN_LIFE_MS - 1000;
  tokens.expired = await logIn('ops', { project });
  bench.clockShiftMs = 0;
  tokens.revoked = await logIn('ops', { project });
  await bench.ask(204, 'DELETE', '/v3/auth/tokens', { headers: { 'x-subject-token': tokens.revoked } });
  tokens.unscoped = await logIn('ops');
  tokens.domain = await logIn('ops', { domain: { id: 'default' } });
  const { userId, projectId } = bench.stranger;
  await catalog.users.assignRole(userId, bench.member.projectId, 'reader');
  tokens.bare = await logIn('stranger', { project });
  await catalog.users.removeRole(userId, bench.member.projectId, 'reader');
  assert.notEqual(projectId, bench.member.projectId);
}

function refusalOf({ family }: GuardedRoute, reason: Reason): Refusal {
  if (family === 'vbs') return VBS[reason];
  if (family === 'policy') return POLICY[reason];
  return (family === 'identity' ? IDENTITY : NATIVE)[reason];
}

function neededRole({ access, method }: GuardedRoute): Role | 'none' {
  return access.role ?? (method === 'GET' || method === 'HEAD' ? 'reader' : 'member');
}

const hasProjectInPath = ({ path }: GuardedRoute): boolean => path.includes(':project_id');
/** An unscoped token has no project, and neither has one for a domain. */
const needsProject = (route: GuardedRoute): boolean => route.access.kind === 'project' || hasProjectInPath(route);

/** Projects that are not the one in question, but asked about: those of quotas. */
function fillIn(path: string, projectId: string): string {
  return path.replaceAll(/:(\w+)/g, (_match, name: string) => {
    if (name === 'project_id') return projectId;
    return name.endsWith('project_id') ? bench.member.projectId : newUuid();
  });
}

async function call(route: GuardedRoute, token: string | null, projectId: string = bench.member.projectId) {
  return await bench.send(route.method, fillIn(route.path, projectId), {
    token,
    headers: { accept: '*/*', ...(route.family === 'native3' ? { 'openstack-api-version': 'volume 3.71' } : {}) },
  });
}

async function assertRefused(
  route: GuardedRoute,
  reason: Reason,
  token: string | null,
  projectId?: string,
): Promise<void> {
  const [status, code] = refusalOf(route, reason);
  const answer = await call(route, token, projectId);
  const label = `${route.method} ${route.path}, ${reason}: ${answer.statusCode} ${answer.body}`;
  assert.equal(answer.statusCode, status, label);
  if (status === 401) assert.match(String(answer.headers['www-authenticate']), /^Keystone uri="/, label);
  if (route.method === 'HEAD') return;
  const body = answer.json<Record<string, { code: string | number; title?: string }>>();
  const [key = ''] = Object.keys(body);
  const found = body[key]?.code;
  assert.equal(typeof found === 'number' ? `${key} ${found}` : found, code, label);
  if (key === 'error' && typeof found === 'number') assert.ok(body[key]?.title, label);
}

/** The guard lets it pass; what the handler then thinks of made-up ids is not the question. */
async function assertLetIn(route: GuardedRoute, token: string): Promise<void> {
  const { statusCode, body } = await call(route, token);
  assert.ok(statusCode !== 401, `${route.method} ${route.path}: ${statusCode} ${body}`);
  assert.ok(statusCode !== 403 || neededRole(route) === 'none', `${route.method} ${route.path}: ${statusCode} ${body}`);
}

describe('every route', () => {
  test('is walked: as many as the server has', async () => {
    const printed = bench.app.printRoutes({ commonPrefix: false });
    const all = [...printed.matchAll(/\(([A-Z, ]+)\)/g)].flatMap((match) => (match[1] ?? '').split(', '));
    assert.equal(routes.length + PUBLIC.length, all.length);
    assert.ok(routes.length > 150, String(routes.length));
  });

  test('refuses who has no token, or none that holds', async () => {
    const before = await bench.services.snapshotRows();
    for (const route of routes) {
      await assertRefused(route, 'missing', null);
      for (const token of [`${bench.member.token}x`, tokens.expired, tokens.revoked]) {
        await assertRefused(route, 'invalid', token);
      }
    }
    assert.deepEqual(await bench.services.snapshotRows(), before);
  });

  test('refuses tokens of another project, of a domain, and of nothing, where a project is needed', async () => {
    const before = await bench.services.snapshotRows();
    for (const route of routes.filter(needsProject)) {
      for (const token of [tokens.unscoped, tokens.domain]) await assertRefused(route, 'project', token);
      if (hasProjectInPath(route)) {
        await assertRefused(route, 'project', bench.admin.token, bench.stranger.projectId);
        await assertRefused(route, 'project', bench.admin.token, 'nonsense');
      }
    }
    assert.deepEqual(await bench.services.snapshotRows(), before);
  });

  test('refuses tokens without any role, and without the one that it takes', async () => {
    const before = await bench.services.snapshotRows();
    for (const route of routes) {
      const needed = neededRole(route);
      if (needed === 'none') continue;
      await assertRefused(route, 'no role', tokens.bare);
      if (!needsProject(route)) await assertRefused(route, 'no role', tokens.unscoped);
      if (needed !== 'reader') await assertRefused(route, 'role', bench.reader.token);
      if (needed === 'admin') await assertRefused(route, 'role', bench.member.token);
      // In their domain, members may look.
      if (!needsProject(route) && needed !== 'reader') await assertRefused(route, 'role', tokens.domain);
    }
    assert.deepEqual(await bench.services.snapshotRows(), before);
  });

  test('that only reads lets readers in', async () => {
    const readable = routes.filter((route) => ['reader', 'none'].includes(neededRole(route)) && route.method === 'GET');
    assert.ok(readable.length > 50, String(readable.length));
    for (const route of readable) await assertLetIn(route, bench.reader.token);
  });
});

test('a route that says not who may call it is refused at the start', async () => {
  const app = fastify();
  new RouteTable().watch(app);
  assert.throws(() => app.get('/open', () => 'anything'), /route \/open declares no access/);
  app.get('/guarded', { config: { access: { kind: 'public' } } }, () => 'fine');
  await app.close();
});
