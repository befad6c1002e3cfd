// Writes one pack: frames in the order of their slots, then the trailer and the tail. It is durable after `finish`.
import assert from 'node:assert/strict';
import { discardBuffer } from '../../core/bytes.ts';
import type { ProjectId, RepositoryId } from '../../core/ids.ts';
import type { PackLocation } from '../../core/ledger.ts';
import { PACK_SLOT_COUNT_MAX } from '../../core/limits.ts';
import { packObjectName } from '../../core/object-names.ts';
import type { ObjectStore, ObjectWriter } from '../../storage/object-store.ts';
import { createObjectKey, type ProjectKeys } from '../crypto/sealed-object.ts';
import { seal } from '../crypto/sealing.ts';
import { HEADER_SIZE_BYTES } from '../format/object-header.ts';
import {
  DIGEST_SIZE_BYTES,
  encodeTail,
  encodeTrailer,
  type FrameEntry,
  TAIL_SIZE_BYTES,
} from '../format/pack-format.ts';

/** A frame whose slots are taken and whose bytes are still to come. */
export type OpenFrame = { readonly ordinal: number; readonly firstSlot: number; readonly slotCount: number };

/** A frame of another object of the same pack, with the slots that are kept. */
export type KeptFrame = {
  readonly firstSlot: number;
  readonly mask: number;
  /** Of the kept slots in their order. */
  readonly digests: readonly Buffer[];
  /** The same; page packs only. */
  readonly lengths: readonly number[];
};

export class PackWriter {
  readonly location: PackLocation;
  readonly header: Buffer;
  readonly key: Buffer;
  readonly #writer: ObjectWriter;
  readonly #frames: FrameEntry[] = [];
  readonly #digests: Buffer[] = [];
  readonly #lengths: number[] = [];
  #nextOrdinal = 0;
  #storedBytes = HEADER_SIZE_BYTES;

  private constructor(location: PackLocation, key: { header: Buffer; key: Buffer }, writer: ObjectWriter) {
    this.location = location;
    this.header = key.header;
    this.key = key.key;
    this.#writer = writer;
  }

  /** The pack's row must be in the catalog already. The signal ends the writing. */
  static async create(
    store: ObjectStore,
    keys: ProjectKeys,
    owner: { repositoryId: RepositoryId; projectId: ProjectId },
    location: PackLocation,
    signal?: AbortSignal,
  ): Promise<PackWriter> {
    const place = { ...owner, kind: location.kind, logicalId: location.packId, objectId: location.objectId };
    const key = createObjectKey(keys, place);
    const writer = await store.create(packObjectName(owner.projectId, location), signal);
    try {
      await writer.write(key.header);
    } catch (error) {
      // Nobody else knows this writer yet. The first failure is the one to tell.
      await writer.abort().catch(() => undefined);
      throw error;
    }
    return new PackWriter(location, key, writer);
  }

  get slotCount(): number {
    return this.#digests.length;
  }

  get freeSlotCount(): number {
    return PACK_SLOT_COUNT_MAX - this.#digests.length;
  }

  /** Bytes written so far; all of the pack after `finish`. */
  get storedBytes(): number {
    return this.#storedBytes;
  }

  /** Takes slots for one frame. Frames must be appended in the order in which their slots were taken. */
  openFrame(digests: readonly Buffer[], lengthBytes?: number): OpenFrame {
    assert(digests.length <= this.freeSlotCount, 'the caller closes a pack that is full');
    const frame = { ordinal: this.#nextOrdinal, firstSlot: this.#digests.length, slotCount: digests.length };
    this.#nextOrdinal += 1;
    this.#digests.push(...digests);
    if (lengthBytes !== undefined) this.#lengths.push(lengthBytes);
    return frame;
  }

  /** An ordinal for a frame that is sealed elsewhere; each is sealed once. */
  takeOrdinal(): number {
    this.#nextOrdinal += 1;
    return this.#nextOrdinal - 1;
  }

  /** Like `appendFrames`, for a compaction: slots keep their numbers, and there are gaps between them. */
  async appendKept(
    bytes: Uint8Array,
    frames: readonly (KeptFrame & { readonly storedBytes: number; readonly codec: number })[],
  ): Promise<void> {
    let offsetBytes = this.#storedBytes;
    for (const { firstSlot, mask, digests, lengths, storedBytes, codec } of frames) {
      this.#frames.push({ offsetBytes, storedBytes, firstSlot, mask, codec });
      this.#digests.push(...digests);
      this.#lengths.push(...lengths);
      offsetBytes += storedBytes;
    }
    await this.#append(bytes, offsetBytes);
  }

  /** Writes frames, which stand one after the other in `bytes` with the stored sizes given. `bytes` is used up. */
  async appendFrames(
    bytes: Uint8Array,
    frames: readonly (OpenFrame & { readonly storedBytes: number; readonly codec: number })[],
  ): Promise<void> {
    let offsetBytes = this.#storedBytes;
    for (const { firstSlot, slotCount, storedBytes, codec } of frames) {
      const mask = 2 ** slotCount - 1;
      this.#frames.push({ offsetBytes, storedBytes, firstSlot, mask, codec });
      offsetBytes += storedBytes;
    }
    await this.#append(bytes, offsetBytes);
  }

  async #append(bytes: Uint8Array, endOffsetBytes: number): Promise<void> {
    assert.equal(endOffsetBytes - this.#storedBytes, bytes.length, 'frames fill their bytes exactly');
    this.#storedBytes = endOffsetBytes;
    await this.#writer.write(bytes);
    discardBuffer(bytes);
  }

  /** Seals the trailer and makes the pack durable. @throws STORAGE_FULL, STORAGE_IO */
  async finish(): Promise<void> {
    const digests = Buffer.concat(this.#digests, this.#digests.length * DIGEST_SIZE_BYTES);
    const lengths = this.location.kind === 'page' ? Uint32Array.from(this.#lengths) : undefined;
    const plaintext = encodeTrailer({ frames: this.#frames, digests, lengths });
    const tail = encodeTail({
      trailerOffset: this.#storedBytes,
      trailerStoredBytes: plaintext.length + 16,
      trailerOrdinal: this.#nextOrdinal,
    });
    const { ciphertext, tag } = seal(this.key, this.#nextOrdinal, [this.header, tail], plaintext);
    await this.#writer.write(Buffer.concat([ciphertext, tag, tail]));
    this.#storedBytes += ciphertext.length + tag.length + TAIL_SIZE_BYTES;
    await this.#writer.commit();
  }

  async abort(): Promise<void> {
    await this.#writer.abort();
  }
}
