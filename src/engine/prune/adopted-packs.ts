// Packs of one kind as adoption finds them for one record: each by the row of the catalog, or, while this catalog is
// set back, by the fullest version that is stored: others may have used what this catalog has compacted or retired.
import { bitmapEnd, bitmapHas } from '../../core/bitmap.ts';
import { VbsError } from '../../core/errors.ts';
import type { PackId } from '../../core/ids.ts';
import type { AdoptedPack, PackKind, PackUse } from '../../core/ledger.ts';
import { packFolder, packObjectOf, type StoredPack } from '../../core/object-names.ts';
import type { Address, Page } from '../format/page-format.ts';
import { readPage } from '../manifest-objects.ts';
import { PackAccess } from '../pack/pack-access.ts';
import type { PackIndex } from '../pack/pack-index.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { isUnreadable } from './root-marker.ts';
import { holdsAllOf } from './spare-versions.ts';
import { StrayPackAccess } from './stray-pack-access.ts';

export class AdoptedPacks {
  readonly #repository: Repository;
  readonly #project: OpenProject;
  readonly #isSetBack: boolean;
  readonly #known: PackAccess;
  readonly #fullest: PackAccess;
  /** Packs of which something could be read from the fullest version only. */
  readonly #replaced = new Set<PackId>();

  constructor(
    repository: Repository,
    project: OpenProject,
    { kind, isSetBack, signal }: { readonly kind: PackKind; readonly isSetBack: boolean; readonly signal: AbortSignal },
  ) {
    this.#repository = repository;
    this.#project = project;
    this.#isSetBack = isSetBack;
    this.#known = new StrayPackAccess(repository, project, kind);
    this.#fullest = new FullestPackAccess(repository, project, kind, signal);
  }

  /** @throws DATA_CORRUPT, OBJECT_NOT_FOUND */
  async readPage(address: Address, level: number): Promise<Page> {
    const { store } = this.#repository;
    return await this.#tryBoth(address.packId, (access) => readPage(store, access, address, level));
  }

  /** The stored version that has all slots of `needed`. @throws DATA_CORRUPT, OBJECT_NOT_FOUND */
  async find(packId: PackId, needed: Uint8Array): Promise<AdoptedPack> {
    const readTrailer = (access: PackAccess) =>
      access.read(packId, async (index) => ({ index, pack: describePack(index, needed) }));
    const { index, pack } = await this.#tryBoth(packId, readTrailer);
    if (!this.#replaced.has(packId)) return pack;
    const [row] = await this.#repository.ledger.locatePacks(this.#project.projectId, [packId]);
    if (!row || row.objectId === pack.objectId) return pack;
    await this.#checkReplacement(row, index);
    return { ...pack, replacedObjectId: row.objectId };
  }

  /** Once a pack had to be read from its fullest version, that is the one for all of it. */
  async #tryBoth<T>(packId: PackId, read: (access: PackAccess) => Promise<T>): Promise<T> {
    if (this.#replaced.has(packId)) return await read(this.#fullest);
    try {
      return await read(this.#known);
    } catch (error) {
      if (!this.#isSetBack || !isUnreadable(error)) throw error;
      const found = await read(this.#fullest).catch((second: unknown) => {
        // What is wrong with the one that the catalog knows is the thing to tell.
        throw isUnreadable(second) ? error : second;
      });
      this.#replaced.add(packId);
      return found;
    }
  }

  /** What else is needed of the current object must be in the one that takes its place. @throws DATA_CORRUPT */
  async #checkReplacement(row: PackUse, index: PackIndex): Promise<void> {
    const current = await tryIndex(this.#repository, this.#project, row);
    if (!current || holdsAllOf(index, row.condemned, current)) return;
    const reason = `neither it nor ${current.objectName} has all slots that are needed`;
    throw new VbsError('DATA_CORRUPT', { object: index.objectName, offsetBytes: 0, reason });
  }
}

/** By the largest version that is stored and can be opened, whatever the catalog says of the pack. */
class FullestPackAccess extends PackAccess {
  readonly #find: (packId: PackId) => Promise<StoredPack | undefined>;

  constructor(repository: Repository, project: OpenProject, kind: PackKind, signal: AbortSignal) {
    super(repository, project);
    this.#find = async (packId) => {
      for (const version of await listVersions(repository, project, { packId, kind }, signal)) {
        if (await tryIndex(repository, project, version)) return version;
      }
      return undefined;
    };
  }

  protected override async locate(packIds: readonly PackId[]): Promise<readonly PackUse[]> {
    const rows: PackUse[] = [];
    for (const packId of packIds) {
      const found = await this.#find(packId);
      if (found) rows.push({ ...found, condemned: null, bad: null });
    }
    return rows;
  }
}

/** Stored versions of a pack, the largest first. */
export async function listVersions(
  { store }: Repository,
  { projectId }: OpenProject,
  pack: { readonly packId: PackId; readonly kind: PackKind },
  signal: AbortSignal,
): Promise<StoredPack[]> {
  const found: { readonly version: StoredPack; readonly sizeBytes: number }[] = [];
  for await (const { name, sizeBytes } of store.list(packFolder(projectId, pack), signal)) {
    const version = packObjectOf(projectId, name);
    if (version?.packId === pack.packId) found.push({ version, sizeBytes });
  }
  return found.sort((a, b) => b.sizeBytes - a.sizeBytes).map(({ version }) => version);
}

/** Undefined when it is not there or cannot be opened. */
export async function tryIndex(
  repository: Repository,
  project: OpenProject,
  version: StoredPack,
): Promise<PackIndex | undefined> {
  try {
    return await repository.packIndex(project, version);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return undefined;
  }
}

/** Slots that the object has. */
export function countPresent(index: PackIndex): number {
  let count = 0;
  index.forEachDigest(() => {
    count += 1;
  });
  return count;
}

/** @throws DATA_CORRUPT when a slot is missing */
function describePack(index: PackIndex, needed: Uint8Array): AdoptedPack {
  const end = bitmapEnd(needed);
  for (let slot = 0; slot < end; slot += 1) if (bitmapHas(needed, slot)) index.frameIndexOf(slot);
  const { location, slotCount, storedBytes } = index;
  return { ...location, slotCount, presentCount: countPresent(index), storedBytes, needed };
}
