// Which chunks are hooks, and what the catalog knows of them: nothing that whoever reads it could test content with.
import { createHmac } from 'node:crypto';
import type { Hook } from '../../core/ledger.ts';
import { DIGEST_SIZE_BYTES } from '../format/pack-format.ts';

/** True for one digest in 32. */
export function isHook(digests: Buffer, offset: number): boolean {
  return ((digests[offset] ?? 0xff) & 0xf8) === 0;
}

/** First 8 bytes of the HMAC of the digest at `offset`. */
export function deriveHook(hookKey: Uint8Array, digests: Buffer, offset: number): bigint {
  const digest = digests.subarray(offset, offset + DIGEST_SIZE_BYTES);
  return createHmac('sha256', hookKey).update(digest).digest().readBigUInt64BE();
}

export function hookText(hook: bigint): Hook {
  return hook.toString(16).padStart(16, '0');
}
