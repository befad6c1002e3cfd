import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { MIB } from '../../../src/core/bytes.ts';
import { loadSystemCalls, systemCallsFailure } from '../../../src/volumes/system-calls.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

const skip = systemCallsFailure() ?? false;

describe('system calls', { skip }, () => {
  const calls = loadSystemCalls();

  test('holes and data are told apart, beyond 4 GiB too', async () => {
    await using folder = await makeTemporaryFolder();
    const fd = openSync(join(folder.path, 'disk'), 'w+');
    const far = 5 * 1024 * 1024 * MIB;
    ftruncateSync(fd, far + MIB);
    assert.equal(calls.seekData(fd, 0), undefined);
    assert.equal(calls.seekHole(fd, 0), 0);
    writeSync(fd, Buffer.alloc(MIB, 1), 0, MIB, far);
    assert.equal(calls.seekData(fd, 0), far);
    assert.equal(calls.seekHole(fd, far), far + MIB);
    assert.equal(calls.seekData(fd, far + MIB), undefined);
    closeSync(fd);
  });

  test('a hole is punched without changing the size', async () => {
    await using folder = await makeTemporaryFolder();
    const path = join(folder.path, 'disk');
    const fd = openSync(path, 'w+');
    writeSync(fd, Buffer.alloc(MIB, 1));
    assert.equal(calls.punchHole(fd, 0, MIB), true);
    assert.equal(calls.seekData(fd, 0), undefined);
    assert.equal(statSync(path).size, MIB);
    closeSync(fd);
  });

  test('locks belong to the open file and end with it', async () => {
    await using folder = await makeTemporaryFolder();
    const path = join(folder.path, 'disk');
    const first = openSync(path, 'w+');
    const second = openSync(path, 'r+');
    assert.equal(calls.lockByte(first, 201), 'done');
    assert.equal(calls.lockByte(second, 201), 'done', 'the lock is shared');
    assert.equal(calls.testByte(second, 201), 'conflict');
    assert.equal(calls.testByte(second, 200), 'done');
    closeSync(first);
    assert.equal(calls.testByte(second, 201), 'done', 'own locks are no conflict');
    closeSync(second);
  });

  test('errors carry the code of the system', async () => {
    assert.throws(() => calls.seekData(9999, 0), { code: 'EBADF', syscall: 'lseek' });
    assert.throws(() => calls.punchHole(9999, 0, 1), { code: 'EBADF' });
    await assert.rejects(calls.cloneFile(9999, 9999), { code: 'EBADF' });
    assert.throws(() => calls.lockByte(9999, 1), { code: 'EBADF' });
  });

  test('they load in a worker thread', async () => {
    const url = new URL('../../../src/volumes/system-calls.ts', import.meta.url).href;
    const code = `
      const { parentPort } = require('node:worker_threads');
      import(${JSON.stringify(url)}).then((module) => parentPort.postMessage(module.loadSystemCalls().isNative));
    `;
    const load = async () => {
      const worker = new Worker(code, { eval: true });
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      worker.once('message', resolve).once('error', reject);
      assert.equal(await promise, true);
      await worker.terminate();
    };
    await Promise.all([load(), load(), load()]);
  });
});
