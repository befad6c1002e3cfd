// Backups that read only what changed, on a file system with reflinks. The numbers are those of the schedules in
// docs/decisions/0009-changed-extents.md that lost data in a draft; each has its test here.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, open, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { KIB, MIB } from '../../src/core/bytes.ts';
import { newUuid, type SnapshotId } from '../../src/core/ids.ts';
import { CHUNK_SIZE_BYTES } from '../../src/core/limits.ts';
import { loadSystemCalls, type SystemCalls } from '../../src/volumes/system-calls.ts';
import type { FoundChanges } from '../../src/volumes/volume.ts';
import { makeReflinkFolder } from '../support/reflink-folder.ts';
import { openDriver, TrackedDisk, type TrackedDiskOptions } from '../support/tracked-disk.ts';

const reflinks = await makeReflinkFolder();
if ('remove' in reflinks) after(() => reflinks.remove());
const native = loadSystemCalls();
const SIZE_BYTES = 200 * MIB;
let diskCount = 0;

async function makeDisk(options: Partial<TrackedDiskOptions> = {}): Promise<TrackedDisk> {
  assert('path' in reflinks);
  diskCount += 1;
  const folder = join(reflinks.path, `disk-${diskCount}`);
  const disk = await TrackedDisk.make({ folder, sizeBytes: SIZE_BYTES, ...options });
  await disk.write(0, randomBytes(2 * MIB));
  await disk.write(100 * MIB, randomBytes(3 * MIB));
  return disk;
}

function readBytes({ progress }: { readonly progress: { readonly doneBytes: number } }): number {
  return progress.doneBytes;
}

describe('changed extents', { skip: 'skip' in reflinks ? reflinks.skip : false }, () => {
  test('an increment reads the chunks that were written, and inherits all else', async () => {
    await using disk = await makeDisk();
    const full = await disk.backUp();
    assert.equal(full.reading.mode, 'full');
    await disk.write(100 * MIB + 5, Buffer.from('changed'));
    await disk.write(150 * MIB, randomBytes(CHUNK_SIZE_BYTES));
    const increment = await disk.backUp();
    assert.equal(increment.reading.mode, 'changed-extents');
    assert.equal(readBytes(increment), 2 * CHUNK_SIZE_BYTES);
    assert(increment.reading.sampleCount > 0 && increment.reading.mismatchCount === 0);
    assert.equal(increment.progress.doneBytes + increment.progress.skippedBytes, SIZE_BYTES);
    await disk.assertHolds(increment.backupId);
  });

  test('an increment without changes reads nothing and stores a record', async () => {
    await using disk = await makeDisk();
    await disk.backUp();
    const increment = await disk.backUp();
    assert.equal(readBytes(increment), 0);
    assert.deepEqual(increment.commit.packs, []);
    await disk.assertHolds(increment.backupId);
  });

  test('what was written and is not on the medium yet counts', async () => {
    await using disk = await makeDisk();
    await disk.backUp();
    const file = await open(disk.path, 'r+');
    await file.write(randomBytes(10), 0, 10, 20 * MIB);
    const increment = await disk.backUp();
    await file.close();
    assert.equal(increment.reading.mode, 'changed-extents');
    assert.equal(readBytes(increment), CHUNK_SIZE_BYTES);
    await disk.assertHolds(increment.backupId);
  });

  test('holes punched since the baseline become zeros without being read', async () => {
    await using disk = await makeDisk();
    await disk.backUp();
    const file = await open(disk.path, 'r+');
    assert(native.punchHole(file.fd, 100 * MIB, 3 * MIB));
    await file.close();
    const increment = await disk.backUp();
    assert.equal(readBytes(increment), 0);
    await disk.assertHolds(increment.backupId);
  });

  test('only the last snapshot of a disk is kept', async () => {
    await using disk = await makeDisk();
    for (let i = 0; i < 3; i += 1) {
      await disk.write(i * MIB, randomBytes(100));
      await disk.backUp();
      assert.equal((await readdir(disk.snapshotFolder)).length, 1);
    }
  });

  test('6.1 a baseline serves only increments on the backup that it was made for', async () => {
    await using disk = await makeDisk();
    await disk.backUp();
    await disk.write(MIB, randomBytes(100));
    const second = await disk.backUp();
    // The next parent is the first backup again: what was written between the two is in no comparison of snapshots.
    await disk.bench.ledger.deleteBackup(second.backupId);
    const third = await disk.backUp();
    assert.equal(third.reading.mode, 'scan');
    assert.match(third.reading.reason ?? '', /nothing was kept/);
    await disk.assertHolds(third.backupId);
  });

  test('6.2 without its snapshot a baseline is worth nothing: blocks may have been used again', async () => {
    await using disk = await makeDisk();
    await disk.backUp();
    await disk.driver.removeBaseline(disk.baseline());
    await disk.write(0, randomBytes(100));
    const increment = await disk.backUp();
    assert.equal(increment.reading.mode, 'scan');
    assert.match(increment.reading.reason ?? '', /is gone/);
    await disk.assertHolds(increment.backupId);
  });

  for (const [name, flag] of Object.entries({
    UNKNOWN: 0x2,
    DELALLOC: 0x4,
    ENCODED: 0x8,
    DATA_ENCRYPTED: 0x80,
    NOT_ALIGNED: 0x100,
    DATA_INLINE: 0x200,
    DATA_TAIL: 0x400,
    'a flag of a later kernel': 0x10000,
  })) {
    test(`6.3 an extent with ${name} counts as changed`, async () => {
      await using disk = await makeDisk({ systemCalls: mapsChangedBy((bytes, at) => setFlag(bytes, at, flag)) });
      await disk.backUp();
      const increment = await disk.backUp();
      assert.equal(increment.reading.mode, 'changed-extents');
      assert.equal(readBytes(increment), 5 * MIB);
      await disk.assertHolds(increment.backupId);
    });
  }

  test('6.3 an extent at physical address 0 counts as changed', async () => {
    await using disk = await makeDisk({ systemCalls: mapsChangedBy((bytes, at) => bytes.fill(0, at + 8, at + 16)) });
    await disk.backUp();
    const increment = await disk.backUp();
    assert.equal(readBytes(increment), 5 * MIB);
    await disk.assertHolds(increment.backupId);
  });

  test('6.4 blocks of the baseline that move while the maps are read make all be read', async () => {
    let callCount = 0;
    const moving = mapsChangedBy((bytes, at) => {
      callCount += 1;
      bytes.writeUInt32LE(bytes.readUInt32LE(at + 8) + 4096 * callCount, at + 8);
    });
    await using disk = await makeDisk({ systemCalls: moving });
    await disk.backUp();
    await disk.write(0, randomBytes(100));
    const increment = await disk.backUp();
    assert.equal(increment.reading.mode, 'scan');
    assert.match(increment.reading.reason ?? '', /moved meanwhile/);
    await disk.assertHolds(increment.backupId);
  });

  test('6.4 nobody can change a snapshot that is kept, root included', async (context) => {
    await using disk = await makeDisk();
    await disk.backUp();
    const [name = ''] = await readdir(disk.snapshotFolder);
    const path = join(disk.snapshotFolder, name);
    if (!execFileSync('lsattr', ['-d', path], { encoding: 'utf8' }).startsWith('----i')) {
      return context.skip('immutable files take more privileges');
    }
    await assert.rejects(open(path, 'r+'), { code: 'EPERM' });
    await assert.rejects(rename(path, `${path}.moved`), { code: 'EPERM' });
    await assert.rejects(chmod(path, 0o600), { code: 'EPERM' });
  });

  test('6.5 a baseline that was replaced by a clone of the disk is noticed', async () => {
    await using disk = await makeDisk();
    await disk.backUp();
    await disk.write(0, randomBytes(100));
    await replaceBaselineByClone(disk);
    const increment = await disk.backUp();
    assert.equal(increment.reading.mode, 'scan');
    assert.match(increment.reading.reason ?? '', /was replaced/);
    await disk.assertHolds(increment.backupId);
  });

  for (const [what, changes] of Object.entries({
    'of another file system': { fileSystem: 'uuid:00' },
    'of another size': { sizeBytes: 5 },
    'with another inode': { inode: '5' },
    'with another change time': { ctimeNs: '5' },
    'with a name that leads elsewhere': { name: '../../etc/passwd' },
    'without a name': { name: undefined },
  })) {
    test(`6.5 a baseline ${what} is not compared with`, async () => {
      await using disk = await makeDisk();
      const { backupId } = await disk.backUp();
      const { driver, state } = disk.baseline();
      disk.bench.ledger.baselines.set(disk.volume.volumeId, { driver, state: { ...state, ...changes }, backupId });
      await disk.write(MIB, randomBytes(100));
      const increment = await disk.backUp();
      assert.equal(increment.reading.mode, 'scan');
      await disk.assertHolds(increment.backupId);
      await disk.driver.removeBaseline({ driver, state });
    });
  }

  test('6.5 data on another device of the file system is not compared', async () => {
    let callCount = 0;
    const dataDevice = () => (callCount++ % 2 === 0 ? 'data' : 'realtime');
    await using disk = await makeDisk({ systemCalls: { ...native, dataDevice } });
    await disk.backUp();
    const increment = await disk.backUp();
    assert.equal(increment.reading.mode, 'scan');
    assert.match(increment.reading.reason ?? '', /another device/);
  });

  test('6.6 a snapshot is made by one clone of the whole file', async () => {
    let cloneCount = 0;
    const cloneFile: SystemCalls['cloneFile'] = (from, to) => {
      cloneCount += 1;
      return native.cloneFile(from, to);
    };
    await using disk = await makeDisk({ systemCalls: { ...native, cloneFile } });
    await disk.backUp();
    assert.equal(cloneCount, 1);
  });

  test('6.7 a disk that was replaced by a copy of itself is read, and nothing is stored', async () => {
    await using disk = await makeDisk();
    await disk.backUp();
    execFileSync('cp', ['--reflink=never', '--sparse=always', disk.path, `${disk.path}.copy`]);
    await rename(`${disk.path}.copy`, disk.path);
    const increment = await disk.backUp();
    assert.equal(increment.reading.mode, 'changed-extents');
    assert.equal(readBytes(increment), 5 * MIB);
    assert.deepEqual(increment.commit.packs, []);
    await disk.assertHolds(increment.backupId);
  });

  test('6.8 the sample is compared with the manifest of the parent: a lying map makes all be read', async () => {
    // All maps are alike, so every change looks like none; only the manifest knows better.
    const frozen = new Map<string, Buffer>();
    const mapExtents: SystemCalls['mapExtents'] = async (fd, offsetBytes, lengthBytes) => {
      const raw = await native.mapExtents(fd, offsetBytes, lengthBytes);
      if (!raw) return raw;
      const known = frozen.get(`${offsetBytes}`) ?? Buffer.from(raw.bytes);
      frozen.set(`${offsetBytes}`, known);
      return { bytes: known, count: raw.count };
    };
    await using disk = await makeDisk({ systemCalls: { ...native, mapExtents } });
    await disk.backUp();
    await disk.write(0, randomBytes(2 * MIB), { sync: true });
    await disk.write(100 * MIB, randomBytes(3 * MIB), { sync: true });
    const increment = await disk.backUp();
    assert.equal(increment.reading.mode, 'scan');
    assert(increment.reading.mismatchCount > 0, 'the sample found it');
    assert.match(increment.reading.reason ?? '', /had changed/);
    await disk.assertHolds(increment.backupId);
  });

  test('6.9 a disk that was resized is read whole', async () => {
    await using disk = await makeDisk();
    await disk.backUp();
    const sizeBytes = SIZE_BYTES + 64 * MIB;
    disk.volume = { ...disk.volume, ...(await disk.driver.resize(disk.volume, sizeBytes)) };
    await disk.write(SIZE_BYTES + MIB, randomBytes(100));
    const increment = await disk.backUp();
    assert.equal(increment.reading.mode, 'scan');
    assert.match(increment.reading.reason ?? '', /resized/);
    await disk.assertHolds(increment.backupId);
  });

  test('6.10 a disk that is read in place keeps no baseline and believes none', async () => {
    await using disk = await makeDisk();
    await disk.backUp();
    const inPlace = openDriver({ folder: disk.folder, systemCalls: { ...native, cloneFile: async () => false } });
    const increment = await disk.backUp({ driver: inPlace });
    assert.equal(increment.reading.mode, 'scan');
    assert.equal(increment.commit.consistency, 'quiescent');
    assert.equal(increment.commit.baseline, undefined);
    assert.deepEqual(await readdir(disk.snapshotFolder), []);
  });

  test('6.11 an attached disk without a snapshot is copied as fuzzy and keeps no baseline', async () => {
    await using disk = await makeDisk();
    const inPlace = openDriver({ folder: disk.folder, systemCalls: { ...native, cloneFile: async () => false } });
    const options = { snapshotId: newUuid<SnapshotId>(), attempt: 1, isAttached: true, force: true };
    await using source = await inPlace.openSource(disk.volume, options);
    const backup = await disk.backUpFrom(source);
    assert.equal(backup.commit.consistency, 'fuzzy');
    assert.equal(backup.commit.baseline, undefined);
  });

  test('switched off, nothing is kept and what was kept is not used', async () => {
    await using disk = await makeDisk();
    await disk.backUp();
    const increment = await disk.backUp({ driver: openDriver({ folder: disk.folder, keepsBaselines: false }) });
    assert.equal(increment.reading.mode, 'scan');
    assert.match(increment.reading.reason ?? '', /switched off/);
    assert.deepEqual(await readdir(disk.snapshotFolder), []);
  });

  test('a slot that was found bad is read again although its extent did not change', async () => {
    await using disk = await makeDisk();
    const full = await disk.backUp();
    const [{ packId } = assert.fail()] = full.commit.packs;
    disk.bench.ledger.bad.set(packId, Buffer.alloc(8192, 0xff));
    const increment = await disk.backUp();
    assert.equal(increment.reading.mode, 'changed-extents');
    assert.equal(readBytes(increment), 5 * MIB);
    assert(!increment.commit.packs.some((pack) => pack.packId === packId));
    await disk.assertHolds(increment.backupId);
  });

  test('an attempt that did not commit leaves no snapshot', async () => {
    await using disk = await makeDisk();
    const source = await disk.openSource();
    await disk.bench.write(disk.path, { source });
    await source[Symbol.asyncDispose]();
    assert.deepEqual(await readdir(disk.snapshotFolder), []);
  });

  test('a map in many pieces is compared to its end', async () => {
    await using disk = await makeDisk({ sizeBytes: 130 * MIB });
    const file = await open(disk.path, 'r+');
    // Every other block: more extents than one call answers.
    for (let at = 0; at < 40 * MIB; at += 8 * KIB) await file.write(Buffer.alloc(4 * KIB, 1), 0, 4 * KIB, at);
    await file.sync();
    await disk.backUp();
    await file.write(Buffer.alloc(1, 2), 0, 1, 39 * MIB);
    await file.close();
    const increment = await disk.backUp();
    assert.equal(increment.reading.mode, 'changed-extents');
    assert.equal(readBytes(increment), CHUNK_SIZE_BYTES);
    await disk.assertHolds(increment.backupId);
  });

  test('a backup may be cancelled while the maps are read', async () => {
    await using disk = await makeDisk();
    await disk.backUp();
    await using source = await disk.openSource();
    const options = { sampleCount: 0, random: Math.random };
    const found: Promise<FoundChanges> = source.findChanges(disk.baseline(), options, AbortSignal.abort());
    await assert.rejects(found, { name: 'AbortError' });
  });
});

/** The maps of this machine, every extent of which was altered. */
function mapsChangedBy(alter: (bytes: Buffer, at: number) => void): SystemCalls {
  const mapExtents: SystemCalls['mapExtents'] = async (...parameters) => {
    const raw = await native.mapExtents(...parameters);
    for (let i = 0; raw && i < raw.count; i += 1) alter(raw.bytes, i * 56);
    return raw;
  };
  return { ...native, mapExtents };
}

function setFlag(bytes: Buffer, at: number, flag: number): void {
  bytes.writeUInt32LE(bytes.readUInt32LE(at + 40) | flag, at + 40);
}

async function replaceBaselineByClone(disk: TrackedDisk): Promise<void> {
  const [name = ''] = await readdir(disk.snapshotFolder);
  const path = join(disk.snapshotFolder, name);
  await disk.driver.removeBaseline(disk.baseline());
  const from = await open(disk.path, 'r');
  const to = await open(path, 'wx');
  assert(await native.cloneFile(from.fd, to.fd));
  await from.close();
  await to.close();
}
