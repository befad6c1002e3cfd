import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { KIB, MIB } from '../../src/core/bytes.ts';
import { findDataExtents } from '../../src/volumes/data-extents.ts';
import { copyDisk } from '../../src/volumes/sparse-copy.ts';
import { loadSystemCalls, portable, type SystemCalls } from '../../src/volumes/system-calls.ts';
import type { VolumeSource } from '../../src/volumes/volume.ts';
import { makeManualThrottle } from '../support/manual-throttle.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const SIZE_BYTES = 5 * MIB + 777;

const writesArbitrary = fc.array(
  fc.record({
    offsetBytes: fc.integer({ min: 0, max: SIZE_BYTES - 1 }),
    lengthBytes: fc.integer({ min: 1, max: 900 * KIB }),
    byte: fc.constantFrom(0, 1, 2),
  }),
  { maxLength: 8 },
);
type Writes = typeof writesArbitrary extends fc.Arbitrary<infer T> ? T : never;

async function writeAll(path: string, writes: Writes): Promise<Buffer> {
  const bytes = Buffer.alloc(SIZE_BYTES);
  await using file = await open(path, 'w');
  await file.truncate(SIZE_BYTES);
  for (const { offsetBytes, lengthBytes, byte } of writes) {
    const end = Math.min(offsetBytes + lengthBytes, SIZE_BYTES);
    bytes.fill(byte, offsetBytes, end);
    await file.write(bytes, offsetBytes, end - offsetBytes, offsetBytes);
  }
  return bytes;
}

function sourceOf(path: string, fd: number, calls: SystemCalls): VolumeSource {
  return {
    descriptor: { driver: 'file', path, sizeBytes: SIZE_BYTES },
    sizeBytes: SIZE_BYTES,
    consistency: 'quiescent',
    frozenAt: 0,
    dataExtents: (range, signal) => findDataExtents(fd, range, calls, signal),
    findChanges: async () => ({ isKnown: false, reason: 'it cannot be told' }),
    describeBaseline: async () => undefined,
    keep: () => undefined,
    finish: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

test('a copy equals its source, over an empty disk or a full one, with and without system calls', async () => {
  await using folder = await makeTemporaryFolder();
  const [from, to] = [join(folder.path, 'from'), join(folder.path, 'to')];
  const run = async (writes: Writes, older: Writes, isNative: boolean, isDevice: boolean) => {
    const calls = isNative ? loadSystemCalls() : portable;
    const expected = await writeAll(from, writes);
    await writeAll(to, older);
    await using source = await open(from, 'r');
    await using file = await open(to, constants.O_RDWR);
    const readsZero = older.length === 0;
    let handledBytes = 0;
    const report = ({ doneBytes = 0, skippedBytes = 0 }) => {
      handledBytes = doneBytes + skippedBytes;
    };
    await copyDisk(sourceOf(from, source.fd, calls), { file, path: to, readsZero, isDevice }, { report }, calls);
    assert.ok((await readFile(to)).equals(expected));
    assert.equal(handledBytes, SIZE_BYTES);
  };
  const older = fc.oneof(fc.constant<Writes>([]), writesArbitrary);
  await fc.assert(fc.asyncProperty(writesArbitrary, older, fc.boolean(), fc.boolean(), run), { numRuns: 60 });
});

test('a copy keeps to the limits of reads and of writes, and holes count for neither', async () => {
  await using folder = await makeTemporaryFolder();
  const [from, to] = [join(folder.path, 'from'), join(folder.path, 'to')];
  const expected = await writeAll(from, [{ offsetBytes: 0, lengthBytes: 2 * MIB, byte: 1 }]);
  for (const older of [[], [{ offsetBytes: 4 * MIB, lengthBytes: MIB, byte: 2 }]] as const) {
    await writeAll(to, [...older]);
    await using source = await open(from, 'r');
    await using file = await open(to, constants.O_RDWR);
    const [read, write] = [makeManualThrottle('1MiB/s 1000iops'), makeManualThrottle('1MiB/s 1000iops')];
    const throttles = { read: read.throttle, write: write.throttle };
    const target = { file, path: to, readsZero: older.length === 0, isDevice: false };
    const calls = loadSystemCalls();
    await copyDisk(sourceOf(from, source.fd, calls), target, { throttles }, calls);
    assert.ok((await readFile(to)).equals(expected));
    for (const { throttle, time } of [read, write]) {
      await throttle.take({ bytes: 0, operations: 0 });
      assert.ok(time.nowAt >= 2000 && time.nowAt < 2100, `${time.nowAt} ms for 2 MiB`);
    }
  }
});

test('a copy that fails has let go of its source and of its target', async () => {
  await using folder = await makeTemporaryFolder();
  const [from, to] = [join(folder.path, 'from'), join(folder.path, 'to')];
  await writeAll(from, [{ offsetBytes: 0, lengthBytes: SIZE_BYTES, byte: 1 }]);
  await writeAll(to, []);
  await using source = await open(from, 'r');
  const file = await open(to, 'r');
  const target = { file, path: to, readsZero: true, isDevice: false };
  await assert.rejects(copyDisk(sourceOf(from, source.fd, portable), target, {}, portable), { code: 'EBADF' });
  // Closing waits for what is under way and fails when the handle is in use: nothing is.
  await file.close();
  const aborted = AbortSignal.abort(new Error('stop'));
  await using again = await open(to, 'r+');
  await assert.rejects(
    copyDisk(sourceOf(from, source.fd, portable), { ...target, file: again }, { signal: aborted }, portable),
    {
      message: 'stop',
    },
  );
});
