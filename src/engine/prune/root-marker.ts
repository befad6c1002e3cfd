// Mark: walks every root (src/engine/README.md, "Prune") and notes the slots that it leads to. Pages that roots share
// are walked once. It only ever marks too much, never too little: what cannot be read ends the prune.
import { isVbsError, VbsError } from '../../core/errors.ts';
import type { AttemptId } from '../../core/ids.ts';
import type { RecordRef, RootBackup } from '../../core/ledger.ts';
import { recordOf, recordPrefix } from '../../core/object-names.ts';
import { readPage, readRecord } from '../manifest-objects.ts';
import { PackAccess } from '../pack/pack-access.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { SlotMarks } from './slot-marks.ts';
import { StrayPackAccess } from './stray-pack-access.ts';
import { type ManifestVisitor, walkManifest } from './walk-manifest.ts';

/** Records looked up in the catalog at once. */
const REVIEW_BATCH_COUNT = 1000;

export class RootMarker {
  readonly marks = new SlotMarks();
  /** Roots whose slots are marked. */
  readonly markedAttemptIds = new Set<AttemptId>();
  /** Some marks are of backups that were deleted while they were marked. */
  hasStrayMarks = false;
  /** The record of a root is gone and its deletion not confirmed yet: it is not marked, so nothing can be condemned. */
  awaitsDeletion = false;
  /** Records in the store that the catalog does not know: kept, and told to the operator. */
  readonly unknownRecords: RecordRef[] = [];
  readonly #repository: Repository;
  readonly #project: OpenProject;
  readonly #isDryRun: boolean;
  readonly #signal: AbortSignal;

  constructor(
    repository: Repository,
    project: OpenProject,
    options: { readonly isDryRun: boolean; readonly signal: AbortSignal },
  ) {
    this.#repository = repository;
    this.#project = project;
    this.#isDryRun = options.isDryRun;
    this.#signal = options.signal;
  }

  /** Marks all roots of this moment, those that only the store knows included. @throws PRUNE_BLOCKED, STORAGE_IO */
  async markAll(): Promise<void> {
    const { ledger } = this.#repository;
    const { projectId } = this.#project;
    await this.markRoots(await ledger.listRoots(projectId));
    for await (const records of this.#listRecords()) {
      const { unknown } = await ledger.reviewRecords(projectId, records, { isDryRun: this.#isDryRun });
      for (const record of unknown) {
        this.unknownRecords.push(record);
        await this.#markUnknown(record);
      }
    }
  }

  /** @throws PRUNE_BLOCKED when one of them cannot be read and is a root all the same */
  async markRoots(roots: readonly RootBackup[]): Promise<void> {
    const packs = new PackAccess(this.#repository, this.#project);
    for (const root of roots) {
      if (this.markedAttemptIds.has(root.attemptId)) continue;
      try {
        await this.#mark(root, packs, root.recordSha256);
      } catch (error) {
        if (!isUnreadable(error)) throw error;
        // Deleted while it was read: then nothing of it is needed, and what was marked of it already harms nobody.
        const current = await this.#findRoot(root);
        if (current && !current.isBeingDeleted) throw this.#blocked(root, error);
        this.awaitsDeletion ||= current !== undefined;
        this.hasStrayMarks = true;
        continue;
      }
      this.markedAttemptIds.add(root.attemptId);
    }
  }

  async #markUnknown(record: RecordRef): Promise<void> {
    try {
      await this.#mark(record, new StrayPackAccess(this.#repository, this.#project));
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      const { ledger } = this.#repository;
      const { unknown } = await ledger.reviewRecords(this.#project.projectId, [record], { isDryRun: true });
      if (unknown.length > 0) throw this.#blocked(record, error);
      this.hasStrayMarks = true;
    }
  }

  async #mark(record: RecordRef, packs: PackAccess, sha256?: Uint8Array): Promise<void> {
    const { store } = this.#repository;
    const { topPage } = await readRecord(store, this.#project, record, sha256);
    const { marks } = this;
    // A page is marked after all below it. One that is marked is passed by, so the mark of a walk that was given up
    // half way must not hide slots that another root needs.
    const visitor: ManifestVisitor = {
      enterPage: (address) => !marks.has(address),
      leavePage: (address) => marks.mark(address),
      chunk: (address) => marks.mark(address),
    };
    await walkManifest(topPage, visitor, (address, level) => readPage(store, packs, address, level), this.#signal);
  }

  async #findRoot(root: RootBackup): Promise<RootBackup | undefined> {
    const roots = await this.#repository.ledger.listRoots(this.#project.projectId);
    return roots.find(({ attemptId }) => attemptId === root.attemptId);
  }

  #blocked({ backupId, attemptId }: RecordRef, cause: unknown): VbsError {
    const { projectId } = this.#project;
    const why = cause instanceof Error ? cause.message : String(cause);
    const reason = `record ${backupId}.${attemptId} or a page of it cannot be read: ${why}`;
    return new VbsError('PRUNE_BLOCKED', { projectId, reason }, { cause });
  }

  /** Records in the store, in batches. Names that are no record's are nobody's to judge here. */
  async *#listRecords(): AsyncGenerator<RecordRef[], void> {
    const { projectId } = this.#project;
    let batch: RecordRef[] = [];
    for await (const { name } of this.#repository.store.list(recordPrefix(projectId), this.#signal)) {
      const record = recordOf(projectId, name);
      if (record) batch.push(record);
      if (batch.length < REVIEW_BATCH_COUNT) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }
}

/** The object is there and not what it should be, or not there; a store that fails is another matter. */
export function isUnreadable(error: unknown): boolean {
  const codes = ['DATA_CORRUPT', 'OBJECT_NOT_FOUND', 'REPOSITORY_UNKNOWN_FORMAT'] as const;
  return codes.some((code) => isVbsError(error, code));
}
