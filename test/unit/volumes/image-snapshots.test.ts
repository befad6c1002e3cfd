// Who may remove which snapshot: an attempt of a job only its own and those of attempts before it.
import assert from 'node:assert/strict';
import { open, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { newUuid, type SnapshotId } from '../../../src/core/ids.ts';
import { ImageSnapshots } from '../../../src/volumes/image-snapshots.ts';
import { portable } from '../../../src/volumes/system-calls.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

/** As on a file system whose files share blocks; which blocks a clone has is of no matter here. */
const calls = { ...portable, isNative: true, cloneFile: async () => true };

test('2.7 a zombie that cleans up leaves the snapshot of the next attempt alone', async () => {
  await using folder = await makeTemporaryFolder();
  const path = join(folder.path, 'disk.img');
  await writeFile(path, 'disk');
  const snapshotFolder = join(folder.path, 'snapshots');
  const snapshots = new ImageSnapshots({ folder: snapshotFolder, calls });
  const snapshotId = newUuid<SnapshotId>();
  const image = await open(path);
  try {
    const zombie = await snapshots.take(image, snapshotId, 1);
    const current = await snapshots.take(image, snapshotId, 2);
    assert(zombie && current);
    // The attempt of the zombie was the first: for it nothing is stale.
    await snapshots.removeStale(snapshotId, 1);
    assert.deepEqual((await readdir(snapshotFolder)).sort(), [zombie.name, current.name].sort());
    await snapshots.removeStale(snapshotId, 2);
    assert.deepEqual(await readdir(snapshotFolder), [current.name]);
    // Its own is gone already. It is harmless twice, by path and by name.
    await zombie.remove();
    await snapshots.removeByName(zombie.name);
    assert.deepEqual(await readdir(snapshotFolder), [current.name]);
  } finally {
    await image.close();
  }
});

test('2.7 removing a baseline twice removes nothing that was made in between', async () => {
  await using folder = await makeTemporaryFolder();
  const path = join(folder.path, 'disk.img');
  await writeFile(path, 'disk');
  const snapshotFolder = join(folder.path, 'snapshots');
  const snapshots = new ImageSnapshots({ folder: snapshotFolder, calls });
  const image = await open(path);
  try {
    const old = await snapshots.take(image, newUuid<SnapshotId>(), 1);
    assert(old);
    await snapshots.removeByName(old.name);
    const next = await snapshots.take(image, newUuid<SnapshotId>(), 1);
    assert(next);
    await snapshots.removeByName(old.name);
    assert.deepEqual(await readdir(snapshotFolder), [next.name]);
  } finally {
    await image.close();
  }
});
