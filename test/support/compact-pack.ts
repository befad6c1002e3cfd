// Writes a pack anew without some of its slots, as the format lets a compaction do, and makes the new object current.
// Frames that lose slots keep theirs under a mask with gaps.
import { newUuid, type ObjectId, type PackId } from '../../src/core/ids.ts';
import { packObjectName } from '../../src/core/object-names.ts';
import { createObjectKey } from '../../src/engine/crypto/sealed-object.ts';
import { seal } from '../../src/engine/crypto/sealing.ts';
import { HEADER_SIZE_BYTES } from '../../src/engine/format/object-header.ts';
import {
  CODECS,
  encodeFrameHeader,
  encodeTail,
  encodeTrailer,
  FRAME_HEADER_SIZE_BYTES,
  type FrameEntry,
} from '../../src/engine/format/pack-format.ts';
import type { PackIndex } from '../../src/engine/pack/pack-index.ts';
import { collectUnsealed } from '../../src/engine/pipeline/segment-work.ts';
import type { Repository } from '../../src/engine/repository.ts';
import type { EngineBench } from './engine-bench.ts';

/** Data packs only. The old object stays in the store unless the caller removes it. */
export async function compactPack(bench: EngineBench, packId: PackId, deadSlots: readonly number[]): Promise<void> {
  const { repository, projectId, store, ledger } = bench;
  const row = ledger.packs.get(packId);
  if (!row) throw new Error(`no pack ${packId}`);
  const project = await repository.openProject(projectId);
  const index = await repository.packIndex(project, row);
  const objectId = newUuid<ObjectId>();
  const { repositoryId, keys } = project;
  const place = { repositoryId, projectId, kind: 'data', logicalId: packId, objectId } as const;
  const target = createObjectKey(keys, place);
  const parts: Buffer[] = [target.header];
  const frames: FrameEntry[] = [];
  const digests: Buffer[] = [];
  let offsetBytes = HEADER_SIZE_BYTES;
  for (const entry of index.frames) {
    const slots = slotsOf(entry).filter((slot) => !deadSlots.includes(slot));
    if (slots.length === 0) continue;
    const mask = slots.reduce((bits, slot) => bits | (1 << (slot - entry.firstSlot)), 0);
    const plaintext = await readSlots(repository, index, entry, slots);
    const ordinal = frames.length;
    const header = Buffer.alloc(FRAME_HEADER_SIZE_BYTES);
    const payloadBytes = plaintext.length + 16;
    encodeFrameHeader(header, 0, { ordinal, firstSlot: entry.firstSlot, mask, codec: CODECS.raw, payloadBytes });
    const { ciphertext, tag } = seal(target.key, ordinal, [target.header, header], plaintext);
    parts.push(header, ciphertext, tag);
    const storedBytes = FRAME_HEADER_SIZE_BYTES + payloadBytes;
    frames.push({ offsetBytes, storedBytes, firstSlot: entry.firstSlot, mask, codec: CODECS.raw });
    digests.push(...slots.map((slot) => index.digestOf(slot)));
    offsetBytes += storedBytes;
  }
  const trailer = encodeTrailer({ frames, digests: Buffer.concat(digests), lengths: undefined });
  const trailerOrdinal = frames.length;
  const tail = encodeTail({ trailerOffset: offsetBytes, trailerStoredBytes: trailer.length + 16, trailerOrdinal });
  const { ciphertext, tag } = seal(target.key, trailerOrdinal, [target.header, tail], trailer);
  await store.put(packObjectName(projectId, { ...row, objectId }), Buffer.concat([...parts, ciphertext, tag, tail]));
  ledger.packs.set(packId, { ...row, objectId });
}

function slotsOf({ firstSlot, mask }: FrameEntry): number[] {
  return Array.from({ length: 16 }, (_, bit) => bit)
    .filter((bit) => (mask & (1 << bit)) !== 0)
    .map((bit) => firstSlot + bit);
}

async function readSlots(
  { store }: Repository,
  index: PackIndex,
  entry: FrameEntry,
  slots: readonly number[],
): Promise<Uint8Array> {
  const { header, key, objectName } = index;
  const bytes = await store.readRange(objectName, entry.offsetBytes, entry.storedBytes);
  const wanted = slots.map((slot) => ({ bit: slot - entry.firstSlot, digest: index.digestOf(slot), offsets: [0] }));
  const frames = [{ entry, slots: wanted }];
  const bytesOffset = entry.offsetBytes;
  return collectUnsealed({ type: 'unseal', deviceId: undefined, objectName, header, key, bytes, bytesOffset, frames });
}
