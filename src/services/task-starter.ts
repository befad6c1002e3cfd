// Lets a waiting task of a policy begin: its backup and job are entered in the transaction that turns it to RUNNING.
// What a caller would be refused for ends the task as EXECUTE_FAIL; any other trouble leaves it waiting.
import { randomInt } from 'node:crypto';
import { type ErrorCode, isVbsError, VbsError } from '../core/errors.ts';
import type { Policy, Task } from '../core/model.ts';
import type { Clock, Logger } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import { traceJob } from './audit.ts';
import type { BackupService } from './backup-service.ts';

export type TaskStarterDeps = {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly backups: Pick<BackupService, 'enterBackup'>;
  readonly wakeJobs: () => void;
};

/** Refusals of `enterBackup`: nothing was written before they are thrown. */
const REFUSALS: readonly ErrorCode[] = [
  'VOLUME_NOT_FOUND',
  'VOLUME_STATE_FORBIDS_BACKUP',
  'BACKUP_IN_PROGRESS',
  'BACKUPS_PER_VOLUME_EXCEEDED',
  'QUOTA_BACKUPS_EXCEEDED',
  'QUOTA_BACKUP_GIGABYTES_EXCEEDED',
];
const AUTOMATIC_PREFIX = 'autobk_';
/** Four hexadecimal digits. */
const NAME_COUNT = 0x10000;

export class TaskStarter {
  readonly #deps: TaskStarterDeps;

  constructor(deps: TaskStarterDeps) {
    this.#deps = deps;
  }

  /** Does nothing when the task waits no more. */
  async startTask({ projectId, taskId }: Task): Promise<void> {
    const { catalog, clock, logger, wakeJobs } = this.#deps;
    const refusal = await catalog.transact(projectId, async (records): Promise<VbsError | undefined> => {
      const task = await records.tasks.get(projectId, taskId);
      if (task?.status !== 'WAITING') return undefined;
      const policy = await records.policies.get(projectId, task.policyId);
      if (policy === undefined) return undefined;
      try {
        await this.#enter(records, policy, task);
        return undefined;
      } catch (error) {
        if (!isVbsError(error) || !REFUSALS.includes(error.code)) throw error;
        const failure = { errorCode: error.code, message: error.message };
        await records.tasks.end(taskId, { status: 'EXECUTE_FAIL', failure, finishedAt: clock.now() });
        return error;
      }
    });
    if (refusal === undefined) wakeJobs();
    else logger.error({ projectId, taskId, code: refusal.code, reason: refusal.message }, 'a policy task failed');
  }

  async #enter(records: CatalogRecords, policy: Policy, task: Task): Promise<void> {
    const { backups, clock } = this.#deps;
    const { projectId, volumeId, taskId } = task;
    const { userId, policyId } = policy;
    const backupName = drawName(await records.backups.listNames(projectId, volumeId));
    const { job, backup } = await backups.enterBackup(
      records,
      { projectId, userId, policyId },
      {
        volumeId,
        name: backupName,
        description: null,
        tags: policy.tags,
        isIncrementalRequested: true,
        dialect: 'vbs',
      },
    );
    await records.tasks.start(taskId, { backupName, backupId: backup.backupId, jobId: job.jobId }, clock.now());
    await traceJob(records, 'scheduleCreateBackup', { caller: null, job, backup });
  }
}

/** `autobk_` and four digits that no backup of the volume has. */
export function drawName(takenNames: ReadonlySet<string>): string {
  const start = randomInt(NAME_COUNT);
  for (let step = 0; step < NAME_COUNT; step++) {
    const name = `${AUTOMATIC_PREFIX}${((start + step) % NAME_COUNT).toString(16).padStart(4, '0')}`;
    if (!takenNames.has(name)) return name;
  }
  throw new VbsError('BACKUPS_PER_VOLUME_EXCEEDED', { limit: NAME_COUNT });
}
