import assert from 'node:assert/strict';
import { chmod, open, rename, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../../src/core/ports.ts';
import { grainToWaitMs, guardImage } from '../../../src/volumes/change-guard.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

const stampsAt = (ms: number) => ({ mtimeNs: BigInt(ms) * 1_000_000n + 1n, ctimeNs: BigInt(ms) * 1_000_000n + 1n });

test('only time stamps younger than their grain are waited for', () => {
  assert.equal(grainToWaitMs(stampsAt(1000), 5000), 0);
  assert.equal(grainToWaitMs(stampsAt(1000), 1021), 0);
  assert.equal(grainToWaitMs(stampsAt(1000), 1020), 1);
  assert.equal(grainToWaitMs(stampsAt(1000), 1000), 20);
});

test('a changed attribute is as young as a write', () => {
  const { mtimeNs } = stampsAt(1000);
  assert.equal(grainToWaitMs({ mtimeNs, ctimeNs: stampsAt(4000).ctimeNs }, 4010), 11);
});

test('a stamp on the full second is taken for one of a file system that keeps no more', () => {
  const stamps = { mtimeNs: 3_000_000_000n, ctimeNs: 3_000_000_000n };
  assert.equal(grainToWaitMs(stamps, 3500), 1551);
  assert.equal(grainToWaitMs(stamps, 6000), 0);
});

test('a stamp in the future is waited for no longer than its grain', () => {
  assert.equal(grainToWaitMs(stampsAt(99_000), 1000), 20);
});

test('every kind of change is noticed', async () => {
  await using folder = await makeTemporaryFolder();
  const path = join(folder.path, 'disk');
  const changes: Record<string, () => Promise<void>> = {
    'a write of the same bytes': async () => writeFile(path, '0', { flag: 'r+' }),
    'a write with the time stamp set back': async () => {
      await writeFile(path, '1', { flag: 'r+' });
      await utimes(path, 1000, 1000);
    },
    'a new size': async () => truncate(path, 5000),
    'new attributes': async () => chmod(path, 0o640),
    'another file under the name': async () => {
      await writeFile(`${path}.new`, Buffer.alloc(4096));
      await rename(`${path}.new`, path);
    },
    'no file under the name': async () => rm(path),
  };
  for (const [name, change] of Object.entries(changes)) {
    await writeFile(path, Buffer.alloc(4096));
    await utimes(path, 1000, 1000);
    const file = await open(path, 'r');
    const guard = await guardImage(file, path);
    await guard.check();
    await change();
    await assert.rejects(guard.check(), name);
    await file.close();
  }
});

test('a disk that is being written when the backup starts is busy', async () => {
  await using folder = await makeTemporaryFolder();
  const path = join(folder.path, 'disk');
  await writeFile(path, Buffer.alloc(4096));
  const file = await open(path, 'r+');
  // Written once a millisecond, it changes within the wait whatever the grain of the time stamps.
  const timer = setInterval(() => void file.write('x', 0), 1);
  await file.write('x', 0);
  await assert.rejects(guardImage(file, path), { code: 'VOLUME_BUSY' });
  clearInterval(timer);
  await file.close();
});

test('the wait ends when the backup is cancelled', async () => {
  await using folder = await makeTemporaryFolder();
  const path = join(folder.path, 'disk');
  await writeFile(path, 'x');
  // A stamp on the full second has a grain of two: the wait is there however slow this test runs.
  const second = Math.floor(systemClock.now() / 1000);
  await utimes(path, second, second);
  const file = await open(path, 'r');
  await assert.rejects(guardImage(file, path, AbortSignal.abort()), { name: 'AbortError' });
  await file.close();
});
