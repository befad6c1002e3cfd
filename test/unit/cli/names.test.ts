import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliError } from '../../../src/cli/cli-error.ts';
import { nameBackup, parseTag } from '../../../src/cli/commands/backup-commands.ts';
import { parseSizeGib } from '../../../src/cli/commands/volume-commands.ts';
import { reportError } from '../../../src/cli/exit-code.ts';
import { ClientError } from '../../../src/client/client-error.ts';
import { VbsError } from '../../../src/core/errors.ts';

const clock = { now: () => Date.UTC(2026, 1, 3, 9, 15, 0, 120) };

test('names made for backups are always allowed', () => {
  assert.equal(nameBackup('web', clock), 'web-20260203-091500');
  assert.equal(nameBackup('my disk (old)', clock), 'my-disk-old--20260203-091500');
  assert.equal(nameBackup('autobahn', clock), 'backup-20260203-091500');
  assert.equal(nameBackup(null, clock), 'backup-20260203-091500');
  for (const name of ['x'.repeat(255), 'Ünïcödé', '///', '-'])
    assert.match(nameBackup(name, clock), /^[A-Za-z0-9_-]{1,64}$/);
});

test('a tag is a key, the first equals sign, and whatever follows', () => {
  assert.deepEqual(parseTag('a=b=c'), { key: 'a', value: 'b=c' });
  assert.deepEqual(parseTag('a='), { key: 'a', value: '' });
  for (const bad of ['a', '=b', '']) assert.throws(() => parseTag(bad), CliError);
});

test('sizes are whole GiB', () => {
  assert.equal(parseSizeGib('20'), 20);
  assert.equal(parseSizeGib(undefined), undefined);
  for (const bad of ['0', '1.5', '20G', '-1', '']) assert.throws(() => parseSizeGib(bad), CliError);
});

test('errors lead to the documented exit codes', () => {
  const answer = (status: number, code = `HTTP_${status}`): number => {
    return reportError(new ClientError('x', { status, code })).exitCode;
  };
  assert.equal(answer(0, 'UNREACHABLE'), 5);
  assert.equal(answer(401), 4);
  assert.equal(answer(401, 'LOGIN_NEEDED'), 4);
  assert.equal(answer(403), 4);
  assert.equal(answer(404), 3);
  assert.equal(answer(400), 1);
  assert.equal(answer(413), 1);
  assert.equal(answer(500), 1);
  assert.equal(reportError(new VbsError('CONFIG_INVALID', { setting: 'x', reason: 'y' })).exitCode, 2);
  assert.equal(reportError(new VbsError('PASSPHRASE_WRONG')).exitCode, 1);
  assert.equal(reportError(new DOMException('x', 'AbortError')).exitCode, 130);
  assert.equal(reportError(new Error('x')).exitCode, 1);
});
