import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { type JobId, newHexId, newUuid, type ObjectId, type PackId, type ProjectId } from '../../../src/core/ids.ts';
import type { JobClaim, PackUse } from '../../../src/core/ledger.ts';
import { CHUNK_SIZE_BYTES } from '../../../src/core/limits.ts';
import { DedupIndex } from '../../../src/engine/dedup-index.ts';
import { MemoryStore } from '../../../src/storage/memory-store.ts';
import { compactPack } from '../../support/compact-pack.ts';
import { EngineBench } from '../../support/engine-bench.ts';
import { FaultyStore } from '../../support/faulty-store.ts';
import { fixedBytes } from '../../support/fixed-bytes.ts';
import { MemoryLedger } from '../../support/memory-ledger.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 8 * MIB;

/** A ledger in which something happens to a pack between finding it and entering a use of it. */
class RacingLedger extends MemoryLedger {
  beforeUse: (packId: PackId) => Promise<void> = async () => undefined;

  override async usePack(claim: JobClaim, packId: PackId): Promise<PackUse | undefined> {
    await this.beforeUse(packId);
    return super.usePack(claim, packId);
  }
}

/** A bench with one committed backup of 8 MiB of data, and a disk that holds the same data at other places. */
async function startWithCopy(ledger = new RacingLedger()) {
  const bench = await EngineBench.start(new MemoryStore(), ledger);
  const data = fixedBytes(3, SIZE_BYTES);
  const first = await bench.backUp(await bench.makeDisk('disk', SIZE_BYTES, [{ offsetBytes: 0, bytes: data }]));
  const sizeBytes = SIZE_BYTES + MIB;
  const moved = await bench.makeDisk('moved', sizeBytes, [{ offsetBytes: MIB, bytes: data }]);
  const [packId] = first.commit.packs.map((pack) => pack.packId);
  assert(packId && first.commit.packs.length === 1);
  return { bench, ledger, moved, packId, sizeBytes };
}

async function assertRestores(bench: EngineBench, backupId: Parameters<EngineBench['restore']>[0], path: string) {
  const expected = await readFile(path);
  const restored = await bench.restore(backupId, 'restored', { readsZero: true, sizeBytes: expected.length });
  assert(expected.equals(await readFile(restored)), 'the restored disk differs');
}

/** All bits set: every slot of a pack. */
const everySlot = Buffer.alloc(8192, 0xff);

function bitmapOf(...slots: number[]): Buffer {
  const bitmap = Buffer.alloc(8192);
  for (const slot of slots) bitmap[slot >> 3] = (bitmap[slot >> 3] ?? 0) | (1 << (slot & 7));
  return bitmap;
}

test('another job is found out by its hooks, and exactly its pack is entered as used', async () => {
  const { bench, ledger, moved, packId } = await startWithCopy();
  await using _ = bench;
  const second = await bench.write(moved, { isIncremental: false });
  assert.deepEqual(second.commit.usedPackIds, [packId]);
  assert.deepEqual([...(ledger.uses.get(second.claim.jobId) ?? [])], [packId]);
  assert(second.commit.storedBytes < 4 * MIB, `stored ${second.commit.storedBytes}`);
  await bench.commit(second);
  assert.deepEqual(ledger.uses.size, 0);
  await assertRestores(bench, second.commit.backupId, moved);
});

test('a commit without its use is refused', async () => {
  const { bench, ledger, moved } = await startWithCopy();
  await using _ = bench;
  const second = await bench.write(moved, { isIncremental: false });
  ledger.uses.clear();
  await assert.rejects(bench.commit(second), { code: 'COMMIT_CHECK_FAILED' });
});

test('an increment uses no pack of its parent: the pin holds them', async () => {
  const { bench, ledger } = await startWithCopy();
  await using _ = bench;
  const again = await bench.write(bench.path('disk'));
  assert.deepEqual(again.commit.usedPackIds, []);
  assert.deepEqual(again.commit.packs, []);
  assert.equal(ledger.pins.get(again.claim.jobId)?.size, 1);
});

test('a pack that is retired between being found and being used is not used', async () => {
  const { bench, ledger, moved, packId } = await startWithCopy();
  await using _ = bench;
  let lookCount = 0;
  ledger.beforeUse = async () => {
    lookCount += 1;
    const row = ledger.packs.get(packId);
    if (row) row.state = 'retired';
  };
  const second = await bench.write(moved, { isIncremental: false });
  assert.equal(lookCount, 1, 'a refused pack is asked for once');
  assert.deepEqual(second.commit.usedPackIds, []);
  assert(second.commit.storedBytes > SIZE_BYTES);
  await bench.commit(second);
  await assertRestores(bench, second.commit.backupId, moved);
});

test('a pack of another project is never used', async () => {
  const { bench, moved } = await startWithCopy();
  await using _ = bench;
  const { claim } = await bench.write(moved, { claim: { ...bench.newClaim(), projectId: bench.projectId } });
  await bench.ledger.failBackup(claim);
  const stranger: JobClaim = { jobId: newUuid<JobId>(), attempt: 1, projectId: newHexId<ProjectId>() };
  const second = await bench.write(moved, { claim: stranger, isIncremental: false });
  assert.deepEqual(second.commit.usedPackIds, []);
  assert(second.commit.storedBytes > SIZE_BYTES);
});

test('condemned and bad slots are not taken, and all others are', async () => {
  for (const kind of ['condemned', 'bad'] as const) {
    const { bench, ledger, moved, packId } = await startWithCopy();
    await using _ = bench;
    const whole = await bench.write(moved, { isIncremental: false });
    await ledger.failBackup(whole.claim);
    ledger[kind].set(packId, everySlot);
    const none = await bench.write(moved, { isIncremental: false });
    assert(none.commit.storedBytes > SIZE_BYTES, `${kind}: stored ${none.commit.storedBytes}`);
    await ledger.failBackup(none.claim);
    // Slots 70 to 72 lie in the run that was found with none condemned.
    ledger[kind].set(packId, bitmapOf(70, 71, 72));
    const rest = await bench.write(moved, { isIncremental: false });
    const moreBytes = rest.commit.storedBytes - whole.commit.storedBytes;
    assert(moreBytes > 2.9 * CHUNK_SIZE_BYTES && moreBytes < 3.5 * CHUNK_SIZE_BYTES, `${kind}: ${moreBytes} more`);
    await bench.commit(rest);
    await assertRestores(bench, rest.commit.backupId, moved);
  }
});

test('bad slots are not inherited from the parent: the chunks are stored again', async () => {
  const { bench, ledger, packId } = await startWithCopy();
  await using _ = bench;
  ledger.bad.set(packId, bitmapOf(5, 100));
  const { commit } = await bench.backUp(bench.path('disk'));
  assert.deepEqual(
    commit.packs.map((pack) => pack.slotCount),
    [2],
  );
  assert(commit.isIncremental);
  // Even with the old pack gone from those slots the backup restores.
  await compactPack(bench, packId, [5, 100]);
  await assertRestores(bench, commit.backupId, bench.path('disk'));
});

test('of a pack compacted between being found and being used only what is left is taken', async () => {
  const { bench, ledger, moved, packId } = await startWithCopy();
  await using _ = bench;
  const whole = await bench.write(moved, { isIncremental: false });
  await ledger.failBackup(whole.claim);
  // The trailer of the old object is in memory by now.
  const dead = Array.from({ length: 128 }, (_slot, slot) => slot).filter((slot) => slot % 3 !== 1);
  let isCompacted = false;
  ledger.beforeUse = async () => {
    if (!isCompacted) await compactPack(bench, packId, dead);
    isCompacted = true;
  };
  const second = await bench.write(moved, { isIncremental: false });
  assert(isCompacted);
  assert.deepEqual(second.commit.usedPackIds, [packId]);
  const savedBytes = SIZE_BYTES - second.commit.storedBytes;
  assert(savedBytes > 10 * CHUNK_SIZE_BYTES && savedBytes < 45 * CHUNK_SIZE_BYTES, `saved ${savedBytes}`);
  await bench.commit(second);
  await assertRestores(bench, second.commit.backupId, moved);
});

test('packs of an earlier attempt that are damaged or missing are passed over', async () => {
  await using bench = await EngineBench.start();
  const path = await bench.makeDisk('disk', SIZE_BYTES, [{ offsetBytes: 0, bytes: fixedBytes(4, SIZE_BYTES) }]);
  const claim = bench.newClaim();
  const cut = await bench.write(path, { claim });
  // The cast: EngineBench makes a MemoryStore unless told otherwise.
  const store = bench.store as MemoryStore;
  const name = [...cut.commit.packs].map(({ packId }) => {
    const row = bench.ledger.packs.get(packId);
    return `projects/${bench.projectId}/packs/${packId.slice(0, 2)}/${packId}.${row?.objectId}`;
  })[0];
  assert(name);
  store.tamper(name, (bytes) => bytes.subarray(0, bytes.length - 1));
  await bench.ledger.reservePacks(claim, [{ packId: newUuid<PackId>(), kind: 'data', objectId: newUuid<ObjectId>() }]);
  const repository = await bench.reopen();
  const again = await bench.write(path, { claim, backupId: cut.commit.backupId, repository });
  assert.equal(again.commit.packs.length, 1);
  assert.notEqual(again.commit.packs[0]?.packId, cut.commit.packs[0]?.packId);
  await bench.commit({ ...again, claim });
  await assertRestores(bench, again.commit.backupId, path);
});

test('a pack of an earlier attempt is made durable before it is used, or passed over', async () => {
  for (const isFailing of [false, true]) {
    const store = new FaultyStore(new MemoryStore());
    await using bench = await EngineBench.start(store);
    const path = await bench.makeDisk('disk', SIZE_BYTES, [{ offsetBytes: 0, bytes: fixedBytes(4, SIZE_BYTES) }]);
    const claim = bench.newClaim();
    const cut = await bench.write(path, { claim });
    const [resumed] = cut.commit.packs;
    assert(resumed);
    if (isFailing) store.setRules([{ operation: 'ensureDurable', effect: 'EIO' }]);
    const repository = await bench.reopen();
    const again = await bench.write(path, { claim, backupId: cut.commit.backupId, repository });
    const synced = store.calls.filter(({ operation }) => operation === 'ensureDurable');
    assert.equal(synced.length, cut.commit.packs.length);
    assert(synced[0]?.name.includes(resumed.packId));
    const isUsed = again.commit.packs.some(({ packId }) => packId === resumed.packId);
    assert.equal(isUsed, !isFailing);
    await bench.commit({ ...again, claim });
    await assertRestores(bench, again.commit.backupId, path);
  }
});

test('chunks of an earlier attempt are found by their digests, each in its own slot', async () => {
  const { bench, packId } = await startWithCopy();
  await using _ = bench;
  const row = bench.ledger.packs.get(packId);
  assert(row);
  const claim = { jobId: row.jobId, attempt: 2, projectId: bench.projectId };
  row.state = 'writing';
  const project = await bench.repository.openProject(bench.projectId);
  const dedup = new DedupIndex({ repository: bench.repository, project, claim });
  await dedup.resume();
  const index = await bench.repository.packIndex(project, row);
  let slotCount = 0;
  index.forEachDigest((slot, digests, offset) => {
    slotCount += 1;
    assert.deepEqual(dedup.findOwn(digests, offset), { packId, slot });
  });
  assert.equal(slotCount, SIZE_BYTES / CHUNK_SIZE_BYTES);
  assert.deepEqual(dedup.resumedPack(packId), { slotCount, storedBytes: index.storedBytes });
  assert.equal(dedup.findOwn(Buffer.alloc(32), 0), undefined);
  assert.equal(dedup.resumedPack(newUuid<PackId>()), undefined);
});
