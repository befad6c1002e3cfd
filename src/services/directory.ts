// The built-in identity as one: everything that knows users, projects, roles and tokens, put together.
import type { Clock, Logger } from '../core/ports.ts';
import type { Catalog } from '../db/catalog.ts';
import { ApplicationCredentialService } from './application-credential-service.ts';
import { IdentityService } from './identity-service.ts';
import { type LoginLimits, LoginThrottle } from './login-throttle.ts';
import type { PasswordCost } from './password.ts';
import { PasswordChecker } from './password-checker.ts';
import { ProjectService } from './project-service.ts';
import { RoleService } from './role-service.ts';
import { TokenKeys } from './token-keys.ts';
import { UserService } from './user-service.ts';

export type DirectoryOptions = {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tokenLifeMs: number;
  readonly keyRotationMs: number;
  readonly loginLimits: LoginLimits;
  /** That of password.ts unless set. */
  readonly passwordCost?: PasswordCost;
};

/** What the API shows of users, projects, roles and keys. */
export type Directory = {
  readonly users: UserService;
  readonly projects: ProjectService;
  readonly roles: RoleService;
  readonly applicationCredentials: ApplicationCredentialService;
  readonly tokenKeys: TokenKeys;
};

export function openDirectory(options: DirectoryOptions): { identity: IdentityService; directory: Directory } {
  const { catalog, clock, logger, tokenLifeMs, keyRotationMs, loginLimits, passwordCost } = options;
  const throttle = new LoginThrottle({ limits: loginLimits, clock, logger });
  const passwords = new PasswordChecker({ throttle, ...(passwordCost === undefined ? {} : { cost: passwordCost }) });
  const tokenKeys = new TokenKeys({ catalog, clock, rotationMs: keyRotationMs });
  const deps = { catalog, clock, logger, passwords };
  const cost = passwordCost === undefined ? {} : { passwordCost };
  return {
    identity: new IdentityService({ catalog, clock, passwords, tokenKeys, tokenLifeMs, ...cost }),
    directory: {
      users: new UserService(deps),
      projects: new ProjectService(deps),
      roles: new RoleService(deps),
      applicationCredentials: new ApplicationCredentialService(deps),
      tokenKeys,
    },
  };
}
