// The clock of a development server, through HTTP: 40 days go by, the policy runs of those days happen in order.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import { silentLogger } from '../../src/core/ports.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const PASSWORD = 'only for this test';
const DAY_S = 86_400;

type Answer = {
  readonly volume: { readonly id: string };
  readonly backup_policy_id: string;
  readonly now: string;
  readonly tasks: readonly { readonly status: string; readonly created_at: string }[];
  readonly backups: readonly unknown[];
};

async function startServer(env: Record<string, string>) {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(await makeTemporaryFolder());
  const settings = { OPENVBS_DATA: path, OPENVBS_LISTEN: '127.0.0.1:0', OPENVBS_ADMIN_PASSWORD: PASSWORD, ...env };
  const { config } = loadConfig({ flags: {}, env: settings, cwd: path });
  const app = await startApp(config, { logger: silentLogger });
  stack.defer(() => app.close());
  const user = { name: 'admin', domain: { name: 'Default' }, password: PASSWORD };
  const scope = { project: { name: 'admin', domain: { name: 'Default' } } };
  const auth = { identity: { methods: ['password'], password: { user } }, scope };
  const login = await fetch(`${app.url}/identity/v3/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ auth }),
  });
  assert.equal(login.status, 201);
  const token = login.headers.get('x-subject-token') ?? '';
  const { token: issued } = (await login.json()) as { token: { project: { id: string } } };
  const call = async (method: string, target: string, body?: unknown) => {
    const response = await fetch(`${app.url}${target.replace('{p}', issued.project.id)}`, {
      method,
      headers: { 'x-auth-token': token, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    // The cast: tests look at what they expect and fail otherwise.
    return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as Answer };
  };
  return { call, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('POST /v1/dev/clock', () => {
  it('lets the runs of 40 days happen, in order, with real backups', async () => {
    await using server = await startServer({ OPENVBS_DEV: '1' });
    const { call } = server;
    const made = await call('POST', '/v3/{p}/volumes', { volume: { size: 1, name: 'disk' } });
    const { id: volumeId } = made.body.volume;
    const scheduled = { start_time: '02:00', frequency: 1, rentention_num: 3, status: 'ON' };
    const policy = { backup_policy_name: 'nightly', scheduled_policy: scheduled };
    const { body } = await call('POST', '/v2/{p}/backuppolicy', policy);
    const resources = [{ resource_id: volumeId, resource_type: 'volume' }];
    const association = { backup_policy_id: body.backup_policy_id, resources };
    assert.equal((await call('POST', '/v2/{p}/backuppolicyresources', association)).status, 200);
    const before = Date.now();
    const { status, body: answer } = await call('POST', '/v1/dev/clock', { advance_s: 40 * DAY_S });
    assert.equal(status, 200);
    const now = Date.parse(answer.now);
    assert(now - before >= 40 * DAY_S * 1000 && now - before < 40 * DAY_S * 1000 + 60_000);
    const list = await call('GET', `/v2/{p}/backuppolicy/${body.backup_policy_id}/backuptasks?limit=100&sort_dir=asc`);
    const { tasks } = list.body;
    // Those of the last 30 days are listed.
    assert(tasks.length >= 29 && tasks.length <= 30);
    assert(tasks.every((task) => task.status === 'EXECUTE_SUCCESS' && task.created_at.slice(11, 13) === '02'));
    const { backups } = (await call('GET', '/v3/{p}/backups/detail?status=available')).body;
    assert.equal(backups.length, 3);
  });

  it('refuses what is no number of seconds, and is not there without OPENVBS_DEV', async () => {
    await using development = await startServer({ OPENVBS_DEV: '1' });
    for (const body of [{}, { advance_s: '60' }, { advance_s: -1 }, { advance_s: 1.5 }, { advance_s: 1e12 }, []]) {
      assert.equal((await development.call('POST', '/v1/dev/clock', body)).status, 400, JSON.stringify(body));
    }
    await using server = await startServer({});
    assert.equal((await server.call('POST', '/v1/dev/clock', { advance_s: 60 })).status, 404);
  });
});
