// A store that crashes or fails at each of its operations in turn. Every try opens the repository anew, as a restart
// does, which costs a scrypt each time: that is why this is no unit test.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isVbsError } from '../../src/core/errors.ts';
import { type BackupId, newUuid } from '../../src/core/ids.ts';
import { sweepTrash } from '../../src/engine/sweep.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { EngineBench } from '../support/engine-bench.ts';
import { FaultyStore, type StoreOperation } from '../support/faulty-store.ts';
import { fixedBytes } from '../support/fixed-bytes.ts';
import { SparseDisk } from '../support/sparse-disk.ts';
import { listNames } from '../support/stored-objects.ts';

const MIB = 1024 * 1024;
/** More than one page, so that pages are stored as objects too. */
const SIZE_BYTES = 70 * MIB + 777;
const WRITING: readonly StoreOperation[] = ['create', 'write', 'commit', 'put'];

async function startWithBackup() {
  const bench = await EngineBench.start(new MemoryStore());
  const pieces = [{ offsetBytes: MIB, bytes: fixedBytes(1, MIB) }];
  const before = await SparseDisk.make(bench, 'before', SIZE_BYTES, pieces);
  const { commit } = await before.backUp();
  const changes = [
    { offsetBytes: 2 * MIB, bytes: fixedBytes(3, MIB) },
    { offsetBytes: SIZE_BYTES - 5000, bytes: fixedBytes(4, 5000) },
  ];
  const after = await SparseDisk.make(bench, 'after', SIZE_BYTES, [...pieces, ...changes]);
  return { bench, before, after, firstId: commit.backupId };
}

function assertIdle(bench: EngineBench): void {
  assert.deepEqual(
    bench.workers.threads.map((thread) => thread.loadCount),
    bench.workers.threads.map(() => 0),
  );
}

const crashes = [
  { effect: 'crash', when: 'before any operation', leastCount: 15 },
  // After any other operation is before the next one.
  { effect: 'crash-after', when: 'after anything became durable', leastCount: 3, operation: ['commit', 'put'] },
] as const;

for (const { when, leastCount, ...rule } of crashes) {
  test(`an attempt that a crash ends ${when} is taken up by the next one`, async () => {
    const { bench, before, after, firstId } = await startWithBackup();
    await using _ = bench;
    let crashCount = 0;
    let reuseCount = 0;
    for (let nth = 1; ; nth += 1) {
      const faulty = new FaultyStore(bench.store);
      const repository = await bench.reopen(faulty);
      faulty.setRules([{ ...rule, nth }]);
      faulty.calls.length = 0;
      const backupId = newUuid<BackupId>();
      const claim = bench.newClaim();
      const cut = await after.write({ claim, backupId, repository }).catch((error: unknown) => error);
      if (!faulty.hasCrashed) {
        await bench.ledger.failBackup(claim);
        break;
      }
      assert(cut instanceof Error, `the crash at operation ${nth} went unnoticed`);
      crashCount += 1;
      assertIdle(bench);
      const durable = (await listNames(bench.store, `projects/${bench.projectId}/packs/`)).filter((name) =>
        [...bench.ledger.packs.values()].some((pack) => pack.jobId === claim.jobId && name.includes(pack.packId)),
      );
      const nextClaim = { ...claim, attempt: 2 };
      const next = await after.write({ claim: nextClaim, backupId, repository: await bench.reopen() });
      await bench.commit(next);
      for (const name of durable) {
        reuseCount += 1;
        assert(
          next.commit.packs.some(({ packId }) => name.includes(packId)),
          `${name} was not taken up`,
        );
      }
      await after.assertRestores(backupId);
      await before.assertRestores(firstId);
      await bench.ledger.deleteBackup(backupId);
      for (const { packId } of next.commit.packs) await forgetPack(bench, packId);
      await sweepTrash(bench.repository, bench.projectId);
    }
    assert(crashCount >= leastCount, `${crashCount} operations`);
    assert(reuseCount >= 3, `${reuseCount} packs were durable when the crash came`);
  });
}

/** So that the next try finds nothing to deduplicate against and stores all of it again. */
async function forgetPack(bench: EngineBench, packId: Parameters<typeof bench.ledger.packs.get>[0]): Promise<void> {
  const row = bench.ledger.packs.get(packId);
  if (row) row.state = 'retired';
}

test('a store that fails at any read fails the backup or is passed over, and what is committed restores', async () => {
  const { bench, after } = await startWithBackup();
  await using _ = bench;
  for (let nth = 1; ; nth += 1) {
    const store = new FaultyStore(bench.store);
    const repository = await bench.reopen(store);
    store.setRules([{ operation: ['get', 'readRange', 'readSuffix', 'head'], nth, effect: 'EIO' }]);
    store.calls.length = 0;
    const claim = bench.newClaim();
    const outcome = await after.write({ claim, repository }).catch((error: unknown) => error);
    const readCount = store.calls.filter(({ operation }) => !WRITING.includes(operation)).length;
    assertIdle(bench);
    if (outcome instanceof Error) {
      assert(isVbsError(outcome, 'STORAGE_IO'), `read ${nth}: ${outcome}`);
      await bench.ledger.failBackup(claim);
      continue;
    }
    // The cast: what is no error is what `write` returned.
    const written = outcome as Awaited<ReturnType<SparseDisk['write']>>;
    await bench.commit(written);
    await after.assertRestores(written.commit.backupId);
    await bench.ledger.deleteBackup(written.commit.backupId);
    if (nth > readCount) break;
  }
});
