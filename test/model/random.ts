// Randomness that a seed decides: the same seed makes the same schedule, on every machine.

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed ^ 0x9e37_79b9) >>> 0;
    // Neighbouring seeds must not begin alike.
    for (let i = 0; i < 4; i += 1) this.next();
  }

  /** 32 bits. Source: Tommy Ettinger's mulberry32, public domain. */
  next(): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return (z ^ (z >>> 14)) >>> 0;
  }

  /** 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor((this.next() / 2 ** 32) * count);
  }

  /** True once in `count` times. */
  oneIn(count: number): boolean {
    return this.below(count) === 0;
  }

  /** One of `items`, which must not be empty. */
  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }

  /** One of the weighted choices; those of weight 0 are never taken. */
  weighted<Item>(choices: readonly (readonly [weight: number, item: Item])[]): Item | undefined {
    const total = choices.reduce((sum, [weight]) => sum + weight, 0);
    let left = (this.next() / 2 ** 32) * total;
    for (const [weight, item] of choices) {
      left -= weight;
      if (left < 0) return item;
    }
    return undefined;
  }

  /** Fills `bytes`. */
  fill(bytes: Buffer): Buffer {
    for (let i = 0; i + 4 <= bytes.length; i += 4) bytes.writeUInt32LE(this.next(), i);
    for (let i = bytes.length & ~3; i < bytes.length; i += 1) bytes[i] = this.next() & 0xff;
    return bytes;
  }
}
