// A hash table from SHA-256 digests to small numbers, in flat memory: millions of look-ups a second on the main thread
// without an object per chunk. Digests are uniformly distributed, so their first bytes serve as the hash.
import assert from 'node:assert/strict';

export const DIGEST_SIZE_BYTES = 32;

export class DigestTable {
  readonly #digests: Buffer;
  readonly #values: Float64Array;
  /** Position + 1 in `#digests`, 0 for free; twice as many cells as digests keeps probes short. */
  readonly #cells: Uint32Array;
  readonly #cellMask: number;
  readonly #capacity: number;
  #count = 0;

  /** `capacity`: most digests it will hold. */
  constructor(capacity: number) {
    const cellCount = 2 ** Math.ceil(Math.log2(Math.max(16, capacity * 2)));
    this.#capacity = capacity;
    this.#digests = Buffer.alloc(capacity * DIGEST_SIZE_BYTES);
    this.#values = new Float64Array(capacity);
    this.#cells = new Uint32Array(cellCount);
    this.#cellMask = cellCount - 1;
  }

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === this.#capacity;
  }

  /** The value kept for the digest at `offset` of `source`, or undefined. */
  find(source: Buffer, offset: number): number | undefined {
    const position = this.#cells[this.#cellOf(source, offset)];
    return position ? this.#values[position - 1] : undefined;
  }

  /** Keeps the first value that is set for a digest. The table must not be full. */
  insert(source: Buffer, offset: number, value: number): void {
    const cell = this.#cellOf(source, offset);
    if (this.#cells[cell] !== 0) return;
    assert(!this.isFull, 'a digest table never grows');
    source.copy(this.#digests, this.#count * DIGEST_SIZE_BYTES, offset, offset + DIGEST_SIZE_BYTES);
    this.#values[this.#count] = value;
    this.#count += 1;
    this.#cells[cell] = this.#count;
  }

  /** The same digests with room for more. */
  enlarge(capacity: number): DigestTable {
    const larger = new DigestTable(capacity);
    for (let i = 0; i < this.#count; i += 1) {
      larger.insert(this.#digests, i * DIGEST_SIZE_BYTES, this.#values[i] ?? 0);
    }
    return larger;
  }

  /** The cell that holds the digest, or the free one where it would go. */
  #cellOf(source: Buffer, offset: number): number {
    let cell = source.readUInt32LE(offset) & this.#cellMask;
    for (;;) {
      const position = this.#cells[cell];
      if (!position) return cell;
      const at = (position - 1) * DIGEST_SIZE_BYTES;
      if (this.#digests.compare(source, offset, offset + DIGEST_SIZE_BYTES, at, at + DIGEST_SIZE_BYTES) === 0)
        return cell;
      cell = (cell + 1) & this.#cellMask;
    }
  }
}

/** Most backups are small: what they remember begins at 40 KiB of memory. */
const FIRST_CAPACITY = 512;
const GROWTH = 8;

/** Two generations of digests: remembers at least the last `capacity / 2` and at most `capacity`, in bounded memory. */
export class RecentDigests {
  readonly #generationCapacity: number;
  #young: DigestTable | undefined;
  #old: DigestTable | undefined;

  constructor(capacity: number) {
    this.#generationCapacity = capacity / 2;
  }

  find(source: Buffer, offset: number): number | undefined {
    return this.#young?.find(source, offset) ?? this.#old?.find(source, offset);
  }

  insert(source: Buffer, offset: number, value: number): void {
    this.#roomyYoung().insert(source, offset, value);
  }

  #roomyYoung(): DigestTable {
    const young = this.#young;
    if (young && !young.isFull) return young;
    if (young && young.count < this.#generationCapacity) {
      this.#young = young.enlarge(Math.min(young.count * GROWTH, this.#generationCapacity));
    } else {
      this.#old = young;
      this.#young = new DigestTable(young ? this.#generationCapacity : this.#firstCapacity);
    }
    return this.#young;
  }

  get #firstCapacity(): number {
    return Math.min(FIRST_CAPACITY, this.#generationCapacity);
  }
}
