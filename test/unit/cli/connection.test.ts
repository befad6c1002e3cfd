import assert from 'node:assert/strict';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { CliError } from '../../../src/cli/cli-error.ts';
import { CLIENT_COMMANDS } from '../../../src/cli/client-commands.ts';
import type { CommandContext } from '../../../src/cli/command.ts';
import { type Connection, resolveConnection } from '../../../src/cli/connection.ts';
import { parseLine } from '../../../src/cli/parse.ts';
import { readSession, sessionPath, writeSession } from '../../../src/cli/session-file.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

const NOW = Date.UTC(2026, 1, 3);

function contextOf(home: string, line: string, env: Record<string, string> = {}): CommandContext {
  const parsed = parseLine(CLIENT_COMMANDS, ['volume', 'list', ...line.split(' ').filter((word) => word !== '')]);
  assert.ok(parsed.kind === 'run');
  const silent = { write: () => true };
  const nobody = async (): Promise<string> => '';
  const terminal = { stdout: silent, stderr: silent, isInteractive: false, env, cwd: home, homeFolder: home };
  return {
    terminal: { ...terminal, readStdin: async () => 'from-stdin\nrest', ask: nobody, askSecret: nobody },
    flags: parsed.flags,
    args: parsed.args,
    isJson: false,
    clock: { now: () => NOW },
    program: 'openvbs',
    signal: new AbortController().signal,
  };
}

async function resolveFor(home: string, line: string, env: Record<string, string> = {}): Promise<Connection> {
  return await resolveConnection(contextOf(home, line, env));
}

const session = {
  token: 'tok',
  expiresAt: new Date(NOW + 60_000).toISOString(),
  userId: 'a'.repeat(32),
  userName: 'ops',
  projectId: 'f'.repeat(32),
  projectName: 'lab',
  catalogOrigin: undefined,
};

test('without anything it is the admin of the server on this machine', async () => {
  await using temporary = await makeTemporaryFolder();
  const home = temporary.path;
  const { serviceUrl, authUrl, user, project, password } = await resolveFor(home, '');
  assert.equal(serviceUrl, 'http://127.0.0.1:8776');
  assert.equal(authUrl, 'http://127.0.0.1:8776/identity/v3');
  assert.deepEqual([user, project, password], ['admin', 'admin', undefined]);
});

test('flags come before variables', async () => {
  await using temporary = await makeTemporaryFolder();
  const home = temporary.path;
  await writeFile(join(home, 'pw'), 'from-file\r\n');
  const env = { OPENVBS_URL: 'http://env:1', OPENVBS_USER: 'env', OPENVBS_PASSWORD: 'env', OPENVBS_PROJECT: 'env' };
  const fromEnv = await resolveFor(home, '', env);
  assert.deepEqual(
    [fromEnv.serviceUrl, fromEnv.user, fromEnv.project, fromEnv.password],
    ['http://env:1', 'env', 'env', 'env'],
  );
  const fromFlags = await resolveFor(home, '--url https://flag/ --user u --project p --password-file pw', env);
  const { serviceUrl, user, project, password } = fromFlags;
  assert.deepEqual([serviceUrl, user, project, password], ['https://flag', 'u', 'p', 'from-file']);
  assert.equal((await resolveFor(home, '--password-file -')).password, 'from-stdin');
});

test("the admin's password of the server's settings serves the admin only", async () => {
  await using temporary = await makeTemporaryFolder();
  const home = temporary.path;
  const env = { OPENVBS_ADMIN_PASSWORD: 'root' };
  assert.equal((await resolveFor(home, '', env)).password, 'root');
  assert.equal((await resolveFor(home, '--user ops', env)).password, undefined);
});

test('variables of OpenStack clients count only together with OS_AUTH_URL, and never for another server', async () => {
  await using temporary = await makeTemporaryFolder();
  const home = temporary.path;
  const env = {
    OS_AUTH_URL: 'http://cloud:5000/v3',
    OS_USERNAME: 'ops',
    OS_PASSWORD: 'cloud-secret',
    OS_PROJECT_NAME: 'lab',
    OS_USER_DOMAIN_NAME: 'Staff',
    OS_PROJECT_DOMAIN_ID: 'default',
    OS_REGION_NAME: 'r1',
  };
  const cloud = await resolveFor(home, '', env);
  assert.equal(cloud.authUrl, 'http://cloud:5000/v3');
  assert.equal(cloud.serviceUrl, undefined);
  assert.deepEqual(
    [cloud.user, cloud.userDomain, cloud.projectDomain, cloud.region],
    ['ops', 'Staff', 'default', 'r1'],
  );
  assert.equal(cloud.password, 'cloud-secret');
  for (const [line, more] of [
    ['--url http://other', {}],
    ['', { OPENVBS_URL: 'http://other' }],
  ] as const) {
    const other = await resolveFor(home, line, { ...env, ...more });
    assert.deepEqual([other.user, other.password], ['admin', undefined]);
  }
});

test('a saved login names server, user and project, while it lasts and only for them', async () => {
  await using temporary = await makeTemporaryFolder();
  const home = temporary.path;
  const path = sessionPath(contextOf(home, '').terminal);
  assert.equal(path, join(home, '.config/openvbs/session.json'));
  await writeSession(path, { url: 'http://saved:1', session });
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readSession(path), { url: 'http://saved:1', session });
  const saved = await resolveFor(home, '');
  assert.deepEqual([saved.serviceUrl, saved.user, saved.project], ['http://saved:1', 'ops', 'lab']);
  assert.equal(saved.session?.token, 'tok');
  assert.equal((await resolveFor(home, '--user admin')).session, undefined);
  const elsewhere = await resolveFor(home, '--url http://other');
  assert.deepEqual([elsewhere.session, elsewhere.user], [undefined, 'admin']);
  await writeSession(path, {
    url: 'http://saved:1',
    session: { ...session, expiresAt: new Date(NOW - 1).toISOString() },
  });
  assert.equal((await resolveFor(home, '')).session, undefined);
  await writeFile(path, '{broken');
  assert.equal((await resolveFor(home, '')).session, undefined);
});

test('bad addresses and password files are usage errors or not found', async () => {
  await using temporary = await makeTemporaryFolder();
  const home = temporary.path;
  for (const url of ['localhost:8776', 'ftp://a', 'http://user:pw@a']) {
    await assert.rejects(
      resolveFor(home, `--url ${url}`),
      (error) => error instanceof CliError && error.exitCode === 2,
    );
  }
  const isNotFound = (error: unknown): boolean => error instanceof CliError && error.exitCode === 3;
  await assert.rejects(resolveFor(home, '--password-file missing'), isNotFound);
  await writeFile(join(home, 'empty'), '\n');
  await assert.rejects(resolveFor(home, '--password-file empty'), CliError);
});
