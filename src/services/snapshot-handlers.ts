// The jobs that take a snapshot of a volume, remove one, and write one back over its volume.
import type { VbsError } from '../core/errors.ts';
import type { JobContext, JobHandler } from '../jobs/job.ts';
import { failedOutcome, type HandlerDeps } from './handler-deps.ts';
import { readRevertPayload, readSnapshotPayload } from './job-payloads.ts';
import { requireJobSnapshot, requireJobVolume } from './subjects.ts';
import { toSnapshotRef, toVolumeRef } from './volume-disk.ts';

/** The disk is frozen, or copied under guard; what a lost attempt left is replaced by the driver. */
export class CreateSnapshotHandler implements JobHandler {
  readonly #deps: HandlerDeps;

  constructor(deps: HandlerDeps) {
    this.#deps = deps;
  }

  async run({ job, claim, signal, report }: JobContext): Promise<void> {
    const { catalog, drivers, clock, repository } = this.#deps;
    const { throttles } = repository;
    const { snapshotId } = await requireJobSnapshot(catalog, job);
    const volume = await requireJobVolume(catalog, job);
    const { isAttached, force } = readSnapshotPayload(job);
    // It may have been attached since.
    const options = { isAttached: isAttached || volume.status === 'in-use', force };
    const driver = drivers.driver(volume.driver);
    const taken = await driver.takeSnapshot(toVolumeRef(volume), snapshotId, options, { signal, report, throttles });
    const { source, consistency, frozenAt } = taken;
    const updatedAt = clock.now();
    await catalog.transact(claim.projectId, async ({ jobs, snapshots }) => {
      await jobs.requireClaim(claim);
      const whole = { status: 'available', source, consistency, frozenAt, progressPercent: 100, updatedAt } as const;
      await snapshots.update(snapshotId, whole);
      await jobs.end(claim, { status: 'SUCCESS' }, updatedAt);
    });
  }

  /** What was copied so far goes with the snapshot's row, when somebody deletes it. */
  async fail({ job, claim }: JobContext, error: VbsError): Promise<void> {
    const updatedAt = this.#deps.clock.now();
    await this.#deps.catalog.transact(claim.projectId, async ({ jobs, snapshots }) => {
      await jobs.requireClaim(claim);
      if (job.snapshotId !== null) await snapshots.update(job.snapshotId, { status: 'error', updatedAt });
      await jobs.end(claim, failedOutcome(error), updatedAt);
    });
  }
}

/** The bytes first, then the row: a crash between the two leaves a row whose bytes are removed once more. */
export class DeleteSnapshotHandler implements JobHandler {
  readonly #deps: HandlerDeps;

  constructor(deps: HandlerDeps) {
    this.#deps = deps;
  }

  async run({ job, claim }: JobContext): Promise<void> {
    const { catalog, drivers, clock } = this.#deps;
    const { snapshotId, driver } = await requireJobSnapshot(catalog, job);
    await drivers.driver(driver).removeSnapshot(snapshotId);
    await catalog.transact(claim.projectId, async ({ jobs, snapshots }) => {
      await jobs.requireClaim(claim);
      await snapshots.delete(snapshotId);
      await jobs.end(claim, { status: 'SUCCESS' }, clock.now());
    });
  }

  async fail({ job, claim }: JobContext, error: VbsError): Promise<void> {
    const updatedAt = this.#deps.clock.now();
    await this.#deps.catalog.transact(claim.projectId, async ({ jobs, snapshots }) => {
      await jobs.requireClaim(claim);
      if (job.snapshotId !== null) await snapshots.update(job.snapshotId, { status: 'error_deleting', updatedAt });
      await jobs.end(claim, failedOutcome(error), updatedAt);
    });
  }
}

/** A try that was cut short leaves the disk half written, and the next one completes it. */
export class RevertVolumeHandler implements JobHandler {
  readonly #deps: HandlerDeps;

  constructor(deps: HandlerDeps) {
    this.#deps = deps;
  }

  async run(context: JobContext): Promise<void> {
    const { catalog, drivers, clock, repository } = this.#deps;
    const { throttles } = repository;
    const { job, claim, signal, report } = context;
    const snapshot = await requireJobSnapshot(catalog, job);
    const volume = await requireJobVolume(catalog, job);
    const driver = drivers.driver(volume.driver);
    const beforeWrite = () => this.#noteWriting(context);
    const control = { signal, report, throttles, beforeWrite };
    await driver.revertVolume(toVolumeRef(volume), toSnapshotRef(snapshot), control);
    const updatedAt = clock.now();
    await catalog.transact(claim.projectId, async ({ jobs, snapshots, volumes }) => {
      await jobs.requireClaim(claim);
      await volumes.update(volume.volumeId, { status: 'available', updatedAt });
      await snapshots.update(snapshot.snapshotId, { status: 'available', updatedAt });
      await jobs.end(claim, { status: 'SUCCESS' }, updatedAt);
    });
  }

  /** The snapshot is as good as before; the volume too, if no attempt wrote to it. */
  async fail({ job, claim }: JobContext, error: VbsError): Promise<void> {
    const updatedAt = this.#deps.clock.now();
    await this.#deps.catalog.transact(claim.projectId, async ({ jobs, snapshots, volumes }) => {
      await jobs.requireClaim(claim);
      // As it is now: this attempt was taken before it noted that it writes.
      const current = (await jobs.get(job.projectId, job.jobId)) ?? job;
      const status = readRevertPayload(current).isTargetUntouched ? 'available' : 'error';
      if (job.volumeId !== null) await volumes.update(job.volumeId, { status, updatedAt });
      if (job.snapshotId !== null) await snapshots.update(job.snapshotId, { status: 'available', updatedAt });
      await jobs.end(claim, failedOutcome(error), updatedAt);
    });
  }

  /** Durable before the first byte, and for all attempts to come. */
  async #noteWriting({ job, claim }: JobContext): Promise<void> {
    if (!readRevertPayload(job).isTargetUntouched) return;
    await this.#deps.catalog.transact(claim.projectId, async ({ jobs, baselines }) => {
      await jobs.savePayload(claim, { ...job.payload, isTargetUntouched: false });
      // What the disk was at the last backup tells nothing of what is written now.
      if (job.volumeId !== null) await baselines.drop(job.volumeId);
    });
  }
}
