// Who has which role where, application credentials, and the keys that sign tokens.
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { type ApplicationCredentialId, parseHexId } from '../../core/ids.ts';
import type { RoleGrantRef } from '../../services/role-service.ts';
import type { ApiDeps, TokenCall, TokenRoute } from '../route.ts';
import {
  ApplicationCredentialBody,
  CreateApplicationCredentialBody,
  checkCreateApplicationCredential,
  checkRotateTokenKey,
  ListLinks,
  RoleAssignmentBody,
  RoleBody,
  RotateTokenKeyBody,
  readGrantFilter,
  TokenKeyBody,
} from '../schemas/directory.ts';
import { queryText } from '../schemas/list-query.ts';
import {
  viewApplicationCredential,
  viewIdentityList,
  viewRole,
  viewRoleGrant,
  viewTokenKey,
} from '../views/directory-view.ts';
import { identityProjectIdOf, userIdOf } from './identity-directory.ts';

const TAG = 'identity';
const ROOT = '/identity/v3';
const ANYBODY = { kind: 'token', role: 'none' } as const;
const ADMINS = { kind: 'token', role: 'admin' } as const;
const ManyRoles = Type.Object({ roles: Type.Array(RoleBody), links: ListLinks });

export function accessRoutes(deps: ApiDeps): TokenRoute[] {
  return [
    ...roleRoutes(deps),
    ...fixedRoleRoutes(),
    ...grantRoutes(deps),
    ...grantListRoutes(deps),
    ...credentialRoutes(deps),
    ...tokenKeyRoutes(deps),
  ];
}

function roleRoutes({ directory: { roles } }: ApiDeps): TokenRoute[] {
  return [
    {
      method: 'GET',
      paths: [`${ROOT}/roles`],
      access: ANYBODY,
      doc: {
        summary: 'List roles',
        tag: TAG,
        query: Type.Object({ name: Type.Optional(Type.String()) }),
        ok: { status: 200, schema: ManyRoles },
      },
      handle: ({ origin, path, query }) => {
        const name = queryText(query, 'name');
        // Roles of a domain of its own: there are none.
        const isGlobal = queryText(query, 'domain_id') === undefined;
        const found = roles.listRoles().filter((role) => isGlobal && role.name === (name ?? role.name));
        const items = found.map((role) => viewRole(role, `${origin}${ROOT}`));
        return viewIdentityList('roles', items, `${origin}${path}`);
      },
    },
    {
      method: 'GET',
      paths: [`${ROOT}/roles/:role_id`],
      access: ANYBODY,
      doc: { summary: 'Show a role', tag: TAG, ok: { status: 200, schema: Type.Object({ role: RoleBody }) } },
      handle: ({ origin, param }) => ({ role: viewRole(roles.getRole(param('role_id')), `${origin}${ROOT}`) }),
    },
  ];
}

/** Refused with the reason, which 405 would not tell. */
function fixedRoleRoutes(): TokenRoute[] {
  const refuse = (): never => {
    throw new VbsError('ROLES_FIXED');
  };
  const doc = (summary: string) => ({ summary, description: 'Always refused.', tag: TAG, ok: { status: 204 } });
  const shared = { access: ADMINS, handle: refuse };
  return [
    { method: 'POST', paths: [`${ROOT}/roles`], ...shared, doc: doc('Make a role') },
    { method: 'PATCH', paths: [`${ROOT}/roles/:role_id`], ...shared, doc: doc('Change a role') },
    { method: 'DELETE', paths: [`${ROOT}/roles/:role_id`], ...shared, doc: doc('Remove a role') },
  ];
}

function grantRoutes({ directory: { roles } }: ApiDeps): TokenRoute[] {
  const paths = [`${ROOT}/projects/:identity_project_id/users/:user_id/roles/:role_id`];
  const grantOf = (call: TokenCall): RoleGrantRef => ({
    projectId: identityProjectIdOf(call),
    userId: userIdOf(call),
    role: roles.getRole(call.param('role_id')).name,
  });
  const shared = { paths, access: ADMINS };
  const doc = (summary: string, description?: string) => ({
    ...{ summary, tag: TAG, ok: { status: 204 } },
    ...(description === undefined ? {} : { description }),
  });
  return [
    {
      ...shared,
      method: 'PUT',
      doc: doc('Give a user a role in a project'),
      handle: async (call) => roles.grant(call.caller, grantOf(call)),
    },
    {
      ...shared,
      method: 'HEAD',
      doc: doc('Whether a user has a role in a project'),
      handle: async (call) => roles.requireGrant(call.caller, grantOf(call)),
    },
    {
      ...shared,
      method: 'DELETE',
      doc: doc('Take a role away', 'At once, also from tokens; application credentials that pass it on are deleted.'),
      handle: async (call) => roles.revoke(call.caller, grantOf(call)),
    },
  ];
}

function grantListRoutes({ directory: { roles } }: ApiDeps): TokenRoute[] {
  return [
    {
      method: 'GET',
      paths: [`${ROOT}/projects/:identity_project_id/users/:user_id/roles`],
      access: ADMINS,
      doc: { summary: 'Roles of a user in a project', tag: TAG, ok: { status: 200, schema: ManyRoles } },
      handle: async (call) => {
        const found = await roles.listGranted(call.caller, userIdOf(call), identityProjectIdOf(call));
        const items = found.map((role) => viewRole(role, `${call.origin}${ROOT}`));
        return viewIdentityList('roles', items, `${call.origin}${call.path}`);
      },
    },
    {
      method: 'GET',
      paths: [`${ROOT}/role_assignments`],
      access: ADMINS,
      doc: {
        summary: 'Who has which role where',
        tag: TAG,
        query: Type.Object({
          'user.id': Type.Optional(Type.String()),
          'scope.project.id': Type.Optional(Type.String()),
          'role.id': Type.Optional(Type.String()),
          include_names: Type.Optional(Type.String({ description: 'Present, and not false: with names' })),
        }),
        ok: {
          status: 200,
          schema: Type.Object({ role_assignments: Type.Array(RoleAssignmentBody), links: ListLinks }),
        },
      },
      handle: async ({ caller, origin, path, query }) => {
        const filter = readGrantFilter(query, roles.listRoles());
        const found = filter === undefined ? [] : await roles.listGrants(caller, filter);
        const asked = queryText(query, 'include_names')?.toLowerCase();
        const withNames = asked !== undefined && asked !== 'false' && asked !== '0';
        const items = found.map((grant) => viewRoleGrant(grant, { identityUrl: `${origin}${ROOT}`, withNames }));
        return viewIdentityList('role_assignments', items, `${origin}${path}`);
      },
    },
  ];
}

function credentialIdOf({ param }: TokenCall): ApplicationCredentialId {
  const text = param('application_credential_id');
  const credentialId = parseHexId<ApplicationCredentialId>(text);
  if (credentialId !== undefined) return credentialId;
  throw new VbsError('APPLICATION_CREDENTIAL_NOT_FOUND', { credentialId: text.slice(0, 64) });
}

function credentialRoutes({ directory: { applicationCredentials, roles } }: ApiDeps): TokenRoute[] {
  const many = [`${ROOT}/users/:user_id/application_credentials`];
  const one = [`${ROOT}/users/:user_id/application_credentials/:application_credential_id`];
  const One = Type.Object({ application_credential: ApplicationCredentialBody });
  return [
    {
      method: 'POST',
      paths: many,
      access: ANYBODY,
      doc: {
        summary: 'Make an application credential for the project of the token',
        description: 'The answer is the only place where the secret is shown.',
        tag: TAG,
        body: CreateApplicationCredentialBody,
        ok: { status: 201, schema: One },
      },
      handle: async (call) => {
        const input = checkCreateApplicationCredential(call.body, roles.listRoles());
        const { credential, secret } = await applicationCredentials.create(call.caller, userIdOf(call), input);
        return { application_credential: viewApplicationCredential(credential, `${call.origin}${ROOT}`, secret) };
      },
    },
    {
      method: 'GET',
      paths: many,
      access: ANYBODY,
      doc: {
        summary: 'List application credentials',
        tag: TAG,
        query: Type.Object({ name: Type.Optional(Type.String()) }),
        ok: {
          status: 200,
          schema: Type.Object({ application_credentials: Type.Array(ApplicationCredentialBody), links: ListLinks }),
        },
      },
      handle: async (call) => {
        const filter = { name: queryText(call.query, 'name') };
        const found = await applicationCredentials.list(call.caller, userIdOf(call), filter);
        const items = found.map((credential) => viewApplicationCredential(credential, `${call.origin}${ROOT}`));
        return viewIdentityList('application_credentials', items, `${call.origin}${call.path}`);
      },
    },
    {
      method: 'GET',
      paths: one,
      access: ANYBODY,
      doc: { summary: 'Show an application credential', tag: TAG, ok: { status: 200, schema: One } },
      handle: async (call) => {
        const credential = await applicationCredentials.get(call.caller, userIdOf(call), credentialIdOf(call));
        return { application_credential: viewApplicationCredential(credential, `${call.origin}${ROOT}`) };
      },
    },
    {
      method: 'DELETE',
      paths: one,
      access: ANYBODY,
      doc: {
        summary: 'Remove an application credential',
        description: 'Its tokens end with it.',
        tag: TAG,
        ok: { status: 204 },
      },
      handle: async (call) => applicationCredentials.delete(call.caller, userIdOf(call), credentialIdOf(call)),
    },
  ];
}

function tokenKeyRoutes({ directory: { tokenKeys } }: ApiDeps): TokenRoute[] {
  const paths = [`${ROOT}/token_keys`];
  return [
    {
      method: 'GET',
      paths,
      access: ADMINS,
      doc: {
        summary: 'List the keys that tokens are signed with',
        tag: TAG,
        ok: { status: 200, schema: Type.Object({ token_keys: Type.Array(TokenKeyBody), links: ListLinks }) },
      },
      handle: async ({ caller, origin, path }) =>
        viewIdentityList('token_keys', (await tokenKeys.list(caller)).map(viewTokenKey), `${origin}${path}`),
    },
    {
      method: 'POST',
      paths,
      access: ADMINS,
      doc: {
        summary: 'Sign tokens with a new key from now on',
        description: 'Old keys are honoured while tokens of theirs live, unless all tokens are to end.',
        tag: TAG,
        body: RotateTokenKeyBody,
        ok: { status: 201, schema: Type.Object({ token_key: TokenKeyBody }) },
      },
      handle: async ({ caller, body }) => ({
        token_key: viewTokenKey(await tokenKeys.rotate(caller, checkRotateTokenKey(body))),
      }),
    },
  ];
}
