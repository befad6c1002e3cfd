import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { type CurrentState, type MaintenanceWork, noMetrics } from '../../../src/core/metrics.ts';
import { PrometheusMetrics } from '../../../src/metrics/prometheus-metrics.ts';
import { countWork } from '../../../src/services/maintenance-counts.ts';
import { Samples } from '../../support/samples.ts';

const NOW = 1_800_000_000_000;
const STATE: CurrentState = {
  jobs: [
    { kind: 'backup', isRunning: true, count: 2 },
    { kind: 'restore', isRunning: false, count: 1 },
  ],
  damagedChunkCount: 3,
  damagedPackCount: 2,
  damagedBackupCount: 1,
  unverifiedPackCount: 4,
  oldestVerifiedAt: 1_700_000_000_000,
  isScrubLate: true,
  repositoryFreeBytes: 5_000,
  repositoryDiskBytes: 9_000,
};
const WORK: MaintenanceWork = {
  operation: 'repair',
  isDone: true,
  durationMs: 2000,
  freedBytes: 0,
  verifiedBytes: 0,
  healedCount: 7,
  lostCount: 1,
  mendedBackupCount: 2,
};
const progress = { totalBytes: 100, doneBytes: 60, skippedBytes: 40, storedBytes: 30 };

function make(readState: () => Promise<CurrentState> = async () => STATE): PrometheusMetrics {
  return new PrometheusMetrics({ readState, clock: { now: () => NOW }, version: '1.2.3', includesProcess: false });
}

async function scrape(metrics: PrometheusMetrics): Promise<Samples> {
  return new Samples(await metrics.render());
}

describe('metrics', () => {
  test('of the state are looked up at each scrape, and what is over goes', async () => {
    let state = STATE;
    const metrics = make(async () => state);
    const first = await scrape(metrics);
    assert.equal(first.get('openvbs_jobs{kind="backup",state="running"}'), 2);
    assert.equal(first.get('openvbs_jobs{kind="restore",state="waiting"}'), 1);
    assert.equal(first.get('openvbs_damaged_chunks'), 3);
    assert.equal(first.get('openvbs_damaged_packs'), 2);
    assert.equal(first.get('openvbs_damaged_backups'), 1);
    assert.equal(first.get('openvbs_unverified_packs'), 4);
    assert.equal(first.get('openvbs_oldest_verification_timestamp_seconds'), 1_700_000_000);
    assert.equal(first.get('openvbs_scrub_late'), 1);
    assert.equal(first.get('openvbs_repository_free_bytes'), 5_000);
    assert.equal(first.get('openvbs_repository_disk_bytes'), 9_000);
    assert.equal(first.get('openvbs_build_info{version="1.2.3"}'), 1);
    state = { ...STATE, jobs: [], oldestVerifiedAt: undefined, isScrubLate: false };
    const second = await scrape(metrics);
    assert.deepEqual(
      second.names.filter((name) => name.startsWith('openvbs_jobs')),
      [],
    );
    assert.equal(second.get('openvbs_oldest_verification_timestamp_seconds'), NOW / 1000);
    assert.equal(second.get('openvbs_scrub_late'), 0);
  });

  test('count a mismatch of changed extents, and why a disk was read as a whole', async () => {
    const metrics = make();
    assert.equal((await scrape(metrics)).get('openvbs_changed_extents_mismatches_total'), 0);
    metrics.diskRead({ mode: 'changed-extents', reason: null, sampleCount: 32, mismatchCount: 0 });
    metrics.diskRead({ mode: 'scan', reason: 'the disk was resized', sampleCount: 0, mismatchCount: 0 });
    metrics.diskRead({ mode: 'scan', reason: 'chunks had changed', sampleCount: 32, mismatchCount: 5 });
    const found = await scrape(metrics);
    assert.equal(found.get('openvbs_changed_extents_mismatches_total'), 5);
    assert.equal(found.get('openvbs_changed_extents_samples_total'), 64);
    assert.equal(found.get('openvbs_backups_total{mode="scan"}'), 2);
    assert.equal(found.get('openvbs_backups_total{mode="changed-extents"}'), 1);
    assert.equal(found.get('openvbs_backup_scan_fallbacks_total{reason="the disk was resized"}'), 1);
  });

  test('count attempts at jobs, and the bytes of backups also when they fail', async () => {
    const metrics = make();
    metrics.attemptBegun('backup');
    metrics.attemptEnded({ kind: 'backup', outcome: 'retried', durationMs: 1000, progress });
    metrics.attemptEnded({ kind: 'backup', outcome: 'succeeded', durationMs: 90_000, progress });
    metrics.attemptEnded({ kind: 'restore', outcome: 'failed', durationMs: 500, progress });
    metrics.restored({ mode: 'compare', writtenBytes: 44 });
    metrics.failed('VOLUME_BUSY');
    const found = await scrape(metrics);
    assert.equal(found.get('openvbs_job_attempts_begun_total{kind="backup"}'), 1);
    assert.equal(found.get('openvbs_job_attempts_total{kind="backup",outcome="retried"}'), 1);
    assert.equal(found.get('openvbs_job_attempts_total{kind="backup",outcome="succeeded"}'), 1);
    assert.equal(found.get('openvbs_backup_read_bytes_total'), 120);
    assert.equal(found.get('openvbs_backup_stored_bytes_total'), 60);
    assert.equal(found.get('openvbs_job_duration_seconds_sum{kind="backup",outcome="succeeded"}'), 90);
    assert.equal(found.get('openvbs_job_duration_seconds_count{kind="backup",outcome="succeeded"}'), 1);
    assert.equal(found.get('openvbs_job_duration_seconds_count{kind="backup",outcome="retried"}'), undefined);
    assert.equal(found.get('openvbs_restore_written_bytes_total'), 44);
    assert.equal(found.get('openvbs_failures_total{code="VOLUME_BUSY"}'), 1);
    assert.equal(found.get('openvbs_failures_total{code="EPOCH_CONFLICT"}'), 0);
  });

  test('count maintenance by what its report says', async () => {
    const metrics = make();
    const mended = { healedCount: 7, lostCount: 1, mendedBackupIds: ['a', 'b'] };
    metrics.maintained({ ...WORK, ...countWork('repair', mended) });
    metrics.maintained({ ...WORK, operation: 'prune', ...countWork('prune', { freedBytes: 1234 }) });
    metrics.maintained({ ...WORK, operation: 'scrub', ...countWork('scrub', { readBytes: 77 }) });
    metrics.maintained({ ...WORK, operation: 'check', isDone: false, ...countWork('adopt', undefined) });
    metrics.verified(5);
    const found = await scrape(metrics);
    assert.equal(found.get('openvbs_repaired_chunks_total'), 7);
    assert.equal(found.get('openvbs_unrepaired_chunks_total'), 1);
    assert.equal(found.get('openvbs_repaired_backups_total'), 2);
    assert.equal(found.get('openvbs_prune_freed_bytes_total'), 1234);
    assert.equal(found.get('openvbs_verified_bytes_total{operation="scrub"}'), 77);
    assert.equal(found.get('openvbs_verified_bytes_total{operation="verify"}'), 5);
    assert.equal(found.get('openvbs_maintenance_runs_total{operation="check",outcome="failed"}'), 1);
    assert.equal(found.get('openvbs_maintenance_last_success_timestamp_seconds{operation="prune"}'), NOW / 1000);
    assert.equal(found.get('openvbs_maintenance_last_success_timestamp_seconds{operation="check"}'), undefined);
    assert.deepEqual(countWork('prune-dry-run', { freedBytes: 9 }).freedBytes, 0, 'a dry run frees nothing');
  });

  test('count requests by route', async () => {
    const metrics = make();
    metrics.served({ method: 'GET', route: '/v3/:project_id/volumes', status: 200, durationMs: 12 });
    const found = await scrape(metrics);
    const labels = 'method="GET",route="/v3/:project_id/volumes"';
    assert.equal(found.get(`openvbs_http_requests_total{${labels},status="200"}`), 1);
    assert.equal(found.get(`openvbs_http_request_duration_seconds_bucket{le="0.025",${labels}}`), 1);
  });

  test('of the process are there when they are asked for', async () => {
    const parts = { readState: async () => STATE, clock: { now: () => NOW }, version: '1' };
    const text = await new PrometheusMetrics({ ...parts, includesProcess: true }).render();
    assert.match(text, /^process_resident_memory_bytes \d+/m);
    assert.match(text, /^nodejs_eventloop_lag_p99_seconds /m);
  });

  test('are the ones that the document describes', async () => {
    const text = await make().render();
    const made = [...text.matchAll(/^# TYPE (openvbs_\w+) (\w+)$/gm)].map(([, name, type]) => `${name} ${type}`);
    const document = await readFile(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
    const described = [...document.matchAll(/^\| `(openvbs_\w+)`[^|]*\| (\w+) \|/gm)].map(
      ([, name, type]) => `${name} ${type}`,
    );
    assert.deepEqual(described.toSorted(), made.toSorted());
  });

  test('are dropped by default', () => {
    noMetrics.maintained(WORK);
    noMetrics.failed('INTERNAL');
  });
});
