// Rows that tests of the catalog start from, and the steps of a backup's life in the shortest words.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  type AttemptId,
  type BackupId,
  type JobId,
  newHexId,
  newUuid,
  type ObjectId,
  type PackId,
  type ProjectId,
  type UserId,
  type VolumeId,
} from '../../src/core/ids.ts';
import type { BackupCommit, JobClaim, PackLocation } from '../../src/core/ledger.ts';
import type { JobKind } from '../../src/core/model.ts';
import type { Catalog } from '../../src/db/catalog.ts';
import type { NewBackup, NewVolume } from '../../src/db/record-types.ts';

export const START_AT = Date.UTC(2026, 0, 5, 9);
const LEASE_MS = 30_000;

let lastMs = 0;
/** Instants that never repeat, so that orders by time are certain. */
export function tick(): number {
  lastMs += 1;
  return START_AT + lastMs;
}

export async function addProject(catalog: Catalog, name: string = newUuid()): Promise<ProjectId> {
  const projectId = newHexId<ProjectId>();
  await catalog.projects.insert({ projectId, name, domainId: 'default', description: '', createdAt: tick() });
  return projectId;
}

export function volumeRow(projectId: ProjectId, changes: Partial<NewVolume> = {}): NewVolume {
  return {
    volumeId: newUuid<VolumeId>(),
    projectId,
    userId: newHexId<UserId>(),
    name: 'disk',
    description: null,
    status: 'available',
    sizeBytes: 1024 ** 3,
    volumeType: '__DEFAULT__',
    availabilityZone: 'az-1',
    driver: 'file',
    source: '',
    isAdopted: false,
    isFresh: true,
    isBootable: false,
    metadata: {},
    sourceBackupId: null,
    sourceSnapshotId: null,
    sourceVolumeId: null,
    createdAt: tick(),
    ...changes,
  };
}

export function backupRow(projectId: ProjectId, changes: Partial<NewBackup> = {}): NewBackup {
  return {
    backupId: newUuid<BackupId>(),
    projectId,
    userId: newHexId<UserId>(),
    volumeId: newUuid<VolumeId>(),
    jobId: newUuid<JobId>(),
    name: 'nightly',
    description: null,
    dialect: 'vbs',
    sizeBytes: 1024 ** 3,
    container: null,
    availabilityZone: 'az-1',
    snapshotId: null,
    isIncrementalRequested: true,
    tags: [],
    metadata: {},
    sourceVolume: { isBootable: false, metadata: {} },
    createdAt: tick(),
    ...changes,
  };
}

/** Queues a job of some kind, with a backup row when it is one that writes a backup. */
export async function queueJob(
  catalog: Catalog,
  projectId: ProjectId,
  kind: JobKind,
  ids: { backupId?: BackupId; volumeId?: VolumeId } = {},
): Promise<JobId> {
  const jobId = newUuid<JobId>();
  await catalog.jobs.insert({ jobId, projectId, kind, ...ids, createdAt: tick() });
  return jobId;
}

export type Writing = {
  readonly claim: JobClaim;
  readonly backupId: BackupId;
  readonly volumeId: VolumeId;
  readonly attemptId: AttemptId;
};

/** A backup whose job is taken and begun. */
export async function beginBackup(
  catalog: Catalog,
  projectId: ProjectId,
  options: { volumeId?: VolumeId; isIncremental?: boolean } = {},
): Promise<Writing & { parentId: BackupId | undefined }> {
  const backup = backupRow(projectId, { volumeId: options.volumeId ?? newUuid<VolumeId>() });
  await catalog.transact(projectId, async (records) => {
    const { backupId, volumeId, jobId, createdAt } = backup;
    await records.backups.insert(backup);
    await records.jobs.insert({ jobId, projectId, kind: 'backup', backupId, volumeId, createdAt });
  });
  return await beginAttempt(catalog, projectId, backup, options.isIncremental ?? true);
}

/** Takes the backup's job (again) and begins an attempt. */
export async function beginAttempt(
  catalog: Catalog,
  projectId: ProjectId,
  backup: { backupId: BackupId; volumeId: VolumeId; jobId: JobId },
  isIncremental = true,
): Promise<Writing & { parentId: BackupId | undefined }> {
  const claim = await takeJob(catalog, projectId, backup.jobId);
  const attemptId = newUuid<AttemptId>();
  const { backupId, volumeId } = backup;
  const { parent } = await catalog.ledger.beginBackup(claim, { backupId, volumeId, attemptId, isIncremental });
  return { claim, backupId, volumeId, attemptId, parentId: parent?.backupId };
}

/** Takes a job whatever its lease says, as after the death of its runner. */
export async function takeJob(catalog: Catalog, projectId: ProjectId, jobId: JobId): Promise<JobClaim> {
  const job = await catalog.jobs.get(projectId, jobId);
  assert(job !== undefined);
  const nowAt = START_AT + 1e9 * (job.attempt + 1);
  const taken = await catalog.jobs.take(job, { runnerId: 'test', leaseUntil: nowAt + LEASE_MS }, nowAt);
  assert(taken !== undefined, 'the job can be taken');
  return taken.claim;
}

export function packLocation(kind: 'data' | 'page' = 'data'): PackLocation {
  return { packId: newUuid<PackId>(), kind, objectId: newUuid<ObjectId>() };
}

export function commitOf(writing: Writing, changes: Partial<BackupCommit> = {}): BackupCommit {
  return {
    backupId: writing.backupId,
    attemptId: writing.attemptId,
    recordSha256: createHash('sha256').update(writing.attemptId).digest(),
    parentId: undefined,
    isIncremental: false,
    sizeBytes: 1024 ** 3,
    storedBytes: 4096,
    objectCount: 3,
    consistency: 'snapshot',
    dataTimestampAt: START_AT,
    packs: [],
    usedPackIds: [],
    ...changes,
  };
}

/** A committed backup with one data pack. */
export async function addBackup(
  catalog: Catalog,
  projectId: ProjectId,
  options: { volumeId?: VolumeId } = {},
): Promise<Writing & { pack: PackLocation }> {
  const writing = await beginBackup(catalog, projectId, { ...options, isIncremental: false });
  const pack = packLocation();
  await catalog.ledger.reservePacks(writing.claim, [pack]);
  const packs = [{ packId: pack.packId, slotCount: 10, storedBytes: 4096 }];
  await catalog.ledger.commitBackup(writing.claim, commitOf(writing, { packs }), tick());
  return { ...writing, pack };
}

/** A taken job that deletes the backup. */
export async function beginDeletion(catalog: Catalog, projectId: ProjectId, backupId: BackupId): Promise<JobClaim> {
  await catalog.backups.update(backupId, { status: 'deleting' });
  return await takeJob(catalog, projectId, await queueJob(catalog, projectId, 'delete-backup', { backupId }));
}
