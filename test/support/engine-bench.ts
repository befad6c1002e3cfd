// A repository in memory (or on any store) and disks in a temporary folder: what tests of the engine start from.
import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BackupId, type JobId, newHexId, newUuid, type ProjectId, type VolumeId } from '../../src/core/ids.ts';
import type { JobClaim } from '../../src/core/ledger.ts';
import type { Progress } from '../../src/core/model.ts';
import { silentLogger, systemClock } from '../../src/core/ports.ts';
import { type WrittenBackup, writeBackup } from '../../src/engine/backup-writer.ts';
import { WorkerPool } from '../../src/engine/pipeline/worker-pool.ts';
import { Repository } from '../../src/engine/repository.ts';
import { type RestoreReport, type RestoreRequest, restoreBackup } from '../../src/engine/restore-writer.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { clipExtents, type Extent } from '../../src/volumes/extent.ts';
import type { VolumeSource, VolumeTarget } from '../../src/volumes/volume.ts';
import { MemoryLedger } from './memory-ledger.ts';

export const PASSPHRASE = 'a passphrase for tests';

/** One for all benches of a process: starting threads costs more than most tests. Idle ones do not keep it alive. */
let sharedWorkers: WorkerPool | undefined;

export type WriteOptions = {
  readonly repository?: Repository;
  readonly backupId?: BackupId;
  readonly claim?: JobClaim;
  readonly isIncremental?: boolean;
  /** Absent: all of the file. */
  readonly source?: VolumeSource;
  readonly report?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
};

export type RestoreOptions = {
  readonly repository?: Repository;
  /** True: a new sparse file is made. */
  readonly readsZero?: boolean;
  readonly sizeBytes?: number;
  readonly zeroBeyond?: boolean;
  readonly signal?: AbortSignal;
  /** Absent: a plain file. */
  readonly target?: VolumeTarget;
  readonly heldBackup?: RestoreRequest['heldBackup'];
  readonly verify?: boolean;
  readonly report?: (progress: Progress) => void;
};

export class EngineBench {
  readonly folder: string;
  readonly ledger: MemoryLedger;
  readonly store: ObjectStore;
  readonly workers: WorkerPool;
  readonly repository: Repository;
  readonly projectId = newHexId<ProjectId>();
  volumeId = newUuid<VolumeId>();

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

  static async start(store: ObjectStore = new MemoryStore(), ledger = new MemoryLedger()): Promise<EngineBench> {
    const folder = await mkdtemp(join(tmpdir(), 'openvbs-engine-'));
    sharedWorkers ??= new WorkerPool({ threadCount: 2, logger: silentLogger });
    const workers = sharedWorkers;
    const deps = { store, ledger, workers, clock: systemClock, logger: silentLogger };
    const repository = await Repository.open(deps, PASSPHRASE);
    return new EngineBench({ folder, ledger, store, workers, repository });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  /** The same repository opened once more, with nothing in memory, as after a restart. */
  reopen(store: ObjectStore = this.store, passphrase = PASSPHRASE): Promise<Repository> {
    const { ledger, workers } = this;
    return Repository.open({ store, ledger, workers, clock: systemClock, logger: silentLogger }, passphrase);
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
  async write(path: string, options: WriteOptions = {}): Promise<WrittenBackup & { claim: JobClaim }> {
    const claim = options.claim ?? this.newClaim();
    const written = await writeBackup(options.repository ?? this.repository, {
      claim,
      backupId: options.backupId ?? newUuid<BackupId>(),
      volumeId: this.volumeId,
      isIncremental: options.isIncremental ?? true,
      source: options.source ?? (await fileSource(path)),
      describe: { name: 'test', description: null, tags: [], volumeName: null, driver: 'file', createdAt: 0 },
      report: options.report ?? (() => undefined),
      signal: options.signal ?? new AbortController().signal,
    });
    return { ...written, claim };
  }

  /** Backs the disk at `path` up and commits. */
  async backUp(path: string, options: WriteOptions = {}): Promise<WrittenBackup> {
    const written = await this.write(path, options);
    await this.commit(written);
    return written;
  }

  async commit(written: WrittenBackup & { claim: JobClaim }): Promise<void> {
    await this.ledger.commitBackup(written.claim, this.volumeId, written.commit);
    await this.ledger.addHooks(this.projectId, [...written.hooks]);
  }

  /** Restores to a new sparse file, or over `path` when it exists, and returns the path. */
  async restore(backupId: BackupId, name: string, options: RestoreOptions = {}): Promise<string> {
    await this.restoreWithReport(backupId, name, options);
    return this.path(name);
  }

  async restoreWithReport(backupId: BackupId, name: string, options: RestoreOptions = {}): Promise<RestoreReport> {
    const sizeBytes = options.target?.sizeBytes ?? options.sizeBytes ?? (await stat(this.path(name))).size;
    const claim = this.newClaim();
    try {
      return await restoreBackup(options.repository ?? this.repository, {
        claim,
        backupId,
        volumeId: this.volumeId,
        target: options.target ?? (await fileTarget(this.path(name), sizeBytes, options.readsZero ?? false)),
        heldBackup: options.heldBackup,
        verify: options.verify,
        zeroBeyond: options.zeroBeyond ?? false,
        report: options.report ?? (() => undefined),
        signal: options.signal ?? new AbortController().signal,
      });
    } finally {
      this.ledger.endJob(claim);
    }
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
    findChanges: async () => ({ isKnown: false, reason: 'it cannot be told' }),
    describeBaseline: async () => undefined,
    keep: () => undefined,
    finish: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** A disk whose data lies within `extents` (ascending, disjoint), as a driver that knows holes tells. */
export async function sparseSource(path: string, extents: readonly Extent[]): Promise<VolumeSource> {
  return {
    ...(await fileSource(path)),
    async *dataExtents(range: Extent) {
      yield* clipExtents(extents, range);
    },
  };
}

export async function fileTarget(path: string, sizeBytes: number, readsZero: boolean): Promise<VolumeTarget> {
  const file = await open(path, readsZero ? 'w' : 'r+');
  await file.truncate(sizeBytes);
  await file.close();
  return {
    descriptor: { driver: 'file', path, sizeBytes },
    sizeBytes,
    readsZero,
    async *dataExtents(range: Extent) {
      yield range;
    },
    findChanges: async () => ({ isKnown: false, reason: 'it cannot be told' }),
    writeBack: async () => undefined,
    dropCache: async () => undefined,
    sync: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}
