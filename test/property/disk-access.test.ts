import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { KIB, MIB } from '../../src/core/bytes.ts';
import { openBlockDevice } from '../../src/volumes/block-device.ts';
import { findDataExtents } from '../../src/volumes/data-extents.ts';
import { extentEnd } from '../../src/volumes/extent.ts';
import { loadSystemCalls, portable } from '../../src/volumes/system-calls.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const DISK_SIZE_BYTES = 4 * MIB + 12_345;

const writeArbitrary = fc.record({
  offsetBytes: fc.integer({ min: 0, max: DISK_SIZE_BYTES - 1 }),
  lengthBytes: fc.integer({ min: 0, max: 200 * KIB }),
  isZero: fc.boolean(),
});

function clip<T extends { offsetBytes: number; lengthBytes: number }>(write: T): T {
  return { ...write, lengthBytes: Math.min(write.lengthBytes, DISK_SIZE_BYTES - write.offsetBytes) };
}

test('data extents cover every byte that is not zero', async () => {
  await using folder = await makeTemporaryFolder();
  const path = join(folder.path, 'disk');
  const run = async (writes: readonly (typeof writeArbitrary extends fc.Arbitrary<infer T> ? T : never)[]) => {
    const fd = openSync(path, 'w+');
    try {
      ftruncateSync(fd, DISK_SIZE_BYTES);
      const isData = new Uint8Array(DISK_SIZE_BYTES);
      for (const { offsetBytes, lengthBytes, isZero } of writes.map(clip)) {
        writeSync(fd, Buffer.alloc(lengthBytes, isZero ? 0 : 1), 0, lengthBytes, offsetBytes);
        isData.fill(isZero ? 0 : 1, offsetBytes, offsetBytes + lengthBytes);
      }
      const whole = { offsetBytes: 0, lengthBytes: DISK_SIZE_BYTES };
      let endBytes = 0;
      for await (const extent of findDataExtents(fd, whole, loadSystemCalls())) {
        assert.ok(extent.offsetBytes >= endBytes && extent.lengthBytes > 0);
        endBytes = extentEnd(extent);
        isData.fill(0, extent.offsetBytes, endBytes);
      }
      assert.ok(endBytes <= DISK_SIZE_BYTES);
      assert.equal(isData.indexOf(1), -1);
    } finally {
      closeSync(fd);
    }
  };
  await fc.assert(fc.asyncProperty(fc.array(writeArbitrary, { maxLength: 8 }), run), { numRuns: 40 });
});

test('a disk reads what was written to it and zeroed on it, with and without system calls', async () => {
  await using folder = await makeTemporaryFolder();
  const path = join(folder.path, 'disk');
  const descriptor = { driver: 'file', path, sizeBytes: DISK_SIZE_BYTES } as const;
  const run = (
    writes: readonly (typeof writeArbitrary extends fc.Arbitrary<infer T> ? T : never)[],
    isNative: boolean,
  ) => {
    const fd = openSync(path, 'w');
    ftruncateSync(fd, DISK_SIZE_BYTES);
    closeSync(fd);
    const device = openBlockDevice(descriptor, 'write', isNative ? loadSystemCalls() : portable);
    try {
      const expected = Buffer.alloc(DISK_SIZE_BYTES);
      for (const [index, { offsetBytes, lengthBytes, isZero }] of writes.map(clip).entries()) {
        const bytes = Buffer.alloc(lengthBytes, isZero ? 0 : index + 1);
        const cut = Math.floor(lengthBytes / 3);
        if (isZero) device.zeroSync(offsetBytes, lengthBytes);
        else device.writeSync([bytes.subarray(0, cut), Buffer.alloc(0), bytes.subarray(cut)], offsetBytes);
        bytes.copy(expected, offsetBytes);
      }
      const seen = Buffer.alloc(DISK_SIZE_BYTES, 0xee);
      device.readSync(seen, 0);
      assert.ok(seen.equals(expected));
    } finally {
      device.close();
      rmSync(path);
    }
  };
  fc.assert(fc.property(fc.array(writeArbitrary, { maxLength: 8 }), fc.boolean(), run), { numRuns: 40 });
});
