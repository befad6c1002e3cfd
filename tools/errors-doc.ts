// Writes docs/errors.md from the table of core/errors.ts. `node tools/errors-doc.ts`; tidy fails while the two differ.
import { writeFileSync } from 'node:fs';
import { ERROR_TABLE } from '../src/core/errors.ts';

export const ERRORS_DOC = new URL('../docs/errors.md', import.meta.url);

const HEAD = `# Error codes

Generated from \`src/core/errors.ts\` by \`node tools/errors-doc.ts\`; do not edit. A published code is never reused.

- **HTTP** is the status of a reply that fails with this code.
- **VBS code** is \`error.code\` on the VBS families (\`/v1\`, \`/v2/{project_id}/cloudbackups\`) and \`error_code\`
  of a failed job. On the Cinder-compatible families the status is the code.
- **Again** says that the same request may succeed later without anybody changing it; the job runner tries by itself.
- Words in braces are filled in: ids, names, limits.

| Code | HTTP | VBS code | Again | Message |
|---|---|---|---|---|
`;

/** The whole document. */
export function renderErrorsDoc(): string {
  const rows = Object.entries(ERROR_TABLE).map(([code, { status, wire, isRetryable, message }]) => {
    const again = isRetryable ? 'yes' : '';
    const text = message.replaceAll('|', '\\|').replaceAll('<', '&lt;');
    return `| \`${code}\` | ${status} | \`${wire}\` | ${again} | ${text} |`;
  });
  return `${HEAD}${rows.join('\n')}\n`;
}

if (import.meta.main) writeFileSync(ERRORS_DOC, renderErrorsDoc());
