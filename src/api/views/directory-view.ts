// Users, projects, roles and application credentials as Keystone shows them. Secrets and hashes never come here.
import type { ApplicationCredential, Project, Role, User } from '../../core/model.ts';
import { DEFAULT_DOMAIN, ROLE_IDS, type RoleView } from '../../services/identity-types.ts';
import type { RoleGrantView } from '../../services/role-service.ts';
import type { TokenKeyView } from '../../services/token-keys.ts';
import { formatIdentityTime, formatOptional } from './times.ts';

type Json = Record<string, unknown>;

const ROLE_DESCRIPTIONS: Readonly<Record<Role, string>> = {
  admin: 'Everything, and users, projects and quotas',
  member: 'Everything within the project',
  reader: 'Looks at everything within the project',
};

/** `identityUrl` ends in /v3 here and below. */
export function viewProject(project: Project, identityUrl: string): Json {
  return {
    id: project.projectId,
    name: project.name,
    domain_id: project.domainId,
    description: project.description,
    enabled: project.isEnabled,
    is_domain: false,
    parent_id: project.domainId,
    links: { self: `${identityUrl}/projects/${project.projectId}` },
  };
}

export function viewUser(user: User, identityUrl: string): Json {
  return {
    id: user.userId,
    name: user.name,
    domain_id: user.domainId,
    description: user.description,
    email: user.email,
    default_project_id: user.defaultProjectId,
    enabled: user.isEnabled,
    password_expires_at: null,
    options: {},
    links: { self: `${identityUrl}/users/${user.userId}` },
  };
}

export function viewDomain(identityUrl: string): Json {
  const { id, name } = DEFAULT_DOMAIN;
  const links = { self: `${identityUrl}/domains/${id}` };
  return { id, name, description: 'The one domain', enabled: true, options: {}, links };
}

export function viewRole({ id, name }: RoleView, identityUrl: string): Json {
  const links = { self: `${identityUrl}/roles/${id}` };
  return { id, name, domain_id: null, description: ROLE_DESCRIPTIONS[name], options: {}, links };
}

export function viewRoleGrant(grant: RoleGrantView, options: { identityUrl: string; withNames: boolean }): Json {
  const { userId, projectId, role, userName, projectName } = grant;
  const { identityUrl, withNames } = options;
  const roleId = ROLE_IDS[role];
  const named = (id: string, name: string): Json => (withNames ? { id, name, domain: DEFAULT_DOMAIN } : { id });
  return {
    role: withNames ? { id: roleId, name: role } : { id: roleId },
    user: named(userId, userName),
    scope: { project: named(projectId, projectName) },
    links: { assignment: `${identityUrl}/projects/${projectId}/users/${userId}/roles/${roleId}` },
  };
}

export function viewApplicationCredential(
  credential: ApplicationCredential,
  identityUrl: string,
  secret?: string,
): Json {
  const { credentialId, userId } = credential;
  return {
    id: credentialId,
    name: credential.name,
    description: credential.description,
    project_id: credential.projectId,
    user_id: userId,
    roles: credential.roles.map((name) => ({ id: ROLE_IDS[name], name, domain_id: null })),
    expires_at: formatOptional(credential.expiresAt, formatIdentityTime),
    unrestricted: credential.isUnrestricted,
    ...(secret === undefined ? {} : { secret }),
    links: { self: `${identityUrl}/users/${userId}/application_credentials/${credentialId}` },
  };
}

export function viewTokenKey({ keyId, createdAt, isSigning }: TokenKeyView): Json {
  return { id: keyId, created_at: formatIdentityTime(createdAt), signing: isSigning };
}

/** Keystone's lists are whole: there are no further pages. */
export function viewIdentityList(key: string, items: readonly Json[], selfUrl: string): Json {
  return { [key]: items, links: { self: selfUrl, previous: null, next: null } };
}
