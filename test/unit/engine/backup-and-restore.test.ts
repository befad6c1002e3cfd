import assert from 'node:assert/strict';
import { createCipheriv, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { type BackupId, newUuid } from '../../../src/core/ids.ts';
import { CHUNK_SIZE_BYTES, RECORD_SIZE_MAX_BYTES } from '../../../src/core/limits.ts';
import { writeBackup } from '../../../src/engine/backup-writer.ts';
import { EngineBench, fileSource } from '../../support/engine-bench.ts';
import { listNames } from '../../support/stored-objects.ts';

const MIB = 1024 * 1024;

test('a full backup and an increment restore byte for byte, and the increment stores only what changed', async () => {
  await using bench = await EngineBench.start();
  const sizeBytes = 70 * MIB + 12_345;
  const path = await bench.makeDisk('disk', sizeBytes, [
    { offsetBytes: 3 * MIB, bytes: randomBytes(5 * MIB) },
    { offsetBytes: 66 * MIB, bytes: Buffer.alloc(2 * MIB, 'text that compresses well, ') },
    { offsetBytes: sizeBytes - 100, bytes: randomBytes(100) },
  ]);
  const before = await readFile(path);
  const full = await bench.backUp(path);
  assert.equal(full.commit.isIncremental, false);
  await bench.makeDisk('disk2', sizeBytes, [
    { offsetBytes: 0, bytes: before },
    { offsetBytes: 4 * MIB, bytes: randomBytes(100) },
  ]);
  const after = await readFile(bench.path('disk2'));
  const increment = await bench.backUp(bench.path('disk2'));
  assert.equal(increment.commit.isIncremental, true);
  assert(increment.commit.storedBytes < 2 * CHUNK_SIZE_BYTES, `stored ${increment.commit.storedBytes}`);
  const fresh = await bench.restore(increment.commit.backupId, 'restored', { readsZero: true, sizeBytes });
  assert(after.equals(await readFile(fresh)), 'the increment differs');
  await bench.makeDisk('dirty', sizeBytes, [{ offsetBytes: 0, bytes: Buffer.alloc(sizeBytes, 0xee) }]);
  const over = await bench.restore(full.commit.backupId, 'dirty');
  assert(before.equals(await readFile(over)), 'the full backup differs over a dirty disk');
});

test('a volume of zeros stores nothing but a record', async () => {
  await using bench = await EngineBench.start();
  const path = await bench.makeDisk('disk', 200 * MIB, []);
  const { commit } = await bench.backUp(path);
  assert.deepEqual(commit.packs, []);
  assert(commit.storedBytes < 8192);
});

test('duplicates inside a volume and of an earlier backup of another volume are stored once', async () => {
  await using bench = await EngineBench.start();
  // Fixed bytes: how much the sparse index finds depends on which digests happen to be hooks.
  const data = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16)).update(Buffer.alloc(16 * MIB));
  const path = await bench.makeDisk('disk', 40 * MIB, [
    { offsetBytes: 0, bytes: data },
    { offsetBytes: 20 * MIB, bytes: data },
  ]);
  const first = await bench.backUp(path);
  assert(first.commit.storedBytes < 16.2 * MIB, `stored ${first.commit.storedBytes}`);
  const moved = await bench.makeDisk('moved', 40 * MIB, [{ offsetBytes: 8 * MIB, bytes: data }]);
  const second = await bench.backUp(moved, { isIncremental: false });
  assert(second.commit.storedBytes < 5 * MIB, `stored ${second.commit.storedBytes}`);
  assert.equal(second.commit.isIncremental, false);
  const restored = await bench.restore(second.commit.backupId, 'out', { readsZero: true, sizeBytes: 40 * MIB });
  assert((await readFile(moved)).equals(await readFile(restored)));
});

test('an attempt that was cut short is taken up by the next one', async () => {
  await using bench = await EngineBench.start();
  const path = await bench.makeDisk('disk', 160 * MIB, [{ offsetBytes: 0, bytes: randomBytes(160 * MIB) }]);
  const claim = bench.newClaim();
  const cut = await bench.write(path, { claim });
  const again = await bench.write(path, { claim, backupId: cut.commit.backupId });
  const reused = again.commit.packs.filter((pack) => cut.commit.packs.some((other) => other.packId === pack.packId));
  assert(reused.length >= 2, `${reused.length} packs of the first attempt are used`);
  await bench.commit({ ...again, claim });
  const restored = await bench.restore(again.commit.backupId, 'out', { readsZero: true, sizeBytes: 160 * MIB });
  assert((await readFile(path)).equals(await readFile(restored)));
});

test('a backup fails, and writes no record, when more is said of its volume than a record can hold', async () => {
  await using bench = await EngineBench.start();
  const path = await bench.makeDisk('disk', MIB, []);
  const volumeMetadata = { note: 'x'.repeat(RECORD_SIZE_MAX_BYTES) };
  const nothing = { name: null, description: null, tags: [], volumeName: null, driver: 'file', createdAt: 0 };
  const written = writeBackup(bench.repository, {
    claim: bench.newClaim(),
    backupId: newUuid<BackupId>(),
    volumeId: bench.volumeId,
    isIncremental: false,
    source: await fileSource(path),
    describe: { ...nothing, volumeMetadata },
    report: () => undefined,
    signal: new AbortController().signal,
  });
  await assert.rejects(written, /could not be read again/);
  assert(!(await listNames(bench.store)).some((name) => name.includes('/backups/')));
});
