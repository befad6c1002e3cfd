import assert from 'node:assert/strict';
import { mkdir, open, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../../src/core/bytes.ts';
import { openBlockDevice } from '../../../src/volumes/block-device.ts';
import { portable } from '../../../src/volumes/system-calls.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

const SIZE_BYTES = MIB + 77;

async function makeDisk(folder: string) {
  const path = join(folder, 'disk');
  await writeFile(path, Buffer.alloc(SIZE_BYTES, 1));
  return { driver: 'file', path, sizeBytes: SIZE_BYTES } as const;
}

test('a disk smaller than described is refused, a larger one is used up to its described size', async () => {
  await using folder = await makeTemporaryFolder();
  const disk = await makeDisk(folder.path);
  assert.throws(() => openBlockDevice({ ...disk, sizeBytes: SIZE_BYTES + 1 }, 'read'), {
    code: 'VOLUME_SIZE_MISMATCH',
    details: { source: disk.path, actualBytes: SIZE_BYTES, expectedBytes: SIZE_BYTES + 1 },
  });
  const device = openBlockDevice({ ...disk, sizeBytes: 100 }, 'write');
  assert.throws(() => device.writeSync([Buffer.alloc(2)], 99), { code: 'ERR_ASSERTION' });
  assert.throws(() => device.readSync(Buffer.alloc(101), 0), { code: 'ERR_ASSERTION' });
  assert.throws(() => device.zeroSync(50, 51), { code: 'ERR_ASSERTION' });
  assert.throws(() => device.readSync(Buffer.alloc(1), -1), { code: 'ERR_ASSERTION' });
  device.close();
  device.close();
  assert.throws(() => device.readSync(Buffer.alloc(1), 0), { code: 'ERR_ASSERTION' });
});

test('a disk that is cut while it is read is a size mismatch', async () => {
  await using folder = await makeTemporaryFolder();
  const disk = await makeDisk(folder.path);
  const device = openBlockDevice(disk, 'read');
  const file = await open(disk.path, 'r+');
  await file.truncate(MIB);
  await file.close();
  device.readSync(Buffer.alloc(MIB), 0);
  assert.throws(() => device.readSync(Buffer.alloc(100), MIB - 50), {
    code: 'VOLUME_SIZE_MISMATCH',
    details: { source: disk.path, actualBytes: MIB, expectedBytes: SIZE_BYTES },
  });
  device.close();
});

test('a symbolic link, a folder and a missing file are unavailable', async () => {
  await using folder = await makeTemporaryFolder();
  const disk = await makeDisk(folder.path);
  const link = join(folder.path, 'link');
  await symlink(disk.path, link);
  await mkdir(join(folder.path, 'folder'));
  for (const path of [link, join(folder.path, 'folder'), join(folder.path, 'missing')]) {
    assert.throws(() => openBlockDevice({ ...disk, path }, 'read'), { code: 'VOLUME_UNAVAILABLE' });
  }
});

test('what is written to a disk open for reading fails with VOLUME_IO', async () => {
  await using folder = await makeTemporaryFolder();
  const device = openBlockDevice(await makeDisk(folder.path), 'read');
  assert.throws(() => device.writeSync([Buffer.from('x')], 0), { code: 'VOLUME_IO' });
  device.close();
});

test('zeroing frees the blocks of an image, at any alignment', async () => {
  await using folder = await makeTemporaryFolder();
  const disk = await makeDisk(folder.path);
  const device = openBlockDevice(disk, 'write');
  device.zeroSync(1, SIZE_BYTES - 2);
  device.zeroSync(5, 0);
  const bytes = Buffer.alloc(SIZE_BYTES);
  device.readSync(bytes, 0);
  device.close();
  assert.deepEqual([bytes[0], bytes.at(-1)], [1, 1]);
  assert.ok(bytes.subarray(1, -1).every((byte) => byte === 0));
  const { size, blocks } = await stat(disk.path);
  assert.equal(size, SIZE_BYTES);
  assert.ok(blocks * 512 < MIB / 4);
});

test('zeros are written where nothing can be punched', async () => {
  await using folder = await makeTemporaryFolder();
  const device = openBlockDevice(await makeDisk(folder.path), 'write', portable);
  device.zeroSync(3, MIB);
  const bytes = Buffer.alloc(SIZE_BYTES);
  device.readSync(bytes, 0);
  device.close();
  assert.ok(bytes.subarray(3, MIB + 3).every((byte) => byte === 0));
  assert.ok(bytes.subarray(MIB + 3).every((byte) => byte === 1));
});

test('more buffers than one system call takes are written whole', async () => {
  await using folder = await makeTemporaryFolder();
  const device = openBlockDevice(await makeDisk(folder.path), 'write');
  const buffers = Array.from({ length: 3000 }, (_, index) => Buffer.alloc(index % 50, index));
  device.writeSync(buffers, 1000);
  const expected = Buffer.concat(buffers);
  const seen = Buffer.alloc(expected.byteLength);
  device.readSync(seen, 1000);
  device.close();
  assert.ok(seen.equals(expected));
});
