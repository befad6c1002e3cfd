// Every pack of a project as its trailers in the store show it: which slots it has, under which object, and the hooks
// of its chunks. A few hundred bytes a pack stay in memory, the digests do not.
import { bitmapHas, makeBitmap, setBit } from '../../core/bitmap.ts';
import { forEachConcurrently } from '../../core/concurrency.ts';
import { VbsError } from '../../core/errors.ts';
import type { PackId } from '../../core/ids.ts';
import type { AdoptedPack, Hook, PackKind, PackUse } from '../../core/ledger.ts';
import { REBUILD_READ_COUNT } from '../../core/limits.ts';
import { packFolder, packObjectName, packObjectOf } from '../../core/object-names.ts';
import { deriveHook, hookText, isHook } from '../chunk/hook.ts';
import type { Address } from '../format/page-format.ts';
import { PackAccess } from '../pack/pack-access.ts';
import { type PackIndex, readPackIndex } from '../pack/pack-index.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { isUnreadable, readTwice } from '../unreadable.ts';
import type { StoredProject, StoredVersion } from './stored-project.ts';

export type SurveyedPack = Omit<AdoptedPack, 'needed'> & {
  /** Slots that the object has. Bitmap. */
  readonly slots: Uint8Array;
};

export type UnreadablePack = { readonly object: string; readonly reason: string };

export type PackEntry = { readonly pack: SurveyedPack; readonly hooks: readonly Hook[] };

export class PackSurvey {
  readonly unreadable: UnreadablePack[] = [];
  readonly #repository: Repository;
  readonly #project: OpenProject;
  readonly #signal: AbortSignal;
  readonly #enter: (entry: PackEntry) => Promise<void>;
  readonly #packs: Readonly<Record<PackKind, Map<PackId, SurveyedPack | undefined>>> = {
    data: new Map(),
    page: new Map(),
  };

  /** `enter` is given every pack that can be read, before anybody learns of it here. */
  constructor(
    repository: Repository,
    project: OpenProject,
    enter: (entry: PackEntry) => Promise<void>,
    signal: AbortSignal,
  ) {
    this.#repository = repository;
    this.#project = project;
    this.#enter = enter;
    this.#signal = signal;
  }

  /** Reads the trailers of all packs of a listing. */
  async readAll({ packs }: StoredProject): Promise<void> {
    for (const kind of ['page', 'data'] as const) {
      await forEachConcurrently(packs[kind], REBUILD_READ_COUNT, async ([packId, versions]) => {
        this.#signal.throwIfAborted();
        this.#packs[kind].set(packId, await this.#surveyPack(versions));
      });
    }
  }

  /** @throws DATA_CORRUPT when no stored version that can be read has the slot */
  async requireSlot(kind: PackKind, { packId, slot }: Address): Promise<void> {
    const pack = this.#packs[kind].get(packId) ?? (await this.#find(kind, packId));
    if (bitmapHas(pack.slots, slot)) return;
    const object = packObjectName(this.#project.projectId, pack);
    throw new VbsError('DATA_CORRUPT', { object, offsetBytes: 0, reason: `slot ${slot} is missing` });
  }

  /** True when the slot is known to be there, without waiting for anything. */
  hasSlot(kind: PackKind, { packId, slot }: Address): boolean {
    return bitmapHas(this.#packs[kind].get(packId)?.slots, slot);
  }

  /** The current object of a pack. @throws DATA_CORRUPT when it has none */
  async locate(kind: PackKind, packId: PackId): Promise<SurveyedPack> {
    return this.#packs[kind].get(packId) ?? (await this.#find(kind, packId));
  }

  /** It may have been stored after the listing: a writer of another catalog is just committing. */
  async #find(kind: PackKind, packId: PackId): Promise<SurveyedPack> {
    const { projectId } = this.#project;
    const folder = packFolder(projectId, { packId, kind });
    if (!this.#packs[kind].has(packId)) {
      const versions: StoredVersion[] = [];
      for await (const { name, sizeBytes } of this.#repository.store.list(folder, this.#signal)) {
        const version = packObjectOf(projectId, name);
        if (version?.packId === packId) versions.push({ ...version, sizeBytes });
      }
      this.#packs[kind].set(packId, await this.#surveyPack(versions));
    }
    const found = this.#packs[kind].get(packId);
    if (found) return found;
    const reason = 'no object of the pack can be read';
    throw new VbsError('DATA_CORRUPT', { object: `${folder}${packId}`, offsetBytes: 0, reason });
  }

  /** The version with the most slots: what one has, all larger ones had, and only a repair ever adds one again. */
  async #surveyPack(versions: readonly StoredVersion[]): Promise<SurveyedPack | undefined> {
    const entries: PackEntry[] = [];
    const bySize = [...versions].sort((a, b) => b.sizeBytes - a.sizeBytes);
    for (const version of bySize) {
      const index = await this.#tryIndex(version);
      if (index) entries.push(this.#describe(index));
    }
    entries.sort((a, b) => b.pack.presentCount - a.pack.presentCount);
    for (const entry of entries) {
      if (!(await this.#isDurable(entry.pack))) continue;
      await this.#enter(entry);
      return entry.pack;
    }
    return undefined;
  }

  /** Whoever stored it may have died when it was to be seen and not yet sure to stay. */
  async #isDurable(pack: SurveyedPack): Promise<boolean> {
    const object = packObjectName(this.#project.projectId, pack);
    try {
      await this.#repository.store.ensureDurable(object, this.#signal);
      return true;
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      this.unreadable.push({ object, reason: error instanceof Error ? error.message : String(error) });
      return false;
    }
  }

  async #tryIndex(version: StoredVersion): Promise<PackIndex | undefined> {
    const { store } = this.#repository;
    const object = packObjectName(this.#project.projectId, version);
    try {
      // Not through the cache: each is needed once, and there may be more than it holds.
      return await readTwice(() => readPackIndex(store, this.#project.keys, this.#project, version));
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      this.unreadable.push({ object, reason: error instanceof Error ? error.message : String(error) });
      return undefined;
    }
  }

  #describe(index: PackIndex): PackEntry {
    const { location, slotCount, storedBytes } = index;
    const slots = makeBitmap(slotCount);
    const hooks: Hook[] = [];
    let presentCount = 0;
    index.forEachDigest((slot, digests, offset) => {
      setBit(slots, slot);
      presentCount += 1;
      if (location.kind === 'data' && isHook(digests, offset)) {
        hooks.push(hookText(deriveHook(this.#project.hookKey, digests, offset)));
      }
    });
    return { pack: { ...location, slotCount, presentCount, storedBytes, slots }, hooks };
  }
}

/** Pages from the objects that a survey chose. */
export class SurveyedPackAccess extends PackAccess {
  readonly #survey: PackSurvey;

  constructor(repository: Repository, project: OpenProject, survey: PackSurvey) {
    super(repository, project);
    this.#survey = survey;
  }

  protected override async locate(packIds: readonly PackId[]): Promise<readonly PackUse[]> {
    const found = await Promise.all(packIds.map((packId) => this.#survey.locate('page', packId)));
    return found.map(({ packId, kind, objectId }) => ({ packId, kind, objectId, condemned: null, bad: null }));
  }
}
