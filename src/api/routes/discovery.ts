// Version discovery, without a token (contract 1.9).
import { Type } from 'typebox';
import type { ApiDeps, PublicRoute } from '../route.ts';
import { viewIdentityVersion, viewImageVersion, viewVersions } from '../views/version-view.ts';

const TAG = 'discovery';
const Versions = Type.Object({ versions: Type.Array(Type.Record(Type.String(), Type.Unknown())) });
const access = { kind: 'public' } as const;

export function discoveryRoutes({ externalIdentityUrl }: Pick<ApiDeps, 'externalIdentityUrl'>): PublicRoute[] {
  const identityUrl = (origin: string): string => externalIdentityUrl ?? `${origin}/identity/v3`;
  const document = (name: 'v1' | 'v2' | 'v3'): PublicRoute => ({
    method: 'GET',
    paths: [`/${name}`, `/${name}/`],
    access,
    doc: { summary: `Version document of ${name}`, tag: TAG, ok: { status: 200, schema: Versions } },
    handle: ({ origin }) => viewVersions(name, origin),
  });
  return [
    {
      method: 'GET',
      paths: ['/'],
      access,
      doc: { summary: 'Versions of the API', tag: TAG, ok: { status: 300, schema: Versions } },
      handle: ({ origin }) => viewVersions('root', origin),
    },
    document('v1'),
    document('v2'),
    document('v3'),
    {
      method: 'GET',
      paths: ['/identity', '/identity/'],
      access,
      doc: {
        summary: 'Versions of the identity API',
        tag: TAG,
        ok: { status: 300, schema: Type.Object({ versions: Type.Object({ values: Type.Array(Type.Unknown()) }) }) },
      },
      handle: ({ origin }) => ({ versions: { values: [viewIdentityVersion(identityUrl(origin))] } }),
    },
    {
      method: 'GET',
      paths: ['/identity/v3', '/identity/v3/'],
      access,
      doc: {
        summary: 'Version document of the identity API',
        tag: TAG,
        ok: { status: 200, schema: Type.Object({ version: Type.Unknown() }) },
      },
      handle: ({ origin }) => ({ version: viewIdentityVersion(identityUrl(origin)) }),
    },
    {
      method: 'GET',
      paths: ['/image', '/image/'],
      access,
      doc: {
        summary: 'Versions of an image service that is not there',
        description: 'A courtesy to clients that look for one before they create a volume; no other path of it exists.',
        tag: TAG,
        ok: { status: 300, schema: Type.Object({ versions: Type.Array(Type.Unknown()) }) },
      },
      handle: ({ origin }) => ({ versions: [viewImageVersion(origin)] }),
    },
  ];
}
