// Random requests for every route: made from its documentation, with at most one thing wrong (a part of the body or of
// the query, an id in the path, a header, the bytes of the body).
import fc from 'fast-check';
import { REQUEST_BODY_MAX_BYTES } from '../../src/core/limits.ts';
import type { ListedRoute } from './route-list.ts';
import { anyReference, anyValueOf, oneMutation, referenceOf, type Schema, STRANGE_TEXTS } from './schema-arbitrary.ts';

export type ActorName = 'admin' | 'member' | 'reader' | 'stranger';

/** References (`@volume:3`, see schema-arbitrary.ts) still stand for ids. */
export type FuzzRequest = {
  readonly route: ListedRoute;
  readonly actor: ActorName;
  readonly params: Readonly<Record<string, string>>;
  readonly query: readonly (readonly [name: string, value: string])[];
  /** Percent-encoded already; appended to the query as it is. */
  readonly rawQuery: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
  /** Sent instead of the body. */
  readonly bytes: Buffer | undefined;
};

const STRANGE_SEGMENTS: readonly string[] = [
  ...['', '%00', '%2F..%2F', '%ZZ', '%ff%fe', '%2e%2e%2f', 'null', 'undefined', '-1', '0', 'detail', 'count', 'tags'],
  ...['x'.repeat(3000), 'x'.repeat(4000), '%F0%9F%98%80', 'a%20b', "'", '%22', ':', '*', '__proto__', 'constructor'],
  ...['3b6d0c52-8f0e-4a53-9d57-2f6f0f3a1c11', '3B6D0C52-8F0E-4A53-9D57-2F6F0F3A1C11', '0'.repeat(32), 'F'.repeat(32)],
];

const STRANGE_QUERIES: readonly string[] = [
  ...['limit=-1', 'limit=0', 'limit=99999999999999999999', 'limit=', 'limit=1&limit=2', 'limit=%00', 'offset=1e9'],
  ...['offset=-1', 'offset=9007199254740993', 'marker=x', 'marker=%ff', 'sort=xx:yy', 'sort=name:asc,name:desc'],
  ...['sort=%F0%9F%98%80', 'sort_key=password_hash', 'sort_dir=up', 'created_at=gt:x', 'created_at=gt:2026-01-01,x'],
  ...['updated_at=lt:%2B275760-09-13', 'a[b]=c', '&&&==&=', '%ZZ=%ZZ', '__proto__=x', 'metadata={', 'metadata=%7B%7D'],
  ...[
    "metadata={'a':'b'}",
    'name~=%25',
    'name~=%5C',
    'status~=%00',
    'with_count=maybe',
    'all_tenants=2',
    '?',
    'size=x',
  ],
  ...['metadata=%7B%22a%22%3A%5B%5D%7D', `name=${'x'.repeat(4000)}`, `name~=${'%25'.repeat(1000)}`, 'progress=\u00e9'],
];

const STRANGE_HEADERS: readonly (readonly [name: string, value: string])[] = [
  ...['', 'x', 'a.b.c', 'x'.repeat(8000), '0'.repeat(32), 'deadbeef.e30.AAAA'].map(named('x-auth-token')),
  ...['', 'x', 'deadbeef.e30.AAAA', 'x'.repeat(3000)].map(named('x-subject-token')),
  ...['volume', 'volume 3', 'volume 3.72', 'volume 4.0', 'volume -3.1', 'volume 3.1.1', 'compute 2.1', ',', ''].map(
    named('openstack-api-version'),
  ),
  ...['volume latest', 'volume 3.0, volume 3.71', 'volume 3.99999999999', `volume ${'3'.repeat(5000)}`].map(
    named('openstack-api-version'),
  ),
  ...['text/html', 'application/json;q=0', ';;,,', '*/*;q=0', 'application/*'].map(named('accept')),
  ...['text/plain', 'application/xml', 'application/json; charset=latin1', 'multipart/form-data', ';'].map(
    named('content-type'),
  ),
  ...['bytes=5-1', 'bytes=-0', 'bytes=0-0', 'bytes=99999999999999999999-', 'bytes=0-1,3-4', 'x', 'bytes=-1'].map(
    named('range'),
  ),
  ...['evil" x="', 'a b', '[::1', ''].map(named('host')),
];

function named(name: string): (value: string) => readonly [string, string] {
  return (value) => [name, value];
}

const STRANGE_BYTES: readonly Buffer[] = [
  ...['{', 'nul', 'null', '[]', '""', '1', '{}', '{"a":1}{', '\ufeff{}', '{"a":1,"a":2}', "{'a':1}", '{"a":1e999}'],
  ...['['.repeat(50_000) + ']'.repeat(50_000), '['.repeat(100_000), `${'{"a":'.repeat(15_000)}1${'}'.repeat(15_000)}`],
  ...[' '.repeat(REQUEST_BODY_MAX_BYTES), ' '.repeat(REQUEST_BODY_MAX_BYTES + 1)],
  ...[`"${'x'.repeat(REQUEST_BODY_MAX_BYTES - 2)}"`, `{"a":${' '.repeat(REQUEST_BODY_MAX_BYTES)}1}`],
].map((text) => Buffer.from(text));
const BROKEN_UTF8 = Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]);

/** Requests that a client could mean, and such with one thing wrong. */
export function requestsOf(route: ListedRoute): fc.Arbitrary<FuzzRequest> {
  return plainRequest(route).chain((request) => {
    const { body, params } = request;
    const choices: fc.Arbitrary<Partial<FuzzRequest>>[] = [
      fc.constant({}),
      fc.constantFrom(...STRANGE_HEADERS).map(([name, value]) => ({ headers: { ...request.headers, [name]: value } })),
      fc.constantFrom(...STRANGE_QUERIES).map((rawQuery) => ({ rawQuery })),
      strangeQuery(request),
    ];
    if (route.method !== 'GET' && route.method !== 'HEAD') {
      choices.push(fc.constantFrom(...STRANGE_BYTES, BROKEN_UTF8).map((bytes) => ({ bytes })));
      const mutated = oneMutation(body ?? { anything: {} }).map((changed) => ({ body: changed }));
      choices.push(...(body === undefined ? [mutated] : [mutated, mutated, mutated, mutated, mutated]));
    }
    const names = Object.keys(params);
    if (names.length > 0) {
      const param = fc.tuple(fc.constantFrom(...names), fc.constantFrom(...STRANGE_SEGMENTS));
      choices.push(param.map(([name, segment]) => ({ params: { ...params, [name]: segment } })));
    }
    return fc.oneof(...choices).map((change) => ({ ...request, ...change }));
  });
}

function plainRequest(route: ListedRoute): fc.Arbitrary<FuzzRequest> {
  const { method, path, access, doc } = route;
  const names = [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => name);
  const isAdminOnly = access.kind !== 'public' && access.role === 'admin';
  const actors: readonly ActorName[] = isAdminOnly
    ? ['admin', 'admin', 'admin', 'admin', 'admin', 'member']
    : ['member', 'member', 'member', 'member', 'admin', 'admin', 'reader', 'stranger'];
  const version = fc
    .oneof(fc.constant(71), fc.nat(71))
    .map((minor) => ({ 'openstack-api-version': `volume 3.${minor}` }));
  // The cast: schemas of TypeBox are JSON Schema.
  const bodySchema = doc.body as Schema | undefined;
  return fc.record(
    {
      route: fc.constant(route),
      actor: fc.constantFrom(...actors),
      params: fc.record(Object.fromEntries(names.map((name) => [name, paramOf(name)])), { noNullPrototype: true }),
      query: queryOf(doc.query as Schema | undefined),
      rawQuery: fc.constant(''),
      headers: path.startsWith('/v3') ? version : subjectHeader(path, method),
      body: bodySchema === undefined ? fc.constant(undefined) : anyValueOf(bodySchema),
      bytes: fc.constant(undefined),
    },
    { noNullPrototype: true },
  );
}

function subjectHeader(path: string, method: string): fc.Arbitrary<Record<string, string>> {
  const hasSubject = path.endsWith('/auth/tokens') && method !== 'POST';
  return fc.constantFrom(hasSubject ? { 'x-subject-token': '@token:0' } : {});
}

function paramOf(name: string): fc.Arbitrary<string> {
  if (name === 'project_id') return fc.constant('@own-project:0');
  const reference = referenceOf(name);
  if (reference === undefined) return fc.constantFrom('default', 'backups', 'SchedulerHints', 'x');
  return anyReference(reference);
}

function queryOf(schema: Schema | undefined): fc.Arbitrary<[string, string][]> {
  const properties = Object.entries((schema?.properties ?? {}) as Record<string, Schema>);
  if (properties.length === 0) return fc.constant([]);
  const pairs = properties.map(([name, value]) =>
    anyValueOf(value, name).map((drawn): [string, string] => [
      name,
      typeof drawn === 'string' ? drawn : JSON.stringify(drawn),
    ]),
  );
  return fc.array(fc.oneof(...pairs), { maxLength: 3 });
}

/** A documented name with a value that is none. */
function strangeQuery({ route }: FuzzRequest): fc.Arbitrary<Partial<FuzzRequest>> {
  const names = Object.keys((route.doc.query as Schema | undefined)?.properties ?? { limit: 0 });
  const pair = fc.tuple(fc.constantFrom('limit', ...names), fc.constantFrom(...STRANGE_TEXTS));
  return pair.map((strange) => ({ query: [strange] }));
}
