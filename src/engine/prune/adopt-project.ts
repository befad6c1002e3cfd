// Adoption: makes this catalog the one that a project's part of the store belongs to, after the catalog was set back to
// an older state, made anew, or put in another one's place. Every record is read and compared with the trailers of the
// packs it leads to; what only the store knows gets rows. Nothing is deleted, and nothing is condemned for a week.
import { isVbsError, VbsError } from '../../core/errors.ts';
import { type BackupId, type CatalogId, newUuid, type ProjectId } from '../../core/ids.ts';
import type { AdoptedBackup, AdoptedPack, LivePack, PackKind, RecordRef, RootBackup } from '../../core/ledger.ts';
import { ADOPTION_QUARANTINE_MS } from '../../core/limits.ts';
import { packObjectName, recordName, recordOf, recordPrefix } from '../../core/object-names.ts';
import { describeImport, describeRecord } from '../describe-record.ts';
import { applyStoredLabels, type ImportLabel } from '../labels.ts';
import { type OpenedRecord, readRecord } from '../manifest-objects.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { AdoptedPacks, countPresent, listVersions, tryIndex } from './adopted-packs.ts';
import { isUnreadable } from './root-marker.ts';
import { SlotMarks } from './slot-marks.ts';
import { walkManifest } from './walk-manifest.ts';

export type AdoptionReport = {
  readonly projectId: ProjectId;
  /** Backups that the catalog knew, and that are whole. */
  soundCount: number;
  /** Backups that only the store knew, and that are available now. */
  readonly adopted: RecordRef[];
  /** Backups that the catalog knew and that cannot be restored; they are `error` now, and stay until deleted. */
  readonly unreadable: (RecordRef & { readonly reason: string })[];
  /**
   * Records that only the store knows and that could not be adopted. While there are any, a project that belongs to
   * another or newer catalog is not taken over: what they need may be in the trash of this one. They can be given up by
   * name.
   */
  readonly refused: (RecordRef & { readonly reason: string })[];
  /** Packs whose current object was not the one that the catalog knew. */
  repairedCount: number;
  /** Backups of which the catalog did not know all that their labels say. */
  labelCount: number;
  /** False: this catalog goes on writing and deleting nothing in the project; see `refused`. */
  isTakenOver: boolean;
  /** That was reached; 0 when the project was not taken over. */
  epoch: number;
  /** Nothing is condemned before this instant. */
  quarantinedUntil: number;
};

/** Listings of a store that lags behind; each is compared with the one before. */
const LISTING_MAX = 20;
const PACK_BATCH_COUNT = 500;

/** It may be cut short anywhere and run again. @throws PRUNE_BLOCKED when listings never agree; STORAGE_IO */
export async function adoptProject(
  repository: Repository,
  projectId: ProjectId,
  _options: Record<string, never>,
  signal: AbortSignal,
): Promise<AdoptionReport> {
  const project = await repository.adoptKeys(projectId, signal);
  const run = new Adoption(repository, project, signal);
  return await run.adopt();
}

class Adoption {
  readonly #repository: Repository;
  readonly #project: OpenProject;
  readonly #signal: AbortSignal;
  readonly #report: AdoptionReport;
  readonly #seen = new Set<string>();
  readonly #knownIds = new Set<BackupId>();
  /** Names of objects that are sure to stay. */
  readonly #durable = new Set<string>();
  #isSetBack = false;

  constructor(repository: Repository, project: OpenProject, signal: AbortSignal) {
    this.#repository = repository;
    this.#project = project;
    this.#signal = signal;
    const lists = { adopted: [], unreadable: [], refused: [] };
    const { projectId } = project;
    this.#report = {
      projectId,
      soundCount: 0,
      ...lists,
      repairedCount: 0,
      labelCount: 0,
      isTakenOver: false,
      epoch: 0,
      quarantinedUntil: 0,
    };
  }

  async adopt(): Promise<AdoptionReport> {
    const { ledger, clock } = this.#repository;
    const { projectId } = this.#project;
    const untilAt = clock.now() + ADOPTION_QUARANTINE_MS;
    // Before all else: from here on no prune condemns anything that is only about to be known.
    await ledger.quarantine(projectId, untilAt);
    this.#report.quarantinedUntil = untilAt;
    this.#isSetBack = await this.#isConflicting();
    const records = await this.#listUntilStable();
    await this.#repairPacks();
    for (const root of await ledger.listRoots(projectId)) await this.#checkKnown(root);
    await this.#adoptUnknown(records);
    await this.#applyLabels();
    if (this.#isSetBack) {
      await this.#endConflict();
    } else {
      await this.#takeOver();
      await this.#adoptLate();
    }
    return this.#report;
  }

  /** Takes the project over from another or newer catalog, if nothing is lost by that. */
  async #endConflict(): Promise<void> {
    const { refused } = this.#report;
    // What they need may be in the trash here, and goes when sweeps of this catalog run again.
    if (refused.length > 0) return;
    const stored = await this.#repository.readStoredEpoch(this.#project);
    // For a moment it is nobody's: the other catalog writes no more, and this one does not delete yet.
    const closed = { catalogId: newUuid<CatalogId>(), epoch: stored?.epoch ?? 0 };
    await this.#repository.writeEpoch(this.#project, closed);
    await this.#adoptLate();
    if (refused.length === 0) await this.#takeOver();
  }

  async #takeOver(): Promise<void> {
    const stored = await this.#repository.readStoredEpoch(this.#project);
    const taken = await this.#repository.ledger.takeOverEpoch(this.#project.projectId, stored?.epoch ?? 0);
    // From here on sweeps of this catalog may run, and what is in its trash is gone.
    this.#isSetBack = false;
    await this.#repository.writeEpoch(this.#project, taken);
    this.#report.isTakenOver = true;
    this.#report.epoch = taken.epoch;
  }

  /** What other writers had begun before they could see that the epoch is not theirs any more. */
  async #adoptLate(): Promise<void> {
    await this.#adoptUnknown(await this.#listUntilStable());
    await this.#applyLabels();
  }

  async #applyLabels(): Promise<void> {
    const enterImport = (label: ImportLabel) => this.#adoptImport(label);
    this.#report.labelCount += await applyStoredLabels(this.#repository, this.#project, enterImport, this.#signal);
  }

  /** A backup that only its label speaks of: it stands on the record of another one. */
  async #adoptImport({ backupId, imported: { recordBackupId, attemptId, createdAt } }: ImportLabel): Promise<void> {
    if (this.#knownIds.has(backupId)) return;
    this.#knownIds.add(backupId);
    const ref = { backupId, attemptId, recordBackupId };
    const reason = await this.#tryAdopt(ref, (opened) => describeImport(opened, ref, createdAt));
    if (reason === undefined) this.#report.adopted.push({ backupId, attemptId });
    // Nothing of it is lost: its record is kept, or refused, on its own.
    else this.#repository.logger.warn({ backupId, attemptId, reason }, 'an imported backup was not adopted');
  }

  /** The store does not belong to this catalog as it is: until the epoch is taken over, no sweep deletes a thing. */
  async #isConflicting(): Promise<boolean> {
    try {
      await this.#repository.checkEpoch(this.#project);
      return false;
    } catch (error) {
      if (isVbsError(error, 'EPOCH_CONFLICT')) return true;
      throw error;
    }
  }

  /** Names of records, once two listings in a row are equal. */
  async #listUntilStable(): Promise<RecordRef[]> {
    let before: string | undefined;
    for (let i = 0; i < LISTING_MAX; i += 1) {
      const records: RecordRef[] = [];
      const { projectId } = this.#project;
      for await (const { name } of this.#repository.store.list(recordPrefix(projectId), this.#signal)) {
        const record = recordOf(projectId, name);
        if (record) records.push(record);
      }
      const listing = records.map(({ backupId, attemptId }) => `${backupId}.${attemptId}`).join(' ');
      if (listing === before) return records;
      before = listing;
    }
    const reason = `of ${LISTING_MAX} listings no two in a row agree`;
    throw new VbsError('PRUNE_BLOCKED', { projectId: this.#project.projectId, reason });
  }

  /** Compactions that this catalog has forgotten replaced objects that it still thinks are current. */
  async #repairPacks(): Promise<void> {
    const { ledger, store } = this.#repository;
    const { projectId } = this.#project;
    for (let afterNumber = -1; ; ) {
      const packs = await ledger.listLivePacks(projectId, afterNumber, PACK_BATCH_COUNT);
      const last = packs.at(-1);
      if (!last) return;
      for (const pack of packs) {
        this.#signal.throwIfAborted();
        if (await store.head(packObjectName(projectId, pack), this.#signal)) continue;
        if (await this.#repairPack(pack)) this.#report.repairedCount += 1;
      }
      afterNumber = last.packNumber;
    }
  }

  /** Makes the largest version current that is there and is no trash; without one, the largest that is in the trash. */
  async #repairPack(pack: LivePack): Promise<boolean> {
    const { ledger, store } = this.#repository;
    const { projectId } = this.#project;
    const versions = await listVersions(this.#repository, this.#project, pack, this.#signal);
    // A rebuilt catalog knew nothing of the trash here: it may have kept what is in it, and given the other version up.
    for (const fromTrash of this.#isSetBack ? [false, true] : [false]) {
      for (const version of versions) {
        const index = await tryIndex(this.#repository, this.#project, version);
        if (!index) continue;
        await store.ensureDurable(packObjectName(projectId, version), this.#signal);
        const to = { ...version, presentCount: countPresent(index), storedBytes: index.storedBytes };
        if (await ledger.repairPack(projectId, pack.objectId, to, { fromTrash })) return true;
      }
    }
    return false;
  }

  async #checkKnown(root: RootBackup): Promise<void> {
    this.#seen.add(root.attemptId);
    this.#knownIds.add(root.backupId);
    try {
      await this.#survey(root, { sha256: root.recordSha256, isSetBack: false });
      this.#report.soundCount += 1;
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      // Its deletion had begun, and took place in what this catalog has forgotten.
      if (root.isBeingDeleted) return;
      const reason = reasonOf(error);
      await this.#repository.ledger.markUnreadable(this.#project.projectId, root.backupId, reason);
      const { backupId, attemptId } = root;
      this.#report.unreadable.push({ backupId, attemptId, reason });
    }
  }

  async #adoptUnknown(records: readonly RecordRef[]): Promise<void> {
    const { ledger } = this.#repository;
    const { projectId } = this.#project;
    const fresh = records.filter(({ attemptId }) => !this.#seen.has(attemptId));
    const { unknown } = await ledger.reviewRecords(projectId, fresh, { isDryRun: true });
    // What a catalog that was set back takes for unfinished or failed may have been committed since, as this record.
    const uncommitted = this.#isSetBack ? await ledger.findUncommitted(projectId, fresh) : [];
    for (const record of [...unknown, ...uncommitted]) {
      this.#seen.add(record.attemptId);
      const reason = await this.#tryAdopt(record, (opened) => describeRecord(opened, record));
      if (reason !== undefined && uncommitted.includes(record) && (await this.#isCutShort(record))) continue;
      if (reason === undefined) this.#report.adopted.push(record);
      else this.#report.refused.push({ ...record, reason });
    }
  }

  /** A refused record is of an attempt that really was cut short, or made in vain: it is not whole, or not the one. */
  async #isCutShort(record: RecordRef): Promise<boolean> {
    const stillOpen = await this.#repository.ledger.findUncommitted(this.#project.projectId, [record]);
    if (stillOpen.length === 0) return true;
    try {
      await this.#survey(record, { isSetBack: this.#isSetBack });
      return false;
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      return true;
    }
  }

  /** Answers why the record could not be adopted. */
  async #tryAdopt(
    ref: RecordRef,
    describe: (opened: OpenedRecord) => Omit<AdoptedBackup, 'packs'>,
  ): Promise<string | undefined> {
    try {
      const { opened, packs } = await this.#survey(ref, { isSetBack: this.#isSetBack });
      await this.#makeDurable(ref, packs);
      const backup = { ...describe(opened), packs };
      const { ledger, clock } = this.#repository;
      const options = { isSetBack: this.#isSetBack, nowAt: clock.now() };
      return await ledger.adoptBackup(this.#project.projectId, backup, options);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      return reasonOf(error);
    }
  }

  /** Whoever stored it may have died when it was to be seen and not yet sure to stay. */
  async #makeDurable(
    { backupId, recordBackupId = backupId, attemptId }: Parameters<typeof readRecord>[2],
    packs: readonly AdoptedPack[],
  ): Promise<void> {
    const { projectId } = this.#project;
    const names = [
      ...packs.map((pack) => packObjectName(projectId, pack)),
      recordName(projectId, recordBackupId, attemptId),
    ];
    for (const name of names) {
      if (this.#durable.has(name)) continue;
      await this.#repository.store.ensureDurable(name, this.#signal);
      this.#durable.add(name);
    }
  }

  /** Walks a manifest and finds every slot that it leads to in a trailer. @throws DATA_CORRUPT, OBJECT_NOT_FOUND */
  async #survey(
    ref: RecordRef,
    { sha256, isSetBack }: { readonly sha256?: Uint8Array; readonly isSetBack: boolean },
  ): Promise<{ opened: OpenedRecord; packs: AdoptedPack[] }> {
    const opened = await readRecord(this.#repository.store, this.#project, ref, sha256);
    const marks = { data: new SlotMarks(), page: new SlotMarks() };
    const visitor = {
      enterPage: (address: Parameters<SlotMarks['mark']>[0]) => marks.page.mark(address),
      leavePage: () => undefined,
      chunk: (address: Parameters<SlotMarks['mark']>[0]) => marks.data.mark(address),
    };
    const found = (kind: PackKind) =>
      new AdoptedPacks(this.#repository, this.#project, { kind, isSetBack, signal: this.#signal });
    const [chunks, pages] = [found('data'), found('page')];
    await walkManifest(opened.topPage, visitor, (address, level) => pages.readPage(address, level), this.#signal);
    const packs = [...(await this.#findSlots(chunks, marks.data)), ...(await this.#findSlots(pages, marks.page))];
    return { opened, packs };
  }

  async #findSlots(access: AdoptedPacks, marks: SlotMarks): Promise<AdoptedPack[]> {
    const packs: AdoptedPack[] = [];
    for (const [packId, needed] of marks.entries()) {
      this.#signal.throwIfAborted();
      packs.push(await access.find(packId, needed));
    }
    return packs;
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
