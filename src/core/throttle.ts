// Keeps a host's reads or writes below a rate that may change with the time of the day. All who share one take turns in
// the order in which they come.
import { setTimeout } from 'node:timers/promises';
import { raceSignal, Semaphore } from './concurrency.ts';
import type { Clock } from './ports.ts';
import { type RateSchedule, type Rates, ratesAt } from './rate-schedule.ts';

/** What one turn is about to read or write. */
export type Work = { readonly bytes: number; readonly operations: number };

export type ThrottleDeps = {
  readonly schedule: RateSchedule;
  readonly clock: Clock;
  /** Absent: of this machine's time zone. */
  readonly minuteOfDay?: (nowAt: number) => number;
  readonly sleep?: (delayMs: number, signal?: AbortSignal) => Promise<void>;
};

/** The rate is looked at again this often, so that a window that opens is noticed within a long wait. */
const SLICE_MS = 1000;

/**
 * A leaky bucket without burst: work is let through at once when nothing is owed, and owes its own size from then on.
 * So a single piece larger than a second's worth is not held back, but what follows it is.
 */
export class Throttle {
  readonly #schedule: RateSchedule;
  readonly #clock: Clock;
  readonly #minuteOfDay: (nowAt: number) => number;
  readonly #sleep: (delayMs: number, signal?: AbortSignal) => Promise<void>;
  readonly #turn = new Semaphore(1);
  #owed: Work = { bytes: 0, operations: 0 };
  #lookedAt: number;

  constructor({ schedule, clock, minuteOfDay = localMinuteOfDay, sleep = sleepFor }: ThrottleDeps) {
    this.#schedule = schedule;
    this.#clock = clock;
    this.#minuteOfDay = minuteOfDay;
    this.#sleep = sleep;
    this.#lookedAt = clock.now();
  }

  /** Waits until the work may begin. @throws the signal's reason */
  async take(work: Work, signal?: AbortSignal): Promise<void> {
    if (this.#schedule.length === 0) return;
    await this.#waitForTurn(signal);
    try {
      for (;;) {
        signal?.throwIfAborted();
        const waitMs = this.#settle();
        if (waitMs <= 0) break;
        await this.#sleep(Math.min(SLICE_MS, Math.ceil(waitMs)), signal);
      }
      this.#owe(work);
    } finally {
      this.#turn.release();
    }
  }

  async #waitForTurn(signal: AbortSignal | undefined): Promise<void> {
    const turn = this.#turn.acquire();
    try {
      await raceSignal(turn, signal);
    } catch (error) {
      // It comes all the same, and somebody else waits for it.
      void turn.then(() => this.#turn.release());
      throw error;
    }
  }

  /** Takes off what was paid since the last look; milliseconds until nothing is owed at the present rates. */
  #settle(): number {
    const nowAt = this.#clock.now();
    const passedSeconds = Math.max(0, nowAt - this.#lookedAt) / 1000;
    this.#lookedAt = nowAt;
    const { bytesPerSecond, operationsPerSecond } = this.#ratesAt(nowAt);
    const bytes = payOff(this.#owed.bytes, bytesPerSecond, passedSeconds);
    const operations = payOff(this.#owed.operations, operationsPerSecond, passedSeconds);
    this.#owed = { bytes, operations };
    return Math.max(secondsFor(bytes, bytesPerSecond), secondsFor(operations, operationsPerSecond)) * 1000;
  }

  /** Only what is limited now: work of an unlimited window is not paid for in the next. */
  #owe(work: Work): void {
    const { bytesPerSecond, operationsPerSecond } = this.#ratesAt(this.#lookedAt);
    const { bytes, operations } = this.#owed;
    this.#owed = {
      bytes: bytesPerSecond === undefined ? 0 : bytes + work.bytes,
      operations: operationsPerSecond === undefined ? 0 : operations + work.operations,
    };
  }

  #ratesAt(nowAt: number): Rates {
    return ratesAt(this.#schedule, this.#minuteOfDay(nowAt));
  }
}

/** Of one host: what it reads from and writes to its disks, or to the repository. */
export type Throttles = { readonly read: Throttle; readonly write: Throttle };

const UNTHROTTLED = new Throttle({ schedule: [], clock: { now: () => 0 } });
/** Limit nothing. */
export const NO_THROTTLES: Throttles = { read: UNTHROTTLED, write: UNTHROTTLED };

function payOff(owed: number, perSecond: number | undefined, passedSeconds: number): number {
  return perSecond === undefined ? 0 : Math.max(0, owed - perSecond * passedSeconds);
}

function secondsFor(owed: number, perSecond: number | undefined): number {
  return perSecond === undefined ? 0 : owed / perSecond;
}

function localMinuteOfDay(nowAt: number): number {
  const now = new Date(nowAt);
  return now.getHours() * 60 + now.getMinutes();
}

/** @throws the signal's reason */
export async function sleepFor(delayMs: number, signal?: AbortSignal): Promise<void> {
  await setTimeout(delayMs, undefined, signal === undefined ? {} : { signal }).catch(() => signal?.throwIfAborted());
}
