import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GIB, MIB } from '../../../src/core/bytes.ts';
import { type BackupId, newUuid } from '../../../src/core/ids.ts';
import { CHUNK_SIZE_BYTES } from '../../../src/core/limits.ts';
import { packObjectName } from '../../../src/core/object-names.ts';
import { type DiffPage, diffBackups } from '../../../src/engine/backup-diff.ts';
import { MemoryStore } from '../../../src/storage/memory-store.ts';
import type { Extent } from '../../../src/volumes/extent.ts';
import { EngineBench } from '../../support/engine-bench.ts';
import { fixedBytes } from '../../support/fixed-bytes.ts';
import { SparseDisk } from '../../support/sparse-disk.ts';

type Options = { readonly offsetBytes?: number; readonly limit?: number; readonly signal?: AbortSignal };

async function diff(bench: EngineBench, fromId: BackupId, toId: BackupId, options: Options = {}): Promise<DiffPage> {
  const claim = bench.newClaim();
  try {
    return await diffBackups(bench.repository, { claim, fromId, toId, offsetBytes: 0, limit: 1000, ...options });
  } finally {
    bench.ledger.endJob(claim);
  }
}

async function backUp(bench: EngineBench, name: string, sizeBytes: number, pieces: SparseDisk['pieces']) {
  const disk = await SparseDisk.make(bench, name, sizeBytes, pieces);
  return (await disk.backUp()).commit.backupId;
}

const chunk = (index: number, count = 1): Extent => ({
  offsetBytes: index * CHUNK_SIZE_BYTES,
  lengthBytes: count * CHUNK_SIZE_BYTES,
});
const data = (index: number, seed: number, count = 1) => ({
  offsetBytes: index * CHUNK_SIZE_BYTES,
  bytes: fixedBytes(seed, count * CHUNK_SIZE_BYTES),
});

test('data that came, went and changed differs, and neighbours are joined', async () => {
  await using bench = await EngineBench.start();
  const from = await backUp(bench, 'a', 200 * MIB, [data(3, 1, 4), data(1500, 2), data(3000, 3)]);
  const to = await backUp(bench, 'b', 200 * MIB, [data(3, 1, 4), data(4, 9, 2), data(1500, 2), data(3100, 4)]);
  const { extents, nextOffsetBytes } = await diff(bench, from, to);
  assert.deepEqual(extents, [chunk(4, 2), chunk(3000), chunk(3100)]);
  assert.equal(nextOffsetBytes, undefined);
  assert.deepEqual((await diff(bench, to, from)).extents, extents);
  assert.deepEqual((await diff(bench, to, to)).extents, []);
});

test('the same content at other addresses is the same', async () => {
  await using bench = await EngineBench.start();
  const pieces = [data(3, 1, 4), data(1500, 2)];
  const from = await backUp(bench, 'a', 200 * MIB, pieces);
  // Nothing is known of the first backup's packs, so the second stores all again.
  const packs = [...bench.ledger.packs.keys()];
  for (const packId of packs) bench.ledger.bad.set(packId, Buffer.alloc(8192, 0xff));
  const to = await backUp(bench, 'b', 200 * MIB, pieces);
  assert(bench.ledger.packs.size > packs.length, 'it was stored twice');
  assert.deepEqual((await diff(bench, from, to)).extents, []);
});

test('beyond the end of the smaller one all differs, to the byte', async () => {
  await using bench = await EngineBench.start();
  const from = await backUp(bench, 'a', 10 * MIB + 100, [data(0, 1)]);
  const to = await backUp(bench, 'b', 130 * MIB + 7, [data(0, 1), data(2000, 2)]);
  const expected = [{ offsetBytes: 10 * MIB + 100, lengthBytes: 120 * MIB - 93 }];
  for (const [left, right] of [
    [from, to],
    [to, from],
  ] as const) {
    const { extents, fromSizeBytes, toSizeBytes } = await diff(bench, left, right);
    assert.deepEqual(extents, expected);
    assert.deepEqual([fromSizeBytes, toSizeBytes].sort(), [10 * MIB + 100, 130 * MIB + 7].sort());
  }
});

test('volumes of many levels are compared by their pages', async () => {
  await using bench = await EngineBench.start();
  const sizeBytes = 70 * GIB;
  const far = Math.floor((69 * GIB) / CHUNK_SIZE_BYTES);
  const from = await backUp(bench, 'a', sizeBytes, [data(1, 1), data(far, 2)]);
  const to = await backUp(bench, 'b', sizeBytes, [data(1, 1), data(far, 3)]);
  assert.deepEqual((await diff(bench, from, to)).extents, [chunk(far)]);
  const small = await backUp(bench, 'c', GIB, [data(1, 1), data(2, 1)]);
  assert.deepEqual((await diff(bench, to, small)).extents, [chunk(2), { offsetBytes: GIB, lengthBytes: 69 * GIB }]);
});

test('a long answer comes in pages', async () => {
  await using bench = await EngineBench.start();
  const pieces = Array.from({ length: 25 }, (_, i) => data(i * 100, i + 1));
  const from = await backUp(bench, 'a', 200 * MIB, []);
  const to = await backUp(bench, 'b', 200 * MIB, pieces);
  const found: Extent[] = [];
  let pageCount = 0;
  for (let offsetBytes: number | undefined = 0; offsetBytes !== undefined; pageCount += 1) {
    const page: DiffPage = await diff(bench, from, to, { offsetBytes, limit: 10 });
    found.push(...page.extents);
    offsetBytes = page.nextOffsetBytes;
  }
  assert.equal(pageCount, 3);
  assert.deepEqual(
    found,
    Array.from({ length: 25 }, (_, i) => chunk(i * 100)),
  );
  const { extents } = await diff(bench, from, to, { offsetBytes: 100 * CHUNK_SIZE_BYTES + 5, limit: 1 });
  assert.deepEqual(extents, [{ offsetBytes: 100 * CHUNK_SIZE_BYTES + 5, lengthBytes: CHUNK_SIZE_BYTES - 5 }]);
});

test('what cannot be read any more counts as different', async () => {
  const store = new MemoryStore();
  await using bench = await EngineBench.start(store);
  const from = await backUp(bench, 'a', 200 * MIB, [data(3, 1)]);
  const pack = [...bench.ledger.packs.values()].find(({ kind }) => kind === 'data') ?? assert.fail();
  const to = await backUp(bench, 'b', 200 * MIB, [data(3, 2)]);
  await store.delete([packObjectName(bench.projectId, pack)]);
  assert.deepEqual((await diff(bench, from, to)).extents, [chunk(3)]);
});

test('backups that are gone are not found, and a comparison can be cancelled', async () => {
  await using bench = await EngineBench.start();
  const from = await backUp(bench, 'a', MIB, [data(3, 1)]);
  await assert.rejects(diff(bench, from, newUuid<BackupId>()), { code: 'BACKUP_NOT_FOUND' });
  await assert.rejects(diff(bench, from, from, { signal: AbortSignal.abort() }), { name: 'AbortError' });
});

test('any two backups differ in exactly the chunks that differ', async () => {
  await using bench = await EngineBench.start();
  const place = fc.tuple(fc.integer({ min: 0, max: 2100 }), fc.integer({ min: 1, max: 6 }));
  const disks = fc.array(fc.array(place, { maxLength: 12 }), { minLength: 2, maxLength: 4 });
  const property = fc.asyncProperty(disks, async (contents) => {
    const backups: BackupId[] = [];
    for (const [i, places] of contents.entries()) {
      const pieces = places.map(([index, seed]) => data(index, seed));
      backups.push(await backUp(bench, `disk-${i}`, 132 * MIB, pieces));
    }
    const [first, last] = [new Map(contents[0]), new Map(contents.at(-1))];
    const changed = Array.from({ length: 2112 }, (_, i) => i).filter((i) => first.get(i) !== last.get(i));
    const { extents } = await diff(bench, backups[0] ?? assert.fail(), backups.at(-1) ?? assert.fail());
    const found = extents.flatMap(({ offsetBytes, lengthBytes }) =>
      Array.from({ length: lengthBytes / CHUNK_SIZE_BYTES }, (_, i) => offsetBytes / CHUNK_SIZE_BYTES + i),
    );
    assert.deepEqual(found, changed);
  });
  await fc.assert(property, { numRuns: 15 });
});
