// Verifying, checking and repairing: what a user may ask of one backup, and an administrator of a project's repository.
import type { Foreground } from '../core/background-pace.ts';
import { VbsError } from '../core/errors.ts';
import { type BackupId, type JobId, newUuid, type ProjectId } from '../core/ids.ts';
import type { RootBackup, VerificationState } from '../core/ledger.ts';
import type { Job } from '../core/model.ts';
import type { Clock } from '../core/ports.ts';
import type { Catalog } from '../db/catalog.ts';
import type { CheckReport } from '../engine/verify/check-project.ts';
import type { RepairReport } from '../engine/verify/repair-project.ts';
import { authorize, type Caller } from './caller.ts';
import type { MaintenanceOperation, MaintenanceRun, MaintenanceRuns } from './maintenance-runs.ts';
import { requireBackup } from './subjects.ts';

export type VerifyServiceDeps = {
  readonly catalog: Catalog;
  readonly runs: MaintenanceRuns;
  readonly clock: Clock;
  readonly wakeJobs: () => void;
  /** Checks and repairs that were asked for are counted there. */
  readonly foreground: Foreground;
  readonly check: (projectId: ProjectId, readShare: number, signal: AbortSignal) => Promise<CheckReport>;
  readonly repair: (projectId: ProjectId, signal: AbortSignal) => Promise<RepairReport>;
};

export type ProjectHealth = VerificationState & {
  readonly damagedBackups: readonly (Pick<RootBackup, 'backupId' | 'volumeId'> & { readonly reason: string })[];
};

export class VerifyService {
  readonly #deps: VerifyServiceDeps;

  constructor(deps: VerifyServiceDeps) {
    this.#deps = deps;
  }

  /** Begins a job that reads all of a backup. @throws BACKUP_NOT_FOUND, BACKUP_NOT_AVAILABLE */
  async startVerify(caller: Caller, projectId: ProjectId, backupId: BackupId): Promise<Job> {
    authorize(caller, projectId, 'member');
    const { catalog, clock, wakeJobs } = this.#deps;
    const job = await catalog.transact(projectId, async (records) => {
      const { status, volumeId, attemptId } = await requireBackup(records, projectId, backupId);
      // Also one that could not be restored: it may have been repaired since.
      const isReadable = attemptId !== null && ['available', 'restoring', 'error_restoring', 'error'].includes(status);
      if (!isReadable) throw new VbsError('BACKUP_NOT_AVAILABLE', { backupId, status });
      const open = await records.jobs.findOpen({ projectId, backupId, kinds: ['verify'] });
      if (open !== undefined) return open;
      const jobId = newUuid<JobId>();
      const subject = { jobId, projectId, backupId, volumeId, requestId: caller.requestId };
      await records.jobs.insert({ ...subject, kind: 'verify', createdAt: clock.now() });
      return await records.jobs.get(projectId, jobId);
    });
    if (job === undefined) throw new VbsError('INTERNAL');
    wakeJobs();
    return job;
  }

  /** Begins a check of the project in the background. `readShare`: part of the data that is read, 0 to 1. */
  startCheck(caller: Caller, projectId: ProjectId, readShare: number): MaintenanceRun {
    authorize(caller, projectId, 'admin');
    return this.#begin(projectId, 'check', (signal) => this.#deps.check(projectId, readShare, signal));
  }

  /** Begins to repair what is known to be damaged. @throws MAINTENANCE_RUNNING */
  startRepair(caller: Caller, projectId: ProjectId): MaintenanceRun {
    authorize(caller, projectId, 'admin');
    return this.#begin(projectId, 'repair', (signal) => this.#deps.repair(projectId, signal));
  }

  #begin(
    projectId: ProjectId,
    operation: MaintenanceOperation,
    work: (signal: AbortSignal) => Promise<unknown>,
  ): MaintenanceRun {
    const { runs, foreground } = this.#deps;
    return runs.begin(projectId, operation, async (signal) => {
      using _counted = foreground.enter();
      return await work(signal);
    });
  }

  /** How far verification has come, and what is known to be damaged. */
  async health(caller: Caller, projectId: ProjectId): Promise<ProjectHealth> {
    authorize(caller, projectId, 'reader');
    const { ledger } = this.#deps.catalog;
    const damaged = await ledger.listDamagedBackups(projectId);
    return { ...(await ledger.readVerification(projectId)), damagedBackups: damaged };
  }
}
