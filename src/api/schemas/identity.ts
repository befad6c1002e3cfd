// Requests and answers of the identity API (contract 1.7).
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import type {
  ApplicationCredentialRef,
  AuthIdentity,
  AuthRequest,
  AuthScope,
  DomainRef,
  ProjectRef,
  UserRef,
} from '../../services/identity-types.ts';
import { nullable } from './common.ts';
import {
  invalidField,
  isJsonObject,
  isStorableText,
  type JsonObject,
  type ParsedBody,
  readKey,
  requireEnvelope,
} from './parse.ts';

const METHOD_COUNT_MAX = 10;
/** Longer texts are in nobody's catalog, and hashing them would only cost time. */
const TEXT_LENGTH_MAX = 4096;

const Ref = Type.Object({ id: Type.Optional(Type.String()), name: Type.Optional(Type.String()) });
const RefInDomain = Type.Object({
  id: Type.Optional(Type.String()),
  name: Type.Optional(Type.String()),
  domain: Type.Optional(Ref),
});

export const TokenRequest = Type.Object(
  {
    auth: Type.Object({
      identity: Type.Object({
        methods: Type.Array(Type.String(), { examples: [['password'], ['token'], ['application_credential']] }),
        password: Type.Optional(
          Type.Object({ user: Type.Object({ ...RefInDomain.properties, password: Type.String() }) }),
        ),
        token: Type.Optional(Type.Object({ id: Type.String() })),
        application_credential: Type.Optional(
          Type.Object({
            id: Type.Optional(Type.String()),
            name: Type.Optional(Type.String()),
            user: Type.Optional(RefInDomain),
            secret: Type.String(),
          }),
        ),
      }),
      scope: Type.Optional(Type.Object({ project: Type.Optional(RefInDomain), domain: Type.Optional(Ref) })),
    }),
  },
  {
    $id: 'TokenRequest',
    examples: [
      {
        auth: {
          identity: {
            methods: ['password'],
            password: { user: { name: 'admin', domain: { name: 'Default' }, password: 's3cret' } },
          },
          scope: { project: { name: 'admin', domain: { name: 'Default' } } },
        },
      },
    ],
  },
);

const NamedDomain = Type.Object({ id: Type.String(), name: Type.String() });

export const CatalogEntries = Type.Array(
  Type.Object({
    id: Type.String(),
    type: Type.String(),
    name: Type.String(),
    endpoints: Type.Array(
      Type.Object({
        id: Type.String(),
        interface: Type.String(),
        region: Type.String(),
        region_id: Type.String(),
        url: Type.String(),
      }),
    ),
  }),
  { $id: 'Catalog' },
);

export const TokenBody = Type.Object(
  {
    token: Type.Object({
      methods: Type.Array(Type.String()),
      audit_ids: Type.Array(Type.String()),
      issued_at: Type.String({ examples: ['2026-02-03T08:00:00.000000Z'] }),
      expires_at: Type.String(),
      user: Type.Object({
        id: Type.String(),
        name: Type.String(),
        domain: NamedDomain,
        password_expires_at: nullable(Type.String()),
      }),
      project: Type.Optional(Type.Object({ id: Type.String(), name: Type.String(), domain: NamedDomain })),
      is_domain: Type.Optional(Type.Boolean()),
      domain: Type.Optional(NamedDomain),
      roles: Type.Optional(Type.Array(Type.Object({ id: Type.String(), name: Type.String() }))),
      application_credential: Type.Optional(
        Type.Object({ id: Type.String(), name: Type.String(), restricted: Type.Boolean() }),
      ),
      catalog: Type.Optional(CatalogEntries),
    }),
  },
  { $id: 'Token' },
);

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID; CREDENTIALS_INVALID for scopes that nobody can have here */
export function checkTokenRequest(body: ParsedBody): AuthRequest {
  const auth = requireEnvelope(body, 'auth');
  const identity = requireObject(auth, 'identity', 'auth.identity');
  const methods = readKey(identity, 'methods');
  if (!Array.isArray(methods) || methods.length === 0 || methods.length > METHOD_COUNT_MAX) {
    throw invalidField('auth.identity.methods', 'it must be a list of methods');
  }
  const identities = methods.map((method) => checkMethod(method, identity));
  return { identities, scope: checkScope(readKey(auth, 'scope')) };
}

function checkMethod(method: unknown, identity: JsonObject): AuthIdentity {
  if (typeof method !== 'string') throw invalidField('auth.identity.methods', 'methods are strings');
  if (method === 'password') {
    const password = requireObject(identity, 'password', 'auth.identity.password');
    const user = requireObject(password, 'user', 'auth.identity.password.user');
    return {
      method: 'password',
      user: checkRefInDomain(user, 'user'),
      password: requireText(user, 'password', 'user.password'),
    };
  }
  if (method === 'token') {
    const token = requireObject(identity, 'token', 'auth.identity.token');
    return { method: 'token', tokenId: requireText(token, 'id', 'auth.identity.token.id') };
  }
  if (method === 'application_credential') {
    const where = 'auth.identity.application_credential';
    const credential = requireObject(identity, 'application_credential', where);
    return {
      method: 'application_credential',
      credential: checkCredentialRef(credential, where),
      secret: requireText(credential, 'secret', `${where}.secret`),
    };
  }
  return { method: 'other', name: method.slice(0, 64) };
}

function checkCredentialRef(object: JsonObject, field: string): ApplicationCredentialRef {
  const id = readKey(object, 'id');
  if (id !== undefined && id !== null) return { id: requireText(object, 'id', `${field}.id`) };
  const name = requireText(object, 'name', `${field}.name`);
  return { name, user: checkRefInDomain(requireObject(object, 'user', `${field}.user`), `${field}.user`) };
}

function checkScope(scope: unknown): AuthScope {
  if (scope === undefined || scope === null || scope === 'unscoped') return { kind: 'unscoped' };
  if (!isJsonObject(scope)) throw invalidField('auth.scope', 'it must be an object or "unscoped"');
  if (readKey(scope, 'project') !== undefined) {
    const project = requireObject(scope, 'project', 'auth.scope.project');
    return { kind: 'project', project: checkRefInDomain(project, 'project') };
  }
  if (readKey(scope, 'domain') !== undefined) {
    return { kind: 'domain', domain: checkDomainRef(requireObject(scope, 'domain', 'auth.scope.domain'), 'domain') };
  }
  if (Object.keys(scope).length === 0 || Object.hasOwn(scope, 'unscoped')) return { kind: 'unscoped' };
  // System scope and trusts: a target where nobody has a role.
  throw new VbsError('CREDENTIALS_INVALID');
}

function checkRefInDomain(object: JsonObject, field: string): UserRef & ProjectRef {
  const id = readKey(object, 'id');
  if (id !== undefined && id !== null) return { id: requireText(object, 'id', `${field}.id`) };
  const name = requireText(object, 'name', `${field}.name`);
  return { name, domain: checkDomainRef(requireObject(object, 'domain', `${field}.domain`), `${field}.domain`) };
}

function checkDomainRef(object: JsonObject, field: string): DomainRef {
  const id = readKey(object, 'id');
  if (id !== undefined && id !== null) return { id: requireText(object, 'id', `${field}.id`) };
  return { name: requireText(object, 'name', `${field}.name`) };
}

function requireObject(object: JsonObject, key: string, field: string): JsonObject {
  const value = readKey(object, key);
  if (!isJsonObject(value)) throw invalidField(field, 'it must be an object');
  return value;
}

function requireText(object: JsonObject, key: string, field: string): string {
  const value = readKey(object, key);
  if (typeof value !== 'string' || value.length > TEXT_LENGTH_MAX || !isStorableText(value)) {
    throw invalidField(field, 'it must be a string');
  }
  return value;
}
