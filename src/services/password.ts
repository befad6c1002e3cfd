// Password hashing: scrypt in the thread pool, with its parameters in the stored string so that they can be raised.
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { VbsError } from '../core/errors.ts';
import { PASSWORD_CHECK_WAITING_MAX } from '../core/limits.ts';

export type PasswordCost = { readonly logN: number; readonly r: number; readonly p: number };

/** 32 MiB and three passes: OWASP's equal of N = 2^17 at a quarter of the memory, about 0.2 s of one core. */
export const PASSWORD_COST: PasswordCost = { logN: 15, r: 8, p: 3 };
const SALT_SIZE_BYTES = 16;
const HASH_SIZE_BYTES = 32;
/** A stored string that asks for more than this is damaged, and would stall the process. */
const MEMORY_MAX_BYTES = 256 * 1024 * 1024;
const STORED_PATTERN = /^scrypt\$(\d{1,2})\$(\d{1,2})\$(\d{1,2})\$([\w-]{1,128})\$([\w-]{1,128})$/;

const scryptAsync = promisify<string, Uint8Array, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(
  scrypt,
);

/** Checks run one after the other: more at once would take the thread pool away from the disks. */
let lastCheck: Promise<unknown> = Promise.resolve();
let waitingCount = 0;

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (waitingCount >= PASSWORD_CHECK_WAITING_MAX) throw new VbsError('SERVICE_BUSY');
  waitingCount += 1;
  const turn = lastCheck.then(work, work);
  lastCheck = turn;
  try {
    return await turn;
  } finally {
    waitingCount -= 1;
  }
}

function derive(password: string, salt: Uint8Array, { logN, r, p }: PasswordCost, sizeBytes: number): Promise<Buffer> {
  const N = 2 ** logN;
  // OpenSSL counts a little more than 128 * N * r, hence the extra MiB.
  return scryptAsync(password.normalize('NFKC'), salt, sizeBytes, { N, r, p, maxmem: 128 * r * (N + p) + 1024 * 1024 });
}

/** `scrypt$logN$r$p$salt$hash`, the last two in base64url. */
export async function hashPassword(password: string, cost = PASSWORD_COST): Promise<string> {
  const salt = randomBytes(SALT_SIZE_BYTES);
  const hash = await inTurn(() => derive(password, salt, cost, HASH_SIZE_BYTES));
  const { logN, r, p } = cost;
  return ['scrypt', logN, r, p, salt.toString('base64url'), hash.toString('base64url')].join('$');
}

/** Asked and told in a check's own turn. A closed gate refuses without any work. */
export type PasswordGate = { isOpen(): boolean; settle(isRight: boolean): void };

/**
 * True when the password belongs to the stored string. Without a stored string (no such user) the same work is done
 * and the answer is false, so that the time taken does not tell who exists.
 */
export async function verifyPassword(
  password: string,
  stored: string | undefined,
  cost = PASSWORD_COST,
  gate?: PasswordGate,
): Promise<boolean> {
  const parsed = stored === undefined ? undefined : parseStored(stored);
  const { parameters, salt, hash } = parsed ?? {
    parameters: cost,
    salt: Buffer.alloc(SALT_SIZE_BYTES),
    hash: Buffer.alloc(HASH_SIZE_BYTES),
  };
  return await inTurn(async () => {
    if (gate?.isOpen() === false) return false;
    const derived = await derive(password, salt, parameters, hash.length);
    const isRight = timingSafeEqual(derived, hash) && parsed !== undefined;
    gate?.settle(isRight);
    return isRight;
  });
}

function parseStored(stored: string): { parameters: PasswordCost; salt: Buffer; hash: Buffer } | undefined {
  const match = STORED_PATTERN.exec(stored);
  if (match === null) return undefined;
  const parameters = { logN: Number(match[1]), r: Number(match[2]), p: Number(match[3]) };
  const { logN, r, p } = parameters;
  if (logN < 1 || r < 1 || p < 1 || logN > 24 || 128 * r * (2 ** logN + p) > MEMORY_MAX_BYTES) return undefined;
  return { parameters, salt: Buffer.from(match[4] ?? '', 'base64url'), hash: Buffer.from(match[5] ?? '', 'base64url') };
}
