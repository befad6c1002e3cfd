// What is known from outside: what each attempt read from its disk, which attempts were ever committed, and what their
// records lead to. The checks compare the store and the catalog with it, so nothing here comes from the code that they
// check but the reading of formats.
import { hash } from 'node:crypto';
import { VbsError } from '../../src/core/errors.ts';
import type { AttemptId, BackupId, ObjectId, PackId, ProjectId } from '../../src/core/ids.ts';
import type { PackLocation, PackUse } from '../../src/core/ledger.ts';
import { CHUNK_SIZE_BYTES, PAGE_ENTRY_COUNT } from '../../src/core/limits.ts';
import { packObjectName, recordName } from '../../src/core/object-names.ts';
import { addressAt } from '../../src/engine/format/page-format.ts';
import { ManifestReader } from '../../src/engine/manifest-reader.ts';
import { type PackIndex, readPackIndex } from '../../src/engine/pack/pack-index.ts';
import { collectUnsealed } from '../../src/engine/pipeline/segment-work.ts';
import type { Repository } from '../../src/engine/repository.ts';
import { CHUNK_PLACES, type Contents, contentDigests } from './model-disks.ts';
import type { ModelStore } from './model-store.ts';

export type Slot = { readonly kind: 'data' | 'page'; readonly packId: PackId; readonly slot: number };

export type Attempt = {
  readonly backupId: BackupId;
  readonly attemptId: AttemptId;
  readonly recordName: string;
  readonly contents: Contents;
  /** In some catalog, at some time. */
  isCommitted: boolean;
  /** Its record was stored while everything that it leads to was there, and before it was in any trash. */
  isWhole: boolean;
  /** What its record leads to, once that is known. */
  slots: readonly Slot[] | undefined;
};

/** One stored version of a pack, opened and checked as a whole. */
export type StoredPack = PackLocation & {
  readonly objectName: string;
  /** Undefined when it cannot be opened: it holds nothing then. */
  readonly index: PackIndex | undefined;
};

/** What is wrong with the world. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

const PACK_NAME = /^projects\/[^/]+\/(packs|pages)\/[^/]+\/([^./]+)\.([^./]+)$/;
const RECORD_NAME = /^projects\/[^/]+\/backups\/([^./]+)\.([^./]+)$/;

export function isRecord(objectName: string): boolean {
  return RECORD_NAME.test(objectName);
}

export class Truth {
  readonly projectId: ProjectId;
  readonly #store: ModelStore;
  /** By name of the record. */
  readonly attempts = new Map<string, Attempt>();
  /** Backups that somebody asked to delete. */
  readonly deleted = new Set<BackupId>();
  readonly #packs = new Map<PackId, Map<string, StoredPack>>();
  readonly #uninspected = new Set<string>();
  readonly #unfollowed = new Set<Attempt>();
  readonly #opened = new Map<string, StoredPack>();

  constructor(deps: { readonly projectId: ProjectId; readonly store: ModelStore }) {
    this.projectId = deps.projectId;
    this.#store = deps.store;
  }

  noteAttempt(ids: { backupId: BackupId; attemptId: AttemptId }, contents: Contents): void {
    const name = recordName(this.projectId, ids.backupId, ids.attemptId);
    this.attempts.set(name, {
      ...ids,
      recordName: name,
      contents,
      isCommitted: false,
      isWhole: false,
      slots: undefined,
    });
  }

  contentsOf(backupId: BackupId): Contents[] {
    return [...this.attempts.values()]
      .filter((attempt) => attempt.backupId === backupId && attempt.isCommitted)
      .map((attempt) => attempt.contents);
  }

  stored(name: string): void {
    if (PACK_NAME.test(name)) this.#uninspected.add(name);
    const attempt = this.attempts.get(name);
    if (attempt && !attempt.slots) this.#unfollowed.add(attempt);
  }

  removed(name: string): void {
    this.#uninspected.delete(name);
    const [, , packId] = PACK_NAME.exec(name) ?? [];
    // The cast: the name was made from a typed id.
    if (packId !== undefined) this.#packs.get(packId as PackId)?.delete(name);
  }

  /** Opens what came to the store since the last call. */
  async inspect(auditor: Repository): Promise<void> {
    if (this.#uninspected.size === 0) return;
    const project = await auditor.openProject(this.projectId);
    for (const name of [...this.#uninspected]) {
      this.#uninspected.delete(name);
      const [, folder, packId, objectId] = PACK_NAME.exec(name) ?? [];
      // The casts: the name was made from typed ids.
      const ids = { packId: packId as PackId, objectId: objectId as ObjectId };
      const location: PackLocation = { ...ids, kind: folder === 'packs' ? 'data' : 'page' };
      // A power loss may bring back what had been there: it is not opened twice. It may cut it short too.
      const version = `${name} ${this.#store.bytesOf(name)?.length}`;
      const pack = this.#opened.get(version) ?? {
        ...location,
        objectName: name,
        // Not from memory: there it may be as it was before it was cut short.
        index: await this.#open(auditor, () => readPackIndex(auditor.store, project.keys, project, location)),
      };
      if (pack.index) this.#opened.set(version, pack);
      const versions = this.#packs.get(location.packId) ?? new Map<string, StoredPack>();
      this.#packs.set(location.packId, versions.set(name, pack));
    }
  }

  /** Follows records that came to the store since the last call, as far as they lead anywhere. */
  async followNew(auditor: Repository, isTrashed: (objectName: string) => boolean): Promise<void> {
    for (const attempt of this.#unfollowed) {
      this.#unfollowed.delete(attempt);
      const bytes = this.#store.bytesOf(attempt.recordName);
      if (!bytes) continue;
      try {
        await this.follow(auditor, attempt, hash('sha256', bytes, 'buffer'));
        attempt.isWhole = !isTrashed(attempt.recordName);
      } catch (error) {
        // What a zombie writes, and what comes late, may lead to nothing: no catalog names it.
        if (!(error instanceof Violation)) throw error;
      }
    }
  }

  /** Every version of a pack that is stored, the largest first. */
  versionsOf(packId: PackId): StoredPack[] {
    return [...(this.#packs.get(packId)?.values() ?? [])].sort(
      (a, b) => (b.index?.storedBytes ?? 0) - (a.index?.storedBytes ?? 0),
    );
  }

  versionNamed(pack: PackLocation): StoredPack | undefined {
    return this.#packs.get(pack.packId)?.get(packObjectName(this.projectId, pack));
  }

  /** It was cut short by a power loss: nobody can open it. */
  isCutShort(name: string): boolean {
    const [, , packId] = PACK_NAME.exec(name) ?? [];
    // The cast: the name was made from a typed id.
    const pack = packId === undefined ? undefined : this.#packs.get(packId as PackId)?.get(name);
    return pack !== undefined && !pack.index;
  }

  /** Rows of packs made up from what is stored: the ledger of somebody who has lost the catalog. */
  locate(packIds: readonly PackId[]): PackUse[] {
    return packIds.flatMap((packId) => {
      const [largest] = this.versionsOf(packId).filter((version) => version.index);
      return largest ? [{ packId, kind: largest.kind, objectId: largest.objectId, condemned: null, bad: null }] : [];
    });
  }

  /** Follows the record of an attempt to all of its slots, and compares them with what was read from the disk. */
  async follow(auditor: Repository, attempt: Attempt, recordSha256: Uint8Array): Promise<void> {
    const { projectId } = this;
    const { backupId, attemptId, recordName: name } = attempt;
    const project = await auditor.openProject(projectId);
    const committed = { projectId, backupId, recordBackupId: backupId, attemptId, recordSha256 };
    const manifest = await ManifestReader.open(auditor, project, committed).catch((error: unknown) => {
      throw new Violation(`the record ${name} of a committed backup cannot be read: ${describe(error)}`);
    });
    const slots: Slot[] = [];
    for (let pageIndex = 0; pageIndex < manifest.pageCount; pageIndex += 1) {
      const address = await manifest.pageAddress(0, pageIndex);
      if (address) slots.push({ kind: 'page', ...address });
      const page = await manifest.pageAt(0, pageIndex).catch((error: unknown) => {
        throw new Violation(`page ${pageIndex} of backup ${backupId} cannot be read: ${describe(error)}`);
      });
      for (const place of CHUNK_PLACES) {
        if (Math.floor(place / PAGE_ENTRY_COUNT) !== pageIndex) continue;
        const chunk = page && addressAt(page, place % PAGE_ENTRY_COUNT);
        const expected = attempt.contents.get(place);
        if (!chunk !== (expected === undefined)) {
          throw new Violation(`backup ${backupId} has ${chunk ? 'data' : 'zeros'} at ${place * CHUNK_SIZE_BYTES}`);
        }
        if (!chunk || expected === undefined) continue;
        const index = await manifest.indexOf(chunk.packId).catch((error: unknown) => {
          throw new Violation(`pack ${chunk.packId} of backup ${backupId} cannot be opened: ${describe(error)}`);
        });
        if (!index.hasSlot(chunk.slot) || index.digestOf(chunk.slot).toString('hex') !== contentDigests[expected]) {
          throw new Violation(`backup ${backupId} has other data than its disk at ${place * CHUNK_SIZE_BYTES}`);
        }
        slots.push({ kind: 'data', ...chunk });
      }
    }
    attempt.slots = slots;
  }

  /** The first slot of the attempt that no stored version of its pack has. */
  findLost(attempt: Attempt): Slot | undefined {
    return attempt.slots?.find(
      ({ packId, slot }) => !this.versionsOf(packId).some((version) => version.index?.hasSlot(slot)),
    );
  }

  hasRecord(attempt: Attempt): boolean {
    return this.#store.has(attempt.recordName);
  }

  async #open(auditor: Repository, load: () => Promise<PackIndex>): Promise<PackIndex | undefined> {
    try {
      const index = await load();
      if (index.location.kind === 'data') await this.#checkFrames(auditor, index);
      return index;
    } catch (error) {
      if (error instanceof VbsError && (error.code === 'DATA_CORRUPT' || error.code === 'OBJECT_NOT_FOUND')) return;
      throw error;
    }
  }

  /** Every chunk opens and has its digest. @throws DATA_CORRUPT */
  async #checkFrames(auditor: Repository, index: PackIndex): Promise<void> {
    const bytes = await auditor.store.get(index.objectName, Number.MAX_SAFE_INTEGER);
    const { objectName, header, key } = index;
    const frames = index.frames.map((entry) => ({
      entry,
      slots: Array.from({ length: 16 }, (_, bit) => bit)
        .filter((bit) => (entry.mask & (1 << bit)) !== 0)
        .map((bit) => ({ bit, digest: index.digestOf(entry.firstSlot + bit), offsets: [0] })),
    }));
    collectUnsealed({ type: 'unseal', deviceId: undefined, objectName, header, key, bytes, bytesOffset: 0, frames });
  }
}

export function describe(error: unknown): string {
  return error instanceof VbsError ? `${error.code} ${JSON.stringify(error.details)}` : String(error);
}
