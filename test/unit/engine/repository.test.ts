import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, isVbsError } from '../../../src/core/errors.ts';
import { type CatalogId, type KeyId, newUuid } from '../../../src/core/ids.ts';
import { CONFIG_NAME, epochName } from '../../../src/core/object-names.ts';
import { silentLogger, systemClock } from '../../../src/core/ports.ts';
import type { WorkerPool } from '../../../src/engine/pipeline/worker-pool.ts';
import { Repository } from '../../../src/engine/repository.ts';
import { sweepTrash } from '../../../src/engine/sweep.ts';
import { MemoryStore } from '../../../src/storage/memory-store.ts';
import type { ObjectStore } from '../../../src/storage/object-store.ts';
import { EngineBench, PASSPHRASE } from '../../support/engine-bench.ts';
import { FaultyStore } from '../../support/faulty-store.ts';
import { fixedBytes } from '../../support/fixed-bytes.ts';
import { MemoryLedger } from '../../support/memory-ledger.ts';
import { listNames, readAll } from '../../support/stored-objects.ts';

const MIB = 1024 * 1024;
// Opening never touches the threads.
const workers = undefined as unknown as WorkerPool;

function open(store: ObjectStore, ledger: MemoryLedger, passphrase = PASSPHRASE): Promise<Repository> {
  return Repository.open({ store, ledger, workers, clock: systemClock, logger: silentLogger }, passphrase);
}

function rejectsWith(work: Promise<unknown>, code: ErrorCode, object?: string): Promise<void> {
  return assert.rejects(work, (error) => {
    assert(isVbsError(error, code), `${error}`);
    if (object !== undefined) assert.equal(error.details.object, object);
    return true;
  });
}

test('a repository opens again with its passphrase and no other, and opening changes nothing', async () => {
  const [store, ledger] = [new MemoryStore(), new MemoryLedger()];
  const { repositoryId } = await open(store, ledger);
  const before = await readAll(store);
  assert.equal((await open(store, ledger)).repositoryId, repositoryId);
  await rejectsWith(open(store, ledger, 'another'), 'PASSPHRASE_WRONG');
  assert.deepEqual(await readAll(store), before);
  assert.equal((await ledger.listKeys()).length, 1);
});

test('a store and a catalog that do not belong together are refused, and nothing is written', async () => {
  const [store, ledger] = [new MemoryStore(), new MemoryLedger()];
  const [otherStore, otherLedger] = [new MemoryStore(), new MemoryLedger()];
  await open(store, ledger);
  await open(otherStore, otherLedger);
  const before = await readAll(store);
  await rejectsWith(open(store, otherLedger), 'REPOSITORY_MISMATCH');
  await rejectsWith(open(store, new MemoryLedger()), 'REPOSITORY_MISMATCH');
  assert.deepEqual(await readAll(store), before);
});

test('a store that lost its config, or a catalog that lost its keys, is never made a new repository', async () => {
  await using bench = await EngineBench.start();
  await bench.backUp(await bench.makeDisk('disk', MIB, [{ offsetBytes: 0, bytes: fixedBytes(1, MIB) }]));
  await bench.store.delete([CONFIG_NAME]);
  const before = await readAll(bench.store);
  await rejectsWith(bench.reopen(), 'REPOSITORY_MISMATCH');
  await rejectsWith(open(bench.store, new MemoryLedger()), 'REPOSITORY_MISMATCH');
  assert.deepEqual(await readAll(bench.store), before);
  // An empty store under a catalog with projects: a mount that is missing.
  await rejectsWith(bench.reopen(new MemoryStore()), 'REPOSITORY_MISMATCH');
});

test('a failed opening of a project is tried again', async () => {
  await using bench = await EngineBench.start(new FaultyStore(new MemoryStore()));
  // The cast: it was made the line before.
  const store = bench.store as FaultyStore;
  store.setRules([{ operation: 'replace', nth: 1, effect: 'EIO' }]);
  await rejectsWith(bench.repository.openProject(bench.projectId), 'STORAGE_IO');
  await bench.repository.openProject(bench.projectId);
});

test('with the epoch missing, foreign, ahead or damaged nothing is written and nothing is deleted', async () => {
  await using bench = await EngineBench.start();
  const path = await bench.makeDisk('disk', MIB, [{ offsetBytes: 0, bytes: fixedBytes(1, MIB) }]);
  const { commit } = await bench.backUp(path);
  await bench.ledger.deleteBackup((await bench.backUp(path)).commit.backupId);
  const project = await bench.repository.openProject(bench.projectId);
  const name = epochName(bench.projectId);
  const sound = await bench.store.get(name, MIB);
  const catalogId = await bench.ledger.catalogId();
  const spoil: [string, () => Promise<void>, ErrorCode][] = [
    ['missing', () => bench.store.delete([name]), 'EPOCH_CONFLICT'],
    [
      'foreign',
      () => bench.repository.writeEpoch(project, { catalogId: newUuid<CatalogId>(), epoch: 0 }),
      'EPOCH_CONFLICT',
    ],
    ['ahead', () => bench.repository.writeEpoch(project, { catalogId, epoch: 1000 }), 'EPOCH_CONFLICT'],
    ['cut', () => bench.store.replace(name, sound.subarray(0, 70)), 'DATA_CORRUPT'],
    ['empty', () => bench.store.replace(name, Buffer.alloc(0)), 'DATA_CORRUPT'],
  ];
  for (const [what, damage, code] of spoil) {
    await damage();
    const before = await readAll(bench.store);
    await rejectsWith(bench.write(path), code);
    await rejectsWith(sweepTrash(bench.repository, bench.projectId), code);
    assert.deepEqual(await readAll(bench.store), before, what);
    await bench.store.replace(name, sound);
  }
  // Restores go on whatever the epoch says.
  await bench.store.delete([name]);
  await bench.restore(commit.backupId, 'restored', { readsZero: true, sizeBytes: MIB });
});

test('an epoch that is behind the catalog is fine: a sweep that was cut short leaves it so', async () => {
  await using bench = await EngineBench.start();
  const path = await bench.makeDisk('disk', MIB, [{ offsetBytes: 0, bytes: fixedBytes(1, MIB) }]);
  await bench.backUp(path);
  await bench.ledger.raiseEpoch(bench.projectId);
  const { commit } = await bench.backUp(path);
  await bench.ledger.deleteBackup(commit.backupId);
  assert.deepEqual(await sweepTrash(bench.repository, bench.projectId), { deletedCount: 1 });
  await bench.backUp(path);
});

test('an epoch that turns foreign while a backup is written keeps its record out of the store', async () => {
  await using bench = await EngineBench.start();
  const path = await bench.makeDisk('disk', MIB, [{ offsetBytes: 0, bytes: fixedBytes(1, MIB) }]);
  const project = await bench.repository.openProject(bench.projectId);
  let hasTurned: Promise<void> | undefined;
  const report = () => {
    hasTurned ??= bench.repository.writeEpoch(project, { catalogId: newUuid<CatalogId>(), epoch: 0 });
  };
  await rejectsWith(bench.write(path, { report }), 'EPOCH_CONFLICT');
  await hasTurned;
  assert.deepEqual(
    (await listNames(bench.store)).filter((name) => name.includes('/backups/')),
    [],
  );
});

test('a sweep that raises the epoch while a backup looks at it is no conflict', async () => {
  const ledger = new MemoryLedger();
  await using bench = await EngineBench.start(new MemoryStore(), ledger);
  const project = await bench.repository.openProject(bench.projectId);
  const readEpoch = ledger.readEpoch.bind(ledger);
  // The whole of a sweep's raise takes place right after the catalog has answered.
  ledger.readEpoch = async (projectId) => {
    const answer = await readEpoch(projectId);
    await bench.repository.writeEpoch(project, await ledger.raiseEpoch(projectId));
    return answer;
  };
  await bench.repository.checkEpoch(project);
  ledger.readEpoch = readEpoch;
  await bench.repository.checkEpoch(project);
});

test('an object under a key that the project does not have is corruption, not a crash', async () => {
  await using bench = await EngineBench.start();
  const project = await bench.repository.openProject(bench.projectId);
  const keyId = newUuid<KeyId>();
  const foreign = { ...project, keys: { currentKeyId: keyId, keys: new Map([[keyId, Buffer.alloc(32)]]) } };
  await bench.repository.writeEpoch(foreign, { catalogId: await bench.ledger.catalogId(), epoch: 0 });
  await rejectsWith(bench.repository.checkEpoch(project), 'DATA_CORRUPT', epochName(bench.projectId));
});
