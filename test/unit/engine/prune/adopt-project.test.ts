// Adoption: a catalog that is older than its store, or another one, takes over what is there.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CatalogId, newUuid, type ObjectId } from '../../../../src/core/ids.ts';
import { packObjectName, projectKeyName, recordName } from '../../../../src/core/object-names.ts';
import { createProjectKey } from '../../../../src/engine/crypto/wrapped-key.ts';
import { openKeyRing } from '../../../../src/engine/key-ring.ts';
import { adoptProject } from '../../../../src/engine/prune/adopt-project.ts';
import { compactPack } from '../../../support/compact-pack.ts';
import { EngineBench, PASSPHRASE } from '../../../support/engine-bench.ts';
import type { MemoryLedger } from '../../../support/memory-ledger.ts';
import { assertNothingElseStored, assertRestores, makeDisk, prune, signal } from './prune-bench.ts';

const NONE = new Map<number, number>();

const adopt = (bench: EngineBench) => adoptProject(bench.repository, bench.projectId, {}, signal);

/** As if the catalog were of a time before these backups, with all their packs. */
function forget(
  ledger: MemoryLedger,
  written: { commit: { backupId: never; attemptId: never; packs: readonly { packId: never }[] } },
) {
  ledger.backups.delete(written.commit.backupId);
  ledger.forgetAttempt(written.commit.attemptId);
  for (const { packId } of written.commit.packs) ledger.packs.delete(packId);
}

test('1.7, 1.9 a store that is ahead stops deleting until adopted, and what only it knows comes back', async () => {
  await using bench = await EngineBench.start();
  const first = await bench.backUp(await makeDisk(bench, 'disk', 40, NONE));
  const path = await makeDisk(bench, 'later', 40, new Map([[3, 1]]));
  const second = await bench.backUp(path);
  const project = await bench.repository.openProject(bench.projectId);
  const catalogId = await bench.ledger.catalogId();
  await bench.repository.writeEpoch(project, { catalogId, epoch: 7 });
  forget(bench.ledger, second as never);
  await bench.ledger.deleteBackup(first.commit.backupId);
  await assert.rejects(prune(bench), { code: 'EPOCH_CONFLICT' });
  await assert.rejects(bench.write(path), { code: 'EPOCH_CONFLICT' });
  const report = await adopt(bench);
  const { backupId, attemptId } = second.commit;
  assert.deepEqual([report.adopted, report.refused, report.epoch], [[{ backupId, attemptId }], [], 8]);
  await assertRestores(bench, backupId, path);
  // Swept again, but not condemned for a week.
  const quiet = await prune(bench);
  assert.deepEqual([quiet.sweptCount, quiet.condemnedCount], [1, 0]);
  bench.ledger.quarantines.clear();
  await prune(bench, { compactShare: 0.01 });
  await assertRestores(bench, backupId, path);
  await assertNothingElseStored(bench);
});

test('a store of another catalog is taken over, and that one can write no more', async () => {
  await using bench = await EngineBench.start();
  await bench.backUp(await makeDisk(bench, 'disk', 8, NONE));
  const project = await bench.repository.openProject(bench.projectId);
  await bench.repository.writeEpoch(project, { catalogId: newUuid<CatalogId>(), epoch: 3 });
  await assert.rejects(bench.repository.checkEpoch(project), { code: 'EPOCH_CONFLICT' });
  const report = await adopt(bench);
  assert.deepEqual([report.soundCount, report.epoch], [1, 4]);
  const stored = await bench.repository.checkEpoch(project);
  assert.deepEqual(stored, { catalogId: await bench.ledger.catalogId(), epoch: 4 });
});

test('2.1 a record that is not whole is not adopted, and says why', async () => {
  await using bench = await EngineBench.start();
  const written = await bench.backUp(await makeDisk(bench, 'disk', 40, NONE));
  const [data] = written.commit.packs;
  const row = data && bench.ledger.packs.get(data.packId);
  assert(row);
  forget(bench.ledger, written as never);
  await bench.store.delete([packObjectName(bench.projectId, row)]);
  const report = await adopt(bench);
  assert.deepEqual(report.adopted, []);
  assert.deepEqual(
    report.refused.map(({ backupId }) => backupId),
    [written.commit.backupId],
  );
  assert.match(report.refused[0]?.reason ?? '', /pack/);
});

test('while a record is refused, a project of another catalog is not taken over', async () => {
  for (const isBack of [true, false]) {
    await using bench = await EngineBench.start();
    const { ledger, store, projectId } = bench;
    const path = await makeDisk(bench, 'disk', 8, NONE);
    const kept = await bench.backUp(path);
    const later = await makeDisk(bench, 'later', 40, new Map([[3, 1]]));
    const written = await bench.backUp(later);
    const [data] = written.commit.packs;
    const row = data && ledger.packs.get(data.packId);
    assert(row);
    forget(ledger, written as never);
    const name = packObjectName(projectId, row);
    const bytes = await store.get(name, Number.MAX_SAFE_INTEGER);
    await store.delete([name]);
    const project = await bench.repository.openProject(projectId);
    const other = { catalogId: newUuid<CatalogId>(), epoch: 3 };
    await bench.repository.writeEpoch(project, other);
    const { backupId, attemptId } = written.commit;
    for (let round = 0; round < 2; round += 1) {
      const { isTakenOver, refused } = await adopt(bench);
      assert.deepEqual([isTakenOver, refused.map((record) => record.attemptId)], [false, [attemptId]]);
      assert.deepEqual(await bench.repository.readStoredEpoch(project), other, 'the other one may go on');
      await assert.rejects(prune(bench), { code: 'EPOCH_CONFLICT' });
    }
    if (isBack) await store.put(name, bytes);
    else assert.equal(await ledger.giveUpRecord(projectId, { backupId, attemptId }), true);
    const report = await adopt(bench);
    assert.deepEqual([report.isTakenOver, report.refused, report.adopted.length], [true, [], isBack ? 1 : 0]);
    await bench.repository.checkEpoch(project);
    await prune(bench);
    await assertRestores(bench, kept.commit.backupId, path);
    if (isBack) await assertRestores(bench, backupId, later);
  }
});

test('what another catalog stores while the project is taken over is adopted before anything is swept', async () => {
  await using bench = await EngineBench.start();
  const { ledger, repository, projectId } = bench;
  await bench.backUp(await makeDisk(bench, 'disk', 8, NONE));
  const path = await makeDisk(bench, 'later', 40, new Map([[3, 1]]));
  const written = await bench.backUp(path);
  const { backupId, attemptId } = written.commit;
  // Deleted here, and its packs are dead; the other catalog has a backup of them whose record is not there yet.
  const record = recordName(projectId, backupId, attemptId);
  const bytes = await bench.store.get(record, Number.MAX_SAFE_INTEGER);
  await bench.store.delete([record]);
  ledger.backups.delete(backupId);
  ledger.forgetAttempt(attemptId);
  const [root] = await ledger.listRoots(projectId);
  assert(root);
  const packs = written.commit.packs.map(({ packId }) => ({ packId, marked: null, closesWhenUsed: false }));
  const condemned = await ledger.condemnSlots(projectId, { markedAttemptIds: new Set([root.attemptId]), packs }, 0);
  assert(condemned.status === 'done' && condemned.retired.length > 0);
  const project = await repository.openProject(projectId);
  await repository.writeEpoch(project, { catalogId: newUuid<CatalogId>(), epoch: 9 });
  const writeEpoch = repository.writeEpoch.bind(repository);
  repository.writeEpoch = async (...args) => {
    await writeEpoch(...args);
    if ((await bench.store.head(record)) === undefined) await bench.store.put(record, bytes);
  };
  const report = await adopt(bench);
  assert.deepEqual([report.isTakenOver, report.adopted], [true, [{ backupId, attemptId }]]);
  await prune(bench);
  await assertRestores(bench, backupId, path);
});

test('2.4 a listing that lags is not believed before two agree', async () => {
  await using bench = await EngineBench.start();
  const first = await bench.backUp(await makeDisk(bench, 'disk', 8, NONE));
  const second = await bench.backUp(await makeDisk(bench, 'later', 8, new Map([[1, 9]])));
  forget(bench.ledger, second as never);
  const hidden = recordName(bench.projectId, second.commit.backupId, second.commit.attemptId);
  let listings = 0;
  const list = bench.store.list.bind(bench.store);
  bench.store.list = async function* (prefix, abort) {
    if (prefix.endsWith('/backups/')) listings += 1;
    for await (const object of list(prefix, abort)) if (listings > 1 || object.name !== hidden) yield object;
  };
  const report = await adopt(bench);
  assert.deepEqual([report.soundCount, report.adopted.length], [1, 1]);
  assert.equal(listings, 5);
  await assertRestores(bench, first.commit.backupId, bench.path('disk'));
});

test('a pack that was compacted in the time that is forgotten is read from the object that is there', async () => {
  await using bench = await EngineBench.start();
  const first = await bench.backUp(await makeDisk(bench, 'disk', 64, NONE));
  const path = await makeDisk(bench, 'later', 64, new Map(Array.from({ length: 40 }, (_, i) => [i, 7000 + i])));
  const second = await bench.backUp(path);
  await bench.ledger.deleteBackup(first.commit.backupId);
  const before = new Map([...bench.ledger.packs].map(([packId, pack]) => [packId, { ...pack }]));
  assert.equal((await prune(bench)).compactedCount, 1);
  // The catalog of before: it names an object that is gone, and an object that never will be.
  for (const [packId, pack] of before) bench.ledger.packs.set(packId, { ...pack, nextObjectId: newUuid<ObjectId>() });
  bench.ledger.condemned.clear();
  const report = await adopt(bench);
  assert.equal(report.repairedCount, 1);
  assert.deepEqual([report.soundCount, report.unreadable], [1, []]);
  await assertRestores(bench, second.commit.backupId, path);
});

test('a known backup whose record is gone is told, shown, and stays a root', async () => {
  await using bench = await EngineBench.start();
  const written = await bench.backUp(await makeDisk(bench, 'disk', 8, NONE));
  const { backupId, attemptId } = written.commit;
  await bench.store.delete([recordName(bench.projectId, backupId, attemptId)]);
  const report = await adopt(bench);
  assert.deepEqual(
    report.unreadable.map((record) => record.backupId),
    [backupId],
  );
  assert.equal(bench.ledger.unreadable.has(backupId), true);
  assert.equal((await bench.ledger.listRoots(bench.projectId)).length, 1);
});

test('what was committed in the time that is forgotten is adopted, though its job seems to have failed', async () => {
  await using bench = await EngineBench.start();
  const path = await makeDisk(bench, 'disk', 40, NONE);
  const written = await bench.write(path);
  const project = await bench.repository.openProject(bench.projectId);
  // Committed there, swept there; here the job is found running, and fails since nothing may be written.
  await bench.repository.writeEpoch(project, { catalogId: await bench.ledger.catalogId(), epoch: 9 });
  await bench.ledger.failBackup(written.claim);
  const report = await adopt(bench);
  assert.deepEqual(
    report.adopted.map(({ backupId }) => backupId),
    [written.commit.backupId],
  );
  bench.ledger.quarantines.clear();
  await prune(bench);
  await assertRestores(bench, written.commit.backupId, path);
  await assertNothingElseStored(bench);
});

test('a pack of which only a version in the trash is left gets that one back, while no sweep can run', async () => {
  await using bench = await EngineBench.start();
  const { ledger, store, projectId } = bench;
  const path = await makeDisk(bench, 'disk', 40, NONE);
  const { commit } = await bench.backUp(path);
  const [data] = commit.packs;
  const old = data && ledger.packs.get(data.packId);
  assert(old);
  // Here a compaction has replaced the old version. A catalog that was made anew in its place knew only the old one,
  // and gave the other up as a spare.
  await compactPack(bench, old.packId, []);
  const current = ledger.packs.get(old.packId);
  assert(current && current.objectId !== old.objectId);
  await ledger.abandonCompaction(projectId, { packId: old.packId, nextObjectId: old.objectId });
  await store.delete([packObjectName(projectId, current)]);
  const project = await bench.repository.openProject(projectId);
  await bench.repository.writeEpoch(project, { catalogId: newUuid<CatalogId>(), epoch: 9 });
  const report = await adopt(bench);
  assert.deepEqual([report.repairedCount, report.soundCount, report.unreadable], [1, 1, []]);
  ledger.quarantines.clear();
  await prune(bench);
  await assertRestores(bench, commit.backupId, path);
});

test('a catalog of before a new project key stops writing, and adoption finds the key in the store', async () => {
  await using bench = await EngineBench.start();
  const { ledger, store, repository, projectId } = bench;
  const path = await makeDisk(bench, 'disk', 8, NONE);
  const first = await bench.backUp(path);
  const masterRows = (await ledger.listKeys()).filter((row) => row.projectId === null);
  const { masterKeys } = await openKeyRing(PASSPHRASE, masterRows);
  const created = createProjectKey(masterKeys[0]?.masterKey ?? Buffer.alloc(32), repository.repositoryId, projectId);
  const { keyId, wrapped } = created;
  await store.replace(projectKeyName(projectId, keyId), wrapped);
  await ledger.saveKey({ keyId, projectId, wrapped });
  const newer = await bench.reopen();
  const later = await makeDisk(bench, 'later', 8, new Map([[3, 1]]));
  const second = await bench.backUp(later, { repository: newer });
  const catalogId = newUuid<CatalogId>();
  await newer.writeEpoch(await newer.openProject(projectId), { catalogId, epoch: 3 });
  // As if the catalog were of before: without the key and without what was sealed with it.
  await ledger.deleteKeys([keyId]);
  forget(ledger, second as never);
  await assert.rejects(prune(bench), { code: 'EPOCH_CONFLICT' });
  await assert.rejects(bench.write(path), { code: 'EPOCH_CONFLICT' });
  const report = await adopt(bench);
  const { backupId, attemptId } = second.commit;
  assert.deepEqual([report.soundCount, report.adopted, report.refused], [1, [{ backupId, attemptId }], []]);
  const { keys } = await repository.openProject(projectId);
  assert.deepEqual([keys.keys.size, keys.keys.has(keyId), keys.currentKeyId === keyId], [3, true, false]);
  const reopened = await bench.reopen();
  assert.equal((await reopened.openProject(projectId)).keys.currentKeyId, keys.currentKeyId);
  await assertRestores(bench, backupId, later);
  await assertRestores(bench, first.commit.backupId, path);
  await bench.backUp(path);
  // Nothing is missing any more, so nothing is drawn.
  await adopt(bench);
  assert.equal((await repository.openProject(projectId)).keys.keys.size, 3);
});
