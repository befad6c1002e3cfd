import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type KeyId, newUuid } from '../../../../src/core/ids.ts';
import {
  createHeader,
  HEADER_SIZE_BYTES,
  OBJECT_KINDS,
  type ObjectKind,
  parseHeader,
} from '../../../../src/engine/format/object-header.ts';
import { assertCorrupt, flipBit } from '../../../support/damage.ts';

// The cast: Object.keys does not keep the type of the keys.
const KINDS = Object.keys(OBJECT_KINDS) as ObjectKind[];
const KEY_ID_AT = 16;

test('a header tells its key and a salt of its own, and nothing else is accepted in its place', () => {
  for (const kind of KINDS) {
    const keyId = newUuid<KeyId>();
    const header = createHeader(kind, keyId);
    assert.equal(header.length, HEADER_SIZE_BYTES);
    assert.equal(parseHeader(header, kind, 'x').keyId, keyId);
    assert(!parseHeader(header, kind, 'x').salt.equals(parseHeader(createHeader(kind, keyId), kind, 'x').salt));
    for (const other of KINDS.filter((name) => name !== kind))
      assertCorrupt(() => parseHeader(header, other, 'x'), 'x');
    for (let length = 0; length < HEADER_SIZE_BYTES; length += 1) {
      assertCorrupt(() => parseHeader(header.subarray(0, length), kind, 'x'), 'x');
    }
  }
});

test('a flipped bit before the key id is refused; one in key id or salt gives another key', () => {
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), fc.nat(HEADER_SIZE_BYTES * 8 - 1), (kind, bit) => {
      const header = createHeader(kind, newUuid<KeyId>());
      const damaged = flipBit(header, bit);
      if (bit < KEY_ID_AT * 8) return assertCorrupt(() => parseHeader(damaged, kind, 'x'), 'x');
      assert.notDeepEqual(parseHeader(damaged, kind, 'x'), parseHeader(header, kind, 'x'));
    }),
    { numRuns: 300 },
  );
});
