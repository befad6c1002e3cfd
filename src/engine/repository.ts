// An open repository: its store, its ledger, its keys. Everything the engine does starts from one.
// It decides nothing about users or jobs and knows no database: the ledger is the catalog as the engine sees it.
import { isVbsError, VbsError } from '../core/errors.ts';
import { type KeyId, newUuid, type ProjectId, parseUuid, type RepositoryId } from '../core/ids.ts';
import type {
  AdoptionLedger,
  EpochState,
  KeyLedger,
  PackLedger,
  PackLocation,
  PruneLedger,
  TrashLedger,
  VerifyLedger,
  WrappedKeyRow,
} from '../core/ledger.ts';
import { PACK_TARGET_BYTES, RECORD_SIZE_MAX_BYTES } from '../core/limits.ts';
import { DEFAULT_MEMORY_PLAN, type MemoryPlan } from '../core/memory-plan.ts';
import {
  CONFIG_NAME,
  epochName,
  MASTER_KEY_PREFIX,
  masterKeyName,
  packObjectName,
  projectKeyName,
  projectPrefix,
} from '../core/object-names.ts';
import type { Clock, Logger } from '../core/ports.ts';
import { NO_THROTTLES, type Throttles } from '../core/throttle.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { type ProjectKeys, sealObject, unsealObject } from './crypto/sealed-object.ts';
import { createMasterKey, createProjectKey, deriveHookKey, macConfig } from './crypto/wrapped-key.ts';
import { FORMAT_VERSION, HEADER_SIZE_BYTES, parseHeader } from './format/object-header.ts';
import { type KeyRing, openKeyRing, openProjectRow } from './key-ring.ts';
import { type PackIndex, readPackIndex } from './pack/pack-index.ts';
import { PackIndexCache } from './pack/pack-index-cache.ts';
import type { Pipeline } from './pipeline/worker-pool.ts';

export type EngineLedger = PackLedger & KeyLedger & TrashLedger & PruneLedger & AdoptionLedger & VerifyLedger;

export type RepositoryDeps = {
  readonly store: ObjectStore;
  readonly ledger: EngineLedger;
  readonly workers: Pipeline;
  readonly clock: Clock;
  readonly logger: Logger;
  /** zstd level of new frames; 1 unless set. */
  readonly compressionLevel?: number;
  /** How fast disks may be read and written; without limits unless set. */
  readonly throttles?: Throttles;
  /** DEFAULT_MEMORY_PLAN unless set. */
  readonly memory?: MemoryPlan;
  /** Stored bytes at which a pack is closed; PACK_TARGET_BYTES unless set. */
  readonly packTargetBytes?: number;
};

type RepositoryConfig = { kind: 'openvbs-repository'; version: number; repositoryId: RepositoryId; mac: string };

/** A project's part of the repository, with its keys open. */
export type OpenProject = {
  readonly repositoryId: RepositoryId;
  readonly projectId: ProjectId;
  readonly keys: ProjectKeys;
  readonly hookKey: Buffer;
};

/** A repository as `Repository.openStored` finds it. */
export type StoredRepository = {
  readonly repository: Repository;
  readonly ring: KeyRing;
  /** The one that config was authenticated with. */
  readonly masterKey: Buffer;
  readonly masterRows: readonly WrappedKeyRow[];
};

export class Repository {
  readonly repositoryId: RepositoryId;
  readonly store: ObjectStore;
  readonly ledger: EngineLedger;
  readonly workers: Pipeline;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly compressionLevel: number;
  readonly throttles: Throttles;
  readonly memory: MemoryPlan;
  readonly packTargetBytes: number;
  readonly #keyRing: KeyRing;
  /** The one that config was authenticated with: new project keys are wrapped by it. */
  readonly #masterKey: Buffer;
  readonly #projects = new Map<ProjectId, Promise<OpenProject>>();
  /** Last raise of the epoch of each project that has one under way. */
  readonly #raises = new Map<ProjectId, Promise<EpochState>>();
  readonly #packIndexes: PackIndexCache;

  private constructor(deps: RepositoryDeps, keyRing: KeyRing, masterKey: Buffer) {
    this.repositoryId = keyRing.repositoryId;
    this.store = deps.store;
    this.ledger = deps.ledger;
    this.workers = deps.workers;
    this.clock = deps.clock;
    this.logger = deps.logger;
    this.compressionLevel = deps.compressionLevel ?? 1;
    this.throttles = deps.throttles ?? NO_THROTTLES;
    this.memory = deps.memory ?? DEFAULT_MEMORY_PLAN;
    this.#packIndexes = new PackIndexCache(this.memory.trailerCacheBytes);
    this.packTargetBytes = deps.packTargetBytes ?? PACK_TARGET_BYTES;
    this.#keyRing = keyRing;
    this.#masterKey = masterKey;
  }

  /**
   * Opens the repository of this catalog, and creates it when there is none in either.
   * @throws PASSPHRASE_WRONG; REPOSITORY_MISMATCH when store and catalog do not belong together;
   * REPOSITORY_UNKNOWN_FORMAT; DATA_CORRUPT when config or key were altered
   */
  static async open(deps: RepositoryDeps, passphrase: string): Promise<Repository> {
    const { store, ledger } = deps;
    const rows = await ledger.listKeys();
    const masterRows = rows.filter((row) => row.projectId === null);
    const configInfo = await store.head(CONFIG_NAME);
    if (masterRows.length === 0) {
      if (configInfo || (await holdsAnything(store, ['keys/', 'projects/']))) {
        const reason =
          'the store holds a repository that this catalog does not know; put its catalog back, or rebuild it: ' +
          'openvbs repository rebuild-catalog';
        throw new VbsError('REPOSITORY_MISMATCH', { reason });
      }
      const repositoryId = newUuid<RepositoryId>();
      const created = await createMasterKey(passphrase, repositoryId);
      // The catalog first: a crash from here on leaves a creation that the next start completes.
      const { isFirst } = await ledger.claimRepository({ ...created, projectId: null });
      if (!isFirst) return await Repository.open(deps, passphrase);
      await completeCreation(store, { ...created, repositoryId });
      return new Repository(deps, { repositoryId, masterKeys: [created] }, created.masterKey);
    }
    const ring = await openKeyRing(passphrase, masterRows);
    if (!configInfo) {
      if (await holdsAnything(store, ['projects/'])) {
        throw new VbsError('REPOSITORY_MISMATCH', { reason: `${CONFIG_NAME} is missing from the store` });
      }
      if (rows.some((row) => row.projectId !== null)) {
        throw new VbsError('REPOSITORY_MISMATCH', { reason: 'the catalog has projects and the store is empty' });
      }
      await completeCreation(store, firstMasterKey(ring, masterRows));
    }
    return new Repository(deps, ring, await checkConfig(store, ring));
  }

  /**
   * Opens a repository whose catalog is lost, by the keys in the store alone; nothing is written. `masterRows` are
   * those keys in the order in which a new catalog is to have them: the one that config names comes last.
   * @throws PASSPHRASE_WRONG; REPOSITORY_UNKNOWN_FORMAT; DATA_CORRUPT, OBJECT_NOT_FOUND when config is not there
   */
  static async openStored(deps: RepositoryDeps, passphrase: string): Promise<StoredRepository> {
    const rows = await readMasterRows(deps.store);
    const ring = await openKeyRing(passphrase, rows);
    const current = await checkConfig(deps.store, ring);
    const opened = new Map(ring.masterKeys.map(({ keyId, masterKey }) => [keyId, masterKey]));
    const isCurrent = ({ keyId }: WrappedKeyRow) => opened.get(keyId)?.equals(current) ?? false;
    const masterRows = [...rows.filter((row) => !isCurrent(row)), ...rows.filter(isCurrent)];
    return { repository: new Repository(deps, ring, current), ring, masterKey: current, masterRows };
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

  /**
   * Enters keys of the project that only the store has: of a rebuild since the catalog was copied, say. Which of them
   * was for writing, the catalog does not know, so a fresh one is drawn. Answers the project with all of them.
   * May be cut short anywhere: the fresh key is in the store first, so the next call finds it missing.
   */
  async adoptKeys(projectId: ProjectId, signal: AbortSignal): Promise<OpenProject> {
    await this.openProject(projectId);
    const known = new Set((await this.ledger.listKeys()).map(({ keyId }) => keyId));
    const prefix = `${projectPrefix(projectId)}keys/`;
    const missing: WrappedKeyRow[] = [];
    for await (const { name } of this.store.list(prefix, signal)) {
      const keyId = parseUuid<KeyId>(name.slice(prefix.length));
      if (keyId === undefined || known.has(keyId)) continue;
      const row = { keyId, projectId, wrapped: await this.store.get(name, RECORD_SIZE_MAX_BYTES, signal) };
      if (this.#opens(row)) missing.push(row);
    }
    if (missing.length > 0) {
      const { keyId, wrapped } = createProjectKey(this.#masterKey, this.repositoryId, projectId);
      await this.store.replace(projectKeyName(projectId, keyId), wrapped);
      for (const row of [...missing, { keyId, projectId, wrapped }]) await this.ledger.saveKey(row);
      this.#projects.delete(projectId);
    }
    return await this.openProject(projectId);
  }

  /** What a damaged key sealed, adoption names object by object. */
  #opens(row: WrappedKeyRow & { readonly projectId: ProjectId }): boolean {
    try {
      openProjectRow(this.#keyRing, row.projectId, row);
      return true;
    } catch (error) {
      if (!isVbsError(error, 'DATA_CORRUPT')) throw error;
      this.logger.warn({ err: error, projectId: row.projectId, keyId: row.keyId }, 'a project key cannot be opened');
      return false;
    }
  }

  /** The trailer of a pack's stored version, from memory or the store. @throws DATA_CORRUPT, OBJECT_NOT_FOUND */
  packIndex(project: OpenProject, location: PackLocation): Promise<PackIndex> {
    const objectName = packObjectName(project.projectId, location);
    return this.#packIndexes.get(objectName, () => readPackIndex(this.store, project.keys, project, location));
  }

  /**
   * Checks that the store's epoch is this catalog's and not ahead of it: otherwise this catalog is a copy or was set
   * back, and writing or deleting here could cost a backup (src/engine/README.md). Answers the store's.
   * @throws EPOCH_CONFLICT
   */
  async checkEpoch(project: OpenProject): Promise<EpochState> {
    const { projectId } = project;
    const stored = await this.readStoredEpoch(project);
    if (!stored) throw new VbsError('EPOCH_CONFLICT', { projectId, reason: 'the epoch is missing from the store' });
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
    return stored;
  }

  /**
   * The epoch in the store; undefined when there is none.
   * @throws EPOCH_CONFLICT when a key sealed it that the store has and the catalog has not; DATA_CORRUPT, STORAGE_IO
   */
  async readStoredEpoch(project: OpenProject): Promise<EpochState | undefined> {
    const name = epochName(project.projectId);
    if (!(await this.store.head(name))) return undefined;
    const bytes = await this.store.get(name, RECORD_SIZE_MAX_BYTES);
    const { keyId } = parseHeader(bytes.subarray(0, HEADER_SIZE_BYTES), 'epoch', name);
    const isKnown = project.keys.keys.has(keyId);
    if (!isKnown && (await this.store.head(projectKeyName(project.projectId, keyId))) !== undefined) {
      const reason = `its epoch was written with key ${keyId}, which the catalog does not have`;
      throw new VbsError('EPOCH_CONFLICT', { projectId: project.projectId, reason });
    }
    const plaintext = unsealObject(project.keys, epochPlace(project), bytes, name);
    // Sealed by this program under the project's key.
    return JSON.parse(plaintext.toString('utf8')) as EpochState;
  }

  /**
   * Raises the catalog's epoch, then the store's, and answers the new one: a store that is ahead of its catalog means
   * that the catalog was set back. A raise that a later one has overtaken writes nothing.
   * @throws EPOCH_CONFLICT when the store's belongs to another catalog, is ahead, or is the very one that was drawn:
   * then a state of this catalog that is lost has drawn it before
   */
  async raiseEpoch(project: OpenProject): Promise<EpochState> {
    const { projectId } = project;
    // One after the other: between looking at the store's epoch and replacing it, it must not change.
    const earlier = this.#raises.get(projectId) ?? Promise.resolve();
    const raise = earlier.then(
      () => this.#raiseEpoch(project),
      () => this.#raiseEpoch(project),
    );
    this.#raises.set(projectId, raise);
    try {
      return await raise;
    } finally {
      if (this.#raises.get(projectId) === raise) this.#raises.delete(projectId);
    }
  }

  async #raiseEpoch(project: OpenProject): Promise<EpochState> {
    const { projectId } = project;
    const drawn = await this.ledger.raiseEpoch(projectId);
    const stored = await this.checkEpoch(project);
    if (stored.epoch === drawn.epoch) {
      throw new VbsError('EPOCH_CONFLICT', { projectId, reason: `epoch ${drawn.epoch} was reached once before` });
    }
    // Another process may write an older epoch between the look and the write, and so may a write of old that is late.
    for (let seen = stored; seen.epoch < drawn.epoch; seen = await this.checkEpoch(project)) {
      await this.writeEpoch(project, drawn);
    }
    return drawn;
  }

  /** Writes an epoch into the store, whatever is there: for a project that begins or is taken over. */
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
    for (const row of rows) keys.set(row.keyId, openProjectRow(this.#keyRing, projectId, row));
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

async function readMasterRows(store: ObjectStore): Promise<WrappedKeyRow[]> {
  const rows: WrappedKeyRow[] = [];
  for await (const { name } of store.list(MASTER_KEY_PREFIX)) {
    const keyId = parseUuid<KeyId>(name.slice(MASTER_KEY_PREFIX.length));
    if (keyId) rows.push({ keyId, projectId: null, wrapped: await store.get(name, RECORD_SIZE_MAX_BYTES) });
  }
  return rows;
}

async function holdsAnything(store: ObjectStore, prefixes: readonly string[]): Promise<boolean> {
  for (const prefix of prefixes) for await (const _object of store.list(prefix)) return true;
  return false;
}

/** What a creation that was cut short had saved; nobody could add or replace a key before it was complete. */
function firstMasterKey({ repositoryId, masterKeys }: KeyRing, rows: readonly WrappedKeyRow[]) {
  const [first] = masterKeys;
  const row = rows.find(({ keyId }) => keyId === first?.keyId);
  if (first === undefined || row === undefined) throw new VbsError('INTERNAL');
  return { ...first, repositoryId, wrapped: row.wrapped };
}

async function completeCreation(
  store: ObjectStore,
  created: { keyId: KeyId; repositoryId: RepositoryId; masterKey: Buffer; wrapped: Uint8Array },
): Promise<void> {
  await store.replace(masterKeyName(created.keyId), created.wrapped);
  await store.put(CONFIG_NAME, encodeConfig(created.repositoryId, created.masterKey));
}

/** The config of a repository, authenticated by a master key. */
export function encodeConfig(repositoryId: RepositoryId, masterKey: Uint8Array): Buffer {
  const config: RepositoryConfig = {
    kind: 'openvbs-repository',
    version: FORMAT_VERSION,
    repositoryId,
    mac: macConfig(masterKey, repositoryId, FORMAT_VERSION),
  };
  return Buffer.from(`${JSON.stringify(config, null, 2)}\n`, 'utf8');
}

/**
 * Answers the master key that authenticates the config.
 * @throws REPOSITORY_MISMATCH, REPOSITORY_UNKNOWN_FORMAT, DATA_CORRUPT
 */
export async function checkConfig(store: ObjectStore, expected: KeyRing): Promise<Buffer> {
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
  const found = expected.masterKeys.find(
    ({ masterKey }) => macConfig(masterKey, expected.repositoryId, FORMAT_VERSION) === config.mac,
  );
  if (found === undefined) throw refuse('its authentication code does not match');
  return found.masterKey;
}
