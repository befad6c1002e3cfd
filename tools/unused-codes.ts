// Codes of the VBS reference that this service never answers with, each with the reason: part of docs/errors.md.

type UnusedCodes = { readonly codes: readonly string[]; readonly meaning: string; readonly reason: string };

const NO_TEMPORARY_VOLUME =
  'Backups are read from an internal snapshot or the quiet disk: there is no temporary volume.';
const ONE_TRANSACTION =
  'Rows are read in the transaction that decides; when it fails, the answer is 500 or 503 as such.';
const SNAPSHOT_IN_ENGINE = "The snapshot is the driver's and internal; when it cannot be made, the code is 0017.";
const NO_STORAGE_TIERS = 'Quotas do not tell types of storage apart: the codes are 0080 and 0081.';
const NO_IMAGES = 'There is no image service here, so nothing is ever made of a backup but volumes.';
const NO_DELEGATION = 'Nothing is delegated: the service reads disks and keys by itself.';
const NO_SUCH_STORAGE = 'Every volume that the service knows can be backed up.';

function code(family: 'AutoBackup' | 'VolumeBackup', numbers: string): string[] {
  return numbers.split(' ').map((number) => `${family}.${number}`);
}

export const UNUSED_CODES: readonly UnusedCodes[] = [
  { codes: code('VolumeBackup', '0008'), meaning: 'delegated permission not obtained', reason: NO_DELEGATION },
  { codes: code('VolumeBackup', '0009'), meaning: 'delegated key not obtained', reason: NO_DELEGATION },
  { codes: code('VolumeBackup', '0018'), meaning: 'snapshot creation returned nothing', reason: SNAPSHOT_IN_ENGINE },
  { codes: code('VolumeBackup', '0019'), meaning: 'snapshot lookup failed', reason: SNAPSHOT_IN_ENGINE },
  { codes: code('VolumeBackup', '0022 0023'), meaning: 'temporary volume not created', reason: NO_TEMPORARY_VOLUME },
  { codes: code('VolumeBackup', '0024 0025'), meaning: 'temporary volume not found', reason: NO_TEMPORARY_VOLUME },
  {
    codes: code('VolumeBackup', '0027 0028 0029 0030'),
    meaning: 'backup creation failed or returned nothing, result unreadable or empty',
    reason: 'There is no second service whose answer could be missing; a backup that fails has 0017, 0063 or 0064.',
  },
  { codes: code('VolumeBackup', '0035 0036'), meaning: 'listing volumes or backups failed', reason: ONE_TRANSACTION },
  { codes: code('VolumeBackup', '0037'), meaning: 'snapshot state unreadable', reason: SNAPSHOT_IN_ENGINE },
  { codes: code('VolumeBackup', '0038'), meaning: 'temporary volume state unreadable', reason: NO_TEMPORARY_VOLUME },
  { codes: code('VolumeBackup', '0039'), meaning: 'backup state unreadable', reason: ONE_TRANSACTION },
  { codes: code('VolumeBackup', '0043'), meaning: 'volume or backup lookup failed', reason: ONE_TRANSACTION },
  { codes: code('VolumeBackup', '0053'), meaning: 'dedicated-storage volume', reason: NO_SUCH_STORAGE },
  {
    codes: code('VolumeBackup', '0071 0072 0073 0074 0075 0076 0077 0078 0079'),
    meaning: 'quotas of SAS, SATA and SSD volumes and snapshots',
    reason: NO_STORAGE_TIERS,
  },
  {
    codes: code('VolumeBackup', '0100'),
    meaning: 'sub-job could not be queued',
    reason:
      'A deletion is one job, queued in the transaction that accepts it: it is accepted with its job or not at all.',
  },
  {
    codes: code('VolumeBackup', '0101 0109'),
    meaning: 'snapshot removal or lookup failed during deletion',
    reason: 'A backup keeps no snapshot, so its deletion removes none.',
  },
  { codes: code('VolumeBackup', '0103 0123'), meaning: 'backup details or list unreadable', reason: ONE_TRANSACTION },
  { codes: code('VolumeBackup', '0104 0113'), meaning: 'images of the backup', reason: NO_IMAGES },
  {
    codes: code('VolumeBackup', '0201'),
    meaning: 'restore returned nothing',
    reason: 'There is no second service whose answer could be missing; a restore that fails has 0200.',
  },
  {
    codes: code('VolumeBackup', '0211'),
    meaning: 'volume of a disaster-recovery site',
    reason: 'There is no replication here.',
  },
  { codes: code('AutoBackup', '0208'), meaning: 'resource details unreadable', reason: ONE_TRANSACTION },
  { codes: code('AutoBackup', '0210 0220'), meaning: 'HANA or dedicated-storage volume', reason: NO_SUCH_STORAGE },
  {
    codes: code('AutoBackup', '0217'),
    meaning: 'snapshot quota short',
    reason: 'Snapshots that backups work from have no quota.',
  },
];
