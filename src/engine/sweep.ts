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
export async function sweepTrash(
  repository: Repository,
  projectId: ProjectId,
  signal?: AbortSignal,
): Promise<{ deletedCount: number }> {
  const { ledger, store, clock } = repository;
  let deletedCount = 0;
  for (;;) {
    signal?.throwIfAborted();
    const listed = await ledger.listTrash(projectId, BATCH_COUNT, clock.now());
    if (listed.length === 0) return { deletedCount };
    const project = await repository.openProject(projectId);
    await repository.checkEpoch(project);
    // For each batch, after its names were listed: every copy of the catalog that does not know of this trash has an
    // epoch below the store's from before the first of it is gone.
    await repository.raiseEpoch(project);
    // Of those that are listed still: a database that failed over to a state without these rows, and was raised in that
    // state, does not want them deleted; and a backup may have been entered anew on a record (ledger-imports.ts).
    const taken = await ledger.takeTrash(projectId, listed);
    if (taken.length === 0) continue;
    const { gone, failure } = await deleteObjects(store, taken);
    await ledger.confirmTrash(gone, clock.now());
    if (failure) throw failure.error;
    deletedCount += taken.length;
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
