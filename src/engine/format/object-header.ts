// The 64 bytes in the clear at the head of every sealed object. Source: docs/repository-format.md, "Header".
//   MAGIC(8) || VERSION(u16) || KIND(u8) || ZERO(5) || PROJECT KEY ID(16) || SALT(32), little-endian
import { randomBytes } from 'node:crypto';
import { VbsError } from '../../core/errors.ts';
import { idToBytes, type KeyId, uuidFromBytes } from '../../core/ids.ts';

export const HEADER_SIZE_BYTES = 64;
export const FORMAT_VERSION = 1;
const MAGIC = Buffer.from('OpenVBS\n', 'latin1');
const SALT_OFFSET = 32;

export const OBJECT_KINDS = { data: 1, page: 2, record: 3, epoch: 4, label: 5 } as const;
export type ObjectKind = keyof typeof OBJECT_KINDS;

/** A new header with a fresh random salt: no two objects ever share a key. */
export function createHeader(kind: ObjectKind, keyId: KeyId): Buffer {
  return encodeHeader(kind, keyId, randomBytes(32));
}

/** The header that an object with this salt has. */
export function encodeHeader(kind: ObjectKind, keyId: KeyId, salt: Uint8Array): Buffer {
  const header = Buffer.alloc(HEADER_SIZE_BYTES);
  MAGIC.copy(header, 0);
  header.writeUInt16LE(FORMAT_VERSION, 8);
  header.writeUInt8(OBJECT_KINDS[kind], 10);
  idToBytes(keyId).copy(header, 16);
  header.set(salt, SALT_OFFSET);
  return header;
}

/** Where the salt stands, whatever the rest of the header says. */
export function saltOf(header: Buffer): Buffer {
  return header.subarray(SALT_OFFSET, HEADER_SIZE_BYTES);
}

/** Checks the header's fixed parts. `object` names it in errors. @throws DATA_CORRUPT */
export function parseHeader(header: Buffer, kind: ObjectKind, object: string): { keyId: KeyId; salt: Buffer } {
  const refuse = (offsetBytes: number, reason: string) => new VbsError('DATA_CORRUPT', { object, offsetBytes, reason });
  if (header.length < HEADER_SIZE_BYTES) throw refuse(header.length, 'the object ends inside its header');
  if (!header.subarray(0, 8).equals(MAGIC)) throw refuse(0, 'the magic number is damaged');
  const version = header.readUInt16LE(8);
  // The config, which is authenticated, says which version the repository has; any other one here is damage.
  if (version !== FORMAT_VERSION) throw refuse(8, `format version ${version}, the repository has ${FORMAT_VERSION}`);
  if (header.readUInt8(10) !== OBJECT_KINDS[kind]) throw refuse(10, `the object is not of kind ${kind}`);
  if (header.subarray(11, 16).some((byte) => byte !== 0)) throw refuse(11, 'reserved bytes are not zero');
  return { keyId: uuidFromBytes<KeyId>(header, 16), salt: header.subarray(SALT_OFFSET, HEADER_SIZE_BYTES) };
}
