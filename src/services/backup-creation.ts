// How a backup is accepted: the rules that need the catalog, and the rows of the backup and of the job that makes it,
// in a transaction that somebody else commits. It is asked for by a caller or by a policy.
import { bytesToGib } from '../core/bytes.ts';
import { VbsError } from '../core/errors.ts';
import { newUuid, type PolicyId, type ProjectId, type SnapshotId, type UserId, type VolumeId } from '../core/ids.ts';
import type { Backup, Dialect, Job, Snapshot, Tag, Volume } from '../core/model.ts';
import type { CatalogRecords } from '../db/catalog.ts';
import { queueJob } from './backup-entry.ts';
import { requireBackupPossible, requireSnapshotBackupPossible } from './backup-rules.ts';
import type { BackupPayload } from './job-payloads.ts';
import { type BackupQuotas, requireBackupQuota } from './quota.ts';
import { requireServiceEnabled } from './service-states.ts';
import { findVolumeUse, requireBackup, requireSnapshot, requireVolume } from './subjects.ts';

export type CreateBackupInput = {
  readonly volumeId: VolumeId;
  readonly name: string | null;
  readonly description: string | null;
  readonly tags: readonly Tag[];
  /** Back this snapshot of the volume up, and leave the volume alone. */
  readonly snapshotId?: SnapshotId;
  /** False demands a full backup. */
  readonly isIncrementalRequested: boolean;
  /** Refuse instead of making a full backup when there is none to build on (contract 5.6). */
  readonly isBaseRequired?: boolean;
  /** `vbs`: in-use volumes are always allowed. `native`: they need `force`. */
  readonly dialect: Dialect;
  readonly container?: string | null;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly availabilityZone?: string | null;
  readonly force?: boolean;
};

export type BackupOwner = {
  readonly projectId: ProjectId;
  readonly userId: UserId;
  readonly policyId?: PolicyId;
  /** Of the request that asked for it. */
  readonly requestId?: string | undefined;
};

export type BackupCreationRules = {
  /** 0 = no limit. */
  readonly backupsPerVolume: number;
  readonly availabilityZone: string;
  readQuotas(records: CatalogRecords, projectId: ProjectId): Promise<BackupQuotas>;
};

/** What is backed up: the volume as it is, or a snapshot of it. */
type Subject = { readonly volume: Volume; readonly snapshot: Snapshot | undefined };

/** What is refused is refused before anything was written. @throws as BackupService.createBackup */
export async function enterBackup(
  records: CatalogRecords,
  rules: BackupCreationRules,
  owner: BackupOwner,
  input: CreateBackupInput,
  createdAt: number,
): Promise<{ job: Job; backup: Backup }> {
  const { requestId, ...owned } = owner;
  const { projectId } = owner;
  const volume = await requireVolume(records, projectId, input.volumeId);
  const subject = { volume, snapshot: await findSnapshot(records, volume, input.snapshotId) };
  await requireRoom(records, rules, subject, input);
  const parentId = input.isIncrementalRequested
    ? await findParent(records, subject, ['available', 'restoring'])
    : undefined;
  const payload = await showBackingUp(records, subject, input, createdAt);
  const { volumeId } = volume;
  const snapshotId = subject.snapshot?.snapshotId ?? null;
  const draft = { projectId, volumeId, snapshotId, payload, requestId, createdAt };
  const job = await queueJob(records, { ...draft, kind: 'backup' });
  await records.backups.insert({
    ...owned,
    ...{ volumeId, snapshotId, parentId, createdAt },
    backupId: job.backupId,
    jobId: job.jobId,
    name: input.name,
    description: input.description,
    dialect: input.dialect,
    sizeBytes: (subject.snapshot ?? volume).sizeBytes,
    container: input.container ?? null,
    availabilityZone: input.availabilityZone ?? rules.availabilityZone,
    isIncrementalRequested: input.isIncrementalRequested,
    tags: input.tags,
    metadata: input.metadata ?? {},
    sourceVolume: { isBootable: volume.isBootable, metadata: volume.metadata },
    dataTimestampAt: subject.snapshot === undefined ? undefined : frozenAtOf(subject.snapshot),
  });
  return { job, backup: await requireBackup(records, projectId, job.backupId) };
}

/** @throws SNAPSHOT_NOT_FOUND, REQUEST_FIELD_INVALID */
async function findSnapshot(
  records: CatalogRecords,
  { projectId, volumeId }: Volume,
  snapshotId: SnapshotId | undefined,
): Promise<Snapshot | undefined> {
  if (snapshotId === undefined) return undefined;
  const snapshot = await requireSnapshot(records, projectId, snapshotId);
  if (snapshot.volumeId === volumeId) return snapshot;
  throw new VbsError('REQUEST_FIELD_INVALID', { field: 'snapshot_id', reason: 'it is a snapshot of another volume' });
}

export function frozenAtOf({ frozenAt, createdAt }: Snapshot): number {
  return frozenAt ?? createdAt;
}

/** The checks of contract 3.1 that need the catalog, in its order: states, running operations, quotas. */
async function requireRoom(
  records: CatalogRecords,
  rules: BackupCreationRules,
  subject: Subject,
  input: CreateBackupInput,
): Promise<void> {
  const { volume, snapshot } = subject;
  const { projectId, volumeId } = volume;
  const { dialect, force = false } = input;
  const use = await findVolumeUse(records, volume);
  if (snapshot === undefined) requireBackupPossible(volume, use, { dialect, force });
  else requireSnapshotBackupPossible(volume, snapshot, use, dialect);
  if (input.isBaseRequired && (await findParent(records, subject, ['available'])) === undefined) {
    const reason = 'the volume has no available backup to build on';
    throw new VbsError('REQUEST_FIELD_INVALID', { field: 'incremental', reason });
  }
  const limit = rules.backupsPerVolume;
  if (limit > 0 && (await records.backups.countByVolume(projectId, volumeId)) >= limit) {
    throw new VbsError('BACKUPS_PER_VOLUME_EXCEEDED', { volumeId, limit });
  }
  requireBackupQuota(await rules.readQuotas(records, projectId), bytesToGib((snapshot ?? volume).sizeBytes));
  await requireServiceEnabled(records, 'cinder-backup');
}

/** What the backup would be an increment of: never of younger data than its own. */
async function findParent(
  { backups }: CatalogRecords,
  { volume, snapshot }: Subject,
  statuses: readonly Backup['status'][],
) {
  const { projectId, volumeId } = volume;
  return await backups.findParent({ projectId, volumeId, before: snapshot && frozenAtOf(snapshot) }, statuses);
}

/**
 * The native API shows a volume as `backing-up` until its backup has ended (contract 3.20); through the VBS API it
 * keeps its status (contract 5.2). A snapshot is shown so by both: it must not be deleted meanwhile.
 */
async function showBackingUp(
  { volumes, snapshots }: CatalogRecords,
  { volume, snapshot }: Subject,
  { dialect, force = false }: CreateBackupInput,
  updatedAt: number,
): Promise<BackupPayload> {
  if (snapshot !== undefined) {
    const { snapshotId } = snapshot;
    await snapshots.update(snapshotId, { status: 'backing-up', updatedAt });
    return { force, snapshotId, isOfSnapshot: true, previousStatus: null };
  }
  const payload = { force, snapshotId: newUuid<SnapshotId>(), isOfSnapshot: false };
  const { volumeId, status } = volume;
  if (dialect === 'vbs' || (status !== 'available' && status !== 'in-use')) return { ...payload, previousStatus: null };
  await volumes.update(volumeId, { status: 'backing-up', updatedAt });
  return { ...payload, previousStatus: status };
}
