// Block devices as volumes, on loop devices: that takes root.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { MIB } from '../../src/core/bytes.ts';
import { newUuid, type SnapshotId, type VolumeId } from '../../src/core/ids.ts';
import { silentLogger, systemClock } from '../../src/core/ports.ts';
import { openBlockDevice } from '../../src/volumes/block-device.ts';
import { FileDriver } from '../../src/volumes/file-driver.ts';
import type { VolumeRef } from '../../src/volumes/volume.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const SIZE_BYTES = 8 * MIB + 512;
const options = { attempt: 1, snapshotId: newUuid<SnapshotId>(), isAttached: false, force: false };

function attachLoop(image: string): string {
  return execFileSync('losetup', ['--find', '--show', image], { stdio: 'pipe', encoding: 'utf8' }).trim();
}

function canAttach(): boolean {
  try {
    execFileSync('losetup', ['--find'], { stdio: 'pipe' });
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}

type Device = {
  readonly driver: FileDriver;
  readonly path: string;
  readonly folder: string;
  readonly volume: VolumeRef;
};

async function withDevice(body: (device: Device) => Promise<void>): Promise<void> {
  await using folder = await makeTemporaryFolder();
  const image = join(folder.path, 'image');
  writeFileSync(image, Buffer.alloc(SIZE_BYTES, 1));
  const path = attachLoop(image);
  try {
    const shared = { clock: systemClock, logger: silentLogger };
    const driver = new FileDriver({ ...shared, folder: join(folder.path, 'volumes'), roots: ['/dev', folder.path] });
    const volume = { volumeId: newUuid<VolumeId>(), isAdopted: true, ...(await driver.adopt(path)) };
    await body({ driver, path, folder: folder.path, volume });
  } finally {
    execFileSync('losetup', ['--detach', path]);
  }
}

function writeDevice(path: string, text: string, offsetBytes: number): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, text, offsetBytes);
  closeSync(fd);
}

function readDevice(path: string): Buffer {
  return readFileSync(path);
}

describe('block devices', { skip: canAttach() ? false : 'loop devices need root' }, () => {
  test('a device is adopted with its exact size, and has neither snapshots nor a size to change', async () => {
    await withDevice(async ({ driver, path, volume }) => {
      assert.deepEqual(await driver.adopt(path), { source: path, sizeBytes: SIZE_BYTES });
      const expected = { hasSnapshots: false, hasChangedExtents: false, canResize: false };
      assert.deepEqual(await driver.capabilities(volume), expected);
      await assert.rejects(driver.resize(volume, 2 * SIZE_BYTES), { code: 'VOLUME_SIZE_INVALID' });
    });
  });

  test('a device is known by the name given, which may be a link', async () => {
    await withDevice(async ({ driver, path, folder }) => {
      const link = join(folder, 'by-name');
      symlinkSync(path, link);
      const adopted = await driver.adopt(link);
      assert.equal(adopted.source, link);
      const volume = { volumeId: newUuid<VolumeId>(), isAdopted: true, ...adopted };
      await using source = await driver.openSource(volume, options);
      assert.equal(source.descriptor.path, path);
    });
  });

  test('a number given by the kernel is no name: one that lasts is kept, or the disk refused', async () => {
    await withDevice(async ({ path, folder }) => {
      const devices = join(folder, 'dev');
      const node = join(devices, 'sda');
      const major = String(statSync(path).rdev >> 8);
      const minor = String(statSync(path).rdev & 0xff);
      for (const name of ['disk/by-id', 'disk/by-uuid', 'disk/by-path', 'block', 'mapper', 'vg']) {
        mkdirSync(join(devices, name), { recursive: true });
      }
      execFileSync('mknod', [node, 'b', major, minor]);
      const link = (name: string): string => {
        symlinkSync(node, join(devices, name));
        return join(devices, name);
      };
      const shared = { clock: systemClock, logger: silentLogger, deviceFolder: devices };
      const driver = new FileDriver({ ...shared, folder: join(folder, 'volumes'), roots: [folder] });
      const sourceOf = async (reference: string) => (await driver.adopt(reference)).source;
      const refused = { code: 'VOLUME_REFERENCE_INVALID', message: /may be another disk/ };
      const byContent = [link('disk/by-uuid/1234'), link('disk/by-id/lvm-pv-uuid-1'), link('block/8:0')];
      // What is ours does not last longer than what it leads to.
      const own = join(folder, 'own');
      symlinkSync(node, own);
      const names = [node, own, ...byContent];
      for (const name of names) await assert.rejects(driver.adopt(name), refused, name);
      for (const name of ['disk/by-path/pci-1', 'vg/lv', 'backup-disk'].map(link)) {
        assert.equal(await sourceOf(name), name);
      }
      symlinkSync(join(devices, 'vg/lv'), join(folder, 'own-lv'));
      assert.equal(await sourceOf(join(folder, 'own-lv')), join(folder, 'own-lv'));
      const byId = link('disk/by-id/ata-1');
      symlinkSync('/nowhere', join(devices, 'disk/by-id/ata-0'));
      for (const name of names) assert.equal(await sourceOf(name), byId, name);
      execFileSync('mknod', [join(devices, 'mapper/vg-lv'), 'b', major, minor]);
      for (const name of names) assert.equal(await sourceOf(name), join(devices, 'mapper/vg-lv'), name);
      assert.equal(await sourceOf(byId), byId);
    });
  });

  test('a device is the same under all of its names', async () => {
    await withDevice(async ({ driver, path, folder, volume }) => {
      const link = join(folder, 'by-name');
      symlinkSync(path, link);
      const other = { ...volume, source: link };
      assert.equal(await driver.identify(other), await driver.identify(volume));
      assert.equal(await driver.identify({ ...volume, source: join(folder, 'gone') }), undefined);
    });
  });

  test('what is restored to a device is read from it, at any alignment', async () => {
    await withDevice(async ({ driver, volume }) => {
      const expected = Buffer.alloc(SIZE_BYTES, 1);
      {
        await using target = await driver.openTarget(volume, { isFresh: true });
        assert.equal(target.readsZero, false);
        const device = openBlockDevice(target.descriptor, 'write');
        device.writeSync([Buffer.from('openvbs')], 1001);
        device.zeroSync(100_001, 3 * MIB);
        device.zeroSync(5 * MIB, 7);
        device.zeroSync(SIZE_BYTES - 600, 600);
        device.close();
        await target.sync();
      }
      expected.write('openvbs', 1001);
      expected
        .fill(0, 100_001, 100_001 + 3 * MIB)
        .fill(0, 5 * MIB, 5 * MIB + 7)
        .fill(0, SIZE_BYTES - 600);

      await using source = await driver.openSource(volume, options);
      assert.equal(source.consistency, 'quiescent');
      const extents = await Array.fromAsync(source.dataExtents({ offsetBytes: 512, lengthBytes: 2 * SIZE_BYTES }));
      assert.deepEqual(extents, [{ offsetBytes: 512, lengthBytes: SIZE_BYTES - 512 }]);
      const device = openBlockDevice(source.descriptor, 'read');
      const seen = Buffer.alloc(SIZE_BYTES);
      device.readSync(seen, 0);
      device.close();
      assert.ok(seen.equals(expected));
      await source.finish();
    });
  });

  test('a write in between is noticed, whether it has reached the device or not', async () => {
    await withDevice(async ({ driver, path, volume }) => {
      for (const isSynced of [false, true]) {
        // Written before the start and still in memory: no change.
        writeDevice(path, 'early', 4096);
        await using source = await driver.openSource(volume, options);
        const fd = openSync(path, 'r+');
        writeSync(fd, 'late', 8192);
        if (isSynced) fsyncSync(fd);
        closeSync(fd);
        await assert.rejects(source.finish(), { code: 'VOLUME_CHANGED' });
      }
    });
  });

  test('a device in exclusive use is busy, and being read keeps others out', async () => {
    await withDevice(async ({ driver, path, volume }) => {
      {
        await using source = await driver.openSource(volume, options);
        await assert.rejects(driver.openSource(volume, options), { code: 'VOLUME_BUSY' });
        await assert.rejects(driver.openTarget(volume, { isFresh: false }), { code: 'VOLUME_BUSY' });
        await source.finish();
      }
      execFileSync('mke2fs', ['-q', '-F', path], { stdio: 'pipe' });
      await using folder = await makeTemporaryFolder();
      execFileSync('mount', [path, folder.path]);
      try {
        await assert.rejects(driver.openSource(volume, options), { code: 'VOLUME_BUSY' });
        await assert.rejects(driver.openTarget(volume, { isFresh: false }), { code: 'VOLUME_BUSY' });
        await using forced = await driver.openSource(volume, { ...options, isAttached: true, force: true });
        assert.equal(forced.consistency, 'fuzzy');
      } finally {
        execFileSync('umount', [folder.path]);
      }
    });
  });

  test('a device of another size is another disk', async () => {
    await withDevice(async ({ driver, volume, folder, path }) => {
      truncateSync(join(folder, 'image'), 2 * SIZE_BYTES);
      execFileSync('losetup', ['--set-capacity', path]);
      await assert.rejects(driver.openSource(volume, options), { code: 'VOLUME_SIZE_MISMATCH' });
      await assert.rejects(driver.openTarget(volume, { isFresh: false }), { code: 'VOLUME_SIZE_MISMATCH' });
    });
  });

  test('a device is kept, copied and put back, all of it to the byte', async () => {
    await withDevice(async ({ driver, path, volume }) => {
      const detached = { isAttached: false, force: false };
      writeDevice(path, 'kept', 5 * MIB);
      const snapshotId = newUuid<SnapshotId>();
      const snapshot = { snapshotId, ...(await driver.takeSnapshot(volume, snapshotId, detached, {})) };
      assert.equal(snapshot.consistency, 'quiescent');
      const before = readDevice(path);
      await using source = await driver.openSnapshotSource(snapshot);
      assert.ok(readDevice(source.descriptor.path).equals(before));
      writeDevice(path, 'changed', 5 * MIB);
      const volumeId = newUuid<VolumeId>();
      const clone = await driver.createFromVolume(volumeId, SIZE_BYTES, volume, detached, {});
      assert.ok(readDevice(clone.source).equals(readDevice(path)));
      await driver.revertVolume(volume, snapshot, {});
      assert.ok(readDevice(path).equals(before));
    });
  });

  test('a device is put back to zeros where the snapshot has none but zeros', async () => {
    await withDevice(async ({ driver, path, volume }) => {
      const detached = { isAttached: false, force: false };
      writeDevice(path, '\0'.repeat(3 * MIB), MIB);
      const snapshotId = newUuid<SnapshotId>();
      const snapshot = { snapshotId, ...(await driver.takeSnapshot(volume, snapshotId, detached, {})) };
      const before = readDevice(path);
      writeDevice(path, 'x'.repeat(2 * MIB), 2 * MIB - 100);
      await driver.revertVolume(volume, snapshot, {});
      assert.ok(readDevice(path).equals(before));
    });
  });

  test('an attached device is refused, and so is one that is mounted or otherwise claimed', async () => {
    await withDevice(async ({ driver, path, volume }) => {
      const take = (isAttached: boolean) =>
        driver.takeSnapshot(volume, newUuid<SnapshotId>(), { isAttached, force: false }, {});
      await assert.rejects(take(true), { code: 'VOLUME_ATTACHED' });
      const fd = openSync(path, constants.O_RDONLY | constants.O_EXCL);
      try {
        await assert.rejects(take(false), { code: 'VOLUME_BUSY' });
      } finally {
        closeSync(fd);
      }
    });
  });
});
