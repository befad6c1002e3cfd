// docs/clients.md as the tests use it: what it tells people to write is what the tests run, so it cannot be wrong.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { Exclusion } from './tempest-run.ts';

const DOCUMENT = new URL('../../../docs/clients.md', import.meta.url);

/** The rows of the table below the heading "Tempest tests that do not run". */
export async function readTempestExclusions(): Promise<Exclusion[]> {
  const section = await readSection('Tempest tests that do not run');
  const rows = section.matchAll(/^\| `([\w.]+)` \| (.+?) \|$/gm);
  const exclusions = [...rows].map(([, prefix = '', reason = '']) => ({
    prefix: `tempest.api.volume.${prefix}`,
    reason,
  }));
  assert(exclusions.length > 0, 'the table is there');
  return exclusions;
}

/** The block of code in the section `heading` whose first line is marked with `language`. */
export async function readExample(heading: string, language: string): Promise<string> {
  const section = await readSection(heading);
  const [, code] = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(section) ?? [];
  assert(code !== undefined, `${heading} has a block of ${language}`);
  return code;
}

/** From the heading to the next one of any level. */
async function readSection(heading: string): Promise<string> {
  const text = await readFile(DOCUMENT, 'utf8');
  const parts = text.split(/^#+ (.*)$/m);
  const index = parts.indexOf(heading);
  assert(index > 0, `docs/clients.md has a section ${heading}`);
  return parts[index + 1] ?? '';
}
