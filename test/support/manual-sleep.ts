// Sleeping that only a test ends.
import { setImmediate } from 'node:timers/promises';

/** Sleeps end when `advance` has come so far, or with their signal. */
export class ManualSleep {
  nowMs = 0;
  readonly #sleepers = new Set<{ readonly endMs: number; readonly wake: () => void }>();

  readonly sleep = (delayMs: number, signal?: AbortSignal): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const sleeper = { endMs: this.nowMs + delayMs, wake: resolve };
    this.#sleepers.add(sleeper);
    signal?.addEventListener('abort', () => {
      this.#sleepers.delete(sleeper);
      reject(signal.reason);
    });
    return promise;
  };

  get sleeperCount(): number {
    return this.#sleepers.size;
  }

  async advance(byMs: number): Promise<void> {
    this.nowMs += byMs;
    for (const sleeper of [...this.#sleepers]) {
      if (sleeper.endMs > this.nowMs) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
    await setImmediate();
  }
}
