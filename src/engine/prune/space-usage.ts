// Who takes how much space: unique and shared bytes of backups and volumes. Walks over all manifests with a few bits a
// chunk: 16.7 million chunks, a TiB, take about 2 MiB a bitmap. Stored bytes of a chunk are an even share of those of
// its pack.
import { isVbsError } from '../../core/errors.ts';
import type { BackupId, PackId, ProjectId, VolumeId } from '../../core/ids.ts';
import type { RootBackup } from '../../core/ledger.ts';
import { CONDEMN_BATCH_COUNT } from '../../core/limits.ts';
import type { Address, Page } from '../format/page-format.ts';
import { type OpenedRecord, readPage, readRecord } from '../manifest-objects.ts';
import { PackAccess } from '../pack/pack-access.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { SlotMarks } from './slot-marks.ts';
import { walkManifest } from './walk-manifest.ts';

export type Usage = {
  /** Bytes of the disks as they were. */
  readonly logicalBytes: number;
  /** Stored bytes that nothing else refers to: what deleting it would give back. */
  readonly uniqueBytes: number;
  /** Stored bytes that others of the project refer to too. */
  readonly sharedBytes: number;
};

export type BackupUsage = Usage & { readonly backupId: BackupId; readonly volumeId: VolumeId };
export type VolumeUsage = Usage & { readonly volumeId: VolumeId; readonly backupCount: number };

export type ProjectUsage = {
  readonly projectId: ProjectId;
  readonly logicalBytes: number;
  /** Of all live packs, as they lie in the store. */
  readonly storedBytes: number;
  /** Of them, what no backup refers to: prune gives it back once enough of a pack is dead. */
  readonly deadBytes: number;
  readonly backups: readonly BackupUsage[];
  readonly volumes: readonly VolumeUsage[];
  /** Backups that cannot be read, and are not counted. */
  readonly unreadable: readonly BackupId[];
};

/** Stored bytes of one slot. */
type Weights = ReadonlyMap<PackId, number>;
type Opened = { readonly root: RootBackup; readonly record: OpenedRecord };

/** @throws STORAGE_IO, the signal's reason */
export async function measureUsage(
  repository: Repository,
  projectId: ProjectId,
  signal: AbortSignal,
): Promise<ProjectUsage> {
  const nothing = {
    projectId,
    logicalBytes: 0,
    storedBytes: 0,
    deadBytes: 0,
    backups: [],
    volumes: [],
    unreadable: [],
  };
  if ((await repository.ledger.readEpoch(projectId)) === undefined) return nothing;
  const project = await repository.openProject(projectId);
  return await new UsageSurvey(repository, project, signal).run();
}

class UsageSurvey {
  readonly #repository: Repository;
  readonly #project: OpenProject;
  readonly #signal: AbortSignal;
  readonly #packs: PackAccess;
  readonly #unreadable: BackupId[] = [];

  constructor(repository: Repository, project: OpenProject, signal: AbortSignal) {
    this.#repository = repository;
    this.#project = project;
    this.#signal = signal;
    this.#packs = new PackAccess(repository, project);
  }

  async run(): Promise<ProjectUsage> {
    const { projectId } = this.#project;
    const { weights, storedBytes } = await this.#weigh();
    const byVolume = new Map<VolumeId, Opened[]>();
    for (const root of await this.#repository.ledger.listRoots(projectId)) {
      const record = await this.#tryOpen(root);
      if (!record) continue;
      const opened = byVolume.get(root.volumeId) ?? [];
      byVolume.set(root.volumeId, [...opened, { root, record }]);
    }
    const groups = [...byVolume.values()];
    // First between volumes, then within each: a slot that two backups have is shared, whoever they are.
    const acrossVolumes = await this.#findShared(groups);
    const acrossBackups = await this.#findShared(groups.flat().map((opened) => [opened]));
    const volumes: VolumeUsage[] = [];
    const backups: BackupUsage[] = [];
    let reachedBytes = 0;
    const counted = new SlotMarks();
    for (const [volumeId, group] of byVolume) {
      const usage = await this.#measure(group, acrossVolumes, weights);
      volumes.push({ volumeId, backupCount: group.length, ...usage });
      for (const opened of group) {
        const { backupId } = opened.root;
        backups.push({ backupId, volumeId, ...(await this.#measure([opened], acrossBackups, weights)) });
      }
      reachedBytes += await this.#countOnce(group, counted, weights);
    }
    const logicalBytes = backups.reduce((total, backup) => total + backup.logicalBytes, 0);
    const deadBytes = Math.max(0, Math.round(storedBytes - reachedBytes));
    return { projectId, logicalBytes, storedBytes, deadBytes, backups, volumes, unreadable: this.#unreadable };
  }

  async #weigh(): Promise<{ weights: Weights; storedBytes: number }> {
    const weights = new Map<PackId, number>();
    let storedBytes = 0;
    for (let afterNumber = -1; ; ) {
      const { ledger } = this.#repository;
      const packs = await ledger.listLivePacks(this.#project.projectId, afterNumber, CONDEMN_BATCH_COUNT);
      const last = packs.at(-1);
      if (!last) return { weights, storedBytes };
      for (const pack of packs) {
        storedBytes += pack.storedBytes;
        weights.set(pack.packId, pack.storedBytes / Math.max(1, pack.slotCount - pack.droppedCount));
      }
      afterNumber = last.packNumber;
    }
  }

  async #tryOpen(root: RootBackup): Promise<OpenedRecord | undefined> {
    try {
      return await readRecord(this.#repository.store, this.#project, root, root.recordSha256);
    } catch (error) {
      if (!isVbsError(error, 'DATA_CORRUPT') && !isVbsError(error, 'OBJECT_NOT_FOUND')) throw error;
      this.#unreadable.push(root.backupId);
      return undefined;
    }
  }

  /** Slots, of chunks and of pages, that more than one of the groups refers to. */
  async #findShared(groups: readonly (readonly Opened[])[]): Promise<SlotMarks> {
    const seen = new SlotMarks();
    const shared = new SlotMarks();
    for (const group of groups) {
      const own = new SlotMarks();
      const note = (address: Address): boolean => {
        if (!own.mark(address)) return false;
        if (!seen.mark(address)) shared.mark(address);
        return true;
      };
      // Below a page that is shared already everything is.
      const enterPage = (address: Address): boolean => !shared.has(address) && note(address);
      for (const { record } of group) await this.#walk(record.topPage, { enterPage, chunk: note });
    }
    return shared;
  }

  /** Bytes of the slots that a group refers to, each counted once. */
  async #measure(group: readonly Opened[], shared: SlotMarks, weights: Weights): Promise<Usage> {
    const own = new SlotMarks();
    let uniqueBytes = 0;
    let sharedBytes = 0;
    const count = (address: Address): boolean => {
      if (!own.mark(address)) return false;
      const bytes = weights.get(address.packId) ?? 0;
      if (shared.has(address)) sharedBytes += bytes;
      else uniqueBytes += bytes;
      return true;
    };
    for (const { record } of group) await this.#walk(record.topPage, { enterPage: count, chunk: count });
    const logicalBytes = group.reduce((total, { record }) => total + record.record.sizeBytes, 0);
    return { logicalBytes, uniqueBytes: Math.round(uniqueBytes), sharedBytes: Math.round(sharedBytes) };
  }

  /** Bytes of the slots that were not counted before. */
  async #countOnce(group: readonly Opened[], counted: SlotMarks, weights: Weights): Promise<number> {
    let bytes = 0;
    const count = (address: Address): boolean => {
      if (!counted.mark(address)) return false;
      bytes += weights.get(address.packId) ?? 0;
      return true;
    };
    for (const { record } of group) await this.#walk(record.topPage, { enterPage: count, chunk: count });
    return bytes;
  }

  async #walk(
    topPage: Page,
    visit: { enterPage: (address: Address) => boolean; chunk: (address: Address) => unknown },
  ): Promise<void> {
    const { store } = this.#repository;
    const visitor = { ...visit, leavePage: () => undefined };
    const load = (address: Address, level: number) => readPage(store, this.#packs, address, level);
    await walkManifest(topPage, visitor, load, this.#signal);
  }
}
