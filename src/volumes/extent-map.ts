// Where a file system keeps the bytes of files (FIEMAP), and what two snapshots of one image have in common: a block
// that both hold cannot have been written in between. Source: Documentation/filesystems/fiemap.rst of Linux.
import { setImmediate } from 'node:timers/promises';
import { type Extent, extentEnd } from './extent.ts';
import { EXTENT_BATCH_COUNT, EXTENT_SIZE_BYTES, type RawExtents, type SystemCalls } from './system-calls.ts';

export type MappedExtent = Extent & {
  /** Address on the device; meaningless unless `isPlain`. */
  readonly physicalBytes: number;
  /** Allocated and never written: reads zero. */
  readonly isUnwritten: boolean;
  /** The address says where exactly these bytes are, and nothing else can be there. */
  readonly isPlain: boolean;
};

export type MapSink = {
  /** Bytes that may differ. */
  addChanged(extent: Extent): void;
  /** Bytes that both hold in the same blocks; holes are not told. */
  addShared(extent: Extent): void;
};

// Source: include/uapi/linux/fiemap.h.
const FLAG_LAST = 0x0001;
const FLAG_UNWRITTEN = 0x0800;
const FLAG_MERGED = 0x1000;
const FLAG_SHARED = 0x2000;
/**
 * All others make an extent unreliable: no address yet (UNKNOWN, DELALLOC), the address of something larger (ENCODED,
 * NOT_ALIGNED), data kept elsewhere (DATA_INLINE, DATA_TAIL), or a meaning that we do not know.
 */
const PLAIN_FLAGS = FLAG_LAST | FLAG_UNWRITTEN | FLAG_MERGED | FLAG_SHARED;

/** The part of a map that one call answered: all extents within `range`, in order. */
export type MapPart = { readonly range: Extent; readonly extents: readonly MappedExtent[] };

/**
 * The map of `range` of the file from its beginning on, as far as one call tells; what is dirty in memory is written
 * first. Undefined where there are no maps.
 */
export async function readMapPart(fd: number, range: Extent, calls: SystemCalls): Promise<MapPart | undefined> {
  const raw = await calls.mapExtents(fd, range.offsetBytes, range.lengthBytes);
  return raw && decodeMapPart(raw, range);
}

/** Extents are cut to `range`; blocks between them are holes. */
export function decodeMapPart({ bytes, count }: RawExtents, range: Extent): MapPart {
  const extents: MappedExtent[] = [];
  let answeredTo = range.offsetBytes;
  let isWhole = count < EXTENT_BATCH_COUNT;
  for (let i = 0; i < count; i += 1) {
    const at = i * EXTENT_SIZE_BYTES;
    const flags = bytes.readUInt32LE(at + 40);
    const offsetBytes = readUint64(bytes, at);
    const physicalBytes = readUint64(bytes, at + 8);
    const endBytes = offsetBytes + readUint64(bytes, at + 16);
    const fromBytes = Math.max(offsetBytes, range.offsetBytes);
    const toBytes = Math.min(endBytes, extentEnd(range));
    answeredTo = Math.max(answeredTo, toBytes);
    isWhole ||= (flags & FLAG_LAST) !== 0;
    if (toBytes <= fromBytes) continue;
    extents.push({
      offsetBytes: fromBytes,
      lengthBytes: toBytes - fromBytes,
      physicalBytes: physicalBytes + (fromBytes - offsetBytes),
      isUnwritten: (flags & FLAG_UNWRITTEN) !== 0,
      isPlain: (flags & ~PLAIN_FLAGS) === 0 && physicalBytes > 0,
    });
  }
  const lengthBytes = (isWhole ? extentEnd(range) : answeredTo) - range.offsetBytes;
  return { range: { offsetBytes: range.offsetBytes, lengthBytes }, extents };
}

function readUint64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}

/**
 * Compares the maps of two open files that both exist, as they are now. The older one is read before and after the
 * newer: a tool that moved its blocks meanwhile, and put others in their place, would make different bytes look alike.
 * Returns why the maps cannot be relied on, or undefined when all went well. `signal` is looked at between calls.
 */
export async function compareMaps(
  files: { readonly older: number; readonly newer: number; readonly sizeBytes: number },
  sink: MapSink,
  calls: SystemCalls,
  signal?: AbortSignal,
): Promise<string | undefined> {
  for (let offsetBytes = 0; offsetBytes < files.sizeBytes; ) {
    signal?.throwIfAborted();
    const rest = { offsetBytes, lengthBytes: files.sizeBytes - offsetBytes };
    const before = await readMapPart(files.older, rest, calls);
    const newer = before && (await readMapPart(files.newer, before.range, calls));
    if (!before || !newer) return 'the file system keeps no map of extents';
    const { range } = newer;
    const after = await readMapPart(files.older, range, calls);
    if (range.lengthBytes === 0) return 'the map of extents has no end';
    if (!after || !isSameMap(cutPart(before, range), after)) return 'blocks of the snapshot were moved meanwhile';
    compareParts(after.extents, newer.extents, range, sink);
    offsetBytes = extentEnd(range);
    // Calls that answer at once would otherwise keep everything else waiting.
    await setImmediate();
  }
  return undefined;
}

function cutPart({ extents }: MapPart, range: Extent): MapPart {
  return { range, extents: extents.flatMap((extent) => cutExtent(extent, range) ?? []) };
}

function cutExtent(extent: MappedExtent, range: Extent): MappedExtent | undefined {
  const offsetBytes = Math.max(extent.offsetBytes, range.offsetBytes);
  const lengthBytes = Math.min(extentEnd(extent), extentEnd(range)) - offsetBytes;
  if (lengthBytes <= 0) return undefined;
  return {
    ...extent,
    offsetBytes,
    lengthBytes,
    physicalBytes: extent.physicalBytes + offsetBytes - extent.offsetBytes,
  };
}

/** By what the extents say, however they are cut: a kernel may answer one extent in two pieces. */
function isSameMap(left: MapPart, right: MapPart): boolean {
  if (extentEnd(left.range) !== extentEnd(right.range)) return false;
  const [lefts, rights] = [joinPieces(left.extents), joinPieces(right.extents)];
  return lefts.length === rights.length && lefts.every((extent, i) => isSameExtent(extent, rights[i]));
}

function joinPieces(extents: readonly MappedExtent[]): MappedExtent[] {
  const joined: MappedExtent[] = [];
  for (const extent of extents) {
    const last = joined.at(-1);
    const isNext =
      last !== undefined &&
      extentEnd(last) === extent.offsetBytes &&
      last.physicalBytes + last.lengthBytes === extent.physicalBytes &&
      last.isUnwritten === extent.isUnwritten &&
      last.isPlain === extent.isPlain;
    if (isNext) joined[joined.length - 1] = { ...last, lengthBytes: last.lengthBytes + extent.lengthBytes };
    else joined.push(extent);
  }
  return joined;
}

function isSameExtent(left: MappedExtent, right: MappedExtent | undefined): boolean {
  return (
    right !== undefined &&
    left.offsetBytes === right.offsetBytes &&
    left.lengthBytes === right.lengthBytes &&
    left.physicalBytes === right.physicalBytes &&
    left.isUnwritten === right.isUnwritten &&
    left.isPlain === right.isPlain
  );
}

/** Tells which bytes of `range` may differ and which both hold in one block. Both lists are of `range`. */
export function compareParts(
  older: readonly MappedExtent[],
  newer: readonly MappedExtent[],
  range: Extent,
  sink: MapSink,
): void {
  const left = new MapCursor(older, range);
  const right = new MapCursor(newer, range);
  for (let offsetBytes = range.offsetBytes; offsetBytes < extentEnd(range); ) {
    const endBytes = Math.min(left.endAt(offsetBytes), right.endAt(offsetBytes));
    const piece = { offsetBytes, lengthBytes: endBytes - offsetBytes };
    const [a, b] = [left.at(offsetBytes), right.at(offsetBytes)];
    if (a && b && isSameBlock(a, b)) {
      if (!b.isUnwritten) sink.addShared(piece);
    } else if (a || b) sink.addChanged(piece);
    offsetBytes = endBytes;
  }
}

/** At any offset that both hold. */
function isSameBlock(a: MappedExtent, b: MappedExtent): boolean {
  const isReliable = a.isPlain && b.isPlain && a.isUnwritten === b.isUnwritten;
  return isReliable && a.physicalBytes - a.offsetBytes === b.physicalBytes - b.offsetBytes;
}

/** Walks extents upwards: at each offset either an extent or a hole. */
class MapCursor {
  readonly #extents: readonly MappedExtent[];
  readonly #range: Extent;
  #next = 0;

  constructor(extents: readonly MappedExtent[], range: Extent) {
    this.#extents = extents;
    this.#range = range;
  }

  /** The extent that holds `offsetBytes`; undefined in a hole. Offsets never go back. */
  at(offsetBytes: number): MappedExtent | undefined {
    const extent = this.#seek(offsetBytes);
    return extent && extent.offsetBytes <= offsetBytes ? extent : undefined;
  }

  /** Where the extent or hole at `offsetBytes` ends. */
  endAt(offsetBytes: number): number {
    const extent = this.#seek(offsetBytes);
    if (!extent) return extentEnd(this.#range);
    return extent.offsetBytes <= offsetBytes ? extentEnd(extent) : extent.offsetBytes;
  }

  #seek(offsetBytes: number): MappedExtent | undefined {
    for (;;) {
      const extent = this.#extents[this.#next];
      if (!extent || extentEnd(extent) > offsetBytes) return extent;
      this.#next += 1;
    }
  }
}
