// A manifest page: 1,024 entries that address chunks (level 0) or pages of the level below. Little-endian.
//   LEVEL(u8) || ZERO(1) || TABLE COUNT(u16) || ENTRIES(1024 x (TABLE INDEX u16 || SLOT u16)) || PACK IDS(16 each)
// An entry of 0xFFFFFFFF means zeros. Source: docs/repository-format.md, "Pages".
import assert from 'node:assert/strict';
import { VbsError } from '../../core/errors.ts';
import { idToBytes, type PackId, uuidFromBytes } from '../../core/ids.ts';
import { CHUNK_SIZE_BYTES, PAGE_ENTRY_COUNT } from '../../core/limits.ts';

/** The address of a chunk or page; undefined stands for zeros. */
export type Address = { readonly packId: PackId; readonly slot: number };

/** A page as its readers see it: entry i is `packIds[packIndexes[i]]`, `slots[i]`; pack index -1 means zeros. */
export type Page = {
  readonly level: number;
  readonly packIds: readonly PackId[];
  readonly packIndexes: Int32Array;
  readonly slots: Uint16Array;
};

const HEAD_SIZE_BYTES = 4;
const ENTRIES_SIZE_BYTES = 4 * PAGE_ENTRY_COUNT;
const ID_SIZE_BYTES = 16;
const ZERO_ENTRY = 0xffffffff;
export const PAGE_SIZE_MAX_BYTES = HEAD_SIZE_BYTES + ENTRIES_SIZE_BYTES + ID_SIZE_BYTES * PAGE_ENTRY_COUNT;

export function addressAt(page: Page, index: number): Address | undefined {
  const packIndex = page.packIndexes[index];
  assert(packIndex !== undefined, 'page entries run from 0 to 1023');
  if (packIndex < 0) return undefined;
  const packId = page.packIds[packIndex];
  const slot = page.slots[index];
  assert(packId !== undefined && slot !== undefined, 'entries of a checked page stay inside its table');
  return { packId, slot };
}

/** The same entries always give the same bytes: the table lists packs in order of first use. */
export function encodePage(level: number, entries: readonly (Address | undefined)[]): Buffer {
  assert(entries.length <= PAGE_ENTRY_COUNT, 'a page has at most 1,024 entries');
  const table = new Map<PackId, number>();
  const head = Buffer.alloc(HEAD_SIZE_BYTES + ENTRIES_SIZE_BYTES, 0xff);
  entries.forEach((address, i) => {
    if (!address) return;
    let tableIndex = table.get(address.packId);
    if (tableIndex === undefined) {
      tableIndex = table.size;
      table.set(address.packId, tableIndex);
    }
    head.writeUInt16LE(tableIndex, HEAD_SIZE_BYTES + 4 * i);
    head.writeUInt16LE(address.slot, HEAD_SIZE_BYTES + 4 * i + 2);
  });
  head.writeUInt8(level, 0);
  head.writeUInt8(0, 1);
  head.writeUInt16LE(table.size, 2);
  return Buffer.concat([head, ...[...table.keys()].map(idToBytes)]);
}

/** @throws DATA_CORRUPT when the bytes are no page of this level. */
export function decodePage(bytes: Buffer, level: number, object: string): Page {
  const refuse = (offsetBytes: number, reason: string) => new VbsError('DATA_CORRUPT', { object, offsetBytes, reason });
  if (bytes.length < HEAD_SIZE_BYTES + ENTRIES_SIZE_BYTES) throw refuse(0, 'the page is cut off');
  if (bytes.readUInt8(0) !== level) throw refuse(0, `the page is not of level ${level}`);
  const tableCount = bytes.readUInt16LE(2);
  const tableAt = HEAD_SIZE_BYTES + ENTRIES_SIZE_BYTES;
  if (bytes.length !== tableAt + tableCount * ID_SIZE_BYTES) throw refuse(2, 'the page has a wrong length');
  const packIds = Array.from({ length: tableCount }, (_, i) =>
    uuidFromBytes<PackId>(bytes, tableAt + i * ID_SIZE_BYTES),
  );
  const packIndexes = new Int32Array(PAGE_ENTRY_COUNT).fill(-1);
  const slots = new Uint16Array(PAGE_ENTRY_COUNT);
  for (let i = 0; i < PAGE_ENTRY_COUNT; i += 1) {
    const at = HEAD_SIZE_BYTES + 4 * i;
    if (bytes.readUInt32LE(at) === ZERO_ENTRY) continue;
    const tableIndex = bytes.readUInt16LE(at);
    if (tableIndex >= tableCount) throw refuse(at, `entry ${i} points outside the table`);
    packIndexes[i] = tableIndex;
    slots[i] = bytes.readUInt16LE(at + 2);
  }
  return { level, packIds, packIndexes, slots };
}

/** Levels of pages that a volume needs: 1 up to 64 MiB, 2 up to 64 GiB, 3 up to 64 TiB. */
export function countLevels(sizeBytes: number): number {
  let levels = 1;
  for (let covered = PAGE_ENTRY_COUNT * CHUNK_SIZE_BYTES; covered < sizeBytes; covered *= PAGE_ENTRY_COUNT) levels += 1;
  return levels;
}
