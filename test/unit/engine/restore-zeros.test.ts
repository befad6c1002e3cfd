import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GIB, MIB } from '../../../src/core/bytes.ts';
import type { PipelineRequest } from '../../../src/engine/pipeline/messages.ts';
import { EngineBench } from '../../support/engine-bench.ts';
import { SparseDisk } from '../../support/sparse-disk.ts';

test('zeros of a large disk are written in pieces between which a restore can be stopped', async () => {
  await using bench = await EngineBench.start();
  const sizeBytes = 3 * GIB + 100;
  const piece = { offsetBytes: GIB, bytes: Buffer.alloc(MIB, 7) };
  const disk = await SparseDisk.make(bench, 'disk', sizeBytes, [piece]);
  const { commit } = await disk.backUp();
  await bench.makeDisk('target', sizeBytes, [{ offsetBytes: 0, bytes: Buffer.alloc(MIB, 9) }]);
  const ranges: (readonly [offsetBytes: number, lengthBytes: number])[] = [];
  for (const thread of bench.workers.threads) {
    const call = thread.call.bind(thread);
    thread.call = (request: PipelineRequest, transfer?: ArrayBuffer[]) => {
      if (request.type === 'zero') ranges.push([request.ranges[0] ?? 0, request.ranges[1] ?? 0]);
      return call(request, transfer) as never;
    };
  }
  await disk.assertEquals(await bench.restore(commit.backupId, 'target'));
  assert(ranges.every(([, lengthBytes]) => lengthBytes <= 256 * MIB));
  let positionBytes = 0;
  for (const [offsetBytes, lengthBytes] of ranges.toSorted(([a], [b]) => a - b)) {
    if (positionBytes === piece.offsetBytes) positionBytes += piece.bytes.length;
    assert.equal(offsetBytes, positionBytes);
    positionBytes += lengthBytes;
  }
  assert.equal(positionBytes, sizeBytes);
});
