import { join } from 'node:path';
import { FilesystemStore } from '../../src/storage/filesystem-store.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { ModelStore } from '../model/model-store.ts';
import { FaultyStore } from '../support/faulty-store.ts';
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

objectStoreSuite('memory', { open: () => openMemory(plain) });
objectStoreSuite('filesystem', { open: () => openFilesystem(plain) });
objectStoreSuite('memory behind faults', { open: () => openMemory(faulty) });
objectStoreSuite('filesystem behind faults', { open: () => openFilesystem(faulty) });
objectStoreSuite('the store of the model', { open: () => openMemory(() => new ModelStore({ gate: () => undefined })) });
