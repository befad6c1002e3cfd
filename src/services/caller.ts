// Who asks: the verified content of a token, and the two checks that every service makes with it first.
import { VbsError } from '../core/errors.ts';
import type { ProjectId, UserId } from '../core/ids.ts';
import type { Role } from '../core/model.ts';

export type Caller = {
  readonly userId: UserId;
  readonly userName: string;
  /** Null for unscoped and domain-scoped tokens. */
  readonly projectId: ProjectId | null;
  readonly projectName: string | null;
  readonly roles: readonly Role[];
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** Of the request that is being answered. */
  readonly requestId?: string;
  /** By a restricted application credential: it may not make or delete any. */
  readonly isRestricted?: true;
};

/** `admin` may do what `member` may, and `member` what `reader` may (contract 1.5). */
const RANKS: Readonly<Record<Role, number>> = { reader: 1, member: 2, admin: 3 };

/** @throws PROJECT_MISMATCH unless the token is scoped to exactly this project. */
export function requireProject(caller: Caller, projectId: ProjectId): void {
  if (caller.projectId !== projectId) throw new VbsError('PROJECT_MISMATCH', { projectId });
}

export function hasRole(caller: Caller, role: Role): boolean {
  return caller.roles.some((held) => RANKS[held] >= RANKS[role]);
}

/** @throws ROLES_EMPTY when the token carries no role at all, ROLE_DENIED when none of them is enough. */
export function requireRole(caller: Caller, role: Role): void {
  if (caller.roles.length === 0) throw new VbsError('ROLES_EMPTY');
  if (!hasRole(caller, role)) throw new VbsError('ROLE_DENIED');
}

/** Both checks in the order of contract section 3. */
export function authorize(caller: Caller, projectId: ProjectId, role: Role): void {
  requireProject(caller, projectId);
  requireRole(caller, role);
}
