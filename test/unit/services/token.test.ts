import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { it } from 'node:test';
import fc from 'fast-check';
import { openToken, passwordStamp, signToken, type TokenPayload } from '../../../src/services/token.ts';

const key = randomBytes(32);
const payload: TokenPayload = {
  v: 1,
  ids: ['Qm9vLXh5eg'],
  user: '4c3b2a19087f6e5d4c3b2a19087f6e5d',
  stamp: 'abcdefghijkl',
  project: '9f1c2d3e4b5a46978899aabbccddeeff',
  domain: null,
  methods: ['password'],
  iat: 1_000,
  exp: 2_000,
};

it('opens what it signed until it expires', () => {
  const tokenId = signToken(payload, key);
  assert.deepEqual(openToken(tokenId, key, 1_999), payload);
  assert.equal(openToken(tokenId, key, 2_000), undefined);
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
      assert.equal(openToken(changed, key, 1_500), undefined);
    }),
  );
});

it('refuses whatever text comes in a header', () => {
  fc.assert(fc.property(fc.string(), (text) => openToken(text, key, 1_500) === undefined));
  assert.equal(openToken('x'.repeat(100_000), key, 1_500), undefined);
});

it('a signed payload of another shape is refused', () => {
  const other = { ...payload, user: 'admin' };
  assert.equal(openToken(signToken(other, key), key, 1_500), undefined);
});

it('stamps of two hashes differ', () => {
  assert.notEqual(passwordStamp('scrypt$a'), passwordStamp('scrypt$b'));
});
