// The fence of src/engine/README.md: who acts for a job must hold its current attempt, and the job must not have ended.
import type { Selectable } from 'kysely';
import { VbsError } from '../core/errors.ts';
import type { JobClaim } from '../core/ledger.ts';
import type { Executor } from './database.ts';
import type { JobTable } from './tables.ts';

/** The job's row. Call it first in a transaction that holds the project's lock. @throws JOB_FENCED */
export async function requireClaim(executor: Executor, claim: JobClaim): Promise<Selectable<JobTable>> {
  const row = await executor
    .selectFrom('jobs')
    .selectAll()
    .where('job_id', '=', claim.jobId)
    .where('project_id', '=', claim.projectId)
    .executeTakeFirst();
  // A job put back to INIT for a retry is nobody's, even though its attempt number has not gone up yet.
  if (row === undefined || row.status !== 'RUNNING' || row.attempt !== claim.attempt) {
    throw new VbsError('JOB_FENCED', { jobId: claim.jobId, attempt: claim.attempt });
  }
  return row;
}
