// The job that finishes the import of a backup: everything that its record leads to must still be there. The backup
// keeps its data from the moment it was entered, so nothing can be lost while this runs.
import type { VbsError } from '../core/errors.ts';
import { checkManifest } from '../engine/record-reader.ts';
import type { JobContext, JobHandler } from '../jobs/job.ts';
import { failedOutcome, type HandlerDeps } from './handler-deps.ts';
import { requireJobBackup } from './subjects.ts';

export class ImportHandler implements JobHandler {
  readonly #deps: HandlerDeps;

  constructor(deps: HandlerDeps) {
    this.#deps = deps;
  }

  async run({ job, claim, signal, report }: JobContext): Promise<void> {
    const { catalog, repository, clock, labels } = this.#deps;
    const { backupId } = await requireJobBackup(catalog, job);
    const record = await checkManifest(repository, { claim, backupId, report, signal });
    const endedAt = clock.now();
    await catalog.transact(claim.projectId, async ({ jobs, backups }) => {
      await jobs.requireClaim(claim);
      await backups.describeImport(backupId, { ...record, updatedAt: endedAt });
      const backup = await backups.get(claim.projectId, backupId);
      // Not when its deletion was forced meanwhile.
      if (backup?.status === 'creating') await backups.update(backupId, { status: 'available', updatedAt: endedAt });
      await jobs.end(claim, { status: 'SUCCESS' }, endedAt);
    });
    // That the backup is there at all, only its label says.
    await labels.saveBackup(claim.projectId, backupId);
  }

  async fail({ job, claim }: JobContext, error: VbsError): Promise<void> {
    const updatedAt = this.#deps.clock.now();
    await this.#deps.catalog.transact(claim.projectId, async ({ jobs, backups }) => {
      await jobs.requireClaim(claim);
      const backup = job.backupId === null ? undefined : await backups.get(claim.projectId, job.backupId);
      if (backup?.status === 'creating') {
        await backups.update(backup.backupId, { status: 'error', failReason: error.message, updatedAt });
      }
      await jobs.end(claim, failedOutcome(error), updatedAt);
    });
  }
}
