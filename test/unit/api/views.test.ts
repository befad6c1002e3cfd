// Answers compared key by key, and in order, with the examples of the contract (3.6, 3.22, 3.25).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type BackupViewOptions, viewBackup } from '../../../src/api/views/backup-view.ts';
import { JOB_TYPES, viewJob } from '../../../src/api/views/job-view.ts';
import { viewPage } from '../../../src/api/views/page-view.ts';
import { viewVolume, viewVolumeDetail } from '../../../src/api/views/volume-view.ts';
import { GIB, MIB } from '../../../src/core/bytes.ts';
import { newUuid, type VolumeId } from '../../../src/core/ids.ts';
import type { Attachment, Backup, JobKind, Volume } from '../../../src/core/model.ts';
import { NO_PROGRESS } from '../../../src/core/model.ts';
import type { JobView } from '../../../src/services/job-service.ts';
import type { VolumeSurroundings } from '../../../src/services/volume-service.ts';

const P = '9f1c2d3e4b5a46978899aabbccddeeff';
const V = '3b6d0c52-8f0e-4a53-9d57-2f6f0f3a1c11';
const S = '5d2a7c1e-64b8-4f0a-a2c3-90e1b7d4f508';
const B = 'c41b9e07-2d5f-4c88-b1a6-0e7f63d2a915';
const J = 'e90c6b2a-75d1-4e3f-9a84-b6d8c1f05237';
const U = '4c3b2a19087f6e5d4c3b2a19087f6e5d';
const CREATED_AT = Date.UTC(2026, 1, 3, 9, 15, 0, 120);
const UPDATED_AT = Date.UTC(2026, 1, 3, 9, 20);
const LINKS = { origin: 'https://vbs.example.net', version: 'v3', project: P } as const;

// The casts brand the invented ids of the contract.
const BACKUP = {
  backupId: B,
  projectId: P,
  userId: U,
  volumeId: V,
  jobId: J,
  name: 'db_nightly-01',
  description: 'before upgrade',
  status: 'available',
  dialect: 'vbs',
  sizeBytes: 20 * GIB - 1,
  container: 'vbs',
  availabilityZone: 'az-1',
  snapshotId: S,
  isIncrementalRequested: false,
  isIncremental: false,
  parentId: null,
  hasDependents: false,
  objectCount: 5,
  storedBytes: 3 * MIB + 1,
  consistency: 'snapshot',
  dataTimestampAt: CREATED_AT,
  failReason: null,
  attemptId: newUuid(),
  recordSha256: null,
  recordBackupId: B,
  sourceVolume: { isBootable: false, metadata: {} },
  tags: [],
  metadata: { k: 'v' },
  createdAt: CREATED_AT,
  updatedAt: UPDATED_AT,
} as unknown as Backup;

const EXAMPLE = {
  id: B,
  status: 'available',
  size: 20,
  object_count: 5,
  container: 'vbs',
  availability_zone: 'az-1',
  volume_id: V,
  snapshot_id: S,
  name: 'db_nightly-01',
  description: '{"DESC":"before upgrade","INC":0}',
  created_at: '2026-02-03T09:15:00.120000',
  updated_at: '2026-02-03T09:20:00.000000',
  data_timestamp: '2026-02-03T09:15:00.120000',
  fail_reason: null,
  is_incremental: false,
  has_dependent_backups: false,
  'os-backup-project-attr:project_id': P,
  'os-backup-project-attr:tenant_id': P,
  links: [
    { rel: 'self', href: `https://vbs.example.net/v3/${P}/backups/${B}` },
    { rel: 'bookmark', href: `https://vbs.example.net/${P}/backups/${B}` },
  ],
};

function view(changes: Partial<BackupViewOptions>, backup = BACKUP): Record<string, unknown> {
  return viewBackup(backup, { face: 'v3', version: 0, isAdmin: false, links: LINKS, ...changes });
}

describe('a backup', () => {
  test('below /native it is the example of the contract', () => {
    assert.equal(JSON.stringify(view({ face: 'v3 native' })), JSON.stringify(EXAMPLE));
  });

  test('on plain v3 keys appear with their microversions, owner and user for admins only', () => {
    const extra = (changes: Partial<BackupViewOptions>) =>
      Object.keys(view(changes)).filter((key) => !(key in EXAMPLE) || key.startsWith('os-'));
    assert.deepEqual(extra({ version: 71 }), ['metadata']);
    assert.deepEqual(extra({ version: 42 }), []);
    assert.deepEqual(extra({ version: 17, isAdmin: true }), []);
    assert.deepEqual(extra({ version: 18, isAdmin: true }), ['os-backup-project-attr:project_id']);
    assert.deepEqual(extra({ version: 71, isAdmin: true }), [
      'os-backup-project-attr:project_id',
      'metadata',
      'user_id',
    ]);
  });

  test('on v2 it has owner and service_metadata, a JSON text', () => {
    const shown = view({ face: 'v2', links: { ...LINKS, version: 'v2' } });
    assert.equal(shown['os-bak-tenant-attr:tenant_id'], P);
    const metadata: unknown = JSON.parse(String(shown.service_metadata));
    assert.deepEqual(metadata, {
      Type: 0,
      progress: 100,
      BackupSize: 4,
      snap_id: S.replaceAll('-', ''),
      DL: 3,
      IR: 1,
    });
    assert.ok(JSON.stringify(shown.links).includes('/v2/'));
  });

  test('one in creation shows its percent, nulls where nothing is known, the time of its own for its data', () => {
    const young: Backup = { ...BACKUP, attemptId: null, updatedAt: null, dataTimestampAt: null, snapshotId: null };
    const shown = view({ face: 'v2', percentOf: () => 41.7 }, young);
    assert.deepEqual(JSON.parse(String(shown.service_metadata)), { Type: 0, progress: 41, DL: 3, IR: 1 });
    assert.deepEqual([shown.updated_at, shown.snapshot_id], [null, null]);
    assert.equal(shown.data_timestamp, shown.created_at);
  });

  test('descriptions are wrapped for VBS backups only', () => {
    const wrapped = { ...BACKUP, description: null, isIncrementalRequested: true };
    assert.equal(view({}, wrapped).description, '{"DESC":"","INC":1}');
    assert.equal(view({}, { ...BACKUP, dialect: 'native' }).description, 'before upgrade');
    assert.equal(view({}, { ...BACKUP, dialect: 'native', description: null }).description, null);
  });
});

describe('a job', () => {
  const JOB = {
    jobId: J,
    projectId: P,
    kind: 'backup',
    status: 'FAIL',
    backupId: null,
    volumeId: V,
    snapshotId: S,
    attempt: 1,
    payload: {},
    progress: NO_PROGRESS,
    errorCode: 'COMMIT_CHECK_FAILED',
    failReason: 'backup engine reported status error',
    createdAt: CREATED_AT,
    startedAt: CREATED_AT,
    endedAt: Date.UTC(2026, 1, 3, 9, 16, 10, 4),
    percent: null,
    rateBytesPerS: 0,
    etaS: null,
  } as unknown as JobView;

  test('that failed is the example of the contract', () => {
    const example = {
      status: 'FAIL',
      entities: {
        bks_create_volume_name: 'autobk_volume_2026-02-03T09:15:00.120Z',
        backup_id: '',
        volume_id: V,
        snapshot_id: S,
      },
      job_id: J,
      job_type: 'bksCreateBackup',
      begin_time: '2026-02-03T09:15:00.120Z',
      end_time: '2026-02-03T09:16:10.004Z',
      error_code: 'VolumeBackup.0064',
      fail_reason: 'backup engine reported status error',
      sub_jobs: [],
    };
    assert.equal(JSON.stringify(viewJob(JOB, { withProgress: false })), JSON.stringify(example));
  });

  test('entities hold strings only, whatever the kind', () => {
    // The cast: keys of a record of kinds are kinds.
    for (const kind of Object.keys(JOB_TYPES) as JobKind[]) {
      const job: JobView = { ...JOB, kind, volumeId: null, snapshotId: null };
      const { entities } = viewJob(job, { withProgress: false }) as { entities: Record<string, unknown> };
      for (const value of Object.values(entities)) assert.equal(typeof value, 'string', kind);
    }
  });

  test('errors are told on FAIL only', () => {
    const retried = viewJob({ ...JOB, status: 'RUNNING', endedAt: null }, { withProgress: false });
    assert.deepEqual([retried.error_code, retried.fail_reason, retried.end_time], [null, null, null]);
    const odd = viewJob({ ...JOB, errorCode: 'constructor', failReason: null }, { withProgress: false });
    assert.equal(odd.error_code, 'VolumeBackup.0064');
    assert.equal(typeof odd.fail_reason, 'string');
  });

  test('that failed has a code that its kind documents, whatever went wrong', () => {
    const cases = [
      ['backup', 'VOLUME_UNAVAILABLE', '0017'],
      ['backup', 'VOLUME_IO', '0063'],
      ['backup', 'DATA_CORRUPT', '0064'],
      ['backup', 'JOB_ABANDONED', '0064'],
      ['delete-backup', 'STORAGE_IO', '0102'],
      ['delete-backup', 'EPOCH_CONFLICT', '0102'],
      ['restore', 'DATA_CORRUPT', '0200'],
      ['restore', 'STORAGE_FULL', '0200'],
      ['restore', 'VOLUME_IO', '0200'],
      ['restore', 'RESTORE_VOLUME_TOO_SMALL', '0209'],
      ['export', 'EXPORT_CUT_SHORT', '0900'],
    ] as const;
    for (const [kind, errorCode, code] of cases) {
      const view = viewJob({ ...JOB, kind, errorCode }, { withProgress: false });
      assert.equal(view.error_code, `VolumeBackup.${code}`, `${kind} ${errorCode}`);
    }
  });

  test('progress is shown on request only', () => {
    assert.ok(!('progress' in viewJob(JOB, { withProgress: false })));
    const progress = { totalBytes: 100, doneBytes: 40, skippedBytes: 10, storedBytes: 5 };
    const job = { ...JOB, progress, percent: 50, rateBytesPerS: 7, etaS: 3 };
    assert.deepEqual(viewJob(job, { withProgress: true }).progress, {
      percent: 50,
      total_bytes: 100,
      done_bytes: 40,
      skipped_bytes: 10,
      stored_bytes: 5,
      rate_bytes_per_s: 7,
      eta_s: 3,
    });
  });
});

describe('a volume', () => {
  const VOLUME = {
    volumeId: V,
    projectId: P,
    userId: U,
    name: 'db-clone',
    description: null,
    status: 'creating',
    sizeBytes: 20 * GIB,
    volumeType: '__DEFAULT__',
    availabilityZone: 'az-1',
    driver: 'file',
    source: '',
    isAdopted: false,
    isFresh: true,
    isBootable: false,
    metadata: {},
    isReadonly: null,
    imageMetadata: {},
    sourceBackupId: null,
    sourceSnapshotId: null,
    sourceVolumeId: null,
    createdAt: Date.UTC(2026, 1, 3, 11),
    updatedAt: null,
  } as unknown as Volume;

  const ALONE: VolumeSurroundings = { typeIds: new Map(), attachments: new Map() };

  test('as created at 3.47 it is the example of the contract', () => {
    const shown = viewVolume(VOLUME, { version: 47, links: LINKS, surroundings: ALONE });
    assert.deepEqual(shown, {
      id: V,
      name: 'db-clone',
      description: null,
      status: 'creating',
      size: 20,
      availability_zone: 'az-1',
      created_at: '2026-02-03T11:00:00.000000',
      updated_at: null,
      volume_type: '__DEFAULT__',
      snapshot_id: null,
      source_volid: null,
      metadata: {},
      user_id: U,
      bootable: 'false',
      encrypted: false,
      replication_status: null,
      consistencygroup_id: null,
      multiattach: false,
      attachments: [],
      group_id: null,
      links: [
        { rel: 'self', href: `https://vbs.example.net/v3/${P}/volumes/${V}` },
        { rel: 'bookmark', href: `https://vbs.example.net/${P}/volumes/${V}` },
      ],
    });
  });

  test('in detail it adds the owner, and for admins host and migration; versioned keys in their turn', () => {
    const keysAt = (version: number, isAdmin: boolean) =>
      Object.keys(
        viewVolumeDetail(VOLUME, { version, isAdmin, links: LINKS, hostName: 'h@file#file', surroundings: ALONE }),
      );
    const base = Object.keys(viewVolume(VOLUME, { version: 0, links: LINKS, surroundings: ALONE }));
    assert.ok(!base.includes('group_id'));
    assert.deepEqual(keysAt(0, false), [...base, 'os-vol-tenant-attr:tenant_id']);
    assert.deepEqual(keysAt(0, true).slice(base.length), [
      'os-vol-tenant-attr:tenant_id',
      'os-vol-host-attr:host',
      'os-vol-mig-status-attr:migstat',
      'os-vol-mig-status-attr:name_id',
      'migration_status',
    ]);
    const steps = { 13: 'group_id', 48: 'shared_targets', 63: 'volume_type_id', 65: 'consumes_quota' };
    for (const [version, key] of Object.entries(steps)) {
      assert.ok(keysAt(Number(version), false).includes(key), key);
      assert.ok(!keysAt(Number(version) - 1, false).includes(key), key);
    }
    assert.ok(!keysAt(60, true).includes('cluster_name'));
    assert.ok(keysAt(61, true).includes('cluster_name'));
    assert.ok(!keysAt(61, false).includes('cluster_name'));
  });

  test('shows who has it attached, and among its metadata how; the host to admins only', () => {
    const attachment = {
      ...{ attachmentId: 'a', volumeId: V, serverId: 's', hostName: 'node-1', device: '/dev/vdb', mode: 'ro' },
      ...{ status: 'attached', attachedAt: Date.UTC(2026, 1, 3, 11) },
    } as unknown as Attachment;
    const reserved = { ...attachment, attachmentId: 'b', status: 'reserved' } as unknown as Attachment;
    const surroundings: VolumeSurroundings = {
      typeIds: new Map(),
      attachments: new Map([[V as VolumeId, [attachment, reserved]]]),
    };
    const volume = { ...VOLUME, isReadonly: true, metadata: { tier: 'gold' }, imageMetadata: { image_name: 'deb' } };
    const shown = (isAdmin: boolean) =>
      viewVolumeDetail(volume, { version: 0, isAdmin, links: LINKS, hostName: 'h@file#file', surroundings });
    assert.deepEqual(shown(false).metadata, { tier: 'gold', readonly: 'True', attached_mode: 'ro' });
    assert.deepEqual(shown(false).volume_image_metadata, { image_name: 'deb' });
    const entry = { id: V, attachment_id: 'a', volume_id: V, server_id: 's', host_name: null, device: '/dev/vdb' };
    const attached_at = '2026-02-03T11:00:00.000000';
    assert.deepEqual(shown(false).attachments, [{ ...entry, attached_at }]);
    assert.deepEqual(shown(true).attachments, [{ ...entry, host_name: 'node-1', attached_at }]);
  });
});

describe('a page', () => {
  const page = (count: number, limit: number, url = '/v3/p/backups?offset=3') =>
    viewPage({
      collection: 'backups',
      result: { items: Array.from({ length: count }, (_, index) => `id-${index}`), totalCount: 9 },
      limit,
      withCount: true,
      origin: 'http://h',
      url,
      idOf: (item) => item,
      view: (id) => ({ id }),
    });

  test('has a next link only when it is full and not empty', () => {
    assert.deepEqual(page(2, 2).backups_links, [{ rel: 'next', href: 'http://h/v3/p/backups?limit=2&marker=id-1' }]);
    assert.ok(!('backups_links' in page(1, 2)));
    assert.ok(!('backups_links' in page(0, 0)));
    assert.equal(page(1, 2).count, 9);
  });
});
