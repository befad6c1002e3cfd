// The stream of a backup's bytes: its pace is the client's, and its reader is closed once, however it ends.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type ExportReader, streamExport } from '../../../src/api/routes/vbs/backup-data.ts';
import { MIB } from '../../../src/core/bytes.ts';
import { silentLogger } from '../../../src/core/ports.ts';

type Spy = ExportReader & { readCount: number; closeCount: number };

/** 100 MiB whose bytes tell their MiB; fails at `failAtBytes`. */
function makeReader(failAtBytes = Number.POSITIVE_INFINITY): Spy {
  return {
    sizeBytes: 100 * MIB,
    readCount: 0,
    closeCount: 0,
    async read(offsetBytes, lengthBytes) {
      this.readCount += 1;
      if (offsetBytes + lengthBytes > failAtBytes) throw new Error('damaged');
      return Buffer.alloc(lengthBytes, Math.floor(offsetBytes / MIB));
    },
    async close() {
      this.closeCount += 1;
    },
  };
}

describe('streamExport', () => {
  test('gives exactly the range, in order', async () => {
    const reader = makeReader();
    const range = { offsetBytes: 3 * MIB, lengthBytes: 9 * MIB + 7 };
    const stream = streamExport(reader, range, silentLogger);
    const pieces: Buffer[] = await stream.toArray();
    const bytes = Buffer.concat(pieces);
    assert.equal(bytes.length, range.lengthBytes);
    assert.deepEqual([bytes[0], bytes[4 * MIB], bytes[8 * MIB]], [3, 7, 11]);
    assert.equal(reader.closeCount, 1);
  });

  test('reads hardly ahead of a client that does not take anything', async () => {
    const reader = makeReader();
    const stream = streamExport(reader, { offsetBytes: 0, lengthBytes: reader.sizeBytes }, silentLogger);
    await once(stream, 'readable');
    for (let count = 0; count < 20; count += 1) await turn();
    assert.ok(reader.readCount <= 2, String(reader.readCount));
    stream.destroy();
    await once(stream, 'close');
    assert.equal(reader.closeCount, 1);
  });

  test('closes its reader when the client leaves before the first byte', async () => {
    const reader = makeReader();
    const stream = streamExport(reader, { offsetBytes: 0, lengthBytes: MIB }, silentLogger);
    stream.destroy();
    await once(stream, 'close');
    assert.deepEqual([reader.readCount, reader.closeCount], [0, 1]);
  });

  test('breaks off where the backup cannot be read', async () => {
    const reader = makeReader(8 * MIB);
    const stream = streamExport(reader, { offsetBytes: 0, lengthBytes: reader.sizeBytes }, silentLogger);
    await assert.rejects(stream.toArray(), /damaged/);
    assert.equal(reader.closeCount, 1);
  });
});
