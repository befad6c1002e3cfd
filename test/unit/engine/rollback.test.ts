import assert from 'node:assert/strict';
import { open, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { MIB } from '../../../src/core/bytes.ts';
import { isVbsError } from '../../../src/core/errors.ts';
import { CHUNK_SIZE_BYTES } from '../../../src/core/limits.ts';
import { packObjectName } from '../../../src/core/object-names.ts';
import { MemoryStore } from '../../../src/storage/memory-store.ts';
import type { VolumeTarget } from '../../../src/volumes/volume.ts';
import { EngineBench, fileTarget } from '../../support/engine-bench.ts';
import { FaultyStore } from '../../support/faulty-store.ts';
import { fixedBytes } from '../../support/fixed-bytes.ts';

const SIZE_BYTES = 70 * MIB + 12_345;
const PIECES = [
  { offsetBytes: 3 * MIB, bytes: fixedBytes(1, 5 * MIB) },
  { offsetBytes: 66 * MIB, bytes: fixedBytes(2, 2 * MIB) },
  { offsetBytes: SIZE_BYTES - 100, bytes: fixedBytes(3, 100) },
];

async function start(store = new MemoryStore()) {
  const bench = await EngineBench.start(store);
  const wanted = await bench.makeDisk('wanted', SIZE_BYTES, PIECES);
  const { commit } = await bench.backUp(wanted);
  return { bench, store, commit, wanted: await readFile(wanted) };
}

test('over a disk that holds the backup nothing is written', async () => {
  const { bench, commit, wanted } = await start();
  await using _ = bench;
  await bench.makeDisk('disk', SIZE_BYTES, PIECES);
  const report = await bench.restoreWithReport(commit.backupId, 'disk');
  assert.deepEqual(report, { mode: 'compare', writtenBytes: 0, isVerified: false });
  assert((await readFile(bench.path('disk'))).equals(wanted));
});

test('only chunks that differ are written, zeros too', async () => {
  const { bench, commit, wanted } = await start();
  await using _ = bench;
  const dirt = [
    { offsetBytes: 4 * MIB + 5, bytes: Buffer.from('another') },
    { offsetBytes: 40 * MIB, bytes: Buffer.from('where zeros belong') },
    { offsetBytes: SIZE_BYTES - 1, bytes: Buffer.from('!') },
  ];
  await bench.makeDisk('disk', SIZE_BYTES, [...PIECES, ...dirt]);
  const { writtenBytes } = await bench.restoreWithReport(commit.backupId, 'disk');
  assert.equal(writtenBytes, CHUNK_SIZE_BYTES + (SIZE_BYTES % CHUNK_SIZE_BYTES));
  assert((await readFile(bench.path('disk'))).equals(wanted));
});

test('what lies beyond the end of a smaller backup stays', async () => {
  const { bench, commit, wanted } = await start();
  await using _ = bench;
  const beyond = { offsetBytes: SIZE_BYTES, bytes: fixedBytes(9, MIB) };
  await bench.makeDisk('disk', SIZE_BYTES + MIB, [beyond]);
  await bench.restore(commit.backupId, 'disk');
  const bytes = await readFile(bench.path('disk'));
  assert(bytes.subarray(0, SIZE_BYTES).equals(wanted));
  assert(bytes.subarray(SIZE_BYTES).equals(beyond.bytes));
});

test('a restore that is cancelled leaves each chunk old or new, and is completed by writing the rest', async () => {
  const { bench, commit, wanted } = await start();
  await using _ = bench;
  const old = [{ offsetBytes: 0, bytes: Buffer.alloc(SIZE_BYTES, 0xee) }];
  await bench.makeDisk('disk', SIZE_BYTES, old);
  const abort = new AbortController();
  const report = ({ doneBytes }: { doneBytes: number }): void => {
    if (doneBytes >= 3 * MIB) abort.abort(new Error('cancelled'));
  };
  await assert.rejects(bench.restore(commit.backupId, 'disk', { signal: abort.signal, report }), /cancelled/);
  const between = await readFile(bench.path('disk'));
  let newCount = 0;
  for (let at = 0; at < SIZE_BYTES; at += CHUNK_SIZE_BYTES) {
    const chunk = between.subarray(at, at + CHUNK_SIZE_BYTES);
    if (chunk.equals(wanted.subarray(at, at + CHUNK_SIZE_BYTES))) newCount += 1;
    else
      assert(
        chunk.every((byte) => byte === 0xee),
        `the chunk at ${at} is torn`,
      );
  }
  assert(newCount >= 48, `${newCount} chunks were restored`);
  const { writtenBytes } = await bench.restoreWithReport(commit.backupId, 'disk');
  assert(writtenBytes <= 7 * MIB + 12_345 - 3 * MIB, `${writtenBytes} bytes were written again`);
  assert((await readFile(bench.path('disk'))).equals(wanted));
});

test('what the disk holds already is not read from a damaged pack', async () => {
  const { bench, store, commit, wanted } = await start();
  await using _ = bench;
  await bench.makeDisk('disk', SIZE_BYTES, PIECES);
  const pack = [...bench.ledger.packs.values()].find(({ kind }) => kind === 'data') ?? assert.fail();
  store.tamper(packObjectName(bench.projectId, pack), (bytes) => bytes.fill(0xff, 1000, 2000));
  await bench.restore(commit.backupId, 'disk');
  assert((await readFile(bench.path('disk'))).equals(wanted));
});

test('verify reads everything back, holes and zeros included', async () => {
  const { bench, commit } = await start();
  await using _ = bench;
  await bench.makeDisk('disk', SIZE_BYTES, [{ offsetBytes: 10 * MIB, bytes: Buffer.alloc(MIB, 0xee) }]);
  let droppedCount = 0;
  const dropCache = async (): Promise<void> => {
    droppedCount += 1;
  };
  const target = { ...(await fileTarget(bench.path('disk'), SIZE_BYTES, false)), dropCache };
  let doneBytes = 0;
  const report = (progress: { doneBytes: number; totalBytes: number }): void => {
    doneBytes = progress.doneBytes;
    assert.equal(progress.totalBytes, 2 * SIZE_BYTES);
  };
  const { isVerified } = await bench.restoreWithReport(commit.backupId, 'disk', { target, verify: true, report });
  assert.equal(isVerified, true);
  assert.equal(droppedCount, 1);
  assert(doneBytes > SIZE_BYTES, 'the reading back is in the progress');
});

for (const [what, offsetBytes] of [
  ['data', 4 * MIB + 77],
  ['zeros', 50 * MIB],
  ['the short last chunk', SIZE_BYTES - 1],
] as const) {
  test(`verify finds ${what} that the disk does not give back`, async () => {
    const { bench, commit } = await start();
    await using _ = bench;
    await bench.makeDisk('disk', SIZE_BYTES, []);
    // What a disk loses shows only when its cache is gone.
    const target = await targetOf(bench, async () => {
      await using file = await open(bench.path('disk'), 'r+');
      await file.write(Buffer.from([0x55]), 0, 1, offsetBytes);
    });
    const restored = bench.restore(commit.backupId, 'disk', { target, verify: true });
    await assert.rejects(restored, (error) => {
      assert(isVbsError(error, 'RESTORE_VERIFY_FAILED'), `${error}`);
      assert.equal(error.details.offsetBytes, offsetBytes - (offsetBytes % CHUNK_SIZE_BYTES));
      assert.equal(error.details.volumeId, bench.volumeId);
      return true;
    });
  });
}

test('a target that is too small is named by the id of its volume', async () => {
  const { bench, commit } = await start();
  await using _ = bench;
  await bench.makeDisk('small', MIB, []);
  await assert.rejects(bench.restore(commit.backupId, 'small'), (error) => {
    assert(isVbsError(error, 'RESTORE_VOLUME_TOO_SMALL'), `${error}`);
    assert.equal(error.details.volumeId, bench.volumeId);
    return true;
  });
});

/** The file `disk`; `lose` runs between writing and reading back. */
async function targetOf(bench: EngineBench, lose: () => Promise<void>): Promise<VolumeTarget> {
  const target = await fileTarget(bench.path('disk'), SIZE_BYTES, false);
  return { ...target, sync: lose };
}

test('a restore from a store that hangs ends when it is cancelled', async () => {
  const { bench, store, commit } = await start();
  await using _ = bench;
  const abort = new AbortController();
  const hanging = new FaultyStore(store, [
    { operation: 'readRange', name: (name) => name.includes('/packs/'), effect: 'delay', delayMs: 4000 },
  ]);
  const repository = await bench.reopen(hanging);
  setTimeout(() => abort.abort(new Error('cancelled')), 200);
  const startedAt = performance.now();
  const options = { repository, readsZero: true, sizeBytes: SIZE_BYTES, signal: abort.signal };
  await assert.rejects(bench.restore(commit.backupId, 'disk', options), /cancelled/);
  assert(performance.now() - startedAt < 3000, 'it did not wait for the store');
});
