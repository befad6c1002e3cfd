// The user and project that a new installation begins with.
import { randomBytes } from 'node:crypto';
import { newHexId, type ProjectId, type UserId } from '../core/ids.ts';
import type { Role } from '../core/model.ts';
import type { Clock } from '../core/ports.ts';
import type { Catalog, CatalogRecords } from '../db/catalog.ts';
import { DEFAULT_DOMAIN } from './identity-types.ts';
import { hashPassword, type PasswordCost, verifyPassword } from './password.ts';

export type BuiltInsDeps = { readonly catalog: Catalog; readonly clock: Clock; readonly passwordCost: PasswordCost };

export const ADMIN_USER_NAME = 'admin';
const ADMIN_PROJECT_NAME = 'admin';
export const ADMIN_ROLES: readonly Role[] = ['admin', 'member'];
/** 96 bits: 16 letters that can be copied from a terminal. */
const PASSWORD_SIZE_BYTES = 12;

/**
 * Makes user and project `admin` where there is no user at all; the password is drawn and returned this one time. A
 * given password makes them at every start, enabled and with this password: that is the way back in.
 */
export async function ensureBuiltIns(
  deps: BuiltInsDeps,
  { adminPassword }: { readonly adminPassword?: string },
): Promise<{ generatedPassword?: string }> {
  const { users } = deps.catalog;
  if (adminPassword === undefined && (await users.count()) > 0) return {};
  const known = await users.findByName(DEFAULT_DOMAIN.id, ADMIN_USER_NAME);
  const password = adminPassword ?? randomBytes(PASSWORD_SIZE_BYTES).toString('base64url');
  const isCurrent = known !== undefined && (await verifyPassword(password, known.passwordHash));
  const passwordHash = isCurrent ? known.passwordHash : await hashPassword(password, deps.passwordCost);
  await deps.catalog.administer((records) => putBuiltIns(deps, records, passwordHash));
  return adminPassword === undefined ? { generatedPassword: password } : {};
}

async function putBuiltIns({ clock }: BuiltInsDeps, records: CatalogRecords, passwordHash: string): Promise<void> {
  const { users, projects } = records;
  const domainId = DEFAULT_DOMAIN.id;
  const user = await users.findByName(domainId, ADMIN_USER_NAME);
  const userId = user?.userId ?? newHexId<UserId>();
  if (user === undefined) {
    await users.insert({ userId, name: ADMIN_USER_NAME, domainId, passwordHash, isEnabled: true });
  } else if (user.passwordHash !== passwordHash || !user.isEnabled) {
    await users.update(userId, { passwordHash, isEnabled: true });
  }
  const project = await projects.findByName(domainId, ADMIN_PROJECT_NAME);
  const projectId = project?.projectId ?? newHexId<ProjectId>();
  if (project === undefined) {
    const description = 'Made at the first start';
    await projects.insert({ projectId, name: ADMIN_PROJECT_NAME, domainId, description, createdAt: clock.now() });
  } else if (!project.isEnabled) {
    await projects.update(projectId, { isEnabled: true });
  }
  for (const role of ADMIN_ROLES) await users.assignRole(userId, projectId, role);
}
