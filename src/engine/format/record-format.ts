// The record of a backup: everything about it, and the top page of its manifest. One sealed part (ordinal 0).
//   HEADER || CIPHERTEXT || TAG, plaintext = JSON LENGTH(u32) || JSON || TOP PAGE
// Source: docs/repository-format.md, "Records".
import { VbsError } from '../../core/errors.ts';
import type { AttemptId, BackupId, ProjectId, VolumeId } from '../../core/ids.ts';
import type { BackupOrigin } from '../../core/ledger.ts';
import type { Tag } from '../../core/model.ts';

/** Contents of a record besides the page: enough to list the backup again from the repository alone. */
export type BackupRecord = {
  readonly format: 1;
  readonly backupId: BackupId;
  readonly attemptId: AttemptId;
  readonly projectId: ProjectId;
  readonly volumeId: VolumeId;
  readonly parentId: BackupId | null;
  readonly isIncremental: boolean;
  readonly name: string | null;
  readonly description: string | null;
  readonly tags: readonly Tag[];
  readonly volumeName: string | null;
  readonly driver: string;
  /** Absent in records of earlier versions. */
  readonly isVolumeBootable?: boolean | undefined;
  readonly volumeMetadata?: Readonly<Record<string, string>> | undefined;
  readonly origin?: BackupOrigin | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly recordedAt?: number | undefined;
  readonly consistency: 'snapshot' | 'quiescent' | 'fuzzy';
  readonly sizeBytes: number;
  /** Levels of pages; the top page has level `levels - 1`. */
  readonly levels: number;
  readonly storedBytes: number;
  readonly objectCount: number;
  readonly createdAt: number;
  readonly dataTimestampAt: number;
};

export function encodeRecord(record: BackupRecord, topPage: Buffer): Buffer {
  const json = Buffer.from(JSON.stringify(record), 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  return Buffer.concat([length, json, topPage]);
}

/** The bytes were authenticated before; what does not parse was written wrongly. @throws DATA_CORRUPT */
export function decodeRecord(bytes: Buffer, object: string): { record: BackupRecord; topPage: Buffer } {
  const refuse = (reason: string, cause?: unknown) =>
    new VbsError('DATA_CORRUPT', { object, offsetBytes: 0, reason }, { cause });
  if (bytes.length < 4) throw refuse('the record is cut off');
  const pageAt = 4 + bytes.readUInt32LE(0);
  if (pageAt > bytes.length) throw refuse('the record is cut off');
  let record: BackupRecord | null;
  try {
    // Sealed by this program under the project's key: its shape is as encodeRecord wrote it.
    record = JSON.parse(bytes.toString('utf8', 4, pageAt)) as BackupRecord | null;
  } catch (cause) {
    throw refuse('the record is not JSON', cause);
  }
  if (typeof record?.format !== 'number') throw refuse('the record has no format');
  if (record.format !== 1) throw new VbsError('REPOSITORY_UNKNOWN_FORMAT', { version: String(record.format) });
  return { record, topPage: bytes.subarray(pageAt) };
}
