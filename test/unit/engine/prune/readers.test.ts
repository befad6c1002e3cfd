// Readers and writers beside compaction: an object that they knew is gone, and they go on with the current one.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { ObjectId } from '../../../../src/core/ids.ts';
import type { CompactionResult } from '../../../../src/core/ledger.ts';
import { CHUNK_SIZE_BYTES } from '../../../../src/core/limits.ts';
import { openBackup } from '../../../../src/engine/backup-reader.ts';
import { compactPack } from '../../../../src/engine/prune/compact-pack.ts';
import { runPrune } from '../../../../src/engine/prune/run-prune.ts';
import { MemoryStore } from '../../../../src/storage/memory-store.ts';
import { EngineBench } from '../../../support/engine-bench.ts';
import { FaultyStore, type StoreOperation } from '../../../support/faulty-store.ts';
import { MemoryLedger } from '../../../support/memory-ledger.ts';
import { assertNothingElseStored, assertRestores, makeDisk, prune, signal } from './prune-bench.ts';

const NONE = new Map<number, number>();
const later = new Map(Array.from({ length: 40 }, (_, i) => [i, 7000 + i] as const).filter(([i]) => i % 16 !== 2));

/** A backup that shares a part of a pack with one that is deleted; the pack is worth compacting. */
async function startHalfDead(store = new FaultyStore(new MemoryStore()), ledger = new MemoryLedger()) {
  const bench = await EngineBench.start(store, ledger);
  const first = await bench.backUp(await makeDisk(bench, 'disk', 64, NONE));
  const path = await makeDisk(bench, 'later', 64, later);
  const second = await bench.backUp(path);
  await bench.ledger.deleteBackup(first.commit.backupId);
  const [pack] = first.commit.packs;
  assert(pack);
  return { bench, store, ledger, path, backupId: second.commit.backupId, packId: pack.packId };
}

test('a restore goes on when the pack it reads is compacted and the old object is gone', async () => {
  const { bench, store, path, backupId } = await startHalfDead();
  await using _ = bench;
  let isPruned = false;
  const readRange = store.readRange.bind(store);
  store.readRange = async (name, offset, length, abort) => {
    // The trailers are known by then; this is the first read of chunks.
    if (!isPruned && name.includes('/packs/') && length > 1000) {
      isPruned = true;
      assert.equal((await prune(bench)).compactedCount, 1);
    }
    return readRange(name, offset, length, abort);
  };
  await assertRestores(bench, backupId, path);
  assert.equal(isPruned, true);
});

test('an open export goes on after the pack it reads was compacted', async () => {
  const { bench, path, backupId } = await startHalfDead();
  await using _ = bench;
  const reader = await openBackup(bench.repository, { claim: bench.newClaim(), backupId });
  const expected = await readFile(path);
  assert.deepEqual(await reader.read(0, CHUNK_SIZE_BYTES), expected.subarray(0, CHUNK_SIZE_BYTES));
  assert.equal((await prune(bench)).compactedCount, 1);
  assert.deepEqual(await reader.read(0, expected.length), expected);
});

test('an object that is missing and current is an error, not a loop', async () => {
  const { bench, store, backupId } = await startHalfDead();
  await using _ = bench;
  const reader = await openBackup(bench.repository, { claim: bench.newClaim(), backupId });
  const names: string[] = [];
  for await (const { name } of store.list(`projects/${bench.projectId}/packs/`)) names.push(name);
  await reader.read(0, CHUNK_SIZE_BYTES);
  await store.delete(names);
  await assert.rejects(reader.read(0, 64 * CHUNK_SIZE_BYTES), { code: 'OBJECT_NOT_FOUND' });
});

test('a writer takes duplicates from a pack that was compacted after it looked up where that is', async () => {
  class RacingLedger extends MemoryLedger {
    afterLocate: () => Promise<void> = async () => undefined;

    override async locatePacks(...args: Parameters<MemoryLedger['locatePacks']>) {
      const located = await super.locatePacks(...args);
      const interrupt = this.afterLocate;
      this.afterLocate = async () => undefined;
      await interrupt();
      return located;
    }
  }
  const ledger = new RacingLedger();
  await using bench = await EngineBench.start(new MemoryStore(), ledger);
  const first = await bench.backUp(await makeDisk(bench, 'disk', 400, NONE));
  const half = new Map(Array.from({ length: 200 }, (_, i) => [i, 7000 + i]));
  const path = await makeDisk(bench, 'later', 400, half);
  const second = await bench.backUp(path);
  await ledger.deleteBackup(first.commit.backupId);
  // With nothing in memory the trailer must be read, and what was looked up is no longer there.
  const repository = await bench.reopen();
  let compactedCount = 0;
  ledger.afterLocate = async () => {
    ({ compactedCount } = await prune(bench));
  };
  const again = await bench.backUp(path, { repository, isIncremental: false });
  assert.equal(compactedCount, 1);
  const [pack] = first.commit.packs;
  assert(pack && again.commit.usedPackIds.includes(pack.packId), 'the compacted pack was used');
  assert(again.commit.storedBytes < second.commit.storedBytes, 'next to nothing was stored again');
  await assertRestores(bench, again.commit.backupId, path);
});

test('1.10 a compaction that is overtaken leaves the winner alone and cleans up after itself', async () => {
  class SlowLedger extends MemoryLedger {
    beforeFinish: () => Promise<void> = async () => undefined;

    override async finishCompaction(...args: [Parameters<MemoryLedger['finishCompaction']>[0], CompactionResult]) {
      const interrupt = this.beforeFinish;
      this.beforeFinish = async () => undefined;
      await interrupt();
      return super.finishCompaction(...args);
    }
  }
  const ledger = new SlowLedger();
  const { bench, path, backupId, packId } = await startHalfDead(undefined, ledger);
  await using _ = bench;
  await prune(bench, { compacts: false });
  const project = await bench.repository.openProject(bench.projectId);
  let winner: ObjectId | undefined;
  ledger.beforeFinish = async () => {
    assert.equal((await compactPack(bench.repository, project, packId, signal)).outcome, 'compacted');
    winner = ledger.packs.get(packId)?.objectId;
  };
  const zombie = await compactPack(bench.repository, project, packId, signal);
  assert.equal(zombie.outcome, 'overtaken');
  assert.equal(ledger.packs.get(packId)?.objectId, winner);
  await assertRestores(bench, backupId, path);
  await prune(bench);
  await assertRestores(bench, backupId, path);
  await assertNothingElseStored(bench);
});

for (const operation of [
  'create',
  'write',
  'commit',
  'readRange',
  'readSuffix',
] as const satisfies readonly StoreOperation[]) {
  for (const effect of ['EIO', 'ENOSPC'] as const) {
    test(`a compaction that fails at ${operation} (${effect}) changes nothing; the next one completes it`, async () => {
      const { bench, store, path, backupId, packId } = await startHalfDead();
      await using _ = bench;
      await prune(bench, { compacts: false });
      const before = bench.ledger.packs.get(packId)?.objectId;
      const repository = await bench.reopen();
      const project = await repository.openProject(bench.projectId);
      store.setRules([{ operation, name: (name) => name.includes('/packs/'), effect }]);
      const code = effect === 'EIO' ? 'STORAGE_IO' : 'STORAGE_FULL';
      await assert.rejects(compactPack(repository, project, packId, signal), { code });
      store.setRules([]);
      assert.equal(bench.ledger.packs.get(packId)?.objectId, before);
      await assertRestores(bench, backupId, path);
      assert.equal((await prune(bench)).compactedCount, 1);
      await assertRestores(bench, backupId, path);
      await assertNothingElseStored(bench);
    });
  }
}

test('a prune that dies at any call of the store loses nothing, and the next one completes it', async () => {
  const { store: counting, bench: counted } = await startHalfDead();
  counting.calls.length = 0;
  await prune(counted);
  const callCount = counting.calls.length;
  await counted[Symbol.asyncDispose]();
  assert(callCount > 15, `${callCount} calls`);
  for (let nth = 1; nth <= callCount; nth += 9) {
    for (const effect of ['crash', 'crash-after'] as const) {
      const inner = new MemoryStore();
      const { bench, store, ledger, path, backupId } = await startHalfDead(new FaultyStore(inner));
      await using _ = bench;
      store.setRules([{ nth, effect }]);
      await prune(bench).then(
        () => undefined,
        () => undefined,
      );
      assert.equal(store.hasCrashed, true, `call ${nth}`);
      const repository = await bench.reopen(inner);
      await runPrune(repository, bench.projectId, {}, signal);
      const { projectId } = bench;
      await assertNothingElseStored({ ledger, projectId, store: inner });
      const expected = await readFile(path);
      const restored = await bench.restore(backupId, 'restored', {
        repository,
        readsZero: true,
        sizeBytes: expected.length,
      });
      assert(expected.equals(await readFile(restored)), `call ${nth}, ${effect}`);
    }
  }
});
