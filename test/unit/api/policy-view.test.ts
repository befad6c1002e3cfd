// Policies, tasks, volumes and previews as clients see them, against the documented examples (contract 3.9, 3.13 to
// 3.15).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  viewAssociation,
  viewDisassociation,
  viewPolicy,
  viewPolicyVolume,
  viewRetentionPreview,
  viewTask,
} from '../../../src/api/views/policy-view.ts';
import { formatTaskTime } from '../../../src/api/views/times.ts';
import { GIB } from '../../../src/core/bytes.ts';
import type { BackupId, JobId, PolicyId, ProjectId, TaskId, UserId, VolumeId } from '../../../src/core/ids.ts';
import type { Policy, Task, Volume } from '../../../src/core/model.ts';

const P = '9f1c2d3e4b5a46978899aabbccddeeff' as ProjectId;
const U = '4c3b2a19087f6e5d4c3b2a19087f6e5d' as UserId;
const V = '3b6d0c52-8f0e-4a53-9d57-2f6f0f3a1c11' as VolumeId;
const W = '7e21aa90-1c4d-4b6e-8c0f-5a9d3f7be642';
const L = 'a87d4f13-9be0-4d27-86c5-1f3e2b9c7d60' as PolicyId;
const J = 'e90c6b2a-75d1-4e3f-9a84-b6d8c1f05237' as JobId;
const B = 'c41b9e07-2d5f-4c88-b1a6-0e7f63d2a915' as BackupId;
const T = '2b90a4c7-03de-4f11-8d6a-77e1c5b0f932' as TaskId;
const AT = Date.UTC(2026, 1, 3, 22, 0, 0, 15);

const POLICY: Policy = {
  policyId: L,
  projectId: P,
  userId: U,
  name: 'nightly_gold',
  isDefault: false,
  schedule: {
    startTime: '22:00,00:00,02:00',
    timeZone: 'UTC+02:00',
    recurrence: { kind: 'week', weekDays: ['SUN', 'WED'] },
  },
  retention: { kind: 'days', keepDays: 30 },
  keepsFirstOfMonth: true,
  isEnabled: true,
  tags: [{ key: 'tier', value: 'gold' }],
  volumeCount: 2,
  nextRunAt: null,
  createdAt: AT,
  updatedAt: null,
};

const VOLUME: Volume = {
  volumeId: V,
  projectId: P,
  userId: U,
  name: 'db-data',
  description: null,
  status: 'available',
  sizeBytes: 20 * GIB,
  volumeType: '__DEFAULT__',
  availabilityZone: 'az-1',
  driver: 'file',
  source: '/srv/disk',
  isAdopted: false,
  isFresh: false,
  isBootable: false,
  metadata: {},
  isReadonly: null,
  imageMetadata: {},
  sourceBackupId: null,
  sourceSnapshotId: null,
  sourceVolumeId: null,
  createdAt: AT,
  updatedAt: null,
};

const TASK: Task = {
  taskId: T,
  projectId: P,
  policyId: L,
  volumeId: V,
  status: 'EXECUTE_SUCCESS',
  dueAt: AT,
  backupName: 'autobk_9c3e',
  backupId: B,
  jobId: J,
  errorCode: null,
  message: null,
  createdAt: AT,
  runAfter: AT,
  finishedAt: Date.UTC(2026, 1, 3, 22, 3, 41, 900),
};

describe('policies', () => {
  test('the documented example: of each pair only what is in force', () => {
    assert.deepEqual(viewPolicy(POLICY), {
      backup_policy_id: L,
      backup_policy_name: 'nightly_gold',
      scheduled_policy: {
        start_time: '22:00,00:00,02:00',
        week_frequency: ['SUN', 'WED'],
        rentention_day: 30,
        remain_first_backup_of_curMonth: 'Y',
        status: 'ON',
      },
      policy_resource_count: 2,
      time_zone: 'UTC+02:00',
      tags: [{ key: 'tier', value: 'gold' }],
    });
  });

  test('the other half of each pair', () => {
    const { scheduled_policy } = viewPolicy({
      ...POLICY,
      schedule: { ...POLICY.schedule, recurrence: { kind: 'interval', everyDays: 3 } },
      retention: { kind: 'count', keepCount: 10 },
      keepsFirstOfMonth: false,
      isEnabled: false,
    });
    assert.deepEqual(scheduled_policy, {
      start_time: '22:00,00:00,02:00',
      frequency: 3,
      rentention_num: 10,
      remain_first_backup_of_curMonth: 'N',
      status: 'OFF',
    });
  });
});

describe('tasks', () => {
  test('the documented example', () => {
    assert.deepEqual(viewTask(TASK), {
      status: 'EXECUTE_SUCCESS',
      job_id: T,
      created_at: '2026-02-03T22:00:00.015',
      finished_at: '2026-02-03T22:03:41.900',
      backup_name: 'autobk_9c3e',
      resource_id: V,
      resource_type: 'volume',
      vbs_job_id: J,
    });
  });

  test('what a task has not got yet is left out', () => {
    const waiting = { ...TASK, status: 'WAITING', backupName: null, backupId: null, jobId: null, finishedAt: null };
    assert.deepEqual(Object.keys(viewTask(waiting as Task)), [
      'status',
      'job_id',
      'created_at',
      'resource_id',
      'resource_type',
    ]);
  });

  test('failures have a code of the policy family, and nothing else has one', () => {
    const fail = (errorCode: string) =>
      viewTask({ ...TASK, status: 'EXECUTE_FAIL', errorCode, message: 'why' }) as { code: string; message: string };
    assert.equal(fail('QUOTA_BACKUPS_EXCEEDED').code, 'AutoBackup.0218');
    assert.equal(fail('POLICY_RUNNING').code, 'AutoBackup.0225');
    assert.equal(fail('STORAGE_IO').code, 'AutoBackup.1700');
    assert.equal(fail('BACKUP_IN_PROGRESS').code, 'AutoBackup.1700');
    assert.equal(fail('A_CODE_OF_A_LATER_VERSION').code, 'AutoBackup.1700');
    assert.equal(fail('STORAGE_IO').message, 'why');
    assert.ok(!('code' in viewTask({ ...TASK, errorCode: 'STORAGE_IO', message: 'why' })));
    assert.ok(!('code' in viewTask({ ...TASK, status: 'SKIP' })));
  });

  test('times have exactly three digits and no zone', () => {
    assert.equal(formatTaskTime(Date.UTC(2026, 0, 1)), '2026-01-01T00:00:00.000');
  });
});

test('associations: a success carries no code, a failure has nulls for what is unknown', () => {
  const view = viewAssociation({
    successes: [{ resourceId: V, volume: VOLUME, hostAttr: 'pod01.az-1' }],
    failures: [{ resourceId: W, volume: null, hostAttr: null, code: 'POLICY_RESOURCE_INVALID', message: 'why' }],
  });
  assert.deepEqual(view, {
    success_resources: [
      { resource_id: V, resource_type: 'volume', availability_zone: 'az-1', os_vol_host_attr: 'pod01.az-1' },
    ],
    fail_resources: [
      {
        resource_id: W,
        resource_type: 'volume',
        availability_zone: null,
        os_vol_host_attr: null,
        code: 'AutoBackup.1400',
        message: 'why',
      },
    ],
  });
  assert.deepEqual(viewAssociation({ successes: [], failures: [] }), { success_resources: [], fail_resources: [] });
  const failures = [{ resourceId: W, code: 'POLICY_RESOURCE_INVALID', message: 'why' }] as const;
  assert.deepEqual(viewDisassociation({ successes: [{ resourceId: V }], failures }), {
    success_resources: [{ resource_id: V }],
    fail_resources: [{ resource_id: W, code: 'AutoBackup.1400', message: 'why' }],
  });
});

test('volumes of a policy', () => {
  assert.deepEqual(viewPolicyVolume({ volume: VOLUME, hostAttr: 'pod01.az-1', associatedAt: AT }), {
    resource_id: V,
    resource_type: 'volume',
    resource_name: 'db-data',
    status: 'available',
    size: 20,
    availability_zone: 'az-1',
    os_vol_host_attr: 'pod01.az-1',
    associated_at: '2026-02-03T22:00:00.015',
  });
});

test('previews of retention: one entry a backup, with what would happen and why', () => {
  const verdict = { backupId: B, name: 'autobk_9c3e', createdAt: AT, isGood: true };
  const preview = viewRetentionPreview([
    {
      volumeId: V,
      plan: [
        { ...verdict, isDeleted: false, reason: 'within-count' },
        { ...verdict, name: null, isDeleted: true, reason: 'beyond-count' },
      ],
    },
  ]);
  const common = { backup_id: B, volume_id: V, created_at: '2026-02-03T22:00:00.015' };
  assert.deepEqual(preview, {
    delete_count: 1,
    backups: [
      { ...common, backup_name: 'autobk_9c3e', action: 'keep', reason: 'within-count' },
      { ...common, backup_name: null, action: 'delete', reason: 'beyond-count' },
    ],
  });
});
