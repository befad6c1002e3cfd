import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after } from 'node:test';
import { silentLogger, systemClock } from '../../src/core/ports.ts';
import { FileDriver } from '../../src/volumes/file-driver.ts';
import { loadSystemCalls, portable, type SystemCalls } from '../../src/volumes/system-calls.ts';
import { makeReflinkFolder } from '../support/reflink-folder.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { snapshotDriverSuite } from './snapshot-driver.suite.ts';
import { type DriverHarness, type DriverSetup, volumeDriverSuite } from './volume-driver.suite.ts';

async function openFileDriver(folder: string, systemCalls: SystemCalls): Promise<DriverSetup> {
  const root = join(folder, 'root');
  await mkdir(root, { recursive: true });
  const deps = { folder: join(folder, 'volumes'), roots: [root], clock: systemClock, logger: silentLogger };
  let diskCount = 0;
  return {
    driver: new FileDriver({ ...deps, systemCalls }),
    makeDisk: async (sizeBytes) => {
      diskCount += 1;
      const path = join(root, `disk-${diskCount}.img`);
      const file = await open(path, 'wx');
      await file.truncate(sizeBytes);
      await file.close();
      return path;
    },
    writeDisk: async (volume, bytes, offsetBytes) => {
      const file = await open(volume.source, 'r+');
      await file.write(bytes, 0, bytes.byteLength, offsetBytes);
      await file.close();
    },
    loseDisk: (volume) => rm(volume.source),
    close: async () => undefined,
  };
}

async function openInTemporaryFolder(systemCalls: SystemCalls): Promise<DriverSetup> {
  const folder = await makeTemporaryFolder();
  const setup = await openFileDriver(folder.path, systemCalls);
  return { ...setup, close: async () => await folder[Symbol.asyncDispose]() };
}

function driverSuites(label: string, harness: DriverHarness): void {
  volumeDriverSuite(label, harness);
  snapshotDriverSuite(label, harness);
}

const native = loadSystemCalls();
/** The calls of this machine, on a file system that shares no blocks. */
const withoutReflinks: SystemCalls = { ...native, cloneFile: async () => false };

driverSuites('file, read in place', {
  open: () => openInTemporaryFolder(withoutReflinks),
  hasSnapshots: false,
  hasLocks: native.isNative,
  hasExtents: native.isNative,
});

driverSuites('file, without system calls', {
  open: () => openInTemporaryFolder(portable),
  hasSnapshots: false,
  hasLocks: false,
  hasExtents: false,
});

const reflinks = await makeReflinkFolder();
if ('remove' in reflinks) after(() => reflinks.remove());
let setupCount = 0;

driverSuites('file, with snapshots', {
  open: async () => {
    setupCount += 1;
    const folder = 'path' in reflinks ? join(reflinks.path, `setup-${setupCount}`) : '';
    return await openFileDriver(folder, native);
  },
  hasSnapshots: true,
  hasLocks: native.isNative,
  hasExtents: native.isNative,
  skip: 'skip' in reflinks ? reflinks.skip : false,
});
