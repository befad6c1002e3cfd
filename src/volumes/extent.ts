// Half-open byte ranges [offsetBytes, offsetBytes + lengthBytes) of a volume, and the little algebra they need.
export type Extent = { readonly offsetBytes: number; readonly lengthBytes: number };

/** The first byte after the extent. */
export function extentEnd(extent: Extent): number {
  return extent.offsetBytes + extent.lengthBytes;
}

/** The bytes that both have; undefined when there are none. */
export function intersectExtents(left: Extent, right: Extent): Extent | undefined {
  const offsetBytes = Math.max(left.offsetBytes, right.offsetBytes);
  const lengthBytes = Math.min(extentEnd(left), extentEnd(right)) - offsetBytes;
  return lengthBytes > 0 ? { offsetBytes, lengthBytes } : undefined;
}

/** The parts of `extents`, in their order, that lie within `range`. */
export function clipExtents(extents: readonly Extent[], range: Extent): Extent[] {
  return extents.map((extent) => intersectExtents(extent, range)).filter((extent) => extent !== undefined);
}

/**
 * The same bytes as ascending, disjoint, non-empty extents. Extents that touch, or lie at most `gapBytes` apart, become
 * one; with a gap the result covers more than it was given.
 */
export function mergeExtents(extents: readonly Extent[], gapBytes = 0): Extent[] {
  const ascending = extents
    .filter((extent) => extent.lengthBytes > 0)
    .toSorted((left, right) => left.offsetBytes - right.offsetBytes);
  const merged: Extent[] = [];
  for (const extent of ascending) {
    const last = merged.at(-1);
    if (last && extent.offsetBytes - extentEnd(last) <= gapBytes) merged[merged.length - 1] = joinExtents(last, extent);
    else merged.push(extent);
  }
  return merged;
}

/** The smallest extent that covers both. */
export function joinExtents(left: Extent, right: Extent): Extent {
  const offsetBytes = Math.min(left.offsetBytes, right.offsetBytes);
  return { offsetBytes, lengthBytes: Math.max(extentEnd(left), extentEnd(right)) - offsetBytes };
}
