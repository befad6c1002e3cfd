import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, isVbsError } from '../../src/core/errors.ts';
import type { Progress } from '../../src/core/model.ts';
import { sweepTrash } from '../../src/engine/sweep.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { EngineBench, fileSource } from '../support/engine-bench.ts';
import { FaultyStore, type StoreOperation } from '../support/faulty-store.ts';
import { fixedBytes } from '../support/fixed-bytes.ts';
import { SparseDisk } from '../support/sparse-disk.ts';
import { listNames } from '../support/stored-objects.ts';

const MIB = 1024 * 1024;
/** More than one page, so that pages are stored as objects too. */
const SIZE_BYTES = 130 * MIB + 777;
const WRITING: readonly StoreOperation[] = ['create', 'write', 'commit', 'put'];

async function startWithBackup() {
  const store = new FaultyStore(new MemoryStore());
  const bench = await EngineBench.start(store);
  const pieces = [
    { offsetBytes: MIB, bytes: fixedBytes(1, MIB) },
    { offsetBytes: 100 * MIB, bytes: fixedBytes(2, 300_000) },
  ];
  const before = await SparseDisk.make(bench, 'before', SIZE_BYTES, pieces);
  const { commit } = await before.backUp();
  const changes = [
    { offsetBytes: 2 * MIB, bytes: fixedBytes(3, MIB) },
    { offsetBytes: SIZE_BYTES - 5000, bytes: fixedBytes(4, 5000) },
  ];
  const after = await SparseDisk.make(bench, 'after', SIZE_BYTES, [...pieces, ...changes]);
  return { bench, store, before, after, backupId: commit.backupId };
}

function assertIdle(bench: EngineBench): void {
  assert.deepEqual(
    bench.workers.threads.map((thread) => thread.loadCount),
    bench.workers.threads.map(() => 0),
  );
}

test('a store that fails at any write of a backup fails it, leaks nothing, and costs no earlier backup', async () => {
  const { bench, store, before, after, backupId } = await startWithBackup();
  await using _ = bench;
  const faults: ['ENOSPC' | 'EIO' | 'lost-reply', ErrorCode][] = [
    ['ENOSPC', 'STORAGE_FULL'],
    ['EIO', 'STORAGE_IO'],
    ['lost-reply', 'STORAGE_IO'],
  ];
  let failCount = 0;
  for (const [effect, code] of faults) {
    for (let nth = 1; ; nth += 1) {
      const namesBefore = await listNames(store);
      store.setRules([{ operation: WRITING, nth, effect }]);
      store.calls.length = 0;
      const claim = bench.newClaim();
      const outcome = await after.write({ claim }).catch((error: unknown) => error);
      store.setRules([]);
      await bench.ledger.failBackup(claim);
      if (!(outcome instanceof Error)) break;
      assert(isVbsError(outcome, code), `${effect} at write ${nth}: ${outcome}`);
      failCount += 1;
      assertIdle(bench);
      assertWritersEnded(store);
      await sweepTrash(bench.repository, bench.projectId);
      assert.deepEqual(await listNames(store), namesBefore, `${effect} at write ${nth} left something`);
    }
    await sweepTrash(bench.repository, bench.projectId);
  }
  // A data pack and a page pack: creation, header, two frames, trailer and commit each; and the record.
  assert.equal(failCount, faults.length * 13);
  await before.assertRestores(backupId);
  const { commit } = await after.backUp();
  await after.assertRestores(commit.backupId);
});

/** Every object begun was committed or dropped: what is neither holds a file descriptor and a temporary file. */
function assertWritersEnded(store: FaultyStore): void {
  const named = (operation: StoreOperation) =>
    new Set(store.calls.filter((call) => call.operation === operation).map((call) => call.name));
  const ended = new Set([...named('commit'), ...named('abort')]);
  const begun = [...named('write')];
  assert.deepEqual(
    begun.filter((name) => !ended.has(name)),
    [],
  );
}

test('a store that cannot even drop what was begun does not hide why the backup failed', async () => {
  const { bench, store, after } = await startWithBackup();
  await using _ = bench;
  store.setRules([
    { operation: 'write', nth: 2, effect: 'ENOSPC' },
    { operation: 'abort', effect: 'EIO' },
  ]);
  await assert.rejects(after.write(), { code: 'STORAGE_FULL' });
  store.setRules([
    { operation: 'write', nth: 1, effect: 'ENOSPC' },
    { operation: 'abort', effect: 'EIO' },
  ]);
  await assert.rejects(after.write(), { code: 'STORAGE_FULL' });
});

test('a catalog that fails at any call fails the backup with its own error and leaks nothing', async () => {
  const { bench, after } = await startWithBackup();
  await using _ = bench;
  const { ledger } = bench;
  for (const name of ['beginBackup', 'reservePacks', 'listOwnPacks', 'findPacksByHooks', 'locatePacks'] as const) {
    const claim = bench.newClaim();
    Object.defineProperty(ledger, name, { value: () => Promise.reject(new Error(name)), configurable: true });
    await assert.rejects(after.write({ claim, repository: await bench.reopen() }), new Error(name));
    Reflect.deleteProperty(ledger, name);
    await ledger.failBackup(claim);
    assertIdle(bench);
  }
  const { commit } = await after.backUp();
  await after.assertRestores(commit.backupId);
});

test('a disk that ends early fails the backup, and the threads go on', async () => {
  const { bench, after } = await startWithBackup();
  await using _ = bench;
  const short = await bench.makeDisk('short', SIZE_BYTES, [{ offsetBytes: 0, bytes: fixedBytes(9, 3 * MIB) }]);
  const source = await fileSource(short);
  const sizeBytes = SIZE_BYTES + 5 * MIB;
  const tooLong = { ...source, sizeBytes, descriptor: { ...source.descriptor, sizeBytes } };
  await assert.rejects(bench.write(short, { source: tooLong }), { code: 'VOLUME_SIZE_MISMATCH' });
  const missing = { ...source, descriptor: { ...source.descriptor, path: bench.path('missing') } };
  await assert.rejects(bench.write(short, { source: missing }), { code: 'VOLUME_UNAVAILABLE' });
  assertIdle(bench);
  const { commit } = await after.backUp();
  await after.assertRestores(commit.backupId);
});

test('a backup that is given up in the middle ends at once and leaves the threads to others', async () => {
  const { bench, after } = await startWithBackup();
  await using _ = bench;
  const manySegments = Array.from({ length: 32 }, (_piece, i) => ({
    offsetBytes: i * 4 * MIB,
    bytes: fixedBytes(i, 70_000),
  }));
  const disk = await SparseDisk.make(bench, 'many', SIZE_BYTES, manySegments);
  for (const reportCount of [0, 1, 5, 10]) {
    const controller = new AbortController();
    const giveUp = () => controller.abort(new Error('given up'));
    if (reportCount === 0) giveUp();
    let readBytes = 0;
    let rest = reportCount;
    const report = ({ doneBytes }: Progress) => {
      readBytes = doneBytes;
      rest -= 1;
      if (rest === 0) giveUp();
    };
    const claim = bench.newClaim();
    await assert.rejects(disk.write({ claim, report, signal: controller.signal }), new Error('given up'));
    assert(readBytes < 24 * 131_072, `${readBytes} bytes were read`);
    await bench.ledger.failBackup(claim);
    assertIdle(bench);
  }
  const { commit } = await after.backUp();
  await after.assertRestores(commit.backupId);
});

test('a restore that is given up ends, and the next one over the same disk completes it', async () => {
  const { bench, before, backupId } = await startWithBackup();
  await using _ = bench;
  const signal = AbortSignal.abort(new Error('given up'));
  await assert.rejects(before.assertRestores(backupId, { signal }), new Error('given up'));
  assertIdle(bench);
  await before.assertRestores(backupId);
});
