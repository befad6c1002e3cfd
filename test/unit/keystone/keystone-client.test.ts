// What a Keystone may answer, and what is made of it; a small real server stands for it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { KeystoneClient, type KeystoneLogin } from '../../../src/keystone/keystone-client.ts';

const login: KeystoneLogin = {
  ...{ user: 'openvbs', userDomain: 'Default', password: 'pw', project: 'service', projectDomain: 'Default' },
};
const TOKEN = {
  token: {
    user: { id: 'u1', name: 'ada', domain: { id: 'default', name: 'Default' } },
    project: { id: 'p1', name: 'lab', domain: { id: 'd1', name: 'Elsewhere' } },
    roles: [{ id: 'r1', name: 'member' }],
    issued_at: '2026-01-05T09:00:00.000000Z',
    expires_at: '2026-01-05T10:00:00.123456Z',
  },
};
const EXPIRES_AT = Date.UTC(2026, 0, 5, 10, 0, 0, 123);

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Answers logins with `own-<n>`, valid for an hour; everything else is the handler's. */
class TinyKeystone implements AsyncDisposable {
  loginCount = 0;
  readonly clock = { nowAt: Date.UTC(2026, 0, 5, 9), now: () => this.clock.nowAt };
  readonly #server;

  constructor(handler: Handler) {
    this.#server = createServer((request, response) => {
      request.resume();
      if (request.method !== 'POST') return handler(request, response);
      this.loginCount += 1;
      const expires_at = new Date(this.clock.nowAt + 3_600_000).toISOString();
      response.setHeader('x-subject-token', `own-${this.loginCount}`);
      reply(response, 201, { token: { expires_at } });
    });
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v3`;
  }

  async connect(): Promise<KeystoneClient> {
    return new KeystoneClient({ url: await this.listen(), clock: this.clock, login });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

test('a valid token is read, without a catalog, with a token of the service that is kept', async () => {
  const seen: (string | undefined)[][] = [];
  await using keystone = new TinyKeystone((request, response) => {
    const { url, headers } = request;
    seen.push([url, String(headers['x-auth-token']), String(headers['x-subject-token'])]);
    reply(response, 200, TOKEN);
  });
  const client = await keystone.connect();
  const expected = {
    ...{ userId: 'u1', userName: 'ada', isSystemScoped: false, roleNames: ['member'] },
    project: { id: 'p1', name: 'lab', domainId: 'd1' },
    issuedAt: Date.UTC(2026, 0, 5, 9),
    expiresAt: EXPIRES_AT,
  };
  assert.deepEqual(await client.validate('theirs'), expected);
  await client.validate('theirs');
  assert.deepEqual(seen[1], ['/v3/auth/tokens?nocatalog', 'own-1', 'theirs']);
  keystone.clock.nowAt += 3_600_000 - 30_000;
  await client.validate('theirs');
  assert.equal(seen[2]?.[1], 'own-2', 'renewed before it expires');
});

test('many questions at once share one login', async () => {
  await using keystone = new TinyKeystone((_request, response) => reply(response, 200, TOKEN));
  const client = await keystone.connect();
  const askMany = () => Promise.all(Array.from({ length: 8 }, (_, index) => client.validate(`t${index}`)));
  await askMany();
  assert.equal(keystone.loginCount, 1);
  keystone.clock.nowAt += 3_600_000;
  await askMany();
  assert.equal(keystone.loginCount, 2, 'also when the one before has expired');
});

test('times without fraction or zone, scopes other than a project, and no roles', async () => {
  const { project: _project, roles: _roles, ...rest } = TOKEN.token;
  const answers = [
    { token: { ...TOKEN.token, expires_at: '2026-01-05T10:00:00Z' } },
    { token: { ...TOKEN.token, expires_at: '2026-01-05T10:00:00.5' } },
    { token: { ...rest, system: { all: true }, roles: TOKEN.token.roles } },
    { token: rest },
  ];
  let index = 0;
  await using keystone = new TinyKeystone((_request, response) => reply(response, 200, answers[index++]));
  const client = await keystone.connect();
  assert.equal((await client.validate('t'))?.expiresAt, Date.UTC(2026, 0, 5, 10));
  assert.equal((await client.validate('t'))?.expiresAt, Date.UTC(2026, 0, 5, 10, 0, 0, 500));
  const system = await client.validate('t');
  assert.deepEqual([system?.project, system?.isSystemScoped, system?.roleNames], [null, true, ['member']]);
  const unscoped = await client.validate('t');
  assert.deepEqual([unscoped?.project, unscoped?.isSystemScoped, unscoped?.roleNames], [null, false, []]);
});

test('404 is an answer; so is 401 where the token proves itself', async () => {
  let status = 404;
  await using keystone = new TinyKeystone((_request, response) => reply(response, status, { error: {} }));
  const client = await keystone.connect();
  assert.equal(await client.validate('t'), undefined);
  await using alone = new TinyKeystone((_request, response) => reply(response, status, { error: {} }));
  status = 401;
  const itself = new KeystoneClient({ url: await alone.listen(), clock: alone.clock });
  assert.equal(await itself.validate('t'), undefined);
  assert.equal(alone.loginCount, 0);
});

test('what cannot stand in a header is no token, and nobody is asked', async () => {
  await using keystone = new TinyKeystone(() => assert.fail('it was asked'));
  const client = await keystone.connect();
  for (const tokenId of ['', 'a b', 'ü', 'x\n', 'x'.repeat(9000)]) {
    assert.equal(await client.validate(tokenId), undefined);
  }
});

test('a token of the service that Keystone forgot is replaced once, and then it is unavailable', async () => {
  let accepted = 'own-2';
  await using keystone = new TinyKeystone((request, response) => {
    const isKnown = request.headers['x-auth-token'] === accepted;
    reply(response, isKnown ? 200 : 401, isKnown ? TOKEN : { error: {} });
  });
  const client = await keystone.connect();
  assert.equal((await client.validate('t'))?.userId, 'u1');
  accepted = 'none';
  await assert.rejects(client.validate('t'), { code: 'KEYSTONE_UNAVAILABLE' });
});

test('everything else is unavailable, with the reason and without secrets', async () => {
  const cases: [Handler, RegExp][] = [
    [(_request, response) => reply(response, 403, {}), /may not validate/],
    [(_request, response) => reply(response, 500, {}), /500/],
    [(_request, response) => response.end('<html>a proxy</html>'), /no token/],
    [(_request, response) => reply(response, 200, { token: { user: { id: 5 } } }), /no id/],
    [(_request, response) => reply(response, 200, { token: { ...TOKEN.token, expires_at: 'soon' } }), /time/],
    [(_request, response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(), /redirect/],
    [(request) => void request.socket.destroy(), /./],
  ];
  for (const [handler, expected] of cases) {
    await using keystone = new TinyKeystone(handler);
    const client = await keystone.connect();
    await assert.rejects(client.validate('top-secret'), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'KEYSTONE_UNAVAILABLE');
      assert.match(error.message, expected);
      assert.doesNotMatch(error.message, /top-secret|own-1/);
      return true;
    });
  }
  const nowhere = new KeystoneClient({ url: 'http://127.0.0.1:1/v3', login, clock: { now: () => 0 } });
  await assert.rejects(nowhere.validate('t'), { code: 'KEYSTONE_UNAVAILABLE' });
});
