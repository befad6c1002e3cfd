import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ProjectId, VolumeTypeId } from '../../../src/core/ids.ts';
import type { QuotaResource } from '../../../src/core/model.ts';
import type { QuotaRecords } from '../../../src/db/quota-records.ts';
import type { SetLimit } from '../../../src/db/record-types.ts';
import {
  limitsOf,
  type QuotaNeed,
  requireBackupQuota,
  requireQuota,
  UNLIMITED,
  UNLIMITED_QUOTAS,
} from '../../../src/services/quota.ts';

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

const type = '7e21aa90-1c4d-4b6e-8c0f-5a9d3f7be642' as VolumeTypeId;
const limit = (resource: QuotaResource, value: number, typeId: SetLimit['typeId'] = ''): SetLimit => {
  return { resource, typeId, limit: value };
};

it("a project's own limits come before those of all projects, and those before the settings", () => {
  const set = [limit('volumes', 1), limit('volumes', 2), limit('snapshots', 3), limit('gigabytes', 9, type)];
  const limits = limitsOf(set, { ...UNLIMITED_QUOTAS, volumes: 7, snapshots: 7, gigabytes: 7 }, '');
  assert.deepEqual([limits.volumes, limits.snapshots, limits.gigabytes, limits.backups], [1, 3, 7, UNLIMITED]);
  assert.equal(limitsOf(set, UNLIMITED_QUOTAS, type).gigabytes, 9);
  assert.equal(limitsOf(set, UNLIMITED_QUOTAS, type).volumes, UNLIMITED);
});

describe('requireQuota', () => {
  const counted = (used: number) => ({ used, reserved: 1 });
  const records = (set: readonly SetLimit[]) => {
    const quotas: Partial<QuotaRecords> = {
      listLimits: async () => [...set],
      listDefaults: async () => [],
      stock: async (_projectId, volumeType) => {
        const [volumes, snapshots, gigabytes] = volumeType === undefined ? [4, 2, 20] : [0, 0, 5];
        return { volumes: counted(volumes), snapshots: counted(snapshots), gigabytes: counted(gigabytes) };
      },
      usage: async () => ({ usedCount: 1, usedGib: 10, reservedCount: 1, reservedGib: 1 }),
    };
    const volumeTypes = { findByName: async (name: string) => (name === 'fast' ? { typeId: type, name } : undefined) };
    // The cast: what is not here is not asked for.
    return { quotas, volumeTypes } as unknown as Parameters<typeof requireQuota>[0];
  };
  const check = (set: readonly SetLimit[], need: QuotaNeed) =>
    requireQuota(records(set), 'p' as ProjectId, need, UNLIMITED_QUOTAS);

  it('counts what is being made, and refuses the first thing that does not fit', async () => {
    await check([limit('volumes', 6), limit('gigabytes', 24)], { volumes: 1, gigabytes: 3 });
    await assert.rejects(check([limit('volumes', 5)], { volumes: 1 }), { code: 'QUOTA_VOLUMES_EXCEEDED' });
    await assert.rejects(check([limit('snapshots', 3)], { snapshots: 1 }), { code: 'QUOTA_SNAPSHOTS_EXCEEDED' });
    await assert.rejects(check([limit('gigabytes', 23)], { gigabytes: 3 }), { code: 'QUOTA_GIGABYTES_EXCEEDED' });
    const size = [limit('perVolumeGigabytes', 2)];
    await assert.rejects(check(size, { perVolumeGigabytes: 3 }), { code: 'QUOTA_VOLUME_SIZE_EXCEEDED' });
    await assert.rejects(check([limit('backups', 2)], { backups: 1 }), { code: 'QUOTA_BACKUPS_EXCEEDED' });
    const capacity = [limit('backupGigabytes', 11)];
    await assert.rejects(check(capacity, { backupGigabytes: 1 }), { code: 'QUOTA_BACKUP_GIGABYTES_EXCEEDED' });
  });

  it('lets what needs nothing of a resource pass, however full that is', async () => {
    await check([limit('volumes', 0), limit('snapshots', 0)], { gigabytes: 1 });
    await check([limit('gigabytes', 0)], { volumes: 1 });
  });

  it('counts a type on its own, and a change of type there only', async () => {
    const set = [limit('gigabytes', 7, type), limit('volumes', 5)];
    await check(set, { gigabytes: 1, volumeType: 'fast' });
    await assert.rejects(check(set, { gigabytes: 2, volumeType: 'fast' }), { code: 'QUOTA_GIGABYTES_EXCEEDED' });
    await check(set, { gigabytes: 2, volumeType: 'slow' });
    await check(set, { volumes: 1, gigabytes: 1, volumeType: 'fast', isMove: true });
    const full = [limit('volumes', 1, type)];
    const move = { volumes: 1, volumeType: 'fast', isMove: true };
    await assert.rejects(check(full, move), { code: 'QUOTA_VOLUMES_EXCEEDED' });
  });
});
