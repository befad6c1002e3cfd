// Users, projects, roles and application credentials over Keystone's API: works with the built-in identity and with any
// other Keystone. Everything is found by id or by a name that only one has.
import { ANSWER_INVALID, ClientError, LOGIN_NEEDED, NAME_AMBIGUOUS, NAME_NOT_FOUND } from './client-error.ts';
import type { HttpRequest, JsonReply } from './http.ts';
import { type JsonObject, objectAt, objectsAt, textOf } from './json.ts';
import type { Session } from './keystone.ts';

export type IdentityClientDeps = {
  /** `tail` is what stands behind `/v3`. */
  send(method: HttpRequest['method'], tail: string, body: unknown, signal: AbortSignal | undefined): Promise<JsonReply>;
  session(signal: AbortSignal | undefined): Promise<Session>;
};

export type UserInfo = {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly email: string | null;
  readonly isEnabled: boolean;
};
export type ProjectInfo = {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly isEnabled: boolean;
};
export type RoleInfo = { readonly id: string; readonly name: string; readonly description: string | null };
export type RoleAssignmentInfo = {
  readonly role: string;
  readonly user: string;
  readonly project: string;
};
export type ApplicationCredentialInfo = {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly projectId: string;
  readonly roles: readonly string[];
  readonly expiresAt: string | null;
  readonly isUnrestricted: boolean;
  /** Only in the answer to its creation. */
  readonly secret: string | null;
};
export type TokenKeyInfo = { readonly id: string; readonly createdAt: string; readonly isSigning: boolean };

/** Members that are undefined are left as they are. */
export type UserFields = {
  readonly name?: string | undefined;
  readonly password?: string | undefined;
  readonly description?: string | undefined;
  readonly email?: string | undefined;
  readonly enabled?: boolean | undefined;
};
export type ProjectFields = Omit<UserFields, 'password' | 'email'>;
export type ApplicationCredentialFields = {
  readonly name: string;
  readonly description?: string | undefined;
  readonly roles?: readonly { readonly name: string }[] | undefined;
  readonly expires_at?: string | undefined;
  readonly unrestricted?: boolean | undefined;
};
export type GrantRef = { readonly userId: string; readonly projectId: string; readonly roleId: string };

const ID_PATTERN = /^[0-9a-f]{32}$/;

export class IdentityClient {
  readonly #deps: IdentityClientDeps;

  constructor(deps: IdentityClientDeps) {
    this.#deps = deps;
  }

  async listUsers(filter: { readonly name?: string } = {}, signal?: AbortSignal): Promise<UserInfo[]> {
    return (await this.#list('users', filter, signal)).map(readUser);
  }

  async createUser(fields: UserFields, signal?: AbortSignal): Promise<UserInfo> {
    return readUser(await this.#change('POST', '/users', { user: fields }, signal));
  }

  async updateUser(userId: string, fields: UserFields, signal?: AbortSignal): Promise<UserInfo> {
    return readUser(await this.#change('PATCH', `/users/${userId}`, { user: fields }, signal));
  }

  async deleteUser(userId: string, signal?: AbortSignal): Promise<void> {
    await this.#deps.send('DELETE', `/users/${userId}`, undefined, signal);
  }

  /** One's own. Every token of the user ends. */
  async changePassword(original: string, password: string, signal?: AbortSignal): Promise<void> {
    const user = { original_password: original, password };
    await this.#deps.send('POST', `/users/${await this.ownUserId(signal)}/password`, { user }, signal);
  }

  /** @throws ClientError NAME_NOT_FOUND, NAME_AMBIGUOUS, status 404 */
  async findUser(idOrName: string, signal?: AbortSignal): Promise<UserInfo> {
    if (ID_PATTERN.test(idOrName)) return readUser(await this.#show('user', `/users/${idOrName}`, signal));
    return pickOnly('user', idOrName, await this.listUsers({ name: idOrName }, signal));
  }

  async listProjects(filter: { readonly name?: string } = {}, signal?: AbortSignal): Promise<ProjectInfo[]> {
    return (await this.#list('projects', filter, signal)).map(readProject);
  }

  async createProject(fields: ProjectFields, signal?: AbortSignal): Promise<ProjectInfo> {
    return readProject(await this.#change('POST', '/projects', { project: fields }, signal));
  }

  async updateProject(projectId: string, fields: ProjectFields, signal?: AbortSignal): Promise<ProjectInfo> {
    return readProject(await this.#change('PATCH', `/projects/${projectId}`, { project: fields }, signal));
  }

  async deleteProject(projectId: string, signal?: AbortSignal): Promise<void> {
    await this.#deps.send('DELETE', `/projects/${projectId}`, undefined, signal);
  }

  /** @throws as `findUser` */
  async findProject(idOrName: string, signal?: AbortSignal): Promise<ProjectInfo> {
    if (ID_PATTERN.test(idOrName)) return readProject(await this.#show('project', `/projects/${idOrName}`, signal));
    return pickOnly('project', idOrName, await this.listProjects({ name: idOrName }, signal));
  }

  async listRoles(signal?: AbortSignal): Promise<RoleInfo[]> {
    return (await this.#list('roles', {}, signal)).map(readRole);
  }

  /** @throws as `findUser` */
  async findRole(idOrName: string, signal?: AbortSignal): Promise<RoleInfo> {
    const roles = await this.listRoles(signal);
    return pickOnly(
      'role',
      idOrName,
      roles.filter(({ id, name }) => id === idOrName || name === idOrName),
    );
  }

  async addRole(grant: GrantRef, signal?: AbortSignal): Promise<void> {
    await this.#deps.send('PUT', grantTail(grant), undefined, signal);
  }

  async removeRole(grant: GrantRef, signal?: AbortSignal): Promise<void> {
    await this.#deps.send('DELETE', grantTail(grant), undefined, signal);
  }

  async listRoleAssignments(
    filter: { readonly 'user.id'?: string; readonly 'scope.project.id'?: string },
    signal?: AbortSignal,
  ): Promise<RoleAssignmentInfo[]> {
    const found = await this.#list('role_assignments', { ...filter, include_names: 'true' }, signal);
    const nameOf = (value: unknown, key: string): string => textOf(objectAt(value, key).name) ?? '';
    return found.map((item) => ({
      role: nameOf(item, 'role'),
      user: nameOf(item, 'user'),
      project: nameOf(objectAt(item, 'scope'), 'project'),
    }));
  }

  async createApplicationCredential(
    fields: ApplicationCredentialFields,
    signal?: AbortSignal,
  ): Promise<ApplicationCredentialInfo> {
    const tail = await this.#credentialTail('', signal);
    return readCredential(await this.#change('POST', tail, { application_credential: fields }, signal));
  }

  async listApplicationCredentials(
    filter: { readonly name?: string } = {},
    signal?: AbortSignal,
  ): Promise<ApplicationCredentialInfo[]> {
    const tail = await this.#credentialTail('', signal);
    return (await this.#list('application_credentials', filter, signal, tail)).map(readCredential);
  }

  async deleteApplicationCredential(credentialId: string, signal?: AbortSignal): Promise<void> {
    await this.#deps.send('DELETE', await this.#credentialTail(`/${credentialId}`, signal), undefined, signal);
  }

  /** One's own. @throws as `findUser` */
  async findApplicationCredential(idOrName: string, signal?: AbortSignal): Promise<ApplicationCredentialInfo> {
    if (ID_PATTERN.test(idOrName)) {
      const tail = await this.#credentialTail(`/${idOrName}`, signal);
      return readCredential(await this.#show('application_credential', tail, signal));
    }
    const found = await this.listApplicationCredentials({ name: idOrName }, signal);
    return pickOnly('application credential', idOrName, found);
  }

  /** Of OpenVBS only, as the next. */
  async listTokenKeys(signal?: AbortSignal): Promise<TokenKeyInfo[]> {
    return (await this.#list('token_keys', {}, signal)).map(readTokenKey);
  }

  async rotateTokenKey(options: { readonly endsTokens: boolean }, signal?: AbortSignal): Promise<TokenKeyInfo> {
    const body = { token_key: { end_tokens: options.endsTokens } };
    return readTokenKey(await this.#change('POST', '/token_keys', body, signal));
  }

  /** @throws ClientError LOGIN_NEEDED for a saved login that does not say whose it is */
  async ownUserId(signal?: AbortSignal): Promise<string> {
    const { userId } = await this.#deps.session(signal);
    if (userId !== undefined) return userId;
    throw new ClientError('the saved login is of an older version', { status: 401, code: LOGIN_NEEDED });
  }

  async #credentialTail(rest: string, signal: AbortSignal | undefined): Promise<string> {
    return `/users/${await this.ownUserId(signal)}/application_credentials${rest}`;
  }

  async #list(
    collection: string,
    filter: Readonly<Record<string, string | undefined>>,
    signal: AbortSignal | undefined,
    tail = `/${collection}`,
  ): Promise<readonly JsonObject[]> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(filter)) if (value !== undefined) query.set(name, value);
    const { body } = await this.#deps.send('GET', query.size === 0 ? tail : `${tail}?${query}`, undefined, signal);
    return objectsAt(body, collection);
  }

  async #show(key: string, tail: string, signal: AbortSignal | undefined): Promise<JsonObject> {
    return objectAt((await this.#deps.send('GET', tail, undefined, signal)).body, key);
  }

  /** `body` has one key, and so has the answer. */
  async #change(
    method: 'POST' | 'PATCH',
    tail: string,
    body: Readonly<Record<string, object>>,
    signal: AbortSignal | undefined,
  ): Promise<JsonObject> {
    const [key = ''] = Object.keys(body);
    return objectAt((await this.#deps.send(method, tail, body, signal)).body, key);
  }
}

function grantTail({ userId, projectId, roleId }: GrantRef): string {
  return `/projects/${projectId}/users/${userId}/roles/${roleId}`;
}

function readNamed(value: JsonObject): { id: string; name: string; description: string | null } {
  const id = textOf(value.id);
  const name = textOf(value.name);
  if (id === undefined || name === undefined) {
    throw new ClientError('the server answered without an id', { status: 200, code: ANSWER_INVALID });
  }
  return { id, name, description: textOf(value.description) ?? null };
}

function readUser(value: JsonObject): UserInfo {
  return { ...readNamed(value), email: textOf(value.email) ?? null, isEnabled: value.enabled !== false };
}

function readProject(value: JsonObject): ProjectInfo {
  return { ...readNamed(value), isEnabled: value.enabled !== false };
}

function readRole(value: JsonObject): RoleInfo {
  return readNamed(value);
}

function readCredential(value: JsonObject): ApplicationCredentialInfo {
  return {
    ...readNamed(value),
    projectId: textOf(value.project_id) ?? '',
    roles: objectsAt(value, 'roles').flatMap((role) => textOf(role.name) ?? []),
    expiresAt: textOf(value.expires_at) ?? null,
    isUnrestricted: value.unrestricted === true,
    secret: textOf(value.secret) ?? null,
  };
}

function readTokenKey(value: JsonObject): TokenKeyInfo {
  return { id: textOf(value.id) ?? '', createdAt: textOf(value.created_at) ?? '', isSigning: value.signing === true };
}

function pickOnly<Item extends { readonly id: string }>(kind: string, name: string, items: readonly Item[]): Item {
  const [first, ...others] = items;
  const quoted = JSON.stringify(name);
  if (first === undefined) {
    throw new ClientError(`there is no ${kind} named ${quoted}`, { status: 404, code: NAME_NOT_FOUND });
  }
  if (others.length === 0) return first;
  const ids = items.map(({ id }) => id).join(', ');
  throw new ClientError(`several are named ${quoted}; use an id: ${ids}`, { status: 409, code: NAME_AMBIGUOUS });
}
