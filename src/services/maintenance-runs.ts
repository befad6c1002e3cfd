// Long work on the repository of one project: prunes, adoptions, checks, repairs and
// scrubs. One at a time for each project; the last one's
// outcome is kept in memory to be asked for. Nothing depends on it: such work may be cut short and begun again.
import { VbsError } from '../core/errors.ts';
import type { ProjectId } from '../core/ids.ts';
import { type Metrics, noMetrics } from '../core/metrics.ts';
import type { Clock, Logger } from '../core/ports.ts';
import { countWork, NOTHING_COUNTED } from './maintenance-counts.ts';

export type MaintenanceOperation = 'prune' | 'prune-dry-run' | 'adopt' | 'check' | 'repair' | 'scrub';

export type MaintenanceRun = {
  readonly operation: MaintenanceOperation;
  readonly status: 'running' | 'done' | 'failed';
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** What the work answered; null until it is done. */
  readonly report: unknown;
  readonly error: { readonly code: string; readonly message: string } | null;
};

type UnderWay = {
  readonly run: MaintenanceRun;
  readonly abort: AbortController;
  /** Never rejects. */
  readonly ended: Promise<void>;
};

export class MaintenanceRuns {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  readonly #abort = new AbortController();
  readonly #last = new Map<ProjectId, MaintenanceRun>();
  readonly #underWay = new Map<ProjectId, UnderWay>();

  constructor(deps: { readonly clock: Clock; readonly logger: Logger; readonly metrics?: Metrics }) {
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#metrics = deps.metrics ?? noMetrics;
  }

  /** Aborted when the service stops. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The last run of the project, also one that is under way. */
  last(projectId: ProjectId): MaintenanceRun | undefined {
    return this.#last.get(projectId);
  }

  isBusy(projectId: ProjectId): boolean {
    return this.#underWay.has(projectId);
  }

  /**
   * Begins work in the background. Its failure is logged and kept with the run. A scrub that is under way is ended for
   * it: the scrub goes on with its next round, and nobody has to wait for what may give way for long.
   * @throws MAINTENANCE_RUNNING, SHUTTING_DOWN
   */
  begin(
    projectId: ProjectId,
    operation: MaintenanceOperation,
    work: (signal: AbortSignal) => Promise<unknown>,
  ): MaintenanceRun {
    if (this.#abort.signal.aborted) throw new VbsError('SHUTTING_DOWN');
    const earlier = this.#underWay.get(projectId);
    if (earlier) {
      const refused = new VbsError('MAINTENANCE_RUNNING', { operation: earlier.run.operation });
      if (earlier.run.operation !== 'scrub' || operation === 'scrub') throw refused;
      earlier.abort.abort(refused);
    }
    const begun = { operation, startedAt: this.#clock.now(), endedAt: null, report: null, error: null };
    const run: MaintenanceRun = { ...begun, status: 'running' };
    this.#last.set(projectId, run);
    const abort = new AbortController();
    const signal = AbortSignal.any([this.#abort.signal, abort.signal]);
    const ended = this.#carryOut(projectId, run, async () => {
      if (earlier) await earlier.ended;
      signal.throwIfAborted();
      return await work(signal);
    }).finally(() => {
      if (this.#underWay.get(projectId)?.run === run) this.#underWay.delete(projectId);
    });
    this.#underWay.set(projectId, { run, abort, ended });
    return run;
  }

  /** Waits for what is under way in the project. */
  async settle(projectId: ProjectId): Promise<MaintenanceRun | undefined> {
    await this.#underWay.get(projectId)?.ended;
    return this.last(projectId);
  }

  /** Ends what is under way at its next safe point, and begins nothing more. */
  async stop(): Promise<void> {
    this.#abort.abort(new VbsError('SHUTTING_DOWN'));
    await Promise.all([...this.#underWay.values()].map(({ ended }) => ended));
  }

  async #carryOut(projectId: ProjectId, run: MaintenanceRun, work: () => Promise<unknown>): Promise<void> {
    const { operation } = run;
    try {
      const report = await work();
      const endedAt = this.#clock.now();
      this.#note(projectId, run, { ...run, status: 'done', report, endedAt });
      const durationMs = endedAt - run.startedAt;
      this.#metrics.maintained({ operation, isDone: true, durationMs, ...countWork(operation, report) });
    } catch (error) {
      const { code, message } = error instanceof VbsError ? error : new VbsError('INTERNAL', {}, { cause: error });
      const endedAt = this.#clock.now();
      const isLast = this.#note(projectId, run, { ...run, status: 'failed', error: { code, message }, endedAt });
      if (code === 'SHUTTING_DOWN' || !isLast) return;
      this.#logger.error({ projectId, operation, err: error }, 'maintenance failed');
      this.#metrics.failed(code);
      const durationMs = endedAt - run.startedAt;
      this.#metrics.maintained({ operation, isDone: false, durationMs, ...NOTHING_COUNTED });
    }
  }

  /** False when another run has taken its place meanwhile: that one is to be told of. */
  #note(projectId: ProjectId, run: MaintenanceRun, ended: MaintenanceRun): boolean {
    if (this.#last.get(projectId) !== run) return false;
    this.#last.set(projectId, ended);
    return true;
  }
}
