// Writes docs/errors.md from the table of core/errors.ts. `node tools/errors-doc.ts`; tidy fails while the two differ.
import { writeFileSync } from 'node:fs';
import { ERROR_TABLE, POLICY_WIRE_CODES } from '../src/core/errors.ts';
import { UNUSED_CODES } from './unused-codes.ts';

export const ERRORS_DOC = new URL('../docs/errors.md', import.meta.url);

const HEAD = `# Error codes

Generated from \`src/core/errors.ts\` by \`node tools/errors-doc.ts\`; do not edit. A published code is never reused.

- **HTTP** is the status of a reply that fails with this code.
- **VBS code** is \`error.code\` on the VBS families (\`/v1\`, \`/v2/{project_id}/cloudbackups\`) and \`error_code\`
  of a failed job. On the Cinder-compatible families the status is the code. The policy family
  (\`/v2/{project_id}/backuppolicy\`, \`/v2/{project_id}/backuppolicyresources\`) and the tasks of policies have codes
  of their own, see below.
- **Again** says that the same request may succeed later without anybody changing it; the job runner tries by itself.
- Words in braces are filled in: ids, names, limits.

| Code | HTTP | VBS code | Again | Message |
|---|---|---|---|---|
`;

const POLICY_HEAD = `
## On the policy family

Codes of the table above that begin with \`AutoBackup\` stand as they are. These are called otherwise there:

`;

const POLICY_TAIL = `
Every other code is \`AutoBackup.0008\` with a status of 4xx, \`AutoBackup.0009\` with a status of 5xx, and
\`AutoBackup.1700\` where it ended a task.
`;

const JOB_PART = `
## In failed jobs

\`error_code\` is one that the reference documents for this kind of job. What has another VBS code in the table is
\`VolumeBackup.0064\` when a backup failed, \`VolumeBackup.0102\` when a deletion did, \`VolumeBackup.0200\` when a
restore did; \`fail_reason\` says what happened.
`;

/** The whole document. */
export function renderErrorsDoc(): string {
  const rows = Object.entries(ERROR_TABLE).map(([code, { status, wire, isRetryable, message }]) => {
    const again = isRetryable ? 'yes' : '';
    const text = message.replaceAll('|', '\\|').replaceAll('<', '&lt;');
    return `| \`${code}\` | ${status} | \`${wire}\` | ${again} | ${text} |`;
  });
  const policyRows = Object.entries(POLICY_WIRE_CODES).map(([code, wire]) => `- \`${code}\`: \`${wire}\``);
  const table = `${HEAD}${rows.join('\n')}\n`;
  const policies = `${POLICY_HEAD}${policyRows.join('\n')}\n${POLICY_TAIL}`;
  return `${table}${policies}${JOB_PART}${renderUnusedCodes()}`;
}

function renderUnusedCodes(): string {
  const rows = UNUSED_CODES.map(({ codes, meaning, reason }) => `| ${listCodes(codes)} | ${meaning} | ${reason} |`);
  const head = '| VBS code | Meaning in the reference | Why it never arises here |\n|---|---|---|';
  return `\n## Codes of the VBS reference that never arise\n\n${head}\n${rows.join('\n')}\n`;
}

function listCodes(codes: readonly string[]): string {
  return codes.map((code) => `\`${code}\``).join(' ');
}

if (import.meta.main) writeFileSync(ERRORS_DOC, renderErrorsDoc());
