// Writes docs/api-compat.md: which operations are offered, by comparing the table of api-operations.ts with the routes
// that the server has. `node tools/api-compat.ts`; a test fails while document, table and routes differ.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import type { ApiDeps } from '../src/api/route.ts';
import { listRoutes } from '../src/api/server.ts';
import { GROUPS, OPERATIONS, type Operation, type Route } from './api-operations.ts';

export const COMPAT_DOC = new URL('../docs/api-compat.md', import.meta.url);

export type Support = 'full' | 'partial' | 'refused';
type ServerRoute = Route & { readonly summary: string };

const HEAD = `# API compatibility

Generated from the routes of the server by \`node tools/api-compat.ts\`; do not edit.

- **full**: all that is documented, with its checks, codes and statuses.
- **partial**: what is missing stands beside it. A field that cannot be honoured is refused, never ignored.
- **refused**: there is no such path: 404, or 405 where the path exists with other methods.

Paths without project (\`/v3/...\`, from microversion 3.67) and the \`/v2\` and \`/native\` forms of native paths are
meant as well. What an error code means stands in [errors.md](errors.md), the requests and answers themselves in
\`/openapi.json\`.
`;

/** Everything that routes are made from, only to be asked for their paths: no handler ever runs. */
function describeRoutes(): ServerRoute[] {
  const anything: unknown = new Proxy(() => undefined, {
    get: (_target, key) => (key === Symbol.toPrimitive ? () => '' : anything),
    apply: () => anything,
  });
  // The cast: a thing that has every property stands for the services.
  return listRoutes(anything as ApiDeps, () => ({})).flatMap(({ method, paths, doc }) =>
    [method].flat().flatMap((name) => paths.map((path) => ({ method: name, path, summary: doc.summary }))),
  );
}

/** Names of parameters do not count: `/jobs/{job_id}` and `/jobs/:id` are the same path. */
function keyOf({ method, path }: Route): string {
  const bare = path.length > 1 ? path.replace(/\/$/, '') : path;
  return `${method} ${bare.replaceAll(/\{\w+\}|:\w+/g, '{}')}`;
}

/** @throws AssertionError when the table does not say what is missing, or says so of what is whole */
export function supportOf(operation: Operation, served: ReadonlySet<string>): Support {
  const count = operation.routes.filter((route) => served.has(keyOf(route))).length;
  const isRefused = count === 0;
  const isWhole = count === operation.routes.length;
  assert(isWhole || operation.gap !== undefined, `operation ${operation.number}: say what is missing, and why`);
  if (isRefused) return 'refused';
  return operation.gap === undefined ? 'full' : 'partial';
}

export function servedKeys(): ReadonlySet<string> {
  return new Set(describeRoutes().map(keyOf));
}

/** Routes that no operation of the table names, in the order of their paths. */
export function listExtensions(): ServerRoute[] {
  const named = new Set(OPERATIONS.flatMap(({ routes }) => routes.map(keyOf)));
  const extensions = new Map<string, ServerRoute>();
  for (const route of describeRoutes()) {
    const key = keyOf(route);
    // Aliases for identity on the origin of the service (`/v3/auth`), as clients that know one origin only want them.
    const isAlias = named.has(key.replace(' /v3/auth', ' /identity/v3/auth'));
    if (!named.has(key) && !isAlias && !extensions.has(key)) extensions.set(key, route);
  }
  return [...extensions.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The whole document. */
export function renderCompatDoc(): string {
  const served = servedKeys();
  const counts = { full: 0, partial: 0, refused: 0 };
  const sections = GROUPS.map((group) => {
    const rows = OPERATIONS.filter((operation) => operation.group === group).map((operation) => {
      const support = supportOf(operation, served);
      counts[support] += 1;
      return renderRow(operation, support);
    });
    const head = '| # | Operation | Documented path | Support | What is missing |\n|---|---|---|---|---|';
    return `\n## ${group}\n\n${head}\n${rows.join('\n')}\n`;
  });
  const summary = `\nOperations: ${counts.full} full, ${counts.partial} partial, ${counts.refused} refused.\n`;
  return `${HEAD}${summary}${sections.join('')}${renderExtensions()}`;
}

function renderRow({ number, purpose, routes, gap }: Operation, support: Support): string {
  const shown = new Map<string, string[]>();
  // Aliases are meant as well: only the first prefix is shown.
  const [first] = routes;
  const prefix = first === undefined ? '' : (/^\/(v[123]\/\{project_id\}|identity\/v3)/.exec(first.path)?.[0] ?? '');
  for (const { method, path } of routes) {
    if (!path.startsWith(prefix)) continue;
    shown.set(path, [...(shown.get(path) ?? []), method]);
  }
  const paths = [...shown].map(([path, methods]) => `${methods.join(' ')} \`${path}\``).join('<br>');
  return `| ${number} | ${purpose} | ${paths} | ${support} | ${gap ?? ''} |`;
}

function renderExtensions(): string {
  const rows = listExtensions().map(
    ({ method, path, summary }) => `| ${method} \`${path.replaceAll(/:(\w+)/g, '{$1}')}\` | ${summary} |`,
  );
  const head = '## Beyond the contract\n\nExtensions of this project.\n\n| Path | What it does |\n|---|---|';
  return `\n${head}\n${rows.join('\n')}\n`;
}

if (import.meta.main) writeFileSync(COMPAT_DOC, renderCompatDoc());
