// Objects of packs that no row of the catalog names. They are told to the operator and never deleted on sight: the
// catalog may be older than the store.
import type { ProjectId } from '../../core/ids.ts';
import { PRUNE_REPORT_MAX } from '../../core/limits.ts';
import { projectPrefix } from '../../core/object-names.ts';
import type { ObjectInfo } from '../../storage/object-store.ts';
import type { Repository } from '../repository.ts';

export type UnnamedObjects = {
  readonly count: number;
  readonly bytes: number;
  /** The first PRUNE_REPORT_MAX of them. */
  readonly names: readonly string[];
};

const BATCH_COUNT = 1000;

export async function findUnnamedObjects(
  repository: Repository,
  projectId: ProjectId,
  signal: AbortSignal,
): Promise<UnnamedObjects> {
  const found = { count: 0, bytes: 0, names: [] as string[] };
  const review = async (objects: readonly ObjectInfo[]): Promise<void> => {
    const names = objects.map((object) => object.name);
    const unnamed = new Set(await repository.ledger.findUnnamed(projectId, names));
    for (const { name, sizeBytes } of objects.filter((object) => unnamed.has(object.name))) {
      found.count += 1;
      found.bytes += sizeBytes;
      if (found.names.length < PRUNE_REPORT_MAX) found.names.push(name);
    }
  };
  for (const folder of ['packs', 'pages']) {
    let batch: ObjectInfo[] = [];
    for await (const object of repository.store.list(`${projectPrefix(projectId)}${folder}/`, signal)) {
      batch.push(object);
      if (batch.length < BATCH_COUNT) continue;
      await review(batch);
      batch = [];
    }
    if (batch.length > 0) await review(batch);
  }
  return found;
}
