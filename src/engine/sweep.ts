// Deletes what the catalog put in the trash (src/engine/README.md): records first, in batches, never without having
// read the epoch in the store. Deleting is idempotent: any number of sweeps may run, at any age.
import type { ProjectId } from '../core/ids.ts';
import type { Repository } from './repository.ts';

/** Names deleted between two looks at the epoch. */
const BATCH_COUNT = 256;

/** Deletes everything of the project that is due. @throws EPOCH_CONFLICT: then nothing (more) is deleted */
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
    await store.delete(items.map((item) => item.objectName));
    await ledger.confirmTrash(items, clock.now());
    deletedCount += items.length;
  }
}
