// Packs of records that the catalog does not know: it may have no rows of them either. Without the catalog any object
// of the pack that has the slot will do, the largest first (docs/repository-format.md).
import type { PackId } from '../../core/ids.ts';
import type { PackKind, PackUse } from '../../core/ledger.ts';
import { packFolder, packObjectOf, type StoredPack } from '../../core/object-names.ts';
import { PackAccess } from '../pack/pack-access.ts';
import type { OpenProject, Repository } from '../repository.ts';

export class StrayPackAccess extends PackAccess {
  readonly #stray: { readonly repository: Repository; readonly project: OpenProject; readonly kind: PackKind };

  /** `kind`: of the packs that the catalog has no rows of. */
  constructor(repository: Repository, project: OpenProject, kind: PackKind = 'page') {
    super(repository, project);
    this.#stray = { repository, project, kind };
  }

  protected override async locate(packIds: readonly PackId[]): Promise<readonly PackUse[]> {
    const rows = [...(await super.locate(packIds))];
    const known = new Set(rows.map((row) => row.packId));
    for (const packId of packIds) {
      const largest = known.has(packId) ? undefined : await this.#findLargest(packId);
      if (largest) rows.push({ ...largest, condemned: null, bad: null });
    }
    return rows;
  }

  protected override whyMissing(): string {
    return 'the manifest refers to it, and no object of it is in the store';
  }

  async #findLargest(packId: PackId): Promise<StoredPack | undefined> {
    const { repository, project, kind } = this.#stray;
    const { projectId } = project;
    let largest: { readonly pack: StoredPack; readonly sizeBytes: number } | undefined;
    for await (const { name, sizeBytes } of repository.store.list(packFolder(projectId, { packId, kind }))) {
      const pack = packObjectOf(projectId, name);
      if (pack?.packId === packId && sizeBytes > (largest?.sizeBytes ?? -1)) largest = { pack, sizeBytes };
    }
    return largest?.pack;
  }
}
