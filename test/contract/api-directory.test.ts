// Users, projects, roles and application credentials as clients of Keystone manage them; the requests are those of
// python-keystoneclient, python-openstackclient and tempest.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { newHexId } from '../../src/core/ids.ts';
import { ApiBench, passwordRequest, type Send } from '../support/api-bench.ts';

type Json = Record<string, unknown>;
type Named = { readonly id: string; readonly name: string };

const ROOT = '/identity/v3';
let bench: ApiBench;
before(async () => {
  bench = await ApiBench.start();
});
after(() => bench[Symbol.asyncDispose]());

/** As the admin, unless somebody else is named. */
async function ask(status: number, method: string, tail: string, body?: unknown, send: Send = {}): Promise<Json> {
  const options = { token: bench.admin.token, ...(body === undefined ? {} : { body }), ...send };
  return await bench.ask(status, method, `${ROOT}${tail}`, options);
}

async function addUser(fields: Json): Promise<Named> {
  return (await ask(201, 'POST', '/users', { user: { password: 'pw', ...fields } })).user as Named;
}

async function addProject(name: string): Promise<Named> {
  return (await ask(201, 'POST', '/projects', { project: { name } })).project as Named;
}

async function roleId(name: string): Promise<string> {
  const { roles } = await ask(200, 'GET', `/roles?name=${name}`);
  return (roles as Named[])[0]?.id ?? '';
}

async function logIn(status: number, name: string, scope?: unknown, password = 'pw'): Promise<string> {
  const body = passwordRequest(name, scope, password);
  const answer = await bench.send('POST', '/v3/auth/tokens', { token: null, body });
  assert.equal(answer.statusCode, status, answer.body);
  return String(answer.headers['x-subject-token']);
}

async function assertError(status: number, method: string, tail: string, body?: unknown, send: Send = {}) {
  const { error } = (await ask(status, method, tail, body, send)) as { error: Json };
  assert.deepEqual(Object.keys(error).sort(), ['code', 'message', 'title']);
  assert.equal(error.code, status);
  return String(error.message);
}

describe('users', () => {
  test('are made, shown, found by name, changed and removed', async () => {
    const fields = { name: 'ada', domain_id: 'default', enabled: true, email: 'ada@example.net', description: 'x' };
    const projectId = bench.member.projectId;
    const made = (await ask(201, 'POST', '/users', {
      user: { ...fields, password: 'pw', default_project_id: projectId, options: {} },
    })) as { user: Json };
    assert.deepEqual(made.user, {
      ...fields,
      id: made.user.id,
      default_project_id: projectId,
      password_expires_at: null,
      options: {},
      links: { self: `http://vbs.example.net${ROOT}/users/${made.user.id}` },
    });
    assert.match(String(made.user.id), /^[0-9a-f]{32}$/);
    assert.deepEqual(await ask(200, 'GET', `/users/${made.user.id}`), made);
    const listed = await ask(200, 'GET', '/users?name=ada&domain_id=default&enabled=True');
    assert.deepEqual(listed, {
      users: [made.user],
      links: { self: `http://vbs.example.net${ROOT}/users`, previous: null, next: null },
    });
    for (const query of ['name=Ada', 'domain_id=other', 'enabled=false&name=ada']) {
      assert.deepEqual((await ask(200, 'GET', `/users?${query}`)).users, [], query);
    }
    const changed = await ask(200, 'PATCH', `/users/${made.user.id}`, { user: { description: null, email: null } });
    assert.deepEqual(changed.user, { ...made.user, description: '', email: null });
    await ask(204, 'DELETE', `/users/${made.user.id}`);
    await assertError(404, 'GET', `/users/${made.user.id}`);
    await assertError(404, 'DELETE', `/users/${made.user.id}`);
    await assertError(404, 'GET', '/users/ada');
  });

  test('as tempest makes them, with project_id for the default project', async () => {
    const user = { name: 'tempest-1', password: 'pw', domain_id: 'default', project_id: bench.member.projectId };
    const made = await ask(201, 'POST', '/users', { user: { ...user, email: 't@example.net' } });
    assert.equal((made.user as Json).default_project_id, bench.member.projectId);
  });

  test('bad bodies name the field, a taken name is a conflict', async () => {
    await addUser({ name: 'taken' });
    await assertError(409, 'POST', '/users', { user: { name: 'taken' } });
    const cases: [unknown, RegExp][] = [
      [{}, /user/],
      [{ user: {} }, /user\.name/],
      [{ user: { name: ' ' } }, /user\.name/],
      [{ user: { name: 'x'.repeat(256) } }, /user\.name/],
      [{ user: { name: 5 } }, /user\.name/],
      [{ user: { name: 'x', password: 5 } }, /user\.password/],
      [{ user: { name: 'x', enabled: 'perhaps' } }, /user\.enabled/],
      [{ user: { name: 'x', default_project_id: 'lab' } }, /user\.default_project_id/],
      [{ user: { name: 'x', options: { lock_password: true } } }, /user\.options/],
      [{ user: { name: 'x', federated: [] } }, /user\.federated/],
    ];
    for (const [body, expected] of cases) assert.match(await assertError(400, 'POST', '/users', body), expected);
    assert.match(await assertError(404, 'POST', '/users', { user: { name: 'x', domain_id: 'other' } }), /other/);
    await assertError(404, 'POST', '/users', { user: { name: 'x', domain_id: { toString: null } } });
  });

  test('see themselves, change their own password, and nothing else', async () => {
    const { id } = await addUser({ name: 'selma' });
    const token = await logIn(201, 'selma');
    const self = { token };
    assert.equal(((await ask(200, 'GET', `/users/${id}`, undefined, self)).user as Json).name, 'selma');
    assert.deepEqual((await ask(200, 'GET', `/users/${id}/projects`, undefined, self)).projects, []);
    for (const other of [bench.member.userId, newHexId()]) {
      await assertError(403, 'GET', `/users/${other}`, undefined, self);
      await assertError(403, 'GET', `/users/${other}/projects`, undefined, self);
      const change = { user: { original_password: 'pw', password: 'x' } };
      await assertError(403, 'POST', `/users/${other}/password`, change, self);
    }
    await assertError(403, 'GET', '/users', undefined, self);
    await assertError(403, 'PATCH', `/users/${id}`, { user: { name: 'root' } }, self);
    const wrong = { user: { original_password: 'wrong', password: 'next' } };
    await assertError(401, 'POST', `/users/${id}/password`, wrong, self);
    await assertError(400, 'POST', `/users/${id}/password`, { user: { password: 'next' } }, self);
    await ask(204, 'POST', `/users/${id}/password`, { user: { original_password: 'pw', password: 'next' } }, self);
    await assertError(401, 'GET', `/users/${id}`, undefined, self);
    await logIn(401, 'selma');
    await logIn(201, 'selma', undefined, 'next');
  });
});

describe('projects', () => {
  test('are made, shown, changed and removed', async () => {
    const project = { name: 'atlas', domain_id: 'default', description: 'maps', enabled: true, tags: [], options: {} };
    const made = (await ask(201, 'POST', '/projects', { project })) as { project: Json };
    assert.deepEqual(Object.keys(made.project).sort(), [
      ...['description', 'domain_id', 'enabled', 'id', 'is_domain', 'links', 'name', 'parent_id'],
    ]);
    const { id } = made.project;
    assert.deepEqual(await ask(200, 'GET', `/projects/${id}`), made);
    assert.deepEqual((await ask(200, 'GET', '/projects?name=atlas')).projects, [made.project]);
    const changed = await ask(200, 'PATCH', `/projects/${id}`, { project: { name: 'atlas2', enabled: false } });
    assert.deepEqual(changed.project, { ...made.project, name: 'atlas2', enabled: false });
    assert.deepEqual((await ask(200, 'GET', '/projects?name=atlas2&enabled=1')).projects, []);
    await ask(204, 'DELETE', `/projects/${id}`);
    await assertError(404, 'GET', `/projects/${id}`);
  });

  test('bad bodies name the field, a taken name is a conflict, one with volumes stays', async () => {
    await assertError(409, 'POST', '/projects', { project: { name: 'lab' } });
    const cases: [unknown, RegExp][] = [
      [{ project: {} }, /project\.name/],
      [{ project: { name: 'x'.repeat(65) } }, /project\.name/],
      [{ project: { name: 'x', is_domain: true } }, /project\.is_domain/],
      [{ project: { name: 'x', tags: ['blue'] } }, /project\.tags/],
      [{ project: { name: 'x', nested: 1 } }, /project\.nested/],
    ];
    for (const [body, expected] of cases) assert.match(await assertError(400, 'POST', '/projects', body), expected);
    await assertError(404, 'POST', '/projects', { project: { name: 'x', parent_id: newHexId() } });
    await bench.ask(202, 'POST', `${bench.v3}/volumes`, { body: { volume: { size: 1 } } });
    assert.match(await assertError(409, 'DELETE', `/projects/${bench.member.projectId}`), /volumes/);
  });
});

describe('roles', () => {
  test('are the three, found by name, and fixed', async () => {
    const { roles } = (await ask(200, 'GET', '/roles')) as { roles: Named[] };
    assert.deepEqual(
      roles.map(({ name }) => name),
      ['admin', 'member', 'reader'],
    );
    const [first] = roles;
    assert.deepEqual(Object.keys(first ?? {}).sort(), ['description', 'domain_id', 'id', 'links', 'name', 'options']);
    assert.deepEqual((await ask(200, 'GET', `/roles/${first?.id}`)).role, first);
    assert.deepEqual((await ask(200, 'GET', '/roles?name=owner')).roles, []);
    await assertError(404, 'GET', '/roles/admin');
    await assertError(403, 'POST', '/roles', { role: { name: 'owner' } });
    await assertError(403, 'DELETE', `/roles/${first?.id}`);
  });

  test('are given, listed and taken away', async () => {
    const user = await addUser({ name: 'rita' });
    const project = await addProject('rivers');
    const scope = { project: { id: project.id } };
    await logIn(401, 'rita', scope);
    const member = await roleId('member');
    const grant = `/projects/${project.id}/users/${user.id}/roles/${member}`;
    await assertError(404, 'DELETE', grant);
    for (let index = 0; index < 2; index++) assert.deepEqual(await ask(204, 'PUT', grant), {});
    await ask(204, 'HEAD', grant);
    await ask(404, 'HEAD', grant.replace(member, await roleId('reader')));
    const token = await logIn(201, 'rita', scope);
    await bench.ask(200, 'GET', `/v3/${project.id}/volumes`, { token });
    const { roles } = await ask(200, 'GET', `/projects/${project.id}/users/${user.id}/roles`);
    assert.deepEqual(
      (roles as Named[]).map(({ name }) => name),
      ['member'],
    );
    const links = { assignment: `http://vbs.example.net${ROOT}${grant}` };
    const plain = { role: { id: member }, user: { id: user.id }, scope: { project: { id: project.id } }, links };
    for (const query of [`user.id=${user.id}`, `scope.project.id=${project.id}&role.id=${member}`]) {
      assert.deepEqual((await ask(200, 'GET', `/role_assignments?${query}`)).role_assignments, [plain], query);
    }
    const domain = { id: 'default', name: 'Default' };
    const named = await ask(200, 'GET', `/role_assignments?user.id=${user.id}&include_names=True`);
    assert.deepEqual(named.role_assignments, [
      {
        role: { id: member, name: 'member' },
        user: { id: user.id, name: 'rita', domain },
        scope: { project: { id: project.id, name: 'rivers', domain } },
        links,
      },
    ]);
    for (const query of ['group.id=x', 'scope.domain.id=default', 'user.id=nobody', 'role.id=owner']) {
      assert.deepEqual((await ask(200, 'GET', `/role_assignments?${query}`)).role_assignments, [], query);
    }
    await ask(204, 'DELETE', grant);
    await bench.ask(403, 'GET', `/v3/${project.id}/volumes`, { token });
    await logIn(401, 'rita', scope);
    await assertError(404, 'PUT', `/projects/${project.id}/users/${newHexId()}/roles/${member}`);
    await assertError(404, 'PUT', `/projects/${newHexId()}/users/${user.id}/roles/${member}`);
    await assertError(404, 'PUT', `/projects/${project.id}/users/${user.id}/roles/${newHexId()}`);
  });

  test('the last admin stays', async () => {
    const grant = `/projects/${bench.admin.projectId}/users/${bench.admin.userId}/roles/${await roleId('admin')}`;
    assert.match(await assertError(409, 'DELETE', grant), /admin/);
    await assertError(409, 'DELETE', `/users/${bench.admin.userId}`);
    await assertError(409, 'PATCH', `/users/${bench.admin.userId}`, { user: { enabled: false } });
    await ask(200, 'GET', '/users');
  });
});

describe('application credentials', () => {
  test('show their secret once, log in, are listed, and go', async () => {
    const { userId, token, projectId } = bench.member;
    const many = `/users/${userId}/application_credentials`;
    const body = {
      application_credential: {
        name: 'monitor',
        description: null,
        roles: [{ id: await roleId('member') }],
        expires_at: '2099-12-31T23:59:59.123456',
        unrestricted: false,
        access_rules: [],
      },
    };
    const made = (await ask(201, 'POST', many, body, { token })) as { application_credential: Json };
    const { secret, ...shown } = made.application_credential;
    assert.ok(String(secret).length >= 32);
    assert.deepEqual(shown, {
      id: shown.id,
      name: 'monitor',
      description: null,
      project_id: projectId,
      user_id: userId,
      roles: [{ id: await roleId('member'), name: 'member', domain_id: null }],
      expires_at: '2099-12-31T23:59:59.123000Z',
      unrestricted: false,
      links: { self: `http://vbs.example.net${ROOT}${many}/${shown.id}` },
    });
    const one = `${many}/${shown.id}`;
    assert.deepEqual((await ask(200, 'GET', one, undefined, { token })).application_credential, shown);
    assert.deepEqual((await ask(200, 'GET', `${many}?name=monitor`, undefined, { token })).application_credentials, [
      shown,
    ]);
    await assertError(409, 'POST', many, body, { token });
    await assertError(403, 'GET', one, undefined, { token: bench.stranger.token });
    await assertError(403, 'POST', many, body);
    const identity = { methods: ['application_credential'], application_credential: { id: shown.id, secret } };
    const login = () => bench.send('POST', '/v3/auth/tokens', { token: null, body: { auth: { identity } } });
    const answer = await login();
    assert.equal(answer.statusCode, 201, answer.body);
    const { token: view } = answer.json<{ token: Json }>();
    assert.deepEqual(view.application_credential, { id: shown.id, name: 'monitor', restricted: true });
    const made2 = String(answer.headers['x-subject-token']);
    await bench.ask(200, 'GET', `${bench.v3}/volumes`, { token: made2 });
    await assertError(403, 'DELETE', one, undefined, { token: made2 });
    await ask(204, 'DELETE', one, undefined, { token });
    await bench.ask(401, 'GET', `${bench.v3}/volumes`, { token: made2 });
    assert.equal((await login()).statusCode, 401);
    await assertError(404, 'GET', one, undefined, { token });
  });

  test('bad bodies name the field', async () => {
    const { userId, token } = bench.member;
    const many = `/users/${userId}/application_credentials`;
    const cases: [Json, RegExp][] = [
      [{}, /application_credential\.name/],
      [{ name: 'x', secret: 'short' }, /secret/],
      [{ name: 'x', roles: 'member' }, /roles/],
      [{ name: 'x', roles: [{ name: 'admin' }] }, /admin/],
      [{ name: 'x', expires_at: 'tomorrow' }, /expires_at/],
      [{ name: 'x', expires_at: '2020-01-01T00:00:00Z' }, /expires_at/],
      [{ name: 'x', access_rules: [{ path: '/v3' }] }, /access_rules/],
      [{ name: 'x', unrestricted: 'maybe' }, /unrestricted/],
    ];
    for (const [fields, expected] of cases) {
      const message = await assertError(400, 'POST', many, { application_credential: fields }, { token });
      assert.match(message, expected, JSON.stringify(fields));
    }
    for (const id of [newHexId(), { toString: null }]) {
      const unknown = { application_credential: { name: 'x', roles: [{ id }] } };
      await assertError(404, 'POST', many, unknown, { token });
    }
  });
});

describe('domains and token keys', () => {
  test('there is one domain', async () => {
    const { token } = bench.member;
    const { domains } = (await ask(200, 'GET', '/domains?name=default', undefined, { token })) as { domains: Json[] };
    assert.deepEqual([domains.length, domains[0]?.id, domains[0]?.name], [1, 'default', 'Default']);
    assert.deepEqual((await ask(200, 'GET', '/domains/default', undefined, { token })).domain, domains[0]);
    assert.deepEqual((await ask(200, 'GET', '/domains?name=other')).domains, []);
    await assertError(404, 'GET', '/domains/other');
    assert.deepEqual((await ask(200, 'GET', '/auth/domains', undefined, { token })).domains, domains);
  });

  test('a new key keeps tokens alive; ending them ends all', async () => {
    const { token } = bench.member;
    const [before] = (await ask(200, 'GET', '/token_keys')).token_keys as Json[];
    assert.deepEqual(Object.keys(before ?? {}).sort(), ['created_at', 'id', 'signing']);
    const { token_key: key } = await ask(201, 'POST', '/token_keys');
    assert.equal((key as Json).signing, true);
    await bench.ask(200, 'GET', `${bench.v3}/volumes`, { token });
    await assertError(403, 'GET', '/token_keys', undefined, { token });
    await assertError(400, 'POST', '/token_keys', { token_key: { end_tokens: 'perhaps' } });
    await ask(201, 'POST', '/token_keys', { token_key: { end_tokens: true } });
    await bench.ask(401, 'GET', `${bench.v3}/volumes`, { token });
    await assertError(401, 'GET', '/token_keys');
  });
});

test('no body leads to a 5xx or changes anything while it is refused', async () => {
  const scope = { project: { id: bench.admin.projectId } };
  const answer = await bench.send('POST', '/v3/auth/tokens', { token: null, body: passwordRequest('boss', scope) });
  const token = String(answer.headers['x-subject-token']);
  const targets = [
    ['POST', '/users', 'user'],
    ['PATCH', `/users/${bench.member.userId}`, 'user'],
    ['POST', `/users/${bench.admin.userId}/password`, 'user'],
    ['PATCH', `/projects/${bench.stranger.projectId}`, 'project'],
    ['POST', `/users/${bench.admin.userId}/application_credentials`, 'application_credential'],
  ] as const;
  const field = fc.oneof(fc.jsonValue(), fc.string(), fc.constant(null));
  const keys = ['name', 'description', 'enabled', 'email', 'roles', 'secret', 'expires_at', 'original_password'];
  const bodies = fc.dictionary(fc.constantFrom(...keys, 'options', 'tags'), field, { maxKeys: 4 });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...targets), bodies, async ([method, tail, key], fields) => {
      const before = await bench.services.catalog.users.list();
      const reply = await bench.send(method, `${ROOT}${tail}`, { token, body: { [key]: fields } });
      assert.ok(reply.statusCode < 500, `${method} ${tail} ${JSON.stringify(fields)}: ${reply.body}`);
      if (reply.statusCode >= 400) assert.deepEqual(await bench.services.catalog.users.list(), before);
    }),
    { numRuns: 100 },
  );
});
