// A new sparse file to restore to, made durable as a disk of the service is: what a bench times has to last.
import { open } from 'node:fs/promises';
import { loadSystemCalls } from '../../src/volumes/system-calls.ts';
import type { VolumeTarget } from '../../src/volumes/volume.ts';
import { fileTarget } from '../../test/support/engine-bench.ts';

/** The caller disposes of it. */
export async function newFileTarget(path: string, sizeBytes: number): Promise<VolumeTarget> {
  const target = await fileTarget(path, sizeBytes, true);
  const file = await open(path, 'r+');
  const calls = loadSystemCalls();
  return {
    ...target,
    writeBack: async () => {
      await file.datasync();
      await calls.dropCache(file.fd);
    },
    sync: () => file.sync(),
    [Symbol.asyncDispose]: () => file.close(),
  };
}
