// The services on a real catalog (SQLite), the real engine over a store in memory that can be made to fail, and real
// disks in a temporary folder; without HTTP. Jobs wait until a test starts the runner.
import assert from 'node:assert/strict';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Foreground } from '../../src/core/background-pace.ts';
import { type BackupId, type JobId, newHexId, newUuid, type ProjectId, type VolumeId } from '../../src/core/ids.ts';
import type { Backup, Job, Role, Volume } from '../../src/core/model.ts';
import { NATIVE_RULES, type NativeRules } from '../../src/core/native-rules.ts';
import { type Clock, silentLogger, systemClock } from '../../src/core/ports.ts';
import { Catalog } from '../../src/db/catalog.ts';
import { openDatabase } from '../../src/db/database.ts';
import { WorkerPool } from '../../src/engine/pipeline/worker-pool.ts';
import { adoptProject } from '../../src/engine/prune/adopt-project.ts';
import { runPrune } from '../../src/engine/prune/run-prune.ts';
import { measureUsage } from '../../src/engine/prune/space-usage.ts';
import { Repository } from '../../src/engine/repository.ts';
import { sweepTrash } from '../../src/engine/sweep.ts';
import { checkProject } from '../../src/engine/verify/check-project.ts';
import { repairProject } from '../../src/engine/verify/repair-project.ts';
import { scrubProject } from '../../src/engine/verify/scrub-project.ts';
import { JobRunner } from '../../src/jobs/job-runner.ts';
import { Scheduler } from '../../src/jobs/scheduler.ts';
import { BackupRecordService } from '../../src/services/backup-record-service.ts';
import { type BackupLimits, BackupService, type CreateBackupInput } from '../../src/services/backup-service.ts';
import { BackupTagService } from '../../src/services/backup-tag-service.ts';
import type { Caller } from '../../src/services/caller.ts';
import { ExportOpener } from '../../src/services/export-opener.ts';
import { createJobHandlers } from '../../src/services/job-handlers.ts';
import { JobService } from '../../src/services/job-service.ts';
import { LabelKeeper } from '../../src/services/label-keeper.ts';
import { MaintenanceRuns } from '../../src/services/maintenance-runs.ts';
import type { PolicyLimits } from '../../src/services/policy-requests.ts';
import { PolicyService } from '../../src/services/policy-service.ts';
import { PruneRunner } from '../../src/services/prune-runner.ts';
import { type QuotaLimits, UNLIMITED_QUOTAS } from '../../src/services/quota.ts';
import { RepositoryService } from '../../src/services/repository-service.ts';
import { RetentionRunner } from '../../src/services/retention-runner.ts';
import { ScrubRunner } from '../../src/services/scrub-runner.ts';
import { SharingService } from '../../src/services/sharing-service.ts';
import { SnapshotService } from '../../src/services/snapshot-service.ts';
import { TaskStarter } from '../../src/services/task-starter.ts';
import { TraceService } from '../../src/services/trace-service.ts';
import { TrashSweeper } from '../../src/services/trash-sweeper.ts';
import { VerifyService } from '../../src/services/verify-service.ts';
import { type CreateVolumeInput, VolumeCreator } from '../../src/services/volume-creation.ts';
import { toDescriptor } from '../../src/services/volume-disk.ts';
import type { VolumeService } from '../../src/services/volume-service.ts';
import { makeVolumeServices, type VolumeServices } from '../../src/services/volume-services.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { FileDriver } from '../../src/volumes/file-driver.ts';
import { VolumeRegistry } from '../../src/volumes/volume-registry.ts';
import { FaultyStore } from './faulty-store.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

export type BenchOptions = {
  /** Absent: none. */
  readonly quotas?: Partial<QuotaLimits>;
  readonly limits?: Partial<BackupLimits>;
  readonly policyLimits?: Partial<BenchPolicyLimits>;
  readonly nativeRules?: NativeRules;
  /** Where everything is; absent: a temporary folder. It must not exist, and whoever named it removes it. */
  readonly folder?: string;
};
type BenchPolicyLimits = PolicyLimits & { readonly taskStallMs: number };

export const POLICY_LIMITS: BenchPolicyLimits = {
  maxPolicies: 10,
  maxFrequencyDays: 14,
  maxRetentionCount: 14,
  maxVolumes: 256,
  taskTimeoutMs: 24 * 3600 * 1000,
  taskStallMs: 2 * 3600 * 1000,
  startJitterMs: 0,
};

/** How long a job may take in a test before it is taken for stuck. */
const JOB_WAIT_MS = 20_000;
/** Longer than the runner ever waits before it tries a job again. */
const RETRY_DELAY_MAX_MS = 10_000;

export type ManualClock = Clock & { advance(ms: number): void };

function makeManualClock(): ManualClock {
  let aheadMs = 0;
  return {
    now: () => systemClock.now() + aheadMs,
    advance: (ms) => {
      aheadMs += ms;
    },
  };
}

export class ServiceBench {
  readonly store: FaultyStore;
  readonly volumes: VolumeService;
  /** `volumes` and those around it. */
  readonly volumeServices: VolumeServices;
  readonly volumeCreator: VolumeCreator;
  readonly snapshots: SnapshotService;
  readonly backups: BackupService;
  readonly jobs: JobService;
  readonly backupRecords: BackupRecordService;
  readonly backupTags: BackupTagService;
  readonly sharings: SharingService;
  readonly traces: TraceService;
  readonly policies: PolicyService;
  readonly retention: RetentionRunner;
  readonly pruner: PruneRunner;
  readonly labels: LabelKeeper;
  readonly repositories: RepositoryService;
  readonly scrubber: ScrubRunner;
  readonly foreground = new Foreground();
  readonly verifications: VerifyService;
  /** Looks when it is told to; `start` was not called. */
  readonly scheduler: Scheduler;
  readonly catalog: Catalog;
  readonly runner: JobRunner;
  readonly sweeper: TrashSweeper;
  readonly drivers: VolumeRegistry;
  readonly maintenance: MaintenanceRuns;
  readonly caller: Caller;
  readonly projectId: ProjectId;
  /** Of another project. */
  readonly stranger: Caller;
  readonly folder: string;
  /** Ahead of the system's by what `waitForJob` skipped. Disks are compared with the system's own. */
  readonly clock: ManualClock;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    parts: Pick<ServiceBench, 'store' | 'catalog' | 'caller' | 'stranger' | 'folder'> & { quotas: QuotaLimits },
    repository: Repository,
    limits: BackupLimits,
    policyLimits: BenchPolicyLimits,
    nativeRules: NativeRules,
    stack: AsyncDisposableStack,
  ) {
    const { store, catalog, caller, stranger, folder } = parts;
    assert(caller.projectId !== null);
    this.store = store;
    this.catalog = catalog;
    this.caller = caller;
    this.stranger = stranger;
    this.folder = folder;
    this.projectId = caller.projectId;
    this.#stack = stack;
    this.clock = makeManualClock();
    const base = { catalog, clock: this.clock, logger: silentLogger };
    const folders = { folder: join(folder, 'volumes'), roots: [join(folder, 'disks')] };
    const driver = new FileDriver({ ...folders, clock: systemClock, logger: silentLogger });
    const drivers = new VolumeRegistry([driver]);
    this.drivers = drivers;
    const sweep = (projectId: ProjectId) => sweepTrash(repository, projectId);
    this.sweeper = new TrashSweeper({ ...base, ledger: catalog.ledger, sweepTrash: sweep });
    const wakeJobs = () => this.runner.wake();
    this.retention = new RetentionRunner({ ...base, wakeJobs });
    const { sweeper, retention, foreground } = this;
    const runs = new MaintenanceRuns(base);
    this.maintenance = runs;
    stack.defer(() => runs.stop());
    this.pruner = new PruneRunner({
      ...{ runs, logger: silentLogger, intervalMs: 0, reserve: undefined },
      prune: (projectId, options, signal) => runPrune(repository, projectId, options, signal),
      listProjects: async () => (await catalog.projects.list()).map((project) => project.projectId),
    });
    const { pruner } = this;
    this.repositories = new RepositoryService({
      ...{ catalog, runs, pruner },
      adopt: (projectId, signal) => adoptProject(repository, projectId, {}, signal),
      measure: (projectId, signal) => measureUsage(repository, projectId, signal),
    });
    this.labels = new LabelKeeper({ catalog, repository, logger: silentLogger });
    const { labels } = this;
    const repair = (projectId: ProjectId, signal: AbortSignal) => {
      const openVolume = async (volumeId: VolumeId) => {
        const volume = await catalog.volumes.get(projectId, volumeId);
        return volume && toDescriptor(volume);
      };
      return repairProject(repository, projectId, { openVolume }, signal);
    };
    this.scrubber = new ScrubRunner({
      ...{ ...base, ledger: catalog.ledger, runs, foreground, repair, pace: { days: 30, maxBytesPerDay: 0 } },
      scrub: (projectId, options, signal) => scrubProject(repository, projectId, options, signal),
      listProjects: async () => (await catalog.projects.list()).map((project) => project.projectId),
    });
    const { scrubber } = this;
    stack.defer(async () => void (await Promise.all([runs.stop(), scrubber.stop()])));
    this.verifications = new VerifyService({
      ...{ catalog, runs, clock: this.clock, wakeJobs, foreground, repair },
      check: (projectId, readShare, signal) => checkProject(repository, projectId, { readShare }, signal),
    });
    const helpers = { sweeper, retention, pruner, labels, scrubber, foreground };
    const handlers = createJobHandlers({ ...base, repository, drivers, ...helpers });
    this.runner = new JobRunner({ ...base, handlers, maxJobs: 2, runnerId: 'test' });
    const place = { hostName: 'host', availabilityZone: 'az-1' };
    const { quotas } = parts;
    this.volumeServices = makeVolumeServices({ ...base, ...place, drivers, wakeJobs, quotas });
    this.volumes = this.volumeServices.volumes;
    this.volumeCreator = new VolumeCreator({ ...base, ...place, drivers, wakeJobs, quotas });
    this.snapshots = new SnapshotService({ ...base, drivers, wakeJobs, quotas });
    const exports = new ExportOpener({ ...base, repository, foreground, runner: this.runner });
    this.backups = new BackupService({ ...base, ...place, exports, limits, labels, nativeRules, wakeJobs });
    this.backupRecords = new BackupRecordService({
      ...{ ...base, repository, wakeJobs },
      requireQuota: (records, projectId, sizeGib) => this.backups.requireQuotaLeft(records, projectId, sizeGib),
    });
    this.backupTags = new BackupTagService({ ...base, labels });
    this.sharings = new SharingService(base);
    this.traces = new TraceService(base);
    const starter = new TaskStarter({ ...base, backups: this.backups, wakeJobs });
    this.scheduler = new Scheduler({ ...base, ...policyLimits, startTask: (task) => starter.startTask(task) });
    const wakeScheduler = () => void this.scheduler.lookOnce();
    this.policies = new PolicyService({ ...base, limits: policyLimits, backups: this.backups, wakeScheduler });
    this.jobs = new JobService({ catalog, progressOf: (jobId) => this.runner.progressOf(jobId) });
  }

  static async start(options: BenchOptions = {}): Promise<ServiceBench> {
    await using stack = new AsyncDisposableStack();
    const folder = options.folder ?? stack.use(await makeTemporaryFolder()).path;
    await mkdir(join(folder, 'disks'), { recursive: true });
    const database = await openDatabase({ kind: 'sqlite', path: join(folder, 'catalog.sqlite') });
    const catalog = stack.use(new Catalog({ database }));
    const workers = new WorkerPool({ threadCount: 2, logger: silentLogger });
    stack.defer(() => workers.close());
    const store = new FaultyStore(new MemoryStore());
    const deps = { store, ledger: catalog.ledger, workers, clock: systemClock, logger: silentLogger };
    const repository = await Repository.open(deps, 'a passphrase for tests');
    const caller = await addCaller(catalog, ['admin', 'member']);
    const stranger = await addCaller(catalog, ['member']);
    const limits = { backups: -1, backupGigabytes: -1, backupsPerVolume: 0, ...options.limits };
    const policyLimits = { ...POLICY_LIMITS, ...options.policyLimits };
    const quotas = { ...UNLIMITED_QUOTAS, ...options.quotas };
    const parts = { store, catalog, caller, stranger, folder, quotas };
    const bench = new ServiceBench(
      parts,
      repository,
      limits,
      policyLimits,
      options.nativeRules ?? NATIVE_RULES,
      stack.move(),
    );
    bench.#stack.defer(() => bench.runner.stop());
    bench.#stack.defer(() => bench.scheduler.stop());
    return bench;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  withRoles(...roles: Role[]): Caller {
    return { ...this.caller, roles };
  }

  async createVolume(changes: Partial<CreateVolumeInput> = {}): Promise<Volume> {
    return await this.volumeCreator.createVolume(this.caller, this.projectId, { ...volumeInput(), ...changes });
  }

  async getVolume(volumeId: VolumeId): Promise<Volume> {
    return await this.volumes.getVolume(this.caller, this.projectId, volumeId);
  }

  async getBackup(backupId: BackupId): Promise<Backup> {
    return await this.backups.getBackup(this.caller, this.projectId, backupId);
  }

  async createBackup(volumeId: VolumeId, changes: Partial<CreateBackupInput> = {}) {
    return await this.backups.createBackup(this.caller, this.projectId, { ...backupInput(volumeId), ...changes });
  }

  /** Backs the volume up and waits for it. The runner must have been started. */
  async backUp(volumeId: VolumeId, changes: Partial<CreateBackupInput> = {}): Promise<Backup> {
    const { job, backup } = await this.createBackup(volumeId, changes);
    await this.waitForJob(job.jobId);
    return await this.getBackup(backup.backupId);
  }

  async restore(backupId: BackupId, volumeId: VolumeId, options: { readonly verify?: boolean } = {}): Promise<Job> {
    const { jobId } = await this.backups.restoreBackup(this.caller, this.projectId, backupId, volumeId, options);
    return await this.waitForJob(jobId);
  }

  /** Waits until the job has ended, however, and nothing trails it any more: hooks, labels, sweeps, progress. */
  async waitForJob(jobId: JobId): Promise<Job> {
    return await this.waitFor(async () => {
      const job = await this.catalog.jobs.get(this.projectId, jobId);
      const isWaiting = job?.status === 'INIT' && job.attempt > 0;
      if (isWaiting) {
        // It failed and is to be tried again later: later is now.
        this.clock.advance(RETRY_DELAY_MAX_MS);
        this.runner.wake();
      }
      // Looked at after the row: the runner has the job from before its row says so until all is done.
      const isAtWork = this.runner.progressOf(jobId) !== undefined;
      const hasEnded = job?.status === 'SUCCESS' || job?.status === 'FAIL';
      return hasEnded && !isAtWork ? await this.catalog.jobs.get(this.projectId, jobId) : undefined;
    });
  }

  async waitFor<T>(look: () => Promise<T | undefined>): Promise<T> {
    const deadlineAt = systemClock.now() + JOB_WAIT_MS;
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      assert(systemClock.now() < deadlineAt, 'waited too long');
      await delay(10);
    }
  }

  /** Puts a row into a state that the services would reach only through a job. */
  async setVolume(volumeId: VolumeId, changes: Partial<Pick<Volume, 'status' | 'sizeBytes'>>): Promise<void> {
    await this.catalog.volumes.update(volumeId, changes);
  }

  async writeDisk({ source }: Volume, pieces: readonly { offsetBytes: number; bytes: Uint8Array }[]): Promise<void> {
    await using file = await open(source, 'r+');
    for (const { offsetBytes, bytes } of pieces) await file.write(bytes, 0, bytes.length, offsetBytes);
  }

  async readDisk({ source }: Volume): Promise<Buffer> {
    return await readFile(source);
  }

  /** Makes a disk that can be adopted. */
  async makeDisk(name: string, sizeBytes: number): Promise<string> {
    const path = join(this.folder, 'disks', name);
    await using file = await open(path, 'wx');
    await file.truncate(sizeBytes);
    return path;
  }

  /** Every row that a request could have changed, to compare before and after. */
  async snapshotRows(): Promise<unknown> {
    const page = { limit: 1000 };
    const { catalog } = this;
    return {
      volumes: (await catalog.volumes.list({}, page)).items,
      snapshots: (await catalog.snapshots.list({}, page)).items,
      backups: (await catalog.backups.list({}, page)).items,
      jobs: (await catalog.jobs.list({ includeInternal: true }, page)).items,
      sharings: await this.#listOfProjects((projectId) =>
        catalog.sharings.list({ projectId, isReceived: false }, page),
      ),
      traces: await this.#listOfProjects((projectId) => catalog.traces.list({ projectId }, page)),
      policies: await this.#listOfProjects((projectId) => catalog.policies.list({ projectId }, page)),
    };
  }

  async #listOfProjects<Item>(
    list: (projectId: ProjectId) => Promise<{ items: readonly Item[] }>,
  ): Promise<readonly Item[]> {
    const projects = await this.catalog.projects.list();
    return (await Promise.all(projects.map(({ projectId }) => list(projectId)))).flatMap(({ items }) => items);
  }

  /** The call is refused with `code`, and no row has changed. */
  async assertRefused(code: string, call: () => Promise<unknown>): Promise<void> {
    const before = await this.snapshotRows();
    await assert.rejects(call, { name: 'VbsError', code });
    assert.deepEqual(await this.snapshotRows(), before, `${code} changed the catalog`);
  }
}

export function volumeInput(): CreateVolumeInput {
  return {
    sizeGib: 1,
    name: 'disk',
    description: null,
    volumeType: null,
    availabilityZone: null,
    backupId: null,
    snapshotId: null,
    sourceVolumeId: null,
    metadata: {},
  };
}

export function backupInput(volumeId: VolumeId): CreateBackupInput {
  return { volumeId, name: 'nightly', description: null, tags: [], isIncrementalRequested: true, dialect: 'vbs' };
}

async function addCaller(catalog: Catalog, roles: readonly Role[]): Promise<Caller> {
  const projectId = newHexId<ProjectId>();
  const name = newUuid();
  const now = systemClock.now();
  await catalog.projects.insert({ projectId, name, domainId: 'default', description: '', createdAt: now });
  const user = { userId: newHexId<Caller['userId']>(), userName: name };
  return { ...user, projectId, projectName: name, roles, issuedAt: now, expiresAt: now + 3_600_000 };
}
