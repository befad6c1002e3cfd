// AES-256-GCM under a key of the object's own, with the ordinal of the part inside the object as nonce.
// A nonce repeats only if 256 random bits of salt do. Source: docs/repository-format.md, "Sealing".
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { VbsError } from '../../core/errors.ts';
import type { ProjectId, RepositoryId } from '../../core/ids.ts';
import { OBJECT_KINDS, type ObjectKind } from '../format/object-header.ts';

export const TAG_SIZE_BYTES = 16;
const NONCE_SIZE_BYTES = 12;

/** Where an object stands: bound into its key, so that nothing can be moved to another name, project or repository. */
export type ObjectPlace = {
  readonly repositoryId: RepositoryId;
  readonly projectId: ProjectId;
  readonly kind: ObjectKind;
  /** Pack, backup or project id. */
  readonly logicalId: string;
  /** Object or attempt id, or a fixed word. */
  readonly objectId: string;
};

/** The object's key: HKDF-SHA-256 of the project key with the header's salt. */
export function deriveObjectKey(projectKey: Uint8Array, salt: Uint8Array, place: ObjectPlace): Buffer {
  const info = joinWithLengths([
    'openvbs/1',
    String(OBJECT_KINDS[place.kind]),
    place.repositoryId,
    place.projectId,
    place.logicalId,
    place.objectId,
  ]);
  return Buffer.from(hkdfSync('sha256', projectKey, salt, info, 32));
}

/** Each part preceded by its length (u16, little-endian), so that no two lists of parts give the same bytes. */
export function joinWithLengths(parts: readonly string[]): Buffer {
  const pieces: Buffer[] = [];
  for (const part of parts) {
    const bytes = Buffer.from(part, 'utf8');
    const length = Buffer.alloc(2);
    length.writeUInt16LE(bytes.length);
    pieces.push(length, bytes);
  }
  return Buffer.concat(pieces);
}

function nonceOf(ordinal: number): Buffer {
  const nonce = Buffer.alloc(NONCE_SIZE_BYTES);
  nonce.writeUInt32LE(ordinal);
  return nonce;
}

/** Ciphertext of the plaintext's length and its tag of 16 bytes. `aad` parts are authenticated in order. */
export function seal(
  key: Uint8Array,
  ordinal: number,
  aad: readonly Uint8Array[],
  plaintext: Uint8Array,
): { ciphertext: Buffer; tag: Buffer } {
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(ordinal));
  for (const part of aad) cipher.setAAD(part);
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return { ciphertext, tag: cipher.getAuthTag() };
}

/**
 * Opens ciphertext || tag. `object` and `offsetBytes` say where it stands, for the error.
 * @throws DATA_CORRUPT when a single bit of it, of `aad` or of the key's place differs.
 */
export function unseal(
  key: Uint8Array,
  ordinal: number,
  aad: readonly Uint8Array[],
  sealed: Uint8Array,
  where: { object: string; offsetBytes: number },
): Buffer {
  if (sealed.length < TAG_SIZE_BYTES)
    throw new VbsError('DATA_CORRUPT', { ...where, reason: 'the sealed part is cut off' });
  const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(ordinal), { authTagLength: TAG_SIZE_BYTES });
  for (const part of aad) decipher.setAAD(part);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_SIZE_BYTES));
  const plaintext = decipher.update(sealed.subarray(0, sealed.length - TAG_SIZE_BYTES));
  try {
    decipher.final();
  } catch (cause) {
    throw new VbsError('DATA_CORRUPT', { ...where, reason: 'the authentication tag does not match' }, { cause });
  }
  return plaintext;
}
