import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CliError } from '../../../src/cli/cli-error.ts';
import { parseAdvance } from '../../../src/cli/commands/dev-commands.ts';

test('a time to advance by is a whole number with a unit', () => {
  const cases: [string, number][] = [
    ['90s', 90],
    ['5m', 300],
    ['12h', 43_200],
    ['40d', 3_456_000],
    ['2w', 1_209_600],
  ];
  for (const [text, seconds] of cases) assert.equal(parseAdvance(text), seconds, text);
  for (const text of ['', '40', 'd', '-1d', '1.5d', '0d', '4000d', '1y', '1d ']) {
    assert.throws(() => parseAdvance(text), CliError, text);
  }
});
