// Peak memory of the service for volumes far larger than it, measured by the kernel (VmHWM).
import assert from 'node:assert/strict';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { GIB, MIB } from '../../../src/core/bytes.ts';
import { assertSameImage, makeImage, noise, overwrite } from '../../support/disk-files.ts';
import { LiveService } from '../../support/live-service.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

const PEAK_MAX_BYTES = 400 * MIB;
const skip = await readFile('/proc/self/status').then(
  () => false as const,
  () => 'this system has no /proc/<pid>/status',
);

test('a sparse volume of 100 GiB stays below 400 MiB in backup and restore', { skip }, async (context) => {
  await using temporary = await makeTemporaryFolder();
  await using service = await LiveService.start({ folder: temporary.path });
  const image = join(service.disksFolder, 'sparse.img');
  await writeFile(image, '');
  await truncate(image, 100 * GIB);
  // A page of the map each, all over the volume.
  for (let piece = 0; piece < 800; piece += 1) {
    await overwrite(image, piece * 128 * MIB + 4096 * piece, noise(256 * 1024, `sparse/${piece}`));
  }
  await measure(service, image, context);
});

test('a volume of 4 GiB stays below 400 MiB in backup and restore', { skip }, async (context) => {
  await using temporary = await makeTemporaryFolder();
  await using service = await LiveService.start({ folder: temporary.path });
  const image = join(service.disksFolder, 'full.img');
  await makeImage(image, 4 * GIB, 2.5 * GIB);
  const restored = await measure(service, image, context);
  await assertSameImage(restored, image);
});

/** Returns the path of the restored disk. */
async function measure(
  service: LiveService,
  image: string,
  context: { diagnostic(message: string): void },
): Promise<string> {
  const { api } = service;
  const volumeId = await api.adoptVolume(image, 'measured');
  const idleBytes = await service.readPeakMemoryBytes();
  const { id } = await api.backUp(volumeId, 'measured');
  const backupBytes = await service.readPeakMemoryBytes();
  await service.stop();
  // A fresh process, so that the peak of the backup does not hide that of the restore.
  await using again = await service.startAgain();
  const restoredId = await again.api.restoreToNewVolume(id);
  const restoreBytes = await again.readPeakMemoryBytes();
  const peaks = { idle: idleBytes, backup: backupBytes, restore: restoreBytes };
  context.diagnostic(
    Object.entries(peaks)
      .map(([name, bytes]) => `${name} ${Math.round(bytes / MIB)} MiB`)
      .join(', '),
  );
  for (const [name, bytes] of Object.entries(peaks)) assert(bytes < PEAK_MAX_BYTES, `${name}: ${bytes} bytes`);
  await rm(join(again.dataFolder, 'repository'), { recursive: true });
  return join(again.dataFolder, 'volumes', `${restoredId}.raw`);
}
