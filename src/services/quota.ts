// Quotas (contract 3.5, 3.27, 5.12): the arithmetic, and the one check that whoever makes volumes, snapshots or
// backups calls inside its transaction. Usage is counted from the rows there, so nothing is counted twice or lost.
import { VbsError } from '../core/errors.ts';
import type { ProjectId } from '../core/ids.ts';
import type { QuotaLimits, QuotaResource } from '../core/model.ts';
import type { CatalogRecords } from '../db/catalog.ts';
import type { Counted, SetLimit } from '../db/record-types.ts';

export type { QuotaLimits } from '../core/model.ts';

/** -1 = unlimited. */
export const UNLIMITED = -1;

export const UNLIMITED_QUOTAS: QuotaLimits = {
  volumes: UNLIMITED,
  snapshots: UNLIMITED,
  gigabytes: UNLIMITED,
  perVolumeGigabytes: UNLIMITED,
  backups: UNLIMITED,
  backupGigabytes: UNLIMITED,
  groups: UNLIMITED,
};

/** -1 = unlimited. `reserved` belongs to what is being created. */
export type QuotaUsage = { readonly used: number; readonly reserved: number; readonly quota: number };

/** `backupGigabytes` counts GiB, each backup rounded up as its `size` is. */
export type BackupQuotas = { readonly backups: QuotaUsage; readonly backupGigabytes: QuotaUsage };

/** What is about to be made, in pieces and in GiB; what is absent is not needed. */
export type QuotaNeed = Partial<
  Record<'volumes' | 'snapshots' | 'gigabytes' | 'backups' | 'backupGigabytes' | 'perVolumeGigabytes', number>
> & {
  /** Name of the type of the volume, or of the volume a snapshot is of: types can have quotas of their own. */
  readonly volumeType?: string;
  /** What is needed exists already and only changes its type: the project's totals stay. */
  readonly isMove?: boolean;
};

/**
 * Call it inside `catalog.transact`, before the rows are written. `defaults` are the limits of the settings.
 * `perVolumeGigabytes` is the size of the one volume that is made or grows.
 * @throws QUOTA_VOLUME_SIZE_EXCEEDED, QUOTA_VOLUMES_EXCEEDED, QUOTA_SNAPSHOTS_EXCEEDED, QUOTA_GIGABYTES_EXCEEDED,
 * QUOTA_BACKUPS_EXCEEDED, QUOTA_BACKUP_GIGABYTES_EXCEEDED
 */
export async function requireQuota(
  records: Pick<CatalogRecords, 'quotas' | 'volumeTypes'>,
  projectId: ProjectId,
  need: QuotaNeed,
  defaults: QuotaLimits,
): Promise<void> {
  const set = await readSetLimits(records, projectId);
  const limits = limitsOf(set, defaults, '');
  requireVolumeSize(limits, need);
  if (need.backups !== undefined || need.backupGigabytes !== undefined) {
    const quotas = await readBackupQuotas(records, projectId, defaults);
    requireBackupQuota(quotas, need.backupGigabytes ?? 0, need.backups ?? 0);
  }
  if (need.volumes === undefined && need.snapshots === undefined && need.gigabytes === undefined) return;
  if (need.isMove !== true) requireStock(limits, await records.quotas.stock(projectId), need);
  if (need.volumeType === undefined || !set.some(({ typeId }) => typeId !== '')) return;
  const type = await records.volumeTypes.findByName(need.volumeType);
  if (type === undefined) return;
  const typeLimits = limitsOf(set, UNLIMITED_QUOTAS, type.typeId);
  requireStock(typeLimits, await records.quotas.stock(projectId, type.name), need);
}

/** What the project has set before what all projects have: the first that speaks of a resource counts. */
export async function readSetLimits(
  { quotas }: Pick<CatalogRecords, 'quotas'>,
  projectId: ProjectId,
): Promise<readonly SetLimit[]> {
  return [...(await quotas.listLimits(projectId)), ...(await quotas.listDefaults())];
}

/** Limits in force, of one type or (`''`) of all. `set` is in the order of `readSetLimits`. Pure. */
export function limitsOf(set: readonly SetLimit[], defaults: QuotaLimits, typeId: SetLimit['typeId']): QuotaLimits {
  const limits: Record<QuotaResource, number> = { ...defaults };
  for (const each of [...set].reverse()) if (each.typeId === typeId) limits[each.resource] = each.limit;
  return limits;
}

/** Usage and limits of backups, as the VBS API shows them. */
export async function readBackupQuotas(
  records: Pick<CatalogRecords, 'quotas'>,
  projectId: ProjectId,
  defaults: QuotaLimits,
): Promise<BackupQuotas> {
  const limits = limitsOf(await readSetLimits(records, projectId), defaults, '');
  const usage = await records.quotas.usage(projectId);
  return {
    backups: { used: usage.usedCount, reserved: usage.reservedCount, quota: limits.backups },
    backupGigabytes: { used: usage.usedGib, reserved: usage.reservedGib, quota: limits.backupGigabytes },
  };
}

/** @throws QUOTA_BACKUPS_EXCEEDED, then QUOTA_BACKUP_GIGABYTES_EXCEEDED when so many more backups do not fit. */
export function requireBackupQuota(quotas: BackupQuotas, sizeGib: number, count = 1): void {
  const { backups, backupGigabytes } = quotas;
  if (!hasRoom(backups, count)) throw new VbsError('QUOTA_BACKUPS_EXCEEDED', { quota: backups.quota });
  if (!hasRoom(backupGigabytes, sizeGib)) {
    throw new VbsError('QUOTA_BACKUP_GIGABYTES_EXCEEDED', { quota: backupGigabytes.quota });
  }
}

function requireVolumeSize({ perVolumeGigabytes: quota }: QuotaLimits, { perVolumeGigabytes: needed = 0 }: QuotaNeed) {
  if (quota !== UNLIMITED && needed > quota) throw new VbsError('QUOTA_VOLUME_SIZE_EXCEEDED', { quota, needed });
}

function requireStock(
  limits: QuotaLimits,
  stock: Readonly<Record<'volumes' | 'snapshots' | 'gigabytes', Counted>>,
  { volumes = 0, snapshots = 0, gigabytes = 0 }: QuotaNeed,
): void {
  if (!fits(stock.volumes, limits.volumes, volumes)) {
    throw new VbsError('QUOTA_VOLUMES_EXCEEDED', { quota: limits.volumes });
  }
  if (!fits(stock.snapshots, limits.snapshots, snapshots)) {
    throw new VbsError('QUOTA_SNAPSHOTS_EXCEEDED', { quota: limits.snapshots });
  }
  if (!fits(stock.gigabytes, limits.gigabytes, gigabytes)) {
    const { used, reserved } = stock.gigabytes;
    const figures = { quota: limits.gigabytes, needed: gigabytes, used: used + reserved };
    throw new VbsError('QUOTA_GIGABYTES_EXCEEDED', figures);
  }
}

/** What is not asked for always fits, also in a project that has more than its quota by now. */
function fits({ used, reserved }: Counted, quota: number, amount: number): boolean {
  return amount === 0 || hasRoom({ used, reserved, quota }, amount);
}

function hasRoom({ used, reserved, quota }: QuotaUsage, amount: number): boolean {
  return quota === UNLIMITED || used + reserved + amount <= quota;
}
