// Who may import whom is a lint error (biome.json). Here the rules are tried on files with wrong arrows, so that a
// pattern that matches nothing is noticed.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Left may import right; everything else must be refused. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  core: [],
  storage: ['core'],
  volumes: ['core'],
  db: ['core'],
  client: ['core'],
  keystone: ['core'],
  metrics: ['core'],
  jobs: ['db', 'core'],
  nbd: ['volumes', 'core'],
  engine: ['storage', 'volumes', 'core'],
  services: ['engine', 'storage', 'volumes', 'nbd', 'db', 'jobs', 'core'],
  api: ['services', 'core'],
  cli: ['client', 'core'],
  local: ['cli', 'client', 'storage', 'core'],
};
const FOLDERS = Object.keys(ALLOWED);

type Diagnostic = { readonly category?: string; readonly location?: { readonly path?: unknown } };

/** Files in which Biome finds a forbidden import. */
async function lint(files: Readonly<Record<string, string>>): Promise<Set<string>> {
  await using temporary = await makeTemporaryFolder();
  const folder = temporary.path;
  await copyFile(join(root, 'biome.json'), join(folder, 'biome.json'));
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  const report = await new Promise<string>((resolve) => {
    const args = ['lint', '--reporter=json', '--max-diagnostics=none', 'src'];
    const biome = join(root, 'node_modules/.bin/biome');
    // Biome ends with 1 when it finds something: the report says what.
    execFile(biome, args, { cwd: folder, maxBuffer: 1 << 26 }, (_error, stdout) => resolve(stdout));
  });
  const { diagnostics } = JSON.parse(report) as { diagnostics: readonly Diagnostic[] };
  const forbidden = diagnostics.filter(({ category }) => category === 'lint/style/noRestrictedImports');
  return new Set(forbidden.map(({ location }) => JSON.stringify(location?.path)));
}

test('an arrow that is not in the conventions fails, at every depth; one that is passes', async () => {
  const files: Record<string, string> = {};
  const wrong = new Set<string>();
  for (const from of FOLDERS) {
    for (const to of FOLDERS.filter((folder) => folder !== from)) {
      for (const [depth, up] of [
        ['', '../'],
        ['deep/', '../../'],
      ] as const) {
        const path = `src/${from}/${depth}uses-${to}.ts`;
        files[path] = `import { x } from '${up}${to}/x.ts';\nexport const y = x;\n`;
        if (!ALLOWED[from]?.includes(to)) wrong.add(path);
      }
    }
    files[`src/${from}/uses-app.ts`] = "import { x } from '../app.ts';\nexport const y = x;\n";
    if (from !== 'local') wrong.add(`src/${from}/uses-app.ts`);
  }
  const found = [...(await lint(files))].map((path) => path.replaceAll('"', ''));
  assert.deepEqual(found.toSorted(), [...wrong].toSorted());
});

test('type imports and dynamic imports are arrows too', async () => {
  const found = await lint({
    'src/storage/a.ts': "import type { X } from '../db/x.ts';\nexport type Y = X;\n",
    'src/storage/b.ts': "export const load = () => import('../engine/x.ts');\n",
    'src/storage/c.ts': "export { x } from '../services/x.ts';\n",
  });
  assert.equal(found.size, 3);
});
