// The main job from end to end: a real ext4 file system is adopted, backed up, changed, backed up again and restored,
// through the service's API alone.
import assert from 'node:assert/strict';
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { GIB, MIB } from '../../src/core/bytes.ts';
import { CHUNK_SIZE_BYTES } from '../../src/core/limits.ts';
import {
  assertSameImage,
  copyImage,
  hasProgram,
  makeRandom,
  newSeed,
  noise,
  prose,
  runProgram,
} from '../support/disk-files.ts';
import type { Json } from '../support/live-api.ts';
import { LiveService } from '../support/live-service.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const FILE_COUNT = 2000;
const SIZE_BYTES = GIB;
const tools = await Promise.all(['mke2fs', 'debugfs', 'e2fsck', 'cmp'].map(hasProgram));
const skip = tools.every(Boolean) ? false : 'mke2fs, debugfs, e2fsck (e2fsprogs) or cmp is missing';

describe('an ext4 file system of 1 GiB', { skip }, () => {
  const seed = newSeed();
  const paths = { disk: '', first: '', second: '' };
  let temporary: TemporaryFolder;
  let service: LiveService;
  let volumeId = '';
  let full: Json & { id: string };
  let increment: Json & { id: string };

  before(async () => {
    temporary = await makeTemporaryFolder();
    service = await LiveService.start({ folder: temporary.path });
    paths.disk = join(service.disksFolder, 'disk.img');
    paths.first = join(temporary.path, 'first.img');
    paths.second = join(temporary.path, 'second.img');
    await makeFileSystem(paths.disk, join(temporary.path, 'tree'), seed);
    await copyImage(paths.disk, paths.first);
  });
  after(async () => {
    await service?.[Symbol.asyncDispose]();
    await temporary?.[Symbol.asyncDispose]();
  });

  const sourceOf = (id: string): string => join(service.dataFolder, 'volumes', `${id}.raw`);

  test('is adopted and backed up in full', async () => {
    const { api } = service;
    volumeId = await api.adoptVolume(paths.disk, 'disk');
    const volume = await api.getVolume(volumeId);
    assert.deepEqual([volume.status, volume.size], ['available', 1]);
    const job = await api.waitForJob(await api.startBackup(volumeId, 'full'));
    assert.equal(job.status, 'SUCCESS', String(job.failReason));
    full = { ...(await api.getBackup(job.backupId)), id: job.backupId };
    assert.deepEqual(
      [full.status, full.is_incremental, full.size, full.volume_id, full.fail_reason, full.name],
      ['available', false, 1, volumeId, null, 'full'],
    );
    const { total_bytes, done_bytes, skipped_bytes } = job.progress;
    assert.equal(total_bytes, SIZE_BYTES);
    assert(Number(done_bytes) + Number(skipped_bytes) >= SIZE_BYTES, JSON.stringify(job.progress));
  });

  test('is changed and backed up incrementally, storing little more than what changed', async (context) => {
    const { api } = service;
    await changeFileSystem(paths.disk, temporary.path, seed);
    await copyImage(paths.disk, paths.second);
    const job = await api.waitForJob(await api.startBackup(volumeId, 'increment'));
    assert.equal(job.status, 'SUCCESS', String(job.failReason));
    increment = { ...(await api.getBackup(job.backupId)), id: job.backupId };
    assert.deepEqual([increment.status, increment.is_incremental], ['available', true]);
    assert.equal((await api.getBackup(full.id)).has_dependent_backups, true);
    const changedBytes = (await countChangedChunks(paths.first, paths.second)) * CHUNK_SIZE_BYTES;
    const storedBytes = Number(job.progress.stored_bytes);
    context.diagnostic(`changed ${changedBytes} bytes of chunks, stored ${storedBytes}; seed ${seed}`);
    assert(changedBytes > 0 && storedBytes > 0 && storedBytes <= 2 * changedBytes, `${storedBytes} of ${changedBytes}`);
  });

  test('comes back as it was at either moment, on new volumes', async () => {
    const { api } = service;
    for (const [backup, copy] of [
      [full, paths.first],
      [increment, paths.second],
    ] as const) {
      const restoredId = await api.restoreToNewVolume(backup.id);
      await assertSameImage(sourceOf(restoredId), copy);
      await runProgram('e2fsck', ['-fn', sourceOf(restoredId)]);
      await api.must('DELETE', `/v3/{p}/volumes/${restoredId}`);
    }
  });

  test('comes back in place, over the changed disk', async () => {
    assert.equal((await service.api.restore(full.id, volumeId)).status, 'SUCCESS');
    await assertSameImage(paths.disk, paths.first);
    assert.equal((await service.api.getVolume(volumeId)).status, 'available');
  });

  test('comes back from the increment alone when the full backup is deleted', async () => {
    const { api } = service;
    assert.equal((await api.deleteBackup(full.id)).status, 'SUCCESS');
    assert.equal((await api.call('GET', `/v3/{p}/native/backups/${full.id}`)).status, 404);
    assert.equal((await api.restore(increment.id, volumeId)).status, 'SUCCESS');
    await assertSameImage(paths.disk, paths.second);
    await runProgram('e2fsck', ['-fn', paths.disk]);
  });
});

async function makeFileSystem(image: string, tree: string, seed: string): Promise<void> {
  const random = makeRandom(seed);
  for (let folder = 0; folder < 30; folder += 1) await mkdir(join(tree, `d${folder}`), { recursive: true });
  for (let index = 0; index < FILE_COUNT; index += 1) {
    const lengthBytes = Math.ceil(random() ** 4 * 256 * 1024);
    const bytes = index % 3 === 0 ? noise(lengthBytes, `${seed}/${index}`) : prose(lengthBytes, `${seed}/${index}`);
    await writeFile(join(tree, `d${index % 30}`, `f${index}`), bytes);
  }
  await writeFile(join(tree, 'large'), noise(40 * MIB, `${seed}/large`));
  await runProgram('mke2fs', ['-q', '-F', '-t', 'ext4', '-d', tree, image, '1G']);
  await rm(tree, { recursive: true });
}

/** Writes and removes files inside the image, as a running system would between two backups. */
async function changeFileSystem(image: string, folder: string, seed: string): Promise<void> {
  const fresh = join(folder, 'fresh');
  const commands = join(folder, 'commands');
  await writeFile(fresh, noise(3 * MIB, `${seed}/fresh`));
  const removals = Array.from({ length: 60 }, (_, index) => `rm d${(index * 7) % 30}/f${(index * 7) % FILE_COUNT}`);
  const additions = Array.from({ length: 5 }, (_, index) => `write ${fresh} added${index}`);
  await writeFile(commands, [...removals, ...additions, 'mkdir later'].join('\n'));
  await runProgram('debugfs', ['-w', '-f', commands, image]);
  await runProgram('e2fsck', ['-fn', image]);
}

async function countChangedChunks(before: string, after: string): Promise<number> {
  await using one = await open(before, 'r');
  await using other = await open(after, 'r');
  const stepBytes = 16 * MIB;
  const buffers = [Buffer.alloc(stepBytes), Buffer.alloc(stepBytes)] as const;
  let count = 0;
  for (let at = 0; at < SIZE_BYTES; at += stepBytes) {
    await one.read(buffers[0], 0, stepBytes, at);
    await other.read(buffers[1], 0, stepBytes, at);
    for (let chunk = 0; chunk < stepBytes; chunk += CHUNK_SIZE_BYTES) {
      const end = chunk + CHUNK_SIZE_BYTES;
      if (!buffers[0].subarray(chunk, end).equals(buffers[1].subarray(chunk, end))) count += 1;
    }
  }
  return count;
}
