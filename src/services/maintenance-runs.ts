// Long work on the repository of one project: prunes, adoptions, checks, repairs and
// scrubs. One at a time for each project; the last one's
// outcome is kept in memory to be asked for. Nothing depends on it: such work may be cut short and begun again.
import { VbsError } from '../core/errors.ts';
import type { ProjectId } from '../core/ids.ts';
import type { Clock, Logger } from '../core/ports.ts';

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

export class MaintenanceRuns {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #abort = new AbortController();
  readonly #last = new Map<ProjectId, MaintenanceRun>();
  readonly #underWay = new Map<ProjectId, Promise<unknown>>();

  constructor(deps: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = deps.clock;
    this.#logger = deps.logger;
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
   * Begins work in the background. Its failure is logged and kept with the run.
   * @throws MAINTENANCE_RUNNING, SHUTTING_DOWN
   */
  begin(
    projectId: ProjectId,
    operation: MaintenanceOperation,
    work: (signal: AbortSignal) => Promise<unknown>,
  ): MaintenanceRun {
    if (this.#abort.signal.aborted) throw new VbsError('SHUTTING_DOWN');
    const running = this.#last.get(projectId);
    if (running && this.isBusy(projectId)) throw new VbsError('MAINTENANCE_RUNNING', { operation: running.operation });
    const begun = { operation, startedAt: this.#clock.now(), endedAt: null, report: null, error: null };
    const run: MaintenanceRun = { ...begun, status: 'running' };
    this.#last.set(projectId, run);
    const ended = this.#carryOut(projectId, run, work).finally(() => this.#underWay.delete(projectId));
    this.#underWay.set(projectId, ended);
    return run;
  }

  /** Waits for what is under way in the project. */
  async settle(projectId: ProjectId): Promise<MaintenanceRun | undefined> {
    await this.#underWay.get(projectId);
    return this.last(projectId);
  }

  /** Ends what is under way at its next safe point, and begins nothing more. */
  async stop(): Promise<void> {
    this.#abort.abort(new VbsError('SHUTTING_DOWN'));
    await Promise.all(this.#underWay.values());
  }

  async #carryOut(
    projectId: ProjectId,
    run: MaintenanceRun,
    work: (signal: AbortSignal) => Promise<unknown>,
  ): Promise<void> {
    const { operation } = run;
    try {
      const report = await work(this.#abort.signal);
      this.#last.set(projectId, { ...run, status: 'done', report, endedAt: this.#clock.now() });
    } catch (error) {
      const { code, message } = error instanceof VbsError ? error : new VbsError('INTERNAL', {}, { cause: error });
      this.#last.set(projectId, { ...run, status: 'failed', error: { code, message }, endedAt: this.#clock.now() });
      if (code !== 'SHUTTING_DOWN') this.#logger.error({ projectId, operation, err: error }, 'maintenance failed');
    }
  }
}
