import { join } from 'node:path';
import { FilesystemStore } from '../../src/storage/filesystem-store.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { ThrottledStore } from '../../src/storage/throttled-store.ts';
import { ModelStore } from '../model/model-store.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { makeManualThrottle } from '../support/manual-throttle.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { objectStoreSuite } from './object-store.suite.ts';

async function openMemory(wrap: (store: ObjectStore) => ObjectStore) {
  return { store: wrap(new MemoryStore()), close: async () => undefined };
}

async function openFilesystem(wrap: (store: ObjectStore) => ObjectStore) {
  const folder = await makeTemporaryFolder();
  const store = new FilesystemStore({ root: join(folder.path, 'deep', 'root') });
  const close = async () => {
    await store.close();
    await folder[Symbol.asyncDispose]();
  };
  return { store: wrap(store), close };
}

const plain = (store: ObjectStore) => store;
const faulty = (store: ObjectStore) => new FaultyStore(store);
const throttled = (store: ObjectStore) => {
  const [read, write] = [makeManualThrottle('64KiB/s 1iops').throttle, makeManualThrottle('64KiB/s 1iops').throttle];
  return new ThrottledStore(store, { read, write });
};

objectStoreSuite('memory', { open: () => openMemory(plain) });
objectStoreSuite('filesystem', { open: () => openFilesystem(plain) });
objectStoreSuite('memory behind faults', { open: () => openMemory(faulty) });
objectStoreSuite('filesystem behind faults', { open: () => openFilesystem(faulty) });
objectStoreSuite('memory under limits', { open: () => openMemory(throttled) });
objectStoreSuite('filesystem under limits', { open: () => openFilesystem(throttled) });
objectStoreSuite('the store of the model', { open: () => openMemory(() => new ModelStore({ gate: () => undefined })) });
