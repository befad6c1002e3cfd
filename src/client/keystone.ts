// Keystone v3 as a client sees it (contract 1.7): password in, token, project and service address out.
import { ANSWER_INVALID, ClientError } from './client-error.ts';
import { requestJson } from './http.ts';
import { type JsonObject, objectAt, objectsAt, textOf } from './json.ts';

export type PasswordLogin = {
  readonly user: string;
  readonly userDomain: string;
  readonly password: string;
  readonly project: string;
  readonly projectDomain: string;
};

export type Session = {
  readonly token: string;
  /** ISO 8601, UTC. */
  readonly expiresAt: string;
  /** Undefined for a saved login of an older version. */
  readonly userId?: string | undefined;
  readonly userName: string;
  readonly projectId: string;
  readonly projectName: string;
  /** Origin of the volume service from the catalog; undefined when the catalog names none. */
  readonly catalogOrigin: string | undefined;
};

/** @throws ClientError status 401 when the credentials are wrong */
export async function logIn(
  authUrl: string,
  login: PasswordLogin,
  options: { readonly region?: string | undefined; readonly signal?: AbortSignal | undefined },
): Promise<Session> {
  const { user, userDomain, password, project, projectDomain } = login;
  const identity = {
    methods: ['password'],
    password: { user: { name: user, domain: namedDomain(userDomain), password } },
  };
  const scope = { project: { name: project, domain: namedDomain(projectDomain) } };
  const url = `${identityBase(authUrl)}/auth/tokens`;
  const { status, headers, body } = await requestJson({
    method: 'POST',
    url,
    body: { auth: { identity, scope } },
    signal: options.signal,
  });
  const token = headers.get('x-subject-token');
  const view = objectAt(body, 'token');
  const projectId = textOf(objectAt(view, 'project').id);
  if (token === null || projectId === undefined) {
    throw new ClientError(`${url} did not issue a token`, { status, code: ANSWER_INVALID });
  }
  return {
    token,
    expiresAt: textOf(view.expires_at) ?? '',
    userId: textOf(objectAt(view, 'user').id),
    userName: textOf(objectAt(view, 'user').name) ?? user,
    projectId,
    projectName: textOf(objectAt(view, 'project').name) ?? project,
    catalogOrigin: findVolumeOrigin(view, options.region),
  };
}

/** Ends the life of `token`. A token that is already unknown is fine. */
export async function revokeToken(authUrl: string, token: string, signal?: AbortSignal): Promise<void> {
  const url = `${identityBase(authUrl)}/auth/tokens`;
  const headers = { 'x-auth-token': token, 'x-subject-token': token };
  try {
    await requestJson({ method: 'DELETE', url, headers, signal });
  } catch (error) {
    if (error instanceof ClientError && (error.status === 401 || error.status === 404)) return;
    throw error;
  }
}

/** OpenStack clients are given `http://host/identity`, `http://host/identity/v3` or `http://host:5000/v3`. */
export function identityBase(authUrl: string): string {
  const bare = authUrl.replace(/\/+$/, '');
  return bare.endsWith('/v3') ? bare : `${bare}/v3`;
}

/** Domain ids are `default` or 32 hex digits; anything else is a name. */
function namedDomain(domain: string): { id: string } | { name: string } {
  return domain === 'default' || /^[0-9a-f]{32}$/.test(domain) ? { id: domain } : { name: domain };
}

function findVolumeOrigin(token: JsonObject, region: string | undefined): string | undefined {
  for (const service of objectsAt(token, 'catalog')) {
    if (service.type !== 'block-storage' && service.type !== 'volumev3') continue;
    for (const endpoint of objectsAt(service, 'endpoints')) {
      const url = textOf(endpoint.url);
      const isWanted = endpoint.interface === 'public' && (region === undefined || endpoint.region === region);
      if (isWanted && url !== undefined && URL.canParse(url)) return new URL(url).origin;
    }
  }
  return undefined;
}
