import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newUuid, type VolumeId } from '../../../../src/core/ids.ts';
import { CHUNK_SIZE_BYTES } from '../../../../src/core/limits.ts';
import { measureUsage } from '../../../../src/engine/prune/space-usage.ts';
import { EngineBench } from '../../../support/engine-bench.ts';
import { makeDisk, prune, signal } from './prune-bench.ts';

const NONE = new Map<number, number>();
/** Chunks that so many stored bytes hold: each has a digest and a part of a frame beside its data. */
const chunksIn = (bytes: number) => Math.floor(bytes / CHUNK_SIZE_BYTES);

test('unique bytes are those that go with a backup, shared ones stay, dead ones wait for prune', async () => {
  await using bench = await EngineBench.start();
  const first = await bench.backUp(await makeDisk(bench, 'disk', 32, NONE));
  const second = await bench.backUp(
    await makeDisk(
      bench,
      'later',
      32,
      new Map([
        [0, 1],
        [1, 2],
      ]),
    ),
  );
  const third = await bench.backUp(
    await makeDisk(
      bench,
      'last',
      32,
      new Map([
        [0, 1],
        [1, 3],
        [2, 4],
      ]),
    ),
  );
  const usage = await measureUsage(bench.repository, bench.projectId, signal);
  const of = (backupId: string) => {
    const found = usage.backups.find((backup) => backup.backupId === backupId);
    assert(found);
    return [chunksIn(found.uniqueBytes), chunksIn(found.sharedBytes)];
  };
  // Chunks 0, 1 of the first only; 1 of the second; 1 and 2 of the third; chunk 2 is shared by the first two.
  assert.deepEqual(of(first.commit.backupId), [2, 30]);
  assert.deepEqual(of(second.commit.backupId), [1, 31]);
  assert.deepEqual(of(third.commit.backupId), [2, 30]);
  assert.equal(usage.deadBytes, 0);
  assert.equal(usage.logicalBytes, 3 * 32 * CHUNK_SIZE_BYTES);
  assert.deepEqual(
    usage.volumes.map(({ backupCount, sharedBytes }) => [backupCount, sharedBytes]),
    [[3, 0]],
  );
  const total = usage.volumes[0]?.uniqueBytes ?? 0;
  assert(Math.abs(total - usage.storedBytes) < 4, `${total} of ${usage.storedBytes} bytes`);

  const [data] = first.commit.packs;
  const before = bench.ledger.packs.get(data?.packId as never)?.storedBytes ?? 0;
  await bench.ledger.deleteBackup(first.commit.backupId);
  await prune(bench);
  const after = await measureUsage(bench.repository, bench.projectId, signal);
  // Two of 32 chunks are not worth writing the pack anew.
  assert.deepEqual([after.storedBytes, chunksIn(after.deadBytes)], [usage.storedBytes, 2]);
  assert(Math.abs(after.deadBytes - (before * 2) / 32) < 2);
});

test('what two volumes have is shared between them, whichever backups it is in', async () => {
  await using bench = await EngineBench.start();
  const path = await makeDisk(bench, 'disk', 600, NONE);
  await bench.backUp(path);
  const second = await bench.write(path, { isIncremental: false });
  assert(second.commit.usedPackIds.length > 0);
  await bench.ledger.commitBackup(second.claim, newUuid<VolumeId>(), second.commit);
  const usage = await measureUsage(bench.repository, bench.projectId, signal);
  assert.equal(usage.volumes.length, 2);
  assert(usage.volumes.every(({ sharedBytes }) => chunksIn(sharedBytes) >= 300));
  assert.deepEqual(
    usage.volumes.map(({ sharedBytes }) => sharedBytes),
    usage.backups.map(({ sharedBytes }) => sharedBytes),
  );
});

test('a backup that cannot be read is named and not counted', async () => {
  await using bench = await EngineBench.start();
  const { commit } = await bench.backUp(await makeDisk(bench, 'disk', 4, NONE));
  await bench.store.delete([`projects/${bench.projectId}/backups/${commit.backupId}.${commit.attemptId}`]);
  const usage = await measureUsage(bench.repository, bench.projectId, signal);
  assert.deepEqual([usage.unreadable, usage.backups], [[commit.backupId], []]);
});
