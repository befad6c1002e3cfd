import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { it } from 'node:test';
import fc from 'fast-check';
import { accountStamp, keyIdOf, openToken, signToken, type TokenPayload } from '../../../src/services/token.ts';

const key = { keyId: '0a1b2c3d', secret: randomBytes(32) };
const payload: TokenPayload = {
  v: 2,
  ids: ['Qm9vLXh5eg'],
  user: '4c3b2a19087f6e5d4c3b2a19087f6e5d',
  stamp: 'abcdefghijkl',
  project: '9f1c2d3e4b5a46978899aabbccddeeff',
  domain: null,
  cred: null,
  methods: ['password'],
  iat: 1_000,
  exp: 2_000,
};

it('opens what it signed until it expires', () => {
  const tokenId = signToken(payload, key);
  assert.deepEqual(openToken(tokenId, key.secret, 1_999), payload);
  assert.equal(openToken(tokenId, key.secret, 2_000), undefined);
  assert.equal(keyIdOf(tokenId), key.keyId);
});

it('refuses another key', () => {
  assert.equal(openToken(signToken(payload, key), randomBytes(32), 1_500), undefined);
});

it('refuses any change of a token', () => {
  const tokenId = signToken(payload, key);
  fc.assert(
    fc.property(fc.nat(tokenId.length - 2), fc.constantFrom('A', 'z', '0', '-', '.'), (index, letter) => {
      fc.pre(tokenId[index] !== letter);
      const changed = tokenId.slice(0, index) + letter + tokenId.slice(index + 1);
      assert.equal(openToken(changed, key.secret, 1_500), undefined);
    }),
  );
});

it('refuses whatever text comes in a header', () => {
  fc.assert(fc.property(fc.string(), (text) => openToken(text, key.secret, 1_500) === undefined));
  assert.equal(openToken('x'.repeat(100_000), key.secret, 1_500), undefined);
});

it('a signed payload of another shape is refused', () => {
  const other = { ...payload, user: 'admin' };
  assert.equal(openToken(signToken(other, key), key.secret, 1_500), undefined);
});

it('names no key for what is no token', () => {
  for (const text of ['', 'x', '0a1b2c3d', '0a1b2c3d.e30', '0A1B2C3D.e30.AAAA', '0a1b2c3d.a.b.c', 'x'.repeat(5000)]) {
    assert.equal(keyIdOf(text), undefined, text.slice(0, 20));
  }
});

it('a stamp changes with the password and with either generation', () => {
  const user = { passwordHash: 'scrypt$a', tokenGeneration: 0 };
  const stamps = [
    accountStamp(user, null),
    accountStamp({ ...user, passwordHash: 'scrypt$b' }, null),
    accountStamp({ ...user, tokenGeneration: 1 }, null),
    accountStamp(user, { tokenGeneration: 0 }),
    accountStamp(user, { tokenGeneration: 1 }),
  ];
  assert.equal(new Set(stamps).size, stamps.length);
  assert.equal(accountStamp({ ...user }, null), stamps[0]);
});
