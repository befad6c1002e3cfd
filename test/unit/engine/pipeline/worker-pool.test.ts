import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { isVbsError } from '../../../../src/core/errors.ts';
import { silentLogger } from '../../../../src/core/ports.ts';
import { WorkerPool } from '../../../../src/engine/pipeline/worker-pool.ts';

const POOL_URL = new URL('../../../../src/engine/pipeline/worker-pool.ts', import.meta.url).href;

test('threads that were never asked for anything do not keep the process alive', async () => {
  const script = `
    const { WorkerPool } = await import(${JSON.stringify(POOL_URL)});
    new WorkerPool({ threadCount: 1, logger: { error() {} } });
  `;
  // Rejects when the process has to be killed.
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], { timeout: 20_000 });
});

test('a request that cannot be sent, one that fails and one after the end are told to who asked', async () => {
  const pool = new WorkerPool({ threadCount: 1, logger: silentLogger });
  const [thread] = pool.threads;
  assert(thread);
  const memory = new ArrayBuffer(8);
  const request = { type: 'release', segmentId: 1 } as const;
  await thread.call(request, [memory]);
  await assert.rejects(thread.call(request, [memory]), { name: 'DataCloneError' });
  const frames = { segmentId: 2, header: Buffer.alloc(64), key: Buffer.alloc(32), compressionLevel: 1, frames: [] };
  await assert.rejects(thread.call({ type: 'seal', ...frames }), /segment 2 was not scanned/);
  await pool.close();
  await assert.rejects(thread.call(request), (error) => isVbsError(error, 'SHUTTING_DOWN'));
});

test('a thread that dies fails what it had in hand with an error that is tried again, and is replaced', async () => {
  const pool = new WorkerPool({ threadCount: 1, logger: silentLogger });
  const [thread] = pool.threads;
  assert(thread);
  const lost = assert.rejects(thread.call({ type: 'release', segmentId: 1 }), isRetryableDeath);
  await thread.terminate();
  await lost;
  await assert.rejects(thread.call({ type: 'release', segmentId: 1 }), isRetryableDeath);
  const [replacement] = pool.threads;
  assert(replacement && replacement !== thread);
  await replacement.call({ type: 'release', segmentId: 1 });
  await pool.close();
});

function isRetryableDeath(error: unknown): boolean {
  return isVbsError(error, 'PIPELINE_THREAD_DIED') && error.spec.isRetryable;
}
