// The list of all routes: it tells an unknown path (404) from a known path with another method (405), and words that
// are part of paths from ids.
import assert from 'node:assert/strict';
import type { FastifyInstance } from 'fastify';

/** Literal segments that are never ids (contract 2.1). */
const LITERAL_SEGMENTS: ReadonlySet<string> = new Set([
  'quota',
  'tags',
  'resource_instances',
  'detail',
  'count',
  'import_record',
  'summary',
  'default',
  'native',
]);
/** Parameters that may hold any text. */
const FREE_PARAMETERS: ReadonlySet<string> = new Set(['class_name', 'domain_id', 'key', 'project_id']);

type Entry = { readonly segments: readonly string[]; readonly methods: Set<string> };

export class RouteTable {
  readonly #entries = new Map<string, Entry>();

  /** Notes every route that is registered from now on, and refuses to have one that says not who may call it. */
  watch(app: FastifyInstance): void {
    app.addHook('onRoute', ({ url, method, config }) => {
      assert(config?.access !== undefined, `route ${url} declares no access`);
      const entry = this.#entries.get(url) ?? { segments: url.split('/'), methods: new Set() };
      for (const name of Array.isArray(method) ? method : [method]) entry.methods.add(name);
      this.#entries.set(url, entry);
    });
  }

  list(): { url: string; methods: string[] }[] {
    return [...this.#entries].map(([url, { methods }]) => ({ url, methods: [...methods] }));
  }

  /** Methods that some route takes for this path, sorted. */
  methodsOf(path: string): string[] {
    const segments = path.split('/');
    const methods = new Set<string>();
    for (const entry of this.#entries.values()) {
      if (isMatch(entry.segments, segments)) for (const method of entry.methods) methods.add(method);
    }
    return [...methods].sort();
  }

  hasLiteralAsId(params: unknown): boolean {
    if (typeof params !== 'object' || params === null) return false;
    return Object.entries(params).some(([name, value]) => isLiteralId(name, value));
  }
}

function isLiteralId(name: string, value: unknown): boolean {
  return !FREE_PARAMETERS.has(name) && typeof value === 'string' && LITERAL_SEGMENTS.has(value);
}

function isMatch(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.length !== segments.length) return false;
  return pattern.every((part, index) => {
    const segment = segments[index] ?? '';
    return part.startsWith(':') ? !isLiteralId(part.slice(1), segment) : part === segment;
  });
}
