// A set of chunks of one volume: a bit for each, 2 MiB for a TiB.
import assert from 'node:assert/strict';
import { CHUNK_SIZE_BYTES } from '../core/limits.ts';
import { type Extent, extentEnd } from './extent.ts';

export class ChunkSet {
  readonly #bits: Uint8Array;
  readonly chunkCount: number;

  constructor(sizeBytes: number) {
    this.chunkCount = Math.ceil(sizeBytes / CHUNK_SIZE_BYTES);
    this.#bits = new Uint8Array(Math.ceil(this.chunkCount / 8));
  }

  /** Adds every chunk that the extent touches. */
  addExtent(extent: Extent): void {
    if (extent.lengthBytes <= 0) return;
    const first = Math.floor(extent.offsetBytes / CHUNK_SIZE_BYTES);
    const end = Math.ceil(extentEnd(extent) / CHUNK_SIZE_BYTES);
    assert(first >= 0 && end <= this.chunkCount, 'an extent lies inside its volume');
    for (let index = first; index < end; ) {
      if (index % 8 === 0 && index + 8 <= end) {
        this.#bits.fill(0xff, index >> 3, end >> 3);
        index = (end >> 3) << 3;
        continue;
      }
      this.add(index);
      index += 1;
    }
  }

  add(index: number): void {
    assert(index >= 0 && index < this.chunkCount, 'a chunk lies inside its volume');
    const byte = this.#bits[index >> 3] ?? 0;
    this.#bits[index >> 3] = byte | (1 << (index & 7));
  }

  has(index: number): boolean {
    return (((this.#bits[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;
  }

  /** Whether any chunk of [first, first + count) is in the set; what lies beyond the volume's end is not. */
  hasAny(first: number, count: number): boolean {
    const end = Math.min(first + count, this.chunkCount);
    let index = first;
    for (; index < end && index % 8 !== 0; index += 1) if (this.has(index)) return true;
    for (; index + 8 <= end; index += 8) if (this.#bits[index >> 3] !== 0) return true;
    for (; index < end; index += 1) if (this.has(index)) return true;
    return false;
  }

  /** Chunks in the set. */
  get size(): number {
    let size = 0;
    for (const byte of this.#bits) size += COUNT_OF_BYTE[byte] ?? 0;
    return size;
  }
}

const COUNT_OF_BYTE = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest > 0; rest >>= 1) count += rest & 1;
  return count;
});
