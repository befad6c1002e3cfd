// Each of the four limits, set where operators set them, holds back what it is for. Only lower bounds are asserted: a
// slow machine is slower, never faster.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../src/core/bytes.ts';
import { LiveService } from '../support/live-service.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const SIZE_BYTES = 24 * MIB;
/** 24 MiB at 4 MiB/s, less the last piece, which is not paid for before it begins: at most 8 MiB. */
const HELD_MS = 4000;

const LIMITS = [
  { variable: 'OPENVBS_READ_LIMIT', held: 'backup' },
  { variable: 'OPENVBS_REPOSITORY_WRITE_LIMIT', held: 'backup' },
  { variable: 'OPENVBS_REPOSITORY_READ_LIMIT', held: 'restore' },
  { variable: 'OPENVBS_WRITE_LIMIT', held: 'restore' },
] as const;

async function measureMs(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

for (const { variable, held } of LIMITS) {
  test(`${variable} holds a ${held}`, async (context) => {
    await using folder = await makeTemporaryFolder();
    await using service = await LiveService.start({ folder: folder.path, env: { [variable]: '4MiB/s' } });
    const { api } = service;
    const path = join(service.disksFolder, 'disk.img');
    await writeFile(path, randomBytes(SIZE_BYTES));
    const volumeId = await api.adoptVolume(path, 'disk');
    await api.waitForVolume(volumeId);
    let backupId = '';
    const took = {
      backup: await measureMs(async () => {
        backupId = (await api.backUp(volumeId, 'held')).id;
      }),
      restore: await measureMs(() => api.restoreToNewVolume(backupId)),
    };
    context.diagnostic(`backup ${Math.round(took.backup)} ms, restore ${Math.round(took.restore)} ms`);
    assert.ok(took[held] >= HELD_MS, `it took ${took[held]} ms`);
  });
}
