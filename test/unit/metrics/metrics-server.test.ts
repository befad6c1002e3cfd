import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { silentLogger } from '../../../src/core/ports.ts';
import { createMetricsServer } from '../../../src/metrics/metrics-server.ts';

async function serve(render: () => Promise<string>) {
  const server = createMetricsServer({ contentType: 'text/plain; version=0.0.4', render }, silentLogger);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // The cast: it listens on a TCP port.
  const { port } = server.address() as AddressInfo;
  const get = (path: string, method = 'GET') =>
    fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { connection: 'close' } });
  const close = async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
  return { get, [Symbol.asyncDispose]: close };
}

describe('the listener of metrics', () => {
  test('answers GET and HEAD of /metrics', async () => {
    await using served = await serve(async () => 'a 1\n');
    const answer = await served.get('/metrics?x=1');
    assert.deepEqual([answer.status, await answer.text()], [200, 'a 1\n']);
    assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4');
    const head = await served.get('/metrics', 'HEAD');
    assert.deepEqual([head.status, await head.text()], [200, '']);
  });

  test('answers nothing else', async () => {
    await using served = await serve(async () => 'a 1\n');
    for (const path of ['/', '/metrics/', '/v3/', '/healthz']) assert.equal((await served.get(path)).status, 404);
    const posted = await served.get('/metrics', 'POST');
    assert.deepEqual([posted.status, posted.headers.get('allow')], [405, 'GET, HEAD']);
  });

  test('says that nothing is known rather than something false, and no reason', async () => {
    await using served = await serve(() => Promise.reject(new Error('connect postgres://user:secret@db')));
    const answer = await served.get('/metrics');
    assert.equal(answer.status, 503);
    assert(!(await answer.text()).includes('secret'));
  });
});
