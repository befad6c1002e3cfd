// Starting the service: what it says, what it refuses, and that it ends in order.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { LiveApi } from '../support/live-api.ts';
import { ADMIN_PASSWORD, LiveService } from '../support/live-service.ts';
import { ServeRun } from '../support/serve-run.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

test('the first start says everything that a newcomer needs, and what it says works', async () => {
  await using temporary = await makeTemporaryFolder();
  await using run = ServeRun.begin(['--data', join(temporary.path, 'data'), '--listen', '127.0.0.1:0']);
  const text = await run.waitForText();
  assert.match(text, /API:\s+http:\/\/127\.0\.0\.1:\d+/);
  assert.match(text, /Console:\s+http:/);
  assert.match(text, /User:\s+admin/);
  assert.match(text, /Passphrase:\s+\S+passphrase .*keep a copy/);
  assert.match(text, /first backup[\s\S]*backup create/);
  const password = /Password:\s+(\S+)/.exec(text)?.[1];
  const url = /API:\s+(\S+)/.exec(text)?.[1];
  assert(password !== undefined && url !== undefined, text);
  const api = await LiveApi.logIn(url, password);
  assert.deepEqual(await api.listBackups(), []);
});

test('a later start prints no password, and the first one still holds', async () => {
  await using temporary = await makeTemporaryFolder();
  const args = ['--data', join(temporary.path, 'data'), '--listen', '127.0.0.1:0'];
  await using first = ServeRun.begin(args);
  const password = /Password:\s+(\S+)/.exec(await first.waitForText())?.[1];
  assert(password !== undefined);
  assert.equal(await first.stop(), 0, first.stderr);
  await using second = ServeRun.begin(args);
  const text = await second.waitForText();
  assert.doesNotMatch(text, /Password:|shown only now|made now/);
  assert(!text.includes(password));
  await LiveApi.logIn(/API:\s+(\S+)/.exec(text)?.[1] ?? '', password);
});

test('a second server on the same folder is refused, and the first does not notice', async () => {
  await using temporary = await makeTemporaryFolder();
  await using service = await LiveService.start({ folder: temporary.path });
  await using second = ServeRun.begin(['--data', service.dataFolder, '--listen', '127.0.0.1:0']);
  assert.notEqual(await second.waitForEnd(), 0);
  assert.match(second.stderr, /REPOSITORY_LOCKED/);
  assert.match(second.stderr, /in use by another process/);
  assert.doesNotMatch(second.stderr, /^\s+at /m, 'no stack trace');
  assert.deepEqual(await service.api.listBackups(), []);
  await service.kill();
  await using third = await service.startAgain();
  assert.deepEqual(await third.api.listBackups(), [], 'kill -9 leaves no lock behind');
});

test('a port that is taken is named', async () => {
  await using temporary = await makeTemporaryFolder();
  await using server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert(address !== null && typeof address === 'object');
  const listen = `127.0.0.1:${address.port}`;
  const data = ['--data', join(temporary.path, 'data')];
  for (const args of [
    ['--listen', listen],
    ['--listen', '127.0.0.1:0', '--metrics-listen', listen],
  ]) {
    await using run = ServeRun.begin([...data, ...args]);
    assert.notEqual(await run.waitForEnd(), 0);
    assert(run.stderr.includes(listen), run.stderr);
    assert(run.stderr.includes(args.length === 2 ? 'listen' : 'metricsListen'), run.stderr);
    assert.match(run.stderr, /in use/);
    assert.doesNotMatch(run.stderr, /^\s+at /m, 'no stack trace');
  }
});

test('a wrong passphrase and a wrong setting are refused with what to do', async () => {
  await using temporary = await makeTemporaryFolder();
  const service = await LiveService.start({ folder: temporary.path });
  assert.equal(await service.stop(), 0, service.stderr);
  const args = ['--data', service.dataFolder, '--listen', '127.0.0.1:0'];
  await using wrong = ServeRun.begin(args, { OPENVBS_PASSPHRASE: 'not this one' });
  assert.notEqual(await wrong.waitForEnd(), 0);
  assert.match(wrong.stderr, /PASSPHRASE_WRONG/);
  await using invalid = ServeRun.begin(['--data', service.dataFolder, '--listen', 'nowhere']);
  assert.notEqual(await invalid.waitForEnd(), 0);
  assert.match(invalid.stderr, /CONFIG_INVALID[\s\S]*listen|listen[\s\S]*host:port/);
  await using again = await service.startAgain();
  await LiveApi.logIn(again.url, ADMIN_PASSWORD);
});
