// Two stored versions of one pack after a rebuild: the one that no row names goes, but not before the other was proved.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PackId } from '../../../../src/core/ids.ts';
import { ADOPTION_QUARANTINE_MS } from '../../../../src/core/limits.ts';
import { packObjectName, packObjectOf } from '../../../../src/core/object-names.ts';
import { systemClock } from '../../../../src/core/ports.ts';
import type { Catalog } from '../../../../src/db/catalog.ts';
import { runPrune } from '../../../../src/engine/prune/run-prune.ts';
import type { Repository } from '../../../../src/engine/repository.ts';
import { scrubProject } from '../../../../src/engine/verify/scrub-project.ts';
import { compactPack } from '../../../support/compact-pack.ts';
import { EngineBench } from '../../../support/engine-bench.ts';
import { fixedBytes } from '../../../support/fixed-bytes.ts';
import { openOn, readThrough, rebuild } from '../../../support/rebuild-bench.ts';
import { listNames } from '../../../support/stored-objects.ts';
import { makeSqlite } from '../../../support/test-catalog.ts';

const { signal } = new AbortController();
const MIB = 1024 * 1024;
const later = { now: () => systemClock.now() + ADOPTION_QUARANTINE_MS + 1000 };

/** A backup of one pack, of which a second version lies in the store that lacks `deadSlots`. */
async function backUpTwice(bench: EngineBench, deadSlots: readonly number[]) {
  const bytes = fixedBytes(1, MIB);
  const disk = await bench.makeDisk('disk', MIB, [{ offsetBytes: 0, bytes }]);
  const { commit } = await bench.backUp(disk);
  const packId = commit.packs[0]?.packId;
  assert(packId !== undefined);
  const row = bench.ledger.packs.get(packId);
  assert(row !== undefined);
  await compactPack(bench, packId, deadSlots);
  const spare = bench.ledger.packs.get(packId);
  assert(spare !== undefined && spare.objectId !== row.objectId);
  return { backupId: commit.backupId, bytes, packId, row, spareName: packObjectName(bench.projectId, spare) };
}

async function versionsOf({ store, projectId }: EngineBench, packId: PackId): Promise<string[]> {
  return (await listNames(store)).filter((name) => packObjectOf(projectId, name)?.packId === packId);
}

async function prune(repository: Repository, { projectId }: EngineBench, isDryRun = false): Promise<[number, number]> {
  const { spareCount, unnamedObjects } = await runPrune(repository, projectId, { isDryRun }, signal);
  return [spareCount, unnamedObjects.count];
}

async function scrub(repository: Repository, { projectId }: EngineBench): Promise<number> {
  const options = { beforeAt: later.now(), maxBytes: Number.MAX_SAFE_INTEGER };
  return (await scrubProject(repository, projectId, options, signal)).damage.length;
}

async function openLater(bench: EngineBench, catalog: Catalog): Promise<Repository> {
  await rebuild(bench, catalog);
  return await openOn(bench, catalog, later);
}

test('a spare goes with the first prune after the quarantine, which reads the current version', async () => {
  await using bench = await EngineBench.start();
  const { backupId, bytes, packId, row, spareName } = await backUpTwice(bench, [0, 3]);
  await using database = await makeSqlite();
  const catalog = await database.open();
  const repository = await openLater(bench, catalog);
  await prune(await openOn(bench, catalog), bench);
  assert.equal((await versionsOf(bench, packId)).length, 2, 'the quarantine is not over');
  assert.deepEqual(await prune(repository, bench, true), [0, 1], 'a dry run only tells');
  assert.deepEqual(await prune(repository, bench), [1, 0]);
  assert.deepEqual(await versionsOf(bench, packId), [packObjectName(bench.projectId, row)]);
  assert(!(await listNames(bench.store)).includes(spareName));
  assert(bytes.equals(await readThrough(bench, repository, catalog, backupId)));
});

test('a spare stays when the current version has rotted since it was read last', async () => {
  await using bench = await EngineBench.start();
  const { backupId, packId, row } = await backUpTwice(bench, [0]);
  await using database = await makeSqlite();
  const catalog = await database.open();
  const repository = await openLater(bench, catalog);
  assert.equal(await scrub(repository, bench), 0);
  // The damage was found and repaired, and then the catalog was put back to before: the spare is the healed version.
  const name = packObjectName(bench.projectId, row);
  const bytes = await bench.store.get(name, 4 * MIB);
  const offset = Math.floor(bytes.length / 2);
  bytes.writeUInt8(bytes.readUInt8(offset) ^ 1, offset);
  await bench.store.delete([name]);
  await bench.store.put(name, bytes);
  assert.deepEqual(await prune(repository, bench), [0, 1]);
  assert.equal((await versionsOf(bench, packId)).length, 2);
  const damaged = await catalog.ledger.listDamagedBackups(bench.projectId);
  assert.deepEqual(
    damaged.map((root) => root.backupId),
    [backupId],
  );
});

test('a spare stays when it holds what the current version does not', async () => {
  await using bench = await EngineBench.start();
  const { packId, row } = await backUpTwice(bench, [0]);
  bench.ledger.packs.set(packId, row);
  await compactPack(bench, packId, [1, 2]);
  await bench.store.delete([packObjectName(bench.projectId, row)]);
  await using database = await makeSqlite();
  const repository = await openLater(bench, await database.open());
  assert.equal(await scrub(repository, bench), 0);
  assert.deepEqual(await prune(repository, bench), [0, 1]);
  assert.equal((await versionsOf(bench, packId)).length, 2);
});

test('a spare stays when the current version is damaged, and when its own trailer cannot be read', async () => {
  await using bench = await EngineBench.start();
  const { packId, row, spareName } = await backUpTwice(bench, [0]);
  const name = packObjectName(bench.projectId, row);
  const whole = await bench.store.get(name, 4 * MIB);
  const replace = async (objectName: string, bytes: Buffer): Promise<void> => {
    await bench.store.delete([objectName]);
    await bench.store.put(objectName, bytes);
  };
  const damaged = Buffer.from(whole);
  damaged.writeUInt8(damaged.readUInt8(200) ^ 1, 200);
  await replace(name, damaged);
  await using database = await makeSqlite();
  const catalog = await database.open();
  const repository = await openLater(bench, catalog);
  assert.equal(await scrub(repository, bench), 1);
  assert.deepEqual(await prune(repository, bench), [0, 1]);
  await replace(name, whole);
  const spare = await bench.store.get(spareName, 4 * MIB);
  await replace(spareName, spare.subarray(0, -1));
  const healed = await openOn(bench, catalog, later);
  await scrub(healed, bench);
  assert.deepEqual(await prune(healed, bench), [0, 1]);
  assert.equal((await versionsOf(bench, packId)).length, 2);
  await replace(spareName, spare);
  assert.deepEqual(await prune(healed, bench), [1, 0], 'nothing else was in the way');
});
