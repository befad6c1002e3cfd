// The rows that a request or a job is about. Looked up by project as well as by id, so that what belongs to another
// project answers exactly as what does not exist.
import { VbsError } from '../core/errors.ts';
import type { BackupId, ProjectId, SnapshotId, VolumeId } from '../core/ids.ts';
import type { Backup, Job, Snapshot, Volume } from '../core/model.ts';
import type { CatalogRecords } from '../db/catalog.ts';
import type { VolumeUse } from './backup-rules.ts';
import { type Caller, hasRole } from './caller.ts';
import type { SnapshotUse } from './snapshot-rules.ts';

/** @throws VOLUME_NOT_FOUND */
export async function requireVolume(
  { volumes }: Pick<CatalogRecords, 'volumes'>,
  projectId: ProjectId,
  volumeId: VolumeId,
): Promise<Volume> {
  const volume = await volumes.get(projectId, volumeId);
  if (volume === undefined) throw new VbsError('VOLUME_NOT_FOUND', { volumeId });
  return volume;
}

/**
 * Whose volume a caller of the native API means by an id: admins look after those of all projects, as in Cinder. What
 * follows works on the project that this answers; for all others it is the one that was asked for.
 */
export async function findVolumeOwner(
  { volumes }: Pick<CatalogRecords, 'volumes'>,
  caller: Caller,
  projectId: ProjectId,
  volumeId: VolumeId,
): Promise<ProjectId> {
  if (!hasRole(caller, 'admin')) return projectId;
  return (await volumes.find(volumeId))?.projectId ?? projectId;
}

/** The same for a snapshot. */
export async function findSnapshotOwner(
  { snapshots }: Pick<CatalogRecords, 'snapshots'>,
  caller: Caller,
  projectId: ProjectId,
  snapshotId: SnapshotId,
): Promise<ProjectId> {
  if (!hasRole(caller, 'admin')) return projectId;
  return (await snapshots.find(snapshotId))?.projectId ?? projectId;
}

/** @throws BACKUP_NOT_FOUND */
export async function requireBackup(
  { backups }: Pick<CatalogRecords, 'backups'>,
  projectId: ProjectId,
  backupId: BackupId,
): Promise<Backup> {
  const backup = await backups.get(projectId, backupId);
  if (backup === undefined) throw new VbsError('BACKUP_NOT_FOUND', { backupId });
  return backup;
}

/** One of the project, or one that is shared with it. */
export async function findReadableBackup(
  { backups, sharings }: Pick<CatalogRecords, 'backups' | 'sharings'>,
  projectId: ProjectId,
  backupId: BackupId,
): Promise<Backup | undefined> {
  const own = await backups.get(projectId, backupId);
  if (own !== undefined) return own;
  const grant = await sharings.findGrant(projectId, backupId);
  return grant === undefined ? undefined : await backups.find(backupId);
}

/** Its state keeps the backup of a job from being deleted, so a missing one ends the job. @throws BACKUP_NOT_FOUND */
export async function requireJobBackup(records: Pick<CatalogRecords, 'backups'>, job: Job): Promise<Backup> {
  if (job.backupId === null) throw new VbsError('BACKUP_NOT_FOUND');
  return await requireBackup(records, job.projectId, job.backupId);
}

/**
 * What a restore reads: of whichever project, for that it may was found when the job was accepted, and the job holds it
 * since. @throws BACKUP_NOT_FOUND
 */
export async function requireRestoredBackup({ backups }: Pick<CatalogRecords, 'backups'>, job: Job): Promise<Backup> {
  const backup = job.backupId === null ? undefined : await backups.find(job.backupId);
  if (backup === undefined) throw new VbsError('BACKUP_NOT_FOUND', { backupId: job.backupId ?? undefined });
  return backup;
}

/** @throws VOLUME_NOT_FOUND */
export async function requireJobVolume(records: Pick<CatalogRecords, 'volumes'>, job: Job): Promise<Volume> {
  if (job.volumeId === null) throw new VbsError('VOLUME_NOT_FOUND');
  return await requireVolume(records, job.projectId, job.volumeId);
}

/** @throws SNAPSHOT_NOT_FOUND */
export async function requireSnapshot(
  { snapshots }: Pick<CatalogRecords, 'snapshots'>,
  projectId: ProjectId,
  snapshotId: SnapshotId,
): Promise<Snapshot> {
  const snapshot = await snapshots.get(projectId, snapshotId);
  if (snapshot === undefined) throw new VbsError('SNAPSHOT_NOT_FOUND', { snapshotId });
  return snapshot;
}

/** @throws SNAPSHOT_NOT_FOUND */
export async function requireJobSnapshot(records: Pick<CatalogRecords, 'snapshots'>, job: Job): Promise<Snapshot> {
  if (job.snapshotId === null) throw new VbsError('SNAPSHOT_NOT_FOUND');
  return await requireSnapshot(records, job.projectId, job.snapshotId);
}

/** A job that works on the volume and decides its state. */
export async function findVolumeJob(
  { jobs }: Pick<CatalogRecords, 'jobs'>,
  { projectId, volumeId }: Volume,
): Promise<Job | undefined> {
  return await jobs.findOpen({ projectId, volumeId, kinds: VOLUME_JOB_KINDS });
}

export async function findVolumeUse(
  { backups, jobs }: Pick<CatalogRecords, 'backups' | 'jobs'>,
  { projectId, volumeId }: Volume,
): Promise<VolumeUse> {
  return {
    isBeingBackedUp: await backups.isBeingCreated(projectId, volumeId),
    isBeingCopied: await jobs.isVolumeBeingCopied(projectId, volumeId),
  };
}

/** Jobs that decide the status of the volume they are about. */
export const VOLUME_JOB_KINDS = ['backup', 'restore', 'delete-volume', 'copy-volume', 'revert-volume'] as const;

/** The snapshots of a volume, and whether they may go with it. */
export async function findSnapshots(
  records: Pick<CatalogRecords, 'jobs' | 'snapshots'>,
  { projectId, volumeId }: Volume,
): Promise<{ readonly snapshot: Snapshot; readonly use: SnapshotUse }[]> {
  const found: { snapshot: Snapshot; use: SnapshotUse }[] = [];
  for (const snapshot of await records.snapshots.listOfVolume(projectId, volumeId)) {
    found.push({ snapshot, use: await findSnapshotUse(records, snapshot) });
  }
  return found;
}

export async function findSnapshotUse(
  { jobs }: Pick<CatalogRecords, 'jobs'>,
  { projectId, snapshotId, volumeId }: Snapshot,
): Promise<SnapshotUse> {
  const kinds = ['create-snapshot', 'delete-snapshot', 'copy-volume', 'revert-volume', 'backup'] as const;
  const job =
    (await jobs.findOpen({ projectId, snapshotId, kinds })) ??
    (await jobs.findOpen({ projectId, volumeId, kinds: ['delete-volume'] }));
  return { isJobOpen: job !== undefined };
}
