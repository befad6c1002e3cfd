import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { SparseFile } from '../../../src/cli/sparse-file.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

const BLOCK = 65_536;

test('a file has the bytes that were written, whatever their pieces, with zero blocks as holes', async () => {
  await using temporary = await makeTemporaryFolder();
  const folder = temporary.path;
  const block = fc.constantFrom('zero', 'data', 'edge');
  const plan = fc.record({
    blocks: fc.array(block, { maxLength: 12 }),
    tailBytes: fc.nat(BLOCK - 1),
    pieceBytes: fc.integer({ min: 1000, max: 200_000 }),
  });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(plan, async ({ blocks, tailBytes, pieceBytes }) => {
      const expected = Buffer.alloc(blocks.length * BLOCK + tailBytes);
      for (const [index, kind] of blocks.entries()) {
        if (kind === 'data') expected.fill(index + 1, index * BLOCK, (index + 1) * BLOCK);
        if (kind === 'edge') expected[(index + 1) * BLOCK - 1] = 1;
      }
      const path = join(folder, `${run++}.img`);
      await using file = await SparseFile.create(path);
      for (let offset = 0; offset < expected.length; offset += pieceBytes) {
        await file.write(expected.subarray(offset, offset + pieceBytes));
      }
      await file.finish();
      assert.ok(expected.equals(await readFile(path)));
      assert.equal(file.writtenBytes, blocks.filter((kind) => kind !== 'zero').length * BLOCK);
    }),
    { numRuns: 40 },
  );
});

test('a file of nothing but zeros takes no room', async () => {
  await using temporary = await makeTemporaryFolder();
  const folder = temporary.path;
  const path = join(folder, 'empty.img');
  await using file = await SparseFile.create(path);
  for (let index = 0; index < 20; index++) await file.write(Buffer.alloc(1 << 20));
  await file.finish();
  const { size, blocks, mode } = await stat(path);
  assert.equal(size, 20 << 20);
  assert.ok(blocks * 512 < BLOCK);
  assert.equal(mode & 0o777, 0o600);
});

test('an unfinished file leaves nothing, and an existing one stays until the new one is whole', async () => {
  await using temporary = await makeTemporaryFolder();
  const folder = temporary.path;
  const path = join(folder, 'disk.img');
  await writeFile(path, 'old');
  {
    await using file = await SparseFile.create(path);
    await file.write(Buffer.alloc(5 << 20, 1));
  }
  assert.deepEqual(await readdir(folder), ['disk.img']);
  assert.equal(await readFile(path, 'utf8'), 'old');
});
