// Passphrases of a data folder as its owner handles them: on the command line, while the service is stopped.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type CliOptions, runInProcess, ServeProcess } from '../support/cli-process.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

async function succeed(line: string, options: CliOptions): Promise<string> {
  const { code, stdout, stderr } = await runInProcess(line, options);
  assert.equal(code, 0, `${line}\n${stdout}${stderr}`);
  return stdout;
}

async function serve(folder: string): Promise<ServeProcess> {
  return await ServeProcess.start('--listen 127.0.0.1:0 --volume-roots disks --admin-password secret', { cwd: folder });
}

function asAdmin(folder: string, { url }: ServeProcess): CliOptions {
  return { cwd: folder, env: { OPENVBS_URL: url, OPENVBS_PASSWORD: 'secret' } };
}

test('keys are listed, changed, added and rotated between two runs; a shredded project is gone', async () => {
  await using temporary = await makeTemporaryFolder();
  const folder = temporary.path;
  const offline = { cwd: folder };
  await mkdir(join(folder, 'disks'));
  await writeFile(join(folder, 'disks', 'a.img'), randomBytes(300_000));
  {
    await using server = await serve(folder);
    const options = asAdmin(folder, server);
    await succeed('volume add disks/a.img --name a', options);
    await succeed('backup create a --name first', options);
    const busy = await runInProcess('repository key list', offline);
    assert.equal(busy.code, 1);
    assert.match(busy.stderr, /in use by another process/);
  }
  const before = await readFile(join(folder, 'data', 'passphrase'), 'utf8');
  const { keys } = JSON.parse(await succeed('repository key list --json', offline));
  assert.equal(keys.length, 1);
  const last = await runInProcess(`repository key remove ${keys[0].keyId}`, offline);
  assert.equal(last.code, 1);
  assert.match(last.stderr, /only one/);
  await writeFile(join(folder, 'new'), 'correct horse\n');
  await succeed('repository key change --new-passphrase-file new', offline);
  assert.notEqual(await readFile(join(folder, 'data', 'passphrase'), 'utf8'), before);
  await succeed('repository key rotate', offline);
  await writeFile(join(folder, 'escrow'), 'battery staple\n');
  await succeed('repository key add --new-passphrase-file escrow', offline);
  await succeed('repository key list --passphrase-file escrow', offline);
  {
    await using server = await serve(folder);
    await succeed('restore first --file restored.img', asAdmin(folder, server));
  }
  assert.deepEqual(await readFile(join(folder, 'restored.img')), await readFile(join(folder, 'disks', 'a.img')));
  const unasked = await runInProcess('repository shred admin', offline);
  assert.equal(unasked.code, 2);
  const shredded = JSON.parse(await succeed('repository shred admin --yes --json', offline));
  assert.equal(shredded.backupCount, 1);
  assert.ok(shredded.keyCount >= 2, 'the one before the rotation and the one after');
  {
    await using server = await serve(folder);
    const options = asAdmin(folder, server);
    assert.deepEqual(JSON.parse(await succeed('backup list --json', options)).backups, []);
    await succeed('backup create a --name second', options);
    await succeed('restore second --file again.img', options);
  }
  assert.deepEqual(await readFile(join(folder, 'again.img')), await readFile(join(folder, 'disks', 'a.img')));
});
