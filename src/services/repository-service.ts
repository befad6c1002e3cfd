// What a project's administrator may do with its part of the repository: prune it, take it over, see what takes space.
import { VbsError } from '../core/errors.ts';
import type { BackupId, ProjectId } from '../core/ids.ts';
import type { RecordRef } from '../core/ledger.ts';
import type { Catalog } from '../db/catalog.ts';
import type { AdoptionReport } from '../engine/prune/adopt-project.ts';
import type { BackupUsage, ProjectUsage, Usage } from '../engine/prune/space-usage.ts';
import { authorize, type Caller } from './caller.ts';
import type { MaintenanceRun, MaintenanceRuns } from './maintenance-runs.ts';
import type { PruneRunner } from './prune-runner.ts';

export type { BackupUsage, Usage };

export type RepositoryServiceDeps = {
  readonly catalog: Catalog;
  readonly runs: MaintenanceRuns;
  readonly pruner: Pick<PruneRunner, 'prune' | 'noteDeletion'>;
  readonly adopt: (projectId: ProjectId, signal: AbortSignal) => Promise<AdoptionReport>;
  readonly measure: (projectId: ProjectId, signal: AbortSignal) => Promise<ProjectUsage>;
};

type Measured = { readonly state: string; readonly usage: Promise<ProjectUsage> };

export class RepositoryService {
  readonly #deps: RepositoryServiceDeps;
  /** Manifests never change, so what was measured holds while backups and packs are the same. */
  readonly #measured = new Map<ProjectId, Measured>();

  constructor(deps: RepositoryServiceDeps) {
    this.#deps = deps;
  }

  /** Begins a prune in the background. @throws MAINTENANCE_RUNNING, ROLE_DENIED, PROJECT_MISMATCH */
  startPrune(caller: Caller, projectId: ProjectId, options: { readonly isDryRun: boolean }): MaintenanceRun {
    authorize(caller, projectId, 'admin');
    const { runs, pruner } = this.#deps;
    const operation = options.isDryRun ? 'prune-dry-run' : 'prune';
    return runs.begin(projectId, operation, (signal) => pruner.prune(projectId, options, signal));
  }

  /** Begins to take the project over: for a catalog that was put back or made anew. @throws as `startPrune` */
  startAdoption(caller: Caller, projectId: ProjectId): MaintenanceRun {
    authorize(caller, projectId, 'admin');
    return this.#deps.runs.begin(projectId, 'adopt', (signal) => this.#deps.adopt(projectId, signal));
  }

  /** The last prune or adoption since the start of the service. */
  lastRun(caller: Caller, projectId: ProjectId): MaintenanceRun | undefined {
    authorize(caller, projectId, 'admin');
    return this.#deps.runs.last(projectId);
  }

  /**
   * Gives up a record that the catalog does not know, for ever: the next prune deletes it and what only it refers to.
   * @throws RECORD_KNOWN
   */
  async giveUpRecord(caller: Caller, projectId: ProjectId, record: RecordRef): Promise<void> {
    authorize(caller, projectId, 'admin');
    if (!(await this.#deps.catalog.ledger.giveUpRecord(projectId, record))) {
      throw new VbsError('RECORD_KNOWN', { record: `${record.backupId}.${record.attemptId}` });
    }
    this.#deps.pruner.noteDeletion(projectId);
  }

  /** Walks all manifests of the project the first time, and whenever backups or packs have changed. */
  async usage(caller: Caller, projectId: ProjectId): Promise<ProjectUsage> {
    authorize(caller, projectId, 'admin');
    return await this.#usage(projectId);
  }

  /** @throws BACKUP_NOT_FOUND also for one that is not committed */
  async backupUsage(caller: Caller, projectId: ProjectId, backupId: BackupId): Promise<BackupUsage> {
    authorize(caller, projectId, 'reader');
    const backup = await this.#deps.catalog.backups.get(projectId, backupId);
    const { backups } = backup === undefined ? { backups: [] } : await this.#usage(projectId);
    const usage = backups.find((found) => found.backupId === backupId);
    if (usage === undefined) throw new VbsError('BACKUP_NOT_FOUND', { backupId });
    return usage;
  }

  async #usage(projectId: ProjectId): Promise<ProjectUsage> {
    const state = await this.#deps.catalog.ledger.readUsageState(projectId);
    const known = this.#measured.get(projectId);
    if (known?.state === state) return await known.usage;
    // Others may wait for it too, so it does not end with the request that began it.
    const usage = this.#deps.measure(projectId, this.#deps.runs.signal);
    const measured = { state, usage };
    this.#measured.set(projectId, measured);
    usage.catch(() => {
      if (this.#measured.get(projectId) === measured) this.#measured.delete(projectId);
    });
    return await usage;
  }
}
