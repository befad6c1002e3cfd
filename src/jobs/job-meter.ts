// The progress of one running job: reports come as often as they like, the row gets one now and then.
import type { JobClaim } from '../core/ledger.ts';
import { NO_PROGRESS, type Progress } from '../core/model.ts';
import type { Clock } from '../core/ports.ts';
import type { JobRecords } from '../db/job-records.ts';
import { advanceRate, describeProgress, type LiveProgress, type RateState, startRate } from './progress.ts';

export class JobMeter {
  readonly #claim: JobClaim;
  readonly #clock: Clock;
  #progress: Progress = NO_PROGRESS;
  #saved: Progress = NO_PROGRESS;
  #rate: RateState;

  constructor(claim: JobClaim, clock: Clock) {
    this.#claim = claim;
    this.#clock = clock;
    this.#rate = startRate(clock.now(), 0);
  }

  report(changes: Partial<Progress>): void {
    this.#progress = { ...this.#progress, ...changes };
    this.#rate = advanceRate(this.#rate, this.#clock.now(), this.#progress.doneBytes);
  }

  get progress(): Progress {
    return this.#progress;
  }

  describe(): LiveProgress {
    return describeProgress(this.#progress, this.#rate);
  }

  /** Writes what was reported since the last time. */
  async save(jobs: JobRecords): Promise<void> {
    const progress = this.#progress;
    if (progress !== this.#saved) {
      await jobs.saveProgress(this.#claim, progress);
      this.#saved = progress;
    }
  }

  /** Writes the last word on a job that succeeded: everything is handled, whatever was reported last. */
  async saveCompleted(jobs: JobRecords): Promise<void> {
    if (this.#progress.totalBytes > 0) {
      const doneBytes = Math.max(0, this.#progress.totalBytes - this.#progress.skippedBytes);
      this.#progress = { ...this.#progress, doneBytes };
    }
    await this.save(jobs);
  }
}
