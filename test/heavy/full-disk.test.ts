// The disk under the data folder runs full: the job says so, what was there stays whole, and work goes on when there is
// space again. Needs the right to mount.
import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../src/core/bytes.ts';
import { assertSameImage, copyImage, makeImage, noise, overwrite, runProgram } from '../support/disk-files.ts';
import { LiveService, METRICS_ENV } from '../support/live-service.ts';
import { auditRepository } from '../support/repository-audit.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const DISK_MIB = 96;
const skip = await findSkip();

test('a full disk fails the backup with its reason and harms nothing else', { skip }, async (context) => {
  await using temporary = await makeTemporaryFolder();
  const dataFolder = join(temporary.path, 'data');
  await mkdir(dataFolder);
  await using mounts = new AsyncDisposableStack();
  await runProgram('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', dataFolder]);
  mounts.defer(async () => void (await runProgram('umount', [dataFolder])));
  await using service = await LiveService.start({ folder: temporary.path, env: METRICS_ENV });
  const { api } = service;
  const image = join(service.disksFolder, 'disk.img');
  const copy = join(temporary.path, 'copy.img');
  await makeImage(image, 32 * MIB, 16 * MIB);
  await copyImage(image, copy);
  const volumeId = await api.adoptVolume(image, 'disk');
  const { id } = await api.backUp(volumeId, 'early');

  const filler = join(dataFolder, 'filler');
  // What remains is enough for the catalog and not for the backup.
  await writeFile(filler, Buffer.alloc((DISK_MIB - 40) * MIB));
  await overwrite(image, 0, noise(32 * MIB, 'later'));
  const job = await api.waitForJob(await api.startBackup(volumeId, 'late'));
  context.diagnostic(`${job.status} ${job.errorCode}: ${job.failReason}`);
  assert.deepEqual([job.status, job.errorCode], ['FAIL', 'VolumeBackup.0064']);
  assert.match(String(job.failReason), /No space left/);
  const late = await api.getBackup(job.backupId);
  assert.equal(late.status, 'error');
  assert.match(String(late.fail_reason), /No space left/);
  assert.equal((await api.getBackup(id)).status, 'available');
  assert.equal((await api.restore(id, volumeId)).status, 'SUCCESS');
  await assertSameImage(image, copy);

  await rm(filler);
  await overwrite(image, 0, noise(8 * MIB, 'after'));
  await copyImage(image, copy);
  const after = await api.backUp(volumeId, 'after');
  await overwrite(image, 0, Buffer.alloc(32 * MIB));
  assert.equal((await api.restore(after.id, volumeId)).status, 'SUCCESS');
  await assertSameImage(image, copy);
  // The failed backup's objects are swept after its job has ended.
  await service.waitForRest();
  assert.deepEqual(await auditRepository(dataFolder), { unknownNames: [], missingNames: [], trashedNames: [] });
});

async function findSkip(): Promise<false | string> {
  await using temporary = await makeTemporaryFolder();
  try {
    await runProgram('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', temporary.path]);
    await runProgram('umount', [temporary.path]);
    return false;
  } catch (error) {
    return `cannot mount a small tmpfs: ${error instanceof Error ? error.message.trim() : error}`;
  }
}
