// A clock that moves only when a test says so.
import type { Clock } from '../../src/core/ports.ts';

export class ManualClock implements Clock {
  #nowAt: number;

  constructor(startAt = Date.UTC(2026, 0, 5, 9)) {
    this.#nowAt = startAt;
  }

  now(): number {
    return this.#nowAt;
  }

  advance(byMs: number): void {
    this.#nowAt += byMs;
  }
}
