// A bit flips in the repository: the restore fails and says where, and what does not need that object is unharmed.
import assert from 'node:assert/strict';
import { open, readdir, stat, truncate } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { MIB } from '../../src/core/bytes.ts';
import { assertSameImage, copyImage, makeImage, makeRandom, newSeed, noise, overwrite } from '../support/disk-files.ts';
import { LiveService } from '../support/live-service.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

/** More than one page of the map, or the record would hold all of it. */
const SIZE_BYTES = 160 * MIB;
const FILLED_BYTES = 8 * MIB;
const PARTS = ['packs', 'pages', 'backups'] as const;

describe('a flipped bit', () => {
  const seed = newSeed();
  const random = makeRandom(seed);
  const volumes = new Map<string, { volumeId: string; backupId: string; objects: string[] }>();
  let temporary: TemporaryFolder;
  let service: LiveService;

  const repository = (): string => join(service.dataFolder, 'repository');
  const imageOf = (name: string): string => join(service.disksFolder, `${name}.img`);

  before(async () => {
    temporary = await makeTemporaryFolder();
    const first = await LiveService.start({ folder: temporary.path });
    service = first;
    for (const name of [...PARTS, 'untouched']) {
      const known = new Set(await listObjects(repository()));
      await makeImage(imageOf(name), SIZE_BYTES, FILLED_BYTES, `${seed}/${name}`);
      await overwrite(imageOf(name), SIZE_BYTES - MIB, noise(MIB, `${seed}/${name}/end`));
      const volumeId = await first.api.adoptVolume(imageOf(name), name);
      const { id } = await first.api.backUp(volumeId, name);
      const objects = (await listObjects(repository())).filter((object) => !known.has(object));
      volumes.set(name, { volumeId, backupId: id, objects });
    }
    // Nothing of what was written may still be in memory.
    await first.stop();
    service = await first.startAgain();
  });
  after(async () => {
    await service?.[Symbol.asyncDispose]();
    await temporary?.[Symbol.asyncDispose]();
  });

  const find = (name: string) => {
    const volume = volumes.get(name);
    assert(volume !== undefined);
    return volume;
  };

  for (const part of PARTS) {
    test(`in ${part} fails the restore with the name of the object`, async (context) => {
      const { api } = service;
      const { volumeId, backupId, objects } = find(part);
      const object = objects.find((name) => name.includes(`/${part}/`));
      assert(object !== undefined, `the backup stored something in ${part}`);
      const bit = await flipBitOf(join(repository(), object), random());
      context.diagnostic(`seed ${seed}: bit ${bit} of ${object}`);
      // What the disk still holds would not be read from the repository.
      const kept = join(temporary.path, `${part}.kept`);
      await copyImage(imageOf(part), kept);
      const { size } = await stat(kept);
      await truncate(imageOf(part));
      await truncate(imageOf(part), size);
      const job = await api.restore(backupId, volumeId);
      await copyImage(kept, imageOf(part));
      assert.deepEqual([job.status, job.errorCode], ['FAIL', 'VolumeBackup.0200'], String(job.failReason));
      assert(job.failReason?.includes(object), `${job.failReason} does not name ${object}`);
      assert.equal((await api.getVolume(volumeId)).status, 'error_restoring');
      const backup = await api.getBackup(backupId);
      assert.equal(backup.status, 'error_restoring');
      assert(String(backup.fail_reason).includes(object), String(backup.fail_reason));
    });
  }

  test('leaves other backups as they were', async () => {
    const { api } = service;
    const { backupId } = find('untouched');
    const restoredId = await api.restoreToNewVolume(backupId);
    await assertSameImage(join(service.dataFolder, 'volumes', `${restoredId}.raw`), imageOf('untouched'));
  });

  test('does not stand in the way of a new, whole backup', async () => {
    const { api } = service;
    const { volumeId } = find('untouched');
    const { id } = await api.backUp(volumeId, 'later');
    assert.equal((await api.restore(id, volumeId)).status, 'SUCCESS');
  });
});

async function listObjects(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => relative(root, join(entry.parentPath, entry.name))).toSorted();
}

/** `where` from 0 to 1 is the place in the file; returns the bit's number. */
async function flipBitOf(path: string, where: number): Promise<number> {
  await using file = await open(path, 'r+');
  const { size } = await file.stat();
  const bit = Math.floor(where * size * 8);
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, bit >> 3);
  byte[0] = (byte[0] ?? 0) ^ (1 << (bit & 7));
  await file.write(byte, 0, 1, bit >> 3);
  return bit;
}
