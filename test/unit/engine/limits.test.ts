// Backups and restores of real disks under a limit, on a clock that only the throttle's own sleeping moves.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { makeBitmap, setBit } from '../../../src/core/bitmap.ts';
import { MIB } from '../../../src/core/bytes.ts';
import { planMemory } from '../../../src/core/memory-plan.ts';
import { parseRateSchedule } from '../../../src/core/rate-schedule.ts';
import { NO_THROTTLES, Throttle } from '../../../src/core/throttle.ts';
import { openBackup } from '../../../src/engine/backup-reader.ts';
import { compactPack } from '../../../src/engine/prune/compact-pack.ts';
import { Repository, type RepositoryDeps } from '../../../src/engine/repository.ts';
import { verifyBackup } from '../../../src/engine/verify/verify-backup.ts';
import { ThrottledStore } from '../../../src/storage/throttled-store.ts';
import { EngineBench, PASSPHRASE, sparseSource } from '../../support/engine-bench.ts';
import { makeManualThrottle } from '../../support/manual-throttle.ts';

const SIZE_BYTES = 24 * MIB;

function reopen({ store, ledger, workers, repository }: EngineBench, extra: Partial<RepositoryDeps>) {
  const { clock, logger } = repository;
  return Repository.open({ store, ledger, workers, clock, logger, ...extra }, PASSPHRASE);
}

async function makeDisk(bench: EngineBench, name = 'disk'): Promise<string> {
  return await bench.makeDisk(name, SIZE_BYTES, [{ offsetBytes: 0, bytes: randomBytes(SIZE_BYTES) }]);
}

test('a backup reads its disk no faster than the limit of reads, and only what it reads counts', async () => {
  await using bench = await EngineBench.start();
  const { throttle, time } = makeManualThrottle('4MiB/s');
  const repository = await reopen(bench, { throttles: { ...NO_THROTTLES, read: throttle } });
  const path = await makeDisk(bench);
  await bench.backUp(path, { repository });
  assert.equal(time.nowAt, 5000, 'the last of six segments of 4 MiB begins after five seconds');
  const source = await sparseSource(path, [{ offsetBytes: 8 * MIB, lengthBytes: MIB }]);
  await bench.backUp(path, { repository, source });
  assert.equal(time.nowAt, 6000, 'the sixth is paid for before one MiB is read');
});

test('operations are counted by the extents that are read', async () => {
  await using bench = await EngineBench.start();
  const { throttle, time } = makeManualThrottle('1iops');
  const repository = await reopen(bench, { throttles: { ...NO_THROTTLES, read: throttle } });
  const path = await makeDisk(bench);
  const extents = [0, 2, 4, 6].map((at) => ({ offsetBytes: at * 256 * 1024, lengthBytes: 256 * 1024 }));
  await bench.backUp(path, { repository, source: await sparseSource(path, extents) });
  await bench.backUp(path, { repository, source: await sparseSource(path, extents) });
  assert.equal(time.nowAt, 4000);
});

test('a restore keeps to the limit of writes, and what it reads for comparing to that of reads', async () => {
  await using bench = await EngineBench.start();
  const [read, write] = [makeManualThrottle('4MiB/s'), makeManualThrottle('4MiB/s')];
  const path = await makeDisk(bench);
  const { commit } = await bench.backUp(path);
  const repository = await reopen(bench, { throttles: { read: read.throttle, write: write.throttle } });
  const { backupId } = commit;
  await bench.restore(backupId, 'restored', { repository, readsZero: true, sizeBytes: SIZE_BYTES });
  await write.throttle.take({ bytes: 0, operations: 0 });
  assert.equal(write.time.nowAt, 6000, '24 MiB at 4 MiB/s, all paid for');
  assert.equal(read.time.nowAt, 0, 'an empty disk is not compared');
  await bench.restore(backupId, 'restored', { repository });
  assert.equal(read.time.nowAt, 5000);
  assert.equal(write.time.nowAt, 6000, 'nothing differs, nothing is written');
});

/** The bench's repository, its store under limits of 1 MiB/s; `read` and `write` tell what was taken so far. */
async function limitStore(bench: EngineBench) {
  const [read, write] = [makeManualThrottle('1MiB/s'), makeManualThrottle('1MiB/s')];
  const store = new ThrottledStore(bench.store, { read: read.throttle, write: write.throttle });
  const repository = await reopen(bench, { store });
  const mibSoFar = async ({ throttle, time }: typeof read) => {
    await throttle.take({ bytes: 0, operations: 0 });
    return time.nowAt / 1000;
  };
  return { repository, readMib: () => mibSoFar(read), writtenMib: () => mibSoFar(write) };
}

const isAbout = (mib: number, expectedMib: number) => mib >= expectedMib && mib < expectedMib + 1;

test('all bulk traffic of the repository keeps to its limits: backups, restores, exports, verifications', async () => {
  await using bench = await EngineBench.start();
  const { repository, readMib, writtenMib } = await limitStore(bench);
  const path = await makeDisk(bench);
  const { commit } = await bench.backUp(path, { repository });
  // Random bytes do not compress; what comes on top are headers, trailers and pages.
  const stored = await writtenMib();
  assert.ok(isAbout(stored, 24), `${stored} MiB written by a backup of 24`);
  let before = await readMib();
  const readSince = async () => {
    const now = await readMib();
    const since = now - before;
    before = now;
    return since;
  };
  const { backupId } = commit;
  await bench.restore(backupId, 'restored', { repository, readsZero: true, sizeBytes: SIZE_BYTES });
  assert.ok(isAbout(await readSince(), 24), 'a restore reads it');
  const reader = await openBackup(repository, { claim: bench.newClaim(), backupId });
  await reader.read(4 * MIB, 8 * MIB);
  assert.ok(isAbout(await readSince(), 8), 'an export reads the part that is asked for');
  const request = { claim: bench.newClaim(), backupId, report: () => undefined, signal: new AbortController().signal };
  assert.equal((await verifyBackup(repository, request)).isSound, true);
  assert.ok(isAbout(await readSince(), 24), 'a verification reads all of it, once');
  assert.equal(await writtenMib(), stored, 'none of them writes');
});

test('a compaction keeps to the limits of the repository, of reads and of writes', async () => {
  await using bench = await EngineBench.start();
  const path = await makeDisk(bench);
  await bench.backUp(path);
  const [pack] = await bench.ledger.listLivePacks(bench.projectId, -1, 1);
  assert.ok(pack?.kind === 'data');
  // As if the backup that needs the second half of the chunks had been deleted.
  const condemned = makeBitmap(384);
  for (let slot = 192; slot < 384; slot += 1) setBit(condemned, slot);
  bench.ledger.condemned.set(pack.packId, condemned);
  const { repository, readMib, writtenMib } = await limitStore(bench);
  const project = await repository.openProject(bench.projectId);
  const { outcome } = await compactPack(repository, project, pack.packId, new AbortController().signal);
  assert.equal(outcome, 'compacted');
  assert.ok(isAbout(await readMib(), 12), 'only what stays is read');
  assert.ok(isAbout(await writtenMib(), 12));
});

test('a backup that waits for its turn to write ends as soon as it is cancelled', async () => {
  await using bench = await EngineBench.start();
  const schedule = parseRateSchedule('64KiB/s') ?? [];
  const write = new Throttle({ schedule, clock: bench.repository.clock });
  const store = new ThrottledStore(bench.store, { ...NO_THROTTLES, write });
  const repository = await reopen(bench, { store });
  const path = await makeDisk(bench);
  const cancelled = new AbortController();
  const startedAt = performance.now();
  const backup = bench.backUp(path, { repository, signal: cancelled.signal });
  setTimeout(() => cancelled.abort(new Error('cancelled')), 300);
  await assert.rejects(backup, { message: 'cancelled' });
  assert.ok(performance.now() - startedAt < 10_000, 'not the minutes that 24 MiB take');
});

test('a backup that waits for its turn to read ends as soon as it is cancelled', async () => {
  await using bench = await EngineBench.start();
  const schedule = parseRateSchedule('64KiB/s') ?? [];
  const read = new Throttle({ schedule, clock: bench.repository.clock });
  const repository = await reopen(bench, { throttles: { ...NO_THROTTLES, read } });
  const path = await makeDisk(bench);
  const cancelled = new AbortController();
  const startedAt = performance.now();
  const backups = [0, 1, 2].map(() => bench.backUp(path, { repository, signal: cancelled.signal }));
  setTimeout(() => cancelled.abort(new Error('cancelled')), 50);
  for (const outcome of await Promise.allSettled(backups)) {
    assert.equal(outcome.status === 'rejected' && outcome.reason.message, 'cancelled');
  }
  assert.ok(performance.now() - startedAt < 5000, 'not the minutes that 24 MiB take');
});

test('the smallest plan of memory still backs up and restores byte for byte', async () => {
  await using bench = await EngineBench.start();
  const repository = await reopen(bench, { memory: planMemory(0, 2, 2), compressionLevel: 9 });
  const path = await makeDisk(bench);
  const { commit } = await bench.backUp(path, { repository });
  await bench.restore(commit.backupId, 'restored', { repository, readsZero: true, sizeBytes: SIZE_BYTES });
  assert.ok((await readFile(bench.path('restored'))).equals(await readFile(path)));
});
