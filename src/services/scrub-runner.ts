// Scrub in the background: reads a little of every project each round, what waits longest first, so that all of the
// repository is read within a promised number of days and damage is found before somebody needs what is damaged. What
// is found damaged is repaired at once where that can be done.
import { BackgroundPace, type Foreground } from '../core/background-pace.ts';
import type { ProjectId } from '../core/ids.ts';
import type { VerificationState, VerifyLedger } from '../core/ledger.ts';
import { BACKGROUND_MIN_BYTES_PER_SECOND, SCRUB_ROUND_MS, SCRUB_YIELD_SHARE } from '../core/limits.ts';
import type { Clock, Logger } from '../core/ports.ts';
import type { RepairReport } from '../engine/verify/repair-project.ts';
import type { ScrubOptions, ScrubReport } from '../engine/verify/scrub-project.ts';
import type { MaintenanceRuns } from './maintenance-runs.ts';

export type ScrubPace = {
  /** Days within which everything is read. 0: only when asked. */
  readonly days: number;
  /** Bytes a day at most, whatever was promised; 0: no limit. */
  readonly maxBytesPerDay: number;
};

export type ScrubRunnerDeps = {
  readonly scrub: (projectId: ProjectId, options: ScrubOptions, signal: AbortSignal) => Promise<ScrubReport>;
  readonly repair: (projectId: ProjectId, signal: AbortSignal) => Promise<RepairReport>;
  readonly ledger: Pick<VerifyLedger, 'readVerification'> & {
    listDamagedPacks(projectId: ProjectId): Promise<readonly string[]>;
  };
  readonly listProjects: () => Promise<readonly ProjectId[]>;
  readonly runs: MaintenanceRuns;
  /** Scrubs give way to it. */
  readonly foreground: Foreground;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly pace: ScrubPace;
};

type Due = { readonly projectId: ProjectId; readonly maxBytes: number };

const DAY_MS = 24 * 3600 * 1000;

/**
 * Bytes that one round may read, so that `totalBytes` are read in the days promised. `creditBytes` is what earlier
 * rounds had left, negative when they read more: packs are read whole. It never grows beyond two rounds' worth.
 */
export function planRound(totalBytes: number, pace: ScrubPace, creditBytes: number): number {
  if (pace.days === 0) return 0;
  const wantedPerDay = totalBytes / pace.days;
  const perDay = pace.maxBytesPerDay === 0 ? wantedPerDay : Math.min(wantedPerDay, pace.maxBytesPerDay);
  const perRound = (perDay * SCRUB_ROUND_MS) / DAY_MS;
  return Math.min(creditBytes + perRound, 2 * perRound);
}

/**
 * Bytes a second that a round of `roundBytes` goes on with while others work: so much that its waiting alone never
 * keeps what was promised from being held.
 */
export function planLeastSpeed(roundBytes: number): number {
  const waitSeconds = (SCRUB_ROUND_MS / 1000) * SCRUB_YIELD_SHARE;
  return Math.max(BACKGROUND_MIN_BYTES_PER_SECOND, roundBytes / waitSeconds);
}

/** Whether the limit of a day keeps the promise from being held. */
export function breaksPromise({ storedBytes }: VerificationState, { days, maxBytesPerDay }: ScrubPace): boolean {
  return days > 0 && maxBytesPerDay > 0 && storedBytes / days > maxBytesPerDay;
}

export class ScrubRunner {
  readonly #deps: ScrubRunnerDeps;
  readonly #abort = new AbortController();
  readonly #credits = new Map<ProjectId, number>();
  /** Projects with damage that may be mended now. */
  readonly #due = new Set<ProjectId>();
  #timer: NodeJS.Timeout | undefined;
  #work: Promise<void> = Promise.resolve();

  constructor(deps: ScrubRunnerDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#timer = setInterval(() => this.#beginRound(), SCRUB_ROUND_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    clearInterval(this.#timer);
    await this.#work;
  }

  /** Damage was found in the project: it is looked at, and repaired as far as that can be done, at once. */
  noteDamage(projectId: ProjectId): void {
    this.#due.add(projectId);
    this.#inTurn(() => this.#repairDue());
  }

  /** A backup was stored. Nearly always there is nothing to mend with it. */
  async noteNewData(projectId: ProjectId): Promise<void> {
    if (this.#abort.signal.aborted) return;
    try {
      if ((await this.#deps.ledger.listDamagedPacks(projectId)).length > 0) this.noteDamage(projectId);
    } catch (error) {
      this.#deps.logger.warn({ projectId, err: error }, 'it was not looked whether new data can mend damage');
    }
  }

  /** Everything that is due now; for tests. */
  async settle(): Promise<void> {
    await this.#work;
  }

  /** One round over all projects. */
  async runRound(): Promise<void> {
    const { listProjects, ledger, pace, logger, runs } = this.#deps;
    await this.#repairDue();
    if (pace.days === 0) return;
    const due: Due[] = [];
    for (const projectId of await listProjects()) {
      if (this.#abort.signal.aborted) return;
      const state = await ledger.readVerification(projectId);
      if (state.packCount === 0 || runs.isBusy(projectId)) continue;
      if (breaksPromise(state, pace)) {
        logger.warn({ projectId, ...pace, storedBytes: state.storedBytes }, 'the scrub cannot keep its promise');
      }
      due.push({ projectId, maxBytes: planRound(state.storedBytes, pace, this.#credits.get(projectId) ?? 0) });
    }
    const leastBytesPerSecond = planLeastSpeed(due.reduce((total, { maxBytes }) => total + Math.max(0, maxBytes), 0));
    for (const project of due) {
      if (this.#abort.signal.aborted) return;
      if (!runs.isBusy(project.projectId)) await this.#scrub(project, leastBytesPerSecond);
    }
    await this.#repairDue();
  }

  async #scrub({ projectId, maxBytes }: Due, leastBytesPerSecond: number): Promise<void> {
    const { runs, foreground, clock, pace: promise, scrub, logger } = this.#deps;
    // What is young was just read or written: with no more than that the round has nothing to do.
    const beforeAt = clock.now() - (promise.days * DAY_MS) / 2;
    const pace = new BackgroundPace({ foreground, leastBytesPerSecond });
    runs.begin(projectId, 'scrub', (signal) => scrub(projectId, { beforeAt, maxBytes, pace }, signal));
    const run = await runs.settle(projectId);
    // Cut short, also by a run that was asked for: what it had found by then is looked at all the same.
    if (run?.operation !== 'scrub' || run.status !== 'done') return await this.noteNewData(projectId);
    // The cast: it is what `scrub` answered a moment ago.
    const report = run.report as ScrubReport;
    this.#credits.set(projectId, maxBytes - report.readBytes);
    logger.info({ projectId, readBytes: report.readBytes, packCount: report.packCount }, 'scrubbed');
    if (report.damage.length > 0) this.#due.add(projectId);
  }

  /** A project that is being worked on waits for the next round. */
  async #repairDue(): Promise<void> {
    const { runs, repair, logger } = this.#deps;
    for (const projectId of [...this.#due]) {
      if (this.#abort.signal.aborted) return;
      await runs.settle(projectId);
      if (runs.isBusy(projectId)) continue;
      this.#due.delete(projectId);
      runs.begin(projectId, 'repair', (signal) => repair(projectId, signal));
      const run = await runs.settle(projectId);
      if (run?.status === 'failed') this.#due.add(projectId);
      else logger.info({ projectId, report: run?.report }, 'repaired what could be');
    }
  }

  #beginRound(): void {
    this.#inTurn(() => this.runRound());
  }

  /** One thing after the other; what fails is logged and comes again with the next round. */
  #inTurn(work: () => Promise<void>): void {
    this.#work = this.#work.then(async () => {
      if (this.#abort.signal.aborted) return;
      try {
        await work();
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        this.#deps.logger.error({ err: error }, 'a scrub failed; it goes on with the next round');
      }
    });
  }
}
