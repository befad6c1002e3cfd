// One process at a time in a data folder, and none left behind by kill -9.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { lockFolder } from '../../../src/db/folder-lock.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

const locked = { code: 'REPOSITORY_LOCKED' };

test('a folder is locked once, made when it is missing, and free again after release', async () => {
  await using folder = await makeTemporaryFolder();
  const path = join(folder.path, 'data');
  const lock = await lockFolder(path);
  await assert.rejects(lockFolder(path), locked);
  lock.release();
  lock.release();
  using again = await lockFolder(path);
  assert.notEqual(again, lock);
});

test('another process is kept out until it is killed', async () => {
  await using folder = await makeTemporaryFolder();
  const module = new URL('../../../src/db/folder-lock.ts', import.meta.url).href;
  const script = `
    const { lockFolder } = await import(${JSON.stringify(module)});
    globalThis.lock = await lockFolder(${JSON.stringify(folder.path)});
    console.log('locked');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  await assert.rejects(lockFolder(folder.path), locked);
  child.kill('SIGKILL');
  await once(child, 'exit');
  using lock = await lockFolder(folder.path);
  assert.ok(lock);
});
