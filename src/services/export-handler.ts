// Exports run inside the request that asked for them (export-opener). A runner only ever meets one whose process died:
// nobody reads from it any more, so it ends as failed and its pin goes.
import { VbsError } from '../core/errors.ts';
import type { JobContext, JobHandler } from '../jobs/job.ts';
import { failedOutcome, type HandlerDeps } from './handler-deps.ts';

export class ExportHandler implements JobHandler {
  readonly #deps: Pick<HandlerDeps, 'catalog' | 'clock'>;

  constructor(deps: Pick<HandlerDeps, 'catalog' | 'clock'>) {
    this.#deps = deps;
  }

  async run({ job }: JobContext): Promise<void> {
    throw new VbsError('EXPORT_CUT_SHORT', { jobId: job.jobId });
  }

  async fail({ claim }: JobContext, error: VbsError): Promise<void> {
    await this.#deps.catalog.jobs.end(claim, failedOutcome(error), this.#deps.clock.now());
  }
}
