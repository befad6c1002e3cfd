// Trailers of packs in a fixed budget of memory, least recently used first out. Keyed by object name, so that a pack
// that was compacted is never mistaken for its older version, nor another project's pack for one's own.
import { TRAILER_CACHE_BYTES } from '../../core/limits.ts';
import type { PackIndex } from './pack-index.ts';

export class PackIndexCache {
  readonly #entries = new Map<string, { index: Promise<PackIndex>; sizeBytes: number }>();
  readonly #budgetBytes: number;
  #usedBytes = 0;

  constructor(budgetBytes = TRAILER_CACHE_BYTES) {
    this.#budgetBytes = budgetBytes;
  }

  /** The index under `objectName`; `load` runs once however many ask at the same time. A failed load is not kept. */
  get(objectName: string, load: () => Promise<PackIndex>): Promise<PackIndex> {
    const known = this.#entries.get(objectName);
    if (known) {
      this.#entries.delete(objectName);
      this.#entries.set(objectName, known);
      return known.index;
    }
    const entry = { index: load(), sizeBytes: 0 };
    this.#entries.set(objectName, entry);
    entry.index.then(
      (index) => this.#account(objectName, entry, index.memoryBytes),
      () => this.forget(objectName),
    );
    return entry.index;
  }

  forget(objectName: string): void {
    const entry = this.#entries.get(objectName);
    if (entry) this.#usedBytes -= entry.sizeBytes;
    this.#entries.delete(objectName);
  }

  #account(objectName: string, entry: { sizeBytes: number }, sizeBytes: number): void {
    if (this.#entries.get(objectName) !== entry) return;
    entry.sizeBytes = sizeBytes;
    this.#usedBytes += sizeBytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#usedBytes <= this.#budgetBytes || oldest === objectName) break;
      this.forget(oldest);
    }
  }
}
