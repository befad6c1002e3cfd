// Quota arithmetic (contract 3.5 and 5.12). Pure: the services read usage and limits in the same transaction.
import { VbsError } from '../core/errors.ts';

/** -1 = unlimited. */
export const UNLIMITED = -1;

/** -1 = unlimited. `reserved` belongs to backups that are being created. */
export type QuotaUsage = { readonly used: number; readonly reserved: number; readonly quota: number };

/** `backupGigabytes` counts GiB, each backup rounded up as its `size` is. */
export type BackupQuotas = { readonly backups: QuotaUsage; readonly backupGigabytes: QuotaUsage };

/** @throws QUOTA_BACKUPS_EXCEEDED, then QUOTA_BACKUP_GIGABYTES_EXCEEDED when one more backup does not fit. */
export function requireBackupQuota(quotas: BackupQuotas, sizeGib: number): void {
  const { backups, backupGigabytes } = quotas;
  if (!hasRoom(backups, 1)) throw new VbsError('QUOTA_BACKUPS_EXCEEDED', { quota: backups.quota });
  if (!hasRoom(backupGigabytes, sizeGib)) {
    throw new VbsError('QUOTA_BACKUP_GIGABYTES_EXCEEDED', { quota: backupGigabytes.quota });
  }
}

function hasRoom({ used, reserved, quota }: QuotaUsage, amount: number): boolean {
  return quota === UNLIMITED || used + reserved + amount <= quota;
}
