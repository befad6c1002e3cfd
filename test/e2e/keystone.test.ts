// Users and tokens kept by another Keystone: a second OpenVBS is that Keystone, with a relay in between that can break.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as sendRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { asList, at, type Json, LiveApi, send } from '../support/live-api.ts';
import { ADMIN_PASSWORD, LiveService } from '../support/live-service.ts';
import { ServeRun } from '../support/serve-run.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const CACHE_S = 1;

/** Passes requests on to an origin; none is as if nobody listened. */
class Relay implements AsyncDisposable {
  origin: string | undefined;
  readonly #server = createServer((incoming, outgoing) => {
    if (this.origin === undefined) {
      incoming.socket.destroy();
      return;
    }
    const { method = 'GET', url = '', headers } = incoming;
    const passed = sendRequest(`${this.origin}${url}`, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on('error', () => incoming.socket.destroy());
    incoming.pipe(passed);
  });

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const stack = new AsyncDisposableStack();
const relay = stack.use(new Relay());
let keystone: LiveService;
let keystoneUrl: string;
let url: string;
let startText: string;
/** Services without a user in Keystone, and with a wrong password of it. */
let aloneUrl: string;
let wrongUrl: string;
let folder: string;

before(async () => {
  ({ path: folder } = stack.use(await makeTemporaryFolder()));
  keystone = await LiveService.start({ folder: join(folder, 'keystone') });
  stack.defer(() => keystone.kill());
  relay.origin = keystone.url;
  keystoneUrl = `${await relay.listen()}/identity/v3`;
  const own = { OPENVBS_KEYSTONE_USER: 'admin', OPENVBS_KEYSTONE_PROJECT: 'admin' };
  const cache = { OPENVBS_KEYSTONE_CACHE: String(CACHE_S), OPENVBS_KEYSTONE_MEMBER_ROLES: 'member' };
  const [service, alone, wrong] = await Promise.all([
    serve('service', { ...own, ...cache, OPENVBS_KEYSTONE_PASSWORD: ADMIN_PASSWORD }),
    serve('alone', {}),
    serve('wrong', { ...own, OPENVBS_KEYSTONE_PASSWORD: 'wrong' }),
  ]);
  ({ url, startText } = service);
  aloneUrl = alone.url;
  wrongUrl = wrong.url;
});
after(() => stack.disposeAsync());

async function serve(name: string, env: Readonly<Record<string, string>>) {
  const args = ['--data', join(folder, name), '--listen', '127.0.0.1:0', '--keystone-url', keystoneUrl];
  const run = stack.use(ServeRun.begin(args, env));
  const text = await run.waitForText();
  return { url: /API:\s+(\S+)/.exec(text)?.[1] ?? '', startText: text };
}

/** A user of Keystone with one role in a project; returns a token for it. */
async function makeUser(name: string, role: string): Promise<{ token: string; projectId: string; scoped: Json }> {
  const identity = '/identity/v3';
  const { api } = keystone;
  const domain = { id: 'default' };
  const user = at(await api.must('POST', `${identity}/users`, { body: { user: { name, password: 'pw' } } }), 'user');
  const project = at(await api.must('POST', `${identity}/projects`, { body: { project: { name } } }), 'project');
  const [found] = asList((await api.must('GET', `${identity}/roles?name=${role}`)).roles);
  await api.must('PUT', `${identity}/projects/${project.id}/users/${user.id}/roles/${found?.id}`);
  const methods = { methods: ['password'], password: { user: { name, domain, password: 'pw' } } };
  const auth = { identity: methods, scope: { project: { id: project.id } } };
  const answer = await send(keystone.url, 'POST', '/v3/auth/tokens', { body: { auth } });
  assert.equal(answer.status, 201);
  return { token: answer.headers.get('x-subject-token') ?? '', projectId: String(project.id), scoped: { auth } };
}

async function call(method: string, path: string, token: string | null, body?: unknown, origin = url) {
  const headers: Record<string, string> = token === null ? {} : { 'x-auth-token': token };
  return await send(origin, method, path, { headers, ...(body === undefined ? {} : { body }) });
}

describe('with an external Keystone', () => {
  test('the start says so, discovery points there, and nothing is issued here', async () => {
    assert.match(startText, new RegExp(`Users:\\s+those of ${keystoneUrl}`));
    assert.doesNotMatch(startText, /Password:/);
    const { body } = await call('GET', '/identity/v3', null);
    const [self] = asList(at(body, 'version').links);
    assert.equal(self?.href, `${keystoneUrl}/`);
    const { scoped } = await makeUser('nobody', 'member');
    for (const path of ['/identity/v3/auth/tokens', '/v3/auth/tokens']) {
      const answer = await call('POST', path, null, scoped);
      assert.equal(answer.status, 404);
      assert.match(String(at(answer.body, 'error').message), new RegExp(keystoneUrl));
    }
    const admin = await makeUser('chief', 'admin');
    assert.equal((await call('GET', '/identity/v3/users', admin.token)).status, 404);
    const refused = await call('GET', `/v3/${admin.projectId}/volumes`, 'no token of anybody');
    assert.equal(refused.status, 401);
    assert.equal(refused.headers.get('www-authenticate'), `Keystone uri="${keystoneUrl}"`);
  });

  test('its users work here with their roles, in its projects', async () => {
    const member = await makeUser('worker', 'member');
    const path = `/v3/${member.projectId}/volumes`;
    const made = await call('POST', path, member.token, { volume: { size: 1, name: 'disk' } });
    assert.equal(made.status, 202, JSON.stringify(made.body));
    const reader = await makeUser('watcher', 'reader');
    assert.equal((await call('GET', `/v3/${reader.projectId}/volumes`, reader.token)).status, 200);
    const write = await call('POST', `/v3/${reader.projectId}/volumes`, reader.token, { volume: { size: 1 } });
    assert.equal(write.status, 403);
    assert.equal((await call('GET', path, reader.token)).status, 400, 'a foreign project');
    assert.equal((await call('GET', `/v3/${member.projectId}/os-services`, member.token)).status, 403);
    const admin = await makeUser('root', 'admin');
    assert.equal((await call('GET', `/v3/${admin.projectId}/os-services`, admin.token)).status, 200);
  });

  test('a token that is revoked there ends here within the time that answers are believed', async () => {
    const { token, projectId } = await makeUser('leaver', 'member');
    const path = `/v3/${projectId}/volumes`;
    assert.equal((await call('GET', path, token)).status, 200);
    const headers = { 'x-auth-token': token, 'x-subject-token': token };
    assert.equal((await send(keystone.url, 'DELETE', '/v3/auth/tokens', { headers })).status, 204);
    await delay(CACHE_S * 1000 + 50);
    assert.equal((await call('GET', path, token)).status, 401);
  });

  test('while it cannot be reached, requests are 503 and go on by themselves afterwards', async () => {
    const { token, projectId } = await makeUser('patient', 'member');
    relay.origin = undefined;
    try {
      const native = await call('GET', `/v3/${projectId}/volumes`, token);
      assert.deepEqual([native.status, Object.keys(native.body)], [503, ['serviceUnavailable']]);
      const vbs = await call('GET', `/v2/${projectId}/cloudbackups/quota`, token);
      assert.deepEqual([vbs.status, at(vbs.body, 'error').code], [503, 'VolumeBackup.0900']);
      const policy = await call('GET', `/v2/${projectId}/backuppolicy`, token);
      assert.deepEqual([policy.status, at(policy.body, 'error').code], [500, 'AutoBackup.9002']);
    } finally {
      relay.origin = keystone.url;
    }
    assert.equal((await call('GET', `/v3/${projectId}/volumes`, token)).status, 200);
  });

  test('without a user of its own, each token proves itself', async () => {
    const { token, projectId } = await makeUser('selfmade', 'member');
    assert.equal((await call('GET', `/v3/${projectId}/volumes`, token, undefined, aloneUrl)).status, 200);
    assert.equal((await call('GET', `/v3/${projectId}/volumes`, 'garbage', undefined, aloneUrl)).status, 401);
  });

  test('a wrong password of its own user is a failure of the service, not of the caller', async () => {
    const { token, projectId } = await makeUser('victim', 'member');
    assert.equal((await call('GET', `/v3/${projectId}/volumes`, token, undefined, wrongUrl)).status, 503);
  });

  test('a new token of the service replaces one that Keystone has forgotten', async () => {
    const before = await makeUser('early', 'member');
    assert.equal((await call('GET', `/v3/${before.projectId}/volumes`, before.token)).status, 200);
    await keystone.api.must('POST', '/identity/v3/token_keys', { body: { token_key: { end_tokens: true } } });
    const admin = await LiveApi.logIn(keystone.url, ADMIN_PASSWORD);
    const answer = await send(keystone.url, 'POST', '/v3/auth/tokens', { body: before.scoped });
    const token = answer.headers.get('x-subject-token') ?? '';
    assert.notEqual(admin.token, '');
    assert.equal((await call('GET', `/v3/${before.projectId}/volumes`, token)).status, 200);
  });
});
