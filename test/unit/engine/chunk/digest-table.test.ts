import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { DigestTable, RecentDigests } from '../../../../src/engine/chunk/digest-table.ts';

/** Digests that fall into few cells, so that probing is put to the test. */
function digestOf(n: number): Buffer {
  const digest = Buffer.alloc(32);
  digest.writeUInt32LE(n % 3, 0);
  digest.writeUInt32LE(n, 28);
  return digest;
}

test('a digest table holds what a map would, and the first value of each digest', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(100), { maxLength: 300 }), (numbers) => {
      const table = new DigestTable(101);
      const expected = new Map<number, number>();
      numbers.forEach((n, value) => {
        table.insert(digestOf(n), 0, value);
        if (!expected.has(n)) expected.set(n, value);
      });
      assert.equal(table.count, expected.size);
      for (let n = 0; n <= 100; n += 1) assert.equal(table.find(digestOf(n), 0), expected.get(n));
    }),
  );
});

test('a table that is full still takes what it has, and nothing else', () => {
  const table = new DigestTable(2);
  table.insert(digestOf(1), 0, 1);
  table.insert(digestOf(2), 0, 2);
  assert(table.isFull);
  table.insert(digestOf(1), 0, 3);
  assert.equal(table.find(digestOf(1), 0), 1);
  assert.throws(() => table.insert(digestOf(3), 0, 3), /never grows/);
  assert.equal(new DigestTable(0).find(digestOf(1), 0), undefined);
});

test('recent digests are kept for at least half the capacity and given up after all of it', () => {
  const recent = new RecentDigests(20);
  for (let n = 0; n < 100; n += 1) {
    recent.insert(digestOf(n), 0, n);
    for (let back = 0; back < 10 && back <= n; back += 1) assert.equal(recent.find(digestOf(n - back), 0), n - back);
    if (n >= 20) assert.equal(recent.find(digestOf(n - 20), 0), undefined);
  }
});

test('recent digests are all found while their table grows to its bound', () => {
  const recent = new RecentDigests(20_000);
  const digests = Array.from({ length: 10_000 }, (_, i) => hash('sha256', String(i), 'buffer'));
  digests.forEach((digest, i) => {
    recent.insert(digest, 0, i);
  });
  digests.forEach((digest, i) => {
    assert.equal(recent.find(digest, 0), i);
  });
});
