// Prune on a whole repository: what goes, what stays, and what happens beside it.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { type AttemptId, type BackupId, type JobId, newUuid, type ProjectId } from '../../../../src/core/ids.ts';
import type { CondemnOutcome, CondemnRequest } from '../../../../src/core/ledger.ts';
import { CHUNK_SIZE_BYTES } from '../../../../src/core/limits.ts';
import { packObjectName, recordName } from '../../../../src/core/object-names.ts';
import { sweepTrash } from '../../../../src/engine/sweep.ts';
import { MemoryStore } from '../../../../src/storage/memory-store.ts';
import { EngineBench } from '../../../support/engine-bench.ts';
import { FaultyStore } from '../../../support/faulty-store.ts';
import { MemoryLedger } from '../../../support/memory-ledger.ts';
import { listNames, readAll } from '../../../support/stored-objects.ts';
import { assertNothingElseStored, assertRestores, makeDisk, prune } from './prune-bench.ts';

const NONE = new Map<number, number>();
/** Every chunk but those of `kept` changed. */
const changedBut = (count: number, kept: (index: number) => boolean) =>
  new Map(Array.from({ length: count }, (_, i) => [i, 5000 + i] as const).filter(([i]) => !kept(i)));

/** Does something before each condemn transaction. */
class InterruptedLedger extends MemoryLedger {
  beforeCondemn: () => Promise<void> = async () => undefined;

  override async condemnSlots(projectId: ProjectId, request: CondemnRequest, nowAt: number): Promise<CondemnOutcome> {
    const interrupt = this.beforeCondemn;
    this.beforeCondemn = async () => undefined;
    await interrupt();
    return super.condemnSlots(projectId, request, nowAt);
  }
}

test('prune gives back everything of a backup that was deleted, and nothing of one that was not', async () => {
  await using bench = await EngineBench.start();
  const first = await bench.backUp(await makeDisk(bench, 'disk', 40, NONE));
  const other = await makeDisk(
    bench,
    'other',
    40,
    changedBut(40, () => false),
  );
  const second = await bench.backUp(other, { isIncremental: false });
  await bench.ledger.deleteBackup(first.commit.backupId);
  const report = await prune(bench);
  assert.equal(report.retiredCount, first.commit.packs.length);
  assert.equal(
    report.freedBytes,
    first.commit.packs.reduce((total, pack) => total + pack.storedBytes, 0),
  );
  await assertNothingElseStored(bench);
  await assertRestores(bench, second.commit.backupId, other);
  const again = await prune(bench);
  assert.deepEqual([again.condemnedCount, again.retiredCount, again.compactedCount, again.sweptCount], [0, 0, 0, 0]);
});

test('a pack that is dead for the most part is written anew, frames cut, and restores as before', async () => {
  await using bench = await EngineBench.start();
  const first = await bench.backUp(await makeDisk(bench, 'disk', 64, NONE));
  // One chunk of each frame stays, of one frame nothing, and one frame stays whole.
  const changed = changedBut(64, (i) => i >= 48 || (i % 16 === 5 && i < 32));
  const path = await makeDisk(bench, 'later', 64, changed);
  const second = await bench.backUp(path);
  const before = await readAll(bench.store);
  await bench.ledger.deleteBackup(first.commit.backupId);
  const report = await prune(bench);
  assert.equal(report.compactedCount, 1);
  assert(report.freedBytes >= 46 * CHUNK_SIZE_BYTES, `${report.freedBytes} bytes freed`);
  await assertNothingElseStored(bench);
  await assertRestores(bench, second.commit.backupId, path);
  const [pack] = await bench.ledger.listLivePacks(bench.projectId, -1, 10);
  assert(pack && pack.droppedCount === 46);
  // Sealed anew as a whole: not even the frame that lost nothing has the bytes that it had.
  const after = await bench.store.get(packObjectName(bench.projectId, pack), 100 * 2 ** 20);
  const old = before.get([...before.keys()].find((name) => name.includes(pack.packId)) ?? '');
  assert(old && old.length > after.length);
  const tail = after.subarray(200_000, 200_064);
  assert.equal(old.includes(tail), false);
  // What was compacted can be compacted again.
  const third = await bench.backUp(
    await makeDisk(
      bench,
      'last',
      64,
      changedBut(64, (i) => i === 50),
    ),
  );
  await bench.ledger.deleteBackup(second.commit.backupId);
  assert.equal((await prune(bench)).compactedCount > 0, true);
  await assertRestores(bench, third.commit.backupId, bench.path('last'));
  await assertNothingElseStored(bench);
});

test('packs of pages are compacted too, and pages that increments share stay', async () => {
  await using bench = await EngineBench.start();
  // Three pages, of 64 MiB each: the increment changes the last two, and inherits the first.
  const page = 1024 * CHUNK_SIZE_BYTES;
  const disk = (name: string, seeds: readonly number[]) =>
    bench.makeDisk(
      name,
      3 * page,
      seeds.map((seed, i) => ({ offsetBytes: i * page, bytes: Buffer.alloc(CHUNK_SIZE_BYTES, seed) })),
    );
  const first = await bench.backUp(await disk('disk', [1, 2, 3]));
  const path = await disk('later', [1, 4, 5]);
  const second = await bench.backUp(path);
  await bench.ledger.deleteBackup(first.commit.backupId);
  const report = await prune(bench);
  const packs = await bench.ledger.listLivePacks(bench.projectId, -1, 10);
  assert.equal(report.compactedCount, 2);
  assert.deepEqual(
    packs
      .map(({ kind, droppedCount }) => [kind, droppedCount])
      .slice(0, 2)
      .sort(),
    [
      ['data', 2],
      ['page', 2],
    ],
  );
  await assertRestores(bench, second.commit.backupId, path);
  await assertNothingElseStored(bench);
});

test('a dry run tells what would go by pack, and changes nothing', async () => {
  await using bench = await EngineBench.start();
  const first = await bench.backUp(await makeDisk(bench, 'disk', 64, NONE));
  await bench.backUp(
    await makeDisk(
      bench,
      'later',
      64,
      changedBut(64, (i) => i < 8),
    ),
  );
  await bench.ledger.deleteBackup(first.commit.backupId);
  await sweepTrash(bench.repository, bench.projectId);
  const before = await readAll(bench.store);
  const planned = await prune(bench, { isDryRun: true });
  assert.deepEqual(await readAll(bench.store), before);
  assert.deepEqual(bench.ledger.condemned, new Map());
  assert.deepEqual(planned.packs.map((pack) => [pack.action, pack.deadCount]).sort(), [['compact', 56]]);
  const done = await prune(bench);
  assert.equal(done.condemnedCount, planned.condemnedCount);
  const estimate = planned.freedBytes / done.freedBytes;
  assert(estimate > 0.95 && estimate < 1.05, `${planned.freedBytes} planned, ${done.freedBytes} freed`);
});

test('a pack that a job uses is passed over and closed, and goes when the job has ended', async () => {
  await using bench = await EngineBench.start();
  const first = await bench.backUp(await makeDisk(bench, 'disk', 64, NONE));
  const [data] = first.commit.packs;
  assert(data);
  await bench.ledger.deleteBackup(first.commit.backupId);
  const user = bench.newClaim();
  assert(await bench.ledger.usePack(user, data.packId));
  const report = await prune(bench);
  assert.deepEqual([report.passedOverCount, report.retiredCount], [1, 0]);
  assert.equal(bench.ledger.packs.get(data.packId)?.state, 'live');
  // Nobody else can begin to use it, or it could escape for ever; its user goes on.
  assert.equal(await bench.ledger.usePack(bench.newClaim(), data.packId), undefined);
  assert(await bench.ledger.usePack(user, data.packId));
  bench.ledger.endJob(user);
  assert.equal((await prune(bench)).retiredCount, 1);
  await assertNothingElseStored(bench);
});

test('1.3 a child of a backup that was deleted between mark and condemn keeps what it inherited', async () => {
  const ledger = new InterruptedLedger();
  await using bench = await EngineBench.start(new MemoryStore(), ledger);
  const doomed = await bench.backUp(await makeDisk(bench, 'doomed', 4, new Map([[0, 1]])));
  await bench.ledger.deleteBackup(doomed.commit.backupId);
  await sweepTrash(bench.repository, bench.projectId);
  const path = await makeDisk(bench, 'disk', 32, NONE);
  let child: BackupId | undefined;
  ledger.beforeCondemn = async () => {
    const parent = await bench.backUp(path, { isIncremental: false });
    const written = await bench.write(path);
    assert.equal(written.commit.parentId, parent.commit.backupId);
    await bench.commit(written);
    await ledger.deleteBackup(parent.commit.backupId);
    await sweepTrash(bench.repository, bench.projectId);
    child = written.commit.backupId;
  };
  await prune(bench);
  assert(child);
  await assertRestores(bench, child, path);
  await prune(bench);
  await assertRestores(bench, child, path);
  await assertNothingElseStored(bench);
});

test('1.1 a backup that commits between mark and condemn keeps its new packs', async () => {
  const ledger = new InterruptedLedger();
  await using bench = await EngineBench.start(new MemoryStore(), ledger);
  const doomed = await bench.backUp(await makeDisk(bench, 'doomed', 4, new Map([[0, 1]])));
  await bench.ledger.deleteBackup(doomed.commit.backupId);
  const path = await makeDisk(bench, 'disk', 32, NONE);
  const running = await bench.write(path, { isIncremental: false });
  ledger.beforeCondemn = () => bench.commit(running);
  const report = await prune(bench);
  assert.equal(report.rootCount, 1);
  await assertRestores(bench, running.commit.backupId, path);
});

test('1.5 what was condemned is never taken again, though an old trailer still shows it', async () => {
  await using bench = await EngineBench.start();
  const path = await makeDisk(bench, 'disk', 400, NONE);
  const first = await bench.backUp(path);
  await bench.backUp(
    await makeDisk(
      bench,
      'later',
      400,
      changedBut(400, (i) => i < 300),
    ),
  );
  await bench.ledger.deleteBackup(first.commit.backupId);
  // Condemned only: less than half of the pack is dead.
  assert.equal((await prune(bench)).compactedCount, 0);
  const again = await bench.backUp(path, { isIncremental: false });
  const [pack] = first.commit.packs;
  assert(pack && again.commit.usedPackIds.includes(pack.packId));
  await prune(bench, { compactShare: 0.1 });
  await assertRestores(bench, again.commit.backupId, path);
  await assertNothingElseStored(bench);
});

test('1.15 a root that cannot be read ends the prune of the project before anything is condemned', async () => {
  const store = new FaultyStore(new MemoryStore());
  await using bench = await EngineBench.start(store);
  const first = await bench.backUp(await makeDisk(bench, 'disk', 16, NONE));
  const second = await bench.backUp(
    await makeDisk(
      bench,
      'later',
      16,
      changedBut(16, () => false),
    ),
  );
  await bench.ledger.deleteBackup(first.commit.backupId);
  await sweepTrash(bench.repository, bench.projectId);
  const names = await listNames(store);
  const isRecord = (name: string) => name.includes('/backups/');
  store.setRules([{ operation: 'get', name: isRecord, effect: 'EIO' }]);
  await assert.rejects(prune(bench), { code: 'STORAGE_IO' });
  store.setRules([]);
  const record = names.find(isRecord) ?? '';
  const bytes = await store.get(record, 1e6);
  await store.delete([record]);
  await assert.rejects(prune(bench), { code: 'PRUNE_BLOCKED' });
  assert.deepEqual(bench.ledger.condemned, new Map());
  await store.put(record, bytes);
  await prune(bench);
  await assertRestores(bench, second.commit.backupId, bench.path('later'));
});

test('1.6 a record that the catalog does not know is a root and reported, until given up by name', async () => {
  await using bench = await EngineBench.start();
  const { ledger, projectId } = bench;
  const path = await makeDisk(bench, 'disk', 16, NONE);
  const known = await bench.backUp(path);
  // As if the catalog were of the time before the commit.
  const row = ledger.backups.get(known.commit.backupId);
  assert(row);
  ledger.backups.delete(known.commit.backupId);
  const { backupId, attemptId } = known.commit;
  ledger.forgetAttempt(attemptId);
  const report = await prune(bench);
  assert.deepEqual(report.unknownRecords, [{ backupId, attemptId }]);
  assert.deepEqual([report.condemnedCount, report.sweptCount], [0, 0]);
  ledger.backups.set(backupId, row);
  await assertRestores(bench, backupId, path);
  ledger.backups.delete(backupId);
  assert.equal(await ledger.giveUpRecord(projectId, { backupId, attemptId: newUuid<AttemptId>() }), true);
  assert.equal(await ledger.giveUpRecord(projectId, { backupId, attemptId }), true);
  assert.equal(await ledger.giveUpRecord(projectId, { backupId, attemptId }), false);
  const after = await prune(bench);
  assert.equal(after.retiredCount, known.commit.packs.length);
  await assertNothingElseStored(bench);
});

test('2.1 a record of a failed attempt that turns up late is removed by the next prune', async () => {
  await using bench = await EngineBench.start();
  const { ledger, projectId, store } = bench;
  const path = await makeDisk(bench, 'disk', 16, NONE);
  const kept = await bench.backUp(path);
  const failed = await bench.write(path, { isIncremental: false });
  const name = recordName(projectId, failed.commit.backupId, failed.commit.attemptId);
  const bytes = await store.get(name, 1e6);
  await ledger.failBackup(failed.claim);
  await prune(bench);
  await assertNothingElseStored(bench);
  await store.put(name, bytes);
  const report = await prune(bench);
  assert.deepEqual(report.unknownRecords, []);
  await prune(bench);
  await assertNothingElseStored(bench);
  await assertRestores(bench, kept.commit.backupId, path);
});

test('what a root that vanished half way had marked does not hide what another one needs', async () => {
  const store = new FaultyStore(new MemoryStore());
  const ledger = new MemoryLedger();
  await using bench = await EngineBench.start(store, ledger);
  const path = await makeDisk(bench, 'disk', 2048, new Map());
  const first = await bench.backUp(path);
  const second = await bench.backUp(path);
  // The walk of the first one ends at its second page; then it is found deleted, and its pages are the second's too.
  let reads = 0;
  const original = store.readRange.bind(store);
  store.readRange = async (name, offset, length, abort) => {
    if (name.includes('/pages/') && length > 64) {
      reads += 1;
      if (reads === 2) {
        await ledger.deleteBackup(first.commit.backupId);
        ledger.forgetTrash();
        const { VbsError } = await import('../../../../src/core/errors.ts');
        throw new VbsError('DATA_CORRUPT', { object: name, offsetBytes: 0, reason: 'as if it were gone' });
      }
    }
    return original(name, offset, length, abort);
  };
  const report = await prune(bench);
  assert.equal(reads > 2, true);
  assert.deepEqual([report.condemnedCount, report.rootCount], [0, 1]);
  await assertRestores(bench, second.commit.backupId, path);
});

test('while the deletion of a record is not confirmed, nothing is condemned; the next prune does it', async () => {
  await using bench = await EngineBench.start();
  const gone = await bench.backUp(await makeDisk(bench, 'gone', 20, new Map()));
  const kept = await bench.backUp(await makeDisk(bench, 'kept', 20, new Map([[3, 7]])), { isIncremental: false });
  const { backupId, attemptId } = gone.commit;
  const listRoots = bench.ledger.listRoots.bind(bench.ledger);
  bench.ledger.listRoots = async (projectId) => {
    bench.ledger.listRoots = listRoots;
    const roots = await listRoots(projectId);
    await bench.ledger.deleteBackup(backupId);
    await bench.store.delete([recordName(projectId, backupId, attemptId)]);
    return roots;
  };
  const report = await prune(bench);
  assert.deepEqual([report.condemnedCount, report.retiredCount], [0, 0]);
  assert(report.passedOverCount > 0);
  await prune(bench);
  await assertRestores(bench, kept.commit.backupId, bench.path('kept'));
  await assertNothingElseStored(bench);
});

test('an adopted project is swept, and nothing of it is condemned for a while', async () => {
  await using bench = await EngineBench.start();
  const first = await bench.backUp(await makeDisk(bench, 'disk', 16, NONE));
  await bench.ledger.deleteBackup(first.commit.backupId);
  bench.ledger.quarantines.set(bench.projectId, Date.now() + 60_000);
  const report = await prune(bench);
  assert.deepEqual([report.sweptCount, report.condemnedCount], [1, 0]);
  assert(report.quarantinedUntil);
  bench.ledger.quarantines.clear();
  assert.equal((await prune(bench)).retiredCount, 1);
  await assertNothingElseStored(bench);
});

test('objects that no row names are reported and left alone', async () => {
  await using bench = await EngineBench.start();
  await bench.backUp(await makeDisk(bench, 'disk', 16, NONE));
  const name = `projects/${bench.projectId}/packs/ab/${newUuid<JobId>()}.${newUuid<JobId>()}`;
  await bench.store.put(name, Buffer.alloc(100));
  const report = await prune(bench);
  assert.deepEqual(report.unnamedObjects, { count: 1, bytes: 100, names: [name] });
  assert.equal((await bench.store.head(name))?.sizeBytes, 100);
});

test('a project that never stored anything is pruned without making keys for it', async () => {
  await using bench = await EngineBench.start();
  const report = await prune(bench);
  assert.equal(report.rootCount, 0);
  assert.deepEqual(await listNames(bench.store, 'projects/'), []);
});

test('a damaged pack is not compacted, the others are, and nothing of it changes', async () => {
  const store = new FaultyStore(new MemoryStore());
  await using bench = await EngineBench.start(store);
  const changed = changedBut(64, (i) => i % 16 === 3);
  const first = await bench.backUp(await makeDisk(bench, 'disk', 64, NONE));
  await bench.backUp(await makeDisk(bench, 'later', 64, changed));
  await bench.ledger.deleteBackup(first.commit.backupId);
  const [data] = first.commit.packs;
  const row = data && bench.ledger.packs.get(data.packId);
  assert(row);
  const name = packObjectName(bench.projectId, row);
  await store.flipBit(name, 8 * 5000);
  const report = await prune(bench);
  assert.deepEqual(
    report.problems.map(({ packId, code }) => [packId, code]),
    [[row.packId, 'DATA_CORRUPT']],
  );
  assert.equal(bench.ledger.packs.get(row.packId)?.objectId, row.objectId);
  assert(await store.head(name));
  await store.flipBit(name, 8 * 5000);
  assert.equal((await prune(bench)).compactedCount, 1);
  await assertRestores(bench, [...bench.ledger.backups.keys()].at(-1) as BackupId, bench.path('later'));
  assert((await readFile(bench.path('later'))).length > 0);
});
