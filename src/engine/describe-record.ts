// A backup as its record describes it, for a catalog that has no row of it.
import type { AdoptedBackup, RecordRef } from '../core/ledger.ts';
import type { OpenedRecord } from './manifest-objects.ts';

export type DescribedBackup = Omit<AdoptedBackup, 'packs'>;

export function describeRecord({ record, sha256, sizeBytes }: OpenedRecord, ref: RecordRef): DescribedBackup {
  // The record cannot know its own size when it is sealed; the backup that wrote it counts it.
  return { ...record, ...ref, recordSha256: sha256, storedBytes: record.storedBytes + sizeBytes };
}

/** A backup that stands on the record of another one; what else is its own, its label says. */
export function describeImport(opened: OpenedRecord, ref: RecordRef, createdAt: number): DescribedBackup {
  const { record, sha256: recordSha256 } = opened;
  const own = { name: null, description: null, tags: [], metadata: {}, origin: undefined, createdAt };
  return { ...record, ...ref, ...own, recordSha256 };
}
