import assert from 'node:assert/strict';
import { it } from 'node:test';
import { requireBackupQuota, UNLIMITED } from '../../../src/services/quota.ts';

const open = { used: 1_000, reserved: 1_000, quota: UNLIMITED };

it('an unlimited quota is never exhausted', () => {
  requireBackupQuota({ backups: open, backupGigabytes: open }, 1_000_000);
});

it('what is reserved counts as used', () => {
  requireBackupQuota({ backups: { used: 3, reserved: 1, quota: 5 }, backupGigabytes: open }, 1);
  assert.throws(() => requireBackupQuota({ backups: { used: 3, reserved: 2, quota: 5 }, backupGigabytes: open }, 1), {
    code: 'QUOTA_BACKUPS_EXCEEDED',
  });
});

it('the size of the new backup must fit whole', () => {
  const backupGigabytes = { used: 50, reserved: 20, quota: 100 };
  requireBackupQuota({ backups: open, backupGigabytes }, 30);
  assert.throws(() => requireBackupQuota({ backups: open, backupGigabytes }, 31), {
    code: 'QUOTA_BACKUP_GIGABYTES_EXCEEDED',
  });
});

it('the count is checked before the capacity', () => {
  const full = { used: 1, reserved: 0, quota: 1 };
  assert.throws(() => requireBackupQuota({ backups: full, backupGigabytes: full }, 1), {
    code: 'QUOTA_BACKUPS_EXCEEDED',
  });
});
