// Jobs as a project sees them: what runs, how far it is, how it ended.
import { VbsError } from '../core/errors.ts';
import type { JobId, ProjectId } from '../core/ids.ts';
import type { Job, JobKind, JobStatus } from '../core/model.ts';
import type { Catalog } from '../db/catalog.ts';
import { describeProgress, type LiveProgress } from '../jobs/progress.ts';
import { authorize, type Caller } from './caller.ts';
import type { JobPage, ListResult } from './list-page.ts';

/** A job with its progress as of now. `etaS` is null while unknown; the rate is 0 unless it runs in this process. */
export type JobView = Job & Pick<LiveProgress, 'percent' | 'rateBytesPerS' | 'etaS'>;

export type JobListFilter = { readonly status?: JobStatus; readonly kind?: JobKind };

export type JobServiceDeps = {
  readonly catalog: Catalog;
  /** Live progress of a job that this process runs. */
  readonly progressOf: (jobId: JobId) => LiveProgress | undefined;
};

export class JobService {
  readonly #deps: JobServiceDeps;

  constructor(deps: JobServiceDeps) {
    this.#deps = deps;
  }

  /** @throws JOB_NOT_FOUND for unknown jobs and those of other projects alike. */
  async getJob(caller: Caller, projectId: ProjectId, jobId: JobId): Promise<JobView> {
    authorize(caller, projectId, 'reader');
    const job = await this.#deps.catalog.jobs.get(projectId, jobId);
    if (job === undefined) throw new VbsError('JOB_NOT_FOUND', { jobId });
    return this.#view(job);
  }

  /** Newest first unless the page says otherwise. @throws MARKER_NOT_FOUND */
  async listJobs(
    caller: Caller,
    projectId: ProjectId,
    filter: JobListFilter,
    page: JobPage,
  ): Promise<ListResult<JobView>> {
    authorize(caller, projectId, 'reader');
    const { items, ...counted } = await this.#deps.catalog.jobs.list({ ...filter, projectId }, page);
    return { items: items.map((job) => this.#view(job)), ...counted };
  }

  #view(job: Job): JobView {
    const progress = this.#progressOf(job);
    const { totalBytes, doneBytes, skippedBytes, storedBytes, rateBytesPerS, etaS } = progress;
    const percent = job.status === 'SUCCESS' ? 100 : progress.percent;
    return {
      ...job,
      progress: { totalBytes, doneBytes, skippedBytes, storedBytes },
      percent,
      rateBytesPerS: Math.round(rateBytesPerS),
      etaS,
    };
  }

  #progressOf(job: Job): LiveProgress {
    const live = this.#deps.progressOf(job.jobId);
    if (job.status === 'RUNNING' && live !== undefined) return live;
    if (job.status !== 'SUCCESS' || live === undefined) return describeProgress(job.progress);
    // A job succeeds in the transaction of its resources, and its last report gets into the row only after that: for
    // a moment the row lags behind. All is handled by then, whatever was reported last.
    const { totalBytes, skippedBytes, storedBytes } = live;
    return describeProgress({
      totalBytes,
      skippedBytes,
      storedBytes,
      doneBytes: Math.max(0, totalBytes - skippedBytes),
    });
  }
}
