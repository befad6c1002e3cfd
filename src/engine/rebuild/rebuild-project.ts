// Makes the catalog's rows of one project anew from what the store holds (src/engine/README.md, "Rebuilding the
// catalog"). Adoption by other means: it begins with nothing, so it reads each trailer and each page once and enters
// rows in large batches. It may end anywhere and run again; what is entered stays, and is not read again.
import { forEachConcurrently } from '../../core/concurrency.ts';
import { VbsError } from '../../core/errors.ts';
import type { AttemptId, BackupId, ProjectId } from '../../core/ids.ts';
import type { EpochState, Hook, RebuildLedger, RecordRef } from '../../core/ledger.ts';
import { ADOPTION_QUARANTINE_MS, REBUILD_BATCH_COUNT, REBUILD_READ_COUNT } from '../../core/limits.ts';
import { recordName, recordOf, recordPrefix } from '../../core/object-names.ts';
import { type DescribedBackup, describeImport, describeRecord } from '../describe-record.ts';
import { applyStoredLabels, type ImportLabel } from '../labels.ts';
import { readRecord } from '../manifest-objects.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { isUnreadable, readTwice } from '../unreadable.ts';
import { ManifestCheck } from './manifest-check.ts';
import { type PackEntry, PackSurvey, type UnreadablePack } from './pack-survey.ts';
import type { StoredProject } from './stored-project.ts';

export type RebuiltProject = {
  readonly projectId: ProjectId;
  /** Backups that are available now; those that an earlier, cut short run entered included. */
  backupCount: number;
  packCount: number;
  /** Of all packs. */
  storedBytes: number;
  /** Backups of which a label said more than their records, or what was changed after they were made. */
  labelCount: number;
  /** Records that are not whole, or stand beside a newer one of the same backup: roots until they are given up. */
  readonly refused: (RecordRef & { readonly reason: string })[];
  readonly unreadablePacks: readonly UnreadablePack[];
  /** Increments whose parent has no record. That is as it should be where the parent was deleted. */
  missingParents: readonly { readonly backupId: BackupId; readonly parentId: BackupId }[];
  epoch: number;
  /** Nothing is condemned before this instant. */
  readonly quarantinedUntil: number;
};

/** Listings of a store that lags behind; each is compared with the one before. */
const LISTING_MAX = 20;

/**
 * The project's row and keys are in the catalog. It may be cut short anywhere and run again.
 * @throws PRUNE_BLOCKED when listings never agree; STORAGE_IO, CATALOG_UNAVAILABLE, STORAGE_FULL; the signal's reason
 */
export async function rebuildProject(
  repository: Repository,
  ledger: RebuildLedger,
  stored: StoredProject,
  signal: AbortSignal,
): Promise<RebuiltProject> {
  const untilAt = repository.clock.now() + ADOPTION_QUARANTINE_MS;
  await repository.ledger.quarantine(stored.projectId, untilAt);
  const project = await repository.openProject(stored.projectId);
  return await new Rebuild(repository, ledger, project, untilAt, signal).run(stored);
}

class Rebuild {
  readonly #repository: Repository;
  readonly #ledger: RebuildLedger;
  readonly #project: OpenProject;
  readonly #signal: AbortSignal;
  readonly #survey: PackSurvey;
  readonly #check: ManifestCheck;
  readonly #report: RebuiltProject;
  readonly #entered = new Set<AttemptId>();
  readonly #seen = new Set<AttemptId>();
  #packs: PackEntry[] = [];

  constructor(
    repository: Repository,
    ledger: RebuildLedger,
    project: OpenProject,
    untilAt: number,
    signal: AbortSignal,
  ) {
    this.#repository = repository;
    this.#ledger = ledger;
    this.#project = project;
    this.#signal = signal;
    this.#survey = new PackSurvey(repository, project, (entry) => this.#enterPack(entry), signal);
    this.#check = new ManifestCheck(repository, project, this.#survey, signal);
    const counts = { backupCount: 0, packCount: 0, storedBytes: 0, labelCount: 0, epoch: 0 };
    const lists = { refused: [], unreadablePacks: this.#survey.unreadable, missingParents: [] };
    this.#report = { projectId: project.projectId, ...counts, ...lists, quarantinedUntil: untilAt };
  }

  async run(stored: StoredProject): Promise<RebuiltProject> {
    const { projectId } = this.#project;
    for (const { attemptId } of await this.#ledger.listEntered(projectId)) this.#entered.add(attemptId);
    this.#begin('packs');
    await this.#survey.readAll(stored);
    await this.#flushPacks();
    this.#begin('records');
    await this.#adopt(await this.#listUntilStable(stored.records));
    this.#begin('epoch');
    const { epoch } = await this.#takeOver();
    this.#report.epoch = epoch;
    // A service that ran on another catalog may have written, and deleted, until it saw that the epoch is taken.
    const records = await this.#listUntilStable();
    await this.#adopt(records);
    await this.#markGone(records);
    this.#begin('labels');
    const enterImport = (label: ImportLabel) => this.#enterImport(label);
    this.#report.labelCount = await applyStoredLabels(this.#repository, this.#project, enterImport, this.#signal);
    await this.#countBackups();
    return this.#report;
  }

  #begin(phase: 'packs' | 'records' | 'epoch' | 'labels'): void {
    this.#repository.logger.debug({ projectId: this.#project.projectId, phase }, 'rebuild');
  }

  async #enterPack(entry: PackEntry): Promise<void> {
    this.#report.packCount += 1;
    this.#report.storedBytes += entry.pack.storedBytes;
    this.#packs.push(entry);
    if (this.#packs.length >= REBUILD_BATCH_COUNT) await this.#flushPacks();
  }

  /** Packs before their hooks, and both before backups: what a run that was cut short has entered is complete. */
  async #flushPacks(): Promise<void> {
    const batch = this.#packs;
    this.#packs = [];
    if (batch.length === 0) return;
    const { projectId } = this.#project;
    const packs = batch.map(({ pack }) => pack);
    await this.#ledger.enterPacks(projectId, packs);
    const hooks: { hook: Hook; packId: PackEntry['pack']['packId'] }[] = [];
    for (const { pack, hooks: found } of batch) for (const hook of found) hooks.push({ hook, packId: pack.packId });
    await this.#ledger.addHooks(projectId, hooks);
  }

  /** Names of records, once two listings in a row are equal. */
  async #listUntilStable(first?: readonly RecordRef[]): Promise<readonly RecordRef[]> {
    const { projectId } = this.#project;
    let before = first && namesOf(first);
    for (let i = 0; i < LISTING_MAX; i += 1) {
      const records: RecordRef[] = [];
      for await (const { name } of this.#repository.store.list(recordPrefix(projectId), this.#signal)) {
        const record = recordOf(projectId, name);
        if (record) records.push(record);
      }
      const listing = namesOf(records);
      if (listing === before) return records;
      before = listing;
    }
    throw new VbsError('PRUNE_BLOCKED', { projectId, reason: `of ${LISTING_MAX} listings no two in a row agree` });
  }

  async #adopt(records: readonly RecordRef[]): Promise<void> {
    const fresh = records.filter(({ attemptId }) => !this.#entered.has(attemptId) && !this.#seen.has(attemptId));
    for (const { attemptId } of fresh) this.#seen.add(attemptId);
    // Attempts of one backup stand together in a listing, and only the newest of them is the backup.
    const groups = new Map<BackupId, RecordRef[]>();
    for (const record of fresh) {
      const group = groups.get(record.backupId) ?? [];
      group.push(record);
      groups.set(record.backupId, group);
    }
    let checked: DescribedBackup[] = [];
    await forEachConcurrently(groups.values(), REBUILD_READ_COUNT, async (group) => {
      const backup = await this.#checkAttempts(group);
      if (!backup) return;
      checked.push(backup);
      if (checked.length < REBUILD_BATCH_COUNT) return;
      const batch = checked;
      checked = [];
      await this.#enterBackups(batch);
    });
    await this.#enterBackups(checked);
  }

  async #enterBackups(backups: readonly DescribedBackup[]): Promise<void> {
    if (backups.length === 0) return;
    // Packs that turned up after the listing.
    await this.#flushPacks();
    const entered = new Set(await this.#ledger.enterBackups(this.#project.projectId, backups));
    for (const attemptId of entered) this.#entered.add(attemptId);
    for (const { backupId, attemptId } of backups) {
      if (entered.has(attemptId)) continue;
      const reason = 'the catalog has a backup of this id, which another attempt wrote';
      this.#report.refused.push({ backupId, attemptId, reason });
    }
  }

  /** The newest attempt that is whole; the others are refused. */
  async #checkAttempts(group: readonly RecordRef[]): Promise<DescribedBackup | undefined> {
    const whole: DescribedBackup[] = [];
    for (const ref of group) {
      const backup = await this.#tryCheck(ref);
      if (backup) whole.push(backup);
    }
    whole.sort((a, b) => b.dataTimestampAt - a.dataTimestampAt || b.createdAt - a.createdAt);
    for (const { backupId, attemptId } of whole.slice(1)) {
      this.#report.refused.push({ backupId, attemptId, reason: 'there is a newer record of the same backup' });
    }
    return whole[0];
  }

  async #tryCheck(ref: RecordRef): Promise<DescribedBackup | undefined> {
    const { store } = this.#repository;
    try {
      const opened = await readTwice(() => readRecord(store, this.#project, ref));
      await this.#check.check(opened.topPage);
      // As with packs: it may be there and not yet be sure to stay.
      await store.ensureDurable(recordName(this.#project.projectId, ref.backupId, ref.attemptId), this.#signal);
      return describeRecord(opened, ref);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      this.#report.refused.push({ ...ref, reason: reasonOf(error) });
      return undefined;
    }
  }

  /** Its record was checked when it was entered itself; without that there is nothing to stand on. */
  async #enterImport({ backupId, imported }: ImportLabel): Promise<void> {
    const { recordBackupId, attemptId, createdAt } = imported;
    if (!this.#entered.has(attemptId)) return;
    const ref = { backupId, attemptId, recordBackupId };
    const { store } = this.#repository;
    try {
      const opened = await readTwice(() => readRecord(store, this.#project, ref));
      await this.#ledger.enterBackups(this.#project.projectId, [describeImport(opened, ref, createdAt)]);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      this.#report.refused.push({ ...ref, reason: reasonOf(error) });
    }
  }

  async #takeOver(): Promise<EpochState> {
    const { ledger } = this.#repository;
    const stored = await this.#readStoredEpoch();
    const taken = await ledger.takeOverEpoch(this.#project.projectId, stored?.epoch ?? 0);
    await this.#repository.writeEpoch(this.#project, taken);
    return taken;
  }

  /** A damaged one is as good as none: this catalog has an id of its own. */
  async #readStoredEpoch(): Promise<EpochState | undefined> {
    try {
      return await this.#repository.readStoredEpoch(this.#project);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      this.#repository.logger.warn({ err: error }, 'the epoch cannot be read and begins anew');
      return undefined;
    }
  }

  /** Backups whose records went while they were entered. */
  async #markGone(records: readonly RecordRef[]): Promise<void> {
    const there = new Set(records.map(({ attemptId }) => attemptId));
    const { projectId } = this.#project;
    for (const { backupId, attemptId } of await this.#ledger.listEntered(projectId)) {
      if (there.has(attemptId)) continue;
      const reason = 'its record is gone from the repository';
      await this.#repository.ledger.markUnreadable(projectId, backupId, reason);
      this.#entered.delete(attemptId);
      this.#report.refused.push({ backupId, attemptId, reason });
    }
  }

  async #countBackups(): Promise<void> {
    const backups = await this.#ledger.listEntered(this.#project.projectId);
    this.#report.backupCount = backups.filter(({ attemptId }) => this.#entered.has(attemptId)).length;
    const known = new Set(backups.map(({ backupId }) => backupId));
    this.#report.missingParents = backups.flatMap(({ backupId, parentId }) =>
      parentId === null || known.has(parentId) ? [] : [{ backupId, parentId }],
    );
  }
}

function namesOf(records: readonly RecordRef[]): string {
  return records.map(({ backupId, attemptId }) => `${backupId}.${attemptId}`).join(' ');
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
