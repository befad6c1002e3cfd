// Writes a backup: reads the volume on the pipeline threads, decides here which chunks are new, stores them in packs,
// then the pages of the manifest, then the record; each durable before the next begins. The caller commits.
// Source: src/engine/README.md; docs/repository-format.md.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type AttemptId, type BackupId, newUuid } from '../core/ids.ts';
import type { BackupCommit, CommittedBackup } from '../core/ledger.ts';
import { RECORD_SIZE_MAX_BYTES } from '../core/limits.ts';
import { recordName } from '../core/object-names.ts';
import type { BackupRequest } from './backup-request.ts';
import { BackupScan } from './backup-scan.ts';
import { type ReadingReport, trackChanges } from './change-tracking.ts';
import { sealObject } from './crypto/sealed-object.ts';
import { DedupIndex, type HookEntry } from './dedup-index.ts';
import { type BackupRecord, encodeRecord } from './format/record-format.ts';
import { ManifestReader } from './manifest-reader.ts';
import { ManifestWriter } from './manifest-writer.ts';
import { type FinishedPack, PackFiller } from './pack/pack-filler.ts';
import type { OpenProject, Repository } from './repository.ts';
import { isUnreadable, readTwice } from './unreadable.ts';

export type WrittenBackup = {
  /** For the transaction that makes the backup available. */
  readonly commit: BackupCommit;
  /** Derived data, to be kept after the commit: half a million entries per TiB stored, made as they are read. */
  readonly hooks: Iterable<HookEntry>;
  readonly reading: ReadingReport;
};

/**
 * Stores everything of the backup durably. Nothing is visible until the caller commits; when this throws, what was
 * stored belongs to the job: its next attempt takes it up, or its failure puts it in the trash.
 * @throws EPOCH_CONFLICT, JOB_FENCED, STORAGE_FULL, STORAGE_IO, VOLUME_IO, VOLUME_SIZE_MISMATCH,
 * VOLUME_CHANGED
 */
export async function writeBackup(repository: Repository, request: BackupRequest): Promise<WrittenBackup> {
  const { claim, backupId, volumeId, source } = request;
  const project = await repository.openProject(claim.projectId);
  await repository.checkEpoch(project);
  const attemptId = newUuid<AttemptId>();
  const begun = await repository.ledger.beginBackup(claim, {
    backupId,
    volumeId,
    attemptId,
    isIncremental: request.isIncremental,
    parentBefore: request.parentBefore,
  });
  const parent = await openParent(repository, project, begun.parent);
  const { baseline } = begun;
  const { random = Math.random, signal } = request;
  const tracking = await trackChanges(repository, { project, parent, baseline, source, random, signal });
  const dedup = new DedupIndex({ repository, project, claim });
  await dedup.resume();
  const dataPacks = new PackFiller({ repository, project, claim, kind: 'data', signal });
  const pagePacks = new PackFiller({ repository, project, claim, kind: 'page', signal });
  try {
    const manifest = new ManifestWriter({ pagePacks, parent, sizeBytes: source.sizeBytes });
    const scan = new BackupScan({ repository, parent, ...tracking, dedup, dataPacks, manifest, request });
    await scan.run();
    const packs = [...(await dataPacks.finish()), ...(await pagePacks.finish()), ...resumedPacks(scan, dedup)];
    const isIncremental = parent !== undefined;
    const stored = {
      packs,
      // Not the record's: an imported parent stands on the record of another backup.
      parentId: parent && begun.parent?.backupId,
      isIncremental,
      storedBytes: packs.reduce((total, pack) => total + pack.storedBytes, 0),
      recordedAt: repository.clock.now(),
    };
    const recordBytes = sealRecord({ project, request, attemptId, manifest, stored });
    // A disk that was written meanwhile must not get a record: a record that exists is whole.
    await source.finish();
    // An adoption of the repository by another catalog must not find a record that appears after it looked. And a
    // catalog that is put back to a state from before this record must notice: what it has forgotten may rest on packs
    // that it takes for those of an unfinished job.
    await repository.raiseEpoch(project);
    await repository.store.put(recordName(project.projectId, backupId, attemptId), recordBytes);
    const commit: BackupCommit = {
      ...stored,
      backupId,
      attemptId,
      recordSha256: createHash('sha256').update(recordBytes).digest(),
      sizeBytes: source.sizeBytes,
      storedBytes: stored.storedBytes + recordBytes.length,
      objectCount: packs.length + 1,
      consistency: source.consistency,
      dataTimestampAt: source.frozenAt,
      usedPackIds: dedup.usedPackIds,
      baseline: await source.describeBaseline(),
    };
    return { commit, hooks: dedup.newHooks(), reading: tracking.report };
  } catch (error) {
    await Promise.all([dataPacks.abort(), pagePacks.abort()]);
    throw error;
  }
}

/**
 * The parent's manifest, or undefined when it cannot be read: then the backup is a full one, which relies on nothing
 * that is damaged. The damage itself is logged and found again by restore and verify.
 */
async function openParent(
  repository: Repository,
  project: OpenProject,
  parent: CommittedBackup | undefined,
): Promise<ManifestReader | undefined> {
  if (!parent) return undefined;
  try {
    return await readTwice(() => ManifestReader.open(repository, project, parent));
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    repository.logger.error({ err: error, backupId: parent.backupId }, 'the parent is damaged; a full backup is made');
    return undefined;
  }
}

/** Packs of earlier attempts that this attempt's manifest refers to. */
function resumedPacks(scan: BackupScan, dedup: DedupIndex): FinishedPack[] {
  return [...scan.referredPackIds].flatMap((packId) => {
    const index = dedup.resumedPack(packId);
    return index ? [{ packId, slotCount: index.slotCount, storedBytes: index.storedBytes }] : [];
  });
}

function sealRecord(parts: {
  project: OpenProject;
  request: BackupRequest;
  attemptId: AttemptId;
  manifest: ManifestWriter;
  stored: {
    packs: readonly FinishedPack[];
    parentId: BackupId | undefined;
    isIncremental: boolean;
    storedBytes: number;
    recordedAt: number;
  };
}): Buffer {
  const { project, request, attemptId, manifest, stored } = parts;
  const { backupId, volumeId, source } = request;
  const record: BackupRecord = {
    format: 1,
    backupId,
    attemptId,
    projectId: project.projectId,
    volumeId,
    parentId: stored.parentId ?? null,
    isIncremental: stored.isIncremental,
    ...request.describe,
    consistency: source.consistency,
    sizeBytes: source.sizeBytes,
    levels: manifest.levels,
    storedBytes: stored.storedBytes,
    objectCount: stored.packs.length + 1,
    dataTimestampAt: source.frozenAt,
    recordedAt: stored.recordedAt,
  };
  const { repositoryId, projectId, keys } = project;
  const place = { repositoryId, projectId, kind: 'record', logicalId: backupId, objectId: attemptId } as const;
  const sealed = sealObject(keys, place, encodeRecord(record, manifest.finish()));
  // Readers take a larger one for damage. What users say of a volume may add up over many requests.
  assert(sealed.length <= RECORD_SIZE_MAX_BYTES, 'a record that could not be read again');
  return sealed;
}
