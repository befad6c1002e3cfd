// The settings of quotas (contract 5.12): a part of the table in config.ts. They are the limits of projects that have
// none of their own.
import { Type } from 'typebox';
import type { QuotaLimits } from './core/model.ts';

const limit = Type.Integer({ minimum: -1, maximum: 1_000_000_000 });
const expected = 'a whole number from -1 (unlimited) to 1000000000';
const common = { kind: 'integer', schema: limit, expected, default: -1 } as const;

export const QUOTA_SETTINGS = {
  quotaVolumes: {
    ...common,
    variable: 'OPENVBS_QUOTA_VOLUMES',
    flag: 'quota-volumes',
    hint: 'COUNT',
    doc: 'volumes a project may have; -1 is unlimited',
  },
  quotaSnapshots: {
    ...common,
    variable: 'OPENVBS_QUOTA_SNAPSHOTS',
    flag: 'quota-snapshots',
    hint: 'COUNT',
    doc: 'snapshots a project may have; -1 is unlimited',
  },
  quotaGigabytes: {
    ...common,
    variable: 'OPENVBS_QUOTA_GIGABYTES',
    flag: 'quota-gigabytes',
    hint: 'GIB',
    doc: 'sum of the sizes of the volumes and snapshots a project may have, in GiB; -1 is unlimited',
  },
  quotaPerVolumeGigabytes: {
    ...common,
    variable: 'OPENVBS_QUOTA_PER_VOLUME_GIGABYTES',
    flag: 'quota-per-volume-gigabytes',
    hint: 'GIB',
    doc: 'size that one volume may have, in GiB; -1 is unlimited',
  },
  quotaBackups: {
    ...common,
    variable: 'OPENVBS_QUOTA_BACKUPS',
    flag: 'quota-backups',
    hint: 'COUNT',
    doc: 'backups a project may have; -1 is unlimited',
  },
  quotaBackupGigabytes: {
    ...common,
    variable: 'OPENVBS_QUOTA_BACKUP_GIGABYTES',
    flag: 'quota-backup-gigabytes',
    hint: 'GIB',
    doc: 'sum of the sizes of the backups a project may have, in GiB; -1 is unlimited',
  },
} as const;

type QuotaValues = { readonly [Name in keyof typeof QUOTA_SETTINGS]?: number };

export function toQuotaLimits(values: QuotaValues): QuotaLimits {
  return {
    volumes: values.quotaVolumes ?? -1,
    snapshots: values.quotaSnapshots ?? -1,
    gigabytes: values.quotaGigabytes ?? -1,
    perVolumeGigabytes: values.quotaPerVolumeGigabytes ?? -1,
    backups: values.quotaBackups ?? -1,
    backupGigabytes: values.quotaBackupGigabytes ?? -1,
    // There are none to limit.
    groups: -1,
  };
}
