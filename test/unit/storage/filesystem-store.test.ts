import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { fstatSync } from 'node:fs';
import { mkdir, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../../src/core/bytes.ts';
import { STORE_OPEN_FILE_MAX } from '../../../src/core/limits.ts';
import { FilesystemStore } from '../../../src/storage/filesystem-store.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

test('an object is one private file under its name, and no temporary file is left', async () => {
  await using folder = await makeTemporaryFolder();
  const root = join(folder.path, 'repository');
  const store = new FilesystemStore({ root });
  await store.put('projects/p/epoch', Buffer.from('1'));
  await store.replace('projects/p/epoch', Buffer.from('22'));
  const path = store.pathOf('projects/p/epoch');
  assert.equal(path, join(root, 'projects/p/epoch'));
  assert.equal((await readFile(path)).toString(), '22');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.equal((await stat(join(root, 'projects'))).mode & 0o777, 0o700);
  await assert.rejects(store.put('projects/p/epoch', Buffer.from('3')), { code: 'OBJECT_EXISTS' });
  assert.deepEqual(await readdir(join(root, '.tmp')), []);
});

test('leftovers of a process that died are removed, what is being written is not', async () => {
  await using folder = await makeTemporaryFolder();
  const dead = new FilesystemStore({ root: folder.path });
  const lost = await dead.create('a/lost');
  await lost.write(Buffer.from('half of an obj'));

  const store = new FilesystemStore({ root: folder.path });
  const writer = await store.create('a/kept');
  assert.equal(await store.removeLeftovers(), 1);
  assert.equal(await store.removeLeftovers(), 0);
  await writer.write(Buffer.from('whole'));
  await writer.commit();
  assert.deepEqual(await Array.fromAsync(store.list('')), [{ name: 'a/kept', sizeBytes: 5 }]);
  await assert.rejects(lost.commit(), { code: 'STORAGE_IO' });
  assert.equal(await store.head('a/lost'), undefined);
});

test('removeLeftovers of a store that does not exist yet finds nothing', async () => {
  await using folder = await makeTemporaryFolder();
  assert.equal(await new FilesystemStore({ root: join(folder.path, 'none') }).removeLeftovers(), 0);
});

test('a listing passes over what cannot be an object', async () => {
  await using folder = await makeTemporaryFolder();
  const store = new FilesystemStore({ root: folder.path });
  await store.put('a/1', Buffer.from('1'));
  await mkdir(join(folder.path, 'lost+found'));
  await mkdir(join(folder.path, 'empty'));
  await writeFile(join(folder.path, 'a', 'note to self'), 'x');
  await symlink('/etc/passwd', join(folder.path, 'a', 'link'));
  assert.deepEqual(await Array.fromAsync(store.list('')), [{ name: 'a/1', sizeBytes: 1 }]);
  assert.equal(await store.head('a/link'), undefined);
});

test('of large objects nothing is kept in memory once the medium has them', async () => {
  await using folder = await makeTemporaryFolder();
  const dropped: number[] = [];
  const dropCache = async (fd: number): Promise<void> => {
    dropped.push(fstatSync(fd).size);
  };
  const store = new FilesystemStore({ root: folder.path, dropCache });
  await store.put('large', Buffer.alloc(MIB));
  await store.put('small', Buffer.alloc(MIB - 1));
  assert.deepEqual(dropped, [MIB]);
});

test('get sees what another process replaced', async () => {
  await using folder = await makeTemporaryFolder();
  const [ours, theirs] = [new FilesystemStore({ root: folder.path }), new FilesystemStore({ root: folder.path })];
  await ours.replace('epoch', Buffer.from('1'));
  await ours.readRange('epoch', 0, 1);
  await theirs.replace('epoch', Buffer.from('2'));
  assert.equal((await ours.get('epoch', 10)).toString(), '2');
  await ours.close();
});

test('few files stay open for reading, and none after close or deletion', async () => {
  await using folder = await makeTemporaryFolder();
  const store = new FilesystemStore({ root: folder.path });
  const names = Array.from({ length: STORE_OPEN_FILE_MAX + 20 }, (_, index) => `o/${index}`);
  for (const name of names) await store.put(name, Buffer.from(name));
  for (const name of names) await store.readRange(name, 0, 1);
  assert.equal(await countOpenFiles(folder.path), STORE_OPEN_FILE_MAX);
  await store.delete(names.slice(-10));
  assert.equal(await countOpenFiles(folder.path), STORE_OPEN_FILE_MAX - 10);
  await store.close();
  assert.equal(await countOpenFiles(folder.path), 0);
  assert.equal((await store.readRange(names[0] ?? '', 0, 3)).toString(), 'o/0');
  await store.close();
});

test('a folder that somebody removed is made again', async () => {
  await using folder = await makeTemporaryFolder();
  const root = join(folder.path, 'root');
  const store = new FilesystemStore({ root });
  await store.put('a/b/1', Buffer.from('1'));
  await rm(root, { recursive: true });
  await assert.doesNotReject(async () => {
    // The first object may fail because its folder is gone; it says so, and the next one succeeds.
    await store.put('a/b/2', Buffer.from('2')).catch((error) => assert.equal(error.code, 'STORAGE_IO'));
    await store.put('a/b/3', Buffer.from('3'));
  });
  assert.equal((await store.get('a/b/3', 1)).toString(), '3');
});

test('a file where a folder should be fails with STORAGE_IO that names the object', async () => {
  await using folder = await makeTemporaryFolder();
  const store = new FilesystemStore({ root: folder.path });
  await store.put('a', Buffer.from('1'));
  await assert.rejects(store.put('a/b', Buffer.from('2')), (error: Error & { code?: string }) => {
    return error.code === 'STORAGE_IO' && error.message.includes('a/b');
  });
  assert.deepEqual(await readdir(join(folder.path, '.tmp')), []);
});

test('a full disk is STORAGE_FULL, leaves nothing behind, and can be used again', async (context) => {
  await using folder = await makeTemporaryFolder();
  const mountPoint = join(folder.path, 'small');
  await mkdir(mountPoint);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', mountPoint], { stdio: 'pipe' });
  } catch {
    return context.skip('a small file system cannot be mounted here (it takes root)');
  }
  try {
    const store = new FilesystemStore({ root: mountPoint });
    await store.put('kept', Buffer.alloc(MIB, 1));
    await assert.rejects(store.put('large', Buffer.alloc(8 * MIB, 1)), { code: 'STORAGE_FULL' });
    assert.deepEqual(await readdir(join(mountPoint, '.tmp')), []);
    assert.equal(await store.head('large'), undefined);
    await store.put('small', Buffer.alloc(2 * MIB, 1));
    assert.equal((await store.get('kept', MIB)).byteLength, MIB);
  } finally {
    execFileSync('umount', [mountPoint]);
  }
});

/** Files below `folder` that this process has open. */
async function countOpenFiles(folder: string): Promise<number> {
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  );
  return links.filter((link) => link.startsWith(`${folder}/`)).length;
}
