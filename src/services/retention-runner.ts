// Carries out what retention.ts plans: after each backup that a policy made, and every hour. Each volume is judged and
// its deletions are entered in one transaction, so that nothing can change in between.
import { VbsError } from '../core/errors.ts';
import type { PolicyId, ProjectId, VolumeId } from '../core/ids.ts';
import type { Policy } from '../core/model.ts';
import type { Clock, Logger } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import { traceJob } from './audit.ts';
import { enterDeletion } from './backup-entry.ts';
import { planRetention, type RetentionPlan, type RetentionRules } from './retention.ts';
import { requireBackup } from './subjects.ts';

export type RetentionRunnerDeps = {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly wakeJobs: () => void;
};

type Records = Pick<CatalogRecords, 'backups' | 'tasks'>;

export class RetentionRunner {
  readonly #deps: RetentionRunnerDeps;

  constructor(deps: RetentionRunnerDeps) {
    this.#deps = deps;
  }

  /** All volumes of all policies that are on. What fails is logged and comes again with the next pass. */
  async applyAll(signal?: AbortSignal): Promise<void> {
    const { catalog } = this.#deps;
    for (const policy of await catalog.policies.listEnabled()) {
      for (const volumeId of await catalog.policies.listVolumeIds(policy.policyId)) {
        if (signal?.aborted === true) return;
        await this.tryApply(policy.projectId, policy.policyId, volumeId);
      }
    }
  }

  /** `apply`, for those whose own work is done and must not fail by it. */
  async tryApply(projectId: ProjectId, policyId: PolicyId, volumeId: VolumeId): Promise<void> {
    try {
      await this.apply(projectId, policyId, volumeId);
    } catch (error) {
      const fields = { projectId, policyId, volumeId, err: error };
      this.#deps.logger.error(fields, 'retention failed; it is tried again within the hour');
    }
  }

  /** Enters the deletions that are due. Nothing when the policy is off or gone, or the volume is no longer in it. */
  async apply(projectId: ProjectId, policyId: PolicyId, volumeId: VolumeId): Promise<void> {
    const { catalog, logger, wakeJobs } = this.#deps;
    // A look without lock first: mostly there is nothing to do.
    if ((await this.#findExpired(catalog, projectId, policyId, volumeId)).length === 0) return;
    const expired = await catalog.transact(projectId, async (records) => {
      const found = await this.#findExpired(records, projectId, policyId, volumeId);
      for (const { backupId } of found) {
        const backup = await requireBackup(records, projectId, backupId);
        if (backup.policyId !== policyId || backup.volumeId !== volumeId || backup.status !== 'available') {
          throw new VbsError('BACKUP_STATE_FORBIDS_DELETE', { backupId, status: backup.status });
        }
        const job = await enterDeletion(records, backup, this.#deps.clock.now());
        await traceJob(records, 'scheduleDeleteBackup', { caller: null, job, backup });
      }
      return found;
    });
    for (const { backupId, name, reason } of expired) {
      logger.info({ projectId, policyId, volumeId, backupId, name, reason }, 'backup expired');
    }
    wakeJobs();
  }

  async #findExpired(
    records: Pick<CatalogRecords, 'policies' | 'backups' | 'tasks'>,
    projectId: ProjectId,
    policyId: PolicyId,
    volumeId: VolumeId,
  ): Promise<RetentionPlan> {
    const policy = await records.policies.get(projectId, policyId);
    if (policy?.isEnabled !== true || !(await records.policies.hasVolume(policyId, volumeId))) return [];
    const plan = await planVolume(records, policy, toRules(policy), volumeId, this.#deps.clock.now());
    return plan.filter(({ isDeleted }) => isDeleted);
  }
}

export function toRules({ retention, keepsFirstOfMonth, schedule }: Policy): RetentionRules {
  return { retention, keepsFirstOfMonth, timeZone: schedule.timeZone };
}

/** What the rules say of the backups that the policy made of the volume. */
export async function planVolume(
  { backups, tasks }: Records,
  { projectId, policyId }: Policy,
  rules: RetentionRules,
  volumeId: VolumeId,
  nowAt: number,
): Promise<RetentionPlan> {
  const rows = await backups.listByPolicy(projectId, policyId, volumeId);
  const newestTask = await tasks.findNewest(policyId, volumeId);
  const judged = rows.map(({ backupId, name, createdAt, status, isDamaged }) => {
    return { backupId, name, createdAt, isGood: status === 'available' && !isDamaged };
  });
  const isNewestAttemptGood = newestTask === undefined || newestTask.status === 'EXECUTE_SUCCESS';
  return planRetention(rules, judged, { nowAt, isNewestAttemptGood });
}
