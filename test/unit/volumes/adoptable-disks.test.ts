import assert from 'node:assert/strict';
import { link, mkdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { VolumeId } from '../../../src/core/ids.ts';
import { silentLogger, systemClock } from '../../../src/core/ports.ts';
import { FileDriver } from '../../../src/volumes/file-driver.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

const temporary = await makeTemporaryFolder();
after(() => temporary[Symbol.asyncDispose]());
const root = join(temporary.path, 'disks');
const folder = join(root, 'own');
await mkdir(join(root, 'deep', 'er'), { recursive: true });
const driver = new FileDriver({
  ...{ folder, roots: [root, join(temporary.path, 'missing')], clock: systemClock, logger: silentLogger },
});

test('disks are found in all permitted folders but the own one, each under the name to adopt it by', async () => {
  const volumeId = '3b6d0c52-8f0e-4a53-9d57-2f6f0f3a1c11' as VolumeId;
  await driver.create(volumeId, 4096);
  await writeFile(join(root, 'a.img'), Buffer.alloc(512));
  await writeFile(join(root, 'deep', 'er', 'b.img'), Buffer.alloc(1024));
  await writeFile(join(root, 'empty.img'), '');
  await symlink(join(root, 'a.img'), join(root, 'z-link.img'));
  await symlink('/etc/hostname', join(root, 'out.img'));
  // A folder that leads to itself ends nothing.
  await symlink(root, join(root, 'loop'));
  const found = await driver.listAdoptable();
  assert.deepEqual(
    found.map(({ reference, sizeBytes, refusal }) => [reference.slice(root.length + 1), sizeBytes, refusal === null]),
    [
      ['a.img', 512, true],
      ['deep/er/b.img', 1024, true],
      ['empty.img', 0, false],
      ['out.img', (await stat('/etc/hostname')).size, false],
    ],
  );
  await link(join(root, 'a.img'), join(root, 'c.img'));
  const [first, ...others] = await driver.listAdoptable();
  const twins = others.filter(({ identity }) => identity === first?.identity);
  assert.deepEqual(
    twins.map(({ reference }) => reference),
    [join(root, 'c.img')],
  );
});

test('room is that of the file system, also before there is a disk', async () => {
  const fresh = new FileDriver({
    ...{ folder: join(temporary.path, 'new', 'folder'), roots: [], clock: systemClock, logger: silentLogger },
  });
  const { totalBytes, freeBytes } = await fresh.measureRoom();
  assert.ok(freeBytes > 0 && freeBytes <= totalBytes);
});

test('a path is told of a disk that is there, and of no other', async () => {
  const volumeId = '7e21aa90-1c4d-4b6e-8c0f-5a9d3f7be642' as VolumeId;
  const made = await driver.create(volumeId, 4096);
  const volume = { volumeId, ...made, isAdopted: false };
  assert.equal(await driver.locate(volume), made.source);
  const adopted = { ...volume, source: join(root, 'gone.img'), isAdopted: true };
  await assert.rejects(driver.locate(adopted), { code: 'VOLUME_UNAVAILABLE' });
  await rm(made.source);
});
