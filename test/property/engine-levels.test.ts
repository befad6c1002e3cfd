// Disks so large that their manifests have two and three levels of pages. They are sparse, so they cost little.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BackupId } from '../../src/core/ids.ts';
import { CHUNK_SIZE_BYTES } from '../../src/core/limits.ts';
import { openBackup } from '../../src/engine/backup-reader.ts';
import type { WrittenBackup } from '../../src/engine/backup-writer.ts';
import { ManifestReader } from '../../src/engine/manifest-reader.ts';
import { EngineBench } from '../support/engine-bench.ts';
import { fixedBytes } from '../support/fixed-bytes.ts';
import { type Piece, SparseDisk } from '../support/sparse-disk.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

function chunkAt(offsetBytes: number, seed: number, lengthBytes: number = CHUNK_SIZE_BYTES): Piece {
  return { offsetBytes, bytes: fixedBytes(seed, lengthBytes) };
}

/** Slots of the packs that a backup stored, by kind; more than one pack of a kind is a failure. */
function storedSlots(bench: EngineBench, { commit }: WrittenBackup): { data: number; page: number; objects: number } {
  const slots = { data: 0, page: 0, objects: commit.objectCount };
  for (const { packId, slotCount } of commit.packs) {
    const kind = bench.ledger.packs.get(packId)?.kind;
    assert(kind && slots[kind] === 0, 'one pack of a kind');
    slots[kind] = slotCount;
  }
  return slots;
}

async function manifestOf(bench: EngineBench, backupId: BackupId): Promise<ManifestReader> {
  const row = bench.ledger.backups.get(backupId);
  assert(row);
  return ManifestReader.open(bench.repository, await bench.repository.openProject(bench.projectId), row);
}

async function assertReads(bench: EngineBench, disk: SparseDisk, backupId: BackupId): Promise<void> {
  const reader = await openBackup(bench.repository, { claim: bench.newClaim(), backupId });
  assert.equal(reader.sizeBytes, disk.sizeBytes);
  const found = [];
  for await (const extent of reader.dataExtents({ offsetBytes: 0, lengthBytes: disk.sizeBytes })) found.push(extent);
  const expected = disk.pieces.map(({ offsetBytes, bytes }) => ({ offsetBytes, lengthBytes: bytes.length }));
  assert.deepEqual(
    found,
    expected.toSorted((a, b) => a.offsetBytes - b.offsetBytes),
  );
  for (const { offsetBytes, lengthBytes } of expected) {
    const from = Math.max(0, offsetBytes - 5000);
    const length = Math.min(disk.sizeBytes, offsetBytes + lengthBytes + 5000) - from;
    assert((await reader.read(from, length)).equals(await disk.read(from, length)), `bytes at ${from}`);
  }
}

test('an increment of one chunk stores a chunk, a page a level below the top, and a record', async () => {
  await using bench = await EngineBench.start();
  const pieces = [chunkAt(0, 1), chunkAt(30 * GIB, 2), chunkAt(60 * GIB - CHUNK_SIZE_BYTES, 3)];
  const two = await SparseDisk.make(bench, 'two', 60 * GIB, pieces);
  const full = await two.backUp();
  assert.deepEqual(storedSlots(bench, full), { data: 3, page: 3, objects: 3 });
  await assertReads(bench, two, full.commit.backupId);

  const again = await two.backUp();
  assert.deepEqual(storedSlots(bench, again), { data: 0, page: 0, objects: 1 });

  const changed = await SparseDisk.make(bench, 'changed', 60 * GIB, [...pieces, chunkAt(30 * GIB + MIB, 4)]);
  const one = await changed.backUp();
  assert.deepEqual(storedSlots(bench, one), { data: 1, page: 1, objects: 3 });
  assert.equal((await manifestOf(bench, one.commit.backupId)).record.levels, 2);
  await assertReads(bench, changed, one.commit.backupId);

  // Over the boundary: what was the top page in the record becomes a stored page, and there is one more beside it.
  const beyond = [...changed.pieces, chunkAt(65 * GIB, 5), chunkAt(66 * GIB + MIB, 6, 777)];
  const three = await SparseDisk.make(bench, 'three', 66 * GIB + MIB + 777, beyond);
  const grown = await three.backUp();
  assert.deepEqual(storedSlots(bench, grown), { data: 2, page: 2 + 2, objects: 3 });
  assert.equal((await manifestOf(bench, grown.commit.backupId)).record.levels, 3);
  await assertReads(bench, three, grown.commit.backupId);

  const last = await SparseDisk.make(bench, 'last', three.sizeBytes, [...beyond, chunkAt(2 * GIB, 7)]);
  const increment = await last.backUp();
  assert.deepEqual(storedSlots(bench, increment), { data: 1, page: 2, objects: 3 });
  await assertReads(bench, last, increment.commit.backupId);
  await assertShared(bench, grown.commit.backupId, increment.commit.backupId);

  // And back under it, cutting a chunk in two.
  const cut = await SparseDisk.make(bench, 'cut', 30 * GIB + 100, [
    chunkAt(0, 1),
    chunkAt(2 * GIB, 7),
    chunkAt(30 * GIB, 2, 100),
  ]);
  const shrunk = await cut.backUp();
  assert.equal(storedSlots(bench, shrunk).data, 1);
  for (const [disk, { commit }] of [
    [cut, shrunk],
    [two, full],
    [changed, one],
    [last, increment],
  ] as const) {
    await assertReads(bench, disk, commit.backupId);
  }
});

/** Of two backups that differ at 2 GiB only: every other page is the very same one. */
async function assertShared(bench: EngineBench, beforeId: BackupId, afterId: BackupId): Promise<void> {
  const [before, after] = [await manifestOf(bench, beforeId), await manifestOf(bench, afterId)];
  for (const gib of [0, 30, 60 - 1 / 16, 65, 66]) {
    const address = await before.pageAddress(0, gib * 16);
    assert(address, `${gib} GiB`);
    assert.deepEqual(await after.pageAddress(0, gib * 16), address);
  }
  assert.equal(await before.pageAddress(0, 32), undefined);
  assert(await after.pageAddress(0, 32));
  assert.notDeepEqual(await after.pageAddress(1, 0), await before.pageAddress(1, 0));
  assert.deepEqual(await after.pageAddress(1, 1), await before.pageAddress(1, 1));
}

test('a reader yields the bytes of the disk at any range', async () => {
  await using bench = await EngineBench.start();
  const sizeBytes = 70 * MIB + 12_345;
  const pieces = [chunkAt(100_000, 1, 3 * MIB), chunkAt(63 * MIB, 2, 2 * MIB), chunkAt(sizeBytes - 999, 3, 999)];
  const disk = await SparseDisk.make(bench, 'disk', sizeBytes, [...pieces, chunkAt(20 * MIB, 1, 3 * MIB)]);
  const { commit } = await disk.backUp();
  const reader = await openBackup(bench.repository, { claim: bench.newClaim(), backupId: commit.backupId });
  const near = fc.constantFrom(0, 99_999, 131_072, 3 * MIB, 20 * MIB, 64 * MIB, 65 * MIB, sizeBytes - 1000, sizeBytes);
  const offset = fc.oneof(fc.nat(sizeBytes), near);
  await fc.assert(
    fc.asyncProperty(offset, fc.oneof(fc.nat(300_000), fc.nat(70 * MIB)), async (offsetBytes, most) => {
      const lengthBytes = Math.min(most, sizeBytes - offsetBytes);
      const bytes = await reader.read(offsetBytes, lengthBytes);
      assert(bytes.equals(await disk.read(offsetBytes, lengthBytes)));
      for await (const extent of reader.dataExtents({ offsetBytes, lengthBytes })) {
        assert(extent.lengthBytes > 0 && extent.offsetBytes >= offsetBytes);
        bytes.fill(0, extent.offsetBytes - offsetBytes, extent.offsetBytes - offsetBytes + extent.lengthBytes);
      }
      assert(
        bytes.every((byte) => byte === 0),
        'there is data outside the extents that were told',
      );
    }),
    { numRuns: 30 },
  );
  await assert.rejects(reader.read(sizeBytes - 1, 2), RangeError);
  await assert.rejects(reader.read(-1, 2), RangeError);
});

test('a large sparse disk does not keep the event loop from other work', async () => {
  await using bench = await EngineBench.start();
  const disk = await SparseDisk.make(bench, 'disk', 1024 * GIB, [chunkAt(0, 1), chunkAt(1023 * GIB, 2)]);
  let tickCount = 0;
  const timer = setInterval(() => {
    tickCount += 1;
  }, 1).unref();
  const { commit } = await disk.backUp();
  assert(tickCount > 30, `${tickCount} ticks during the backup`);
  tickCount = 0;
  await disk.assertRestores(commit.backupId);
  assert(tickCount > 30, `${tickCount} ticks during the restore`);
  clearInterval(timer);
});
