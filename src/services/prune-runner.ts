// Prunes in the background: projects in which something was deleted, at the interval that is set, and at once when the
// disk runs full. What a process that stopped had not done yet is found by the first round of the next one.
import type { Pace } from '../core/background-pace.ts';
import { isVbsError } from '../core/errors.ts';
import type { ProjectId } from '../core/ids.ts';
import type { Logger } from '../core/ports.ts';
import type { PruneOptions, PruneReport } from '../engine/prune/run-prune.ts';
import type { MaintenanceRuns } from './maintenance-runs.ts';
import type { ReserveFile } from './reserve-file.ts';

export type PruneRunnerDeps = {
  readonly runs: MaintenanceRuns;
  /** The engine's prune of one project. */
  readonly prune: (projectId: ProjectId, options: PruneOptions, signal: AbortSignal) => Promise<PruneReport>;
  readonly listProjects: () => Promise<readonly ProjectId[]>;
  /** Of compactions that nobody asked for. */
  readonly pace?: Pace;
  /** Undefined where the catalog is not on a disk of ours. */
  readonly reserve: ReserveFile | undefined;
  readonly logger: Logger;
  /** 0: only when asked. */
  readonly intervalMs: number;
};

/** How often it looks whether the disk runs full: fast enough for a backup at full speed. */
const DISK_CHECK_MS = 10_000;
/** Time that a start gets before the reserve file is made. */
const RESERVE_DELAY_MS = 60_000;

export class PruneRunner {
  readonly #deps: PruneRunnerDeps;
  readonly #abort = new AbortController();
  /** Projects in which something may be dead that no prune has looked for. */
  readonly #due = new Set<ProjectId>();
  readonly #timers: NodeJS.Timeout[] = [];
  #work: Promise<unknown> = Promise.resolve();
  #hasDiskCheck = false;
  /** The disk runs full: nothing gives way until every project was pruned. */
  #isPressing = false;
  /** The pace that was given, as long as there is time for it. */
  readonly #pace: Pace = {
    take: async (work, signal) => {
      if (!this.#isPressing) await this.#deps.pace?.take(work, signal);
    },
  };

  constructor(deps: PruneRunnerDeps) {
    this.#deps = deps;
  }

  /** Begins rounds. The first one looks at every project. */
  start(): void {
    const { intervalMs, reserve } = this.#deps;
    void this.#inTurn('projects', () => this.#noteAll());
    if (intervalMs > 0) this.#every(intervalMs, () => this.#beginRound());
    if (!reserve) return;
    this.#every(DISK_CHECK_MS, () => this.#checkDisk());
    this.#every(RESERVE_DELAY_MS, () => void this.#inTurn('reserve', () => reserve.ensure(this.#abort.signal)));
  }

  /** Something was deleted in the project: the next round looks for what is dead. */
  noteDeletion(projectId: ProjectId): void {
    this.#due.add(projectId);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    for (const timer of this.#timers) clearInterval(timer);
    await this.#work;
  }

  /** Prunes the projects that are due, one after the other. A project that is being worked on waits for the next. */
  async runRound(): Promise<void> {
    for (const projectId of [...this.#due]) {
      if (this.#abort.signal.aborted) return;
      const { runs, logger } = this.#deps;
      // A full disk does not wait for a scrub, which gives way to others for long.
      const endsScrub = this.#isPressing && runs.last(projectId)?.operation === 'scrub';
      if (runs.isBusy(projectId) && !endsScrub) continue;
      this.#due.delete(projectId);
      runs.begin(projectId, 'prune', (signal) => this.prune(projectId, { pace: this.#pace }, signal));
      const run = await runs.settle(projectId);
      // A store that was away, a backup that is just being deleted: the next round tries again.
      if (run?.status === 'failed') this.#due.add(projectId);
      else logger.info({ projectId, report: summarize(run?.report) }, 'pruned');
    }
  }

  /** One prune. On a full disk the reserve is given up for it, and only whole packs go, which takes no space. */
  async prune(projectId: ProjectId, options: PruneOptions, signal: AbortSignal): Promise<PruneReport> {
    const { prune, reserve, logger } = this.#deps;
    try {
      return await prune(projectId, options, signal);
    } catch (error) {
      const isFull = isVbsError(error, 'STORAGE_FULL') && !options.isDryRun;
      if (!isFull || !(await reserve?.giveUp())) throw error;
      logger.warn({ projectId }, 'the disk is full; the reserve was given up so that prune can make room');
      return await prune(projectId, { ...options, compacts: false }, signal);
    }
  }

  async #noteAll(): Promise<void> {
    for (const projectId of await this.#deps.listProjects()) this.#due.add(projectId);
  }

  #beginRound(): void {
    void this.#inTurn('prune', () => this.runRound());
  }

  /** A full disk: deletions cannot even be entered any more, so nothing would ever ask for a prune. */
  #checkDisk(): void {
    void this.#notePressure();
    if (this.#hasDiskCheck) return;
    this.#hasDiskCheck = true;
    void this.#inTurn('disk', () => this.checkDisk()).finally(() => {
      this.#hasDiskCheck = false;
    });
  }

  /** What is under way has to come to its end before the disk has its turn, so it no longer gives way. */
  async #notePressure(): Promise<void> {
    // A disk that cannot be asked is asked again in turn, where the failure is logged.
    if (await this.#deps.reserve?.isNeeded().catch(() => false)) this.#isPressing = true;
  }

  /** Gives the reserve up when the disk is nearly full, and prunes every project at once. */
  async checkDisk(): Promise<void> {
    const { reserve, logger } = this.#deps;
    try {
      if (!(await reserve?.isNeeded()) || !(await reserve?.giveUp())) return;
      this.#isPressing = true;
      logger.warn({}, 'the disk runs full; the reserve was given up, and every project is pruned');
      await this.#noteAll();
      await this.runRound();
    } finally {
      this.#isPressing = false;
    }
  }

  #every(intervalMs: number, work: () => void): void {
    const timer = setInterval(work, intervalMs);
    timer.unref();
    this.#timers.push(timer);
  }

  /** One thing after the other; what fails is logged and comes again. */
  #inTurn(subject: string, work: () => Promise<void>): Promise<void> {
    const turn = this.#work.then(async () => {
      if (this.#abort.signal.aborted) return;
      try {
        await work();
      } catch (error) {
        this.#deps.logger.error({ subject, err: error }, 'background prune failed; it is tried again');
      }
    });
    this.#work = turn;
    return turn;
  }
}

function summarize(report: unknown): unknown {
  if (typeof report !== 'object' || report === null) return undefined;
  const { packs: _packs, unnamedObjects: _unnamed, ...summary } = report as PruneReport;
  return { ...summary, unknownRecords: summary.unknownRecords.length };
}
