// Rules that every change of users, projects and roles obeys.
import { VbsError } from '../core/errors.ts';
import type { ProjectId, UserId } from '../core/ids.ts';
import type { Project, User } from '../core/model.ts';
import type { Clock, Logger } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import { type Caller, hasRole } from './caller.ts';

export type DirectoryDeps = { readonly catalog: Catalog; readonly clock: Clock; readonly logger: Logger };

/** Called after a change, in its transaction. @throws LAST_ADMIN */
export async function requireAdminLeft({ users }: Pick<CatalogRecords, 'users'>): Promise<void> {
  if ((await users.countAdmins()) === 0) throw new VbsError('LAST_ADMIN');
}

/** @throws USER_NOT_FOUND */
export async function requireUser({ users }: Pick<CatalogRecords, 'users'>, userId: UserId): Promise<User> {
  const user = await users.get(userId);
  if (user === undefined) throw new VbsError('USER_NOT_FOUND', { userId });
  return user;
}

/** @throws PROJECT_NOT_FOUND */
export async function requireLiveProject(
  { projects }: Pick<CatalogRecords, 'projects'>,
  projectId: ProjectId,
): Promise<Project> {
  const project = await projects.get(projectId);
  if (project === undefined) throw new VbsError('PROJECT_NOT_FOUND', { projectId });
  return project;
}

/** The same refusal for users that exist and for users that do not. @throws ROLE_DENIED */
export function requireSelfOrAdmin(caller: Caller, userId: UserId): void {
  if (caller.userId !== userId && !hasRole(caller, 'admin')) throw new VbsError('ROLE_DENIED');
}
