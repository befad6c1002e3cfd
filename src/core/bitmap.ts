// Bitmaps of slots as the ledger keeps them: least significant bit of byte 0 first; null or short means zeros.

export function bitmapHas(bitmap: Uint8Array | null | undefined, index: number): boolean {
  return bitmap != null && (((bitmap[index >> 3] ?? 0) >> (index & 7)) & 1) === 1;
}

/** `bitmap` must be long enough. */
export function setBit(bitmap: Uint8Array, index: number): void {
  bitmap[index >> 3] = (bitmap[index >> 3] ?? 0) | (1 << (index & 7));
}

export function makeBitmap(bitCount: number): Uint8Array {
  return new Uint8Array(Math.ceil(bitCount / 8));
}

export function countBitmap(bitmap: Uint8Array | null | undefined): number {
  let count = 0;
  for (const byte of bitmap ?? []) for (let rest = byte; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}

/** Bits set in both. */
export function countCommon(left: Uint8Array | null | undefined, right: Uint8Array | null | undefined): number {
  let count = 0;
  for (let i = 0; i < Math.min(left?.length ?? 0, right?.length ?? 0); i += 1) {
    for (let rest = (left?.[i] ?? 0) & (right?.[i] ?? 0); rest !== 0; rest &= rest - 1) count += 1;
  }
  return count;
}

/** The highest bit set plus one; 0 when none is. */
export function bitmapEnd(bitmap: Uint8Array | null | undefined): number {
  for (let i = (bitmap?.length ?? 0) - 1; i >= 0; i -= 1) {
    const byte = bitmap?.[i] ?? 0;
    if (byte !== 0) return i * 8 + (32 - Math.clz32(byte));
  }
  return 0;
}

/** Of `bitCount` bits those that are set in `kept` or clear in `marked`. */
export function uniteWithUnmarked(
  kept: Uint8Array | null,
  marked: Uint8Array | null | undefined,
  bitCount: number,
): Uint8Array {
  const united = makeBitmap(bitCount);
  for (let i = 0; i < united.length; i += 1) {
    const inRange = i === united.length - 1 && bitCount % 8 !== 0 ? (1 << (bitCount % 8)) - 1 : 0xff;
    united[i] = (kept?.[i] ?? 0) | (~(marked?.[i] ?? 0) & inRange);
  }
  return united;
}

/** Bits of `left` that are not in `right`; null when none is left. */
export function subtractBitmap(
  left: Uint8Array | null | undefined,
  right: Uint8Array | null | undefined,
): Uint8Array | null {
  const rest = Uint8Array.from(left ?? [], (byte, i) => byte & ~(right?.[i] ?? 0));
  return rest.some((byte) => byte !== 0) ? rest : null;
}

/** Bits that are in either. */
export function uniteBitmaps(left: Uint8Array | null | undefined, right: Uint8Array | null | undefined): Uint8Array {
  const longer = (left?.length ?? 0) >= (right?.length ?? 0) ? left : right;
  const shorter = longer === left ? right : left;
  return Uint8Array.from(longer ?? [], (byte, i) => byte | (shorter?.[i] ?? 0));
}

/** Indexes of the bits that are set, ascending. */
export function listBits(bitmap: Uint8Array | null | undefined): number[] {
  const bits: number[] = [];
  bitmap?.forEach((byte, i) => {
    for (let bit = 0; bit < 8; bit += 1) if (((byte >> bit) & 1) === 1) bits.push(i * 8 + bit);
  });
  return bits;
}
