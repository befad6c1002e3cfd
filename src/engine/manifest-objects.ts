// The two kinds of object that a manifest is read from: the record of a backup and, slot by slot, packs of pages.
import { createHash } from 'node:crypto';
import { VbsError } from '../core/errors.ts';
import type { RecordRef } from '../core/ledger.ts';
import { RECORD_SIZE_MAX_BYTES } from '../core/limits.ts';
import { recordName } from '../core/object-names.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { unsealObject } from './crypto/sealed-object.ts';
import { unseal } from './crypto/sealing.ts';
import { CODECS, checkFrameHeader, FRAME_HEADER_SIZE_BYTES } from './format/pack-format.ts';
import { type Address, countLevels, decodePage, PAGE_SIZE_MAX_BYTES, type Page } from './format/page-format.ts';
import { type BackupRecord, decodeRecord } from './format/record-format.ts';
import type { PackAccess } from './pack/pack-access.ts';
import type { PackIndex } from './pack/pack-index.ts';
import { decompress } from './pipeline/segment-work.ts';
import type { OpenProject } from './repository.ts';

export type OpenedRecord = {
  readonly record: BackupRecord;
  readonly topPage: Page;
  readonly sha256: Buffer;
  /** Of the whole object. */
  readonly sizeBytes: number;
};

/**
 * Reads and opens a record. `expectedSha256` is absent for a record that the catalog does not know: then only its key
 * says that it is genuine.
 * @throws DATA_CORRUPT when the record is not the one expected, bit by bit; OBJECT_NOT_FOUND; STORAGE_IO
 */
export async function readRecord(
  store: ObjectStore,
  project: OpenProject,
  { backupId, attemptId, recordBackupId = backupId }: RecordRef,
  expectedSha256?: Uint8Array,
): Promise<OpenedRecord> {
  const { repositoryId, projectId, keys } = project;
  const name = recordName(projectId, recordBackupId, attemptId);
  const bytes = await store.get(name, RECORD_SIZE_MAX_BYTES);
  const refuse = (reason: string) => new VbsError('DATA_CORRUPT', { object: name, offsetBytes: 0, reason });
  const sha256 = createHash('sha256').update(bytes).digest();
  if (expectedSha256 && !sha256.equals(expectedSha256)) {
    throw refuse('the record does not have the digest that was committed');
  }
  const place = { repositoryId, projectId, kind: 'record', logicalId: recordBackupId, objectId: attemptId } as const;
  const { record, topPage } = decodeRecord(unsealObject(keys, place, bytes, name), name);
  if (record.levels !== countLevels(record.sizeBytes)) throw refuse('its levels do not fit its size');
  return { record, topPage: decodePage(topPage, record.levels - 1, name), sha256, sizeBytes: bytes.length };
}

/** A page that is stored in a pack, from whichever object of it is current. @throws DATA_CORRUPT, STORAGE_IO */
export function readPage(store: ObjectStore, packs: PackAccess, address: Address, level: number): Promise<Page> {
  return packs.read(address.packId, (index) => readPageFrom(store, index, address.slot, level));
}

async function readPageFrom(store: ObjectStore, index: PackIndex, slot: number, level: number): Promise<Page> {
  const entry = index.frames[index.frameIndexOf(slot)];
  if (!entry) throw new VbsError('INTERNAL');
  const object = index.objectName;
  const where = { object, offsetBytes: entry.offsetBytes };
  const bytes = await store.readRange(object, entry.offsetBytes, entry.storedBytes);
  const header = bytes.subarray(0, FRAME_HEADER_SIZE_BYTES);
  const ordinal = checkFrameHeader(header, entry, object);
  const payload = unseal(index.key, ordinal, [index.header, header], bytes.subarray(FRAME_HEADER_SIZE_BYTES), where);
  const plaintext = entry.codec === CODECS.zstd ? decompress(payload, PAGE_SIZE_MAX_BYTES, where) : payload;
  if (plaintext.length !== index.lengthOf(slot)) {
    throw new VbsError('DATA_CORRUPT', { ...where, reason: 'the page does not have its length' });
  }
  return decodePage(plaintext, level, object);
}
