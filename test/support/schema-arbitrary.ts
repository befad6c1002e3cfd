// Random values for the JSON schemas of routes, and one thing wrong with them. Strings that begin with `@` stand for
// ids of what exists: whoever sends the value puts them in (see `Reference`).
import fc from 'fast-check';

export type Schema = Readonly<Record<string, unknown>>;
/** A kind of resource; `@volume:3` is the fourth volume that there is, counted round. */
export type Reference = (typeof REFERENCES)[number];

const REFERENCES = [
  ...['volume', 'backup', 'snapshot', 'policy', 'job', 'type', 'attachment', 'message', 'sharing'],
  ...['project', 'user', 'role', 'credential', 'host', 'metadata-key'],
] as const;
/** Names of fields and parameters that hold ids. */
const REFERENCE_NAMES: ReadonlyMap<string, Reference> = new Map([
  ['volume_uuid', 'volume'],
  ['source_volid', 'volume'],
  ['resource_id', 'volume'],
  ['backup_policy_id', 'policy'],
  ['volume_type', 'type'],
  ['key', 'metadata-key'],
  ['host', 'host'],
  ['host_name', 'host'],
  ['project', 'project'],
  ['identity_project_id', 'project'],
  ['target_project_id', 'project'],
  ['to_project_id', 'project'],
  ['to_project_ids', 'project'],
  ['default_project_id', 'project'],
  ['application_credential_id', 'credential'],
]);

export function referenceOf(name: string): Reference | undefined {
  const known = REFERENCE_NAMES.get(name);
  if (known !== undefined) return known;
  return REFERENCES.find((reference) => name === `${reference}_id`);
}

export function anyReference(reference: Reference): fc.Arbitrary<string> {
  return fc.nat(20).map((index) => `@${reference}:${index}`);
}

/** Values that the schema permits; `name` is that of the field. */
export function anyValueOf(schema: Schema, name = ''): fc.Arbitrary<unknown> {
  if ('const' in schema) return fc.constant(schema.const);
  const options = schema.anyOf;
  // The casts in this file name what JSON Schema puts under its keywords.
  if (Array.isArray(options)) return fc.oneof(...options.map((option: Schema) => anyValueOf(option, name)));
  switch (schema.type) {
    case 'string':
      return stringOf(schema, name);
    case 'integer':
      return fc.integer({ min: Number(schema.minimum ?? -2), max: Math.min(Number(schema.maximum ?? 40), 1000) });
    case 'number':
      return fc.double({ min: Number(schema.minimum ?? -2), max: Number(schema.maximum ?? 1e6), noNaN: true });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(anyValueOf((schema.items ?? {}) as Schema, name), {
        minLength: Number(schema.minItems ?? 0),
        maxLength: Math.max(Number(schema.minItems ?? 0), 3),
      });
    case 'object':
      return objectOf(schema);
    default:
      return fc.constantFrom('text', 1, true, null, {}, []);
  }
}

function objectOf(schema: Schema): fc.Arbitrary<unknown> {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, Schema>);
  const [values] = Object.values((schema.patternProperties ?? {}) as Record<string, Schema>);
  if (properties.length === 0 && values !== undefined) {
    const key = fc.oneof(fc.stringMatching(/^[a-z_:]{1,12}$/), anyReference('metadata-key'));
    return fc.dictionary(key, anyValueOf(values), { maxKeys: 3, noNullPrototype: true });
  }
  const fields = Object.fromEntries(properties.map(([key, value]) => [key, anyValueOf(value, key)]));
  return fc.record(fields, { requiredKeys: (schema.required ?? []) as string[], noNullPrototype: true });
}

function stringOf(schema: Schema, name: string): fc.Arbitrary<string> {
  const { pattern, examples } = schema;
  const minLength = Number(schema.minLength ?? 0);
  const maxLength = Math.max(minLength, Math.min(Number(schema.maxLength ?? 24), 64));
  const reference = referenceOf(name);
  const choices: fc.Arbitrary<string>[] = [];
  if (reference !== undefined) choices.push(anyReference(reference), anyReference(reference));
  if (schema.format === 'uuid') choices.push(fc.uuid());
  else if (typeof pattern === 'string') choices.push(matching(new RegExp(pattern, 'u'), minLength, maxLength));
  else if (Array.isArray(examples)) choices.push(fc.constantFrom(...examples.map(String)));
  else choices.push(fc.string({ unit: 'grapheme', minLength, maxLength }));
  return fc.oneof(...choices);
}

function matching(pattern: RegExp, minLength: number, maxLength: number): fc.Arbitrary<string> {
  const unit = fc.constantFrom(...'0123456789abcdef');
  const lengths = [
    { minLength, maxLength },
    { minLength: 32, maxLength: 32 },
  ];
  const arbitraries = lengths.map((length) => fc.string({ unit, ...length }));
  const digits = fc.nat(100).map(String);
  const candidates = [...arbitraries, digits].filter((arbitrary) =>
    fc.sample(arbitrary, { numRuns: 20, seed: 1 }).some((text) => pattern.test(text)),
  );
  return fc.oneof(...candidates).filter((text) => pattern.test(text));
}

function nest(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level += 1) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

export const STRANGE_TEXTS: readonly string[] = [
  ...['', ' ', 'null', 'None', 'true', '-1', '0', '1.5', '1e5', '9'.repeat(30), 'NaN', '__proto__', 'constructor'],
  ...['\0', 'a\0b', '\ud800', '\udc00x', '\u202eright', '\u{1f600}', 'a\nb', '\ufffe', '..', '../../etc/passwd'],
  ...["'; drop table volumes; --", '%', '_', '\\', '%00', '%2e%2e%2f', '#{x}', '{{x}}', '@', '*', 'detail'],
  ...['00000000-0000-0000-0000-000000000000', '0'.repeat(32), 'F'.repeat(32), 'x'.repeat(256), 'é'.repeat(5000)],
  ...['9999-12-31T23:59:59', '2026-13-45', '0001-01-01T00:00:00Z', '+275760-09-13T00:00:00Z', 'gt:x', 'a:desc,b'],
];
const STRANGE_VALUES: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1.5, 2 ** 31, -(2 ** 31) - 1, 2 ** 53, 2 ** 63, 1e308, -0, 5e-324],
  ...[[], {}, [null], [[]], { a: null }, nest(500), Array.from({ length: 3000 }, (_, index) => index)],
  ...[Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`k${index}`, 'v'])), ['x', 'x', 'x']],
  JSON.parse('{"__proto__":{"a":1},"constructor":"x","toString":null}'),
  ...STRANGE_TEXTS,
];

type Path = readonly (string | number)[];

/** The value with one thing wrong: a part replaced, left out, added or repeated. */
export function oneMutation(value: unknown): fc.Arbitrary<unknown> {
  const paths = [...listPaths(value)];
  const path = fc.constantFrom(...paths);
  const replaced = fc
    .tuple(path, fc.constantFrom(...STRANGE_VALUES))
    .map(([where, strange]) => changeAt(value, where, () => strange));
  const added = fc.tuple(path, fc.constantFrom('x', '__proto__', '', 'é'), fc.constantFrom(...STRANGE_VALUES));
  const choices: fc.Arbitrary<unknown>[] = [replaced, replaced, added.map((parts) => addAt(value, ...parts))];
  const inner = paths.filter((where) => where.length > 0);
  if (inner.length > 0) choices.push(fc.constantFrom(...inner).map((where) => leaveOut(value, where)));
  return fc.oneof(...choices);
}

function* listPaths(value: unknown, at: Path = []): Generator<Path> {
  yield at;
  if (Array.isArray(value)) for (const [index, part] of value.entries()) yield* listPaths(part, [...at, index]);
  else if (isObject(value)) for (const [key, part] of Object.entries(value)) yield* listPaths(part, [...at, key]);
}

function changeAt(value: unknown, [key, ...rest]: Path, change: (part: unknown) => unknown): unknown {
  if (key === undefined) return change(value);
  if (Array.isArray(value)) return value.map((part, index) => (index === key ? changeAt(part, rest, change) : part));
  const entries = isObject(value) ? Object.entries(value) : [];
  return Object.fromEntries(entries.map(([name, part]) => [name, name === key ? changeAt(part, rest, change) : part]));
}

function addAt(value: unknown, path: Path, key: string, strange: unknown): unknown {
  return changeAt(value, path, (part) => {
    if (Array.isArray(part)) return [...part, ...part, strange];
    return isObject(part) ? Object.fromEntries([...Object.entries(part), [key, strange]]) : strange;
  });
}

function leaveOut(value: unknown, path: Path): unknown {
  const last = path.at(-1);
  return changeAt(value, path.slice(0, -1), (part) => {
    if (Array.isArray(part)) return part.filter((_item, index) => index !== last);
    return isObject(part) ? Object.fromEntries(Object.entries(part).filter(([key]) => key !== last)) : part;
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
