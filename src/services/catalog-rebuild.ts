// A new catalog for a repository whose own is lost: projects, their keys, their backups; then a user admin who may see
// all of it. The keys of the repository are entered last: until then a service that starts on this catalog is refused,
// so nobody ever works with half of it. It may be cut short anywhere, and goes on when it is run again.
import { randomBytes } from 'node:crypto';
import { VbsError } from '../core/errors.ts';
import type { ProjectId } from '../core/ids.ts';
import type { Catalog } from '../db/catalog.ts';
import { readProjectLabel } from '../engine/labels.ts';
import { recoverProjectKeys } from '../engine/rebuild/project-keys.ts';
import { type RebuiltProject, rebuildProject } from '../engine/rebuild/rebuild-project.ts';
import { listStoredProjects, type StoredProject } from '../engine/rebuild/stored-project.ts';
import { Repository, type RepositoryDeps, type StoredRepository } from '../engine/repository.ts';
import { ADMIN_ROLES, ADMIN_USER_NAME, ensureBuiltIns } from './built-ins.ts';
import { DEFAULT_DOMAIN } from './identity-types.ts';
import { PASSWORD_COST, type PasswordCost } from './password.ts';

export type CatalogRebuildDeps = Omit<RepositoryDeps, 'ledger'> & { readonly catalog: Catalog };

export type CatalogRebuildOptions = {
  readonly passphrase: string;
  /** Of the user admin; drawn unless given. */
  readonly adminPassword?: string | undefined;
  /** Of its hash; that of password.ts unless set. */
  readonly passwordCost?: PasswordCost;
  readonly signal: AbortSignal;
  /** Called after each project. */
  readonly onProject?: (project: NamedProject, count: number, totalCount: number) => void;
};

export type NamedProject = RebuiltProject & { readonly name: string };

export type RebuiltCatalog = {
  /** An earlier run had finished: nothing was done. */
  readonly wasDone: boolean;
  readonly projects: readonly NamedProject[];
  /** Projects that cannot be opened: no key of theirs can be read. */
  readonly lost: readonly { readonly projectId: ProjectId; readonly reason: string }[];
  /** Of the user admin, when it was drawn. */
  readonly generatedPassword: string | undefined;
};

/** What the catalog says of its own making: `running` or `done`, and of which repository. */
const STATE_NAME = 'rebuild';
const PASSWORD_SIZE_BYTES = 12;

/**
 * @throws CATALOG_NOT_EMPTY; PASSPHRASE_WRONG; REPOSITORY_UNKNOWN_FORMAT, DATA_CORRUPT when config or keys are damaged;
 * STORAGE_IO, STORAGE_FULL, CATALOG_UNAVAILABLE
 */
export async function rebuildCatalog(
  deps: CatalogRebuildDeps,
  options: CatalogRebuildOptions,
): Promise<RebuiltCatalog> {
  const { catalog, store } = deps;
  const stored = await Repository.openStored({ ...deps, ledger: catalog.ledger }, options.passphrase);
  const { repositoryId } = stored.repository;
  if (await isRebuilt(catalog, repositoryId)) {
    return { wasDone: true, projects: [], lost: [], generatedPassword: undefined };
  }
  await catalog.meta.set(STATE_NAME, `running ${repositoryId}`);
  const projects: NamedProject[] = [];
  const lost: { projectId: ProjectId; reason: string }[] = [];
  const found = await listStoredProjects(store, options.signal);
  for (const project of found) {
    const reason = await prepareProject(deps, stored, project);
    if (reason !== undefined) {
      lost.push({ projectId: project.projectId, reason });
      continue;
    }
    const rebuilt = await rebuildProject(stored.repository, catalog.ledger, project, options.signal);
    const named = { ...rebuilt, name: await nameProject(catalog, stored.repository, project.projectId) };
    projects.push(named);
    options.onProject?.(named, projects.length + lost.length, found.length);
  }
  const generatedPassword = await admitAdmin(deps, options);
  await catalog.ledger.enterKeys(stored.masterRows);
  await catalog.meta.set(STATE_NAME, `done ${repositoryId}`);
  return { wasDone: false, projects, lost, generatedPassword };
}

/** @throws CATALOG_NOT_EMPTY unless the catalog is empty or one that a rebuild of this repository has begun */
async function isRebuilt(catalog: Catalog, repositoryId: string): Promise<boolean> {
  const state = await catalog.meta.get(STATE_NAME);
  if (state === `done ${repositoryId}`) return true;
  if (state === `running ${repositoryId}`) return false;
  if (state !== undefined) throw new VbsError('CATALOG_NOT_EMPTY', { reason: 'it was rebuilt for another repository' });
  const keys = await catalog.ledger.listKeys();
  const projects = await catalog.projects.list();
  if (keys.length > 0 || projects.length > 0) {
    const reason =
      'it knows a repository already. If it was put back from a copy, start the service and use openvbs repository ' +
      'adopt; to make it anew, move it away first';
    throw new VbsError('CATALOG_NOT_EMPTY', { reason });
  }
  return false;
}

/** Row and keys. Answers why the project is lost, if it is. */
async function prepareProject(
  { catalog, clock }: CatalogRebuildDeps,
  stored: StoredRepository,
  project: StoredProject,
): Promise<string | undefined> {
  const { projectId, keyIds } = project;
  if (keyIds.length === 0) return 'the repository has no key of it';
  await catalog.administer(async ({ projects }) => {
    if ((await projects.get(projectId)) !== undefined) return;
    const { id: domainId } = DEFAULT_DOMAIN;
    // Replaced by its own name as soon as that can be read.
    const provisional = { name: `project-${projectId}`, description: 'Found in the repository' };
    await projects.insert({ projectId, ...provisional, domainId, createdAt: clock.now() });
  });
  const { keyCount, unreadable } = await recoverProjectKeys(stored, catalog.ledger, project);
  if (keyCount > 0) return undefined;
  return unreadable.map(({ keyId, reason }) => `key ${keyId}: ${reason}`).join('; ');
}

/** As its label says, or after its id. */
async function nameProject(catalog: Catalog, repository: Repository, projectId: ProjectId): Promise<string> {
  const label = await readProjectLabel(repository, await repository.openProject(projectId));
  const shortName = `project-${projectId.slice(0, 8)}`;
  const { description } = label ?? { description: 'Found in the repository' };
  return await catalog.administer(async ({ projects }) => {
    for (const name of [label?.name ?? shortName, shortName]) {
      const holder = await projects.findByName(DEFAULT_DOMAIN.id, name);
      if (holder !== undefined && holder.projectId !== projectId) continue;
      await projects.rename(projectId, { name, description });
      return name;
    }
    return `project-${projectId}`;
  });
}

/** Users are not in the repository: the built-in one comes back, with a role in every project. */
async function admitAdmin(
  { catalog, clock }: CatalogRebuildDeps,
  { adminPassword, passwordCost = PASSWORD_COST }: CatalogRebuildOptions,
): Promise<string | undefined> {
  const password = adminPassword ?? randomBytes(PASSWORD_SIZE_BYTES).toString('base64url');
  await ensureBuiltIns({ catalog, clock, passwordCost }, { adminPassword: password });
  await catalog.administer(async ({ users, projects }) => {
    const admin = await users.findByName(DEFAULT_DOMAIN.id, ADMIN_USER_NAME);
    if (admin === undefined) throw new VbsError('INTERNAL');
    for (const { projectId } of await projects.list()) {
      for (const role of ADMIN_ROLES) await users.assignRole(admin.userId, projectId, role);
    }
  });
  return adminPassword === undefined ? password : undefined;
}
