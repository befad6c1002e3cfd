// Work that nobody waits for gives way to work that somebody does, as the idle class of `ionice` has it for processes,
// but never for ever: a least speed is kept whatever else goes on (docs/decisions/0012-limits.md).
import { sleepFor, type Work } from './throttle.ts';

/** Asked before each piece of work. */
export type Pace = {
  /** Waits until the work may begin. @throws the signal's reason */
  take(work: Work, signal?: AbortSignal): Promise<void>;
};

/** Counts what somebody waits for: backups, restores, exports, verifications that were asked for. */
export class Foreground {
  #count = 0;
  readonly #listeners = new Set<() => void>();

  get isBusy(): boolean {
    return this.#count > 0;
  }

  /** Counts one more until the answer is disposed of, which is harmless twice. */
  enter(): Disposable {
    this.#count += 1;
    let isCounted = true;
    return {
      [Symbol.dispose]: () => {
        if (!isCounted) return;
        isCounted = false;
        this.#count -= 1;
        if (this.#count === 0) for (const listener of this.#listeners) listener();
      },
    };
  }

  /** Calls back whenever nothing is under way any more, be it for a moment, until the answer is disposed of. */
  onIdle(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}

export type BackgroundPaceDeps = {
  readonly foreground: Foreground;
  /** What the waiting lets through at least: no piece waits longer than its bytes take at this speed. */
  readonly leastBytesPerSecond: number;
  readonly sleep?: (delayMs: number, signal?: AbortSignal) => Promise<void>;
};

/** For one run in the background, which has one piece under way at a time. */
export class BackgroundPace implements Pace {
  readonly #foreground: Foreground;
  readonly #leastBytesPerSecond: number;
  readonly #sleep: (delayMs: number, signal?: AbortSignal) => Promise<void>;

  constructor({ foreground, leastBytesPerSecond, sleep = sleepFor }: BackgroundPaceDeps) {
    this.#foreground = foreground;
    this.#leastBytesPerSecond = leastBytesPerSecond;
    this.#sleep = sleep;
  }

  async take({ bytes }: Work, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#foreground.isBusy || bytes === 0) return;
    const idle = new AbortController();
    using _listening = this.#foreground.onIdle(() => idle.abort());
    const ends = signal === undefined ? idle.signal : AbortSignal.any([signal, idle.signal]);
    try {
      await this.#sleep((bytes / this.#leastBytesPerSecond) * 1000, ends);
    } catch (error) {
      signal?.throwIfAborted();
      if (!idle.signal.aborted) throw error;
    }
  }
}
