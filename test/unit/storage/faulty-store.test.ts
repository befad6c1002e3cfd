import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FilesystemStore } from '../../../src/storage/filesystem-store.ts';
import { MemoryStore } from '../../../src/storage/memory-store.ts';
import { FaultyStore, StoreCrash } from '../../support/faulty-store.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

const bytes = Buffer.from('content');

test('the n-th matching operation fails, and only that', async () => {
  const isPack = (name: string) => name.startsWith('packs/');
  const store = new FaultyStore(new MemoryStore(), [{ operation: 'put', name: isPack, nth: 2, effect: 'ENOSPC' }]);
  await store.put('packs/1', bytes);
  await store.put('other/1', bytes);
  await assert.rejects(store.put('packs/2', bytes), { code: 'STORAGE_FULL' });
  assert.equal(await store.head('packs/2'), undefined);
  await store.put('packs/2', bytes);
  assert.deepEqual(store.calls[0], { operation: 'put', name: 'packs/1' });
});

test('a lost reply reports failure though the work is done', async () => {
  const inner = new MemoryStore();
  const store = new FaultyStore(inner, [{ operation: ['put', 'commit'], effect: 'lost-reply' }]);
  await assert.rejects(store.put('a', bytes), { code: 'STORAGE_IO' });
  const writer = await store.create('b');
  await writer.write(bytes);
  await assert.rejects(writer.commit(), { code: 'STORAGE_IO' });
  assert.deepEqual(
    (await Array.fromAsync(inner.list(''))).map((info) => info.name),
    ['a', 'b'],
  );
});

test('after a crash everything is refused, calls that were under way too', async () => {
  const inner = new MemoryStore();
  const store = new FaultyStore(inner, [
    { operation: 'put', name: (name) => name === 'slow', effect: 'delay', delayMs: 20 },
    { operation: 'commit', effect: 'crash' },
  ]);
  const writer = await store.create('a');
  await writer.write(bytes);
  const slow = assert.rejects(store.put('slow', bytes), StoreCrash);
  await assert.rejects(writer.commit(), StoreCrash);
  await assert.rejects(writer.abort(), StoreCrash);
  await assert.rejects(store.get('a', 10), StoreCrash);
  await assert.rejects(Array.fromAsync(store.list('')), StoreCrash);
  await slow;
  assert.equal(store.hasCrashed, true);
  assert.equal(await inner.head('a'), undefined);
});

test('a crash after the operation leaves its effect', async () => {
  const inner = new MemoryStore();
  const store = new FaultyStore(inner, [{ operation: 'put', effect: 'crash-after' }]);
  await assert.rejects(store.put('a', bytes), StoreCrash);
  assert.deepEqual(await inner.head('a'), { name: 'a', sizeBytes: 7 });
});

test('bits are flipped and objects cut in memory and in a folder', async () => {
  await using folder = await makeTemporaryFolder();
  for (const inner of [new MemoryStore(), new FilesystemStore({ root: folder.path })]) {
    const store = new FaultyStore(inner);
    await store.put('a', Buffer.from([0, 0, 0]));
    assert.deepEqual([...(await store.readRange('a', 0, 3))], [0, 0, 0]);
    await store.flipBit('a', 17);
    assert.deepEqual([...(await store.readRange('a', 0, 3))], [0, 0, 2]);
    await store.truncate('a', 2);
    assert.deepEqual([...(await store.readRange('a', 0, 3))], [0, 0]);
    if (inner instanceof FilesystemStore) await inner.close();
  }
});
