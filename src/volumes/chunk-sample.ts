// Draws chunks at random from extents that come one after the other, without knowing how many there will be.
// Source: Li, Reservoir-sampling algorithms of time complexity O(n(1 + log(N/n))), ACM TOMS 20 (1994), algorithm L.
import { CHUNK_SIZE_BYTES } from '../core/limits.ts';
import { type Extent, extentEnd } from './extent.ts';

export class ChunkSample {
  readonly #sampleCount: number;
  readonly #random: () => number;
  readonly #chosen: number[] = [];
  #seenCount = 0;
  #lastChunk = -1;
  /** Of chunks by the order in which they come: the next one that is taken. */
  #nextTaken = 0;
  #weight = 1;

  constructor(options: { readonly sampleCount: number; readonly random: () => number }) {
    this.#sampleCount = options.sampleCount;
    this.#random = options.random;
  }

  /** Extents must come in ascending order; a chunk that several touch counts once. */
  addExtent(extent: Extent): void {
    if (this.#sampleCount === 0) return;
    const first = Math.max(Math.floor(extent.offsetBytes / CHUNK_SIZE_BYTES), this.#lastChunk + 1);
    const end = Math.ceil(extentEnd(extent) / CHUNK_SIZE_BYTES);
    if (end <= first) return;
    const seenBefore = this.#seenCount;
    this.#seenCount += end - first;
    this.#lastChunk = end - 1;
    while (this.#nextTaken < this.#seenCount) this.#take(first + this.#nextTaken - seenBefore);
  }

  /** Indexes of the chunks drawn, ascending. */
  chunks(): number[] {
    return this.#chosen.toSorted((left, right) => left - right);
  }

  #take(chunk: number): void {
    if (this.#chosen.length < this.#sampleCount) this.#chosen.push(chunk);
    else this.#chosen[Math.floor(this.#random() * this.#sampleCount)] = chunk;
    this.#nextTaken += 1;
    if (this.#chosen.length < this.#sampleCount) return;
    this.#weight *= Math.exp(Math.log(this.#drawPositive()) / this.#sampleCount);
    this.#nextTaken += Math.floor(Math.log(this.#drawPositive()) / Math.log1p(-this.#weight));
  }

  /** In (0, 1). */
  #drawPositive(): number {
    return Math.max(this.#random(), Number.EPSILON);
  }
}
