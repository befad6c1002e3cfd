// What holds for every route: tokens, headers, forms of errors by family, discovery, the OpenAPI document.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { familyOfPath, isVbsFamily } from '../../src/api/plugins/family.ts';
import { REQUEST_BODY_MAX_BYTES } from '../../src/core/limits.ts';
import { ApiBench } from '../support/api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await ApiBench.start();
});
after(() => bench[Symbol.asyncDispose]());

type Operation = {
  summary?: string;
  tags?: string[];
  security?: unknown[];
  parameters?: { in: string; name: string; required?: boolean }[];
  responses: Record<string, { description?: string; content?: Record<string, { schema: unknown }> }>;
};
type OpenApi = {
  openapi: string;
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown> };
};

async function readOpenApi(): Promise<OpenApi> {
  // The cast is what the tests below check.
  return (await bench.ask(200, 'GET', '/openapi.json', { token: null })) as unknown as OpenApi;
}

async function listOperations(): Promise<{ method: string; path: string; operation: Operation }[]> {
  const { paths } = await readOpenApi();
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}

describe('every route', () => {
  const isOpen = (method: string, path: string) =>
    /^\/(v[123]\/?|identity(\/v3)?\/?|image\/?|console\/?|healthz|openapi\.json)?$/.test(path) ||
    (method === 'POST' && path.endsWith('/auth/tokens'));

  test('but discovery, token issue and the site answers 401 without a token, in the form of its family', async () => {
    const operations = await listOperations();
    assert.ok(operations.length > 90, String(operations.length));
    for (const { method, path, operation } of operations) {
      const url = path.replace('{project_id}', bench.member.projectId).replaceAll(/\{\w+\}/g, 'x');
      if (isOpen(method, path)) {
        assert.deepEqual(operation.security, [], path);
        continue;
      }
      assert.deepEqual(operation.security, [{ token: [] }], path);
      for (const token of [null, ' ', 'unknown']) {
        const answer = await bench.send(method as 'GET', url, { token });
        assert.equal(answer.statusCode, 401, `${method} ${url}`);
        assert.equal(answer.headers['www-authenticate'], 'Keystone uri="http://vbs.example.net/identity/v3"');
        if (method === 'HEAD') continue;
        const { error } = answer.json<{ error: Record<string, unknown> }>();
        const family = familyOfPath(url);
        const keys = isVbsFamily(family) ? ['code', 'message'] : ['code', 'message', 'title'];
        assert.deepEqual(Object.keys(error).sort(), keys, url);
        const policyCode = token === 'unknown' ? 'AutoBackup.0003' : 'AutoBackup.0002';
        assert.equal(error.code, family === 'policy' ? policyCode : family === 'vbs' ? 'VolumeBackup.0044' : 401);
      }
    }
  });

  test('carries request ids and the exact content type; v3 names its version', async () => {
    for (const url of ['/', '/v3/', `${bench.v2}/cloudbackups/quota`, `${bench.v3}/backups`, `${bench.v3}/nowhere`]) {
      const { headers } = await bench.send('GET', url);
      assert.match(String(headers['x-openstack-request-id']), /^req-[0-9a-f-]{36}$/);
      assert.equal(headers['x-compute-request-id'], headers['x-openstack-request-id']);
      assert.equal(headers['content-type'], 'application/json');
      const family = familyOfPath(url);
      assert.equal(headers['x-request-id'], isVbsFamily(family) ? headers['x-openstack-request-id'] : undefined);
      assert.equal(headers['openstack-api-version'], family === 'native3' ? 'volume 3.0' : undefined);
      assert.equal(headers['x-powered-by'], undefined);
    }
    const { headers } = await bench.send('GET', `${bench.v3}/backups`, {
      headers: { 'openstack-api-version': 'volume latest' },
    });
    assert.deepEqual([headers['openstack-api-version'], headers.vary], ['volume 3.71', 'OpenStack-API-Version']);
  });
});

describe('forms of errors', () => {
  test('unknown paths are 404, known paths with another method 405 with Allow', async () => {
    await bench.assertVbsFault(
      404,
      'VolumeBackup.0002',
      'GET',
      `${bench.v2}/cloudbackups`.replace('backups', 'backups/x/y'),
    );
    await bench.assertVbsFault(405, 'VolumeBackup.0002', 'PUT', `${bench.v2}/cloudbackups`);
    await bench.assertFault(404, 'itemNotFound', 'GET', `${bench.v3}/groups`);
    await bench.assertFault(404, 'itemNotFound', 'GET', '/nowhere');
    await bench.assertFault(405, 'badMethod', 'PATCH', `${bench.v3}/volumes`);
    await bench.assertFault(405, 'badMethod', 'DELETE', `${bench.v3}/backups/detail`);
    assert.equal((await bench.send('PATCH', `${bench.v3}/volumes`)).headers.allow, 'GET, POST');
    const identity = await bench.send('PUT', '/v3/auth/tokens');
    assert.equal(identity.statusCode, 405);
    assert.equal(identity.json<{ error: { title: string } }>().error.title, 'Method Not Allowed');
  });

  test('malformed URLs are unknown paths', async () => {
    await bench.assertFault(404, 'itemNotFound', 'GET', `${bench.v3}/volumes/%ZZ`);
    await bench.assertVbsFault(404, 'VolumeBackup.0002', 'POST', `${bench.v2}/cloudbackups/%ZZ`);
    const endless = 'x'.repeat(4000);
    await bench.assertFault(404, 'itemNotFound', 'GET', `${bench.v3}/volumes/${endless}`);
    await bench.assertVbsFault(404, 'VolumeBackup.0002', 'POST', `${bench.v2}/cloudbackups/${endless}`);
    const answer = await bench.send('GET', `${bench.v3}/volumes/%ZZ`);
    assert.equal(answer.headers['content-type'], 'application/json');
    assert.equal(answer.headers['openstack-api-version'], 'volume 3.0');
  });

  test('Accept that excludes JSON is 406, versions out of range are 406, malformed ones 400', async () => {
    const accept = { headers: { accept: 'text/html' } };
    await bench.assertVbsFault(406, 'VolumeBackup.0002', 'GET', `${bench.v2}/cloudbackups/quota`, accept);
    await bench.assertFault(406, 'computeFault', 'GET', `${bench.v3}/backups`, accept);
    const version = (text: string) => ({ headers: { 'openstack-api-version': text } });
    await bench.assertFault(406, 'computeFault', 'GET', `${bench.v3}/backups`, version('volume 3.99'));
    await bench.assertFault(400, 'badRequest', 'GET', `${bench.v3}/backups`, version('volume 3'));
    await bench.ask(200, 'GET', `${bench.v2}/backups`, version('volume 3.99'));
    for (const value of ['', '*/*', 'application/json']) {
      await bench.ask(200, 'GET', `${bench.v3}/backups`, { headers: { accept: value } });
    }
  });

  test('bodies over the limit are 413; at the limit they are read', async () => {
    const over = { text: ' '.repeat(REQUEST_BODY_MAX_BYTES + 1) };
    await bench.assertVbsFault(413, 'VolumeBackup.0002', 'POST', `${bench.v2}/cloudbackups`, over);
    await bench.assertFault(413, 'overLimit', 'POST', `${bench.v3}/backups`, over);
    assert.equal((await bench.send('POST', `${bench.v3}/backups`, over)).headers['retry-after'], '0');
    const full = { text: ' '.repeat(REQUEST_BODY_MAX_BYTES) };
    await bench.assertVbsFault(400, 'VolumeBackup.0002', 'POST', `${bench.v2}/cloudbackups`, full);
    await bench.ask(401, 'POST', `${bench.v3}/backups`, { ...over, token: null });
  });

  test('an empty body with a JSON content type is no body', async () => {
    const headers = { 'content-type': 'application/json' };
    await bench.ask(200, 'GET', `${bench.v2}/cloudbackups/quota`, { headers });
    await bench.assertVbsFault(400, 'VolumeBackup.0105', 'DELETE', `${bench.v2}/cloudbackups/x`, { headers });
    await bench.assertVbsFault(400, 'VolumeBackup.0105', 'POST', `${bench.v2}/cloudbackups/x`, { headers });
    await bench.assertFault(404, 'itemNotFound', 'DELETE', `${bench.v3}/backups/x`, { headers });
  });

  test('a Host header that is none does not reach links', async () => {
    for (const host of ['evil" x="', 'a b', 'h/path']) {
      const { versions } = (await bench.ask(300, 'GET', '/', { headers: { host } })) as {
        versions: { links: { href: string }[] }[];
      };
      assert.equal(versions[0]?.links[1]?.href, 'http://localhost/v2/', host);
    }
  });
});

describe('discovery', () => {
  test('the root offers v2 and v3 with 300, each version its own with 200', async () => {
    const versions = async (status: number, url: string) =>
      (await bench.ask(status, 'GET', url, { token: null })).versions as Record<string, unknown>[];
    const root = await versions(300, '/');
    assert.deepEqual(
      root.map((entry) => [entry.id, entry.status, entry.version, entry.min_version]),
      [
        ['v2.0', 'DEPRECATED', '', ''],
        ['v3.0', 'CURRENT', '3.71', '3.0'],
      ],
    );
    assert.deepEqual(Object.keys(root[1] ?? {}).sort(), [
      'id',
      'links',
      'media-types',
      'min_version',
      'status',
      'updated',
      'version',
    ]);
    for (const [path, id] of [
      ['v1', 'v1'],
      ['v2', 'v2.0'],
      ['v3', 'v3.0'],
    ]) {
      for (const slash of ['', '/']) {
        const [entry, ...others] = await versions(200, `/${path}${slash}`);
        assert.deepEqual([entry?.id, others.length], [id, 0]);
        const links = entry?.links as { rel: string; href: string }[];
        assert.deepEqual(
          links.filter(({ rel }) => rel === 'self').map(({ href }) => href),
          [`http://vbs.example.net/${path}/`],
        );
      }
    }
  });

  test('identity has its own documents', async () => {
    const many = await bench.ask(300, 'GET', '/identity', { token: null });
    const one = await bench.ask(200, 'GET', '/identity/v3', { token: null });
    const { values } = many.versions as { values: unknown[] };
    assert.deepEqual(values, [one.version]);
    assert.equal((one.version as { id: string }).id, 'v3.14');
  });

  test('health and the console page need no token', async () => {
    assert.deepEqual(await bench.ask(200, 'GET', '/healthz', { token: null }), { status: 'ok', version: '0.0.0-test' });
    const page = await bench.send('GET', '/console', { token: null, headers: { accept: 'text/html' } });
    assert.equal(page.statusCode, 200);
    assert.match(String(page.headers['content-type']), /^text\/html/);
    assert.match(String(page.headers['content-security-policy']), /default-src 'none'/);
    assert.match(page.body, /openvbs backup create/);
  });
});

describe('openapi.json', () => {
  test('lists every route with summary, tag, security and errors', async () => {
    const document = await readOpenApi();
    assert.match(document.openapi, /^3\.1\.\d+$/);
    const operations = await listOperations();
    const documented = new Set(operations.map(({ method, path }) => `${method} ${path}`));
    const app = bench.app;
    for (const { method, path, operation } of operations) {
      const url = path.replaceAll(/\{(\w+)\}/g, ':$1');
      assert.ok(app.hasRoute({ method: method as 'GET', url }), `${method} ${url}`);
      assert.ok((operation.summary ?? '').length > 0 && operation.tags?.length === 1, path);
      const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      const declared = operation.parameters?.filter((parameter) => parameter.in === 'path') ?? [];
      assert.deepEqual(declared.map(({ name }) => name).sort(), names.sort(), path);
      assert.ok('500' in operation.responses, path);
      for (const response of Object.values(operation.responses)) assert.ok(typeof response.description === 'string');
    }
    // Fastify prints its routes as a tree; it must hold as many methods as the document.
    const printed = app.printRoutes({ commonPrefix: false });
    const routeCount = [...printed.matchAll(/\(([A-Z, ]+)\)/g)].flatMap((match) => (match[1] ?? '').split(', ')).length;
    assert.equal(documented.size, routeCount);
  });

  test('is valid: every reference resolves, every schema is one of JSON Schema 2020-12', async () => {
    const document = await readOpenApi();
    // Ajv comes with Fastify; a development dependency of its own would only repeat it.
    const require = createRequire(createRequire(import.meta.url).resolve('fastify'));
    const { default: Ajv } = require('ajv/dist/2020.js') as {
      default: new (options: object) => { validateSchema(schema: unknown): boolean; errors: unknown };
    };
    const ajv = new Ajv({ strict: false });
    const schemas: unknown[] = Object.values(document.components.schemas);
    visit(document, (key, value) => {
      if (key === '$ref') {
        const name = String(value).replace('#/components/schemas/', '');
        assert.ok(name in document.components.schemas, String(value));
      }
      if (key === 'schema') schemas.push(value);
    });
    assert.ok(schemas.length > 100);
    for (const schema of schemas) assert.ok(ajv.validateSchema(schema), JSON.stringify(ajv.errors));
  });
});

function visit(value: unknown, look: (key: string, value: unknown) => void): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, part] of Object.entries(value)) {
    look(key, part);
    visit(part, look);
  }
}
