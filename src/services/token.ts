// Identity tokens: self-contained and signed, so that no table of them is needed; only revoked ones are remembered.
// Form: key id "." base64url(JSON) "." base64url(HMAC-SHA-256 of what is before). They are secrets: never log them.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { Type } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Project, TokenKey, User } from '../core/model.ts';

/** Members are short because the token travels in a header of every request. */
const TokenPayload = Type.Object(
  {
    /** Format version. */
    v: Type.Literal(2),
    /** Audit ids: the token's own first, then that of the token it was made from. */
    ids: Type.Array(Type.String({ maxLength: 64 }), { minItems: 1, maxItems: 2 }),
    user: Type.String({ pattern: '^[0-9a-f]{32}$' }),
    /** `accountStamp` when the token was made: when it changes, the token ends. */
    stamp: Type.String({ maxLength: 32 }),
    project: Type.Union([Type.String({ pattern: '^[0-9a-f]{32}$' }), Type.Null()]),
    domain: Type.Union([Type.String({ maxLength: 64 }), Type.Null()]),
    /** Application credential. */
    cred: Type.Union([Type.String({ pattern: '^[0-9a-f]{32}$' }), Type.Null()]),
    methods: Type.Array(Type.String({ maxLength: 32 }), { minItems: 1, maxItems: 4 }),
    /** Epoch milliseconds. */
    iat: Type.Integer(),
    exp: Type.Integer(),
  },
  { additionalProperties: false },
);
export type TokenPayload = Type.Static<typeof TokenPayload>;
/** Compiled, for it is asked with every request. */
const payloadCheck = Compile(TokenPayload);

/** Far above what `signToken` makes; bounds the work that a forged one can cause. */
const TOKEN_LENGTH_MAX = 2048;
const KEY_ID_PATTERN = /^[0-9a-f]{8}$/;

export function signToken(payload: TokenPayload, { keyId, secret }: Pick<TokenKey, 'keyId' | 'secret'>): string {
  const signed = `${keyId}.${Buffer.from(JSON.stringify(payload)).toString('base64url')}`;
  return `${signed}.${mac(signed, secret).toString('base64url')}`;
}

/** The key that a token says it was signed with; undefined when it is no token at all. */
export function keyIdOf(tokenId: string): string | undefined {
  if (tokenId.length > TOKEN_LENGTH_MAX) return undefined;
  const [keyId = '', ...rest] = tokenId.split('.', 4);
  return KEY_ID_PATTERN.test(keyId) && rest.length === 2 ? keyId : undefined;
}

/** Undefined when the token is malformed, was not signed with this key, or has expired. */
export function openToken(tokenId: string, secret: Uint8Array, nowAt: number): TokenPayload | undefined {
  if (keyIdOf(tokenId) === undefined) return undefined;
  const end = tokenId.lastIndexOf('.');
  const signed = tokenId.slice(0, end);
  const given = Buffer.from(tokenId.slice(end + 1), 'base64url');
  const expected = mac(signed, secret);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  // What we signed parses; the check guards against a key that an older or newer version used for another format.
  const body = signed.slice(signed.indexOf('.') + 1);
  const payload: unknown = JSON.parse(Buffer.from(body, 'base64url').toString('utf8'));
  if (!payloadCheck.Check(payload) || payload.exp <= nowAt) return undefined;
  return payload;
}

/**
 * Changes with the password, and whenever all tokens of the user or for the project must end. Tells nothing about the
 * password.
 */
export function accountStamp(
  user: Pick<User, 'passwordHash' | 'tokenGeneration'>,
  project: Pick<Project, 'tokenGeneration'> | null,
): string {
  const parts = [user.passwordHash, user.tokenGeneration, project?.tokenGeneration ?? ''];
  return createHash('sha256').update(parts.join('\0')).digest('base64url').slice(0, 12);
}

function mac(signed: string, secret: Uint8Array): Buffer {
  return createHmac('sha256', secret).update('openvbs-token/2\0').update(signed).digest();
}
