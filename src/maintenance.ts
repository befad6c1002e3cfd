// The other composition root: what is done to a data folder while no service runs in it. Opens lock, catalog and store
// in the order in which app.ts does, and closes them in the reverse one.
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Config, repositoryFolder } from './config.ts';
import { VbsError } from './core/errors.ts';
import { type KeyId, type ProjectId, parseHexId, parseUuid } from './core/ids.ts';
import { createJsonLogger } from './core/json-logger.ts';
import { CONFIG_NAME } from './core/object-names.ts';
import { type Clock, type Logger, systemClock } from './core/ports.ts';
import { Catalog } from './db/catalog.ts';
import { openDatabase } from './db/database.ts';
import { lockFolder } from './db/folder-lock.ts';
import {
  addPassphrase,
  changePassphrase,
  type DestroyedProject,
  destroyProject,
  listPassphrases,
  type PassphraseKey,
  type RotatedKeys,
  removePassphrase,
  rotateKeys,
} from './engine/key-management.ts';
import { WorkerPool } from './engine/pipeline/worker-pool.ts';
import {
  type CatalogRebuildOptions,
  type NamedProject,
  type RebuiltCatalog,
  rebuildCatalog,
} from './services/catalog-rebuild.ts';
import { loadPassphrase, replacePassphraseFile } from './services/passphrase.ts';
import { FilesystemStore } from './storage/filesystem-store.ts';

/** A data folder that is held by this process and served by nobody. */
export type HeldFolder = {
  readonly config: Config;
  readonly catalog: Catalog;
  readonly store: FilesystemStore;
  readonly clock: Clock;
  readonly logger: Logger;
};

/**
 * `whenClosed` follows work that succeeded: nobody has the catalog open any more, and no other process can begin.
 * @throws REPOSITORY_LOCKED while a service runs; CONFIG_INVALID when there is no repository
 */
export async function holdFolder<T>(
  config: Config,
  work: (folder: HeldFolder) => Promise<T>,
  whenClosed?: () => void | Promise<void>,
): Promise<T> {
  await requireRepository(config);
  const write = (line: string) => void process.stderr.write(line);
  const logger = createJsonLogger({ level: config.logLevel, clock: systemClock, write });
  await using stack = new AsyncDisposableStack();
  stack.use(await lockFolder(config.dataFolder));
  let isDone = false;
  stack.defer(async () => {
    if (isDone) await whenClosed?.();
  });
  const catalog = stack.use(new Catalog({ database: await openDatabase(config.database, { logger }) }));
  const store = new FilesystemStore({ root: repositoryFolder(config) });
  stack.defer(() => store.close());
  await store.removeLeftovers();
  const result = await work({ config, catalog, store, clock: systemClock, logger });
  isDone = true;
  return result;
}

async function requireRepository(config: Config): Promise<void> {
  const path = join(repositoryFolder(config), CONFIG_NAME);
  try {
    await access(path);
  } catch (cause) {
    throw new VbsError('CONFIG_INVALID', { setting: 'data', reason: `there is no repository: ${path}` }, { cause });
  }
}

export function listKeys(config: Config): Promise<PassphraseKey[]> {
  return withKeys(config, (places, passphrase) => listPassphrases(places, passphrase));
}

export function addKey(config: Config, added: string): Promise<KeyId> {
  return withKeys(config, (places, passphrase) => addPassphrase(places, passphrase, added));
}

/** A passphrase that lies in the data folder is replaced there too. */
export function changeKey(config: Config, changed: string): Promise<{ keyId: KeyId; isFileChanged: boolean }> {
  return withKeys(config, async (places, passphrase) => {
    const isFileChanged = config.passphrase === undefined && config.passphraseFile === undefined;
    const keyId = await changePassphrase(places, passphrase, changed, async () => {
      if (isFileChanged) await replacePassphraseFile(config.dataFolder, changed);
    });
    return { keyId, isFileChanged };
  });
}

export function removeKey(config: Config, keyId: string): Promise<void> {
  const parsed = parseUuid<KeyId>(keyId);
  if (parsed === undefined) throw new VbsError('KEY_NOT_FOUND', { keyId });
  return withKeys(config, (places, passphrase) => removePassphrase(places, passphrase, parsed));
}

export function rotateAllKeys(config: Config): Promise<RotatedKeys> {
  return withKeys(config, (places, passphrase) => rotateKeys(places, passphrase));
}

/** Destroys all that a project ever stored; see `destroyProject` for what that cannot reach. */
export async function shredProject(config: Config, project: string): Promise<DestroyedProject> {
  const { database } = config;
  const shred = async ({ catalog, store, clock }: HeldFolder) => {
    const projectId = await findProject(catalog, project);
    return await destroyProject({ store, ledger: catalog.ledger, clock }, projectId);
  };
  return await holdFolder(config, shred, () => {
    if (database.kind === 'sqlite') rewriteCatalog(database.path);
  });
}

export type CatalogReport = RebuiltCatalog;
export type ProjectReport = NamedProject;

/** Makes the catalog anew from the repository alone. @throws CATALOG_NOT_EMPTY, PASSPHRASE_WRONG, DATA_CORRUPT */
export function rebuildLostCatalog(
  config: Config,
  options: Pick<CatalogRebuildOptions, 'signal' | 'onProject'>,
): Promise<RebuiltCatalog> {
  return holdFolder(config, async ({ catalog, store, clock, logger }) => {
    const { passphrase } = await loadPassphrase({ ...config, hasRepository: true });
    const { adminPassword } = config;
    // No volume data is handled here, so no threads are needed for it.
    const workers = new WorkerPool({ threadCount: 0, logger });
    const deps = { catalog, store, clock, logger, workers };
    return await rebuildCatalog(deps, { ...options, passphrase, adminPassword });
  });
}

function withKeys<T>(
  config: Config,
  work: (places: { store: FilesystemStore; ledger: Catalog['ledger'] }, passphrase: string) => Promise<T>,
): Promise<T> {
  return holdFolder(config, async ({ catalog, store }) => {
    const { passphrase } = await loadPassphrase({ ...config, hasRepository: true });
    return await work({ store, ledger: catalog.ledger }, passphrase);
  });
}

/** By id, or by name where only one project is called so. @throws PROJECT_NOT_FOUND */
async function findProject(catalog: Catalog, project: string): Promise<ProjectId> {
  const id = parseHexId<ProjectId>(project);
  const known = id === undefined ? undefined : await catalog.projects.get(id);
  if (known !== undefined) return known.projectId;
  const named = (await catalog.projects.list()).filter(({ name }) => name === project);
  const [only] = named;
  if (only === undefined || named.length > 1) throw new VbsError('PROJECT_NOT_FOUND', { projectId: project });
  return only.projectId;
}

/** Deleted rows stay in free pages and in the log of an SQLite file until both are written anew. */
function rewriteCatalog(path: string): void {
  using database = new DatabaseSync(path);
  database.exec('pragma secure_delete = on; vacuum; pragma wal_checkpoint(truncate)');
}
