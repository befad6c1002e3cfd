// Moves the clock of a development server ahead, through every due time of a policy in order: each run is handed to the
// workers and ends before the clock moves on, as it would in as much real time.
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock, Logger } from '../core/ports.ts';
import type { Catalog } from '../db/catalog.ts';
import type { Scheduler } from '../jobs/scheduler.ts';
import { type Caller, requireRole } from './caller.ts';
import type { RetentionRunner } from './retention-runner.ts';

export type DevClockDeps = {
  readonly catalog: Catalog;
  readonly clock: Clock & { advance(byMs: number): void };
  readonly logger: Logger;
  readonly scheduler: Pick<Scheduler, 'lookOnce'>;
  readonly retention: Pick<RetentionRunner, 'applyAll'>;
};

/** How often it looks whether the tasks of a run have ended. */
const SETTLE_POLL_MS = 5;

export class DevClock {
  readonly #deps: DevClockDeps;
  /** One move at a time: each begins where the one before has ended. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(deps: DevClockDeps) {
    this.#deps = deps;
  }

  /**
   * Answers with the new time, once the runs due by then have been handed to workers; the last of them may still run.
   * `signal` ends it early: runs that are not reached stay due.
   * @throws ROLES_EMPTY, ROLE_DENIED
   */
  async advance(caller: Caller, byMs: number, signal?: AbortSignal): Promise<number> {
    requireRole(caller, 'admin');
    const move = this.#last.then(() => this.#advance(byMs, signal));
    this.#last = move.catch(() => undefined);
    return await move;
  }

  async #advance(byMs: number, signal: AbortSignal | undefined): Promise<number> {
    const { catalog, clock, logger, scheduler, retention } = this.#deps;
    const untilAt = clock.now() + byMs;
    for (;;) {
      await this.#settle(signal);
      const dueAt = await catalog.policies.findNextDueAt();
      if (dueAt === undefined || dueAt > untilAt || signal?.aborted === true) break;
      clock.advance(Math.max(0, dueAt - clock.now()));
      await scheduler.lookOnce();
    }
    if (signal?.aborted !== true) clock.advance(Math.max(0, untilAt - clock.now()));
    await retention.applyAll(signal);
    const nowAt = clock.now();
    logger.warn({ byMs, now: new Date(nowAt).toISOString() }, 'the clock was moved ahead');
    return nowAt;
  }

  /** Waits until no task is open: the next run of a volume would be skipped otherwise. */
  async #settle(signal: AbortSignal | undefined): Promise<void> {
    while (signal?.aborted !== true && (await this.#deps.catalog.tasks.countOpen()) > 0) {
      await this.#deps.scheduler.lookOnce();
      await delay(SETTLE_POLL_MS);
    }
  }
}
