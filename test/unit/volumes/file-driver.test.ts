import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { newUuid, type SnapshotId, type VolumeId } from '../../../src/core/ids.ts';
import { silentLogger, systemClock } from '../../../src/core/ports.ts';
import { FileDriver } from '../../../src/volumes/file-driver.ts';
import type { VolumeRef } from '../../../src/volumes/volume.ts';
import { VolumeRegistry } from '../../../src/volumes/volume-registry.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

/** `root/disk` may be adopted; `data` belongs to the service and is inside the root; `outside` is not permitted. */
async function makePlaces(base: string) {
  const root = join(base, 'root');
  const data = join(root, 'data');
  const outside = join(base, 'outside');
  for (const folder of [data, outside, join(base, 'root-2')]) await mkdir(folder, { recursive: true });
  const disk = join(root, 'disk');
  for (const path of [disk, join(outside, 'secret'), join(data, 'catalog'), join(base, 'root-2', 'disk')]) {
    await writeFile(path, Buffer.alloc(5000, 1));
  }
  const shared = { clock: systemClock, logger: silentLogger };
  const driver = new FileDriver({ ...shared, folder: join(data, 'volumes'), roots: [root], excluded: [data] });
  return { driver, root, data, outside, disk };
}

const options = { attempt: 1, snapshotId: newUuid<SnapshotId>(), isAttached: false, force: false };

test('references that lead out of the roots are refused', async () => {
  await using folder = await makeTemporaryFolder();
  const { driver, root, outside, disk } = await makePlaces(folder.path);
  await symlink(join(outside, 'secret'), join(root, 'link'));
  await symlink(outside, join(root, 'folder-link'));
  const references = [
    join(outside, 'secret'),
    join(root, '..', 'outside', 'secret'),
    join(root, 'link'),
    join(root, 'folder-link', 'secret'),
    join(folder.path, 'root-2', 'disk'),
    join(outside, 'does-not-exist'),
    '/etc/passwd',
    root,
  ];
  for (const reference of references) {
    await assert.rejects(driver.adopt(reference), { code: 'VOLUME_REFERENCE_INVALID' }, reference);
  }
  await assert.rejects(driver.adopt(join(outside, 'secret')), /outside the permitted folders/);
  await assert.rejects(driver.adopt(join(outside, 'does-not-exist')), /outside the permitted folders/);
  await assert.rejects(driver.adopt(join(root, 'does-not-exist')), /does not exist/);
  assert.deepEqual(await driver.adopt(disk), { source: disk, sizeBytes: 5000 });
});

test('links within the roots are followed, and roots may be links themselves', async () => {
  await using folder = await makeTemporaryFolder();
  const { root, disk, data } = await makePlaces(folder.path);
  await symlink(disk, join(root, 'alias'));
  await symlink(root, join(folder.path, 'root-link'));
  const roots = [join(folder.path, 'no-such-root'), join(folder.path, 'root-link')];
  const driver = new FileDriver({ folder: data, roots, clock: systemClock, logger: silentLogger });
  assert.equal((await driver.adopt(join(root, 'alias'))).source, disk);
  assert.equal((await driver.adopt(join(folder.path, 'root-link', 'disk'))).source, disk);
});

test('what is no disk is refused', async () => {
  await using folder = await makeTemporaryFolder();
  const { driver, root, data, disk } = await makePlaces(folder.path);
  await writeFile(join(root, 'empty'), '');
  execFileSync('mkfifo', [join(root, 'pipe')]);
  const own = await driver.create(newUuid<VolumeId>(), 5000);
  const reasons: [string, RegExp][] = [
    [root.slice(1), /absolute/],
    [`${disk}\0`, /absolute/],
    ['disk', /absolute/],
    ['', /absolute/],
    [join(root, 'empty'), /empty/],
    [join(root, 'pipe'), /neither/],
    [data, /neither|service/],
    [join(data, 'catalog'), /service/],
    [own.source, /service/],
    [join(disk, 'below'), /does not exist/],
  ];
  for (const [reference, reason] of reasons) {
    await assert.rejects(driver.adopt(reference), { code: 'VOLUME_REFERENCE_INVALID', message: reason }, reference);
  }
});

test('a disk without permission to write is refused', async (context) => {
  if (process.getuid?.() === 0) return context.skip('root may write everything');
  await using folder = await makeTemporaryFolder();
  const { driver, root } = await makePlaces(folder.path);
  await writeFile(join(root, 'read-only'), 'x', { mode: 0o400 });
  await assert.rejects(driver.adopt(join(root, 'read-only')), /cannot read and write/);
});

test('a link put in the place of an adopted disk is not followed', async () => {
  await using folder = await makeTemporaryFolder();
  const { driver, root, outside, disk } = await makePlaces(folder.path);
  const volume = { volumeId: newUuid<VolumeId>(), isAdopted: true, ...(await driver.adopt(disk)) };
  await rename(disk, join(root, 'moved'));
  for (const aim of [join(outside, 'secret'), join(root, 'moved')]) {
    await rm(disk, { force: true });
    await symlink(aim, disk);
    await assert.rejects(driver.openSource(volume, options), { code: 'VOLUME_UNAVAILABLE' });
    await assert.rejects(driver.openTarget(volume, { isFresh: false }), { code: 'VOLUME_UNAVAILABLE' });
    await assert.rejects(driver.resize(volume, 9000), { code: 'VOLUME_UNAVAILABLE' });
  }
});

test('an adopted disk is unavailable once its root is no longer permitted', async () => {
  await using folder = await makeTemporaryFolder();
  const { driver, disk, data } = await makePlaces(folder.path);
  const volume = { volumeId: newUuid<VolumeId>(), isAdopted: true, ...(await driver.adopt(disk)) };
  const stricter = new FileDriver({ folder: data, roots: [], clock: systemClock, logger: silentLogger });
  await assert.rejects(stricter.openSource(volume, options), { code: 'VOLUME_UNAVAILABLE', message: /outside/ });
});

test('a disk that we made is private, and found again when the data folder has moved', async () => {
  await using folder = await makeTemporaryFolder();
  const make = (name: string) =>
    new FileDriver({ folder: join(folder.path, name), roots: [], clock: systemClock, logger: silentLogger });
  const volumeId = newUuid<VolumeId>();
  const made = await make('old').create(volumeId, 100_000);
  assert.equal(made.source, join(folder.path, 'old', `${volumeId}.raw`));
  const { mode, blocks } = await stat(made.source);
  assert.equal(mode & 0o777, 0o600);
  assert.equal(blocks, 0);
  await rename(join(folder.path, 'old'), join(folder.path, 'new'));
  const volume: VolumeRef = { volumeId, isAdopted: false, ...made };
  await using source = await make('new').openSource(volume, options);
  assert.equal(source.sizeBytes, 100_000);
});

test('delete never touches a path that a row names', async () => {
  await using folder = await makeTemporaryFolder();
  const { driver, disk } = await makePlaces(folder.path);
  await driver.delete({ volumeId: newUuid<VolumeId>(), isAdopted: false, source: disk, sizeBytes: 5000 });
  assert.equal((await stat(disk)).size, 5000);
});

test('a registry finds a driver by its name', async () => {
  await using folder = await makeTemporaryFolder();
  const { driver } = await makePlaces(folder.path);
  const registry = new VolumeRegistry([driver]);
  assert.equal(registry.driver('file'), driver);
  assert.deepEqual(registry.drivers(), [driver]);
  assert.throws(() => new VolumeRegistry([driver, driver]), { code: 'ERR_ASSERTION' });
  assert.throws(() => new VolumeRegistry([]).driver('file'), { code: 'ERR_ASSERTION' });
});
