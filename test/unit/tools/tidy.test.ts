import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ERROR_TABLE } from '../../../src/core/errors.ts';
import { ERRORS_DOC } from '../../../tools/errors-doc.ts';
import { checkErrorsDoc, checkLinks, checkSource } from '../../../tools/tidy.ts';

function reasonsOf(path: string, text: string): string[] {
  return checkSource(path, text).map(({ line, reason }) => `${line}: ${reason}`);
}

test('every code is in docs/errors.md, and none is there that does not exist', () => {
  const text = readFileSync(ERRORS_DOC, 'utf8');
  const listed = [...text.matchAll(/^\| `([A-Z_0-9]+)` \|/gm)].map(([, code]) => code);
  assert.deepEqual(listed, Object.keys(ERROR_TABLE));
  assert.deepEqual(checkErrorsDoc(text), []);
  assert.equal(checkErrorsDoc(`${text} `).length, 1);
  assert.equal(checkErrorsDoc(undefined).length, 1);
});

test('clocks and randomness are allowed in core/ports.ts, in comments and in tests only', () => {
  const text =
    'const a = Date.now();\nconst b = new Date();\nconst c = Math.random();\nconst d = new Date(a);\n// Date.now()\n';
  assert.deepEqual(
    checkSource('src/jobs/a.ts', text).map(({ line }) => line),
    [1, 2, 3],
  );
  assert.deepEqual(reasonsOf('src/core/ports.ts', text), []);
  assert.deepEqual(reasonsOf('test/unit/a.test.ts', text), []);
});

test('long files and long lines are found, tables of data are not', () => {
  assert.equal(reasonsOf('src/a.ts', 'x\n'.repeat(500)).length, 0);
  assert.equal(reasonsOf('src/a.ts', 'x\n'.repeat(501)).length, 1);
  assert.equal(reasonsOf('src/a.ts', `${'x'.repeat(120)}\n`).length, 0);
  assert.equal(reasonsOf('src/a.ts', `${'x'.repeat(121)}\n`).length, 1);
  assert.equal(reasonsOf('src/core/errors.ts', `${'x'.repeat(121)}\n`.repeat(501)).length, 0);
});

test('a reminder needs an issue, a file a kebab-case name, and index files are none', () => {
  const word = 'TO' + 'DO';
  assert.equal(reasonsOf('src/a.ts', `// ${word}: later\n`).length, 1);
  assert.equal(reasonsOf('src/a.ts', `// ${word}(#12): later\n`).length, 0);
  for (const path of ['src/aB.ts', 'test/unit/a_b.test.ts', 'src/jobs/index.ts'])
    assert.equal(reasonsOf(path, '').length, 1, path);
  for (const path of ['src/a-b.ts', 'test/contract/a-b.suite.ts', 'src/db/migrations/0001-first.ts']) {
    assert.deepEqual(reasonsOf(path, ''), [], path);
  }
});

test('relative links must lead somewhere; addresses, anchors and code do not count', () => {
  const text =
    '[a](there.md) [b](gone.md#x)\n[c](https://x.test/y) [d](#here) `[e](code.md)`\n```\n[f](block.md)\n```\n';
  const findings = checkLinks('docs/a.md', text, (target) => target === 'docs/there.md');
  assert.deepEqual(findings, [{ path: 'docs/a.md', line: 1, reason: 'no such file: gone.md' }]);
});
