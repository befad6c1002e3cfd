// The client against a small real HTTP server that answers as a test wants: what goes over the wire, and what comes
// of answers that a good server never gives.
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { test } from 'node:test';
import { isClientError } from '../../src/client/client-error.ts';
import { type ClientDeps, OpenVbsClient } from '../../src/client/openvbs-client.ts';

const PROJECT = 'a'.repeat(32);
const VOLUME = '11111111-2222-3333-4444-555555555555';
const BACKUP = '99999999-2222-3333-4444-555555555555';
const PASSWORD = 'correct horse';

type Exchange = { readonly method: string; readonly url: string; readonly body: unknown };
type Answer = (exchange: Exchange, response: ServerResponse) => void;

class TinyServer implements AsyncDisposable {
  readonly exchanges: Exchange[] = [];
  readonly #answer: Answer;
  readonly #server = createServer((request, response) => void this.#handle(request, response));
  #validToken = '';
  loginCount = 0;

  constructor(answer: Answer) {
    this.#answer = answer;
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this.origin;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  expireTokens(): void {
    this.#validToken = 'nobody has this';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    const hasBody = request.headers['content-type'] === 'application/json';
    const body = hasBody ? await json(request) : undefined;
    this.exchanges.push({ method, url, body });
    if (method === 'POST' && url === '/identity/v3/auth/tokens') this.#issueToken(body, response);
    else if (request.headers['x-auth-token'] !== this.#validToken) refuse(response);
    else this.#answer({ method, url, body }, response);
  }

  #issueToken(body: unknown, response: ServerResponse): void {
    if (!JSON.stringify(body).includes(PASSWORD)) {
      refuse(response);
      return;
    }
    this.loginCount += 1;
    this.#validToken = `token-${this.loginCount}`;
    const url = `${this.origin}/v3/${PROJECT}`;
    const endpoints = [
      { interface: 'admin', region: 'r1', url: 'http://wrong' },
      { interface: 'public', region: 'r1', url },
    ];
    const token = {
      expires_at: '2100-01-01T00:00:00.000000Z',
      user: { name: 'ops' },
      project: { id: PROJECT, name: 'lab' },
      catalog: [{ type: 'block-storage', endpoints }],
    };
    response.setHeader('x-subject-token', this.#validToken);
    reply(response, 201, { token });
  }
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'x-openstack-request-id': 'req-1' });
  response.end(JSON.stringify(body));
}

function refuse(response: ServerResponse): void {
  reply(response, 401, { error: { code: 401, title: 'Unauthorized', message: 'no' } });
}

const login = { user: 'ops', userDomain: 'Default', password: PASSWORD, project: 'lab', projectDomain: 'default' };

async function start(answer: Answer, deps: Partial<ClientDeps> = {}) {
  const server = new TinyServer(answer);
  const origin = await server.listen();
  const client = new OpenVbsClient({ authUrl: `${origin}/identity/v3`, serviceUrl: origin, login, ...deps });
  return { server, origin, client, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

function hasCode(code: string, status?: number): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isClientError(error, code), String(error));
    if (status !== undefined) assert.equal(error.status, status);
    return true;
  };
}

const noVolumes: Answer = (_exchange, response) => reply(response, 200, { volumes: [] });

test('one login serves many calls, and names domains by name or id', async () => {
  await using fixture = await start(noVolumes);
  await fixture.client.listVolumes();
  await fixture.client.listVolumes();
  assert.equal(fixture.server.loginCount, 1);
  assert.deepEqual(fixture.server.exchanges[0]?.body, {
    auth: {
      identity: {
        methods: ['password'],
        password: { user: { name: 'ops', domain: { name: 'Default' }, password: PASSWORD } },
      },
      scope: { project: { name: 'lab', domain: { id: 'default' } } },
    },
  });
});

test('a token that expired is replaced once, without losing the call', async () => {
  await using fixture = await start(noVolumes);
  await fixture.client.listVolumes();
  fixture.server.expireTokens();
  assert.deepEqual(await fixture.client.listVolumes(), []);
  assert.equal(fixture.server.loginCount, 2);
});

test('a token that is refused right after the login is not tried for ever', async () => {
  await using fixture = await start((_exchange, response) => refuse(response));
  await assert.rejects(fixture.client.listVolumes(), hasCode('HTTP_401', 401));
  await assert.rejects(fixture.client.listVolumes(), hasCode('HTTP_401', 401));
  assert.equal(fixture.server.loginCount, 2);
});

test('a wrong password and no password are told apart', async () => {
  await using wrong = await start(noVolumes, { login: { ...login, password: 'wrong' } });
  await assert.rejects(wrong.client.listVolumes(), hasCode('HTTP_401', 401));
  await using none = await start(noVolumes, { login: undefined });
  await assert.rejects(none.client.listVolumes(), hasCode('LOGIN_NEEDED', 401));
});

test('a saved session is used without a login, and after it expired a login is needed', async () => {
  await using first = await start(noVolumes);
  const session = await first.client.logIn();
  const { origin } = first;
  const client = new OpenVbsClient({ authUrl: `${origin}/identity/v3`, serviceUrl: origin, session });
  assert.deepEqual(await client.listVolumes(), []);
  first.server.expireTokens();
  await assert.rejects(client.listVolumes(), hasCode('LOGIN_NEEDED'));
});

test('without an address of the service the catalog names it, whatever the form of the auth URL', async () => {
  await using fixture = await start(noVolumes);
  for (const path of ['/identity', '/identity/v3', '/identity/v3/']) {
    const client = new OpenVbsClient({ authUrl: `${fixture.origin}${path}`, region: 'r1', login });
    assert.deepEqual(await client.listVolumes(), []);
  }
  assert.ok(fixture.server.exchanges.some(({ url }) => url.startsWith(`/v3/${PROJECT}/volumes/detail`)));
});

test('lists follow their pages', async () => {
  await using fixture = await start(({ url }, response) => {
    const marker = new URL(url, 'http://x').searchParams.get('marker');
    const isLast = marker === 'v2';
    const volumes = isLast ? [{ id: 'v3' }] : [{ id: 'v1' }, { id: 'v2' }];
    reply(response, 200, { volumes, ...(isLast ? {} : { volumes_links: [{ rel: 'next', href: 'ignored' }] }) });
  });
  assert.deepEqual(
    (await fixture.client.listVolumes()).map(({ id }) => id),
    ['v1', 'v2', 'v3'],
  );
});

test('every error body of the API is understood', async () => {
  const bodies: readonly (readonly [number, string, string, string])[] = [
    [400, '{"error":{"code":"VolumeBackup.0005","message":"name"}}', 'VolumeBackup.0005', 'name'],
    [404, '{"itemNotFound":{"code":404,"message":"gone"}}', 'HTTP_404', 'gone'],
    [400, '{"badRequest":{"code":400,"message":"m","error_code":"VolumeBackup.0005"}}', 'VolumeBackup.0005', 'm'],
    [502, '<html>proxy</html>', 'HTTP_502', 'the server answered 502 Bad Gateway'],
    [500, '', 'HTTP_500', 'the server answered 500 Internal Server Error'],
    [400, '[]', 'HTTP_400', 'the server answered 400 Bad Request'],
  ];
  for (const [status, body, code, message] of bodies) {
    await using fixture = await start((_exchange, response) => {
      response.writeHead(status, { 'x-openstack-request-id': 'req-7' }).end(body);
    });
    await assert.rejects(fixture.client.getVolume(VOLUME), (error) => {
      assert.ok(isClientError(error, code), String(error));
      assert.deepEqual([error.status, error.message, error.requestId], [status, message, 'req-7']);
      return true;
    });
  }
});

test('answers that are not the API are told as such', async () => {
  await using html = await start((_exchange, response) => void response.end('<html>'));
  await assert.rejects(html.client.getVolume(VOLUME), hasCode('ANSWER_INVALID'));
  await using away = await start((_exchange, response) => {
    response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
  });
  await assert.rejects(away.client.getVolume(VOLUME), hasCode('UNREACHABLE'));
  await using cut = await start((_exchange, response) => void response.destroy());
  await assert.rejects(cut.client.getVolume(VOLUME), hasCode('UNREACHABLE', 0));
});

test('a server that is not there is named', async () => {
  const server = new TinyServer(noVolumes);
  const origin = await server.listen();
  await server[Symbol.asyncDispose]();
  const client = new OpenVbsClient({ authUrl: `${origin}/identity/v3`, serviceUrl: origin, login });
  await assert.rejects(client.listVolumes(), (error) => {
    assert.ok(isClientError(error, 'UNREACHABLE'));
    assert.ok(error.message.startsWith(`${origin} cannot be reached: connect ECONNREFUSED`), error.message);
    return true;
  });
});

test('names find the only one that has them', async () => {
  await using fixture = await start(({ url }, response) => {
    const name = new URL(url, 'http://x').searchParams.get('name');
    const volumes =
      name === 'two'
        ? [
            { id: 'v1', name },
            { id: 'v2', name },
          ]
        : name === 'one'
          ? [{ id: 'v1', name }]
          : [];
    reply(response, 200, url.includes(VOLUME) ? { volume: { id: VOLUME } } : { volumes });
  });
  const { client } = fixture;
  assert.equal((await client.findVolume('one')).id, 'v1');
  assert.equal((await client.findVolume(VOLUME)).id, VOLUME);
  await assert.rejects(client.findVolume('none'), hasCode('NAME_NOT_FOUND', 404));
  await assert.rejects(client.findVolume('two'), (error) => {
    return hasCode('NAME_AMBIGUOUS')(error) && String(error).includes('v1') && String(error).includes('v2');
  });
});

test('calls send what the contract says', async () => {
  await using fixture = await start(({ url }, response) => {
    if (url.includes('os-services')) return reply(response, 200, { services: [{ host: 'h@file#file' }] });
    reply(response, 200, { job_id: 'job', volume: { id: VOLUME } });
  });
  const { client, server } = fixture;
  const tags = [{ key: 'tier', value: 'gold' }];
  assert.equal(await client.createBackup({ volumeId: VOLUME, name: 'n', description: 'd', tags, isFull: true }), 'job');
  assert.equal(await client.restoreBackup(BACKUP, VOLUME), 'job');
  assert.equal(await client.deleteBackup(BACKUP), 'job');
  assert.deepEqual(await client.listVolumeHosts(), ['h@file#file']);
  await client.adoptVolume({ host: 'h@file#file', path: '/disks/a b.img', name: 'a' });
  await client.createVolume({ name: 'c', backupId: BACKUP });
  await client.createVolume({ sizeGib: 2 });
  const backup = { volume_id: VOLUME, name: 'n', description: 'd', tags, extend_param: { FullBackup: 'true' } };
  assert.deepEqual(server.exchanges.slice(1), [
    { method: 'POST', url: `/v2/${PROJECT}/cloudbackups`, body: { backup } },
    { method: 'POST', url: `/v2/${PROJECT}/cloudbackups/${BACKUP}/restore`, body: { restore: { volume_id: VOLUME } } },
    { method: 'DELETE', url: `/v2/${PROJECT}/cloudbackups/${BACKUP}`, body: undefined },
    { method: 'GET', url: `/v3/${PROJECT}/os-services?binary=cinder-volume`, body: undefined },
    {
      method: 'POST',
      url: `/v3/${PROJECT}/os-volume-manage`,
      body: { volume: { host: 'h@file#file', ref: { 'source-name': '/disks/a b.img' }, name: 'a' } },
    },
    { method: 'POST', url: `/v3/${PROJECT}/volumes`, body: { volume: { name: 'c', backup_id: BACKUP } } },
    { method: 'POST', url: `/v3/${PROJECT}/volumes`, body: { volume: { size: 2 } } },
  ]);
});

test('ids are encoded: a name with slashes cannot reach another path', async () => {
  await using fixture = await start((_exchange, response) => reply(response, 404, {}));
  await assert.rejects(fixture.client.getJob('../../x?y'), hasCode('HTTP_404'));
  assert.equal(fixture.server.exchanges.at(-1)?.url, `/v1/${PROJECT}/jobs/..%2F..%2Fx%3Fy?progress=true`);
});

test('a download streams all bytes', async () => {
  const content = Buffer.alloc(3_000_000, 'abc');
  await using fixture = await start((_exchange, response) => {
    response.writeHead(200, { 'content-length': content.length }).end(content);
  });
  const { sizeBytes, bytes } = await fixture.client.downloadBackup(BACKUP);
  assert.equal(sizeBytes, content.length);
  assert.ok(Buffer.concat(await Array.fromAsync(bytes)).equals(content));
});

test('a download that breaks off throws, one of unknown length is refused', async () => {
  await using broken = await start((_exchange, response) => {
    response.writeHead(200, { 'content-length': 1000 });
    response.write('abc', () => response.destroy());
  });
  const { bytes } = await broken.client.downloadBackup(BACKUP);
  await assert.rejects(Array.fromAsync(bytes));
  await using unknown = await start((_exchange, response) => void response.end('abc'));
  await using chunked = await start((_exchange, response) => {
    response.writeHead(200, { 'transfer-encoding': 'chunked' }).end('abc');
  });
  await assert.rejects(chunked.client.downloadBackup(BACKUP), hasCode('ANSWER_INVALID'));
  assert.equal((await unknown.client.downloadBackup(BACKUP)).sizeBytes, 3);
});

test('an abort ends a call that waits', async () => {
  await using fixture = await start(() => undefined);
  const aborting = new AbortController();
  const call = fixture.client.getVolume(VOLUME, aborting.signal);
  setTimeout(() => aborting.abort(), 20);
  await assert.rejects(call, { name: 'AbortError' });
});

test('logging out revokes the token, also when the server forgot it already', async () => {
  await using fixture = await start((_exchange, response) => reply(response, 404, {}));
  await fixture.client.logIn();
  await fixture.client.logOut();
  assert.equal(fixture.server.exchanges.at(-1)?.method, 'DELETE');
});
