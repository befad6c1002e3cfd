// Deletes what the catalog put in the trash (src/engine/README.md): records first, in batches, never without having
// read the epoch in the store. Deleting is idempotent: any number of sweeps may run, at any age.
import type { ProjectId } from '../core/ids.ts';
import type { TrashItem } from '../core/ledger.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { Repository } from './repository.ts';

/** Names deleted between two looks at the epoch. */
const BATCH_COUNT = 256;

/**
 * Deletes everything of the project that is due.
 * @throws EPOCH_CONFLICT: then nothing (more) is deleted; STORAGE_IO: some of it is left for the next sweep
 */
export async function sweepTrash(repository: Repository, projectId: ProjectId): Promise<{ deletedCount: number }> {
  const { ledger, store, clock } = repository;
  let deletedCount = 0;
  for (;;) {
    const items = await ledger.listTrash(projectId, BATCH_COUNT, clock.now());
    if (items.length === 0) return { deletedCount };
    const project = await repository.openProject(projectId);
    await repository.checkEpoch(project);
    if (deletedCount === 0) {
      // The catalog first: a store that is ahead of its catalog means that the catalog was set back.
      await repository.writeEpoch(project, await ledger.raiseEpoch(projectId));
    }
    const { gone, failure } = await deleteObjects(store, items);
    await ledger.confirmTrash(gone, clock.now());
    if (failure) throw failure.error;
    deletedCount += items.length;
  }
}

/** Deletes all; when that fails, one by one: an object that cannot be deleted must not keep the others. */
async function deleteObjects(
  store: ObjectStore,
  items: readonly TrashItem[],
): Promise<{ gone: readonly TrashItem[]; failure?: { readonly error: unknown } }> {
  try {
    await store.delete(items.map((item) => item.objectName));
    return { gone: items };
  } catch (error) {
    const gone: TrashItem[] = [];
    for (const item of items) {
      const isGone = await store.delete([item.objectName]).then(
        () => true,
        () => false, // The first failure is the one to tell.
      );
      if (isGone) gone.push(item);
    }
    return { gone, failure: { error } };
  }
}
