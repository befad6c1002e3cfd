// Backups and restores of real disks under a limit, on a clock that only the throttle's own sleeping moves.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { MIB } from '../../../src/core/bytes.ts';
import { planMemory } from '../../../src/core/memory-plan.ts';
import { parseRateSchedule } from '../../../src/core/rate-schedule.ts';
import { NO_THROTTLES, Throttle } from '../../../src/core/throttle.ts';
import { Repository, type RepositoryDeps } from '../../../src/engine/repository.ts';
import { EngineBench, PASSPHRASE, sparseSource } from '../../support/engine-bench.ts';

const SIZE_BYTES = 24 * MIB;

function makeThrottle(rates: string) {
  const schedule = parseRateSchedule(rates);
  assert.ok(schedule, `${rates} are rates`);
  const time = { nowAt: 0 };
  const throttle = new Throttle({
    schedule,
    clock: { now: () => time.nowAt },
    minuteOfDay: () => 0,
    sleep: async (delayMs, signal) => {
      signal?.throwIfAborted();
      time.nowAt += delayMs;
    },
  });
  return { throttle, time };
}

function reopen({ store, ledger, workers, repository }: EngineBench, extra: Partial<RepositoryDeps>) {
  const { clock, logger } = repository;
  return Repository.open({ store, ledger, workers, clock, logger, ...extra }, PASSPHRASE);
}

async function makeDisk(bench: EngineBench, name = 'disk'): Promise<string> {
  return await bench.makeDisk(name, SIZE_BYTES, [{ offsetBytes: 0, bytes: randomBytes(SIZE_BYTES) }]);
}

test('a backup reads its disk no faster than the limit of reads, and only what it reads counts', async () => {
  await using bench = await EngineBench.start();
  const { throttle, time } = makeThrottle('4MiB/s');
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
  const { throttle, time } = makeThrottle('1iops');
  const repository = await reopen(bench, { throttles: { ...NO_THROTTLES, read: throttle } });
  const path = await makeDisk(bench);
  const extents = [0, 2, 4, 6].map((at) => ({ offsetBytes: at * 256 * 1024, lengthBytes: 256 * 1024 }));
  await bench.backUp(path, { repository, source: await sparseSource(path, extents) });
  await bench.backUp(path, { repository, source: await sparseSource(path, extents) });
  assert.equal(time.nowAt, 4000);
});

test('a restore keeps to the limit of writes, and what it reads for comparing to that of reads', async () => {
  await using bench = await EngineBench.start();
  const [read, write] = [makeThrottle('4MiB/s'), makeThrottle('4MiB/s')];
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
