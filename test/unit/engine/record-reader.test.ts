// Records that are looked at before the catalog names them, and the check of all that they lead to.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../../src/core/bytes.ts';
import {
  type AttemptId,
  type BackupId,
  newHexId,
  newUuid,
  type PackId,
  type ProjectId,
} from '../../../src/core/ids.ts';
import { recordName } from '../../../src/core/object-names.ts';
import { checkManifest, readStoredRecord } from '../../../src/engine/record-reader.ts';
import { EngineBench } from '../../support/engine-bench.ts';
import { fixedBytes } from '../../support/fixed-bytes.ts';
import { listNames } from '../../support/stored-objects.ts';

/** More than one page, so that there are pages beside the one in the record. */
const SIZE_BYTES = 130 * MIB;

async function startWithBackup() {
  const bench = await EngineBench.start();
  const path = await bench.makeDisk('disk', SIZE_BYTES, [
    { offsetBytes: MIB, bytes: fixedBytes(1, MIB) },
    { offsetBytes: 100 * MIB, bytes: fixedBytes(2, MIB) },
  ]);
  const { commit } = await bench.backUp(path);
  const { backupId, attemptId, recordSha256 } = commit;
  return { bench, backupId, attemptId, recordSha256 };
}

function check(bench: EngineBench, backupId: BackupId) {
  const { signal } = new AbortController();
  const report = () => undefined;
  return checkManifest(bench.repository, { claim: bench.newClaim(), backupId, report, signal });
}

test('a record is found by project, backup and attempt, and by nothing less', async () => {
  const { bench, backupId, attemptId, recordSha256 } = await startWithBackup();
  await using _ = bench;
  const { projectId, repository } = bench;
  const place = { projectId, recordBackupId: backupId, attemptId };
  const stored = await readStoredRecord(repository, place);
  assert.deepEqual([stored.record.backupId, stored.record.sizeBytes], [backupId, SIZE_BYTES]);
  assert.deepEqual(Buffer.from(stored.recordSha256), Buffer.from(recordSha256));
  const elsewhere = [
    { ...place, recordBackupId: newUuid<BackupId>() },
    { ...place, attemptId: newUuid<AttemptId>() },
    { ...place, projectId: newHexId<ProjectId>() },
  ];
  const before = await listNames(bench.store);
  for (const other of elsewhere) {
    await assert.rejects(readStoredRecord(repository, other), { code: 'OBJECT_NOT_FOUND' });
  }
  assert.deepEqual(await listNames(bench.store), before, 'a project that has nothing is not made by asking for it');
});

test('a record that was put under another name, or into another project, does not open', async () => {
  const { bench, backupId, attemptId } = await startWithBackup();
  await using _ = bench;
  const { projectId, repository, store } = bench;
  const bytes = await store.get(recordName(projectId, backupId, attemptId), SIZE_BYTES);
  const otherId = newUuid<BackupId>();
  await store.put(recordName(projectId, otherId, attemptId), bytes);
  const foreignId = newHexId<ProjectId>();
  await repository.openProject(foreignId);
  await store.put(recordName(foreignId, backupId, attemptId), bytes);
  for (const place of [
    { projectId, recordBackupId: otherId, attemptId },
    { projectId: foreignId, recordBackupId: backupId, attemptId },
  ]) {
    await assert.rejects(readStoredRecord(repository, place), { code: 'DATA_CORRUPT' });
  }
});

test('a backup whose pages and packs are all there passes', async () => {
  const { bench, backupId } = await startWithBackup();
  await using _ = bench;
  assert.equal((await check(bench, backupId)).backupId, backupId);
});

test('a slot that was given up, a pack that is unknown and a page that is gone do not', async () => {
  for (const lose of [
    async (bench: EngineBench, packId: PackId) => void bench.ledger.condemned.set(packId, Buffer.from([0b100])),
    async (bench: EngineBench, packId: PackId) => void bench.ledger.packs.delete(packId),
  ]) {
    const { bench, backupId } = await startWithBackup();
    await using _ = bench;
    const pack = [...bench.ledger.packs.values()].find(({ kind }) => kind === 'data');
    assert(pack !== undefined);
    await lose(bench, pack.packId);
    await assert.rejects(check(bench, backupId), { code: 'DATA_CORRUPT' });
  }
  const { bench, backupId } = await startWithBackup();
  await using _ = bench;
  const pages = (await listNames(bench.store)).filter((name) => name.includes('/pages/'));
  assert.notEqual(pages.length, 0);
  await bench.store.delete(pages);
  await assert.rejects(check(bench, backupId), { code: 'OBJECT_NOT_FOUND' });
});

test('slots that the backup does not need may be given up', async () => {
  const { bench, backupId } = await startWithBackup();
  await using _ = bench;
  const bitmap = Buffer.alloc(200);
  bitmap[150] = 0xff;
  for (const { packId } of bench.ledger.packs.values()) bench.ledger.condemned.set(packId, bitmap);
  await check(bench, backupId);
});
