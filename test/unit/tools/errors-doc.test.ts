import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { renderErrorsDoc } from '../../../tools/errors-doc.ts';
import { UNUSED_CODES } from '../../../tools/unused-codes.ts';

function codes(family: string, numbers: string): string[] {
  return numbers.split(/\s+/).map((number) => `${family}.${number}`);
}

/** All of contract section 4. */
const CONTRACT_CODES = [
  'common.0011',
  ...codes('VolumeBackup', '0014 0041 0042 0044'),
  ...codes(
    'VolumeBackup',
    `0002 0003 0004 0005 0006 0007 0008 0009 0010 0011 0012 0013 0017 0018 0019 0020 0021 0022 0023 0024 0025 0026 0027
     0028 0029 0030 0035 0036 0037 0038 0039 0040 0043 0049 0050 0053 0062 0063 0064 0070 0071 0072 0073 0074 0075 0076
     0077 0078 0079 0080 0081 0082 0083 0084`,
  ),
  ...codes('VolumeBackup', '0100 0101 0102 0103 0104 0105 0109 0110 0113 0123 0125 0900'),
  ...codes('VolumeBackup', '0089 0111 0200 0201 0202 0203 0204 0205 0206 0207 0208 0209 0210 0211'),
  ...codes(
    'AutoBackup',
    `0000 0001 0002 0003 0005 0006 0008 0009 0100 0101 0102 0103 0104 0105 0106 0107 0203 0204 0205 0206 0207 0208 0209
     0210 0211 0213 0214 0215 0216 0217 0218 0220 0221 0222 0225 0226 1100 1300 1400 1700 9002`,
  ),
];

describe('docs/errors.md', () => {
  const [raised = '', unused = ''] = renderErrorsDoc().split('## Codes of the VBS reference that never arise');
  const mentioned = (text: string) => new Set(text.match(/(VolumeBackup|AutoBackup|common)\.\d{4}/g));

  test('has every code of the contract, as one that arises or as one that cannot', () => {
    const both = new Set([...mentioned(raised), ...mentioned(unused.replaceAll(/\| [^|]* \|$/gm, ''))]);
    assert.deepEqual([...both].sort(), [...new Set(CONTRACT_CODES)].sort());
  });

  test('none is both', () => {
    const listed = UNUSED_CODES.flatMap((entry) => entry.codes);
    assert.equal(new Set(listed).size, listed.length);
    const raisedCodes = mentioned(raised);
    assert.deepEqual(
      listed.filter((code) => raisedCodes.has(code)),
      [],
    );
    for (const { meaning, reason } of UNUSED_CODES) assert.ok(meaning.length > 0 && reason.endsWith('.'));
  });
});
