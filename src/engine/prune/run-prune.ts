// Carries prune out (src/engine/README.md, "Prune"): mark, condemn, sweep, compact, sweep. It may be cut short anywhere
// and run again, any number may run beside each other, and backups and restores go on meanwhile.
import type { Pace } from '../../core/background-pace.ts';
import { isVbsError, VbsError } from '../../core/errors.ts';
import type { PackId, ProjectId } from '../../core/ids.ts';
import type { LivePack, RecordRef } from '../../core/ledger.ts';
import { COMPACT_SHARE, COMPACT_SWEEP_BYTES, CONDEMN_BATCH_COUNT, PRUNE_REPORT_MAX } from '../../core/limits.ts';
import type { ObjectInfo } from '../../storage/object-store.ts';
import type { OpenProject, Repository } from '../repository.ts';
import { sweepTrash } from '../sweep.ts';
import { compactPack } from './compact-pack.ts';
import { type PlannedPack, planCompactions, planPrune } from './prune-plan.ts';
import { RootMarker } from './root-marker.ts';
import { retireIfSpare } from './spare-versions.ts';
import { findUnnamedObjects, type UnnamedObjects } from './unnamed-objects.ts';

export type PruneOptions = {
  /** Only tells what would be done; nothing is changed. */
  readonly isDryRun?: boolean;
  /** Dead part at which a pack is written anew, 0 to 1. */
  readonly compactShare?: number;
  /** False: only packs that are dead as a whole go, which takes no space. */
  readonly compacts?: boolean;
  /** Of a prune in the background: its compactions give way. */
  readonly pace?: Pace | undefined;
};

/** What a prune is doing; each begin of one is logged. */
type PrunePhase = 'sweep' | 'mark' | 'condemn' | 'look' | 'compact' | 'end';

export type PruneProblem = { readonly packId: PackId; readonly code: string; readonly message: string };

export type PruneReport = {
  readonly projectId: ProjectId;
  readonly isDryRun: boolean;
  /** Backups whose chunks stay. */
  rootCount: number;
  /** Records that the catalog does not know; they keep their chunks until adopted or given up. */
  unknownRecords: readonly RecordRef[];
  unnamedObjects: UnnamedObjects;
  livePackCount: number;
  /** Of live packs, before. */
  storedBytes: number;
  /** Chunks and pages found dead now. */
  condemnedCount: number;
  retiredCount: number;
  compactedCount: number;
  /** Stored versions of packs beside the current ones, left by a catalog that was lost; none in a dry run. */
  spareCount: number;
  /** Packs that a job uses, or all while a deletion is under way; the next prune looks again. */
  passedOverCount: number;
  /** Names taken out of the store. */
  sweptCount: number;
  /** Given back; in a dry run what would be, compactions estimated. */
  freedBytes: number;
  /** Dry run: what would be done, by pack. */
  packs: readonly PlannedPack[];
  /** Compactions that failed; their packs are as they were. */
  problems: PruneProblem[];
  /** Nothing is condemned before this instant: the project was adopted. */
  quarantinedUntil: number | undefined;
};

/**
 * Prunes one project.
 * @throws EPOCH_CONFLICT, and PRUNE_BLOCKED when a root cannot be read: nothing is condemned then; STORAGE_IO,
 * STORAGE_FULL, CATALOG_UNAVAILABLE; the signal's reason
 */
export async function runPrune(
  repository: Repository,
  projectId: ProjectId,
  options: PruneOptions,
  signal: AbortSignal,
): Promise<PruneReport> {
  const report = emptyReport(projectId, options.isDryRun ?? false);
  // A project that never stored anything has no keys yet, and pruning must not make them.
  if ((await repository.ledger.readEpoch(projectId)) === undefined) return report;
  const project = await repository.openProject(projectId);
  await repository.checkEpoch(project);
  const run = new PruneRun(repository, project, { compactShare: COMPACT_SHARE, compacts: true, ...options }, signal);
  await run.prune(report);
  return report;
}

function emptyReport(projectId: ProjectId, isDryRun: boolean): PruneReport {
  const counts = { rootCount: 0, livePackCount: 0, storedBytes: 0, condemnedCount: 0, retiredCount: 0 };
  const more = { compactedCount: 0, spareCount: 0, passedOverCount: 0, sweptCount: 0, freedBytes: 0 };
  const unnamedObjects = { count: 0, bytes: 0, names: [] };
  const lists = { unknownRecords: [], unnamedObjects, packs: [], problems: [] };
  return { projectId, isDryRun, ...counts, ...more, ...lists, quarantinedUntil: undefined };
}

type RunOptions = Required<Pick<PruneOptions, 'compactShare' | 'compacts'>> & Pick<PruneOptions, 'pace'>;

class PruneRun {
  readonly #repository: Repository;
  readonly #project: OpenProject;
  readonly #options: RunOptions;
  readonly #signal: AbortSignal;

  constructor(repository: Repository, project: OpenProject, options: RunOptions, signal: AbortSignal) {
    this.#repository = repository;
    this.#project = project;
    this.#options = options;
    this.#signal = signal;
  }

  async prune(report: PruneReport): Promise<void> {
    const { ledger, clock } = this.#repository;
    const { projectId } = this.#project;
    const { isDryRun } = report;
    const untilAt = await ledger.readQuarantine(projectId);
    if (untilAt !== undefined && untilAt > clock.now()) report.quarantinedUntil = untilAt;
    // Records of deleted backups go first: their chunks are then found dead in this very run.
    if (!isDryRun) await this.#sweep(report);
    if (report.quarantinedUntil !== undefined && !isDryRun) return;
    this.#begin('mark');
    const marker = new RootMarker(this.#repository, this.#project, { isDryRun, signal: this.#signal });
    await marker.markAll();
    report.rootCount = marker.markedAttemptIds.size + marker.unknownRecords.length;
    report.unknownRecords = marker.unknownRecords;
    this.#begin('condemn');
    for await (const packs of this.#livePacks()) await this.#condemn(packs, marker, report);
    this.#begin('look');
    const giveUp = (object: ObjectInfo) => this.#retireIfSpare(object, report);
    report.unnamedObjects = await findUnnamedObjects(this.#repository, projectId, this.#signal, giveUp);
    if (isDryRun) return;
    // Whole packs before any compaction: that gives space back and takes none.
    await this.#sweep(report);
    if (!this.#options.compacts) return;
    this.#begin('compact');
    await ledger.dropCompactions(projectId);
    await this.#compactAll(report);
    await this.#sweep(report);
    this.#begin('end');
  }

  #begin(phase: PrunePhase): void {
    this.#repository.logger.debug({ projectId: this.#project.projectId, phase }, 'prune');
  }

  /** Live packs in batches. */
  async *#livePacks(): AsyncGenerator<readonly LivePack[], void> {
    let afterNumber = -1;
    for (;;) {
      this.#signal.throwIfAborted();
      const { ledger } = this.#repository;
      const packs = await ledger.listLivePacks(this.#project.projectId, afterNumber, CONDEMN_BATCH_COUNT);
      const last = packs.at(-1);
      if (!last) return;
      yield packs;
      afterNumber = last.packNumber;
    }
  }

  /** Plans one batch and has it condemned; when new roots have come up, they are marked and it is planned again. */
  async #condemn(packs: readonly LivePack[], marker: RootMarker, report: PruneReport): Promise<void> {
    const { ledger, clock } = this.#repository;
    const { projectId } = this.#project;
    report.livePackCount += packs.length;
    report.storedBytes += packs.reduce((total, pack) => total + pack.storedBytes, 0);
    for (;;) {
      this.#signal.throwIfAborted();
      const markedOf = (packId: PackId) => marker.marks.of(packId);
      const plan = planPrune({ packs, markedOf, compactShare: this.#options.compactShare });
      if (plan.contradicted.length > 0) await this.#checkContradiction(plan.contradicted, marker);
      if (report.isDryRun) return addPlan(report, plan.packs);
      if (plan.packs.length === 0) return;
      if (marker.awaitsDeletion) {
        report.passedOverCount += plan.packs.length;
        return;
      }
      const request = {
        markedAttemptIds: marker.markedAttemptIds,
        packs: plan.packs.map(({ packId, closesWhenUsed }) => ({ packId, closesWhenUsed, marked: markedOf(packId) })),
      };
      const outcome = await ledger.condemnSlots(projectId, request, clock.now());
      if (outcome.status === 'done') {
        report.condemnedCount += outcome.condemnedCount;
        report.retiredCount += outcome.retired.length;
        report.passedOverCount += outcome.passedOver.length;
        report.freedBytes += outcome.retired.reduce((total, pack) => total + pack.storedBytes, 0);
        return;
      }
      if (outcome.status === 'quarantined') {
        report.quarantinedUntil = outcome.untilAt;
        return;
      }
      await marker.markRoots(outcome.roots);
      report.rootCount = marker.markedAttemptIds.size + marker.unknownRecords.length;
    }
  }

  /**
   * A slot that is condemned is marked. That is in order when a backup was deleted after its mark, and another prune
   * condemned what only that one had. When every backup that was marked is still there, a rule was broken.
   * @throws PRUNE_BLOCKED
   */
  async #checkContradiction(packIds: readonly PackId[], marker: RootMarker): Promise<void> {
    const { projectId } = this.#project;
    if (marker.hasStrayMarks) return;
    const roots = new Set((await this.#repository.ledger.listRoots(projectId)).map((root) => root.attemptId));
    if ([...marker.markedAttemptIds].some((attemptId) => !roots.has(attemptId))) return;
    const reason = `a backup refers to chunks of pack ${packIds[0]} that were condemned, or never given`;
    throw new VbsError('PRUNE_BLOCKED', { projectId, reason });
  }

  async #retireIfSpare({ name, sizeBytes }: ObjectInfo, report: PruneReport): Promise<boolean> {
    if (report.isDryRun || report.quarantinedUntil !== undefined) return false;
    const options = { pace: this.#options.pace, signal: this.#signal };
    if (!(await retireIfSpare(this.#repository, this.#project, name, options))) return false;
    report.spareCount += 1;
    report.freedBytes += sizeBytes;
    return true;
  }

  async #compactAll(report: PruneReport): Promise<void> {
    const planned: ReturnType<typeof planCompactions> = [];
    for await (const packs of this.#livePacks()) planned.push(...planCompactions(packs, this.#options.compactShare));
    planned.sort((a, b) => b.freedBytes / b.writtenBytes - a.freedBytes / a.writtenBytes);
    let unsweptBytes = 0;
    for (const { packId } of planned) {
      this.#signal.throwIfAborted();
      const outcome = await this.#tryCompact(packId, report);
      if (outcome === 'full') return;
      unsweptBytes += outcome;
      if (unsweptBytes < COMPACT_SWEEP_BYTES) continue;
      await this.#sweep(report);
      this.#begin('compact');
      unsweptBytes = 0;
    }
  }

  /** Answers the bytes that wait for the sweep. Damage in one pack must not keep the others. */
  async #tryCompact(packId: PackId, report: PruneReport): Promise<number | 'full'> {
    const { pace } = this.#options;
    try {
      const compaction = await compactPack(this.#repository, this.#project, packId, this.#signal, { pace });
      if (compaction.outcome !== 'compacted') return 0;
      report.compactedCount += 1;
      report.freedBytes += compaction.beforeBytes - compaction.afterBytes;
      return compaction.beforeBytes;
    } catch (error) {
      const code = (['DATA_CORRUPT', 'OBJECT_NOT_FOUND', 'STORAGE_FULL'] as const).find((it) => isVbsError(error, it));
      if (code === undefined) throw error;
      this.#repository.logger.error({ err: error, packId }, 'a pack could not be compacted');
      const message = error instanceof Error ? error.message : '';
      if (report.problems.length < PRUNE_REPORT_MAX) report.problems.push({ packId, code, message });
      return code === 'STORAGE_FULL' ? 'full' : 0;
    }
  }

  async #sweep(report: PruneReport): Promise<void> {
    this.#begin('sweep');
    const { deletedCount } = await sweepTrash(this.#repository, this.#project.projectId, this.#signal);
    report.sweptCount += deletedCount;
  }
}

function addPlan(report: PruneReport, packs: readonly PlannedPack[]): void {
  report.packs = [...report.packs, ...packs];
  for (const pack of packs) {
    report.condemnedCount += pack.newlyDeadCount;
    report.freedBytes += pack.freedBytes;
    if (pack.action === 'retire') report.retiredCount += 1;
    if (pack.action === 'compact') report.compactedCount += 1;
    if (pack.action === 'pass-over') report.passedOverCount += 1;
  }
}
