// What all job handlers work with, and how they speak of failures.
import type { Foreground } from '../core/background-pace.ts';
import type { VbsError } from '../core/errors.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Clock, Logger } from '../core/ports.ts';
import type { Catalog } from '../db/catalog.ts';
import type { JobOutcome } from '../db/record-types.ts';
import type { Repository } from '../engine/repository.ts';
import type { VolumeRegistry } from '../volumes/volume-registry.ts';
import type { LabelKeeper } from './label-keeper.ts';
import type { PruneRunner } from './prune-runner.ts';
import type { RetentionRunner } from './retention-runner.ts';
import type { ScrubRunner } from './scrub-runner.ts';
import type { TrashSweeper } from './trash-sweeper.ts';

export type HandlerDeps = {
  readonly catalog: Catalog;
  readonly repository: Repository;
  readonly drivers: VolumeRegistry;
  readonly sweeper: TrashSweeper;
  readonly retention: RetentionRunner;
  /** Told of what prune may now find dead. */
  readonly pruner: Pick<PruneRunner, 'noteDeletion'>;
  /** Told of damage, and of new data that may mend it. */
  readonly scrubber: Pick<ScrubRunner, 'noteDamage' | 'noteNewData'>;
  readonly labels: Pick<LabelKeeper, 'saveBackup' | 'saveProject'>;
  /** Of what users wait for: scrubs and compactions give way to it. */
  readonly foreground: Foreground;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: Metrics;
};

/** How a job row tells of an error: the code of our table, which the API puts into the wire's words. */
export function failedOutcome(error: VbsError): Extract<JobOutcome, { status: 'FAIL' }> {
  return { status: 'FAIL', errorCode: error.code, failReason: error.message };
}
