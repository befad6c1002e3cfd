// Passphrases and keys: added, changed, removed, rotated. Slow because of scrypt.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { type ErrorCode, isVbsError } from '../../src/core/errors.ts';
import type { BackupId, KeyId } from '../../src/core/ids.ts';
import { silentLogger, systemClock } from '../../src/core/ports.ts';
import {
  addPassphrase,
  changePassphrase,
  listPassphrases,
  removePassphrase,
  rotateKeys,
} from '../../src/engine/key-management.ts';
import { Repository } from '../../src/engine/repository.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { EngineBench, PASSPHRASE } from '../support/engine-bench.ts';
import { fixedBytes } from '../support/fixed-bytes.ts';
import { MemoryLedger } from '../support/memory-ledger.ts';
import { listNames } from '../support/stored-objects.ts';

const MIB = 1024 * 1024;

function rejectsWith(work: Promise<unknown>, code: ErrorCode): Promise<void> {
  return assert.rejects(work, (error) => isVbsError(error, code));
}

async function startWithBackup(): Promise<{ bench: EngineBench; backupId: BackupId; disk: string }> {
  const bench = await EngineBench.start();
  const disk = await bench.makeDisk('disk', 2 * MIB, [{ offsetBytes: 0, bytes: fixedBytes(1, MIB) }]);
  const { commit } = await bench.backUp(disk);
  return { bench, backupId: commit.backupId, disk };
}

async function assertRestores(bench: EngineBench, repository: Repository, backupId: BackupId, disk: string) {
  const restored = await bench.restore(backupId, 'restored', { repository, readsZero: true, sizeBytes: 2 * MIB });
  assert.deepEqual(await readFile(restored), await readFile(disk));
}

test('a passphrase that was added opens the repository, until it is removed', async () => {
  const { bench, backupId, disk } = await startWithBackup();
  await using _bench = bench;
  const keyId = await addPassphrase(bench, PASSPHRASE, 'second');
  await assertRestores(bench, await bench.reopen(bench.store, 'second'), backupId, disk);
  const keys = await listPassphrases(bench, 'second');
  assert.deepEqual(
    keys.map(({ isOpened, isInStore }) => [isOpened, isInStore]),
    [
      [false, true],
      [true, true],
    ],
  );
  await removePassphrase(bench, PASSPHRASE, keyId);
  await rejectsWith(bench.reopen(bench.store, 'second'), 'PASSPHRASE_WRONG');
  await assertRestores(bench, await bench.reopen(), backupId, disk);
  assert.equal((await listNames(bench.store)).filter((name) => name.startsWith('keys/')).length, 1);
});

test('the last key, an unknown key and a wrong passphrase are refused, and nothing changes', async () => {
  const { bench } = await startWithBackup();
  await using _bench = bench;
  const before = await bench.ledger.listKeys();
  const [only] = await listPassphrases(bench, PASSPHRASE);
  assert(only);
  await rejectsWith(removePassphrase(bench, PASSPHRASE, only.keyId), 'KEY_LAST');
  await rejectsWith(
    removePassphrase(bench, PASSPHRASE, '6f1c1d52-0c0e-4a55-9a43-2d2f8f0a9b11' as KeyId),
    'KEY_NOT_FOUND',
  );
  await rejectsWith(addPassphrase(bench, 'wrong', 'second'), 'PASSPHRASE_WRONG');
  await rejectsWith(rotateKeys(bench, 'wrong'), 'PASSPHRASE_WRONG');
  assert.deepEqual(await bench.ledger.listKeys(), before);
});

test('a changed passphrase opens the repository and the old one does not', async () => {
  const { bench, backupId, disk } = await startWithBackup();
  await using _bench = bench;
  await changePassphrase(bench, PASSPHRASE, 'changed', async () => {
    await assertRestores(bench, await bench.reopen(), backupId, disk);
    await assertRestores(bench, await bench.reopen(bench.store, 'changed'), backupId, disk);
  });
  await rejectsWith(bench.reopen(), 'PASSPHRASE_WRONG');
  await assertRestores(bench, await bench.reopen(bench.store, 'changed'), backupId, disk);
});

test('after a rotation old backups open, new ones have new keys, and the old key file is worthless', async () => {
  const { bench, backupId, disk } = await startWithBackup();
  await using _bench = bench;
  const oldKeys = await bench.ledger.listKeys();
  const oldNames = await listNames(bench.store);
  await rotateKeys(bench, PASSPHRASE);
  const repository = await bench.reopen();
  await assertRestores(bench, repository, backupId, disk);
  const { keys } = await repository.openProject(bench.projectId);
  assert.equal(keys.keys.size, 2);
  assert(!oldKeys.some(({ keyId }) => keyId === keys.currentKeyId), 'what is written from now on has another key');
  const { commit } = await bench.backUp(disk, { repository });
  await assertRestores(bench, await bench.reopen(), commit.backupId, disk);
  const oldMaster = oldNames.filter((name) => name.startsWith('keys/'));
  assert.equal(await bench.store.head(oldMaster[0] ?? ''), undefined);
});

test('a rotation waits until other passphrases are removed', async () => {
  const { bench, backupId, disk } = await startWithBackup();
  await using _bench = bench;
  const second = await addPassphrase(bench, PASSPHRASE, 'second');
  await rejectsWith(rotateKeys(bench, PASSPHRASE), 'KEYS_OTHERS_EXIST');
  await removePassphrase(bench, PASSPHRASE, second);
  await rotateKeys(bench, PASSPHRASE);
  await assertRestores(bench, await bench.reopen(), backupId, disk);
});

test('of two creations at once one repository comes out, which both have', async () => {
  await using bench = await EngineBench.start();
  const [store, ledger] = [new MemoryStore(), new MemoryLedger()];
  const { workers } = bench;
  const deps = { store, ledger, workers, clock: systemClock, logger: silentLogger };
  const open = () => Repository.open(deps, PASSPHRASE);
  const outcomes = await Promise.allSettled([open(), open()]);
  const opened = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.repositoryId] : []));
  assert(opened.length > 0);
  assert.equal(new Set([...opened, (await open()).repositoryId]).size, 1);
  assert.equal((await ledger.listKeys()).length, 1);
});
