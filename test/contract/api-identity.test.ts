// Identity as Keystone clients meet it (contract 1.5, 1.7).
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Answer, ApiBench, PASSWORD, passwordRequest, TOKEN_LIFE_MS } from '../support/api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await ApiBench.start();
});
after(() => bench[Symbol.asyncDispose]());

const login = (body: unknown, path = '/identity/v3/auth/tokens') => bench.send('POST', path, { token: null, body });

type TokenBody = { token: Record<string, unknown> & { catalog?: { type: string; endpoints: { url: string }[] }[] } };

function tokenOf(answer: Answer): TokenBody['token'] {
  assert.equal(answer.statusCode, 201, answer.body);
  assert.ok(String(answer.headers['x-subject-token']).length > 0);
  return answer.json<TokenBody>().token;
}

describe('issuing', () => {
  test('a project token has the documented body, header and catalog', async () => {
    const project = { name: 'lab', domain: { name: 'Default' } };
    for (const path of ['/identity/v3/auth/tokens', '/v3/auth/tokens']) {
      const token = tokenOf(await login(passwordRequest('ops', { project }), path));
      assert.deepEqual(Object.keys(token).sort(), [
        'audit_ids',
        'catalog',
        'expires_at',
        'is_domain',
        'issued_at',
        'methods',
        'project',
        'roles',
        'user',
      ]);
      assert.match(String(token.expires_at), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      assert.deepEqual(token.user, {
        id: bench.member.userId,
        name: 'ops',
        domain: { id: 'default', name: 'Default' },
        password_expires_at: null,
      });
      const { projectId } = bench.member;
      assert.deepEqual(token.project, { id: projectId, name: 'lab', domain: { id: 'default', name: 'Default' } });
      assert.equal(token.is_domain, false);
      const urls = Object.fromEntries((token.catalog ?? []).map(({ type, endpoints }) => [type, endpoints[0]?.url]));
      assert.deepEqual(urls, {
        identity: 'http://vbs.example.net/identity/v3',
        volumev3: `http://vbs.example.net/v3/${projectId}`,
        'block-storage': `http://vbs.example.net/v3/${projectId}`,
        volumev2: `http://vbs.example.net/v2/${projectId}`,
        vbs: `http://vbs.example.net/v2/${projectId}`,
        vbsv2: `http://vbs.example.net/v2/${projectId}`,
        vbsv3: `http://vbs.example.net/v3/${projectId}`,
        image: 'http://vbs.example.net/image',
      });
      for (const entry of token.catalog ?? []) assert.equal(entry.endpoints.length, 3);
    }
  });

  test('domain, unscoped and re-scoped tokens; nocatalog', async () => {
    const domain = tokenOf(await login(passwordRequest('boss', { domain: { name: 'Default' } })));
    assert.ok('domain' in domain && !('project' in domain));
    const answer = await login(passwordRequest('ops'));
    const unscoped = tokenOf(answer);
    assert.ok(!('project' in unscoped) && !('catalog' in unscoped) && !('domain' in unscoped));
    const identity = { methods: ['token'], token: { id: answer.headers['x-subject-token'] } };
    const body = { auth: { identity, scope: { project: { id: bench.member.projectId } } } };
    assert.equal((tokenOf(await login(body)).project as { name: string }).name, 'lab');
    const bare = tokenOf(await login(passwordRequest('ops', 'unscoped'), '/v3/auth/tokens?nocatalog'));
    assert.ok(!('catalog' in bare));
  });

  test('wrong credentials and scopes are 401 in Keystone form, malformed bodies 400', async () => {
    const project = { name: 'lab', domain: { name: 'Default' } };
    const refused = [
      passwordRequest('ops', { project }, 'wrong'),
      passwordRequest('nobody', { project }),
      passwordRequest('ops', { project: { name: 'other', domain: { name: 'Default' } } }),
      passwordRequest('ops', { project: { name: 'nowhere', domain: { name: 'Default' } } }),
      passwordRequest('ops', { system: { all: true } }),
      { auth: { identity: { methods: ['totp'] } } },
      { auth: { identity: { methods: ['application_credential'], application_credential: { id: 'x', secret: 'y' } } } },
      { auth: { identity: { methods: ['token'], token: { id: 'unknown' } } } },
    ];
    for (const body of refused) {
      const answer = await login(body);
      assert.equal(answer.statusCode, 401, answer.body);
      assert.deepEqual(Object.keys(answer.json<{ error: object }>().error).sort(), ['code', 'message', 'title']);
      assert.equal(answer.headers['www-authenticate'], 'Keystone uri="http://vbs.example.net/identity/v3"');
    }
    const bare = (method: string) => JSON.stringify({ auth: { identity: { methods: [method] } } });
    for (const text of ['', '{', '[]', '{}', '{"auth":{}}', bare('password'), bare('application_credential')]) {
      const answer = await bench.send('POST', '/v3/auth/tokens', { token: null, text });
      assert.equal(answer.statusCode, 400, text);
      assert.equal(answer.json<{ error: { title: string } }>().error.title, 'Bad Request');
    }
  });
});

describe('tokens', () => {
  const about = (token: string, subject: string) => ({ token, headers: { 'x-subject-token': subject } });

  test('are validated with GET and HEAD, revoked with DELETE, and dead at once', async () => {
    const subject = String((await login(passwordRequest('ops'))).headers['x-subject-token']);
    const { token } = bench.member;
    const shown = await bench.send('GET', '/v3/auth/tokens', about(token, subject));
    assert.equal(shown.statusCode, 200);
    assert.equal(shown.headers['x-subject-token'], subject);
    const head = await bench.send('HEAD', '/identity/v3/auth/tokens', about(token, subject));
    assert.deepEqual([head.statusCode, head.body], [200, '']);
    const gone = await bench.send('DELETE', '/identity/v3/auth/tokens', about(token, subject));
    assert.deepEqual([gone.statusCode, gone.body], [204, '']);
    assert.equal((await bench.send('GET', '/v3/auth/tokens', about(token, subject))).statusCode, 404);
    assert.equal((await bench.send('GET', '/v3/auth/projects', { token: subject })).statusCode, 401);
  });

  test('of others are unknown to members, known to admins', async () => {
    const { member, stranger, admin } = bench;
    await bench.ask(404, 'GET', '/v3/auth/tokens', about(member.token, stranger.token));
    await bench.ask(200, 'GET', '/v3/auth/tokens', about(admin.token, stranger.token));
    await bench.ask(404, 'GET', '/v3/auth/tokens', { token: member.token });
  });

  test('expire', async () => {
    bench.clockShiftMs = TOKEN_LIFE_MS + 1000;
    try {
      await bench.assertVbsFault(401, 'VolumeBackup.0044', 'GET', `${bench.v2}/cloudbackups/quota`);
      await bench.assertFault(401, 'error', 'GET', `${bench.v3}/backups`);
    } finally {
      bench.clockShiftMs = 0;
    }
  });
});

test('catalog and projects are those of the token', async () => {
  const { catalog } = (await bench.ask(200, 'GET', '/v3/auth/catalog')) as { catalog: unknown[] };
  assert.equal(catalog.length, 8);
  for (const path of ['/v3/auth/projects', '/identity/v3/projects?name=lab']) {
    const { projects } = (await bench.ask(200, 'GET', path)) as { projects: Record<string, unknown>[] };
    assert.deepEqual(
      projects.map((project) => project.name),
      ['lab'],
    );
    assert.deepEqual(Object.keys(projects[0] ?? {}).sort(), [
      'description',
      'domain_id',
      'enabled',
      'id',
      'is_domain',
      'links',
      'name',
      'parent_id',
    ]);
  }
  await bench.ask(200, 'GET', `/identity/v3/projects/${bench.member.projectId}`);
  await bench.ask(404, 'GET', `/identity/v3/projects/${bench.stranger.projectId}`);
  await bench.ask(404, 'GET', '/identity/v3/projects/lab');
});

describe('scope and roles', () => {
  test('a foreign project in the path: 403 on VBS, 400 natively, whatever is in the rest of the path', async () => {
    const foreign = bench.stranger.projectId;
    for (const project of [foreign, 'nonsense']) {
      await bench.assertVbsFault(403, 'VolumeBackup.0042', 'GET', `/v2/${project}/cloudbackups/quota`);
      await bench.assertVbsFault(403, 'VolumeBackup.0042', 'POST', `/v2/${project}/cloudbackups`, { text: '{' });
      await bench.assertFault(400, 'badRequest', 'GET', `/v3/${project}/backups`);
      await bench.assertFault(400, 'badRequest', 'GET', `/v2/${project}/volumes/x`);
    }
    const dashed = bench.member.projectId.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    await bench.ask(200, 'GET', `/v3/${dashed.toUpperCase()}/backups`);
  });

  test('an unscoped token reaches no project', async () => {
    const token = String((await login(passwordRequest('ops'))).headers['x-subject-token']);
    await bench.assertVbsFault(403, 'VolumeBackup.0042', 'GET', `${bench.v2}/cloudbackups/quota`, { token });
    await bench.assertFault(400, 'badRequest', 'GET', `${bench.v3}/backups`, { token });
    const headers = { 'openstack-api-version': 'volume 3.67' };
    await bench.assertFault(400, 'badRequest', 'GET', '/v3/backups', { token, headers });
    await bench.assertFault(403, 'forbidden', 'GET', '/v3/types', { token, headers });
  });

  test('readers read; adopting and the list of services are for admins', async () => {
    const { token } = bench.reader;
    await bench.ask(200, 'GET', `${bench.v2}/cloudbackups/quota`, { token });
    await bench.assertVbsFault(403, 'VolumeBackup.0042', 'POST', `${bench.v2}/cloudbackups`, { token, text: '{' });
    await bench.assertFault(403, 'forbidden', 'POST', `${bench.v3}/backups`, { token, text: '{' });
    await bench.assertFault(403, 'forbidden', 'DELETE', `${bench.v3}/volumes/x`, { token });
    await bench.assertFault(403, 'forbidden', 'GET', `${bench.v3}/os-services`);
    await bench.assertFault(403, 'forbidden', 'POST', `${bench.v3}/os-volume-manage`, { body: {} });
  });
});

describe('failed logins', () => {
  const attempt = (name: string, password: string, from: string) =>
    bench.app.inject({
      method: 'POST',
      url: '/v3/auth/tokens',
      remoteAddress: from,
      payload: passwordRequest(name, undefined, password),
    });

  test('are refused untried beyond the limit, in the same words; the owner of the name gets in', async () => {
    const first = await attempt('stranger', 'wrong', '192.0.2.1');
    for (let index = 0; index < 9; index++) await attempt('stranger', `wrong ${index}`, '192.0.2.1');
    const startedAt = performance.now();
    const blocked = await attempt('stranger', 'another wrong one', '192.0.2.2');
    const blockedMs = performance.now() - startedAt;
    assert.deepEqual([blocked.statusCode, blocked.json()], [first.statusCode, first.json()]);
    assert.ok(blockedMs < 100, `a hash takes longer: ${blockedMs}`);
    assert.equal((await attempt('stranger', PASSWORD, '192.0.2.3')).statusCode, 201);
  });
});
