// `openvbs user|project|role|application-credential|token-key` against a real service.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type CliOptions, type CliResult, runInProcess } from '../support/cli-process.ts';
import { asList, at, type Json, send } from '../support/live-api.ts';
import { ADMIN_PASSWORD, LiveService } from '../support/live-service.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const stack = new AsyncDisposableStack();
let service: LiveService;
let admin: CliOptions;

before(async () => {
  const { path: folder } = stack.use(await makeTemporaryFolder());
  service = await LiveService.start({ folder });
  stack.defer(() => service.kill());
  admin = { cwd: folder, env: { OPENVBS_URL: service.url, OPENVBS_PASSWORD: ADMIN_PASSWORD } };
});
after(() => stack.disposeAsync());

async function run(line: string, options: CliOptions = admin): Promise<string> {
  const { code, stdout, stderr } = await runInProcess(line, options);
  assert.equal(code, 0, `${line}: ${stderr}`);
  return stdout;
}

async function runJson(line: string, options: CliOptions = admin): Promise<Json> {
  return JSON.parse(await run(`${line} --json`, options)) as Json;
}

async function fail(line: string, options: CliOptions = admin): Promise<CliResult> {
  const result = await runInProcess(line, options);
  assert.notEqual(result.code, 0, line);
  return result;
}

function as(user: string, password: string, project: string): CliOptions {
  const env = { OPENVBS_URL: service.url, OPENVBS_USER: user, OPENVBS_PASSWORD: password, OPENVBS_PROJECT: project };
  return { cwd: admin.cwd, env };
}

describe('users, projects and roles', () => {
  test('a new user gets in with a role, and out without', async () => {
    await run('project create lab --description maps');
    const text = await run('user create ada --email ada@example.net');
    const password = /Password: +(\S+)/.exec(text)?.[1] ?? '';
    assert.match(text, /shown only now/);
    assert.match((await fail('volume list', as('ada', password, 'lab'))).stderr, /401|authentication/);
    assert.match(await run('role add member ada lab'), /ada is member in lab/);
    assert.match(await run('volume list', as('ada', password, 'lab')), /No volumes/);
    assert.match(await run('user show ada'), /Role: *member in lab/);
    assert.match(await run('role assignments --in-project lab'), /member +ada +lab/);
    assert.match(await run('role assignments --of-user ada'), /member +ada +lab/);
    await run('role remove member ada lab');
    await fail('volume list', as('ada', password, 'lab'));
    assert.equal((await fail('role remove member ada lab')).code, 3);
  });

  test('lists and shows, as text and as JSON', async () => {
    assert.match(await run('user list'), /ID +NAME +STATE +DESCRIPTION\n[0-9a-f]{32} +ada +enabled/);
    assert.match(await run('project list'), /lab +enabled +maps/);
    assert.match(await run('role list'), /admin[\s\S]*member[\s\S]*reader/);
    const { projects } = await runJson('project list');
    assert.deepEqual(
      asList(projects).map(({ name }) => name),
      ['admin', 'lab'],
    );
    const { project } = await runJson('project show lab');
    assert.deepEqual((await runJson(`project show ${String(at({ project }, 'project').id)}`)).project, project);
    assert.equal((await fail('user show nobody')).code, 3);
  });

  test('are changed, disabled and removed; the last admin is not', async () => {
    const options = { ...admin, stdin: 'a new password\n' };
    await run('user set ada --name adele --new-password-file -', options);
    await run('role add reader adele lab');
    await run('volume list', as('adele', 'a new password', 'lab'));
    assert.match(await run('user set adele --disable'), /disabled/);
    assert.equal((await fail('volume list', as('adele', 'a new password', 'lab'))).code, 4);
    await run('user set adele --enable');
    assert.equal((await fail('volume create --size 1', as('adele', 'a new password', 'lab'))).code, 4);
    assert.match((await fail('user delete admin')).stderr, /admin/);
    assert.match((await fail('user set adele')).stderr, /nothing to set/);
    assert.match((await fail('user set adele --enable --disable')).stderr, /exclude/);
    await run('project set lab --name laboratory --disable');
    await fail('volume list', as('adele', 'a new password', 'laboratory'));
    await run('user delete adele');
    await run('project delete laboratory');
    assert.equal((await fail('project show laboratory')).code, 3);
  });

  test('a user changes the own password and logs in again', async () => {
    const created = await runJson('user create eve');
    const password = String(created.generatedPassword);
    await run('project create eden');
    await run('role add member eve eden');
    const file = join(admin.cwd, 'new-password');
    await writeFile(file, 'apple pie\n');
    const eve = as('eve', password, 'eden');
    assert.match(await run(`user password --new-password-file ${file}`, eve), /Log in again/);
    assert.equal((await fail('volume list', eve)).code, 4);
    await run('volume list', as('eve', 'apple pie', 'eden'));
  });
});

describe('application credentials and token keys', () => {
  test('a credential is made, logs in, is listed without its secret, and goes', async () => {
    const made = at(await runJson('application-credential create nightly --role member'), 'applicationCredential');
    assert.deepEqual(made.roles, ['member']);
    const application_credential = { id: made.id, secret: made.secret };
    const auth = { identity: { methods: ['application_credential'], application_credential } };
    assert.equal((await send(service.url, 'POST', '/v3/auth/tokens', { body: { auth } })).status, 201);
    const listed = await run('application-credential list');
    assert.match(listed, /nightly +member +-/);
    for (const text of [
      listed,
      await run('application-credential show nightly'),
      await run('application-credential list --json'),
    ]) {
      assert.ok(!text.includes(String(made.secret)));
    }
    await run('application-credential delete nightly');
    assert.equal((await send(service.url, 'POST', '/v3/auth/tokens', { body: { auth } })).status, 401);
    assert.match(await run('application-credential list'), /No application credentials/);
  });

  test('works from a saved login too, and says so when that has ended', async () => {
    const home = { cwd: admin.cwd, env: { OPENVBS_URL: service.url } };
    await run('login', admin);
    await run('application-credential create saved --expires 2099-01-01T00:00:00Z', home);
    assert.match(await run('application-credential show saved', home), /2099-01-01/);
    const [first] = asList((await runJson('token-key list', home)).tokenKeys);
    assert.equal(first?.isSigning, true);
    assert.match(await run('token-key rotate', home), /signs from now on/);
    assert.equal(asList((await runJson('token-key list', home)).tokenKeys).length, 2);
    assert.match(await run('token-key rotate --end-tokens', home), /has ended/);
    assert.equal((await fail('token-key list', home)).code, 4);
  });
});
