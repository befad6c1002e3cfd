// The version of this package, from its package.json.
import { readFileSync } from 'node:fs';

/** `src/core` and the emitted `dist/core` lie equally deep below package.json. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  // Our own file, and npm refuses to publish one without a version.
  return (JSON.parse(text) as { version: string }).version;
}
