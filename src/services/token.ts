// Identity tokens: self-contained and signed, so that no table of them is needed; only revoked ones are remembered.
// Form: base64url(JSON) "." base64url(HMAC-SHA-256 of the first part). They are secrets: never log them.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { Type } from 'typebox';
import { Value } from 'typebox/value';

/** Members are short because the token travels in a header of every request. */
const TokenPayload = Type.Object(
  {
    /** Format version. */
    v: Type.Literal(1),
    /** Audit ids: the token's own first, then that of the token it was made from. */
    ids: Type.Array(Type.String({ maxLength: 64 }), { minItems: 1, maxItems: 2 }),
    user: Type.String({ pattern: '^[0-9a-f]{32}$' }),
    /** What the password was when the token was made: a new password ends the tokens of the old one. */
    stamp: Type.String({ maxLength: 32 }),
    project: Type.Union([Type.String({ pattern: '^[0-9a-f]{32}$' }), Type.Null()]),
    domain: Type.Union([Type.String({ maxLength: 64 }), Type.Null()]),
    methods: Type.Array(Type.String({ maxLength: 32 }), { minItems: 1, maxItems: 4 }),
    /** Epoch milliseconds. */
    iat: Type.Integer(),
    exp: Type.Integer(),
  },
  { additionalProperties: false },
);
export type TokenPayload = Type.Static<typeof TokenPayload>;

/** Far above what `signToken` makes; bounds the work that a forged one can cause. */
const TOKEN_LENGTH_MAX = 2048;

export function signToken(payload: TokenPayload, key: Uint8Array): string {
  const body = Buffer.from(JSON.stringify(payload)).toString('base64url');
  return `${body}.${mac(body, key).toString('base64url')}`;
}

/** Undefined when the token is malformed, was not signed with this key, or has expired. */
export function openToken(tokenId: string, key: Uint8Array, nowAt: number): TokenPayload | undefined {
  const dot = tokenId.indexOf('.');
  if (dot < 1 || tokenId.length > TOKEN_LENGTH_MAX) return undefined;
  const body = tokenId.slice(0, dot);
  const given = Buffer.from(tokenId.slice(dot + 1), 'base64url');
  const expected = mac(body, key);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  // What we signed parses; the check guards against a key that an older or newer version used for another format.
  const payload: unknown = JSON.parse(Buffer.from(body, 'base64url').toString('utf8'));
  if (!Value.Check(TokenPayload, payload) || payload.exp <= nowAt) return undefined;
  return payload;
}

/** Changes with the password and tells nothing about it. */
export function passwordStamp(passwordHash: string): string {
  return createHash('sha256').update(passwordHash).digest('base64url').slice(0, 12);
}

function mac(body: string, key: Uint8Array): Buffer {
  return createHmac('sha256', key).update('openvbs-token/1\0').update(body).digest();
}
