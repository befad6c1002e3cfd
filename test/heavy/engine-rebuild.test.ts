// A lost catalog made anew from the store and the passphrase.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, isVbsError } from '../../src/core/errors.ts';
import { type AttemptId, type BackupId, newUuid } from '../../src/core/ids.ts';
import { ADOPTION_QUARANTINE_MS } from '../../src/core/limits.ts';
import { systemClock } from '../../src/core/ports.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import { rotateKeys } from '../../src/engine/key-management.ts';
import { writeBackupLabel, writeProjectLabel } from '../../src/engine/labels.ts';
import { adoptProject } from '../../src/engine/prune/adopt-project.ts';
import { runPrune } from '../../src/engine/prune/run-prune.ts';
import type { RebuiltCatalog } from '../../src/services/catalog-rebuild.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { EngineBench, fileSource, PASSPHRASE } from '../support/engine-bench.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { fixedBytes } from '../support/fixed-bytes.ts';
import { backUpVersions, fillRepository, openOn, readThrough, rebuild } from '../support/rebuild-bench.ts';
import { listNames } from '../support/stored-objects.ts';
import { makeSqlite } from '../support/test-catalog.ts';

const { signal } = new AbortController();
const MIB = 1024 * 1024;

function rejectsWith(work: Promise<unknown>, code: ErrorCode): Promise<void> {
  return assert.rejects(work, (error) => isVbsError(error, code));
}

function only({ projects }: RebuiltCatalog) {
  const [project] = projects;
  assert(project !== undefined && projects.length === 1);
  return project;
}

/** Rows that tell whether two rebuilds came to the same; ids of jobs are drawn. */
async function summarize(bench: EngineBench, catalog: Catalog): Promise<unknown> {
  const { projectId } = bench;
  const backups = await catalog.ledger.listEntered(projectId);
  const packs = await catalog.ledger.listLivePacks(projectId, -1, 10_000);
  const rows = packs.map(({ packId, objectId, slotCount, droppedCount, storedBytes }) =>
    [packId, objectId, slotCount, droppedCount, storedBytes].join(' '),
  );
  const records = backups.map(({ backupId, attemptId, parentId }) => `${backupId} ${attemptId} ${parentId}`);
  return { packs: rows.sort(), backups: records.sort() };
}

test('every backup of a lost catalog is there again, restores byte for byte, and a prune loses nothing', async () => {
  await using bench = await EngineBench.start();
  const versions = await backUpVersions(bench, 4);
  await using database = await makeSqlite();
  const catalog = await database.open();
  const report = only(await rebuild(bench, catalog));
  assert.equal(report.backupCount, 4);
  assert.deepEqual([report.refused, report.unreadablePacks, report.missingParents], [[], [], []]);
  const repository = await openOn(bench, catalog);
  for (const [backupId, bytes] of versions) {
    assert(bytes.equals(await readThrough(bench, repository, catalog, backupId)), 'a restored backup differs');
  }
  const inQuarantine = await runPrune(repository, bench.projectId, {}, signal);
  assert.equal(inQuarantine.quarantinedUntil, report.quarantinedUntil);
  const later = { now: () => systemClock.now() + ADOPTION_QUARANTINE_MS + 1000 };
  const pruned = await runPrune(await openOn(bench, catalog, later), bench.projectId, {}, signal);
  assert.deepEqual([pruned.condemnedCount, pruned.unknownRecords.length, pruned.rootCount], [0, 0, 4]);
  for (const [backupId, bytes] of versions) {
    assert(bytes.equals(await readThrough(bench, repository, catalog, backupId)), 'prune took something');
  }
});

test('what no backup refers to is found dead by the first prune after the quarantine, and goes', async () => {
  await using bench = await EngineBench.start();
  const versions = await backUpVersions(bench, 1);
  const waste = await bench.makeDisk('waste', MIB, [{ offsetBytes: 0, bytes: fixedBytes(77, MIB) }]);
  // Its attempt died after its packs were stored.
  const { commit } = await bench.write(waste, { isIncremental: false });
  await bench.store.delete([`projects/${bench.projectId}/backups/${commit.backupId}.${commit.attemptId}`]);
  await using database = await makeSqlite();
  const catalog = await database.open();
  assert.equal(only(await rebuild(bench, catalog)).backupCount, 1);
  const later = { now: () => systemClock.now() + ADOPTION_QUARANTINE_MS + 1000 };
  const repository = await openOn(bench, catalog, later);
  const pruned = await runPrune(repository, bench.projectId, {}, signal);
  assert(pruned.freedBytes >= MIB, `${pruned.freedBytes} bytes were freed`);
  for (const [backupId, bytes] of versions) {
    assert(bytes.equals(await readThrough(bench, repository, catalog, backupId)));
  }
});

test('a rebuild that dies at any call goes on, comes to the same, and nobody can use half of it', async () => {
  await using bench = await EngineBench.start();
  await fillRepository(bench, 12);
  await backUpVersions(bench, 2);
  await using whole = await makeSqlite();
  const undisturbed = await whole.open();
  const counting = new FaultyStore(bench.store);
  await rebuild(bench, undisturbed, { store: counting });
  const expected = await summarize(bench, undisturbed);
  const callCount = counting.calls.length;
  await using database = await makeSqlite();
  const catalog = await database.open();
  let crashCount = 0;
  for (const share of [0.3, 0.6, 0.8]) {
    const nth = Math.floor(callCount * share);
    const store = new FaultyStore(bench.store, [{ nth, effect: 'crash' }]);
    const outcome = await Promise.allSettled([rebuild(bench, catalog, { store })]);
    if (outcome[0].status === 'fulfilled') break;
    crashCount += 1;
    await rejectsWith(openOn(bench, catalog), 'REPOSITORY_MISMATCH');
  }
  assert(crashCount >= 2, `${crashCount} rebuilds were cut short`);
  await rebuild(bench, catalog);
  assert.deepEqual(await summarize(bench, catalog), expected);
  assert.equal((await rebuild(bench, catalog)).wasDone, true);
  await openOn(bench, catalog);
});

test('a catalog that knows a repository is refused, and a wrong passphrase changes nothing', async () => {
  await using bench = await EngineBench.start();
  await fillRepository(bench, 2);
  await using database = await makeSqlite();
  const catalog = await database.open();
  await rejectsWith(rebuild(bench, catalog, { passphrase: 'wrong' }), 'PASSPHRASE_WRONG');
  assert.deepEqual(await catalog.projects.list(), []);
  await using other = await EngineBench.start();
  await fillRepository(other, 1);
  await rebuild(other, catalog);
  await rejectsWith(rebuild(bench, catalog), 'CATALOG_NOT_EMPTY');
  await using served = await makeSqlite();
  const fresh = await served.open();
  await fresh.ledger.saveKey({ keyId: newUuid(), projectId: null, wrapped: Buffer.alloc(1) });
  await rejectsWith(rebuild(bench, fresh), 'CATALOG_NOT_EMPTY');
});

test('backups of every key come back after a rotation, and what is written next has a key of its own', async () => {
  await using bench = await EngineBench.start();
  const versions = await backUpVersions(bench, 2);
  await rotateKeys(bench, PASSPHRASE);
  const rotated = await bench.reopen();
  const disk = await bench.makeDisk('after', MIB, [{ offsetBytes: 0, bytes: fixedBytes(9, MIB) }]);
  const { commit } = await bench.backUp(disk, { repository: rotated, isIncremental: false });
  const before = await rotated.openProject(bench.projectId);
  await using database = await makeSqlite();
  const catalog = await database.open();
  assert.equal(only(await rebuild(bench, catalog)).backupCount, 3);
  const repository = await openOn(bench, catalog);
  const { keys } = await repository.openProject(bench.projectId);
  assert.equal(keys.keys.size, 3);
  assert(!before.keys.keys.has(keys.currentKeyId), 'none of the old keys is written with');
  const [first] = versions;
  assert(first !== undefined);
  assert(first[1].equals(await readThrough(bench, repository, catalog, first[0])));
  assert(fixedBytes(9, MIB).equals(await readThrough(bench, repository, catalog, commit.backupId)));
  const stored = (await listNames(bench.store)).filter((name) => name.includes('/keys/'));
  assert.equal(stored.length, 3, 'the new key is in the store too');
});

test('a backup whose data is damaged is not entered, and told; its neighbours are', async () => {
  const store = new MemoryStore();
  await using bench = await EngineBench.start(store);
  const one = await bench.makeDisk('one', MIB, [{ offsetBytes: 0, bytes: fixedBytes(1, MIB) }]);
  const two = await bench.makeDisk('two', MIB, [{ offsetBytes: 0, bytes: fixedBytes(2, MIB) }]);
  const lost = await bench.backUp(one, { isIncremental: false });
  const kept = await bench.backUp(two, { isIncremental: false });
  const [pack] = lost.commit.packs;
  const name = (await listNames(store)).find((found) => found.includes(`/packs/`) && found.includes(`${pack?.packId}`));
  assert(name !== undefined);
  await store.delete([name]);
  await using database = await makeSqlite();
  const catalog = await database.open();
  const report = only(await rebuild(bench, catalog));
  assert.deepEqual(
    report.refused.map(({ backupId }) => backupId),
    [lost.commit.backupId],
  );
  assert.equal(report.backupCount, 1);
  assert.notEqual(await catalog.backups.get(bench.projectId, kept.commit.backupId), undefined);
  // It keeps what is left of its chunks until it is given up by name.
  const later = { now: () => systemClock.now() + ADOPTION_QUARANTINE_MS + 1000 };
  const pruned = await runPrune(await openOn(bench, catalog, later), bench.projectId, {}, signal);
  assert.deepEqual([pruned.unknownRecords.length, pruned.condemnedCount], [1, 0]);
});

test('of two records of one backup the newer one is entered, and the other is told', async () => {
  await using bench = await EngineBench.start();
  const backupId = newUuid<BackupId>();
  const disk = await bench.makeDisk('disk', MIB, [{ offsetBytes: 0, bytes: fixedBytes(1, MIB) }]);
  const at = async (frozenAt: number): Promise<AttemptId> => {
    const source = { ...(await fileSource(disk)), frozenAt };
    return (await bench.write(disk, { backupId, source, isIncremental: false })).commit.attemptId;
  };
  const [older, newer] = [await at(1000), await at(2000)];
  await using database = await makeSqlite();
  const catalog = await database.open();
  const report = only(await rebuild(bench, catalog));
  assert.equal((await catalog.backups.get(bench.projectId, backupId))?.attemptId, newer);
  assert.deepEqual(
    report.refused.map(({ attemptId }) => attemptId),
    [older],
  );
});

test('an increment whose parent is gone is whole, and the missing parent is told', async () => {
  await using bench = await EngineBench.start();
  const versions = await backUpVersions(bench, 2);
  const [first, second] = [...versions.keys()];
  assert(first !== undefined && second !== undefined);
  const name = (await listNames(bench.store)).find((found) => found.includes(`/backups/${first}`));
  await bench.store.delete([name ?? '']);
  await using database = await makeSqlite();
  const catalog = await database.open();
  const report = only(await rebuild(bench, catalog));
  assert.deepEqual(report.missingParents, [{ backupId: second, parentId: first }]);
  const repository = await openOn(bench, catalog);
  assert(versions.get(second)?.equals(await readThrough(bench, repository, catalog, second)));
});

test('the catalog that was thought lost can write no more, and hooks lead to chunks again', async () => {
  await using bench = await EngineBench.start();
  const disk = await bench.makeDisk('disk', 4 * MIB, [{ offsetBytes: 0, bytes: fixedBytes(1, 4 * MIB) }]);
  await bench.backUp(disk);
  await using database = await makeSqlite();
  const catalog = await database.open();
  await rebuild(bench, catalog);
  await rejectsWith(bench.write(disk), 'EPOCH_CONFLICT');
  const repository = await openOn(bench, catalog);
  const { hookKey } = await repository.openProject(bench.projectId);
  const before = await bench.repository.openProject(bench.projectId);
  assert(hookKey.equals(before.hookKey), 'with one key hooks are as before');
  const hooks = [...new Set([...bench.ledger.hooks.keys()])];
  assert(hooks.length > 0, 'there are hooks among 64 chunks');
  const found = await catalog.ledger.findPacksByHooks(bench.projectId, hooks);
  assert.equal(found.size, hooks.length);
});

test('changed names, tags and the name of the project come back with a rebuild, and with an adoption', async () => {
  await using bench = await EngineBench.start();
  const versions = await backUpVersions(bench, 2);
  const [first, second] = [...versions.keys()];
  assert(first !== undefined && second !== undefined);
  const label = {
    backupId: first,
    revision: 3,
    name: 'before the upgrade',
    description: 'keep',
    tags: [{ key: 'env', value: 'prod' }],
    metadata: { owner: 'me' },
  };
  await writeBackupLabel(bench.repository, bench.projectId, label);
  await writeProjectLabel(bench.repository, bench.projectId, { name: 'shop', description: 'the shop' });
  await using database = await makeSqlite();
  const catalog = await database.open();
  const report = only(await rebuild(bench, catalog));
  assert.deepEqual([report.name, report.labelCount], ['shop', 1]);
  const named = await catalog.backups.get(bench.projectId, first);
  assert.deepEqual([named?.name, named?.description, named?.tags, named?.metadata], Object.values(label).slice(2));
  assert.equal((await catalog.backups.get(bench.projectId, second))?.name, 'test');
  assert.equal((await catalog.projects.get(bench.projectId))?.description, 'the shop');
  // The service has changed it since, and then its catalog was put back to the state of before.
  const repository = await openOn(bench, catalog);
  await writeBackupLabel(repository, bench.projectId, { ...label, revision: 4, name: 'renamed', tags: [] });
  const adopted = await adoptProject(repository, bench.projectId, {}, signal);
  assert.equal(adopted.labelCount, 1);
  const renamed = await catalog.backups.get(bench.projectId, first);
  assert.deepEqual([renamed?.name, renamed?.tags], ['renamed', []]);
});
