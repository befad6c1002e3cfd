// Emits dist/ for the published package, because Node strips no types under node_modules. Run by `npm pack` (prepack).
// tsc rewrites the endings of imports; what it cannot know are files named by URL (worker threads): done here.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const FILE_URL = /new URL\((['"])(\.[^'"]+)\.ts\1, import\.meta\.url\)/g;

rmSync(dist, { recursive: true, force: true });
execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
  if (!name.endsWith('.js')) continue;
  const path = join(dist, name);
  const text = readFileSync(path, 'utf8');
  const rewritten = text.replaceAll(FILE_URL, 'new URL($1$2.js$1, import.meta.url)');
  if (rewritten !== text) writeFileSync(path, rewritten);
}
