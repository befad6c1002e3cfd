// A disk image of the real driver on a file system with reflinks, backed up by the real engine as the service does it:
// snapshot, changed extents, commit with the new baseline, old baseline removed.
import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { type BackupId, newUuid, type SnapshotId } from '../../src/core/ids.ts';
import { NO_PROGRESS, type Progress } from '../../src/core/model.ts';
import { type Logger, silentLogger, systemClock } from '../../src/core/ports.ts';
import type { WrittenBackup } from '../../src/engine/backup-writer.ts';
import type { RestoreReport } from '../../src/engine/restore-writer.ts';
import { FileDriver } from '../../src/volumes/file-driver.ts';
import { loadSystemCalls, type SystemCalls } from '../../src/volumes/system-calls.ts';
import type { Baseline, VolumeRef, VolumeSource } from '../../src/volumes/volume.ts';
import { EngineBench, type WriteOptions } from './engine-bench.ts';
import { assertSameData } from './sparse-disk.ts';

export type TrackedDiskOptions = {
  readonly folder: string;
  readonly sizeBytes: number;
  readonly systemCalls?: SystemCalls;
  readonly keepsBaselines?: boolean;
  readonly bench?: EngineBench;
};

export type TrackedBackup = WrittenBackup & { readonly backupId: BackupId; readonly progress: Progress };

export class TrackedDisk implements AsyncDisposable {
  readonly bench: EngineBench;
  readonly driver: FileDriver;
  readonly folder: string;
  volume: VolumeRef;

  private constructor(parts: { bench: EngineBench; driver: FileDriver; folder: string; volume: VolumeRef }) {
    this.bench = parts.bench;
    this.driver = parts.driver;
    this.folder = parts.folder;
    this.volume = parts.volume;
  }

  static async make(options: TrackedDiskOptions): Promise<TrackedDisk> {
    const bench = options.bench ?? (await EngineBench.start());
    const driver = openDriver(options);
    const made = await driver.create(bench.volumeId, options.sizeBytes);
    const volume = { volumeId: bench.volumeId, isAdopted: false, ...made };
    return new TrackedDisk({ bench, driver, folder: options.folder, volume });
  }

  get snapshotFolder(): string {
    return join(this.folder, 'snapshots');
  }

  get path(): string {
    return this.volume.source;
  }

  /** As its user writes: through the file system, made durable or not. */
  async write(offsetBytes: number, bytes: Uint8Array, options: { readonly sync?: boolean } = {}): Promise<void> {
    await using file = await open(this.path, 'r+');
    await file.write(bytes, 0, bytes.length, offsetBytes);
    if (options.sync ?? false) await file.sync();
  }

  async openSource(options: { snapshotId?: SnapshotId; attempt?: number; driver?: FileDriver } = {}) {
    const { snapshotId = newUuid<SnapshotId>(), attempt = 1, driver = this.driver } = options;
    return await driver.openSource(this.volume, { snapshotId, attempt, isAttached: false, force: false });
  }

  async backUp(options: WriteOptions & { readonly driver?: FileDriver } = {}): Promise<TrackedBackup> {
    const { driver, ...rest } = options;
    await using source = options.source ?? (await this.openSource(driver === undefined ? {} : { driver }));
    return await this.backUpFrom(source, rest);
  }

  async backUpFrom(source: VolumeSource, options: WriteOptions = {}): Promise<TrackedBackup> {
    const { ledger, volumeId } = this.bench;
    const old = ledger.baselines.get(volumeId);
    let progress = NO_PROGRESS;
    const report = (now: Progress): void => {
      progress = now;
    };
    const written = await this.bench.write(this.path, { report, ...options, source });
    source.keep();
    await this.bench.commit(written);
    if (old) await this.driver.removeBaseline(old);
    return { ...written, backupId: written.commit.backupId, progress };
  }

  /** Restores over the disk as the service does it: what changed since the baseline is found out before. */
  async rollBack(
    backupId: BackupId,
    options: { readonly driver?: FileDriver; readonly verify?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<RestoreReport & { readonly progress: Progress }> {
    const { driver = this.driver, verify = false, signal } = options;
    await using target = await driver.openTarget(this.volume, { isFresh: false });
    const baseline = this.bench.ledger.baselines.get(this.bench.volumeId);
    const found = baseline && (await target.findChanges(baseline, { sampleCount: 32, random: Math.random }));
    const heldBackup = baseline && found?.isKnown ? { backupId: baseline.backupId, ...found } : undefined;
    let progress = NO_PROGRESS;
    const report = (now: Progress): void => {
      progress = now;
    };
    const restored = { target, heldBackup, verify, report, ...(signal ? { signal } : {}) };
    const result = await this.bench.restoreWithReport(backupId, '', restored);
    return { ...result, progress };
  }

  baseline(): Baseline {
    return this.bench.ledger.baselines.get(this.bench.volumeId) ?? assert.fail('the volume has a baseline');
  }

  /** Restores the backup elsewhere and compares it with the image as it is now. */
  async assertHolds(backupId: BackupId): Promise<void> {
    const { sizeBytes } = this.volume;
    const path = await this.bench.restore(backupId, `restored-${backupId}`, { readsZero: true, sizeBytes });
    await assertSameData(path, this.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const baseline = this.bench.ledger.baselines.get(this.bench.volumeId);
    if (baseline) await this.driver.removeBaseline(baseline);
    await this.bench[Symbol.asyncDispose]();
  }
}

export function openDriver(options: {
  readonly folder: string;
  readonly systemCalls?: SystemCalls;
  readonly keepsBaselines?: boolean;
  readonly logger?: Logger;
}): FileDriver {
  const { folder, systemCalls = loadSystemCalls(), keepsBaselines = true, logger = silentLogger } = options;
  return new FileDriver({ folder, roots: [], clock: systemClock, logger, systemCalls, keepsBaselines });
}
