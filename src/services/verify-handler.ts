// The job that verifies a backup. It fails when the backup is damaged: whoever asked must not miss it.
import { VbsError } from '../core/errors.ts';
import type { BackupStatus } from '../core/model.ts';
import { type BackupVerdict, verifyBackup } from '../engine/verify/verify-backup.ts';
import type { JobContext, JobHandler } from '../jobs/job.ts';
import { failedOutcome, type HandlerDeps } from './handler-deps.ts';
import { requireJobBackup } from './subjects.ts';

export class VerifyHandler implements JobHandler {
  readonly #deps: HandlerDeps;

  constructor(deps: HandlerDeps) {
    this.#deps = deps;
  }

  /** @throws BACKUP_DAMAGED, BACKUP_NOT_FOUND, STORAGE_IO */
  async run({ job, claim, signal, report }: JobContext): Promise<void> {
    const { catalog, repository, scrubber, clock, metrics } = this.#deps;
    const { backupId } = await requireJobBackup(catalog, job);
    const verdict = await verifyBackup(repository, { claim, backupId, report, signal });
    metrics?.verified(verdict.readBytes);
    if (!verdict.isSound) {
      scrubber.noteDamage(claim.projectId);
      throw describeDamage(verdict);
    }
    const endedAt = clock.now();
    const { readBytes, packCount } = verdict;
    await catalog.transact(claim.projectId, async ({ jobs, backups }) => {
      await jobs.savePayload(claim, { ...job.payload, result: { isSound: true, readBytes, packCount } });
      const backup = await backups.get(claim.projectId, backupId);
      // A restore had failed by damage that is mended now.
      const status: BackupStatus = 'available';
      if (backup?.status === 'error_restoring') await backups.update(backupId, { status, updatedAt: endedAt });
      await jobs.end(claim, { status: 'SUCCESS' }, endedAt);
    });
  }

  async fail({ claim }: JobContext, error: VbsError): Promise<void> {
    await this.#deps.catalog.jobs.end(claim, failedOutcome(error), this.#deps.clock.now());
  }
}

function describeDamage({ backupId, damage, gaps }: BackupVerdict): VbsError {
  const [first] = damage;
  const gap = gaps[0] ?? { objectName: 'the repository', reason: 'what it needs was found damaged meanwhile' };
  const where = first ?? { objectName: gap.objectName, offsetBytes: 0, reason: gap.reason };
  const { objectName: object, offsetBytes, reason } = where;
  const count = Math.max(1, damage.length + gaps.length);
  return new VbsError('BACKUP_DAMAGED', { backupId, count, object, offsetBytes, reason });
}
