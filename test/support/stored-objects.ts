// What lies in an object store, for tests.
import type { ObjectStore } from '../../src/storage/object-store.ts';

/** Names of all objects, in order. */
export async function listNames(store: ObjectStore, prefix = ''): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of store.list(prefix)) names.push(name);
  return names;
}

/** Names and bytes of all objects. */
export async function readAll(store: ObjectStore): Promise<Map<string, Buffer>> {
  const objects = new Map<string, Buffer>();
  for (const name of await listNames(store)) objects.set(name, await store.get(name, Number.MAX_SAFE_INTEGER));
  return objects;
}
