// What every ObjectStore must do. Call it once for each implementation.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CHUNK_SIZE_BYTES } from '../../src/core/limits.ts';
import type { ObjectInfo, ObjectStore } from '../../src/storage/object-store.ts';

export type StoreHarness = {
  /** A new empty store for one test. */
  open(): Promise<{ store: ObjectStore; close(): Promise<void> }>;
};

const KEY = 'projects/p1/packs/ab/pack.object';

export function objectStoreSuite(label: string, harness: StoreHarness): void {
  const storeTest = (name: string, body: (store: ObjectStore) => Promise<void>) => {
    test(name, async () => {
      const { store, close } = await harness.open();
      try {
        await body(store);
      } finally {
        await close();
      }
    });
  };

  describe(`object store contract: ${label}`, () => {
    describe('writing', () => writingTests(storeTest));
    describe('reading', () => readingTests(storeTest));
    describe('durability', () => durabilityTests(storeTest));
    describe('listing', () => listingTests(storeTest));
    describe('deleting', () => deletingTests(storeTest));
    describe('names', () => nameTests(storeTest));
    describe('signals', () => signalTests(storeTest));
  });
}

type StoreTest = (name: string, body: (store: ObjectStore) => Promise<void>) => void;

function writingTests(storeTest: StoreTest): void {
  storeTest('an object is the bytes that were written, in order', async (store) => {
    const writer = await store.create(KEY);
    const parts = [Buffer.from('head'), Buffer.alloc(3 * CHUNK_SIZE_BYTES, 7), Buffer.alloc(0), Buffer.from('tail')];
    for (const part of parts) await writer.write(part);
    await writer.commit();
    assert.deepEqual(await store.get(KEY, 1e6), Buffer.concat(parts));
  });

  storeTest('an object is not visible before its commit', async (store) => {
    const writer = await store.create(KEY);
    await writer.write(Buffer.from('x'));
    assert.equal(await store.head(KEY), undefined);
    assert.deepEqual(await listAll(store, ''), []);
    await assert.rejects(store.get(KEY, 10), { code: 'OBJECT_NOT_FOUND' });
    await writer.commit();
    assert.deepEqual(await store.head(KEY), { name: KEY, sizeBytes: 1 });
  });

  storeTest('abort leaves nothing and the name free, and is harmless twice and after commit', async (store) => {
    const writer = await store.create(KEY);
    await writer.write(Buffer.alloc(100_000, 1));
    await writer.abort();
    await writer.abort();
    assert.equal(await store.head(KEY), undefined);
    assert.deepEqual(await listAll(store, ''), []);

    const second = await store.create(KEY);
    await second.write(Buffer.from('kept'));
    await second.commit();
    await second.abort();
    assert.equal((await store.get(KEY, 10)).toString(), 'kept');
  });

  storeTest('put and commit refuse a name that is taken and leave the object as it is', async (store) => {
    await store.put(KEY, Buffer.from('first'));
    await assert.rejects(store.put(KEY, Buffer.from('second')), { code: 'OBJECT_EXISTS' });
    const writer = await store.create(KEY);
    await writer.write(Buffer.from('third'));
    await assert.rejects(writer.commit(), { code: 'OBJECT_EXISTS' });
    await writer.abort();
    assert.equal((await store.get(KEY, 10)).toString(), 'first');
  });

  storeTest('of many creations of one name exactly one wins', async (store) => {
    const contents = Array.from({ length: 8 }, (_, index) => Buffer.alloc(10_000 + index, index));
    const results = await Promise.allSettled(contents.map((bytes) => store.put(KEY, bytes)));
    const winners = results.flatMap((result, index) => (result.status === 'fulfilled' ? [index] : []));
    assert.equal(winners.length, 1);
    for (const result of results) {
      if (result.status === 'rejected') assert.equal(result.reason.code, 'OBJECT_EXISTS');
    }
    assert.deepEqual(await store.get(KEY, 1e6), contents[winners[0] ?? 0]);
  });

  storeTest('objects created at the same time in one new folder are all there', async (store) => {
    const names = Array.from({ length: 20 }, (_, index) => `new/folder/of/${index}`);
    await Promise.all(names.map((name) => store.put(name, Buffer.from(name))));
    for (const name of names) assert.equal((await store.get(name, 100)).toString(), name);
  });

  storeTest('replace creates and replaces', async (store) => {
    await store.replace('epoch', Buffer.from('one'));
    assert.equal((await store.get('epoch', 10)).toString(), 'one');
    assert.equal((await store.readRange('epoch', 0, 10)).toString(), 'one');
    await store.replace('epoch', Buffer.from('twelve'));
    assert.equal((await store.get('epoch', 10)).toString(), 'twelve');
    assert.equal((await store.readRange('epoch', 0, 10)).toString(), 'twelve');
    assert.deepEqual(await listAll(store, ''), [{ name: 'epoch', sizeBytes: 6 }]);
  });

  storeTest('the writer has its own copy once a write is settled', async (store) => {
    const writer = await store.create(KEY);
    const bytes = Buffer.from('before');
    await writer.write(bytes);
    bytes.fill('X');
    await writer.commit();
    assert.equal((await store.get(KEY, 10)).toString(), 'before');
  });
}

function readingTests(storeTest: StoreTest): void {
  const content = Buffer.from('0123456789');

  storeTest('ranges are exact, and shorter only where the object ends', async (store) => {
    await store.put(KEY, content);
    assert.equal((await store.readRange(KEY, 0, 10)).toString(), '0123456789');
    assert.equal((await store.readRange(KEY, 3, 4)).toString(), '3456');
    assert.equal((await store.readRange(KEY, 8, 100)).toString(), '89');
    assert.equal((await store.readRange(KEY, 10, 5)).byteLength, 0);
    assert.equal((await store.readRange(KEY, 1e12, 5)).byteLength, 0);
    assert.equal((await store.readRange(KEY, 4, 0)).byteLength, 0);
  });

  storeTest('a range has an ArrayBuffer of its own that can be transferred', async (store) => {
    await store.put(KEY, content);
    const bytes = await store.readRange(KEY, 2, 3);
    assert.equal(bytes.byteOffset, 0);
    assert.equal(bytes.buffer.byteLength, 3);
    const owned = bytes.buffer as ArrayBuffer; // never shared memory
    structuredClone(owned, { transfer: [owned] });
    assert.equal((await store.readRange(KEY, 2, 3)).toString(), '234');
  });

  storeTest('a suffix comes with the size, and is everything when the object is shorter', async (store) => {
    await store.put(KEY, content);
    const { bytes, sizeBytes } = await store.readSuffix(KEY, 3);
    assert.equal(bytes.toString(), '789');
    assert.equal(sizeBytes, 10);
    const whole = await store.readSuffix(KEY, 1000);
    assert.equal(whole.bytes.toString(), '0123456789');
    assert.equal(whole.sizeBytes, 10);
  });

  storeTest('an empty object can be read in every way', async (store) => {
    await store.put(KEY, Buffer.alloc(0));
    assert.equal((await store.get(KEY, 0)).byteLength, 0);
    assert.equal((await store.readRange(KEY, 0, 10)).byteLength, 0);
    assert.deepEqual(await store.head(KEY), { name: KEY, sizeBytes: 0 });
    assert.equal((await store.readSuffix(KEY, 10)).sizeBytes, 0);
  });

  storeTest('get refuses an object larger than expected as corrupt', async (store) => {
    await store.put(KEY, content);
    assert.equal((await store.get(KEY, 10)).byteLength, 10);
    await assert.rejects(store.get(KEY, 9), {
      code: 'DATA_CORRUPT',
      details: { object: KEY, offsetBytes: 9, reason: '10 bytes, at most 9 were expected' },
    });
  });

  storeTest('what is missing is OBJECT_NOT_FOUND, and undefined for head', async (store) => {
    const missing = { code: 'OBJECT_NOT_FOUND', details: { object: 'a/b' } };
    await assert.rejects(store.get('a/b', 10), missing);
    await assert.rejects(store.readRange('a/b', 0, 10), missing);
    await assert.rejects(store.readSuffix('a/b', 10), missing);
    assert.equal(await store.head('a/b'), undefined);
  });

  storeTest('a prefix of names is no object', async (store) => {
    await store.put('a/b/c', content);
    assert.equal(await store.head('a/b'), undefined);
    await assert.rejects(store.get('a/b', 10), { code: 'OBJECT_NOT_FOUND' });
    await assert.rejects(store.readRange('a/b', 0, 1), { code: 'OBJECT_NOT_FOUND' });
  });

  storeTest('many objects are read at once, more than are kept open', async (store) => {
    const names = Array.from({ length: 150 }, (_, index) => `many/${index}`);
    for (const name of names) await store.put(name, Buffer.from(name));
    const reads = [...names, ...names.toReversed(), ...names].map((name) => store.readRange(name, 0, 100));
    const seen = (await Promise.all(reads)).map(String);
    assert.deepEqual(seen, [...names, ...names.toReversed(), ...names]);
  });
}

function durabilityTests(storeTest: StoreTest): void {
  storeTest('an object that is there can be made durable, any number of times, and stays what it is', async (store) => {
    await store.put(KEY, Buffer.from('x'));
    await store.ensureDurable(KEY);
    await store.ensureDurable(KEY);
    assert.deepEqual(await store.get(KEY, 1), Buffer.from('x'));
  });

  storeTest('an object that is missing cannot be relied on', async (store) => {
    await store.put(KEY, Buffer.from('x'));
    await store.delete([KEY]);
    for (const name of [KEY, 'projects', 'projects/p1', 'no/folder']) {
      await assert.rejects(store.ensureDurable(name), { code: 'OBJECT_NOT_FOUND' }, name);
    }
  });
}

function listingTests(storeTest: StoreTest): void {
  const names = ['a', 'b-x/2', 'b.y', 'b/1', 'b/10', 'b/2/z', 'b/Z', 'b0/1', 'c'];

  storeTest('everything is listed in the order of names, by code unit', async (store) => {
    for (const name of names.toReversed()) await store.put(name, Buffer.from(name));
    const expected = names.toSorted().map((name) => ({ name, sizeBytes: name.length }));
    assert.deepEqual(await listAll(store, ''), expected);
  });

  storeTest('a prefix lists whole segments only', async (store) => {
    for (const name of names) await store.put(name, Buffer.from(name));
    const listed = (await listAll(store, 'b/')).map((info) => info.name);
    assert.deepEqual(listed, ['b/1', 'b/10', 'b/2/z', 'b/Z']);
    assert.deepEqual(await listAll(store, 'b/2/z/'), []);
    assert.deepEqual(await listAll(store, 'nothing/here/'), []);
  });

  storeTest('a listing can be left early, and survives deletions meanwhile', async (store) => {
    for (const name of names) await store.put(name, Buffer.from(name));
    for await (const info of store.list('')) {
      assert.equal(info.name, 'a');
      break;
    }
    const seen: string[] = [];
    for await (const info of store.list('')) {
      seen.push(info.name);
      await store.delete(names);
    }
    assert.equal(seen[0], 'a');
    assert.deepEqual(await listAll(store, ''), []);
  });
}

function deletingTests(storeTest: StoreTest): void {
  storeTest('deleting is idempotent and passes missing names over', async (store) => {
    await store.put('a/1', Buffer.from('1'));
    await store.put('a/2', Buffer.from('2'));
    assert.equal((await store.readRange('a/1', 0, 1)).toString(), '1');
    await store.delete(['a/1', 'a/none', 'no/folder']);
    await store.delete(['a/1']);
    await store.delete([]);
    assert.equal(await store.head('a/1'), undefined);
    await assert.rejects(store.readRange('a/1', 0, 1), { code: 'OBJECT_NOT_FOUND' });
    assert.deepEqual(
      (await listAll(store, '')).map((info) => info.name),
      ['a/2'],
    );
  });

  storeTest('a deleted name can be used again', async (store) => {
    await store.put(KEY, Buffer.from('old'));
    await store.readRange(KEY, 0, 3);
    await store.delete([KEY]);
    await store.put(KEY, Buffer.from('new!'));
    assert.equal((await store.readRange(KEY, 0, 10)).toString(), 'new!');
    assert.equal((await store.readSuffix(KEY, 1)).sizeBytes, 4);
  });

  storeTest('many names are deleted in one call', async (store) => {
    const names = Array.from({ length: 40 }, (_, index) => `d/${index % 3}/${index}`);
    for (const name of names) await store.put(name, Buffer.from(name));
    await store.delete(names);
    assert.deepEqual(await listAll(store, ''), []);
  });
}

function nameTests(storeTest: StoreTest): void {
  const bad = [
    '',
    '/',
    '/a',
    'a/',
    'a//b',
    '.',
    '..',
    '../x',
    'a/../b',
    'a/./b',
    '.tmp/x',
    'a/.hidden',
    'a b',
    'ä',
    'a\\b',
    'a\0b',
    'a\n',
    'x'.repeat(256),
    `${'x/'.repeat(256)}y`,
  ];

  storeTest('names that could lead elsewhere are refused by every operation', async (store) => {
    for (const name of bad) {
      const refused = { code: 'ERR_ASSERTION' };
      await assert.rejects(store.create(name), refused, name);
      await assert.rejects(store.put(name, Buffer.from('x')), refused, name);
      await assert.rejects(store.replace(name, Buffer.from('x')), refused, name);
      await assert.rejects(store.get(name, 1), refused, name);
      await assert.rejects(store.readRange(name, 0, 1), refused, name);
      await assert.rejects(store.readSuffix(name, 1), refused, name);
      await assert.rejects(store.head(name), refused, name);
      await assert.rejects(store.ensureDurable(name), refused, name);
      await assert.rejects(store.delete([name]), refused, name);
    }
    for (const prefix of ['a', '/', '../', 'a//'])
      await assert.rejects(listAll(store, prefix), { code: 'ERR_ASSERTION' });
    assert.deepEqual(await listAll(store, ''), []);
  });

  storeTest('names up to the limits are good', async (store) => {
    const longest = ['x'.repeat(255), 'y'.repeat(255)].join('/').padEnd(511, 'y');
    for (const name of ['A-b_c.d', '-', '_', 'a..b', longest]) {
      await store.put(name, Buffer.from('x'));
      assert.deepEqual(await store.head(name), { name, sizeBytes: 1 });
    }
  });
}

function signalTests(storeTest: StoreTest): void {
  storeTest('an aborted signal stops every operation with its reason, and nothing is left', async (store) => {
    await store.put('there', Buffer.from('x'));
    const signal = AbortSignal.abort(new Error('stop'));
    const stopped = { message: 'stop' };
    await assert.rejects(store.create(KEY, signal), stopped);
    await assert.rejects(store.put(KEY, Buffer.from('x'), signal), stopped);
    await assert.rejects(store.replace(KEY, Buffer.from('x'), signal), stopped);
    await assert.rejects(store.get('there', 1, signal), stopped);
    await assert.rejects(store.readRange('there', 0, 1, signal), stopped);
    await assert.rejects(store.readSuffix('there', 1, signal), stopped);
    await assert.rejects(store.head('there', signal), stopped);
    await assert.rejects(store.ensureDurable('there', signal), stopped);
    await assert.rejects(listAll(store, '', signal), stopped);
    await assert.rejects(store.delete(['there'], signal), stopped);
    assert.deepEqual(await listAll(store, ''), [{ name: 'there', sizeBytes: 1 }]);
  });

  storeTest('a signal given to create stops the writer too', async (store) => {
    const controller = new AbortController();
    const writer = await store.create(KEY, controller.signal);
    await writer.write(Buffer.from('x'));
    controller.abort(new Error('stop'));
    await assert.rejects(writer.write(Buffer.from('y')), { message: 'stop' });
    await assert.rejects(writer.commit(), { message: 'stop' });
    await writer.abort();
    assert.equal(await store.head(KEY), undefined);
  });
}

async function listAll(store: ObjectStore, prefix: string, signal?: AbortSignal): Promise<ObjectInfo[]> {
  return await Array.fromAsync(store.list(prefix, signal));
}
