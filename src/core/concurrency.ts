// Bounds on what runs at the same time.

/**
 * The outcome of `promise`, or the reason of the signal as soon as it is aborted. What hangs is left behind: only for
 * work that changes nothing.
 */
export async function raceSignal<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await promise;
  // Its own failure comes too late for anybody once the signal was faster.
  promise.catch(() => undefined);
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Counts permits; `acquire` waits in order of arrival. */
export class Semaphore {
  #freeCount: number;
  readonly #waiting: { grant: () => void; refuse: (reason: unknown) => void }[] = [];
  #failure: { readonly reason: unknown } | undefined;

  constructor(permitCount: number) {
    this.#freeCount = permitCount;
  }

  /** Waits for a permit; the caller must `release` it. Rejects with the reason given to `fail`. */
  acquire(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure.reason);
    if (this.#freeCount > 0) {
      this.#freeCount -= 1;
      return Promise.resolve();
    }
    return new Promise((grant, refuse) => this.#waiting.push({ grant, refuse }));
  }

  release(): void {
    const next = this.#waiting.shift();
    if (next) next.grant();
    else this.#freeCount += 1;
  }

  /** Ends every present and future wait: the work that would release permits has failed. */
  fail(reason: unknown): void {
    this.#failure ??= { reason };
    for (const waiter of this.#waiting.splice(0)) waiter.refuse(reason);
  }
}

/** A queue between one producer and one consumer; `push` waits while `capacity` items are unread. */
export class BoundedQueue<Item> {
  readonly #items: Item[] = [];
  readonly #room: Semaphore;
  #wake: (() => void) | undefined;
  #end: { readonly error: unknown } | 'closed' | undefined;

  constructor(capacity: number) {
    this.#room = new Semaphore(capacity);
  }

  async push(item: Item): Promise<void> {
    await this.#room.acquire();
    this.#items.push(item);
    this.#wake?.();
  }

  /** No more items come; the consumer ends when it has read all. */
  close(): void {
    this.#end ??= 'closed';
    this.#wake?.();
  }

  /** Both sides end with this error. */
  fail(error: unknown): void {
    this.#end = { error };
    this.#room.fail(error);
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void> {
    for (;;) {
      if (this.#end && this.#end !== 'closed') throw this.#end.error;
      const item = this.#items.shift();
      if (item !== undefined) {
        this.#room.release();
        yield item;
      } else if (this.#end === 'closed') {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    }
  }
}

/**
 * Runs `work` for every item, at most `limit` at the same time, in no order. The first failure ends it, after what is
 * under way has ended.
 */
export async function forEachConcurrently<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  limit: number,
  work: (item: Item) => Promise<unknown>,
): Promise<void> {
  const source = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  let failure: { readonly error: unknown } | undefined;
  const run = async (): Promise<void> => {
    while (!failure) {
      const next = await source.next();
      if (next.done) return;
      await work(next.value);
    }
  };
  const guarded = async (): Promise<void> => {
    try {
      await run();
    } catch (error) {
      failure ??= { error };
    }
  };
  await Promise.all(Array.from({ length: limit }, guarded));
  if (failure) throw failure.error;
}
