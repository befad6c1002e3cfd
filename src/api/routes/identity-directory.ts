// Users, projects, domains and roles, Keystone v3 as its clients manage them.
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { type ProjectId, parseHexId, type UserId } from '../../core/ids.ts';
import { DEFAULT_DOMAIN } from '../../services/identity-types.ts';
import type { ApiDeps, TokenCall, TokenRoute } from '../route.ts';
import {
  ChangePasswordBody,
  CreateProjectBody,
  CreateUserBody,
  checkChangePassword,
  checkCreateProject,
  checkCreateUser,
  checkUpdateProject,
  checkUpdateUser,
  ListLinks,
  ProjectBody,
  readDirectoryFilter,
  UpdateProjectBody,
  UpdateUserBody,
  UserBody,
} from '../schemas/directory.ts';
import { queryText } from '../schemas/list-query.ts';
import { viewDomain, viewIdentityList, viewProject, viewUser } from '../views/directory-view.ts';

const TAG = 'identity';
const ROOT = '/identity/v3';
const ANYBODY = { kind: 'token', role: 'none' } as const;
const ADMINS = { kind: 'token', role: 'admin' } as const;
const FilterQuery = Type.Object({
  name: Type.Optional(Type.String()),
  enabled: Type.Optional(Type.Boolean()),
  domain_id: Type.Optional(Type.String()),
});
const OneUser = Type.Object({ user: UserBody });
const OneProject = Type.Object({ project: ProjectBody });
const ManyProjects = Type.Object({ projects: Type.Array(ProjectBody), links: ListLinks });

export function directoryRoutes(deps: ApiDeps): TokenRoute[] {
  return [
    ...userRoutes(deps),
    ...accountRoutes(deps),
    ...projectRoutes(deps),
    ...projectAdminRoutes(deps),
    ...domainRoutes(),
  ];
}

/** Ids that can be none are names that a client tries as an id first: not found. */
export function userIdOf({ param }: Pick<TokenCall, 'param'>): UserId {
  const text = param('user_id');
  const userId = parseHexId<UserId>(text);
  if (userId === undefined) throw new VbsError('USER_NOT_FOUND', { userId: text.slice(0, 64) });
  return userId;
}

export function identityProjectIdOf({ param }: Pick<TokenCall, 'param'>): ProjectId {
  const text = param('identity_project_id');
  const projectId = parseHexId<ProjectId>(text);
  if (projectId === undefined) throw new VbsError('PROJECT_NOT_FOUND', { projectId: text.slice(0, 64) });
  return projectId;
}

function userRoutes({ directory: { users } }: ApiDeps): TokenRoute[] {
  return [
    {
      method: 'GET',
      paths: [`${ROOT}/users`],
      access: ADMINS,
      doc: {
        summary: 'List users',
        tag: TAG,
        query: FilterQuery,
        ok: { status: 200, schema: Type.Object({ users: Type.Array(UserBody), links: ListLinks }) },
      },
      handle: async ({ caller, origin, path, query }) => {
        const filter = readDirectoryFilter(query);
        const found = filter === undefined ? [] : await users.list(caller, filter);
        const items = found.map((user) => viewUser(user, `${origin}${ROOT}`));
        return viewIdentityList('users', items, `${origin}${path}`);
      },
    },
    {
      method: 'POST',
      paths: [`${ROOT}/users`],
      access: ADMINS,
      doc: { summary: 'Make a user', tag: TAG, body: CreateUserBody, ok: { status: 201, schema: OneUser } },
      handle: async ({ caller, origin, body }) => ({
        user: viewUser(await users.create(caller, checkCreateUser(body)), `${origin}${ROOT}`),
      }),
    },
    {
      method: 'PATCH',
      paths: [`${ROOT}/users/:user_id`],
      access: ADMINS,
      doc: {
        summary: 'Change a user',
        description: 'A new password, and being disabled, end all tokens of the user.',
        tag: TAG,
        body: UpdateUserBody,
        ok: { status: 200, schema: OneUser },
      },
      handle: async (call) => {
        const user = await users.update(call.caller, userIdOf(call), checkUpdateUser(call.body));
        return { user: viewUser(user, `${call.origin}${ROOT}`) };
      },
    },
    {
      method: 'DELETE',
      paths: [`${ROOT}/users/:user_id`],
      access: ADMINS,
      doc: {
        summary: 'Remove a user',
        description: 'With roles, application credentials and tokens. Volumes and backups stay with their project.',
        tag: TAG,
        ok: { status: 204 },
      },
      handle: async (call) => users.delete(call.caller, userIdOf(call)),
    },
  ];
}

/** What users may do with their own account. */
function accountRoutes({ directory: { users } }: ApiDeps): TokenRoute[] {
  return [
    {
      method: 'GET',
      paths: [`${ROOT}/users/:user_id`],
      access: ANYBODY,
      doc: { summary: 'Show oneself; any user for an admin', tag: TAG, ok: { status: 200, schema: OneUser } },
      handle: async (call) => ({
        user: viewUser(await users.get(call.caller, userIdOf(call)), `${call.origin}${ROOT}`),
      }),
    },
    {
      method: 'GET',
      paths: [`${ROOT}/users/:user_id/projects`],
      access: ANYBODY,
      doc: { summary: 'Projects in which a user has a role', tag: TAG, ok: { status: 200, schema: ManyProjects } },
      handle: async (call) => {
        const projects = await users.listProjects(call.caller, userIdOf(call));
        const items = projects.map((project) => viewProject(project, `${call.origin}${ROOT}`));
        return viewIdentityList('projects', items, `${call.origin}${call.path}`);
      },
    },
    {
      method: 'POST',
      paths: [`${ROOT}/users/:user_id/password`],
      access: ANYBODY,
      doc: {
        summary: "Change one's own password",
        description: 'Ends all tokens of the user.',
        tag: TAG,
        body: ChangePasswordBody,
        ok: { status: 204 },
      },
      handle: async (call) => {
        const change = { ...checkChangePassword(call.body), address: call.request.ip };
        await users.changePassword(call.caller, userIdOf(call), change);
      },
    },
  ];
}

function projectRoutes({ directory: { projects } }: ApiDeps): TokenRoute[] {
  return [
    {
      method: 'GET',
      paths: [`${ROOT}/projects`],
      access: ANYBODY,
      doc: {
        summary: 'List the projects of the user; all for an admin',
        tag: TAG,
        query: FilterQuery,
        ok: { status: 200, schema: ManyProjects },
      },
      handle: async ({ caller, origin, path, query }) => {
        const filter = readDirectoryFilter(query);
        const found = filter === undefined ? [] : await projects.list(caller, filter);
        const items = found.map((project) => viewProject(project, `${origin}${ROOT}`));
        return viewIdentityList('projects', items, `${origin}${path}`);
      },
    },
    {
      method: 'GET',
      paths: [`${ROOT}/projects/:identity_project_id`],
      access: ANYBODY,
      doc: { summary: 'Show a project', tag: TAG, ok: { status: 200, schema: OneProject } },
      handle: async (call) => ({
        project: viewProject(await projects.get(call.caller, identityProjectIdOf(call)), `${call.origin}${ROOT}`),
      }),
    },
  ];
}

function projectAdminRoutes({ directory: { projects } }: ApiDeps): TokenRoute[] {
  return [
    {
      method: 'POST',
      paths: [`${ROOT}/projects`],
      access: ADMINS,
      doc: { summary: 'Make a project', tag: TAG, body: CreateProjectBody, ok: { status: 201, schema: OneProject } },
      handle: async ({ caller, origin, body }) => ({
        project: viewProject(await projects.create(caller, checkCreateProject(body)), `${origin}${ROOT}`),
      }),
    },
    {
      method: 'PATCH',
      paths: [`${ROOT}/projects/:identity_project_id`],
      access: ADMINS,
      doc: {
        summary: 'Change a project',
        description: 'Being disabled ends all tokens for it; its policies go on.',
        tag: TAG,
        body: UpdateProjectBody,
        ok: { status: 200, schema: OneProject },
      },
      handle: async (call) => {
        const input = checkUpdateProject(call.body);
        const project = await projects.update(call.caller, identityProjectIdOf(call), input);
        return { project: viewProject(project, `${call.origin}${ROOT}`) };
      },
    },
    {
      method: 'DELETE',
      paths: [`${ROOT}/projects/:identity_project_id`],
      access: ADMINS,
      doc: {
        summary: 'Remove a project',
        description: 'Refused while it has volumes, backups or jobs that have not ended.',
        tag: TAG,
        ok: { status: 204 },
      },
      handle: async (call) => projects.delete(call.caller, identityProjectIdOf(call)),
    },
  ];
}

function domainRoutes(): TokenRoute[] {
  const Domain = Type.Record(Type.String(), Type.Unknown());
  return [
    {
      method: 'GET',
      paths: [`${ROOT}/domains`],
      access: ANYBODY,
      doc: {
        summary: 'List domains: there is one',
        tag: TAG,
        query: Type.Object({ name: Type.Optional(Type.String()) }),
        ok: { status: 200, schema: Type.Object({ domains: Type.Array(Domain), links: ListLinks }) },
      },
      handle: ({ origin, path, query }) => {
        const name = queryText(query, 'name') ?? DEFAULT_DOMAIN.name;
        const isMeant = name.toLowerCase() === DEFAULT_DOMAIN.name.toLowerCase();
        return viewIdentityList('domains', isMeant ? [viewDomain(`${origin}${ROOT}`)] : [], `${origin}${path}`);
      },
    },
    {
      method: 'GET',
      paths: [`${ROOT}/domains/:domain_id`],
      access: ANYBODY,
      doc: { summary: 'Show a domain', tag: TAG, ok: { status: 200, schema: Type.Object({ domain: Domain }) } },
      handle: ({ origin, param }) => {
        const domainId = param('domain_id');
        if (domainId !== DEFAULT_DOMAIN.id) throw new VbsError('DOMAIN_NOT_FOUND', { domainId: domainId.slice(0, 64) });
        return { domain: viewDomain(`${origin}${ROOT}`) };
      },
    },
  ];
}
