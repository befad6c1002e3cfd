// What an increment costs on a large volume: 100 GiB with 2 GiB of data, of which 1 MiB changes in scattered places. By
// changed extents on a file system with reflinks, and by scan on any other.
import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { after, describe, test } from 'node:test';
import { GIB, KIB, MIB } from '../../src/core/bytes.ts';
import type { BackupId } from '../../src/core/ids.ts';
import { noise } from '../support/disk-files.ts';
import { makeReflinkFolder } from '../support/reflink-folder.ts';
import { assertSameData } from '../support/sparse-disk.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { type TrackedBackup, TrackedDisk } from '../support/tracked-disk.ts';

const SIZE_BYTES = 100 * GIB;
const DATA_BYTES = 2 * GIB;
const PIECE_BYTES = 4 * MIB;
const CHANGE_COUNT = 64;
const CHANGE_BYTES = 16 * KIB;
const READ_MAX_BYTES = 16 * MIB;
const DURATION_MAX_MS = 2000;

const reflinks = await makeReflinkFolder(8 * GIB);
if ('remove' in reflinks) after(() => reflinks.remove());

/** Data all over the volume. */
async function fill(disk: TrackedDisk): Promise<void> {
  await using file = await open(disk.path, 'r+');
  const stepBytes = SIZE_BYTES / (DATA_BYTES / PIECE_BYTES);
  for (let at = 0, piece = 0; at < SIZE_BYTES; at += stepBytes, piece += 1) {
    await file.write(noise(PIECE_BYTES, `piece/${piece}`), 0, PIECE_BYTES, at);
  }
  await file.sync();
}

/** 1 MiB in all: most of it over data, some where nothing was. */
async function change(disk: TrackedDisk): Promise<void> {
  await using file = await open(disk.path, 'r+');
  const stepBytes = SIZE_BYTES / CHANGE_COUNT;
  for (let i = 0; i < CHANGE_COUNT; i += 1) {
    const offsetBytes = i * stepBytes + (i % 8 === 0 ? 50 * MIB : 300 * KIB);
    await file.write(noise(CHANGE_BYTES, `change/${i}`), 0, CHANGE_BYTES, offsetBytes);
  }
}

async function backUpTimed(disk: TrackedDisk): Promise<TrackedBackup & { readonly durationMs: number }> {
  const startedAt = performance.now();
  const backup = await disk.backUp();
  return { ...backup, durationMs: performance.now() - startedAt };
}

async function assertRestores(disk: TrackedDisk, backupId: BackupId): Promise<void> {
  const path = await disk.bench.restore(backupId, 'restored', { readsZero: true, sizeBytes: SIZE_BYTES });
  await assertSameData(path, disk.path);
}

describe('on a file system with reflinks', { skip: 'skip' in reflinks ? reflinks.skip : false }, () => {
  test('an increment of 1 MiB on 100 GiB reads under 16 MiB and takes under 2 s', async (context) => {
    assert('path' in reflinks);
    await using disk = await TrackedDisk.make({ folder: join(reflinks.path, 'volumes'), sizeBytes: SIZE_BYTES });
    await fill(disk);
    await disk.backUp();
    await change(disk);
    const { reading, progress, durationMs, backupId, commit } = await backUpTimed(disk);
    const readBytes = progress.doneBytes + reading.sampleCount * 64 * KIB;
    context.diagnostic(`read ${readBytes} bytes, stored ${commit.storedBytes}, in ${Math.round(durationMs)} ms`);
    assert.equal(reading.mode, 'changed-extents');
    assert(readBytes < READ_MAX_BYTES, `${readBytes} bytes were read`);
    assert(durationMs < DURATION_MAX_MS, `it took ${durationMs} ms`);
    await assertRestores(disk, backupId);
    const startedAt = performance.now();
    const rolledBack = await disk.rollBack(backupId);
    context.diagnostic(`a rollback without changes took ${Math.round(performance.now() - startedAt)} ms`);
    assert.deepEqual([rolledBack.mode, rolledBack.writtenBytes], ['changed-extents', 0]);
  });
});

test('where there are no reflinks the same increment is right by scan', async (context) => {
  await using folder = await makeTemporaryFolder();
  await using disk = await TrackedDisk.make({ folder: folder.path, sizeBytes: SIZE_BYTES, keepsBaselines: false });
  await fill(disk);
  await disk.backUp();
  await change(disk);
  const { reading, progress, durationMs, backupId, commit } = await backUpTimed(disk);
  context.diagnostic(`read ${progress.doneBytes} bytes, stored ${commit.storedBytes}, in ${Math.round(durationMs)} ms`);
  assert.equal(reading.mode, 'scan');
  assert(progress.doneBytes <= DATA_BYTES + CHANGE_COUNT * 128 * KIB, 'holes were not read');
  await assertRestores(disk, backupId);
});
