// Style as a check: what Biome has no rule for. Prints `file:line: reason` and ends with 1 when there is any.
// Biome itself sees to function length, import cycles, layers, default exports and the names of files in src
// (biome.json); here: file and line length, clocks and randomness, TODOs, index files, links and docs/errors.md.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ERRORS_DOC, renderErrorsDoc } from './errors-doc.ts';

export type Finding = { readonly path: string; readonly line: number; readonly reason: string };

const FILE_LINES_MAX = 500;
const LINE_LENGTH_MAX = 120;
/** Data, one entry a line: cutting them up would help nobody. */
const TABLE_FILES = ['src/core/errors.ts'];
/** The only place that may ask the machine what time it is. */
const CLOCK_FILE = 'src/core/ports.ts';
const KEBAB_FILE = /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|suite|d))?\.ts$/;

const IMPURE = [
  [/\bDate\.now\(/, 'Date.now() belongs to core/ports.ts: take a Clock through deps'],
  [/\bnew Date\(\s*\)/, 'new Date() reads the clock: take a Clock through deps'],
  [/\bMath\.random\(/, 'Math.random(): draw ids in core/ids.ts, or take randomness through deps'],
] as const;

/** Findings of one TypeScript file. `path` is relative to the root, with slashes. */
export function checkSource(path: string, text: string): Finding[] {
  const findings: Finding[] = [];
  const lines = text.split('\n');
  const isTable = TABLE_FILES.includes(path);
  const isSource = path.startsWith('src/');
  if (isSource && !isTable && lines.length - 1 > FILE_LINES_MAX) {
    findings.push({ path, line: FILE_LINES_MAX + 1, reason: `${lines.length - 1} lines; at most ${FILE_LINES_MAX}` });
  }
  if (basename(path) === 'index.ts') findings.push({ path, line: 1, reason: 'no index files: import what is meant' });
  if (!KEBAB_FILE.test(basename(path))) findings.push({ path, line: 1, reason: 'file names are kebab-case' });
  for (const [index, line] of lines.entries()) {
    const add = (reason: string): number => findings.push({ path, line: index + 1, reason });
    if (!isTable && line.length > LINE_LENGTH_MAX) add(`${line.length} characters; at most ${LINE_LENGTH_MAX}`);
    if (/\b(TODO|FIXME|XXX)\b/.test(line) && !/\bTODO\(#\d+\)/.test(line)) add('a TODO carries its issue: TODO(#12)');
    if (!isSource || path === CLOCK_FILE || isComment(line)) continue;
    for (const [pattern, reason] of IMPURE) if (pattern.test(line)) add(reason);
  }
  return findings;
}

function isComment(line: string): boolean {
  return /^\s*(\/\/|\/\*|\*)/.test(line);
}

/** Relative links of a Markdown file that lead nowhere. `exists` takes a path relative to the root. */
export function checkLinks(path: string, text: string, exists: (target: string) => boolean): Finding[] {
  const findings: Finding[] = [];
  let isCode = false;
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trimStart().startsWith('```')) isCode = !isCode;
    if (isCode) continue;
    for (const [, target = ''] of line.replaceAll(/`[^`]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)) {
      const file = target.split('#')[0] ?? '';
      if (file === '' || /^[a-z]+:/i.test(file)) continue;
      if (!exists(join(dirname(path), decodeURI(file))))
        findings.push({ path, line: index + 1, reason: `no such file: ${file}` });
    }
  }
  return findings;
}

export function checkErrorsDoc(actual: string | undefined): Finding[] {
  if (actual === renderErrorsDoc()) return [];
  return [{ path: 'docs/errors.md', line: 1, reason: 'differs from core/errors.ts: run node tools/errors-doc.ts' }];
}

function checkTree(root: string): Finding[] {
  // Tracked files and new ones that are not ignored: what a commit could hold.
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    maxBuffer: 1 << 26,
  });
  const paths = listed
    .toString('utf8')
    .split('\0')
    .filter((path) => path !== '' && existsSync(join(root, path)));
  const read = (path: string): string => readFileSync(join(root, path), 'utf8');
  return [
    ...paths.filter((path) => path.endsWith('.ts')).flatMap((path) => checkSource(path, read(path))),
    ...paths
      .filter((path) => path.endsWith('.md'))
      .flatMap((path) => checkLinks(path, read(path), (target) => existsSync(join(root, target)))),
    ...checkErrorsDoc(existsSync(ERRORS_DOC) ? readFileSync(ERRORS_DOC, 'utf8') : undefined),
  ];
}

if (import.meta.main) {
  const findings = checkTree(resolve(fileURLToPath(new URL('..', import.meta.url))));
  for (const { path, line, reason } of findings) process.stdout.write(`${path}:${line}: ${reason}\n`);
  process.exitCode = findings.length === 0 ? 0 : 1;
}
