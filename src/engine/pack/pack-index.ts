// What a reader knows of one stored version of a pack: where each slot's frame is, and each slot's digest.
import assert from 'node:assert/strict';
import { VbsError } from '../../core/errors.ts';
import type { ProjectId, RepositoryId } from '../../core/ids.ts';
import type { PackLocation } from '../../core/ledger.ts';
import { CHUNK_SIZE_BYTES } from '../../core/limits.ts';
import { packObjectName } from '../../core/object-names.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { DigestTable } from '../chunk/digest-table.ts';
import { openObjectKey, type ProjectKeys } from '../crypto/sealed-object.ts';
import { unseal } from '../crypto/sealing.ts';
import { HEADER_SIZE_BYTES } from '../format/object-header.ts';
import {
  DIGEST_SIZE_BYTES,
  decodeTail,
  decodeTrailer,
  type FrameEntry,
  TAIL_SIZE_BYTES,
  type Trailer,
} from '../format/pack-format.ts';

/** Enough for the trailer of a pack of well compressed text (4,000 slots) in the same read as the tail. */
const SUFFIX_READ_BYTES = 160 * 1024;

export class PackIndex {
  readonly location: PackLocation;
  readonly objectName: string;
  readonly header: Buffer;
  readonly key: Buffer;
  /** Of the whole stored object. */
  readonly storedBytes: number;
  readonly frames: readonly FrameEntry[];
  readonly #trailer: Trailer;
  /** Slot -> position among the present slots, -1 when absent. */
  readonly #positionOfSlot: Int32Array;
  /** Slot -> index of its frame. */
  readonly #frameOfSlot: Int32Array;
  #slotOfDigest: DigestTable | undefined;

  constructor(
    place: { location: PackLocation; objectName: string; header: Buffer; key: Buffer; storedBytes: number },
    trailer: Trailer,
  ) {
    this.location = place.location;
    this.objectName = place.objectName;
    this.header = place.header;
    this.key = place.key;
    this.storedBytes = place.storedBytes;
    this.frames = trailer.frames;
    this.#trailer = trailer;
    const last = trailer.frames.at(-1);
    const slotCount = last ? last.firstSlot + (32 - Math.clz32(last.mask)) : 0;
    this.#positionOfSlot = new Int32Array(slotCount).fill(-1);
    this.#frameOfSlot = new Int32Array(slotCount).fill(-1);
    let position = 0;
    trailer.frames.forEach((frame, frameIndex) => {
      for (let bit = 0; bit < 16; bit += 1) {
        if ((frame.mask & (1 << bit)) === 0) continue;
        this.#positionOfSlot[frame.firstSlot + bit] = position;
        this.#frameOfSlot[frame.firstSlot + bit] = frameIndex;
        position += 1;
      }
    });
  }

  /** Memory that the index takes, counted as if its table of digests existed already. */
  get memoryBytes(): number {
    return this.#trailer.digests.length * 3 + this.#positionOfSlot.byteLength * 2 + this.frames.length * 64 + 512;
  }

  /** Slots that were ever given, present or not. */
  get slotCount(): number {
    return this.#positionOfSlot.length;
  }

  hasSlot(slot: number): boolean {
    return (this.#positionOfSlot[slot] ?? -1) >= 0;
  }

  /** True when the slot is present and its digest is the one at `offset` of `source`. */
  matches(slot: number, source: Buffer, offset: number): boolean {
    const position = this.#positionOfSlot[slot] ?? -1;
    if (position < 0) return false;
    const at = position * DIGEST_SIZE_BYTES;
    return this.#trailer.digests.compare(source, offset, offset + DIGEST_SIZE_BYTES, at, at + DIGEST_SIZE_BYTES) === 0;
  }

  /** Calls back with every present slot and where its digest stands in `digests`. */
  forEachDigest(visit: (slot: number, digests: Buffer, offset: number) => void): void {
    this.#positionOfSlot.forEach((position, slot) => {
      if (position >= 0) visit(slot, this.#trailer.digests, position * DIGEST_SIZE_BYTES);
    });
  }

  /** A slot with the digest at `offset` of `source`, or undefined. */
  findSlot(source: Buffer, offset: number): number | undefined {
    if (!this.#slotOfDigest) {
      const table = new DigestTable(this.#trailer.digests.length / DIGEST_SIZE_BYTES);
      this.forEachDigest((slot, digests, at) => table.insert(digests, at, slot));
      this.#slotOfDigest = table;
    }
    return this.#slotOfDigest.find(source, offset);
  }

  /** @throws DATA_CORRUPT when the slot is not in this pack: a manifest must never point to nothing */
  frameIndexOf(slot: number): number {
    const index = this.#frameOfSlot[slot] ?? -1;
    if (index < 0) {
      throw new VbsError('DATA_CORRUPT', {
        object: this.objectName,
        offsetBytes: 0,
        reason: `slot ${slot} is missing`,
      });
    }
    return index;
  }

  digestOf(slot: number): Buffer {
    const position = this.#positionOfSlot[slot] ?? -1;
    assert(position >= 0, 'the caller has found the frame of the slot before');
    return this.#trailer.digests.subarray(position * DIGEST_SIZE_BYTES, (position + 1) * DIGEST_SIZE_BYTES);
  }

  /** Plaintext bytes of a slot that is present, of either kind. */
  plaintextBytesOf(slot: number): number {
    return this.location.kind === 'page' ? this.lengthOf(slot) : CHUNK_SIZE_BYTES;
  }

  /** Plaintext bytes of a page slot. */
  lengthOf(slot: number): number {
    const position = this.#positionOfSlot[slot] ?? -1;
    const length = this.#trailer.lengths?.[position];
    assert(length !== undefined, 'only page packs have lengths, and the caller has found the frame of the slot before');
    return length;
  }
}

/** Reads and opens the trailer of a stored pack. @throws OBJECT_NOT_FOUND, DATA_CORRUPT, STORAGE_IO */
export async function readPackIndex(
  store: ObjectStore,
  keys: ProjectKeys,
  owner: { repositoryId: RepositoryId; projectId: ProjectId },
  location: PackLocation,
): Promise<PackIndex> {
  const objectName = packObjectName(owner.projectId, location);
  const [header, suffix] = await Promise.all([
    store.readRange(objectName, 0, HEADER_SIZE_BYTES),
    store.readSuffix(objectName, SUFFIX_READ_BYTES),
  ]);
  const place = { ...owner, kind: location.kind, logicalId: location.packId, objectId: location.objectId };
  const key = openObjectKey(keys, header, place, objectName);
  const tailBytes = suffix.bytes.subarray(Math.max(0, suffix.bytes.length - TAIL_SIZE_BYTES));
  const tail = decodeTail(tailBytes, suffix.sizeBytes, objectName);
  const suffixAt = suffix.sizeBytes - suffix.bytes.length;
  const sealed =
    tail.trailerOffset >= suffixAt
      ? suffix.bytes.subarray(tail.trailerOffset - suffixAt, tail.trailerOffset - suffixAt + tail.trailerStoredBytes)
      : await store.readRange(objectName, tail.trailerOffset, tail.trailerStoredBytes);
  const where = { object: objectName, offsetBytes: tail.trailerOffset };
  const plaintext = unseal(key, tail.trailerOrdinal, [header, tailBytes], sealed, where);
  const trailer = decodeTrailer(plaintext, location.kind, tail.trailerOffset, objectName);
  return new PackIndex({ location, objectName, header, key, storedBytes: suffix.sizeBytes }, trailer);
}
