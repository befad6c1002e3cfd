// Looks at a record that the catalog does not name as committed: to take over a backup whose row is gone, or to check
// that everything it leads to is still there.

import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { bitmapHas } from '../core/bitmap.ts';
import { VbsError } from '../core/errors.ts';
import type { AttemptId, BackupId, PackId, ProjectId } from '../core/ids.ts';
import type { JobClaim } from '../core/ledger.ts';
import { CHUNK_SIZE_BYTES, PAGE_ENTRY_COUNT, PAGE_WALK_COUNT, RECORD_SIZE_MAX_BYTES } from '../core/limits.ts';
import type { Progress } from '../core/model.ts';
import { recordName } from '../core/object-names.ts';
import { unsealObject } from './crypto/sealed-object.ts';
import { addressAt, type Page } from './format/page-format.ts';
import { type BackupRecord, decodeRecord } from './format/record-format.ts';
import { ManifestReader } from './manifest-reader.ts';
import type { Repository } from './repository.ts';

/** Names a record in the part of the store that belongs to the project. */
export type RecordPlace = {
  readonly projectId: ProjectId;
  readonly recordBackupId: BackupId;
  readonly attemptId: AttemptId;
};

export type StoredRecord = { readonly record: BackupRecord; readonly recordSha256: Uint8Array };

/**
 * The record as it lies in the store, opened with the project's keys: what was sealed for another project or under
 * another name does not open. It may lead to data that is gone. @throws OBJECT_NOT_FOUND, DATA_CORRUPT, STORAGE_IO
 */
export async function readStoredRecord(repository: Repository, place: RecordPlace): Promise<StoredRecord> {
  const { projectId, recordBackupId, attemptId } = place;
  const object = recordName(projectId, recordBackupId, attemptId);
  // A project without an epoch has nothing in the store, and opening it would make it one.
  if ((await repository.ledger.readEpoch(projectId)) === undefined) throw new VbsError('OBJECT_NOT_FOUND', { object });
  const project = await repository.openProject(projectId);
  const bytes = await repository.store.get(object, RECORD_SIZE_MAX_BYTES);
  const recordSha256 = createHash('sha256').update(bytes).digest();
  const { repositoryId, keys } = project;
  const sealedFor = {
    repositoryId,
    projectId,
    kind: 'record',
    logicalId: recordBackupId,
    objectId: attemptId,
  } as const;
  const { record } = decodeRecord(unsealObject(keys, sealedFor, bytes, object), object);
  return { record, recordSha256 };
}

export type ManifestCheck = {
  readonly claim: JobClaim;
  readonly backupId: BackupId;
  readonly report: (progress: Partial<Progress>) => void;
  readonly signal: AbortSignal;
};

/**
 * Walks all pages of a backup and looks every pack up that they name: each is in the catalog, and no chunk that the
 * backup needs was given up. The chunks themselves are not read. The pin goes with the job.
 * @throws BACKUP_NOT_FOUND, DATA_CORRUPT, OBJECT_NOT_FOUND, STORAGE_IO
 */
export async function checkManifest(repository: Repository, request: ManifestCheck): Promise<BackupRecord> {
  const { backupId, signal } = request;
  const pinned = await repository.ledger.pinBackup(request.claim, backupId);
  if (!pinned) throw new VbsError('BACKUP_NOT_FOUND', { backupId });
  const project = await repository.openProject(pinned.projectId);
  const manifest = await ManifestReader.open(repository, project, pinned);
  const { sizeBytes } = manifest.record;
  for (let pageIndex = 0; pageIndex < manifest.pageCount; pageIndex += 1) {
    // As in segment-plan.ts: pages of zeros wait for nothing.
    if (pageIndex % PAGE_WALK_COUNT === 0) await setImmediate();
    signal.throwIfAborted();
    const page = await manifest.pageAt(0, pageIndex);
    if (page) await checkPage(manifest, page);
    const skippedBytes = Math.min(sizeBytes, (pageIndex + 1) * PAGE_ENTRY_COUNT * CHUNK_SIZE_BYTES);
    request.report({ totalBytes: sizeBytes, skippedBytes });
  }
  return manifest.record;
}

async function checkPage(manifest: ManifestReader, page: Page): Promise<void> {
  const slots = new Map<PackId, number[]>();
  for (let entry = 0; entry < PAGE_ENTRY_COUNT; entry += 1) {
    const address = addressAt(page, entry);
    if (!address) continue;
    const known = slots.get(address.packId);
    if (known) known.push(address.slot);
    else slots.set(address.packId, [address.slot]);
  }
  for (const { packId, condemned } of await manifest.packsOf([...slots.keys()])) {
    const lost = slots.get(packId)?.find((slot) => bitmapHas(condemned, slot));
    if (lost === undefined) continue;
    const reason = `the backup needs slot ${lost}, which was given up`;
    throw new VbsError('DATA_CORRUPT', { object: `pack ${packId}`, offsetBytes: 0, reason });
  }
}
