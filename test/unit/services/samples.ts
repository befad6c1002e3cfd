// Rows of the catalog for tests of rules, with everything at rest unless a test says otherwise.
import { GIB } from '../../../src/core/bytes.ts';
import { newHexId, newUuid, type ProjectId, type UserId } from '../../../src/core/ids.ts';
import type { Backup, Snapshot, Volume } from '../../../src/core/model.ts';

export const projectId = newHexId<ProjectId>();
export const userId = newHexId<UserId>();

export function sampleVolume(changes: Partial<Volume> = {}): Volume {
  return {
    volumeId: newUuid(),
    projectId,
    userId,
    name: 'disk',
    description: null,
    status: 'available',
    sizeBytes: 2 * GIB,
    volumeType: '__DEFAULT__',
    availabilityZone: 'az-1',
    driver: 'file',
    source: '/disks/disk.raw',
    isAdopted: false,
    isFresh: false,
    isBootable: false,
    metadata: {},
    isReadonly: null,
    imageMetadata: {},
    sourceBackupId: null,
    sourceSnapshotId: null,
    sourceVolumeId: null,
    createdAt: 1,
    updatedAt: null,
    ...changes,
  };
}

export function sampleSnapshot(changes: Partial<Snapshot> = {}): Snapshot {
  const snapshotId = changes.snapshotId ?? newUuid();
  return {
    snapshotId,
    projectId,
    userId,
    volumeId: newUuid(),
    name: 'before',
    description: null,
    status: 'available',
    sizeBytes: 2 * GIB,
    driver: 'file',
    source: `${snapshotId}.raw`,
    consistency: 'snapshot',
    frozenAt: 1,
    progressPercent: 100,
    isBootable: false,
    volumeType: '__DEFAULT__',
    availabilityZone: 'az-1',
    metadata: {},
    createdAt: 1,
    updatedAt: null,
    ...changes,
  };
}

export function sampleBackup(changes: Partial<Backup> = {}): Backup {
  return {
    backupId: newUuid(),
    projectId,
    userId,
    volumeId: newUuid(),
    jobId: newUuid(),
    policyId: null,
    name: 'nightly',
    description: null,
    status: 'available',
    dialect: 'vbs',
    sizeBytes: 2 * GIB,
    container: null,
    availabilityZone: 'az-1',
    snapshotId: null,
    isIncrementalRequested: true,
    isIncremental: false,
    parentId: null,
    hasDependents: false,
    objectCount: 0,
    storedBytes: 0,
    consistency: null,
    dataTimestampAt: null,
    failReason: null,
    attemptId: null,
    recordSha256: null,
    recordBackupId: newUuid(),
    sourceVolume: { isBootable: false, metadata: {} },
    tags: [],
    metadata: {},
    createdAt: 1,
    updatedAt: null,
    ...changes,
  };
}
