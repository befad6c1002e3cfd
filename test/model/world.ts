// A small installation of OpenVBS in which nothing happens by itself: the real catalog, engine and prune on a store and
// disks in memory, processes that can die, and what is needed to look at all of it from outside.
import { isVbsError } from '../../src/core/errors.ts';
import {
  type BackupId,
  type JobId,
  newHexId,
  newUuid,
  type ProjectId,
  type UserId,
  type VolumeId,
} from '../../src/core/ids.ts';
import type { JobClaim } from '../../src/core/ledger.ts';
import type { JobKind } from '../../src/core/model.ts';
import type { Clock, Logger } from '../../src/core/ports.ts';
import type { LedgerRecords } from '../../src/db/ledger-records.ts';
import { type EngineLedger, Repository, type RepositoryDeps } from '../../src/engine/repository.ts';
import { checkWorld } from './checks.ts';
import { InlinePipeline } from './inline-pipeline.ts';
import { ModelCatalog } from './model-catalog.ts';
import { type Contents, ModelDisks } from './model-disks.ts';
import { ModelStore } from './model-store.ts';
import type { Profile } from './profiles.ts';
import { Random } from './random.ts';
import { type Actor, Scheduler } from './scheduler.ts';
import { drawFrom } from './seeded-crypto.ts';
import { describe, isRecord, Truth, Violation } from './truth.ts';

export const PASSPHRASE = 'a passphrase of the model';
const START_AT = Date.UTC(2026, 0, 5, 9);

/** What the model takes away from the program, to see that it is missed. */
export type Mutation = {
  readonly name: string;
  /** In what schedules it matters most; absent: the first of PROFILES. */
  readonly profile?: number | Profile;
  /** Too rare for chance: test/property/model-design-review.test.ts goes there step by step. */
  readonly isScripted?: boolean;
  /** Methods of the ledger, as the engine and the jobs see it, to be used instead of the real ones. */
  ledger?(real: LedgerRecords, world: World): Partial<LedgerRecords>;
  repository?(repository: Repository, world: World): void;
  store?(store: ModelStore): void;
  /** Jobs are given up without a look at whether they have ended. */
  readonly settlesBlindly?: boolean;
};

/** One process of the program: its caches, and its way to the catalog. */
export class Process {
  readonly id: number;
  readonly catalog: ModelCatalog;
  readonly ledger: LedgerRecords;
  readonly repository: Repository;
  isAlive = true;

  constructor(parts: { id: number; catalog: ModelCatalog; ledger: LedgerRecords; repository: Repository }) {
    this.id = parts.id;
    this.catalog = parts.catalog;
    this.ledger = parts.ledger;
    this.repository = parts.repository;
  }
}

export type Volume = { readonly volumeId: VolumeId; contents: Contents };

export type WorldOptions = {
  readonly seed: number;
  readonly mutation?: Mutation | undefined;
  /** Small, so that a backup has several packs. */
  readonly packTargetBytes?: number;
};

export class World {
  readonly scheduler = new Scheduler();
  readonly disks = new ModelDisks();
  readonly projectId: ProjectId;
  /** Its backups are shared with this one. */
  readonly otherProjectId: ProjectId;
  readonly store: ModelStore;
  readonly truth: Truth;
  readonly volumes: Volume[] = [];
  readonly processes: Process[] = [];
  readonly #options: WorldOptions;
  readonly #jobs = new Map<string, Contents>();
  #catalog: ModelCatalog | undefined;
  readonly #lostCatalogs: ModelCatalog[] = [];
  #auditor: Repository | undefined;
  /** Keys that the auditor was opened with. */
  #auditorKeys: ReadonlySet<unknown> = new Set();
  #nowAt = START_AT;
  /** The catalog was put back to before a sweep: it may name what is gone, until the repository is adopted. */
  isSetBack = false;
  /** A catalog lost transactions at some time: objects may be there that no row names. */
  hasLostRows = false;
  /** The catalog was made anew from the repository: records that it refused wait for the operator. */
  isRebuilt = false;
  /** Something was read with a wrong bit: what is sound may be called damaged, until it is looked at again. */
  hasMisread = false;
  /** The first thing that was found wrong. */
  violation: Violation | undefined;
  #checkedChange = -1;
  #isStoreChanged = true;

  private constructor(options: WorldOptions) {
    this.#options = options;
    drawFrom(new Random(options.seed));
    this.projectId = newHexId<ProjectId>();
    this.otherProjectId = newHexId<ProjectId>();
    const onStore = (name: string, tell: 'stored' | 'removed'): void => {
      this.#isStoreChanged = true;
      this.truth[tell](name);
      if (tell === 'removed' && isRecord(name)) this.#checkRemoval(name);
    };
    this.store = new ModelStore({
      gate: (call) => this.scheduler.gate(call),
      listener: { stored: (name) => onStore(name, 'stored'), removed: (name) => onStore(name, 'removed') },
    });
    this.truth = new Truth({ projectId: this.projectId, store: this.store });
    options.mutation?.store?.(this.store);
  }

  get settlesBlindly(): boolean {
    return this.#options.mutation?.settlesBlindly ?? false;
  }

  static async create(options: WorldOptions): Promise<World> {
    const world = new World(options);
    world.#catalog = await world.openCatalog();
    const { projects } = world.catalog.catalog;
    for (const projectId of [world.projectId, world.otherProjectId]) {
      const createdAt = world.tick();
      await projects.insert({ projectId, name: projectId, domainId: 'default', description: '', createdAt });
    }
    const first = await world.startProcess();
    await first.repository.openProject(world.projectId);
    world.#auditor = await world.#openAuditor();
    return world;
  }

  get catalog(): ModelCatalog {
    if (!this.#catalog) throw new Error('the world is being made');
    return this.#catalog;
  }

  /** Reads the store without the catalog's say about packs. */
  get auditor(): Repository {
    if (!this.#auditor) throw new Error('the world is being made');
    return this.#auditor;
  }

  readonly clock: Clock = { now: () => this.#nowAt };

  /** An instant that no other row has. */
  tick(): number {
    this.#nowAt += 1;
    return this.#nowAt;
  }

  pass(ms: number): void {
    this.#nowAt += ms;
  }

  openCatalog(): Promise<ModelCatalog> {
    return ModelCatalog.open((phase) => this.scheduler.gate({ target: 'catalog', name: '', phase }));
  }

  async startProcess(catalog: ModelCatalog = this.catalog): Promise<Process> {
    const ledger = this.#wrap(catalog.catalog.ledger);
    const repository = await this.scheduler.aside(() => this.#openRepository(ledger));
    this.#options.mutation?.repository?.(repository, this);
    const process = new Process({ id: this.processes.length, catalog, ledger, repository });
    this.processes.push(process);
    return process;
  }

  /** Ends a process where it stands; what it had asked of the store may still come. */
  killProcess(process: Process): void {
    process.isAlive = false;
    for (const actor of this.scheduler.actors) if (actor.processId === process.id) this.killActor(actor);
  }

  killActor(actor: Actor): void {
    for (const { call } of this.scheduler.kill(actor)) {
      if (call.target === 'store' && call.phase === 'before') this.store.keepLate(call.name, call.operation);
    }
  }

  addVolume(contents: Contents): Volume {
    const volume = { volumeId: newUuid<VolumeId>(), contents };
    this.volumes.push(volume);
    return volume;
  }

  /** Enters a backup and its job, as the service does. */
  queueBackup(
    volume: Volume,
    isIncremental: boolean,
    catalog: ModelCatalog = this.catalog,
  ): Promise<{ backupId: BackupId; jobId: JobId }> {
    const { projectId } = this;
    const { volumeId } = volume;
    const ids = { backupId: newUuid<BackupId>(), jobId: newUuid<JobId>() };
    return this.scheduler.aside(async () => {
      const createdAt = this.tick();
      await catalog.catalog.transact(projectId, async ({ backups, jobs }) => {
        await backups.insert({
          ...ids,
          projectId,
          volumeId,
          userId: newHexId<UserId>(),
          name: 'model',
          description: null,
          dialect: 'vbs',
          sizeBytes: 1024 ** 3,
          container: null,
          availabilityZone: null,
          snapshotId: null,
          isIncrementalRequested: isIncremental,
          tags: [],
          metadata: {},
          sourceVolume: { isBootable: false, metadata: {} },
          createdAt,
        });
        await jobs.insert({ ...ids, projectId, volumeId, kind: 'backup', createdAt });
      });
      return ids;
    });
  }

  /** Enters a job that reads a backup, perhaps of a project that it is shared with: that has its pin at once. */
  queueReader(
    backupId: BackupId,
    { isShared = false, kind = 'restore' }: { isShared?: boolean; kind?: 'restore' | 'verify' } = {},
    catalog: ModelCatalog = this.catalog,
  ): Promise<JobId> {
    const projectId = isShared ? this.otherProjectId : this.projectId;
    const jobId = newUuid<JobId>();
    return this.scheduler.aside(async () => {
      const createdAt = this.tick();
      await catalog.catalog.transactAcross([this.projectId, this.otherProjectId], async ({ jobs, ledger }) => {
        await jobs.insert({ jobId, projectId, backupId, kind, createdAt });
        if (isShared) await ledger.pinForJob(jobId, { backupId, projectId: this.projectId });
      });
      return jobId;
    });
  }

  /** Enters the deletion of a backup that exists, as the service does. */
  queueDeletion(backupId: BackupId, catalog: ModelCatalog = this.catalog): Promise<JobId> {
    const { projectId } = this;
    const jobId = newUuid<JobId>();
    return this.scheduler.aside(async () => {
      const createdAt = this.tick();
      this.truth.deleted.add(backupId);
      await catalog.catalog.transact(projectId, async ({ backups, jobs }) => {
        await backups.update(backupId, { status: 'deleting' });
        await jobs.insert({ jobId, projectId, backupId, kind: 'delete-backup', createdAt });
      });
      return jobId;
    });
  }

  /** Jobs that have not ended, the oldest first. */
  openJobs(
    catalog: ModelCatalog = this.catalog,
  ): { jobId: JobId; projectId: ProjectId; kind: JobKind; status: string }[] {
    const rows = catalog.query(
      `select job_id, project_id, kind, status from jobs where status in ('INIT', 'RUNNING') order by created_at`,
    );
    // Casts: the rows hold what was inserted from typed values.
    return rows.map((row) => ({
      jobId: row.job_id as JobId,
      projectId: row.project_id as ProjectId,
      kind: row.kind as JobKind,
      status: String(row.status),
    }));
  }

  /** What a claim's attempt reads from its disk. */
  noteReading(claim: JobClaim, contents: Contents): void {
    this.#jobs.set(`${claim.jobId}/${claim.attempt}`, contents);
  }

  /** Who is asking works on a job that has ended, or that somebody else has taken. */
  isZombie(): boolean {
    const claim = this.scheduler.current?.claim;
    if (!claim) return false;
    const [job] = this.catalog.query('select status, attempt from jobs where job_id = ?', claim.jobId);
    return job?.status !== 'RUNNING' || job.attempt !== claim.attempt;
  }

  /**
   * Somebody calls something damaged: of these backups, as far as is known. A catalog that lost rows may name backups
   * that were deleted.
   */
  noteDamage(who: string, backupIds: readonly BackupId[] | undefined, reason: string): void {
    if (this.isSetBack || this.hasMisread) return;
    const isLost = (backupId: BackupId) => this.hasLostRows && this.truth.deleted.has(backupId);
    if (backupIds ? backupIds.every(isLost) : this.hasLostRows) return;
    this.fail(`${who} calls sound data damaged: ${backupIds?.join(' ') ?? ''} ${reason}`);
  }

  fail(reason: string): void {
    this.violation ??= new Violation(reason);
  }

  /** Looks for what must not be, if anything has changed since the last look. */
  async check(): Promise<void> {
    const isCatalogChanged = this.catalog.changeCount !== this.#checkedChange;
    if (this.violation || (!isCatalogChanged && !this.#isStoreChanged)) return;
    this.#checkedChange = this.catalog.changeCount;
    this.#isStoreChanged = false;
    try {
      await this.scheduler.aside(async () => {
        // An adoption enters keys.
        if (this.#keyIds().some((keyId) => !this.#auditorKeys.has(keyId))) this.#auditor = await this.#openAuditor();
        if (this.hasLostRows) this.isSetBack = await this.#isAhead();
        await checkWorld(this);
      });
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.violation ??= error;
    }
  }

  /** Puts the catalog back to a copy of itself. */
  async setBack(copy: Uint8Array): Promise<void> {
    this.catalog.replaceBy(copy);
    this.hasLostRows = true;
    this.isSetBack = await this.scheduler.aside(() => this.#isAhead());
  }

  /** A catalog that was rebuilt takes the place of one that is lost. Processes that have that one are none of ours. */
  async replaceCatalog(catalog: ModelCatalog): Promise<void> {
    this.#lostCatalogs.push(this.catalog);
    this.#catalog = catalog;
    this.#checkedChange = -1;
    this.isRebuilt = true;
    // It has nothing in the repository, so its operator makes it anew.
    const createdAt = this.tick();
    const { otherProjectId: projectId } = this;
    const project = { projectId, name: projectId, domainId: 'default', description: '', createdAt };
    if (!(await catalog.catalog.projects.get(projectId))) await catalog.catalog.projects.insert(project);
    this.#auditor = await this.#openAuditor();
  }

  close(): void {
    for (const actor of this.scheduler.actors) this.scheduler.kill(actor);
    for (const catalog of [this.catalog, ...this.#lostCatalogs]) catalog.close();
  }

  /** All that a repository is opened with but its ledger. */
  repositoryDeps(): Omit<RepositoryDeps, 'ledger'> {
    const { store, clock } = this;
    const workers = new InlinePipeline((descriptor) => this.disks.open(descriptor));
    const packTargetBytes = this.#options.packTargetBytes ?? 600;
    return { store, workers, clock, logger: this.#logger, packTargetBytes };
  }

  /** The record of a backup that nobody asked to delete goes only when the catalog knows that it is of no use. */
  #checkRemoval(name: string): void {
    const attempt = this.truth.attempts.get(name);
    if (!attempt?.isCommitted || this.truth.deleted.has(attempt.backupId)) return;
    const [known] = this.catalog.query(
      `select b.attempt_id from attempts a join backups b on b.backup_id = a.backup_id where a.attempt_id = ?`,
      attempt.attemptId,
    );
    if (known && known.attempt_id !== attempt.attemptId) return;
    this.fail(`the record of backup ${attempt.backupId}, which nobody deleted, was removed`);
  }

  /** As the epoch in the store says. */
  async #isAhead(): Promise<boolean> {
    try {
      await this.auditor.checkEpoch(await this.auditor.openProject(this.projectId));
      return false;
    } catch (error) {
      if (isVbsError(error, 'EPOCH_CONFLICT')) return true;
      throw error;
    }
  }

  #openRepository(ledger: EngineLedger): Promise<Repository> {
    return Repository.open({ ...this.repositoryDeps(), ledger }, PASSPHRASE);
  }

  async #openAuditor(): Promise<Repository> {
    const { truth } = this;
    this.#auditorKeys = new Set(this.#keyIds());
    const real = this.catalog.catalog.ledger;
    const ledger = override(real, { locatePacks: async (_projectId, packIds) => truth.locate(packIds) });
    return this.#openRepository(ledger);
  }

  #keyIds(): unknown[] {
    return this.catalog.query('select key_id from keys').map((row) => row.key_id);
  }

  /** What a mutation changes, what the model must learn of, and the names of calls for the scheduler. */
  #wrap(real: LedgerRecords): LedgerRecords {
    const learning = override(real, {
      beginBackup: (claim, backup) => {
        const contents = this.#jobs.get(`${claim.jobId}/${claim.attempt}`);
        if (contents) this.truth.noteAttempt(backup, contents);
        return real.beginBackup(claim, backup);
      },
    });
    const mutated = override(learning, this.#options.mutation?.ledger?.(learning, this) ?? {});
    return new Proxy(mutated, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => this.scheduler.within(String(key), async () => value.apply(target, args));
      },
    });
  }

  /** The engine reports damage to a log; in this world nothing is ever damaged but by the program itself. */
  readonly #logger: Logger = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: ({ err }, message) => {
      if (!this.isSetBack && !this.isZombie() && !this.hasMisread)
        this.fail(`damage was reported: ${message}: ${describe(err)}`);
    },
  };
}

/** The same ledger with some of its methods replaced. */
export function override(real: LedgerRecords, methods: Partial<LedgerRecords>): LedgerRecords {
  return new Proxy(real, {
    get: (target, key) => {
      const replaced: unknown = Reflect.get(methods, key);
      if (replaced !== undefined) return replaced;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
