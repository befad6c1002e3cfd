// Small objects that are sealed as one part: records, the epoch, labels. HEADER || CIPHERTEXT || TAG.
import { VbsError } from '../../core/errors.ts';
import type { KeyId } from '../../core/ids.ts';
import { createHeader, HEADER_SIZE_BYTES, parseHeader } from '../format/object-header.ts';
import { deriveObjectKey, type ObjectPlace, seal, unseal } from './sealing.ts';

/** A project's keys: the current one for writing, all of them for reading. */
export type ProjectKeys = { readonly currentKeyId: KeyId; readonly keys: ReadonlyMap<KeyId, Buffer> };

/** The key of an object from its header. @throws DATA_CORRUPT when the project has no key of that id */
export function openObjectKey(keys: ProjectKeys, header: Buffer, place: ObjectPlace, object: string): Buffer {
  const { keyId, salt } = parseHeader(header, place.kind, object);
  const projectKey = keys.keys.get(keyId);
  if (!projectKey) {
    const reason = `the header names key ${keyId}, which the project does not have`;
    throw new VbsError('DATA_CORRUPT', { object, offsetBytes: 16, reason });
  }
  return deriveObjectKey(projectKey, salt, place);
}

/** A header for a new object and the key that belongs to it. */
export function createObjectKey(keys: ProjectKeys, place: ObjectPlace): { header: Buffer; key: Buffer } {
  const header = createHeader(place.kind, keys.currentKeyId);
  const projectKey = keys.keys.get(keys.currentKeyId);
  if (!projectKey) throw new VbsError('INTERNAL');
  return { header, key: deriveObjectKey(projectKey, parseHeader(header, place.kind, 'a new object').salt, place) };
}

export function sealObject(keys: ProjectKeys, place: ObjectPlace, plaintext: Buffer): Buffer {
  const { header, key } = createObjectKey(keys, place);
  const { ciphertext, tag } = seal(key, 0, [header], plaintext);
  return Buffer.concat([header, ciphertext, tag]);
}

/** @throws DATA_CORRUPT naming `object` */
export function unsealObject(keys: ProjectKeys, place: ObjectPlace, bytes: Buffer, object: string): Buffer {
  const header = bytes.subarray(0, HEADER_SIZE_BYTES);
  const key = openObjectKey(keys, header, place, object);
  return unseal(key, 0, [header], bytes.subarray(HEADER_SIZE_BYTES), { object, offsetBytes: HEADER_SIZE_BYTES });
}
