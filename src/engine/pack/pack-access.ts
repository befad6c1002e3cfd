// How readers get at packs: by the row of the catalog, which says which stored version is current. A pack that was
// compacted after its row was read has another object, and the old one may be gone: the row is read again then.
import { isVbsError, VbsError } from '../../core/errors.ts';
import type { PackId } from '../../core/ids.ts';
import type { PackUse } from '../../core/ledger.ts';
import type { OpenProject, Repository } from '../repository.ts';
import type { PackIndex } from './pack-index.ts';

export class PackAccess {
  readonly #repository: Repository;
  readonly #project: OpenProject;
  readonly #rows = new Map<PackId, PackUse>();

  constructor(repository: Repository, project: OpenProject) {
    this.#repository = repository;
    this.#project = project;
  }

  /** Rows of packs, asked for in one query; kept for this object's life. @throws DATA_CORRUPT when one is lost */
  async packsOf(packIds: readonly PackId[]): Promise<PackUse[]> {
    // What is known is taken at once: another read may drop a row while this one waits.
    const rows = new Map(packIds.map((packId) => [packId, this.#rows.get(packId)]));
    const missing = packIds.filter((packId) => !rows.get(packId));
    if (missing.length > 0) {
      for (const row of await this.locate(missing)) {
        rows.set(row.packId, row);
        this.#rows.set(row.packId, row);
      }
    }
    return packIds.map((packId) => rows.get(packId) ?? this.#refuse(packId));
  }

  /**
   * Runs `work` on the trailer of the pack's current object. When an object is missing that is no longer the current
   * one, `work` runs again on the one that is. @throws DATA_CORRUPT, OBJECT_NOT_FOUND when the current one is missing
   */
  async read<T>(packId: PackId, work: (index: PackIndex) => Promise<T>): Promise<T> {
    let missed: { readonly objectId: string; readonly error: unknown } | undefined;
    for (;;) {
      const [row] = await this.packsOf([packId]);
      if (!row) throw new VbsError('INTERNAL');
      if (row.objectId === missed?.objectId) throw missed.error;
      try {
        return await work(await this.#repository.packIndex(this.#project, row));
      } catch (error) {
        if (!isVbsError(error, 'OBJECT_NOT_FOUND')) throw error;
        this.#rows.delete(packId);
        missed = { objectId: row.objectId, error };
      }
    }
  }

  /** The trailer of the current object, `missed` having proved to be gone. @throws `error` when it is still current */
  async readAfter(missed: PackIndex, error: unknown): Promise<PackIndex> {
    const { packId, objectId } = missed.location;
    this.#rows.delete(packId);
    const index = await this.read(packId, async (current) => current);
    if (index.location.objectId === objectId) throw error;
    return index;
  }

  /** Why there is nothing to read of a pack that `locate` does not know. */
  protected whyMissing(): string {
    return 'the manifest refers to it, and the catalog has no row of it';
  }

  /** Rows of those packs that there are. */
  protected locate(packIds: readonly PackId[]): Promise<readonly PackUse[]> {
    return this.#repository.ledger.locatePacks(this.#project.projectId, packIds);
  }

  #refuse(packId: PackId): never {
    throw new VbsError('DATA_CORRUPT', { object: `pack ${packId}`, offsetBytes: 0, reason: this.whyMissing() });
  }
}
