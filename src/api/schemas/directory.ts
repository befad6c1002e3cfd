// Users, projects, roles and application credentials on the wire, as Keystone v3 has them. Bodies are closed: what
// cannot be honoured here (domains, groups, options, tags, access rules) is refused.
import { type TSchema, Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { type ProjectId, parseHexId, type UserId } from '../../core/ids.ts';
import type { Role } from '../../core/model.ts';
import type { CreateApplicationCredentialInput } from '../../services/application-credential-service.ts';
import { DEFAULT_DOMAIN, type RoleView } from '../../services/identity-types.ts';
import type { CreateProjectInput, UpdateProjectInput } from '../../services/project-service.ts';
import type { RoleGrantFilter } from '../../services/role-service.ts';
import type { CreateUserInput, UpdateUserInput } from '../../services/user-service.ts';
import { nullable } from './common.ts';
import { type QueryValues, queryBoolean, queryText } from './list-query.ts';
import {
  dropUndefined,
  invalidField,
  isJsonObject,
  isStorableText,
  type JsonObject,
  type ParsedBody,
  readBoolean,
  readKey,
  readNullableText,
  refuseUnknownKeys,
  requireEnvelope,
  showValue,
} from './parse.ts';

const NAME_LENGTH_MAX = 255;
const PROJECT_NAME_LENGTH_MAX = 64;
const TEXT_LENGTH_MAX = 4096;
/** Weaker ones are a mistake: a drawn one has 64 letters. */
const SECRET_LENGTH_MIN = 8;

const SelfLink = Type.Record(Type.String(), Type.String());
const Options = Type.Record(Type.String(), Type.Never());
export const ListLinks = Type.Record(Type.String(), nullable(Type.String()));

export const ProjectBody = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    domain_id: Type.String(),
    description: Type.String(),
    enabled: Type.Boolean(),
    is_domain: Type.Boolean(),
    parent_id: Type.String(),
    links: SelfLink,
  },
  { $id: 'Project' },
);

export const UserBody = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    domain_id: Type.String(),
    description: Type.String(),
    email: nullable(Type.String()),
    default_project_id: nullable(Type.String()),
    enabled: Type.Boolean(),
    password_expires_at: Type.Null(),
    options: Options,
    links: SelfLink,
  },
  { $id: 'User' },
);

export const RoleBody = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    domain_id: Type.Null(),
    description: Type.String(),
    options: Options,
    links: SelfLink,
  },
  { $id: 'Role' },
);

const Named = Type.Object({ id: Type.String(), name: Type.Optional(Type.String()) });
export const RoleAssignmentBody = Type.Object(
  {
    role: Named,
    user: Named,
    scope: Type.Object({ project: Named }),
    links: Type.Object({ assignment: Type.String() }),
  },
  { $id: 'RoleAssignment' },
);

export const ApplicationCredentialBody = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    description: nullable(Type.String()),
    project_id: Type.String(),
    user_id: Type.String(),
    roles: Type.Array(Type.Object({ id: Type.String(), name: Type.String(), domain_id: Type.Null() })),
    expires_at: nullable(Type.String()),
    unrestricted: Type.Boolean(),
    secret: Type.Optional(Type.String({ description: 'Only in the answer to its creation' })),
    links: SelfLink,
  },
  { $id: 'ApplicationCredential' },
);

export const TokenKeyBody = Type.Object(
  { id: Type.String(), created_at: Type.String(), signing: Type.Boolean({ description: 'The one that signs now' }) },
  { $id: 'TokenKey' },
);

const Text = Type.String();
const userFields = {
  name: Type.String({ minLength: 1, maxLength: NAME_LENGTH_MAX }),
  password: Type.Optional(nullable(Text)),
  description: Type.Optional(nullable(Text)),
  email: Type.Optional(nullable(Text)),
  default_project_id: Type.Optional(nullable(Text)),
  enabled: Type.Optional(Type.Boolean()),
};
const projectFields = {
  name: Type.String({ minLength: 1, maxLength: PROJECT_NAME_LENGTH_MAX }),
  description: Type.Optional(nullable(Text)),
  enabled: Type.Optional(Type.Boolean()),
};

function envelope(key: string, schema: TSchema, $id: string): TSchema {
  return Type.Object({ [key]: schema }, { $id });
}

export const CreateUserBody = envelope('user', Type.Object(userFields), 'CreateUser');
export const UpdateUserBody = envelope('user', Type.Partial(Type.Object(userFields)), 'UpdateUser');
export const ChangePasswordBody = envelope(
  'user',
  Type.Object({ original_password: Text, password: Text }),
  'ChangePassword',
);
export const CreateProjectBody = envelope('project', Type.Object(projectFields), 'CreateProject');
export const UpdateProjectBody = envelope('project', Type.Partial(Type.Object(projectFields)), 'UpdateProject');
export const CreateApplicationCredentialBody = envelope(
  'application_credential',
  Type.Object({
    name: Type.String({ minLength: 1, maxLength: NAME_LENGTH_MAX }),
    description: Type.Optional(nullable(Text)),
    secret: Type.Optional(nullable(Type.String({ minLength: SECRET_LENGTH_MIN }))),
    roles: Type.Optional(Type.Array(Type.Object({ id: Type.Optional(Text), name: Type.Optional(Text) }))),
    expires_at: Type.Optional(nullable(Type.String({ examples: ['2027-01-31T12:00:00Z'] }))),
    unrestricted: Type.Optional(Type.Boolean()),
  }),
  'CreateApplicationCredential',
);
export const RotateTokenKeyBody = envelope(
  'token_key',
  Type.Object({ end_tokens: Type.Optional(Type.Boolean({ description: 'End every token so far' })) }),
  'RotateTokenKey',
);

export const DIRECTORY_SCHEMAS: readonly TSchema[] = [
  ProjectBody,
  UserBody,
  RoleBody,
  RoleAssignmentBody,
  ApplicationCredentialBody,
  TokenKeyBody,
  CreateUserBody,
  UpdateUserBody,
  ChangePasswordBody,
  CreateProjectBody,
  UpdateProjectBody,
  CreateApplicationCredentialBody,
  RotateTokenKeyBody,
];

/** `project_id` is what clients of Keystone's second version, and tempest, call the default project. */
const USER_KEYS = [
  ...[
    'name',
    'password',
    'description',
    'email',
    'default_project_id',
    'project_id',
    'enabled',
    'domain_id',
    'options',
  ],
];

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID, DOMAIN_NOT_FOUND */
export function checkCreateUser(body: ParsedBody): CreateUserInput {
  const user = requireEnvelope(body, 'user');
  const input = readUser(user);
  return {
    name: requireName(user, 'user', NAME_LENGTH_MAX),
    password: input.password ?? null,
    description: input.description ?? '',
    email: input.email ?? null,
    defaultProjectId: input.defaultProjectId ?? null,
    isEnabled: input.isEnabled ?? true,
  };
}

/** @throws as `checkCreateUser` */
export function checkUpdateUser(body: ParsedBody): UpdateUserInput {
  const user = requireEnvelope(body, 'user');
  const name = readKey(user, 'name') === undefined ? undefined : requireName(user, 'user', NAME_LENGTH_MAX);
  return dropUndefined({ ...readUser(user), name });
}

function readUser(user: JsonObject): UpdateUserInput {
  refuseUnknownKeys(user, USER_KEYS, 'user');
  requireDefaultDomain(user, 'domain_id');
  refuseContent(user, 'options', 'user');
  const has = (key: string): boolean => readKey(user, key) !== undefined;
  return dropUndefined({
    password: has('password') ? readSecret(user, 'password', 'user.password', 1) : undefined,
    description: has('description')
      ? (readNullableText(user, 'description', 'user.description', TEXT_LENGTH_MAX) ?? '')
      : undefined,
    email: has('email') ? readNullableText(user, 'email', 'user.email', NAME_LENGTH_MAX) : undefined,
    defaultProjectId: readProjectId(user, 'default_project_id') ?? readProjectId(user, 'project_id'),
    isEnabled: has('enabled') ? readBoolean(user, 'enabled', 'user.enabled', true) : undefined,
  });
}

/** Undefined: not said; null: none. */
function readProjectId(user: JsonObject, key: string): ProjectId | null | undefined {
  if (readKey(user, key) === undefined) return undefined;
  const field = `user.${key}`;
  const text = readNullableText(user, key, field, NAME_LENGTH_MAX);
  if (text === null) return null;
  const projectId = parseHexId<ProjectId>(text);
  if (projectId === undefined) throw invalidField(field, 'it must be the id of a project');
  return projectId;
}

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID */
export function checkChangePassword(body: ParsedBody): { readonly original: string; readonly next: string } {
  const user = requireEnvelope(body, 'user');
  refuseUnknownKeys(user, ['original_password', 'password'], 'user');
  const original = readSecret(user, 'original_password', 'user.original_password', 0);
  const next = readSecret(user, 'password', 'user.password', 1);
  if (original === null) throw invalidField('user.original_password', 'it is missing');
  if (next === null) throw invalidField('user.password', 'it is missing');
  return { original, next };
}

const PROJECT_KEYS = ['name', 'description', 'enabled', 'domain_id', 'parent_id', 'is_domain', 'options', 'tags'];

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID, DOMAIN_NOT_FOUND */
export function checkCreateProject(body: ParsedBody): CreateProjectInput {
  const project = requireEnvelope(body, 'project');
  const { description = '', isEnabled = true } = readProject(project);
  return { name: requireName(project, 'project', PROJECT_NAME_LENGTH_MAX), description, isEnabled };
}

/** @throws as `checkCreateProject` */
export function checkUpdateProject(body: ParsedBody): UpdateProjectInput {
  const project = requireEnvelope(body, 'project');
  const hasName = readKey(project, 'name') !== undefined;
  const name = hasName ? requireName(project, 'project', PROJECT_NAME_LENGTH_MAX) : undefined;
  return dropUndefined({ ...readProject(project), name });
}

function readProject(project: JsonObject): UpdateProjectInput {
  refuseUnknownKeys(project, PROJECT_KEYS, 'project');
  requireDefaultDomain(project, 'domain_id');
  // Projects lie directly in the domain.
  requireDefaultDomain(project, 'parent_id');
  if (readBoolean(project, 'is_domain', 'project.is_domain', false)) {
    throw invalidField('project.is_domain', 'there is one domain only');
  }
  refuseContent(project, 'options', 'project');
  refuseContent(project, 'tags', 'project');
  const has = (key: string): boolean => readKey(project, key) !== undefined;
  return dropUndefined({
    description: has('description')
      ? (readNullableText(project, 'description', 'project.description', TEXT_LENGTH_MAX) ?? '')
      : undefined,
    isEnabled: has('enabled') ? readBoolean(project, 'enabled', 'project.enabled', true) : undefined,
  });
}

const CREDENTIAL_KEYS = [
  ...['name', 'description', 'secret', 'roles', 'expires_at', 'unrestricted', 'access_rules', 'project_id'],
];

/** `findRole` knows roles by id. @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID, ROLE_NOT_FOUND */
export function checkCreateApplicationCredential(
  body: ParsedBody,
  roles: readonly RoleView[],
): CreateApplicationCredentialInput {
  const where = 'application_credential';
  const credential = requireEnvelope(body, where);
  refuseUnknownKeys(credential, CREDENTIAL_KEYS, where);
  refuseContent(credential, 'access_rules', where);
  refuseContent(credential, 'project_id', where);
  return {
    name: requireName(credential, where, NAME_LENGTH_MAX),
    description: readNullableText(credential, 'description', `${where}.description`, TEXT_LENGTH_MAX),
    secret: readSecret(credential, 'secret', `${where}.secret`, SECRET_LENGTH_MIN),
    roles: readRoles(credential, roles, `${where}.roles`),
    expiresAt: readTime(credential, 'expires_at', `${where}.expires_at`),
    isUnrestricted: readBoolean(credential, 'unrestricted', `${where}.unrestricted`, false),
  };
}

function readRoles(object: JsonObject, known: readonly RoleView[], field: string): readonly Role[] | null {
  const value = readKey(object, 'roles');
  if (value === undefined || value === null) return null;
  if (!Array.isArray(value)) throw invalidField(field, 'it must be a list of {"id"} or {"name"}');
  // An empty list means what an absent one does, as in Keystone.
  if (value.length === 0) return null;
  const roles = value.map((item: unknown) => {
    const reference = isJsonObject(item) ? (readKey(item, 'id') ?? readKey(item, 'name')) : undefined;
    const role = known.find(({ id, name }) => id === reference || name === reference);
    if (role === undefined) throw new VbsError('ROLE_NOT_FOUND', { roleId: showValue(reference) });
    return role.name;
  });
  return [...new Set(roles)];
}

/** ISO 8601; without a zone it is UTC, as Keystone reads it. */
function readTime(object: JsonObject, key: string, field: string): number | null {
  const text = readNullableText(object, key, field, 64);
  if (text === null) return null;
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?$/.exec(text);
  const at = match === null ? Number.NaN : Date.parse(`${match[1]}${(match[2] ?? '').slice(0, 4)}${match[3] ?? 'Z'}`);
  if (!Number.isSafeInteger(at)) throw invalidField(field, 'it must be a time such as 2027-01-31T12:00:00Z');
  return at;
}

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID */
export function checkRotateTokenKey(body: ParsedBody): { readonly endsTokens: boolean } {
  if (body.kind === 'absent') return { endsTokens: false };
  const key = requireEnvelope(body, 'token_key');
  refuseUnknownKeys(key, ['end_tokens'], 'token_key');
  return { endsTokens: readBoolean(key, 'end_tokens', 'token_key.end_tokens', false) };
}

/** What lists of users and projects are narrowed by; undefined when nothing can match: another domain. */
export function readDirectoryFilter(
  query: QueryValues,
): { readonly name?: string; readonly isEnabled?: boolean } | undefined {
  const name = queryText(query, 'name');
  const isEnabled = queryBoolean(query, 'enabled');
  const isElsewhere = ['domain_id', 'parent_id'].some((key) => {
    return (queryText(query, key) ?? DEFAULT_DOMAIN.id) !== DEFAULT_DOMAIN.id;
  });
  return isElsewhere ? undefined : dropUndefined({ name, isEnabled });
}

/** Undefined when nothing can match: groups, domains and systems have no roles here, and unknown ids none either. */
export function readGrantFilter(query: QueryValues, roles: readonly RoleView[]): RoleGrantFilter | undefined {
  const elsewhere = ['group.id', 'scope.domain.id', 'scope.system', 'scope.OS-INHERIT:inherited_to'];
  if (elsewhere.some((key) => queryText(query, key) !== undefined)) return undefined;
  const userText = queryText(query, 'user.id');
  const projectText = queryText(query, 'scope.project.id');
  const roleText = queryText(query, 'role.id');
  const userId = userText === undefined ? undefined : parseHexId<UserId>(userText);
  const projectId = projectText === undefined ? undefined : parseHexId<ProjectId>(projectText);
  const role = roles.find(({ id }) => id === roleText)?.name;
  const isUnknown =
    (userText !== undefined && userId === undefined) ||
    (projectText !== undefined && projectId === undefined) ||
    (roleText !== undefined && role === undefined);
  return isUnknown ? undefined : dropUndefined({ userId, projectId, role });
}

function requireName(object: JsonObject, where: string, max: number): string {
  const name = readNullableText(object, 'name', `${where}.name`, max);
  if (name === null || name.trim() === '') throw invalidField(`${where}.name`, `it has 1 to ${max} characters`);
  return name;
}

function readSecret(object: JsonObject, key: string, field: string, min: number): string | null {
  const value = readKey(object, key);
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string' || !isStorableText(value) || value.length < min || value.length > TEXT_LENGTH_MAX) {
    throw invalidField(field, `it must be a string of ${min} to ${TEXT_LENGTH_MAX} characters`);
  }
  return value;
}

/** @throws DOMAIN_NOT_FOUND for any other than the one domain */
function requireDefaultDomain(object: JsonObject, key: string): void {
  const value = readKey(object, key);
  if (value === undefined || value === null || value === DEFAULT_DOMAIN.id) return;
  throw new VbsError('DOMAIN_NOT_FOUND', { domainId: showValue(value) });
}

/** Clients send some of Keystone's fields always, and empty; with content they cannot be honoured. */
function refuseContent(object: JsonObject, key: string, where: string): void {
  const value = readKey(object, key);
  const isEmpty =
    value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0);
  if (!isEmpty) throw invalidField(`${where}.${key}`, 'it cannot be honoured here');
}
