// Documents of version discovery (contract 1.9).
import { formatMicroversion, MICROVERSION_MAX, MICROVERSION_MIN } from '../plugins/microversion.ts';

const UPDATED = '2026-01-01T00:00:00Z';

type VersionEntry = { id: string; status: string; version: string; minVersion: string; path: string; media: string };

const V1: VersionEntry = { id: 'v1', status: 'CURRENT', version: '', minVersion: '', path: 'v1', media: '1' };
const V2: VersionEntry = { id: 'v2.0', status: 'DEPRECATED', version: '', minVersion: '', path: 'v2', media: '2' };
const V3: VersionEntry = {
  id: 'v3.0',
  status: 'CURRENT',
  version: formatMicroversion(MICROVERSION_MAX),
  minVersion: formatMicroversion(MICROVERSION_MIN),
  path: 'v3',
  media: '3',
};

const DOCUMENTS = { root: [V2, V3], v1: [V1], v2: [V2], v3: [V3] } as const;

export function viewVersions(document: keyof typeof DOCUMENTS, origin: string): Record<string, unknown> {
  return { versions: DOCUMENTS[document].map((entry) => viewVersion(entry, origin)) };
}

function viewVersion(entry: VersionEntry, origin: string): Record<string, unknown> {
  return {
    id: entry.id,
    status: entry.status,
    version: entry.version,
    min_version: entry.minVersion,
    updated: UPDATED,
    links: [
      { rel: 'describedby', type: 'application/json', href: `${origin}/openapi.json` },
      { rel: 'self', href: `${origin}/${entry.path}/` },
    ],
    'media-types': [{ base: 'application/json', type: `application/vnd.openstack.volume+json;version=${entry.media}` }],
  };
}

/** `url` ends in /v3. */
export function viewIdentityVersion(url: string): Record<string, unknown> {
  return {
    id: 'v3.14',
    status: 'stable',
    updated: UPDATED,
    links: [{ rel: 'self', href: `${url}/` }],
    'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
  };
}

/** All that clients read of an image service before they do without it. */
export function viewImageVersion(origin: string): Record<string, unknown> {
  return { id: 'v2.9', status: 'CURRENT', links: [{ rel: 'self', href: `${origin}/image/v2/` }] };
}
