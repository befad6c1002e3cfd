import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { type KeyId, newHexId, newUuid, type ProjectId, type RepositoryId } from '../../../../src/core/ids.ts';
import { sealObject, unsealObject } from '../../../../src/engine/crypto/sealed-object.ts';
import { type ObjectPlace, seal, unseal } from '../../../../src/engine/crypto/sealing.ts';
import { assertCorrupt, flipBit } from '../../../support/damage.ts';

const keyId = newUuid<KeyId>();
const keys = { currentKeyId: keyId, keys: new Map([[keyId, randomBytes(32)]]) };
const place: ObjectPlace = {
  repositoryId: newUuid<RepositoryId>(),
  projectId: newHexId<ProjectId>(),
  kind: 'record',
  logicalId: newUuid(),
  objectId: newUuid(),
};

test('a sealed object opens in its own place only, and not with a bit or a byte less or more', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), fc.nat(), fc.nat(), (plaintext, bit, cut) => {
      const sealed = sealObject(keys, place, Buffer.from(plaintext));
      assert.deepEqual(new Uint8Array(unsealObject(keys, place, sealed, 'x')), plaintext);
      assertCorrupt(() => unsealObject(keys, place, flipBit(sealed, bit), 'x'), 'x');
      assertCorrupt(() => unsealObject(keys, place, sealed.subarray(0, cut % sealed.length), 'x'), 'x');
      assertCorrupt(() => unsealObject(keys, place, Buffer.concat([sealed, Buffer.alloc(1)]), 'x'), 'x');
    }),
    { numRuns: 300 },
  );
  const sealed = sealObject(keys, place, Buffer.from('contents'));
  const elsewhere: ObjectPlace[] = [
    { ...place, repositoryId: newUuid<RepositoryId>() },
    { ...place, projectId: newHexId<ProjectId>() },
    { ...place, kind: 'label' },
    { ...place, logicalId: newUuid() },
    { ...place, objectId: newUuid() },
    // Joined without lengths, these two would be the same place as the one above.
    { ...place, logicalId: `${place.logicalId}${place.objectId}`, objectId: '' },
  ];
  for (const other of elsewhere) assertCorrupt(() => unsealObject(keys, other, sealed, 'x'), 'x');
});

test('the same plaintext is never sealed to the same bytes', () => {
  const objects = Array.from({ length: 50 }, () => sealObject(keys, place, Buffer.alloc(16)).toString('hex'));
  assert.equal(new Set(objects).size, objects.length);
});

test('a part opens under its own ordinal and associated data only', () => {
  const key = randomBytes(32);
  const aad = [Buffer.from('header'), Buffer.from('frame')];
  const { ciphertext, tag } = seal(key, 7, aad, Buffer.from('chunk'));
  const sealed = Buffer.concat([ciphertext, tag]);
  const where = { object: 'x', offsetBytes: 64 };
  assert.equal(unseal(key, 7, aad, sealed, where).toString(), 'chunk');
  assertCorrupt(() => unseal(key, 8, aad, sealed, where), 'x');
  assertCorrupt(() => unseal(key, 7, [aad[0] ?? key, Buffer.from('other')], sealed, where), 'x');
  assertCorrupt(() => unseal(key, 7, aad, sealed.subarray(0, 15), where), 'x');
});
