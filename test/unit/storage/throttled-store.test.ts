// What a store under limits holds back, on a clock that only waiting moves. (What every store must do:
// test/contract/object-store.test.ts.)
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../../src/core/bytes.ts';
import { MemoryStore } from '../../../src/storage/memory-store.ts';
import { ThrottledStore } from '../../../src/storage/throttled-store.ts';
import { makeManualThrottle } from '../../support/manual-throttle.ts';

function makeStore(rates = '1MiB/s') {
  const inner = new MemoryStore();
  const [read, write] = [makeManualThrottle(rates), makeManualThrottle(rates)];
  const store = new ThrottledStore(inner, { read: read.throttle, write: write.throttle });
  return { inner, store, read, write };
}

test('pieces of packs are held, written and read, each by its own limit', async () => {
  const { store, read, write } = makeStore();
  const writer = await store.create('pack');
  for (let piece = 0; piece < 4; piece += 1) await writer.write(Buffer.alloc(MIB));
  await writer.commit();
  assert.equal(write.time.nowAt, 3000);
  assert.equal(read.time.nowAt, 0);
  await store.readRange('pack', 0, 2 * MIB);
  await store.readSuffix('pack', MIB);
  await store.readRange('pack', 0, 1);
  assert.equal(read.time.nowAt, 3000);
  assert.equal(write.time.nowAt, 3000);
});

test('each piece is one operation', async () => {
  const { store, read } = makeStore('1iops');
  await store.put('pack', Buffer.alloc(10));
  for (let piece = 0; piece < 4; piece += 1) await store.readRange('pack', piece, 1);
  assert.equal(read.time.nowAt, 3000);
});

test('small objects read and written as a whole wait for nobody', async () => {
  const { store, read, write } = makeStore('1iops');
  for (let count = 0; count < 5; count += 1) {
    await store.put(`record-${count}`, Buffer.alloc(1000));
    await store.replace('epoch', Buffer.alloc(100));
    await store.get('epoch', 1000);
    await store.head('epoch');
  }
  assert.deepEqual([read.time.nowAt, write.time.nowAt], [0, 0]);
});

test('a pack that is read as a whole is paid for by whoever reads next', async () => {
  const { inner, store, read } = makeStore();
  await inner.put('pack', Buffer.alloc(8 * MIB));
  await store.get('pack', 100 * MIB);
  await store.readRange('pack', 0, 1);
  assert.equal(read.time.nowAt, 8000);
});

test('a write that waits ends with the signal of its writer, and nothing is left', async () => {
  const { inner, store } = makeStore();
  const cancelled = new AbortController();
  const writer = await store.create('pack', cancelled.signal);
  await writer.write(Buffer.alloc(MIB));
  const reason = new Error('cancelled');
  cancelled.abort(reason);
  await assert.rejects(writer.write(Buffer.alloc(MIB)), reason);
  await writer.abort();
  assert.equal(await inner.head('pack'), undefined);
});

test('an object is not published while a piece of it waits for its turn', async () => {
  const { inner, store } = makeStore();
  const writer = await store.create('pack');
  await writer.write(Buffer.alloc(MIB));
  const waiting = writer.write(Buffer.alloc(MIB));
  await assert.rejects(writer.commit(), { code: 'ERR_ASSERTION' });
  await waiting;
  assert.equal(await inner.head('pack'), undefined);
  await writer.commit();
  assert.equal((await inner.head('pack'))?.sizeBytes, 2 * MIB);
});
