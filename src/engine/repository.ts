// An open repository: its store, its ledger, its keys. Everything the engine does starts from one.
// It decides nothing about users or jobs and knows no database: the ledger is the catalog as the engine sees it.
import { VbsError } from '../core/errors.ts';
import { type KeyId, newUuid, type ProjectId, type RepositoryId } from '../core/ids.ts';
import type { KeyLedger, PackLedger, PackLocation, TrashLedger, WrappedKeyRow } from '../core/ledger.ts';
import { RECORD_SIZE_MAX_BYTES } from '../core/limits.ts';
import { CONFIG_NAME, epochName, masterKeyName, packObjectName, projectKeyName } from '../core/object-names.ts';
import type { Clock, Logger } from '../core/ports.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { type ProjectKeys, sealObject, unsealObject } from './crypto/sealed-object.ts';
import {
  createMasterKey,
  createProjectKey,
  deriveHookKey,
  macConfig,
  openMasterKey,
  openProjectKey,
} from './crypto/wrapped-key.ts';
import { FORMAT_VERSION } from './format/object-header.ts';
import { type PackIndex, readPackIndex } from './pack/pack-index.ts';
import { PackIndexCache } from './pack/pack-index-cache.ts';
import type { WorkerPool } from './pipeline/worker-pool.ts';

export type EngineLedger = PackLedger & KeyLedger & TrashLedger;

export type RepositoryDeps = {
  readonly store: ObjectStore;
  readonly ledger: EngineLedger;
  readonly workers: WorkerPool;
  readonly clock: Clock;
  readonly logger: Logger;
  /** zstd level of new frames; 1 unless set. */
  readonly compressionLevel?: number;
};

type RepositoryConfig = { kind: 'openvbs-repository'; version: number; repositoryId: RepositoryId; mac: string };

/** A project's part of the repository, with its keys open. */
export type OpenProject = {
  readonly repositoryId: RepositoryId;
  readonly projectId: ProjectId;
  readonly keys: ProjectKeys;
  readonly hookKey: Buffer;
};

export class Repository {
  readonly repositoryId: RepositoryId;
  readonly store: ObjectStore;
  readonly ledger: EngineLedger;
  readonly workers: WorkerPool;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly compressionLevel: number;
  readonly #masterKey: Buffer;
  readonly #projects = new Map<ProjectId, Promise<OpenProject>>();
  readonly #packIndexes = new PackIndexCache();

  private constructor(deps: RepositoryDeps, opened: { repositoryId: RepositoryId; masterKey: Buffer }) {
    this.repositoryId = opened.repositoryId;
    this.store = deps.store;
    this.ledger = deps.ledger;
    this.workers = deps.workers;
    this.clock = deps.clock;
    this.logger = deps.logger;
    this.compressionLevel = deps.compressionLevel ?? 1;
    this.#masterKey = opened.masterKey;
  }

  /**
   * Opens the repository of this catalog, and creates it when there is none in either.
   * @throws PASSPHRASE_WRONG; REPOSITORY_MISMATCH when store and catalog do not belong together;
   * REPOSITORY_UNKNOWN_FORMAT; DATA_CORRUPT when config or key were altered
   */
  static async open(deps: RepositoryDeps, passphrase: string): Promise<Repository> {
    const { store, ledger } = deps;
    const masterRow = (await ledger.listKeys()).find((row) => row.projectId === null);
    const configInfo = await store.head(CONFIG_NAME);
    if (!masterRow) {
      if (configInfo || (await holdsAnything(store, ['keys/', 'projects/']))) {
        const reason = 'the store holds a repository that this catalog does not know; put the catalog of it back';
        throw new VbsError('REPOSITORY_MISMATCH', { reason });
      }
      const repositoryId = newUuid<RepositoryId>();
      const created = await createMasterKey(passphrase, repositoryId);
      // The catalog first: a crash from here on leaves a creation that the next start completes.
      await ledger.saveKey({ keyId: created.keyId, projectId: null, wrapped: created.wrapped });
      await completeCreation(store, { ...created, repositoryId });
      return new Repository(deps, { repositoryId, masterKey: created.masterKey });
    }
    const opened = await openMasterKey(passphrase, masterRow.wrapped, masterKeyName(masterRow.keyId));
    if (!configInfo) {
      if (await holdsAnything(store, ['projects/'])) {
        throw new VbsError('REPOSITORY_MISMATCH', { reason: `${CONFIG_NAME} is missing from the store` });
      }
      if ((await ledger.listKeys()).length > 1) {
        throw new VbsError('REPOSITORY_MISMATCH', { reason: 'the catalog has projects and the store is empty' });
      }
      await completeCreation(store, { ...opened, wrapped: masterRow.wrapped });
    }
    await checkConfig(store, opened);
    return new Repository(deps, opened);
  }

  /** The project's keys; on first use its key and epoch are made, durable in both places. */
  openProject(projectId: ProjectId): Promise<OpenProject> {
    let project = this.#projects.get(projectId);
    if (!project) {
      project = this.#loadProject(projectId);
      this.#projects.set(projectId, project);
      // A failed opening (a store that was away) must not stick.
      project.catch(() => this.#projects.delete(projectId));
    }
    return project;
  }

  /** The trailer of a pack's stored version, from memory or the store. @throws DATA_CORRUPT, OBJECT_NOT_FOUND */
  packIndex(project: OpenProject, location: PackLocation): Promise<PackIndex> {
    const objectName = packObjectName(project.projectId, location);
    return this.#packIndexes.get(objectName, () => readPackIndex(this.store, project.keys, project, location));
  }

  /**
   * Checks that the store's epoch is this catalog's and not ahead of it: otherwise this catalog is a copy or was set
   * back, and writing or deleting here could cost a backup (src/engine/README.md).
   * @throws EPOCH_CONFLICT
   */
  async checkEpoch(project: OpenProject): Promise<void> {
    const { projectId } = project;
    const name = epochName(projectId);
    const info = await this.store.head(name);
    if (!info) throw new VbsError('EPOCH_CONFLICT', { projectId, reason: 'the epoch is missing from the store' });
    const bytes = await this.store.get(name, RECORD_SIZE_MAX_BYTES);
    const plaintext = unsealObject(project.keys, epochPlace(project), bytes, name);
    // Sealed by this program under the project's key.
    const stored = JSON.parse(plaintext.toString('utf8')) as { catalogId: string; epoch: number };
    // The catalog is read after the store: a sweep may raise both meanwhile, the catalog's first.
    const expected = await this.ledger.readEpoch(projectId);
    if (!expected) throw new VbsError('EPOCH_CONFLICT', { projectId, reason: 'the epoch is missing from the catalog' });
    if (stored.catalogId !== expected.catalogId) {
      throw new VbsError('EPOCH_CONFLICT', { projectId, reason: `it belongs to catalog ${stored.catalogId}` });
    }
    if (stored.epoch > expected.epoch) {
      const reason = `its epoch is ${stored.epoch}, the catalog's ${expected.epoch}`;
      throw new VbsError('EPOCH_CONFLICT', { projectId, reason });
    }
  }

  /** Writes the catalog's epoch into the store. */
  async writeEpoch(project: OpenProject, state: { catalogId: string; epoch: number }): Promise<void> {
    const plaintext = Buffer.from(JSON.stringify({ catalogId: state.catalogId, epoch: state.epoch }), 'utf8');
    const sealed = sealObject(project.keys, epochPlace(project), plaintext);
    await this.store.replace(epochName(project.projectId), sealed);
  }

  async #loadProject(projectId: ProjectId): Promise<OpenProject> {
    const rows = (await this.ledger.listKeys()).filter((row) => row.projectId === projectId);
    const epoch = await this.ledger.readEpoch(projectId);
    if (rows.length > 0 && epoch) return this.#openKeys(projectId, rows);
    return this.#createProject(projectId, rows);
  }

  /** Key in the catalog, key in the store, epoch in the store, epoch in the catalog: each step may run again. */
  async #createProject(projectId: ProjectId, rows: readonly WrappedKeyRow[]): Promise<OpenProject> {
    let keyRows = rows;
    if (keyRows.length === 0) {
      const created = createProjectKey(this.#masterKey, this.repositoryId, projectId);
      await this.ledger.saveKey({ keyId: created.keyId, projectId, wrapped: created.wrapped });
      keyRows = [{ keyId: created.keyId, projectId, wrapped: created.wrapped }];
    }
    for (const row of keyRows) await this.store.replace(projectKeyName(projectId, row.keyId), row.wrapped);
    const project = this.#openKeys(projectId, keyRows);
    if (!(await this.store.head(epochName(projectId)))) {
      await this.writeEpoch(project, { catalogId: await this.ledger.catalogId(), epoch: 0 });
    }
    await this.ledger.startEpoch(projectId);
    return project;
  }

  #openKeys(projectId: ProjectId, rows: readonly WrappedKeyRow[]): OpenProject {
    const keys = new Map<KeyId, Buffer>();
    for (const row of rows) {
      const place = { repositoryId: this.repositoryId, projectId, object: projectKeyName(projectId, row.keyId) };
      const { keyId, projectKey } = openProjectKey(this.#masterKey, row.wrapped, place);
      keys.set(keyId, projectKey);
    }
    const current = [...keys].at(-1);
    if (!current) throw new VbsError('INTERNAL');
    return {
      repositoryId: this.repositoryId,
      projectId,
      keys: { currentKeyId: current[0], keys },
      // Hooks are derived data: with a new key they are simply new.
      hookKey: deriveHookKey(current[1]),
    };
  }
}

function epochPlace(project: OpenProject) {
  const { repositoryId, projectId } = project;
  return { repositoryId, projectId, kind: 'epoch', logicalId: projectId, objectId: 'epoch' } as const;
}

async function holdsAnything(store: ObjectStore, prefixes: readonly string[]): Promise<boolean> {
  for (const prefix of prefixes) for await (const _object of store.list(prefix)) return true;
  return false;
}

async function completeCreation(
  store: ObjectStore,
  created: { keyId: KeyId; repositoryId: RepositoryId; masterKey: Buffer; wrapped: Uint8Array },
): Promise<void> {
  await store.replace(masterKeyName(created.keyId), created.wrapped);
  const config: RepositoryConfig = {
    kind: 'openvbs-repository',
    version: FORMAT_VERSION,
    repositoryId: created.repositoryId,
    mac: macConfig(created.masterKey, created.repositoryId, FORMAT_VERSION),
  };
  await store.put(CONFIG_NAME, Buffer.from(`${JSON.stringify(config, null, 2)}\n`, 'utf8'));
}

/** @throws REPOSITORY_MISMATCH, REPOSITORY_UNKNOWN_FORMAT, DATA_CORRUPT */
async function checkConfig(
  store: ObjectStore,
  expected: { repositoryId: RepositoryId; masterKey: Buffer },
): Promise<void> {
  const bytes = await store.get(CONFIG_NAME, RECORD_SIZE_MAX_BYTES);
  const refuse = (reason: string, cause?: unknown) =>
    new VbsError('DATA_CORRUPT', { object: CONFIG_NAME, offsetBytes: 0, reason }, { cause });
  let config: Partial<RepositoryConfig> | null;
  try {
    // Every field is checked below before it is believed.
    config = JSON.parse(bytes.toString('utf8')) as Partial<RepositoryConfig> | null;
  } catch (cause) {
    throw refuse('it is not JSON', cause);
  }
  if (config?.kind !== 'openvbs-repository' || !Number.isSafeInteger(config.version)) {
    throw refuse('it is not the config of a repository');
  }
  if (config.version !== FORMAT_VERSION) {
    throw new VbsError('REPOSITORY_UNKNOWN_FORMAT', { version: String(config.version) });
  }
  if (config.repositoryId !== expected.repositoryId) {
    const reason = `the store holds repository ${config.repositoryId}, the catalog belongs to ${expected.repositoryId}`;
    throw new VbsError('REPOSITORY_MISMATCH', { reason });
  }
  const mac = macConfig(expected.masterKey, expected.repositoryId, FORMAT_VERSION);
  if (config.mac !== mac) throw refuse('its authentication code does not match');
}
