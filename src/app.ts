// The composition root: the only file that constructs services. Opens everything in the order in which it depends on
// each other, and closes it in the reverse one, also when the start fails half way.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server as NetServer } from 'node:net';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { buildServer } from './api/server.ts';
import { type Config, repositoryFolder } from './config.ts';
import { BackgroundPace, Foreground } from './core/background-pace.ts';
import { describeError, errnoOf } from './core/errno.ts';
import { VbsError } from './core/errors.ts';
import type { ProjectId, VolumeId } from './core/ids.ts';
import { createJsonLogger } from './core/json-logger.ts';
import { BACKGROUND_MIN_BYTES_PER_SECOND, SERVER_CLOSE_MS } from './core/limits.ts';
import { DEFAULT_MEMORY_PLAN, planMemory } from './core/memory-plan.ts';
import { type Metrics, noMetrics } from './core/metrics.ts';
import { MovableClock } from './core/movable-clock.ts';
import { CONFIG_NAME } from './core/object-names.ts';
import { packageVersion } from './core/package-version.ts';
import { type Clock, type Logger, systemClock } from './core/ports.ts';
import { Throttle } from './core/throttle.ts';
import { Catalog } from './db/catalog.ts';
import { openDatabase } from './db/database.ts';
import { lockFolder } from './db/folder-lock.ts';
import { WorkerPool } from './engine/pipeline/worker-pool.ts';
import { adoptProject } from './engine/prune/adopt-project.ts';
import { runPrune } from './engine/prune/run-prune.ts';
import { measureUsage } from './engine/prune/space-usage.ts';
import { Repository } from './engine/repository.ts';
import { sweepTrash } from './engine/sweep.ts';
import { checkProject } from './engine/verify/check-project.ts';
import { repairProject } from './engine/verify/repair-project.ts';
import { scrubProject } from './engine/verify/scrub-project.ts';
import { JobRunner } from './jobs/job-runner.ts';
import { Scheduler } from './jobs/scheduler.ts';
import { KeystoneClient } from './keystone/keystone-client.ts';
import type { ListenAddress } from './listen-settings.ts';
import { createMetricsServer } from './metrics/metrics-server.ts';
import type { PrometheusMetrics } from './metrics/prometheus-metrics.ts';
import { BackupRecordService } from './services/backup-record-service.ts';
import { BackupService } from './services/backup-service.ts';
import { BackupTagService } from './services/backup-tag-service.ts';
import { readCurrentState } from './services/current-state.ts';
import { DevClock } from './services/dev-clock.ts';
import { openDirectory } from './services/directory.ts';
import { ExportOpener } from './services/export-opener.ts';
import { ExternalIdentity } from './services/external-identity.ts';
import { createJobHandlers } from './services/job-handlers.ts';
import { JobService } from './services/job-service.ts';
import { LabelKeeper } from './services/label-keeper.ts';
import { MaintenanceRuns } from './services/maintenance-runs.ts';
import { loadPassphrase } from './services/passphrase.ts';
import { PolicyService } from './services/policy-service.ts';
import { PruneRunner } from './services/prune-runner.ts';
import { RepositoryService } from './services/repository-service.ts';
import { ReserveFile } from './services/reserve-file.ts';
import { RetentionRunner } from './services/retention-runner.ts';
import { ScrubRunner } from './services/scrub-runner.ts';
import { SharingService } from './services/sharing-service.ts';
import { SnapshotService } from './services/snapshot-service.ts';
import { TaskStarter } from './services/task-starter.ts';
import { TraceService } from './services/trace-service.ts';
import { TrashSweeper } from './services/trash-sweeper.ts';
import { Upkeep } from './services/upkeep.ts';
import { VerifyService } from './services/verify-service.ts';
import { VolumeCreator } from './services/volume-creation.ts';
import { toDescriptor } from './services/volume-disk.ts';
import { makeVolumeServices } from './services/volume-services.ts';
import { FilesystemStore } from './storage/filesystem-store.ts';
import { ThrottledStore } from './storage/throttled-store.ts';
import { FileDriver } from './volumes/file-driver.ts';
import { loadSystemCalls } from './volumes/system-calls.ts';
import { VolumeRegistry } from './volumes/volume-registry.ts';

export type App = {
  /** Origin to reach the API at from this machine. */
  readonly url: string;
  /** Address of the metrics; undefined when none are served. */
  readonly metricsUrl: string | undefined;
  readonly config: Config;
  /** Of the user admin; set only when it was drawn by this start. */
  readonly generatedPassword: string | undefined;
  /** Set only when the passphrase was made by this start: the user must keep a copy of that file. */
  readonly generatedPassphrasePath: string | undefined;
  /** Stops taking requests and jobs, lets what is under way come to a safe point, and closes everything. */
  close(): Promise<void>;
};

export type AppOptions = { readonly clock?: Clock; readonly logger?: Logger };

/** What everything else is made from; closed with the stack it was opened on. */
type Base = {
  readonly config: Config;
  /** In development it can be moved ahead of `realClock`; otherwise they are the same. */
  readonly clock: Clock;
  /** Of what meets the world outside: tokens, logs, the times of files. */
  readonly realClock: Clock;
  readonly movableClock: MovableClock | undefined;
  readonly logger: Logger;
  readonly stack: AsyncDisposableStack;
};

/** @throws REPOSITORY_LOCKED, CONFIG_INVALID, PASSPHRASE_WRONG, REPOSITORY_MISMATCH, CATALOG_UNAVAILABLE, ... */
export async function startApp(config: Config, options: AppOptions = {}): Promise<App> {
  const realClock = options.clock ?? systemClock;
  const movableClock = config.isDevelopment ? new MovableClock(realClock) : undefined;
  const clock = movableClock ?? realClock;
  const write = (line: string) => void process.stderr.write(line);
  const logger = options.logger ?? createJsonLogger({ level: config.logLevel, clock: realClock, write });
  await using stack = new AsyncDisposableStack();
  const base: Base = { config, clock, realClock, movableClock, logger, stack };
  const { catalog, repository, generatedPassphrasePath } = await openStorage(base);
  const figures = await openMetrics(base, catalog);
  const parts = await startServices(base, catalog, repository, figures ?? noMetrics);
  const { server, runner, scheduler, upkeep, pruner, scrubber } = parts;
  // Before requests come in: it takes every job that runs according to its row for one of a process that died.
  await runner.start();
  await onAddress('listen', config.listen, () => server.listen(config.listen));
  stack.defer(() => closeServer(server));
  const metricsUrl = await serveMetrics(base, figures);
  scheduler.start();
  upkeep.start();
  pruner.start();
  scrubber.start();
  const url = originOf(server.server);
  logger.info({ url, metricsUrl, dataFolder: config.dataFolder }, 'serving');
  // From here on closing is the caller's.
  const opened = stack.move();
  return {
    url,
    metricsUrl,
    config,
    generatedPassword: parts.generatedPassword,
    generatedPassphrasePath,
    close: () => opened.disposeAsync(),
  };
}

/** Folder lock, catalog, repository: in this order, so that a second process is turned away before it reads a thing. */
async function openStorage({ config, clock, realClock, logger, stack }: Base) {
  await mkdir(config.dataFolder, { recursive: true, mode: 0o700 });
  stack.use(await lockFolder(config.dataFolder));
  await probeAddress('listen', config.listen);
  if (config.metricsListen !== undefined) await probeAddress('metricsListen', config.metricsListen);
  const { database } = config;
  if (database.kind === 'sqlite') await mkdir(dirname(database.path), { recursive: true, mode: 0o700 });
  const catalog = stack.use(new Catalog({ database: await openDatabase(database, { logger }) }));
  const files = new FilesystemStore({ root: repositoryFolder(config), dropCache: loadSystemCalls().dropCache });
  stack.defer(() => files.close());
  // The folder is ours by the lock: whatever lies half written there is of a process that died.
  await files.removeLeftovers();
  const { repositoryThrottles, ...limits } = openLimits(config, realClock);
  const store = new ThrottledStore(files, repositoryThrottles);
  const { ledger } = catalog;
  const isKnown = (await ledger.listKeys()).some((row) => row.projectId === null);
  const hasRepository = isKnown || (await store.head(CONFIG_NAME)) !== undefined;
  const { passphrase, generatedPath } = await loadPassphrase({ ...config, hasRepository });
  const workers = new WorkerPool({ threadCount: config.workerCount, logger });
  stack.defer(() => workers.close());
  const repository = await Repository.open({ store, ledger, workers, clock, logger, ...limits }, passphrase);
  return { catalog, repository, generatedPassphrasePath: generatedPath };
}

/** How much the engine may take of this host. */
function openLimits({ limits, workerCount, maxJobs }: Config, clock: Clock) {
  const { readSchedule, writeSchedule, repositoryReadSchedule, repositoryWriteSchedule } = limits;
  const { compressionLevel, memoryBytes } = limits;
  return {
    compressionLevel,
    throttles: {
      read: new Throttle({ schedule: readSchedule, clock }),
      write: new Throttle({ schedule: writeSchedule, clock }),
    },
    repositoryThrottles: {
      read: new Throttle({ schedule: repositoryReadSchedule, clock }),
      write: new Throttle({ schedule: repositoryWriteSchedule, clock }),
    },
    memory: memoryBytes === undefined ? DEFAULT_MEMORY_PLAN : planMemory(memoryBytes, workerCount, maxJobs),
  };
}

/** Undefined when nobody asked for any. */
async function openMetrics(base: Base, catalog: Catalog): Promise<PrometheusMetrics | undefined> {
  const { config, clock, realClock } = base;
  if (config.metricsListen === undefined) return undefined;
  // Loaded here: a start without metrics need not wait for the library.
  const { PrometheusMetrics } = await import('./metrics/prometheus-metrics.ts');
  const state = { catalog, clock, folder: repositoryFolder(config), scrubDays: config.scrub.days };
  const readState = () => readCurrentState(state);
  return new PrometheusMetrics({ readState, clock: realClock, version: packageVersion(), includesProcess: true });
}

/** Begins to serve them, where they are asked for; answers where. */
async function serveMetrics({ config, logger, stack }: Base, figures: PrometheusMetrics | undefined) {
  const { metricsListen } = config;
  if (figures === undefined || metricsListen === undefined) return undefined;
  const server = createMetricsServer(figures, logger);
  await listenOn('metricsListen', metricsListen, server);
  stack.defer(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  return `${originOf(server)}/metrics`;
}

async function startServices(base: Base, catalog: Catalog, repository: Repository, metrics: Metrics) {
  const { config, clock, logger, stack } = base;
  const { availabilityZone, maxJobs } = config;
  const hostName = hostname();
  const drivers = new VolumeRegistry([openFileDriver(base)]);
  const { generatedPassword, directory, ...identityParts } = await openIdentity(base, catalog);
  const common = { catalog, clock, logger, metrics };
  const sweep = (projectId: Parameters<typeof sweepTrash>[1]) => sweepTrash(repository, projectId);
  const sweeper = new TrashSweeper({ ledger: catalog.ledger, clock, logger, metrics, sweepTrash: sweep });
  const wakeJobs = () => runner.wake();
  const retention = new RetentionRunner({ ...common, wakeJobs });
  const labels = new LabelKeeper({ catalog, repository, logger });
  const { tokenKeys } = directory;
  const upkeep = new Upkeep({ ...common, drivers, sweeper, retention, labels, tokenKeys });
  stack.defer(() => upkeep.stop());
  const foreground = new Foreground();
  const { pruner, runs } = openPrune(base, { catalog, repository, metrics, foreground });
  const { scrubber, repair } = openScrub(base, { catalog, repository, runs, foreground });
  const parts = { sweeper, retention, pruner, labels, scrubber, foreground };
  const handlers = createJobHandlers({ ...common, repository, drivers, ...parts });
  const runnerId = `${hostName}-${randomUUID()}`;
  const runner = new JobRunner({ ...common, handlers, maxJobs, runnerId });
  stack.defer(() => runner.stop());
  const { quotas } = config;
  const volumeServices = makeVolumeServices({ ...common, drivers, wakeJobs, hostName, availabilityZone, quotas });
  const volumeCreator = new VolumeCreator({ ...common, drivers, wakeJobs, availabilityZone, quotas });
  const snapshots = new SnapshotService({ ...common, drivers, wakeJobs, quotas });
  // Whatever the catalog is: disks and repository are below the folder that this process holds the lock of.
  await volumeCreator.recoverVolumes();
  await volumeServices.volumes.recoverVolumes();
  const exports = new ExportOpener({ catalog, repository, runner, foreground, clock });
  const limits = { ...config.quotas, backupsPerVolume: config.backupsPerVolume };
  const backups = new BackupService({
    ...{ ...common, exports, limits, labels, availabilityZone, wakeJobs },
    nativeRules: config.native,
  });
  const backupRecords = new BackupRecordService({
    ...{ catalog, repository, clock, wakeJobs },
    requireQuota: (records, projectId, sizeGib) => backups.requireQuotaLeft(records, projectId, sizeGib),
  });
  const { policies, scheduler, devClock } = openPolicies(base, { catalog, backups, retention, wakeJobs });
  const { region, publicUrl } = config;
  const server = await buildServer({
    ...{
      ...identityParts,
      directory,
      ...volumeServices,
      volumeCreator,
      snapshots,
      backups,
      policies,
      clock,
      logger,
      metrics,
      region,
      availabilityZone,
    },
    jobs: new JobService({ catalog, progressOf: (jobId) => runner.progressOf(jobId) }),
    ...{ backupRecords, nativeRules: config.native },
    backupTags: new BackupTagService({ catalog, clock, labels }),
    sharings: new SharingService({ catalog, clock }),
    traces: new TraceService({ catalog }),
    repository: new RepositoryService({
      ...{ catalog, runs, pruner },
      adopt: (projectId, signal) => adoptProject(repository, projectId, {}, signal),
      measure: (projectId, signal) => measureUsage(repository, projectId, signal),
    }),
    verify: new VerifyService({
      ...{ catalog, runs, clock, wakeJobs, foreground, repair },
      check: (projectId, readShare, signal) => checkProject(repository, projectId, { readShare }, signal),
    }),
    version: packageVersion(),
    ...(devClock === undefined ? {} : { devClock }),
    ...(publicUrl === undefined ? {} : { publicUrl }),
  });
  return { server, runner, scheduler, upkeep, pruner, scrubber, generatedPassword };
}

type MaintenanceParts = {
  readonly catalog: Catalog;
  readonly repository: Repository;
  /** What scrubs and compactions give way to. */
  readonly foreground: Foreground;
};

function openPrune({ config, clock, logger, stack }: Base, parts: MaintenanceParts & { readonly metrics: Metrics }) {
  const { catalog, repository, metrics, foreground } = parts;
  const { database, prune } = config;
  const { intervalMs, compactShare, reserveBytes: sizeBytes } = prune;
  const path = database.kind === 'sqlite' ? join(dirname(database.path), 'reserve') : undefined;
  const runs = new MaintenanceRuns({ clock, logger, metrics });
  const leastBytesPerSecond = BACKGROUND_MIN_BYTES_PER_SECOND;
  const pruner = new PruneRunner({
    ...{ runs, logger, intervalMs, pace: new BackgroundPace({ foreground, leastBytesPerSecond }) },
    prune: (projectId, options, signal) => runPrune(repository, projectId, { compactShare, ...options }, signal),
    listProjects: async () => (await catalog.projects.list()).map((project) => project.projectId),
    reserve: path === undefined ? undefined : new ReserveFile({ path, sizeBytes }),
  });
  // Together: the pruner waits for the run that it has begun, which ends early only when runs are stopped.
  stack.defer(async () => void (await Promise.all([runs.stop(), pruner.stop()])));
  return { pruner, runs };
}

function openScrub(
  { config, clock, logger, stack }: Base,
  { catalog, repository, runs, foreground }: MaintenanceParts & { readonly runs: MaintenanceRuns },
) {
  const { ledger } = catalog;
  const repair = (projectId: ProjectId, signal: AbortSignal) => {
    // What is found on a disk counts by its digest alone, so it is read as it is.
    const openVolume = async (volumeId: VolumeId) => {
      const volume = await catalog.volumes.get(projectId, volumeId);
      return volume && toDescriptor(volume);
    };
    return repairProject(repository, projectId, { openVolume }, signal);
  };
  const scrubber = new ScrubRunner({
    ...{ ledger, runs, foreground, clock, logger, repair },
    pace: config.scrub,
    scrub: (projectId, options, signal) => scrubProject(repository, projectId, options, signal),
    listProjects: async () => (await catalog.projects.list()).map((project) => project.projectId),
  });
  // As prune: it waits for a run that has to be ended.
  stack.defer(async () => void (await Promise.all([runs.stop(), scrubber.stop()])));
  return { scrubber, repair };
}

type PolicyParts = {
  readonly catalog: Catalog;
  readonly backups: BackupService;
  readonly retention: RetentionRunner;
  readonly wakeJobs: () => void;
};

function openPolicies({ config, clock, movableClock, logger, stack }: Base, parts: PolicyParts) {
  const { catalog, backups, retention, wakeJobs } = parts;
  const limits = config.policies;
  const starter = new TaskStarter({ catalog, clock, logger, backups, wakeJobs });
  const scheduler = new Scheduler({ catalog, clock, logger, ...limits, startTask: (task) => starter.startTask(task) });
  stack.defer(() => scheduler.stop());
  const policies = new PolicyService({ catalog, clock, limits, backups, wakeScheduler: () => scheduler.wake() });
  const devClock =
    movableClock === undefined
      ? undefined
      : new DevClock({ catalog, clock: movableClock, logger, scheduler, retention });
  return { policies, scheduler, devClock };
}

async function openIdentity({ config, realClock: clock, logger }: Base, catalog: Catalog) {
  const { tokenKeyRotationMs, loginLimits, keystone, trustedProxies } = config.identity;
  const { identity, directory } = openDirectory({
    ...{ catalog, clock, logger, loginLimits, tokenLifeMs: config.tokenLifeMs, keyRotationMs: tokenKeyRotationMs },
  });
  if (keystone !== undefined) {
    const { url, login, cacheMs, roles } = keystone;
    const client = new KeystoneClient({ url, clock, ...(login === undefined ? {} : { login }) });
    const external = new ExternalIdentity({ catalog, clock, logger, keystone: client, url, cacheMs, roles });
    const parts = { identity: external, directory, trustedProxies, externalIdentityUrl: url };
    return { ...parts, generatedPassword: undefined };
  }
  const { adminPassword } = config;
  const { generatedPassword } = await identity.ensureBuiltIns(adminPassword === undefined ? {} : { adminPassword });
  return { identity, directory, trustedProxies, generatedPassword };
}

function openFileDriver({ config, realClock, logger }: Base): FileDriver {
  const folder = join(config.dataFolder, 'volumes');
  // Nothing of our own may be adopted: a restore over the catalog or the repository would destroy them.
  return new FileDriver({
    folder,
    roots: config.volumeRoots,
    excluded: [config.dataFolder],
    keepsBaselines: config.keepsBaselines,
    clock: realClock,
    logger,
  });
}

/** Tried before anything is made: a first start that failed later would have drawn a password that nobody ever sees. */
async function probeAddress(setting: ListenSetting, listen: ListenAddress): Promise<void> {
  const probe = createServer();
  await listenOn(setting, listen, probe);
  probe.close();
  await once(probe, 'close');
}

/** @throws as `onAddress` */
async function listenOn(setting: ListenSetting, address: ListenAddress, server: NetServer): Promise<void> {
  await onAddress(setting, address, async () => {
    server.listen(address);
    await once(server, 'listening');
  });
}

type ListenSetting = 'listen' | 'metricsListen';

/** @throws CONFIG_INVALID when the address is taken, not ours or not permitted */
async function onAddress(
  setting: ListenSetting,
  { host, port }: ListenAddress,
  listen: () => Promise<unknown>,
): Promise<void> {
  try {
    await listen();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    const isTaken = errno === 'EADDRINUSE';
    const reason = isTaken ? 'the address is in use by another program' : describeError(error);
    const details = { setting, reason: `cannot listen on ${host}:${port}: ${reason}` };
    throw new VbsError('CONFIG_INVALID', details, { cause: error });
  }
}

/** Waits for requests under way, but not for ever: an export may take hours, and its client can begin again. */
async function closeServer(server: FastifyInstance): Promise<void> {
  const timer = setTimeout(() => server.server.closeAllConnections(), SERVER_CLOSE_MS);
  try {
    await server.close();
  } finally {
    clearTimeout(timer);
  }
}

function originOf(server: NetServer): string {
  // The server listens on a TCP port, so its address is not the path of a socket.
  const { address, family, port } = server.address() as AddressInfo;
  const isAny = address === '0.0.0.0' || address === '::';
  if (family === 'IPv6') return `http://[${isAny ? '::1' : address}]:${port}`;
  return `http://${isAny ? '127.0.0.1' : address}:${port}`;
}
