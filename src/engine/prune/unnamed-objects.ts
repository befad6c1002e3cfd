// Objects of packs that no row of the catalog names. They are told to the operator and never deleted on sight: the
// catalog may be older than the store. Only spare versions of live packs are given up (spare-versions.ts).
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

/** Those for which `giveUp` answers true are not among them. */
export async function findUnnamedObjects(
  repository: Repository,
  projectId: ProjectId,
  signal: AbortSignal,
  giveUp: (object: ObjectInfo) => Promise<boolean> = async () => false,
): Promise<UnnamedObjects> {
  const found = { count: 0, bytes: 0, names: [] as string[] };
  const review = async (objects: readonly ObjectInfo[]): Promise<void> => {
    const names = objects.map((object) => object.name);
    const unnamed = new Set(await repository.ledger.findUnnamed(projectId, names));
    for (const object of objects.filter(({ name }) => unnamed.has(name))) {
      signal.throwIfAborted();
      if (await giveUp(object)) continue;
      const { name, sizeBytes } = object;
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
