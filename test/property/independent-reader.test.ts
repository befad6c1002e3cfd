// docs/repository-format.md against the program: a reader made from it alone restores what the engine wrote.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { FilesystemStore } from '../../src/storage/filesystem-store.ts';
import { EngineBench, PASSPHRASE } from '../support/engine-bench.ts';
import { readBackup } from '../support/independent-reader.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const MIB = 1024 * 1024;

test('a reader made from the format document alone restores a full backup and its increment', async () => {
  await using temporary = await makeTemporaryFolder();
  const root = temporary.path;
  await using bench = await EngineBench.start(new FilesystemStore({ root }));
  // Two levels of pages, an end that is no multiple of a chunk, raw and compressed frames, zeros, duplicates.
  const sizeBytes = 70 * MIB + 12_345;
  const noise = randomBytes(3 * MIB);
  const disk = await bench.makeDisk('disk', sizeBytes, [
    { offsetBytes: MIB + 5, bytes: noise },
    { offsetBytes: 20 * MIB + 5, bytes: noise },
    { offsetBytes: 63 * MIB, bytes: Buffer.alloc(3 * MIB, 'text that compresses well, ') },
    { offsetBytes: sizeBytes - 100, bytes: randomBytes(100) },
  ]);
  const full = await bench.backUp(disk);
  const before = await readFile(disk);
  const changed = await bench.makeDisk('changed', sizeBytes, [
    { offsetBytes: 0, bytes: before },
    { offsetBytes: 2 * MIB, bytes: randomBytes(100) },
    { offsetBytes: 63 * MIB, bytes: Buffer.alloc(MIB) },
    { offsetBytes: 30 * MIB, bytes: Buffer.alloc(200_000, 'new text ') },
  ]);
  const increment = await bench.backUp(changed);
  assert(increment.commit.isIncremental);

  const read = (backupId: string) => readBackup(root, PASSPHRASE, bench.projectId, backupId);
  assert(before.equals(read(full.commit.backupId)), 'the full backup differs');
  assert((await readFile(changed)).equals(read(increment.commit.backupId)), 'the increment differs');
  assert.throws(() => readBackup(root, `${PASSPHRASE}!`, bench.projectId, full.commit.backupId), /authenticate/);
});
