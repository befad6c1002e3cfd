// A repository in memory (or on any store) and disks in a temporary folder: what tests of the engine start from.
import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BackupId, type JobId, newHexId, newUuid, type ProjectId, type VolumeId } from '../../src/core/ids.ts';
import type { JobClaim } from '../../src/core/ledger.ts';
import { silentLogger, systemClock } from '../../src/core/ports.ts';
import { type WrittenBackup, writeBackup } from '../../src/engine/backup-writer.ts';
import { WorkerPool } from '../../src/engine/pipeline/worker-pool.ts';
import { Repository } from '../../src/engine/repository.ts';
import { restoreBackup } from '../../src/engine/restore-writer.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import type { Extent } from '../../src/volumes/extent.ts';
import type { VolumeSource, VolumeTarget } from '../../src/volumes/volume.ts';
import { MemoryLedger } from './memory-ledger.ts';

export const PASSPHRASE = 'a passphrase for tests';

export class EngineBench {
  readonly folder: string;
  readonly ledger: MemoryLedger;
  readonly store: ObjectStore;
  readonly workers: WorkerPool;
  readonly repository: Repository;
  readonly projectId = newHexId<ProjectId>();
  readonly volumeId = newUuid<VolumeId>();

  private constructor(parts: {
    folder: string;
    ledger: MemoryLedger;
    store: ObjectStore;
    workers: WorkerPool;
    repository: Repository;
  }) {
    this.folder = parts.folder;
    this.ledger = parts.ledger;
    this.store = parts.store;
    this.workers = parts.workers;
    this.repository = parts.repository;
  }

  static async start(store: ObjectStore = new MemoryStore()): Promise<EngineBench> {
    const folder = await mkdtemp(join(tmpdir(), 'openvbs-engine-'));
    const ledger = new MemoryLedger();
    const workers = new WorkerPool({ threadCount: 2, logger: silentLogger });
    const deps = { store, ledger, workers, clock: systemClock, logger: silentLogger };
    const repository = await Repository.open(deps, PASSPHRASE);
    return new EngineBench({ folder, ledger, store, workers, repository });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.workers.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  newClaim(attempt = 1): JobClaim {
    return { jobId: newUuid<JobId>(), attempt, projectId: this.projectId };
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Makes a sparse disk of `sizeBytes` with `pieces` written into it. */
  async makeDisk(name: string, sizeBytes: number, pieces: readonly { offsetBytes: number; bytes: Uint8Array }[]) {
    const file = await open(this.path(name), 'w');
    try {
      await file.truncate(sizeBytes);
      for (const { offsetBytes, bytes } of pieces) await file.write(bytes, 0, bytes.length, offsetBytes);
    } finally {
      await file.close();
    }
    return this.path(name);
  }

  /** Stores a backup of the disk at `path`, without committing it. */
  async write(
    path: string,
    options: { backupId?: BackupId; claim?: JobClaim; isIncremental?: boolean; signal?: AbortSignal } = {},
  ): Promise<WrittenBackup & { claim: JobClaim }> {
    const claim = options.claim ?? this.newClaim();
    const written = await writeBackup(this.repository, {
      claim,
      backupId: options.backupId ?? newUuid<BackupId>(),
      volumeId: this.volumeId,
      isIncremental: options.isIncremental ?? true,
      source: await fileSource(path),
      describe: { name: 'test', description: null, tags: [], volumeName: null, driver: 'file', createdAt: 0 },
      report: () => undefined,
      signal: options.signal ?? new AbortController().signal,
    });
    return { ...written, claim };
  }

  /** Backs the disk at `path` up and commits. */
  async backUp(path: string, options: { isIncremental?: boolean } = {}): Promise<WrittenBackup> {
    const written = await this.write(path, options);
    await this.commit(written);
    return written;
  }

  async commit(written: WrittenBackup & { claim: JobClaim }): Promise<void> {
    await this.ledger.commitBackup(written.claim, this.volumeId, written.commit);
    await this.ledger.addHooks(this.projectId, written.hooks);
  }

  /** Restores to a new sparse file, or over `path` when it exists, and returns the path. */
  async restore(backupId: BackupId, name: string, target: { readsZero?: boolean; sizeBytes?: number } = {}) {
    const sizeBytes = target.sizeBytes ?? (await stat(this.path(name))).size;
    const claim = this.newClaim();
    await restoreBackup(this.repository, {
      claim,
      backupId,
      target: await fileTarget(this.path(name), sizeBytes, target.readsZero ?? false),
      zeroBeyond: false,
      report: () => undefined,
      signal: new AbortController().signal,
    });
    this.ledger.endJob(claim);
    return this.path(name);
  }
}

/** A disk that offers all of itself as data: the engine must find the zeros. */
export async function fileSource(path: string): Promise<VolumeSource> {
  const { size: sizeBytes } = await stat(path);
  return {
    descriptor: { driver: 'file', path, sizeBytes },
    sizeBytes,
    consistency: 'quiescent',
    frozenAt: 0,
    async *dataExtents(range: Extent) {
      yield range;
    },
    changedExtents: () => undefined,
    finish: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function fileTarget(path: string, sizeBytes: number, readsZero: boolean): Promise<VolumeTarget> {
  const file = await open(path, readsZero ? 'w' : 'r+');
  await file.truncate(sizeBytes);
  await file.close();
  return {
    descriptor: { driver: 'file', path, sizeBytes },
    sizeBytes,
    readsZero,
    sync: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}
