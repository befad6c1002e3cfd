// What is synced before a folder store answers, as the system sees it. The store is imported after `fsync` was
// replaced.
import assert from 'node:assert/strict';
import fs, { readlinkSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

/** Paths in the order in which they were synced. */
const synced: string[] = [];
/** Syncs of paths that it matches fail. */
let failing: RegExp | undefined;

const real = fs.fsync;
fs.fsync = ((fd: number, done: (error: Error | null) => void) => {
  const path = readlinkSync(`/proc/self/fd/${fd}`);
  synced.push(path);
  if (failing?.test(path)) done(Object.assign(new Error('injected EIO'), { code: 'EIO' }));
  else real(fd, done);
}) as typeof fs.fsync;
syncBuiltinESMExports();
after(() => {
  fs.fsync = real;
  syncBuiltinESMExports();
});
const { FilesystemStore } = await import('../../../src/storage/filesystem-store.ts');

/** A store in a folder that is not there yet, and what was synced during `work`. */
async function storeAnew() {
  const folder = await makeTemporaryFolder();
  const root = join(folder.path, 'repository');
  const store = new FilesystemStore({ root });
  const during = async (work: () => Promise<void>): Promise<string[]> => {
    synced.length = 0;
    await work();
    return [...synced];
  };
  return { root, store, during, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

test('2.2 each folder that is made is synced into the one above before the object is there', async () => {
  await using it = await storeAnew();
  const { root, store, during } = it;
  const first = await during(() => store.put('packs/ab/one', Buffer.from('1')));
  // The last one lists the object; each of the others lists the next.
  const chain = [dirname(root), root, join(root, 'packs'), join(root, 'packs/ab')];
  for (const path of chain) assert(first.includes(path), `${path} is synced`);
  assert.equal(first.at(-1), chain.at(-1), 'the folder of the object last of all');
  const inOrder = chain.map((path) => first.lastIndexOf(path));
  assert.deepEqual(
    inOrder,
    inOrder.toSorted((a, b) => a - b),
    'from above',
  );
  const fileAt = first.findIndex((path) => path.startsWith(join(root, '.tmp/')));
  assert(fileAt >= 0 && fileAt < first.lastIndexOf(join(root, 'packs/ab')), 'the bytes before their name');
  const second = await during(() => store.put('packs/ab/two', Buffer.from('2')));
  assert.equal(second.at(-1), join(root, 'packs/ab'), 'a name in a known folder is synced too');
});

test('2.2 folders that another process made and may not have synced are synced', async () => {
  await using it = await storeAnew();
  const { root, during } = it;
  fs.mkdirSync(join(root, 'packs/ab'), { recursive: true });
  const paths = await during(() => it.store.put('packs/ab/one', Buffer.from('1')));
  for (const path of [root, join(root, 'packs')]) assert(paths.includes(path), `${path} is synced`);
});

test('2.2 a sync that failed is final: the object is not there, and its file is not synced again', async () => {
  await using it = await storeAnew();
  const { root, store, during } = it;
  failing = /\.tmp\/./;
  const paths = await during(() => assert.rejects(store.put('packs/ab/one', Buffer.from('1')), { code: 'STORAGE_IO' }));
  failing = undefined;
  assert.equal(paths.filter((path) => path.startsWith(join(root, '.tmp/'))).length, 1);
  assert.equal(await store.head('packs/ab/one'), undefined);
  assert.deepEqual(fs.readdirSync(join(root, '.tmp')), []);
});

test('2.2 a folder whose sync failed is synced before the next object in it is answered', async () => {
  await using it = await storeAnew();
  const { root, store, during } = it;
  failing = new RegExp(`^${join(root, 'packs')}$`);
  await assert.rejects(store.put('packs/ab/one', Buffer.from('1')), { code: 'STORAGE_IO' });
  failing = undefined;
  const paths = await during(() => store.put('packs/ab/two', Buffer.from('2')));
  assert(paths.includes(join(root, 'packs')));
});
