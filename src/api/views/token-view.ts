// Token bodies and the catalog of endpoints (contract 1.7).
import { createHash } from 'node:crypto';
import type { ProjectId } from '../../core/ids.ts';
import type { TokenView } from '../../services/identity-types.ts';
import { formatIdentityTime } from './times.ts';

export type CatalogOptions = { readonly origin: string; readonly region: string };

/** `withCatalog` is false for `?nocatalog`; unscoped tokens never have one. */
export function viewToken(
  token: TokenView,
  options: CatalogOptions & { readonly withCatalog: boolean },
): Record<string, unknown> {
  const isScoped = token.project !== null || token.domain !== null;
  return {
    token: {
      methods: token.methods,
      audit_ids: token.auditIds,
      issued_at: formatIdentityTime(token.issuedAt),
      expires_at: formatIdentityTime(token.expiresAt),
      user: { ...token.user, password_expires_at: null },
      ...(token.project === null ? {} : { project: token.project, is_domain: false }),
      ...(token.domain === null ? {} : { domain: token.domain }),
      ...(isScoped ? { roles: token.roles } : {}),
      ...viewCredential(token),
      ...(isScoped && options.withCatalog ? { catalog: viewCatalog(token.project?.id ?? null, options) } : {}),
    },
  };
}

function viewCredential({ applicationCredential }: TokenView): Record<string, unknown> {
  if (applicationCredential === null) return {};
  const { id, name, isRestricted } = applicationCredential;
  return { application_credential: { id, name, restricted: isRestricted } };
}

/** Endpoints below a project need one in the token's scope; without it only identity is left. */
export function viewCatalog(
  projectId: ProjectId | null,
  { origin, region }: CatalogOptions,
): Record<string, unknown>[] {
  const entries: [type: string, name: string, url: string][] = [['identity', 'keystone', `${origin}/identity/v3`]];
  if (projectId !== null) {
    entries.push(
      ['volumev3', 'cinderv3', `${origin}/v3/${projectId}`],
      ['block-storage', 'cinder', `${origin}/v3/${projectId}`],
      ['volumev2', 'cinderv2', `${origin}/v2/${projectId}`],
      ['vbs', 'vbs', `${origin}/v2/${projectId}`],
      ['vbsv2', 'vbs', `${origin}/v2/${projectId}`],
      ['vbsv3', 'vbs', `${origin}/v3/${projectId}`],
      // `openstack volume create` asks for an image service before it does anything, though it never uses it.
      ['image', 'glance', `${origin}/image`],
    );
  }
  return entries.map(([type, name, url]) => ({
    id: stableId(region, type),
    type,
    name,
    // Exactly one endpoint for each interface: one Go SDK refuses two.
    endpoints: ['public', 'internal', 'admin'].map((face) => ({
      id: stableId(region, type, face),
      interface: face,
      region,
      region_id: region,
      url,
    })),
  }));
}

/** Catalog ids mean nothing, but clients may compare them between calls. */
function stableId(...parts: string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 32);
}
