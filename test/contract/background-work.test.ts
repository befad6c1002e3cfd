// Scrubs and compactions beside what users wait for: they give way and they go on. Counted, never timed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { BackgroundPace, Foreground } from '../../src/core/background-pace.ts';
import { MIB } from '../../src/core/bytes.ts';
import { newUuid, type VolumeId } from '../../src/core/ids.ts';
import { packObjectName } from '../../src/core/object-names.ts';
import { compactPack } from '../../src/engine/prune/compact-pack.ts';
import { scrubProject } from '../../src/engine/verify/scrub-project.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { EngineBench } from '../support/engine-bench.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { fixedBytes } from '../support/fixed-bytes.ts';
import { ManualSleep } from '../support/manual-sleep.ts';
import { ServiceBench } from '../support/service-bench.ts';

const never = new AbortController().signal;

async function until(isSo: () => boolean): Promise<void> {
  const tooLong = AbortSignal.timeout(20_000);
  while (!isSo()) {
    tooLong.throwIfAborted();
    await setImmediate();
  }
}

/** A disk of another volume for each backup: none of them reads what another one stored. */
async function backUpNew(bench: EngineBench, seed: number) {
  bench.volumeId = newUuid<VolumeId>();
  const path = await bench.makeDisk(`disk ${seed}`, MIB, [{ offsetBytes: 0, bytes: fixedBytes(seed, MIB) }]);
  return await bench.backUp(path);
}

function makePace() {
  const foreground = new Foreground();
  const time = new ManualSleep();
  const pace = new BackgroundPace({ foreground, leastBytesPerSecond: 8 * MIB, sleep: time.sleep });
  return { foreground, time, pace };
}

test('a scrub beside a backup gives way to it, goes on by one piece at a time, and ends when it is alone', async () => {
  const store = new FaultyStore(new MemoryStore());
  await using bench = await EngineBench.start(store);
  for (const seed of [1, 2, 3]) await backUpNew(bench, seed);
  const names = (await bench.ledger.listLivePacks(bench.projectId, -1, 100)).map((pack) =>
    packObjectName(bench.projectId, pack),
  );
  assert.equal(names.length, 3, 'the chunks of three small disks');
  store.calls.length = 0;
  // Of each pack first the header and then, after its turn, the frames.
  const readCount = () => store.calls.filter((it) => it.operation === 'readRange' && names.includes(it.name)).length;
  const { foreground, time, pace } = makePace();
  using backup = foreground.enter();
  const scrub = scrubProject(bench.repository, bench.projectId, { beforeAt: 1e15, maxBytes: 1e9, pace }, never);
  await until(() => time.sleeperCount === 1);
  assert.equal(readCount(), 1, 'the header of the first pack');
  await backUpNew(bench, 4);
  assert.deepEqual([readCount(), time.sleeperCount], [1, 1], 'a whole backup went by meanwhile');
  await time.advance(1000);
  await until(() => time.sleeperCount === 1);
  assert.equal(readCount(), 3, 'the frames of one pack and the header of the next');
  backup[Symbol.dispose]();
  const report = await scrub;
  assert.deepEqual(
    [report.packCount, report.damage, time.sleeperCount],
    [4, [], 0],
    'that of the backup beside it too',
  );
  assert.equal(readCount(), 6, 'alone it waits for nobody');
});

test('a compaction in the background gives way, and one that was asked for does not', async () => {
  await using bench = await EngineBench.start();
  const { commit } = await backUpNew(bench, 1);
  const [pack] = await bench.ledger.listLivePacks(bench.projectId, -1, 1);
  assert.ok(pack && commit.packs.length === 1);
  bench.ledger.condemned.set(pack.packId, Buffer.from([0xff, 0x0f]));
  const { foreground, time, pace } = makePace();
  using _restore = foreground.enter();
  const project = await bench.repository.openProject(bench.projectId);
  const inBackground = compactPack(bench.repository, project, pack.packId, never, { pace });
  await until(() => time.sleeperCount === 1);
  const asked = await compactPack(bench.repository, project, pack.packId, never);
  assert.equal(asked.outcome, 'compacted');
  await time.advance(1000);
  assert.equal((await inBackground).outcome, 'overtaken');
});

test('backups, restores, exports, verifications and checks that users wait for count, and scrubs do not', async () => {
  await using bench = await ServiceBench.start();
  const { foreground, store, caller, projectId } = bench;
  const seen: boolean[] = [];
  const look = () => {
    seen.push(foreground.isBusy);
    return false;
  };
  store.setRules([{ operation: ['write', 'readRange'], name: look, effect: 'EIO' }]);
  /** What was seen since; a job has ended for its user a moment before its handler has. */
  const takeSeen = async () => {
    await bench.waitFor(async () => (foreground.isBusy ? undefined : true));
    return [...new Set(seen.splice(0))];
  };
  await bench.runner.start();
  const { volumeId } = await bench.createVolume();
  const volume = await bench.waitFor(async () => {
    const found = await bench.getVolume(volumeId);
    return found.status === 'available' ? found : undefined;
  });
  await bench.writeDisk(volume, [{ offsetBytes: 0, bytes: fixedBytes(5, MIB) }]);
  const { backupId, status } = await bench.backUp(volumeId);
  assert.equal(status, 'available');
  assert.deepEqual(await takeSeen(), [true], 'a backup');
  await bench.writeDisk(volume, [{ offsetBytes: 0, bytes: fixedBytes(6, MIB) }]);
  assert.equal((await bench.restore(backupId, volumeId)).status, 'SUCCESS');
  assert.deepEqual(await takeSeen(), [true], 'a restore');
  {
    await using opened = await bench.backups.openExport(caller, projectId, backupId);
    assert.equal(foreground.isBusy, false, 'an export that is open and reads nothing');
    seen.length = 0;
    await opened.read(0, MIB);
    assert.deepEqual(await takeSeen(), [true], 'an export');
  }
  const { jobId } = await bench.verifications.startVerify(caller, projectId, backupId);
  assert.equal((await bench.waitForJob(jobId)).status, 'SUCCESS');
  assert.deepEqual(await takeSeen(), [true], 'a verification');
  bench.verifications.startCheck(caller, projectId, 1);
  await bench.waitFor(async () => {
    const run = bench.repositories.lastRun(caller, projectId);
    return run?.status === 'done' ? run : undefined;
  });
  assert.deepEqual(await takeSeen(), [true], 'a check');
  bench.clock.advance(40 * 24 * 3600 * 1000);
  await bench.scrubber.runRound();
  assert.deepEqual(await takeSeen(), [false], 'a scrub');
});
