// What records work in: the database as a whole, or one transaction that already holds its locks. The same records
// serve both, so that rules in services can put several of them into one transaction.
import assert from 'node:assert/strict';
import { VbsError } from '../core/errors.ts';
import type { ProjectId } from '../core/ids.ts';
import type { Capabilities, Database, Executor } from './database.ts';

export type Scope = {
  readonly executor: Executor;
  readonly capabilities: Capabilities;
  /** Inside a transaction that somebody else commits. */
  readonly isBound: boolean;
  /**
   * Runs `work` under the row locks of the projects (src/engine/README.md): in a transaction of its own, or in the one
   * this scope is bound to, which must hold these locks already. @throws PROJECT_NOT_FOUND
   */
  transact<T>(projectIds: readonly ProjectId[], work: (executor: Executor) => Promise<T>): Promise<T>;
  /** The same under the lock of what belongs to no project. */
  administer<T>(work: (executor: Executor) => Promise<T>): Promise<T>;
};

/** The scope outside any transaction. */
export function openScope(database: Database): Scope {
  const { kysely, capabilities } = database;
  return {
    executor: kysely,
    capabilities,
    isBound: false,
    transact: (projectIds, work) =>
      database.transact(async (transaction) => {
        await lockProjects(capabilities, transaction, projectIds);
        return await work(transaction);
      }),
    administer: (work) =>
      database.transact(async (transaction) => {
        await capabilities.lockCatalog(transaction);
        return await work(transaction);
      }),
  };
}

/** A scope inside a transaction that holds the locks of `projectIds`, or of the catalog when that is undefined. */
export function bindScope(
  executor: Executor,
  capabilities: Capabilities,
  projectIds: readonly ProjectId[] | undefined,
): Scope {
  return {
    executor,
    capabilities,
    isBound: true,
    transact: async (wantedIds, work) => {
      const hasLocks = wantedIds.every((projectId) => projectIds?.includes(projectId) === true);
      assert(hasLocks, 'a transaction works on the projects whose locks it holds');
      return await work(executor);
    },
    administer: async (work) => {
      assert(projectIds === undefined, 'what belongs to no project is changed under the lock of the catalog');
      return await work(executor);
    },
  };
}

async function lockProjects(
  capabilities: Capabilities,
  executor: Executor,
  projectIds: readonly ProjectId[],
): Promise<void> {
  const found = await capabilities.lockProjects(executor, projectIds);
  const missing = projectIds.find((projectId) => !found.includes(projectId));
  if (missing !== undefined) {
    throw new VbsError('PROJECT_NOT_FOUND', { projectId: missing });
  }
}
