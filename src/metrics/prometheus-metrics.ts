// The figures of core/metrics.ts as Prometheus reads them. The only file that knows the library (decision 0013).
// Names, labels and their meaning stand in docs/operations.md, "Metrics"; a test compares.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from '@prometheus-io/client';
import type { ErrorCode } from '../core/errors.ts';
import type {
  CurrentState,
  DiskReading,
  JobAttempt,
  MaintenanceWork,
  Metrics,
  ServedRequest,
} from '../core/metrics.ts';
import type { JobKind } from '../core/model.ts';
import type { Clock } from '../core/ports.ts';

/** Seconds. A backup takes from a second to a day, a request from a millisecond to some seconds. */
const JOB_BUCKETS = [1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600];
const REQUEST_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30];
/** Shown from the start, as attempts at backups are: `increase()` does not see the step from nothing to 1. */
const WATCHED_CODES: readonly ErrorCode[] = ['DATA_CORRUPT', 'EPOCH_CONFLICT', 'STORAGE_FULL', 'STORAGE_IO'];

export type PrometheusMetricsDeps = {
  /** @throws whatever keeps it from being known; then there is no answer to a scrape */
  readonly readState: () => Promise<CurrentState>;
  readonly clock: Clock;
  readonly version: string;
  /** Also those of the process: memory, processor time, event loop, garbage collection. */
  readonly includesProcess: boolean;
};

export class PrometheusMetrics implements Metrics {
  readonly #deps: PrometheusMetricsDeps;
  readonly #registry = new Registry();
  readonly #work = makeWorkMetrics(this.#registry);
  readonly #state = makeStateMetrics(this.#registry);
  #rendering: Promise<string> | undefined;

  constructor(deps: PrometheusMetricsDeps) {
    this.#deps = deps;
    if (deps.includesProcess) collectDefaultMetrics({ register: this.#registry });
    const build = {
      name: 'openvbs_build_info',
      help: 'Always 1; the version that runs',
      labelNames: ['version'] as const,
    };
    new Gauge({ ...build, registers: [this.#registry] }).set({ version: deps.version }, 1);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All figures in the text format. Those who ask while an answer is being made get the same one. */
  async render(): Promise<string> {
    this.#rendering ??= this.#render().finally(() => {
      this.#rendering = undefined;
    });
    return await this.#rendering;
  }

  async #render(): Promise<string> {
    this.#showState(await this.#deps.readState());
    return await this.#registry.metrics();
  }

  attemptBegun(kind: JobKind): void {
    this.#work.begun.inc({ kind });
  }

  attemptEnded({ kind, outcome, durationMs, progress }: JobAttempt): void {
    const { attempts, durations, backupReadBytes, backupStoredBytes } = this.#work;
    attempts.inc({ kind, outcome });
    if (outcome === 'succeeded' || outcome === 'failed') durations.observe({ kind, outcome }, durationMs / 1000);
    if (kind !== 'backup') return;
    backupReadBytes.inc(progress.doneBytes);
    backupStoredBytes.inc(progress.storedBytes);
  }

  diskRead({ mode, reason, sampleCount, mismatchCount }: DiskReading): void {
    const { readings, fallbacks, samples, mismatches } = this.#work;
    readings.inc({ mode });
    if (mode === 'scan') fallbacks.inc({ reason: reason ?? 'unknown' });
    samples.inc(sampleCount);
    mismatches.inc(mismatchCount);
  }

  restored({ mode, writtenBytes }: Parameters<Metrics['restored']>[0]): void {
    this.#work.restores.inc({ mode });
    this.#work.restoredBytes.inc(writtenBytes);
  }

  verified(readBytes: number): void {
    this.#work.verifiedBytes.inc({ operation: 'verify' }, readBytes);
  }

  maintained(done: MaintenanceWork): void {
    const { operation, isDone, verifiedBytes } = done;
    const { runs, runDurations, lastSuccess, freedBytes, healed, lost, mended } = this.#work;
    runs.inc({ operation, outcome: isDone ? 'succeeded' : 'failed' });
    runDurations.observe({ operation }, done.durationMs / 1000);
    if (isDone) lastSuccess.set({ operation }, this.#deps.clock.now() / 1000);
    freedBytes.inc(done.freedBytes);
    if (verifiedBytes > 0) this.#work.verifiedBytes.inc({ operation }, verifiedBytes);
    healed.inc(done.healedCount);
    lost.inc(done.lostCount);
    mended.inc(done.mendedBackupCount);
  }

  failed(code: ErrorCode): void {
    this.#work.failures.inc({ code });
  }

  served({ method, route, status, durationMs }: ServedRequest): void {
    this.#work.requests.inc({ method, route, status: String(status) });
    this.#work.requestDurations.observe({ method, route }, durationMs / 1000);
  }

  #showState(state: CurrentState): void {
    const gauges = this.#state;
    // What no job is in any more must not stay as it was.
    gauges.jobs.reset();
    for (const { kind, isRunning, count } of state.jobs) {
      gauges.jobs.set({ kind, state: isRunning ? 'running' : 'waiting' }, count);
    }
    gauges.damagedChunks.set(state.damagedChunkCount);
    gauges.damagedPacks.set(state.damagedPackCount);
    gauges.damagedBackups.set(state.damagedBackupCount);
    gauges.unverifiedPacks.set(state.unverifiedPackCount);
    // Without packs nothing waits: the time of the scrape.
    gauges.oldestVerification.set((state.oldestVerifiedAt ?? this.#deps.clock.now()) / 1000);
    gauges.scrubLate.set(state.isScrubLate ? 1 : 0);
    gauges.freeBytes.set(state.repositoryFreeBytes);
    gauges.diskBytes.set(state.repositoryDiskBytes);
  }
}

/** What is counted as it happens, since the start of the process. */
function makeWorkMetrics(registry: Registry) {
  const registers = [registry];
  const counter = <Label extends string = never>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Counter<Label>({ name: `openvbs_${name}`, help, labelNames, registers });
  const histogram = <Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    buckets: number[],
  ) => new Histogram<Label>({ name: `openvbs_${name}`, help, labelNames, buckets, registers });
  const failures = counter('failures_total', 'Failed attempts at jobs and background work, by error code', ['code']);
  for (const code of WATCHED_CODES) failures.inc({ code }, 0);
  const attempts = counter('job_attempts_total', 'Ended attempts at jobs', ['kind', 'outcome']);
  for (const outcome of ['succeeded', 'failed']) attempts.inc({ kind: 'backup', outcome }, 0);
  const success = { name: 'openvbs_maintenance_last_success_timestamp_seconds', labelNames: ['operation'] as const };
  return {
    failures,
    begun: counter('job_attempts_begun_total', 'Attempts at jobs that were begun', ['kind']),
    attempts,
    durations: histogram(
      'job_duration_seconds',
      'Time that the last attempt of ended jobs took',
      ['kind', 'outcome'],
      JOB_BUCKETS,
    ),
    backupReadBytes: counter('backup_read_bytes_total', 'Read from disks by backups'),
    backupStoredBytes: counter('backup_stored_bytes_total', 'Stored by backups, after compression'),
    readings: counter('backups_total', 'Backups made, by how the disk was read', ['mode']),
    fallbacks: counter('backup_scan_fallbacks_total', 'Increments that read all of the disk, by reason', ['reason']),
    samples: counter('changed_extents_samples_total', 'Chunks said to be unchanged that were read and compared'),
    mismatches: counter('changed_extents_mismatches_total', 'Such chunks that had changed'),
    restores: counter('restores_total', 'Restores done, by how the disk was compared', ['mode']),
    restoredBytes: counter('restore_written_bytes_total', 'Written to disks by restores'),
    runs: counter('maintenance_runs_total', 'Ended runs of maintenance', ['operation', 'outcome']),
    runDurations: histogram('maintenance_duration_seconds', 'Time that runs took', ['operation'], JOB_BUCKETS),
    lastSuccess: new Gauge({ ...success, help: 'When a run in any project last succeeded', registers }),
    freedBytes: counter('prune_freed_bytes_total', 'Given back by prunes'),
    verifiedBytes: counter('verified_bytes_total', 'Read from the repository and checked', ['operation']),
    healed: counter('repaired_chunks_total', 'Damaged chunks and pages that got their contents back'),
    lost: counter('unrepaired_chunks_total', 'Damaged chunks and pages that repairs found no contents for'),
    mended: counter('repaired_backups_total', 'Damaged backups that are whole again'),
    requests: counter('http_requests_total', 'Requests answered', ['method', 'route', 'status']),
    requestDurations: histogram(
      'http_request_duration_seconds',
      'Time until the answer was sent',
      ['method', 'route'],
      REQUEST_BUCKETS,
    ),
  };
}

/** What is looked up at each scrape. */
function makeStateMetrics(registry: Registry) {
  const gauge = <Label extends string = never>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Gauge<Label>({ name: `openvbs_${name}`, help, labelNames, registers: [registry] });
  return {
    jobs: gauge('jobs', 'Jobs that have not ended', ['kind', 'state']),
    damagedChunks: gauge('damaged_chunks', 'Chunks and pages that are known to be bad'),
    damagedPacks: gauge('damaged_packs', 'Packs with such chunks or pages'),
    damagedBackups: gauge('damaged_backups', 'Backups that cannot be restored as a whole'),
    unverifiedPacks: gauge('unverified_packs', 'Packs whose verification is due at once'),
    oldestVerification: gauge('oldest_verification_timestamp_seconds', 'When the pack that waits longest was verified'),
    scrubLate: gauge('scrub_late', '1 when something was not verified within the days that are promised'),
    freeBytes: gauge('repository_free_bytes', 'Free space where the repository lies'),
    diskBytes: gauge('repository_disk_bytes', 'Size of the file system where the repository lies'),
  };
}
