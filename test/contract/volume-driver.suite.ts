// What every VolumeDriver must do. Call it once for each driver and kind of place its disks can be in.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KIB, MIB } from '../../src/core/bytes.ts';
import { newUuid, type SnapshotId, type VolumeId } from '../../src/core/ids.ts';
import { openBlockDevice } from '../../src/volumes/block-device.ts';
import { type Extent, extentEnd } from '../../src/volumes/extent.ts';
import type { OpenSourceOptions, VolumeDriver, VolumeRef, VolumeSource } from '../../src/volumes/volume.ts';

export type DriverSetup = {
  readonly driver: VolumeDriver;
  /** Makes a disk of zeros that can be adopted, and returns its reference. */
  makeDisk(sizeBytes: number): Promise<string>;
  /** Writes to a disk behind the driver's back, as its user would. */
  writeDisk(volume: VolumeRef, bytes: Uint8Array, offsetBytes: number): Promise<void>;
  /** Removes a disk behind the driver's back. */
  loseDisk(volume: VolumeRef): Promise<void>;
  close(): Promise<void>;
};

export type DriverHarness = {
  open(): Promise<DriverSetup>;
  readonly hasSnapshots: boolean;
  /** Other users of the same disk are noticed. */
  readonly hasLocks: boolean;
  /** Holes are told from data. */
  readonly hasExtents: boolean;
  readonly skip?: string | false;
};

type DriverTest = (name: string, body: (setup: DriverSetup) => Promise<void>) => void;

export function volumeDriverSuite(label: string, harness: DriverHarness): void {
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
  describe(`volume driver contract: ${label}`, { skip: harness.skip ?? false }, () => {
    describe('life of a disk', () => lifeTests(driverTest));
    describe('reading', () => sourceTests(driverTest, harness));
    if (harness.hasSnapshots) describe('snapshots', () => snapshotTests(driverTest));
    else describe('reading in place', () => inPlaceTests(driverTest));
    describe('writing', () => targetTests(driverTest, harness));
  });
}

function lifeTests(driverTest: DriverTest): void {
  driverTest('a created disk has its exact size and reads zero', async ({ driver }) => {
    const volume = await create(driver, MIB + 512);
    assert.equal(volume.sizeBytes, MIB + 512);
    assert.ok((await readAll(driver, volume)).every((byte) => byte === 0));
  });

  driverTest('a disk is not created twice', async ({ driver }) => {
    const { volumeId } = await create(driver, MIB);
    await assert.rejects(driver.create(volumeId, MIB), { code: 'VOLUME_EXISTS' });
  });

  driverTest('an adopted disk keeps its content and its odd size', async ({ driver, makeDisk, writeDisk }) => {
    const volume = await adopt(driver, await makeDisk(100_001));
    assert.equal(volume.sizeBytes, 100_001);
    await writeDisk(volume, Buffer.from('end'), 99_998);
    assert.equal((await readAll(driver, volume)).subarray(-3).toString(), 'end');
  });

  driverTest('a disk grows, never shrinks, and what is new reads zero', async ({ driver, writeDisk }) => {
    const volume = await create(driver, MIB + 100);
    await writeDisk(volume, Buffer.alloc(MIB + 100, 1), 0);
    const grown = { ...volume, ...(await driver.resize(volume, 2 * MIB)) };
    assert.equal(grown.sizeBytes, 2 * MIB);
    const bytes = await readAll(driver, grown);
    assert.ok(bytes.subarray(0, MIB + 100).every((byte) => byte === 1));
    assert.ok(bytes.subarray(MIB + 100).every((byte) => byte === 0));
    await assert.rejects(driver.resize(grown, MIB), { code: 'VOLUME_SIZE_INVALID' });
    assert.equal((await driver.resize(grown, 2 * MIB)).sizeBytes, 2 * MIB);
  });

  driverTest('delete removes a disk that we made, and is harmless twice', async ({ driver }) => {
    const volume = await create(driver, MIB);
    await driver.delete(volume);
    await driver.delete(volume);
    await assert.rejects(openSource(driver, volume), { code: 'VOLUME_UNAVAILABLE' });
    await driver.create(volume.volumeId, MIB);
  });

  driverTest('delete lets an adopted disk go untouched', async ({ driver, makeDisk, writeDisk }) => {
    const volume = await adopt(driver, await makeDisk(MIB));
    await writeDisk(volume, Buffer.from('mine'), 0);
    await driver.delete(volume);
    assert.equal((await readAll(driver, volume)).subarray(0, 4).toString(), 'mine');
  });

  driverTest('a lost disk is VOLUME_UNAVAILABLE and named', async ({ driver, makeDisk, loseDisk }) => {
    for (const volume of [await adopt(driver, await makeDisk(MIB)), await create(driver, MIB)]) {
      await loseDisk(volume);
      const named = (error: Error & { code?: string }) =>
        error.code === 'VOLUME_UNAVAILABLE' && error.message.includes(volume.source);
      await assert.rejects(openSource(driver, volume), named);
      await assert.rejects(driver.openTarget(volume, { isFresh: false }), named);
    }
  });

  driverTest('a disk of another size than recorded is not read', async ({ driver }) => {
    const volume = await create(driver, MIB);
    const longer = { ...volume, sizeBytes: MIB + 1 };
    await assert.rejects(openSource(driver, longer), { code: 'VOLUME_SIZE_MISMATCH' });
    await assert.rejects(driver.openTarget(longer, { isFresh: false }), { code: 'VOLUME_SIZE_MISMATCH' });
    await assert.rejects(openSource(driver, { ...volume, sizeBytes: MIB - 1 }), { code: 'VOLUME_SIZE_MISMATCH' });
  });
}

function sourceTests(driverTest: DriverTest, harness: DriverHarness): void {
  driverTest('data extents cover all data, ascending and within the range', async ({ driver, writeDisk }) => {
    const volume = await create(driver, 16 * MIB + 1000);
    for (const offset of [0, 5 * MIB, 16 * MIB + 500]) await writeDisk(volume, Buffer.alloc(500, 1), offset);
    await using source = await openSource(driver, volume);
    const whole = await Array.fromAsync(source.dataExtents({ offsetBytes: 0, lengthBytes: volume.sizeBytes }));
    checkExtents(whole, { offsetBytes: 0, lengthBytes: volume.sizeBytes }, [0, 5 * MIB, 16 * MIB + 999]);
    const range = { offsetBytes: 5 * MIB + 100, lengthBytes: 64 * KIB };
    checkExtents(await Array.fromAsync(source.dataExtents(range)), range, [5 * MIB + 100, 5 * MIB + 499]);
    if (!harness.hasExtents) return;
    assert.ok(whole.reduce((sum, extent) => sum + extent.lengthBytes, 0) < MIB);
    assert.deepEqual(await Array.fromAsync(source.dataExtents({ offsetBytes: 8 * MIB, lengthBytes: MIB })), []);
  });

  driverTest('an empty range has no extents, and one beyond the end neither', async ({ driver, writeDisk }) => {
    const volume = await create(driver, MIB);
    await writeDisk(volume, Buffer.alloc(MIB, 1), 0);
    await using source = await openSource(driver, volume);
    assert.deepEqual(await Array.fromAsync(source.dataExtents({ offsetBytes: 100, lengthBytes: 0 })), []);
    assert.deepEqual(await Array.fromAsync(source.dataExtents({ offsetBytes: MIB, lengthBytes: MIB })), []);
  });

  driverTest('an aborted signal stops opening and looking for extents', async ({ driver, writeDisk }) => {
    const volume = await create(driver, MIB);
    await writeDisk(volume, Buffer.from('x'), 0);
    const signal = AbortSignal.abort(new Error('stop'));
    await assert.rejects(driver.openSource(volume, options({}), signal), { message: 'stop' });
    await assert.rejects(driver.openTarget(volume, { isFresh: false }, signal), { message: 'stop' });
    if (!harness.hasExtents) return;
    await using source = await openSource(driver, volume);
    const whole = { offsetBytes: 0, lengthBytes: MIB };
    await assert.rejects(Array.fromAsync(source.dataExtents(whole, signal)), { message: 'stop' });
  });

  driverTest('two backups may read one disk, and a source is disposed of twice', async ({ driver }) => {
    const volume = await create(driver, MIB);
    await using first = await openSource(driver, volume);
    await using second = await openSource(driver, volume);
    assert.equal(first.sizeBytes, second.sizeBytes);
    await first[Symbol.asyncDispose]();
    await second.finish();
  });
}

function inPlaceTests(driverTest: DriverTest): void {
  driverTest('a disk that nobody wrote is quiescent', async ({ driver }) => {
    const volume = await create(driver, MIB);
    assert.equal((await driver.capabilities(volume)).hasSnapshots, false);
    await using source = await openSource(driver, volume);
    assert.equal(source.consistency, 'quiescent');
    readSource(source);
    await source.finish();
  });

  driverTest('a write in between is noticed, even one of the same bytes', async ({ driver, writeDisk }) => {
    const volume = await create(driver, MIB);
    for (let round = 0; round < 5; round += 1) {
      await using source = await openSource(driver, volume);
      await writeDisk(volume, Buffer.alloc(1), 4096);
      await assert.rejects(source.finish(), { code: 'VOLUME_CHANGED' });
    }
  });

  driverTest('an attached disk is refused, and with force its backup is fuzzy', async ({ driver, writeDisk }) => {
    const volume = await create(driver, MIB);
    await assert.rejects(driver.openSource(volume, options({ isAttached: true })), { code: 'VOLUME_ATTACHED' });
    await using source = await driver.openSource(volume, options({ isAttached: true, force: true }));
    assert.equal(source.consistency, 'fuzzy');
    await writeDisk(volume, Buffer.from('x'), 0);
    await source.finish();
  });

  driverTest('stale snapshots: there are none, and that is fine', async ({ driver }) => {
    const volume = await create(driver, MIB);
    await driver.removeStaleSnapshots(volume, newUuid<SnapshotId>(), 7);
  });
}

function snapshotTests(driverTest: DriverTest): void {
  driverTest('a snapshot holds while the disk is written, attached or not', async ({ driver, writeDisk }) => {
    const volume = await create(driver, MIB);
    assert.equal((await driver.capabilities(volume)).hasSnapshots, true);
    await writeDisk(volume, Buffer.from('before'), 1000);
    for (const isAttached of [false, true]) {
      await using source = await driver.openSource(volume, options({ isAttached }));
      assert.equal(source.consistency, 'snapshot');
      await writeDisk(volume, Buffer.from('after!'), 1000);
      assert.equal(readSource(source).subarray(1000, 1006).toString(), 'before');
      await source.finish();
      await writeDisk(volume, Buffer.from('before'), 1000);
    }
  });

  driverTest('only snapshots of earlier attempts at the same backup are stale', async ({ driver }) => {
    const volume = await create(driver, MIB);
    const snapshotId = newUuid<SnapshotId>();
    const [first, second, other] = await Promise.all([
      driver.openSource(volume, { ...options({}), snapshotId, attempt: 1 }),
      driver.openSource(volume, { ...options({}), snapshotId, attempt: 2 }),
      driver.openSource(volume, { ...options({}), attempt: 1 }),
    ]);
    await driver.removeStaleSnapshots(volume, snapshotId, 2);
    assert.throws(() => openBlockDevice(first.descriptor, 'read'), { code: 'VOLUME_UNAVAILABLE' });
    for (const source of [second, other]) assert.equal(readSource(source).byteLength, MIB);
    for (const source of [first, second, other]) await source[Symbol.asyncDispose]();
    assert.throws(() => openBlockDevice(second.descriptor, 'read'), { code: 'VOLUME_UNAVAILABLE' });
  });
}

function targetTests(driverTest: DriverTest, harness: DriverHarness): void {
  driverTest('what is written to a target is read from a source', async ({ driver }) => {
    const volume = await create(driver, 3 * MIB + 77);
    const bytes = Buffer.alloc(volume.sizeBytes, 'openvbs');
    {
      await using target = await driver.openTarget(volume, { isFresh: true });
      const device = openBlockDevice(target.descriptor, 'write');
      device.writeSync([bytes.subarray(0, MIB), bytes.subarray(MIB)], 0);
      await target.writeBack();
      device.zeroSync(MIB + 10, MIB);
      device.close();
      await target.sync();
    }
    bytes.fill(0, MIB + 10, 2 * MIB + 10);
    assert.ok((await readAll(driver, volume)).equals(bytes));
  });

  driverTest('only a disk that we made and that is empty reads zero', async ({ driver, makeDisk, writeDisk }) => {
    const readsZero = async (volume: VolumeRef, isFresh: boolean) => {
      await using target = await driver.openTarget(volume, { isFresh });
      return target.readsZero;
    };
    const own = await create(driver, MIB);
    assert.equal(await readsZero(own, true), true);
    assert.equal(await readsZero(own, false), false);
    assert.equal(await readsZero(await adopt(driver, await makeDisk(MIB)), true), false);
    if (!harness.hasExtents) return;
    await writeDisk(own, Buffer.from('x'), 5000);
    assert.equal(await readsZero(own, true), false);
  });

  driverTest('a disk being restored can be neither read nor restored again', async ({ driver }) => {
    if (!harness.hasLocks) return;
    const volume = await create(driver, MIB);
    {
      await using target = await driver.openTarget(volume, { isFresh: false });
      assert.equal(target.sizeBytes, MIB);
      await assert.rejects(driver.openTarget(volume, { isFresh: false }), { code: 'VOLUME_BUSY' });
      await assert.rejects(driver.resize(volume, 2 * MIB), { code: 'VOLUME_BUSY' });
      await assert.rejects(driver.delete(volume), { code: 'VOLUME_BUSY' });
      if (!harness.hasSnapshots) await assert.rejects(openSource(driver, volume), { code: 'VOLUME_BUSY' });
    }
    await using source = await openSource(driver, volume);
    if (harness.hasSnapshots) return;
    await assert.rejects(driver.openTarget(volume, { isFresh: false }), { code: 'VOLUME_BUSY' });
    await source.finish();
  });
}

async function create(driver: VolumeDriver, sizeBytes: number): Promise<VolumeRef> {
  const volumeId = newUuid<VolumeId>();
  return { volumeId, isAdopted: false, ...(await driver.create(volumeId, sizeBytes)) };
}

async function adopt(driver: VolumeDriver, reference: string): Promise<VolumeRef> {
  return { volumeId: newUuid<VolumeId>(), isAdopted: true, ...(await driver.adopt(reference)) };
}

function options(changes: Partial<OpenSourceOptions>): OpenSourceOptions {
  return { attempt: 1, snapshotId: newUuid<SnapshotId>(), isAttached: false, force: false, ...changes };
}

async function openSource(driver: VolumeDriver, volume: VolumeRef): Promise<VolumeSource> {
  return await driver.openSource(volume, options({}));
}

async function readAll(driver: VolumeDriver, volume: VolumeRef): Promise<Buffer> {
  await using source = await openSource(driver, volume);
  const bytes = readSource(source);
  await source.finish();
  return bytes;
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

function checkExtents(extents: readonly Extent[], range: Extent, dataOffsets: readonly number[]): void {
  let endBytes = range.offsetBytes;
  for (const extent of extents) {
    assert.ok(extent.offsetBytes >= endBytes && extent.lengthBytes > 0);
    endBytes = extentEnd(extent);
  }
  assert.ok(endBytes <= extentEnd(range));
  for (const offset of dataOffsets) {
    assert.ok(extents.some((extent) => extent.offsetBytes <= offset && offset < extentEnd(extent)));
  }
}
