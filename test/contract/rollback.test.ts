// Restores over a disk that holds a state near the wanted one, on a file system with reflinks.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { MIB } from '../../src/core/bytes.ts';
import { CHUNK_SIZE_BYTES } from '../../src/core/limits.ts';
import { loadSystemCalls, type SystemCalls } from '../../src/volumes/system-calls.ts';
import { copyImage } from '../support/disk-files.ts';
import { makeReflinkFolder } from '../support/reflink-folder.ts';
import { assertSameData } from '../support/sparse-disk.ts';
import { openDriver, TrackedDisk } from '../support/tracked-disk.ts';

const reflinks = await makeReflinkFolder();
if ('remove' in reflinks) after(() => reflinks.remove());
const native = loadSystemCalls();
const SIZE_BYTES = 200 * MIB;
let diskCount = 0;

async function makeDisk(systemCalls?: SystemCalls): Promise<TrackedDisk> {
  assert('path' in reflinks);
  diskCount += 1;
  const folder = join(reflinks.path, `disk-${diskCount}`);
  const disk = await TrackedDisk.make({ folder, sizeBytes: SIZE_BYTES, ...(systemCalls ? { systemCalls } : {}) });
  await disk.write(0, randomBytes(2 * MIB));
  await disk.write(100 * MIB, randomBytes(3 * MIB));
  return disk;
}

/** The disk as it is now, to compare with later. */
async function keepCopy(disk: TrackedDisk, name: string): Promise<string> {
  const path = disk.bench.path(name);
  await copyImage(disk.path, path);
  return path;
}

describe('rollback', { skip: 'skip' in reflinks ? reflinks.skip : false }, () => {
  test('what changed since the last backup is rewritten, and nothing else is looked at', async () => {
    await using disk = await makeDisk();
    const { backupId } = await disk.backUp();
    const wanted = await keepCopy(disk, 'wanted');
    await disk.write(MIB, randomBytes(100));
    await disk.write(150 * MIB, randomBytes(2 * CHUNK_SIZE_BYTES));
    const { mode, writtenBytes, progress } = await disk.rollBack(backupId);
    assert.equal(mode, 'changed-extents');
    // Two chunks were zeros: they are punched, not written.
    assert.equal(writtenBytes, CHUNK_SIZE_BYTES);
    assert.equal(progress.doneBytes + progress.skippedBytes, SIZE_BYTES);
    await assertSameData(disk.path, wanted);
  });

  test('an older backup is reached by what differs between the two backups and what changed since', async () => {
    await using disk = await makeDisk();
    const old = await disk.backUp();
    const wanted = await keepCopy(disk, 'wanted');
    await disk.write(100 * MIB, randomBytes(CHUNK_SIZE_BYTES));
    await disk.write(30 * MIB, randomBytes(CHUNK_SIZE_BYTES));
    await disk.backUp();
    await disk.write(101 * MIB, randomBytes(CHUNK_SIZE_BYTES));
    const { mode, writtenBytes } = await disk.rollBack(old.backupId, { verify: true });
    assert.equal(mode, 'changed-extents');
    assert.equal(writtenBytes, 2 * CHUNK_SIZE_BYTES);
    await assertSameData(disk.path, wanted);
  });

  test('a map that lies is noticed by the sample, and all is compared', async () => {
    const frozen = new Map<number, Buffer>();
    const mapExtents: SystemCalls['mapExtents'] = async (fd, offsetBytes, lengthBytes) => {
      const raw = await native.mapExtents(fd, offsetBytes, lengthBytes);
      if (!raw) return raw;
      const known = frozen.get(offsetBytes) ?? Buffer.from(raw.bytes);
      frozen.set(offsetBytes, known);
      return { bytes: known, count: raw.count };
    };
    await using disk = await makeDisk({ ...native, mapExtents });
    const { backupId } = await disk.backUp();
    const wanted = await keepCopy(disk, 'wanted');
    await disk.write(0, randomBytes(2 * MIB), { sync: true });
    await disk.write(100 * MIB, randomBytes(3 * MIB), { sync: true });
    const { mode, writtenBytes } = await disk.rollBack(backupId);
    assert.equal(mode, 'compare');
    assert.equal(writtenBytes, 5 * MIB);
    await assertSameData(disk.path, wanted);
  });

  test('without a baseline the disk is compared, and only what differs is written', async () => {
    await using disk = await makeDisk();
    const { backupId } = await disk.backUp();
    const wanted = await keepCopy(disk, 'wanted');
    await disk.write(MIB, randomBytes(100));
    const driver = openDriver({ folder: disk.folder, keepsBaselines: false });
    const { mode, writtenBytes } = await disk.rollBack(backupId, { driver });
    assert.equal(mode, 'compare');
    assert.equal(writtenBytes, CHUNK_SIZE_BYTES);
    await assertSameData(disk.path, wanted);
  });

  test('the next backup after a rollback that nothing told of is right all the same', async () => {
    await using disk = await makeDisk();
    const { backupId } = await disk.backUp();
    await disk.write(MIB, randomBytes(CHUNK_SIZE_BYTES));
    const second = await disk.backUp();
    await disk.rollBack(backupId);
    const third = await disk.backUp();
    assert.notEqual(third.backupId, second.backupId);
    await disk.assertHolds(third.backupId);
  });
});
