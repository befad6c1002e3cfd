// What every driver must do with points in time that users keep, and with disks made from them and from each other.
import assert from 'node:assert/strict';
import { chmodSync, closeSync, existsSync, openSync, statSync, truncateSync, utimesSync, writeSync } from 'node:fs';
import { describe, test } from 'node:test';
import { MIB } from '../../src/core/bytes.ts';
import { newUuid, type SnapshotId, type VolumeId } from '../../src/core/ids.ts';
import { NO_PROGRESS, type Progress } from '../../src/core/model.ts';
import { openBlockDevice } from '../../src/volumes/block-device.ts';
import type { SnapshotRef } from '../../src/volumes/snapshot-driver.ts';
import type { VolumeDriver, VolumeRef, VolumeSource } from '../../src/volumes/volume.ts';
import type { DriverHarness, DriverSetup } from './volume-driver.suite.ts';

const DETACHED = { isAttached: false, force: false };
const ATTACHED = { isAttached: true, force: false };
const SIZE_BYTES = 5 * MIB + 512;

type DriverTest = (name: string, body: (setup: DriverSetup) => Promise<void>) => void;

export function snapshotDriverSuite(label: string, harness: DriverHarness): void {
  const driverTest: DriverTest = (name, body) => {
    test(name, async () => {
      const setup = await harness.open();
      try {
        await body(setup);
      } finally {
        await setup.close();
      }
    });
  };
  describe(`snapshot driver contract: ${label}`, { skip: harness.skip ?? false }, () => {
    describe('keeping', () => keepingTests(driverTest, harness));
    describe('attached disks', () => attachedTests(driverTest, harness));
    describe('disks from snapshots and disks', () => copyTests(driverTest));
    describe('putting back', () => revertTests(driverTest, harness));
  });
}

function keepingTests(driverTest: DriverTest, harness: DriverHarness): void {
  driverTest('a snapshot keeps its bytes while the disk is written, grown and deleted', async (setup) => {
    const { driver, writeDisk } = setup;
    const volume = await makeWritten(setup);
    const before = await readVolume(driver, volume);
    const snapshot = await take(driver, volume);
    assert.equal(snapshot.sizeBytes, SIZE_BYTES);
    assert.equal(snapshot.consistency, harness.hasSnapshots ? 'snapshot' : 'quiescent');
    await writeDisk(volume, Buffer.from('after'), 100);
    assert.ok((await readSnapshot(driver, snapshot)).equals(before));
    await driver.resize(volume, 6 * MIB);
    await driver.delete(volume);
    assert.ok((await readSnapshot(driver, snapshot)).equals(before));
  });

  driverTest('an adopted disk can be kept too, and stays as it is', async ({ driver, makeDisk, writeDisk }) => {
    const volume = await adopt(driver, await makeDisk(MIB));
    await writeDisk(volume, Buffer.from('mine'), 4096);
    const snapshot = await take(driver, volume);
    assert.equal((await readSnapshot(driver, snapshot)).subarray(4096, 4100).toString(), 'mine');
    assert.equal((await readVolume(driver, volume)).subarray(4096, 4100).toString(), 'mine');
  });

  driverTest('a snapshot of a disk that is mostly empty takes hardly any space', async ({ driver, writeDisk }) => {
    const volume = await create(driver, 64 * MIB);
    await writeDisk(volume, Buffer.from('some'), 32 * MIB);
    const snapshot = await take(driver, volume);
    await using source = await driver.openSnapshotSource(snapshot);
    assert.ok(statSync(source.descriptor.path).blocks * 512 < 2 * MIB);
    if (!harness.hasExtents) return;
    const extents = await Array.fromAsync(source.dataExtents({ offsetBytes: 0, lengthBytes: 64 * MIB }));
    assert.ok(extents.reduce((sum, extent) => sum + extent.lengthBytes, 0) < 2 * MIB);
    assert.ok(extents.some((extent) => extent.offsetBytes <= 32 * MIB));
  });

  driverTest('a source of a snapshot tells what was recorded when it was taken', async (setup) => {
    const volume = await makeWritten(setup);
    const snapshot = await take(setup.driver, volume);
    const recorded = { ...snapshot, consistency: 'fuzzy', frozenAt: 12345 } as const;
    await using source = await setup.driver.openSnapshotSource(recorded);
    assert.equal(source.consistency, 'fuzzy');
    assert.equal(source.frozenAt, 12345);
    assert.equal(source.sizeBytes, SIZE_BYTES);
    await source.finish();
    await source[Symbol.asyncDispose]();
  });

  driverTest('what a try left behind is replaced by the next one under the same id', async (setup) => {
    const { driver, writeDisk } = setup;
    const volume = await makeWritten(setup);
    const snapshotId = newUuid<SnapshotId>();
    await driver.takeSnapshot(volume, snapshotId, DETACHED, {});
    await writeDisk(volume, Buffer.from('later'), 0);
    const taken = await driver.takeSnapshot(volume, snapshotId, DETACHED, {});
    assert.equal((await readSnapshot(driver, { snapshotId, ...taken })).subarray(0, 5).toString(), 'later');
  });

  driverTest('removing a snapshot is harmless twice, and before there was one', async (setup) => {
    const { driver } = setup;
    await driver.removeSnapshot(newUuid<SnapshotId>());
    const snapshot = await take(driver, await makeWritten(setup));
    await driver.removeSnapshot(snapshot.snapshotId);
    await driver.removeSnapshot(snapshot.snapshotId);
    await assert.rejects(driver.openSnapshotSource(snapshot), { code: 'VOLUME_UNAVAILABLE' });
  });

  driverTest('a snapshot that somebody changed is not taken for what it was', async (setup) => {
    const { driver } = setup;
    const snapshot = await take(driver, await makeWritten(setup));
    await using source = await driver.openSnapshotSource(snapshot);
    const { path } = source.descriptor;
    assert.equal(statSync(path).mode & 0o777, 0o400);
    chmodSync(path, 0o600);
    utimesSync(path, new Date(), new Date(Date.UTC(2001, 0, 1)));
    await assert.rejects(source.finish(), { code: 'VOLUME_CHANGED' });
    truncateSync(path, SIZE_BYTES - 1);
    await assert.rejects(driver.openSnapshotSource(snapshot), { code: 'VOLUME_SIZE_MISMATCH' });
  });

  driverTest('a disk of another size than recorded is not kept, and a cut short try leaves nothing', async (setup) => {
    const { driver } = setup;
    const volume = await makeWritten(setup);
    const snapshotId = newUuid<SnapshotId>();
    const longer = { ...volume, sizeBytes: SIZE_BYTES + 1 };
    await assert.rejects(driver.takeSnapshot(longer, snapshotId, DETACHED, {}), { code: 'VOLUME_SIZE_MISMATCH' });
    const signal = AbortSignal.abort(new Error('stop'));
    await assert.rejects(driver.takeSnapshot(volume, snapshotId, DETACHED, { signal }), { message: 'stop' });
    const taken = await driver.takeSnapshot(volume, snapshotId, DETACHED, {});
    const { descriptor } = await disposeOf(await driver.openSnapshotSource({ snapshotId, ...taken }));
    await driver.removeSnapshot(snapshotId);
    assert.equal(existsSync(descriptor.path), false);
  });
}

function attachedTests(driverTest: DriverTest, harness: DriverHarness): void {
  if (harness.hasSnapshots) {
    driverTest('an attached disk is frozen as any other', async (setup) => {
      const { driver, writeDisk } = setup;
      const volume = await makeWritten(setup);
      const snapshotId = newUuid<SnapshotId>();
      const taken = await driver.takeSnapshot(volume, snapshotId, ATTACHED, {});
      assert.equal(taken.consistency, 'snapshot');
      await writeDisk(volume, Buffer.from('after'), 100);
      assert.equal((await readSnapshot(driver, { snapshotId, ...taken })).subarray(100, 105).toString(), 'first');
    });
    return;
  }
  driverTest('an attached disk is refused, and with force its copy is fuzzy', async (setup) => {
    const { driver } = setup;
    const volume = await makeWritten(setup);
    const snapshotId = newUuid<SnapshotId>();
    await assert.rejects(driver.takeSnapshot(volume, snapshotId, ATTACHED, {}), { code: 'VOLUME_ATTACHED' });
    const forced = { isAttached: true, force: true };
    const taken = await driver.takeSnapshot(volume, snapshotId, forced, {});
    assert.equal(taken.consistency, 'fuzzy');
    assert.ok((await readSnapshot(driver, { snapshotId, ...taken })).equals(await readVolume(driver, volume)));
    await assert.rejects(driver.createFromVolume(newUuid<VolumeId>(), SIZE_BYTES, volume, ATTACHED, {}), {
      code: 'VOLUME_ATTACHED',
    });
  });

  driverTest('a write while a detached disk is copied fails the copy and leaves nothing of it', async (setup) => {
    const { driver } = setup;
    const volume = await makeWritten(setup);
    const volumeId = newUuid<VolumeId>();
    const control = { report: onceCopied(() => writeNow(volume.source, 'x', 4 * MIB)) };
    await assert.rejects(driver.takeSnapshot(volume, newUuid<SnapshotId>(), DETACHED, control), {
      code: 'VOLUME_CHANGED',
    });
    const again = { report: onceCopied(() => writeNow(volume.source, 'y', 4 * MIB)) };
    await assert.rejects(driver.createFromVolume(volumeId, SIZE_BYTES, volume, DETACHED, again), {
      code: 'VOLUME_CHANGED',
    });
    await driver.createFromVolume(volumeId, SIZE_BYTES, volume, DETACHED, {});
  });

  driverTest('a copy reports all of the disk as done', async (setup) => {
    const { driver, makeDisk, writeDisk } = setup;
    const volume = await adopt(driver, await makeDisk(3 * MIB));
    await writeDisk(volume, Buffer.alloc(MIB, 7), MIB);
    let progress: Progress = NO_PROGRESS;
    const report = (part: Partial<Progress>) => {
      progress = { ...progress, ...part };
    };
    await driver.takeSnapshot(volume, newUuid<SnapshotId>(), DETACHED, { report });
    assert.equal(progress.totalBytes, 3 * MIB);
    assert.equal(progress.doneBytes + progress.skippedBytes, 3 * MIB);
  });
}

function copyTests(driverTest: DriverTest): void {
  driverTest('a disk from a snapshot has its bytes and zeros after them, and lives on its own', async (setup) => {
    const { driver, writeDisk } = setup;
    const volume = await makeWritten(setup);
    const snapshot = await take(driver, volume);
    const volumeId = newUuid<VolumeId>();
    const made = await driver.createFromSnapshot(volumeId, 8 * MIB, snapshot, {});
    const copy: VolumeRef = { volumeId, isAdopted: false, ...made };
    assert.equal(copy.sizeBytes, 8 * MIB);
    const bytes = await readVolume(driver, copy);
    assert.ok(bytes.subarray(0, SIZE_BYTES).equals(await readSnapshot(driver, snapshot)));
    assert.ok(bytes.subarray(SIZE_BYTES).every((byte) => byte === 0));
    await writeDisk(copy, Buffer.from('theirs'), 100);
    assert.equal((await readSnapshot(driver, snapshot)).subarray(100, 105).toString(), 'first');
    await driver.removeSnapshot(snapshot.snapshotId);
    assert.equal((await readVolume(driver, copy)).subarray(100, 106).toString(), 'theirs');
  });

  driverTest('a disk from a disk has its bytes, be it ours or adopted', async (setup) => {
    const { driver, makeDisk, writeDisk } = setup;
    const adopted = await adopt(driver, await makeDisk(2 * MIB));
    await writeDisk(adopted, Buffer.from('adopted'), 2 * MIB - 7);
    for (const volume of [await makeWritten(setup), adopted]) {
      const volumeId = newUuid<VolumeId>();
      const made = await driver.createFromVolume(volumeId, volume.sizeBytes + MIB, volume, DETACHED, {});
      const bytes = await readVolume(driver, { volumeId, isAdopted: false, ...made });
      assert.equal(bytes.byteLength, volume.sizeBytes + MIB);
      assert.ok(bytes.subarray(0, volume.sizeBytes).equals(await readVolume(driver, volume)));
      assert.ok(bytes.subarray(volume.sizeBytes).every((byte) => byte === 0));
    }
  });

  driverTest('a disk that is there is never written over by a new one', async (setup) => {
    const { driver, writeDisk } = setup;
    const volume = await makeWritten(setup);
    const snapshot = await take(driver, volume);
    const other = await create(driver, SIZE_BYTES);
    await writeDisk(other, Buffer.from('other'), 0);
    const taken = { code: 'VOLUME_EXISTS' };
    await assert.rejects(driver.createFromSnapshot(other.volumeId, SIZE_BYTES, snapshot, {}), taken);
    await assert.rejects(driver.createFromVolume(other.volumeId, SIZE_BYTES, volume, DETACHED, {}), taken);
    assert.equal((await readVolume(driver, other)).subarray(0, 5).toString(), 'other');
  });
}

function revertTests(driverTest: DriverTest, harness: DriverHarness): void {
  driverTest('a disk is put back to the very bytes of its snapshot, zeros too', async (setup) => {
    const { driver, makeDisk, writeDisk } = setup;
    const adopted = await adopt(driver, await makeDisk(4 * MIB));
    await writeDisk(adopted, Buffer.alloc(MIB, 3), 2 * MIB);
    for (const volume of [await makeWritten(setup), adopted]) {
      const snapshot = await take(driver, volume);
      const before = await readVolume(driver, volume);
      // Over data, over what was a hole, and zeros over data.
      await writeDisk(volume, Buffer.alloc(MIB + 4096, 9), 0);
      await writeDisk(volume, Buffer.alloc(MIB, 0), 2 * MIB);
      await driver.revertVolume(volume, snapshot, {});
      assert.ok((await readVolume(driver, volume)).equals(before));
      assert.ok((await readSnapshot(driver, snapshot)).equals(before));
    }
  });

  driverTest('a disk of another size is not put back', async (setup) => {
    const { driver } = setup;
    const volume = await makeWritten(setup);
    const snapshot = await take(driver, volume);
    const grown = { ...volume, ...(await driver.resize(volume, 8 * MIB)) };
    await assert.rejects(driver.revertVolume(grown, snapshot, {}), { code: 'VOLUME_SIZE_MISMATCH' });
  });

  driverTest('a disk that somebody uses is not put back', async (setup) => {
    if (!harness.hasLocks) return;
    const { driver } = setup;
    const volume = await makeWritten(setup);
    const snapshot = await take(driver, volume);
    await using _target = await driver.openTarget(volume, { isFresh: false });
    await assert.rejects(driver.revertVolume(volume, snapshot, {}), { code: 'VOLUME_BUSY' });
  });
}

async function create(driver: VolumeDriver, sizeBytes: number): Promise<VolumeRef> {
  const volumeId = newUuid<VolumeId>();
  return { volumeId, isAdopted: false, ...(await driver.create(volumeId, sizeBytes)) };
}

async function adopt(driver: VolumeDriver, reference: string): Promise<VolumeRef> {
  return { volumeId: newUuid<VolumeId>(), isAdopted: true, ...(await driver.adopt(reference)) };
}

/** A disk of ours with data at its begin, in its middle and at its very end, and holes between. */
async function makeWritten({ driver, writeDisk }: DriverSetup): Promise<VolumeRef> {
  const volume = await create(driver, SIZE_BYTES);
  await writeDisk(volume, Buffer.from('first'), 100);
  await writeDisk(volume, Buffer.alloc(700_000, 'middle'), 2 * MIB - 1000);
  await writeDisk(volume, Buffer.from('last'), SIZE_BYTES - 4);
  return volume;
}

async function take(driver: VolumeDriver, volume: VolumeRef): Promise<SnapshotRef> {
  const snapshotId = newUuid<SnapshotId>();
  return { snapshotId, ...(await driver.takeSnapshot(volume, snapshotId, DETACHED, {})) };
}

async function readSnapshot(driver: VolumeDriver, snapshot: SnapshotRef): Promise<Buffer> {
  await using source = await driver.openSnapshotSource(snapshot);
  const bytes = readSource(source);
  await source.finish();
  return bytes;
}

async function readVolume(driver: VolumeDriver, volume: VolumeRef): Promise<Buffer> {
  const options = { attempt: 1, snapshotId: newUuid<SnapshotId>(), ...DETACHED };
  await using source = await driver.openSource(volume, options);
  return readSource(source);
}

function readSource(source: VolumeSource): Buffer {
  const device = openBlockDevice(source.descriptor, 'read');
  try {
    const bytes = Buffer.alloc(source.sizeBytes, 0xee);
    device.readSync(bytes, 0);
    return bytes;
  } finally {
    device.close();
  }
}

async function disposeOf(source: VolumeSource): Promise<VolumeSource> {
  await source[Symbol.asyncDispose]();
  return source;
}

/** A listener that acts when the first bytes were copied. */
function onceCopied(act: () => void): (progress: Partial<Progress>) => void {
  let hasActed = false;
  return ({ doneBytes = 0 }) => {
    if (hasActed || doneBytes === 0) return;
    hasActed = true;
    act();
  };
}

function writeNow(path: string, text: string, offsetBytes: number): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, text, offsetBytes);
  closeSync(fd);
}
