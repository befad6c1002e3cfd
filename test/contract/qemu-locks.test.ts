// The locks of images must be those that QEMU itself takes; qemu-io stands for a virtual machine here.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { MIB } from '../../src/core/bytes.ts';
import { newUuid, type SnapshotId, type VolumeId } from '../../src/core/ids.ts';
import { silentLogger, systemClock } from '../../src/core/ports.ts';
import { FileDriver } from '../../src/volumes/file-driver.ts';
import { loadSystemCalls } from '../../src/volumes/system-calls.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const hasQemu = spawnSync('qemu-io', ['--version']).status === 0;
const skip =
  hasQemu && loadSystemCalls().isNative ? false : 'qemu-io (Debian: qemu-utils) or the system calls are missing';
const options = { attempt: 1, snapshotId: newUuid<SnapshotId>(), isAttached: false, force: false };

async function makeVolume(folder: string) {
  const root = join(folder, 'root');
  await mkdir(root);
  const path = join(root, 'disk');
  await writeFile(path, Buffer.alloc(MIB));
  // Without reflinks, so that the disk is read in place whatever the file system.
  const systemCalls = { ...loadSystemCalls(), cloneFile: async () => false };
  const shared = { clock: systemClock, logger: silentLogger, systemCalls };
  const driver = new FileDriver({ ...shared, folder: join(folder, 'volumes'), roots: [root] });
  return { driver, path, volume: { volumeId: newUuid<VolumeId>(), isAdopted: true, ...(await driver.adopt(path)) } };
}

/** What qemu-io says when it runs `command` on the image. */
function runQemu(path: string, command: string, isReadOnly: boolean): string {
  const flags = isReadOnly ? ['-r'] : [];
  const result = spawnSync('qemu-io', ['-f', 'raw', ...flags, '-c', command, path], { encoding: 'utf8' });
  return result.stdout + result.stderr;
}

/** Holds the image open in QEMU while `work` runs. */
async function whileQemuRuns(path: string, flags: readonly string[], work: () => Promise<void>): Promise<void> {
  const qemu = spawn('qemu-io', ['-f', 'raw', ...flags, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    // An answer to a command proves that the image is open.
    qemu.stdin.write('length\n');
    await once(qemu.stdout, 'data');
    await work();
  } finally {
    qemu.stdin.end('quit\n');
    await once(qemu, 'close');
  }
}

describe('QEMU and this service keep out of each other’s way', { skip }, () => {
  test('a disk that QEMU writes is neither read, written, grown nor restored', async () => {
    await using folder = await makeTemporaryFolder();
    const { driver, path, volume } = await makeVolume(folder.path);
    await whileQemuRuns(path, [], async () => {
      await assert.rejects(driver.openSource(volume, options), { code: 'VOLUME_BUSY' });
      await assert.rejects(driver.openTarget(volume, { isFresh: false }), { code: 'VOLUME_BUSY' });
      await assert.rejects(driver.resize(volume, 2 * MIB), { code: 'VOLUME_BUSY' });
      await using forced = await driver.openSource(volume, { ...options, isAttached: true, force: true });
      assert.equal(forced.consistency, 'fuzzy');
    });
    await using source = await driver.openSource(volume, options);
    assert.equal(source.consistency, 'quiescent');
  });

  test('a disk that QEMU only reads can be backed up but not restored to', async () => {
    await using folder = await makeTemporaryFolder();
    const { driver, path, volume } = await makeVolume(folder.path);
    await whileQemuRuns(path, ['-r'], async () => {
      await using source = await driver.openSource(volume, options);
      await source.finish();
      await source[Symbol.asyncDispose]();
      await assert.rejects(driver.openTarget(volume, { isFresh: false }), { code: 'VOLUME_BUSY' });
    });
  });

  test('QEMU refuses to write a disk while it is backed up, and may read it', async () => {
    await using folder = await makeTemporaryFolder();
    const { driver, path, volume } = await makeVolume(folder.path);
    {
      await using source = await driver.openSource(volume, options);
      assert.match(runQemu(path, 'write -P 1 0 512', false), /Failed to get "write" lock/);
      assert.match(runQemu(path, 'read 0 512', true), /read 512\/512/);
      await source.finish();
    }
    assert.match(runQemu(path, 'write -P 1 0 512', false), /wrote 512\/512/);
  });

  test('QEMU refuses a disk altogether while it is restored', async () => {
    await using folder = await makeTemporaryFolder();
    const { driver, path, volume } = await makeVolume(folder.path);
    {
      await using target = await driver.openTarget(volume, { isFresh: false });
      assert.match(runQemu(path, 'write -P 1 0 512', false), /lock/);
      assert.match(runQemu(path, 'read 0 512', true), /lock/);
      await target.sync();
    }
    assert.match(runQemu(path, 'read 0 512', true), /read 512\/512/);
  });
});
