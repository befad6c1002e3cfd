// A clock that runs like another one and can be moved ahead of it: time to play with in development (serve --dev).
import type { Clock } from './ports.ts';

export class MovableClock implements Clock {
  readonly #base: Clock;
  #aheadMs = 0;

  constructor(base: Clock) {
    this.#base = base;
  }

  now(): number {
    return this.#base.now() + this.#aheadMs;
  }

  /** Moves on by `byMs`, which must not be negative. */
  advance(byMs: number): void {
    if (!(byMs >= 0)) throw new RangeError(`a clock moves forward only: ${byMs}`);
    this.#aheadMs += byMs;
  }
}
