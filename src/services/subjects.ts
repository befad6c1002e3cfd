// The rows that a request or a job is about. Looked up by project as well as by id, so that what belongs to another
// project answers exactly as what does not exist.
import { VbsError } from '../core/errors.ts';
import type { BackupId, ProjectId, VolumeId } from '../core/ids.ts';
import type { Backup, Job, Volume } from '../core/model.ts';
import type { CatalogRecords } from '../db/catalog.ts';
import type { VolumeUse } from './backup-rules.ts';

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

export async function findVolumeUse({ backups }: Pick<CatalogRecords, 'backups'>, volume: Volume): Promise<VolumeUse> {
  return { isBeingBackedUp: await backups.isBeingCreated(volume.projectId, volume.volumeId) };
}
