// The catalog: every record class bound to one database. Rules live in services and run inside `transact`; records only
// read and write rows. The transactions of src/engine/README.md are in the ledger.
import type { ProjectId } from '../core/ids.ts';
import { ApplicationCredentialRecords } from './application-credential-records.ts';
import { AttachmentRecords } from './attachment-records.ts';
import { BackupRecords } from './backup-records.ts';
import { BaselineRecords } from './baseline-records.ts';
import type { Capabilities, Database } from './database.ts';
import { JobRecords } from './job-records.ts';
import { LedgerRecords } from './ledger-records.ts';
import { MessageRecords } from './message-records.ts';
import { MetaRecords } from './meta-records.ts';
import { OverviewRecords } from './overview-records.ts';
import { PolicyRecords } from './policy-records.ts';
import { ProjectRecords } from './project-records.ts';
import { QuotaRecords } from './quota-records.ts';
import { bindScope, openScope, type Scope } from './scope.ts';
import { ServiceStateRecords } from './service-state-records.ts';
import { SharingRecords } from './sharing-records.ts';
import { SnapshotRecords } from './snapshot-records.ts';
import { TaskRecords } from './task-records.ts';
import { TokenKeyRecords } from './token-key-records.ts';
import { TraceRecords } from './trace-records.ts';
import { UserRecords } from './user-records.ts';
import { VolumeRecords } from './volume-records.ts';
import { VolumeTypeRecords } from './volume-type-records.ts';

export type CatalogRecords = {
  readonly projects: ProjectRecords;
  readonly users: UserRecords;
  readonly applicationCredentials: ApplicationCredentialRecords;
  readonly tokenKeys: TokenKeyRecords;
  readonly volumes: VolumeRecords;
  readonly snapshots: SnapshotRecords;
  readonly backups: BackupRecords;
  readonly baselines: BaselineRecords;
  readonly jobs: JobRecords;
  readonly policies: PolicyRecords;
  readonly tasks: TaskRecords;
  readonly quotas: QuotaRecords;
  readonly messages: MessageRecords;
  readonly serviceStates: ServiceStateRecords;
  readonly attachments: AttachmentRecords;
  readonly volumeTypes: VolumeTypeRecords;
  readonly sharings: SharingRecords;
  readonly traces: TraceRecords;
  readonly ledger: LedgerRecords;
  readonly meta: MetaRecords;
  readonly overview: OverviewRecords;
};

export class Catalog implements CatalogRecords {
  readonly projects: ProjectRecords;
  readonly users: UserRecords;
  readonly applicationCredentials: ApplicationCredentialRecords;
  readonly tokenKeys: TokenKeyRecords;
  readonly volumes: VolumeRecords;
  readonly snapshots: SnapshotRecords;
  readonly backups: BackupRecords;
  readonly baselines: BaselineRecords;
  readonly jobs: JobRecords;
  readonly policies: PolicyRecords;
  readonly tasks: TaskRecords;
  readonly quotas: QuotaRecords;
  readonly messages: MessageRecords;
  readonly serviceStates: ServiceStateRecords;
  readonly attachments: AttachmentRecords;
  readonly volumeTypes: VolumeTypeRecords;
  readonly sharings: SharingRecords;
  readonly traces: TraceRecords;
  readonly ledger: LedgerRecords;
  readonly meta: MetaRecords;
  readonly overview: OverviewRecords;
  readonly #database: Database;
  readonly #scope: Scope;

  constructor(deps: { readonly database: Database }) {
    this.#database = deps.database;
    this.#scope = openScope(deps.database);
    const records = makeRecords(this.#scope);
    this.projects = records.projects;
    this.users = records.users;
    this.applicationCredentials = records.applicationCredentials;
    this.tokenKeys = records.tokenKeys;
    this.volumes = records.volumes;
    this.snapshots = records.snapshots;
    this.backups = records.backups;
    this.baselines = records.baselines;
    this.jobs = records.jobs;
    this.policies = records.policies;
    this.tasks = records.tasks;
    this.quotas = records.quotas;
    this.messages = records.messages;
    this.serviceStates = records.serviceStates;
    this.attachments = records.attachments;
    this.volumeTypes = records.volumeTypes;
    this.sharings = records.sharings;
    this.traces = records.traces;
    this.ledger = records.ledger;
    this.meta = records.meta;
    this.overview = records.overview;
  }

  get capabilities(): Capabilities {
    return this.#database.capabilities;
  }

  /**
   * One transaction that holds the project's row lock; `records` read and write inside it. Use only `records` in
   * `work`, wait for nothing but them, and start nothing that outlives it: on SQLite a write through the catalog itself
   * would wait for this very transaction. `work` may run again after a deadlock, so it must have no other effects.
   * @throws PROJECT_NOT_FOUND
   */
  transact<T>(projectId: ProjectId, work: (records: CatalogRecords) => Promise<T>): Promise<T> {
    return this.transactAcross([projectId], work);
  }

  /** The same under the locks of several projects, for what one of them does with what is another's. */
  transactAcross<T>(projectIds: readonly ProjectId[], work: (records: CatalogRecords) => Promise<T>): Promise<T> {
    const distinctIds = [...new Set(projectIds)];
    return this.#scope.transact(distinctIds, async (executor) => {
      const records = makeRecords(bindScope(executor, this.capabilities, distinctIds));
      // The lock is given for tombstones too: the ledger cleans up after them.
      await records.projects.requireLive(distinctIds);
      return await work(records);
    });
  }

  /** The same under the lock of what belongs to no project: users, roles, projects themselves. */
  administer<T>(work: (records: CatalogRecords) => Promise<T>): Promise<T> {
    return this.#scope.administer((executor) => work(makeRecords(bindScope(executor, this.capabilities, undefined))));
  }

  async close(): Promise<void> {
    await this.#database.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function makeRecords(scope: Scope): CatalogRecords {
  return {
    projects: new ProjectRecords(scope),
    users: new UserRecords(scope),
    applicationCredentials: new ApplicationCredentialRecords(scope),
    tokenKeys: new TokenKeyRecords(scope),
    volumes: new VolumeRecords(scope),
    snapshots: new SnapshotRecords(scope),
    backups: new BackupRecords(scope),
    baselines: new BaselineRecords(scope),
    jobs: new JobRecords(scope),
    policies: new PolicyRecords(scope),
    tasks: new TaskRecords(scope),
    quotas: new QuotaRecords(scope),
    messages: new MessageRecords(scope),
    serviceStates: new ServiceStateRecords(scope),
    attachments: new AttachmentRecords(scope),
    volumeTypes: new VolumeTypeRecords(scope),
    sharings: new SharingRecords(scope),
    traces: new TraceRecords(scope),
    ledger: new LedgerRecords(scope),
    meta: new MetaRecords(scope),
    overview: new OverviewRecords(scope),
  };
}
