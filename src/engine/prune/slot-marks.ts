// Which slots some root leads to: one bitmap for each pack that a manifest names.
import { bitmapHas, setBit } from '../../core/bitmap.ts';
import type { PackId } from '../../core/ids.ts';
import type { Address } from '../format/page-format.ts';

const FIRST_SIZE_BYTES = 64;

export class SlotMarks {
  readonly #bitmaps = new Map<PackId, Uint8Array>();

  /** False when the slot was marked before. */
  mark({ packId, slot }: Address): boolean {
    const bitmap = this.#bitmapFor(packId, slot);
    if (bitmapHas(bitmap, slot)) return false;
    setBit(bitmap, slot);
    return true;
  }

  has({ packId, slot }: Address): boolean {
    return bitmapHas(this.#bitmaps.get(packId), slot);
  }

  /** Null when no slot of the pack is marked. The caller must not change it. */
  of(packId: PackId): Uint8Array | null {
    return this.#bitmaps.get(packId) ?? null;
  }

  entries(): Iterable<readonly [PackId, Uint8Array]> {
    return this.#bitmaps;
  }

  /** Grown by doubling: a pack of 64 MiB has 1,024 slots as a rule, and may have 65,535. */
  #bitmapFor(packId: PackId, slot: number): Uint8Array {
    const known = this.#bitmaps.get(packId);
    if (known && slot < known.length * 8) return known;
    let sizeBytes = known?.length ?? FIRST_SIZE_BYTES;
    while (slot >= sizeBytes * 8) sizeBytes *= 2;
    const grown = new Uint8Array(sizeBytes);
    if (known) grown.set(known);
    this.#bitmaps.set(packId, grown);
    return grown;
  }
}
