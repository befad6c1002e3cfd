import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { isVbsError, VbsError } from '../../../src/core/errors.ts';
import { type BackupId, newUuid } from '../../../src/core/ids.ts';
import { CHUNK_SIZE_BYTES, RESTORE_WRITE_BACK_BYTES } from '../../../src/core/limits.ts';
import { recordName } from '../../../src/core/object-names.ts';
import { openBackup } from '../../../src/engine/backup-reader.ts';
import { sealObject, unsealObject } from '../../../src/engine/crypto/sealed-object.ts';
import { EngineBench, fileTarget } from '../../support/engine-bench.ts';
import { fixedBytes } from '../../support/fixed-bytes.ts';
import { SparseDisk } from '../../support/sparse-disk.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 3 * MIB + 100;

async function startWithBackup() {
  const bench = await EngineBench.start();
  const path = await bench.makeDisk('disk', SIZE_BYTES, [{ offsetBytes: MIB, bytes: fixedBytes(1, MIB) }]);
  const { commit } = await bench.backUp(path);
  return { bench, expected: await readFile(path), backupId: commit.backupId };
}

test('a restore to a larger disk leaves what lies beyond, or zeroes it when told to', async () => {
  const { bench, expected, backupId } = await startWithBackup();
  await using _ = bench;
  const beyond = Buffer.alloc(100_000, 0xee);
  for (const zeroBeyond of [false, true]) {
    const dirt = [{ offsetBytes: 0, bytes: Buffer.alloc(SIZE_BYTES + beyond.length, 0xee) }];
    await bench.makeDisk('larger', SIZE_BYTES + beyond.length, dirt);
    const restored = await readFile(await bench.restore(backupId, 'larger', { zeroBeyond }));
    assert(restored.subarray(0, SIZE_BYTES).equals(expected));
    assert(restored.subarray(SIZE_BYTES).equals(zeroBeyond ? Buffer.alloc(beyond.length) : beyond));
  }
});

test('what a last, short chunk is padded with is zeros, never another chunk that was read before it', async () => {
  await using bench = await EngineBench.start();
  // One chunk in each segment, so that the threads use their memory again and again.
  const pieces = Array.from({ length: 33 }, (_piece, i) => ({
    offsetBytes: i * 4 * MIB,
    bytes: fixedBytes(i, 65_536),
  }));
  const short = pieces.map((piece, i) => (i < 32 ? piece : { ...piece, bytes: piece.bytes.subarray(0, 100) }));
  const sizeBytes = 32 * 4 * MIB + 100;
  const disk = await SparseDisk.make(bench, 'disk', sizeBytes, short);
  const { commit } = await disk.backUp();
  const path = await bench.restore(commit.backupId, 'larger', {
    readsZero: true,
    zeroBeyond: true,
    sizeBytes: sizeBytes + MIB,
  });
  const grown = await SparseDisk.make(bench, 'grown', sizeBytes + MIB, short);
  await grown.assertEquals(path);
});

test('a restore to a smaller disk is refused before anything is written', async () => {
  const { bench, backupId } = await startWithBackup();
  await using _ = bench;
  await bench.makeDisk('smaller', SIZE_BYTES - 1, [{ offsetBytes: 0, bytes: Buffer.alloc(SIZE_BYTES - 1, 0xee) }]);
  await assert.rejects(bench.restore(backupId, 'smaller'), { code: 'RESTORE_VOLUME_TOO_SMALL' });
  assert((await readFile(bench.path('smaller'))).every((byte) => byte === 0xee));
});

test('a backup that is unknown or deleted is not found', async () => {
  const { bench, backupId } = await startWithBackup();
  await using _ = bench;
  const unknown = newUuid<BackupId>();
  await bench.ledger.deleteBackup(backupId);
  for (const id of [unknown, backupId]) {
    await assert.rejects(bench.restore(id, 'none', { readsZero: true, sizeBytes: SIZE_BYTES }), {
      code: 'BACKUP_NOT_FOUND',
    });
    await assert.rejects(openBackup(bench.repository, { claim: bench.newClaim(), backupId: id }), {
      code: 'BACKUP_NOT_FOUND',
    });
  }
});

test('a disk that is gone fails the restore with its own code, and the threads go on', async () => {
  const { bench, backupId, expected } = await startWithBackup();
  await using _ = bench;
  await assert.rejects(bench.restore(backupId, 'no/folder', { readsZero: true, sizeBytes: SIZE_BYTES }));
  for (const { loadCount } of bench.workers.threads) assert.equal(loadCount, 0);
  const path = await bench.restore(backupId, 'restored', { readsZero: true, sizeBytes: SIZE_BYTES });
  assert((await readFile(path)).equals(expected));
});

test('a record that is authentic but not the one that was committed is refused', async () => {
  const { bench, backupId } = await startWithBackup();
  await using _ = bench;
  const { ledger, store, repository, projectId } = bench;
  const { attemptId } = ledger.backups.get(backupId) ?? assert.fail();
  const project = await repository.openProject(projectId);
  const name = recordName(projectId, backupId, attemptId);
  const { repositoryId, keys } = project;
  const place = { repositoryId, projectId, kind: 'record', logicalId: backupId, objectId: attemptId } as const;
  // The same contents sealed once more: a store may put back whatever it has ever been given under this name.
  const contents = unsealObject(keys, place, await store.get(name, MIB), name);
  await store.replace(name, sealObject(keys, place, contents));
  await assert.rejects(bench.restore(backupId, 'none', { readsZero: true, sizeBytes: SIZE_BYTES }), (error) => {
    assert(isVbsError(error, 'DATA_CORRUPT'), `${error}`);
    assert.equal(error.details.object, name);
    return true;
  });
});

test('the medium takes the data while it is written, and an error that it tells only then is not lost', async () => {
  await using bench = await EngineBench.start();
  const sizeBytes = 2 * RESTORE_WRITE_BACK_BYTES;
  const data = Buffer.alloc(sizeBytes);
  for (let offset = 0; offset < sizeBytes; offset += CHUNK_SIZE_BYTES) data.writeUInt32LE(offset + 1, offset);
  const path = await bench.makeDisk('disk', sizeBytes, [{ offsetBytes: 0, bytes: data }]);
  const { commit } = await bench.backUp(path);
  const plain = await fileTarget(bench.path('restored'), sizeBytes, true);
  let count = 0;
  const writeBack = async (): Promise<void> => {
    count += 1;
  };
  await bench.restore(commit.backupId, 'restored', { target: { ...plain, writeBack } });
  assert(count >= 1 && count <= 2, `${count} times`);
  const failing = async (): Promise<void> => {
    throw new VbsError('VOLUME_IO', { source: 'restored', reason: 'EIO' });
  };
  const failed = bench.restore(commit.backupId, 'restored', { target: { ...plain, writeBack: failing } });
  await assert.rejects(failed, { code: 'VOLUME_IO' });
});

test('a restore does not end before the medium has taken what it was asked for last', async () => {
  await using bench = await EngineBench.start();
  const sizeBytes = RESTORE_WRITE_BACK_BYTES;
  const data = Buffer.alloc(sizeBytes);
  for (let offset = 0; offset < sizeBytes; offset += CHUNK_SIZE_BYTES) data.writeUInt32LE(offset + 1, offset);
  const { commit } = await bench.backUp(await bench.makeDisk('disk', sizeBytes, [{ offsetBytes: 0, bytes: data }]));
  const plain = await fileTarget(bench.path('restored'), sizeBytes, true);
  let count = 0;
  // Begun by the very last write, and only then does the medium tell of its error, this once.
  const writeBack = async (): Promise<void> => {
    count += 1;
    await setTimeout(100);
    throw new VbsError('VOLUME_IO', { source: 'restored', reason: 'EIO' });
  };
  const failed = bench.restore(commit.backupId, 'restored', { target: { ...plain, writeBack } });
  await assert.rejects(failed, { code: 'VOLUME_IO' });
  assert.equal(count, 1);
});
