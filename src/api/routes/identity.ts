// Tokens, Keystone v3 as the clients use it (contract 1.7): below /identity/v3/auth, and /v3/auth as its alias.
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import type { TokenView } from '../../services/identity-types.ts';
import type { ApiDeps, Call, PublicRoute, Route, TokenCall, TokenRoute } from '../route.ts';
import { ListLinks, ProjectBody } from '../schemas/directory.ts';
import { CatalogEntries, checkTokenRequest, TokenBody, TokenRequest } from '../schemas/identity.ts';
import { queryText } from '../schemas/list-query.ts';
import { viewDomain, viewIdentityList, viewProject } from '../views/directory-view.ts';
import { viewCatalog, viewToken } from '../views/token-view.ts';

const TAG = 'identity';
const SubjectHeader = Type.Object({ 'x-subject-token': Type.String({ description: 'The token that is asked about' }) });

function authPaths(tail: string): string[] {
  return [`/identity/v3/auth${tail}`, `/v3/auth${tail}`];
}

export function identityRoutes(deps: ApiDeps): Route[] {
  return [issueRoute(deps), ...tokenRoutes(deps), ...scopeRoutes(deps)];
}

function sendToken(call: Call, deps: ApiDeps, tokenId: string, token: TokenView): Record<string, unknown> {
  call.reply.header('X-Subject-Token', tokenId).header('Vary', 'X-Auth-Token');
  const withCatalog = queryText(call.query, 'nocatalog') === undefined;
  return viewToken(token, { origin: call.origin, region: deps.region, withCatalog });
}

function issueRoute(deps: ApiDeps): PublicRoute {
  return {
    method: 'POST',
    paths: authPaths('/tokens'),
    access: { kind: 'public' },
    doc: {
      summary: 'Issue a token',
      description: 'The token is in the header X-Subject-Token of the answer.',
      tag: TAG,
      query: Type.Object({ nocatalog: Type.Optional(Type.String({ description: 'Present: without catalog' })) }),
      body: TokenRequest,
      ok: { status: 201, schema: TokenBody },
    },
    handle: async (call) => {
      const { tokenId, token } = await deps.identity.issueToken(checkTokenRequest(call.body), call.request.ip);
      return sendToken(call, deps, tokenId, token);
    },
  };
}

/** @throws SUBJECT_TOKEN_NOT_FOUND */
function subjectOf({ request }: TokenCall): string {
  const subject = request.headers['x-subject-token'];
  if (typeof subject !== 'string' || subject.trim() === '') throw new VbsError('SUBJECT_TOKEN_NOT_FOUND');
  return subject.trim();
}

function tokenRoutes(deps: ApiDeps): TokenRoute[] {
  const { identity } = deps;
  const access = { kind: 'token', role: 'none' } as const;
  return [
    {
      method: 'GET',
      paths: authPaths('/tokens'),
      access,
      doc: { summary: 'Validate a token', tag: TAG, headers: SubjectHeader, ok: { status: 200, schema: TokenBody } },
      handle: async (call) => {
        const subject = subjectOf(call);
        return sendToken(call, deps, subject, await identity.describeToken(call.caller, subject));
      },
    },
    {
      method: 'HEAD',
      paths: authPaths('/tokens'),
      access,
      doc: { summary: 'Validate a token, without body', tag: TAG, headers: SubjectHeader, ok: { status: 200 } },
      handle: async (call) => {
        const subject = subjectOf(call);
        await identity.describeToken(call.caller, subject);
        call.reply.header('X-Subject-Token', subject).header('Vary', 'X-Auth-Token');
      },
    },
    {
      method: 'DELETE',
      paths: authPaths('/tokens'),
      access,
      doc: { summary: 'Revoke a token', tag: TAG, headers: SubjectHeader, ok: { status: 204 } },
      handle: async (call) => identity.revokeToken(call.caller, subjectOf(call)),
    },
  ];
}

function scopeRoutes({ directory, region }: ApiDeps): TokenRoute[] {
  const access = { kind: 'token', role: 'none' } as const;
  return [
    {
      method: 'GET',
      paths: authPaths('/catalog'),
      access,
      doc: {
        summary: 'Endpoints for the token',
        tag: TAG,
        ok: { status: 200, schema: Type.Object({ catalog: CatalogEntries, links: ListLinks }) },
      },
      handle: ({ caller, origin, path }) =>
        viewIdentityList('catalog', viewCatalog(caller.projectId, { origin, region }), `${origin}${path}`),
    },
    {
      method: 'GET',
      paths: authPaths('/projects'),
      access,
      doc: {
        summary: 'Projects that a token of the caller may be scoped to',
        tag: TAG,
        query: Type.Object({ name: Type.Optional(Type.String()) }),
        ok: { status: 200, schema: Type.Object({ projects: Type.Array(ProjectBody), links: ListLinks }) },
      },
      handle: async ({ caller, origin, path, query }) => {
        const name = queryText(query, 'name');
        const projects = await directory.projects.listOwn(caller);
        const shown = projects.filter((project) => (name ?? project.name) === project.name);
        const items = shown.map((project) => viewProject(project, `${origin}/identity/v3`));
        return viewIdentityList('projects', items, `${origin}${path}`);
      },
    },
    {
      method: 'GET',
      paths: authPaths('/domains'),
      access,
      doc: {
        summary: 'Domains that a token of the caller may be scoped to',
        tag: TAG,
        ok: { status: 200, schema: Type.Object({ domains: Type.Array(Type.Unknown()), links: ListLinks }) },
      },
      handle: async ({ caller, origin, path }) => {
        const hasRole = (await directory.projects.listOwn(caller)).length > 0;
        const domains = hasRole ? [viewDomain(`${origin}/identity/v3`)] : [];
        return viewIdentityList('domains', domains, `${origin}${path}`);
      },
    },
  ];
}
