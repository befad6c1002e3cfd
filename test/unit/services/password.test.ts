import assert from 'node:assert/strict';
import { it } from 'node:test';
import { hashPassword, verifyPassword } from '../../../src/services/password.ts';

it('verifies the password it hashed and no other', async () => {
  const stored = await hashPassword('correct horse');
  assert.match(stored, /^scrypt\$15\$8\$3\$[\w-]+\$[\w-]+$/);
  assert.equal(await verifyPassword('correct horse', stored), true);
  assert.equal(await verifyPassword('correct horse ', stored), false);
});

it('salts: the same password gives another string each time', async () => {
  assert.notEqual(await hashPassword('same'), await hashPassword('same'));
});

it('takes its parameters from the stored string', async () => {
  // RFC 7914, section 12: scrypt("pleaseletmein", "SodiumChloride", 16384, 8, 1), first 32 bytes.
  const hash = Buffer.from('7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2', 'hex');
  const stored = `scrypt$14$8$1$${Buffer.from('SodiumChloride').toString('base64url')}$${hash.toString('base64url')}`;
  assert.equal(await verifyPassword('pleaseletmein', stored), true);
});

it('answers false for no user and for a damaged string', async () => {
  assert.equal(await verifyPassword('x', undefined), false);
  assert.equal(await verifyPassword('x', 'scrypt$99$8$1$AAAA$AAAA'), false);
  assert.equal(await verifyPassword('', ''), false);
});
