// Identifiers as branded strings: made and checked only here, so that one kind can never be passed for another.
import { randomBytes, randomUUID } from 'node:crypto';

declare const brand: unique symbol;
type Id<Name extends string> = string & { readonly [brand]: Name };

/** 32 lower-case hex digits, no dashes (projects, users, domains: Keystone's form). */
export type ProjectId = Id<'project'>;
export type UserId = Id<'user'>;
export type ApplicationCredentialId = Id<'application-credential'>;
/** UUIDs, 8-4-4-4-12 lower-case hex. */
export type VolumeId = Id<'volume'>;
export type SnapshotId = Id<'snapshot'>;
export type BackupId = Id<'backup'>;
export type JobId = Id<'job'>;
export type PolicyId = Id<'policy'>;
/** A task is one volume's part of one run of a policy. */
export type TaskId = Id<'task'>;
export type SharingId = Id<'sharing'>;
export type TraceId = Id<'trace'>;
export type VolumeTypeId = Id<'volume-type'>;
export type AttachmentId = Id<'attachment'>;
export type MessageId = Id<'message'>;
/** One try of a job at writing a backup; it names the backup's record. */
export type AttemptId = Id<'attempt'>;
export type PackId = Id<'pack'>;
/** One stored version of a pack. */
export type ObjectId = Id<'object'>;
export type KeyId = Id<'key'>;
export type RepositoryId = Id<'repository'>;
export type CatalogId = Id<'catalog'>;

const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const HEX_32_PATTERN = /^[0-9a-f]{32}$/i;

export function isUuid(text: string): boolean {
  return UUID_PATTERN.test(text);
}

/** Parses a UUID of either case; undefined when it is none. The caller names the kind: `parseUuid<BackupId>(text)`. */
export function parseUuid<T extends Id<string>>(text: string): T | undefined {
  // The cast is the brand: this function is where a checked string becomes an id.
  return UUID_PATTERN.test(text) ? (text.toLowerCase() as T) : undefined;
}

type HexId = ProjectId | UserId | ApplicationCredentialId;

/** Parses an id of identity: 32 hex digits, dashes of a UUID tolerated. */
export function parseHexId<T extends HexId>(text: string): T | undefined {
  const bare = isUuid(text) ? text.replaceAll('-', '') : text;
  return HEX_32_PATTERN.test(bare) ? (bare.toLowerCase() as T) : undefined;
}

export function newUuid<T extends Id<string>>(): T {
  return randomUUID() as string as T;
}

export function newHexId<T extends HexId>(): T {
  return randomBytes(16).toString('hex') as T;
}

/** The 16 bytes of a UUID or 32-hex id, as they stand in binary formats. */
export function idToBytes(id: string): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}

/** Inverse of `idToBytes` for UUIDs. `bytes` must hold 16 bytes from `offset` on. */
export function uuidFromBytes<T extends Id<string>>(bytes: Uint8Array, offset = 0): T {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset + offset, 16).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as T;
}
