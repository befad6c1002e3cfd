// Requests of the volume API (contract 3.25): creating, updating, adopting, listing. Actions are in volume-actions.ts.
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { type BackupId, parseUuid, type SnapshotId, type VolumeId } from '../../core/ids.ts';
import type { TimeFilter, VolumeSortKey } from '../../services/list-page.ts';
import type { CreateVolumeInput } from '../../services/volume-creation.ts';
import type { AdoptVolumeInput, UpdateVolumeInput, VolumeListFilter } from '../../services/volume-service.ts';
import type { Microversion } from '../plugins/microversion.ts';
import { BooleanWord, Links, Metadata, NativeTime, nullable, PageQuery, Uuid } from './common.ts';
import { type QueryValues, queryText, type SortKeys } from './list-query.ts';
import { parseScope } from './native-backups.ts';
import {
  dropUndefined,
  invalidField,
  isJsonObject,
  type JsonObject,
  type ParsedBody,
  parseBooleanWord,
  parseInteger,
  parseMetadata,
  readBoolean,
  readKey,
  readNullableText,
  refuseUnknownKeys,
  requireEnvelope,
} from './parse.ts';

const TEXT_MAX = 255;
const PATH_MAX = 4096;

export const VolumeSummary = Type.Object(
  { id: Uuid, name: nullable(Type.String()), links: Links },
  { $id: 'VolumeSummary' },
);

export const VolumeBody = Type.Object(
  {
    id: Uuid,
    name: nullable(Type.String()),
    description: nullable(Type.String()),
    status: Type.String(),
    size: Type.Integer({ description: 'GiB' }),
    availability_zone: Type.String(),
    created_at: NativeTime,
    updated_at: nullable(NativeTime),
    volume_type: nullable(Type.String()),
    snapshot_id: nullable(Uuid),
    source_volid: nullable(Uuid),
    metadata: Metadata,
    user_id: Type.String(),
    bootable: Type.String({ description: '"true" or "false"' }),
    encrypted: Type.Boolean(),
    replication_status: Type.Null(),
    consistencygroup_id: Type.Null(),
    multiattach: Type.Boolean(),
    attachments: Type.Array(Type.Unknown()),
    volume_image_metadata: Type.Optional(Metadata),
    links: Links,
    'os-vol-tenant-attr:tenant_id': Type.Optional(Type.String()),
    'os-vol-host-attr:host': Type.Optional(Type.String({ description: 'Admins' })),
  },
  { $id: 'Volume' },
);

const Text = nullable(Type.String({ maxLength: TEXT_MAX }));

export const CreateVolumeBody = Type.Object(
  {
    volume: Type.Object({
      size: Type.Optional(nullable(Type.Union([Type.Integer({ minimum: 1 }), Type.String({ pattern: '^[0-9]+$' })]))),
      name: Type.Optional(Text),
      description: Type.Optional(Text),
      volume_type: Type.Optional(Text),
      availability_zone: Type.Optional(Text),
      backup_id: Type.Optional(nullable(Type.String({ format: 'uuid', description: 'From 3.47' }))),
      snapshot_id: Type.Optional(nullable(Uuid)),
      source_volid: Type.Optional(nullable(Uuid)),
      metadata: Type.Optional(nullable(Metadata)),
      multiattach: Type.Optional(nullable(BooleanWord)),
    }),
  },
  { $id: 'CreateVolume' },
);

export const UpdateVolumeBody = Type.Object(
  {
    volume: Type.Object({
      name: Type.Optional(Text),
      description: Type.Optional(Text),
      metadata: Type.Optional(Metadata),
    }),
  },
  { $id: 'UpdateVolume' },
);

export const AdoptVolumeBody = Type.Object(
  {
    volume: Type.Object({
      host: Type.String({ description: 'Host of the service cinder-volume in GET /os-services' }),
      ref: Type.Object({ 'source-name': Type.String({ description: 'Absolute path within the permitted roots' }) }),
      name: Type.Optional(Text),
      description: Type.Optional(Text),
      volume_type: Type.Optional(Text),
      availability_zone: Type.Optional(Text),
      metadata: Type.Optional(nullable(Metadata)),
      bootable: Type.Optional(BooleanWord),
    }),
  },
  {
    $id: 'AdoptVolume',
    examples: [{ volume: { host: 'backup-1@file#file', ref: { 'source-name': '/srv/disks/db.img' }, name: 'db' } }],
  },
);

export const VolumeListQuery = Type.Object({
  ...PageQuery,
  name: Type.Optional(Type.String()),
  status: Type.Optional(Type.String()),
  availability_zone: Type.Optional(Type.String()),
  size: Type.Optional(Type.Integer()),
  bootable: Type.Optional(Type.Boolean()),
  metadata: Type.Optional(Type.String({ examples: ["{'tier': 'gold'}"] })),
  'name~': Type.Optional(Type.String({ description: 'Substring, from 3.31' })),
  'status~': Type.Optional(Type.String({ description: 'Substring, from 3.31' })),
  'description~': Type.Optional(Type.String({ description: 'Substring, from 3.31' })),
  created_at: Type.Optional(Type.String({ description: 'A time; from 3.60 also gt:, gte:, eq:, neq:, lt:, lte:' })),
  updated_at: Type.Optional(Type.String({ description: 'As created_at' })),
  with_count: Type.Optional(Type.Boolean({ description: 'From 3.45' })),
  all_tenants: Type.Optional(Type.Boolean({ description: 'Admins; ignored from others' })),
  project_id: Type.Optional(Type.String({ description: 'Admins, with all_tenants' })),
});

/** What is no UUID is unknown, since clients try names as ids first. @throws VOLUME_NOT_FOUND */
export function checkVolumeId(text: string): VolumeId {
  const volumeId = parseUuid<VolumeId>(text);
  if (volumeId === undefined) throw new VbsError('VOLUME_NOT_FOUND', { volumeId: text.slice(0, TEXT_MAX) });
  return volumeId;
}

const CREATE_KEYS = [
  'size',
  'name',
  'display_name',
  'description',
  'display_description',
  'volume_type',
  'availability_zone',
  'snapshot_id',
  'source_volid',
  'backup_id',
  'imageRef',
  'image_id',
  'metadata',
  'consistencygroup_id',
  'group_id',
  'multiattach',
];
const SOURCE_KEYS = ['snapshot_id', 'source_volid', 'backup_id', 'imageRef', 'image_id'];

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID, VOLUME_SIZE_INVALID; ROUTE_NOT_FOUND for groups */
export function checkCreateVolume(body: ParsedBody, version: Microversion): CreateVolumeInput {
  const volume = requireEnvelope(body, 'volume');
  if (version >= 53) refuseUnknownKeys(volume, CREATE_KEYS, 'volume');
  const sizeGib = checkSize(readKey(volume, 'size'), hasSource(volume));
  const { name = null, description = null } = readNameAndDescription(volume);
  const volumeType = readNullableText(volume, 'volume_type', 'volume_type', TEXT_MAX);
  const availabilityZone = readNullableText(volume, 'availability_zone', 'availability_zone', TEXT_MAX);
  const source = checkSource(volume, version);
  const metadata = checkMetadata(readKey(volume, 'metadata'));
  refuseUnoffered(volume);
  return { sizeGib, name, description, volumeType, availabilityZone, ...source, metadata };
}

function hasSource(volume: JsonObject): boolean {
  return SOURCE_KEYS.some((key) => (readKey(volume, key) ?? null) !== null);
}

/** @throws VOLUME_SIZE_INVALID */
function checkSize(value: unknown, isOptional: boolean): number | null {
  if ((value === undefined || value === null) && isOptional) return null;
  const size = parseInteger(value);
  if (size === undefined || size < 1)
    throw new VbsError('VOLUME_SIZE_INVALID', { reason: 'it must be an integer from 1 on' });
  return size;
}

/** `display_name` and `display_description` are older names of the same; undefined when a key is absent. */
function readNameAndDescription(volume: JsonObject): UpdateVolumeInput {
  return dropUndefined({
    name: readTrimmed(volume, Object.hasOwn(volume, 'name') ? 'name' : 'display_name'),
    description: readTrimmed(volume, Object.hasOwn(volume, 'description') ? 'description' : 'display_description'),
  });
}

function readTrimmed(volume: JsonObject, key: string): string | null | undefined {
  const value = readKey(volume, key);
  if (value === undefined) return undefined;
  return readNullableText({ text: typeof value === 'string' ? value.trim() : value }, 'text', key, TEXT_MAX);
}

function checkSource(
  volume: JsonObject,
  version: Microversion,
): Pick<CreateVolumeInput, 'backupId' | 'snapshotId' | 'sourceVolumeId'> {
  const none = { backupId: null, snapshotId: null, sourceVolumeId: null };
  const sources = SOURCE_KEYS.filter((key) => (readKey(volume, key) ?? null) !== null);
  if (sources.length > 1) throw invalidField(sources[1] ?? '', 'at most one source can be given');
  const [source] = sources;
  if (source === undefined) return none;
  const text = readKey(volume, source);
  const id = typeof text === 'string' ? parseUuid<BackupId & SnapshotId & VolumeId>(text) : undefined;
  if (id === undefined) throw invalidField(source, 'it is not a UUID');
  if (source === 'snapshot_id') return { ...none, snapshotId: id };
  if (source === 'source_volid') return { ...none, sourceVolumeId: id };
  // Refused rather than ignored: the volume would be empty where the client expects data.
  if (source !== 'backup_id') throw invalidField(source, 'volumes cannot be made from this');
  if (version < 47) throw invalidField(source, 'it needs OpenStack-API-Version: volume 3.47');
  return { ...none, backupId: id };
}

function checkMetadata(value: unknown): Record<string, string> {
  return value === undefined || value === null ? {} : parseMetadata(value, 'metadata');
}

function refuseUnoffered(volume: JsonObject): void {
  for (const key of ['consistencygroup_id', 'group_id']) {
    if ((readKey(volume, key) ?? null) !== null) throw new VbsError('ROUTE_NOT_FOUND');
  }
  const multiattach = readKey(volume, 'multiattach');
  if (multiattach !== undefined && multiattach !== null && parseBooleanWord(multiattach, 'multiattach')) {
    throw invalidField('multiattach', 'it is not offered');
  }
}

const UPDATE_KEYS = ['name', 'display_name', 'description', 'display_description', 'metadata'];

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID */
export function checkUpdateVolume(body: ParsedBody, version: Microversion): UpdateVolumeInput {
  const volume = requireEnvelope(body, 'volume');
  if (version >= 53 && !UPDATE_KEYS.some((key) => Object.hasOwn(volume, key))) {
    throw invalidField('volume', `it needs one of ${UPDATE_KEYS.join(', ')}`);
  }
  const metadata = readKey(volume, 'metadata');
  return {
    ...readNameAndDescription(volume),
    ...(metadata === undefined || metadata === null ? {} : { metadata: parseMetadata(metadata, 'metadata') }),
  };
}

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID */
export function checkAdoptVolume(body: ParsedBody): AdoptVolumeInput {
  const volume = requireEnvelope(body, 'volume');
  const host = readNullableText(volume, 'host', 'host', TEXT_MAX);
  if (host === null || host === '') throw invalidField('host', 'it is required');
  const ref = readKey(volume, 'ref');
  const reference = isJsonObject(ref) ? readNullableText(ref, 'source-name', 'ref.source-name', PATH_MAX) : null;
  if (reference === null || reference === '') throw invalidField('ref.source-name', 'it is required');
  const { name = null, description = null } = readNameAndDescription(volume);
  return {
    host,
    reference,
    name,
    description,
    volumeType: readNullableText(volume, 'volume_type', 'volume_type', TEXT_MAX),
    availabilityZone: readNullableText(volume, 'availability_zone', 'availability_zone', TEXT_MAX),
    metadata: checkMetadata(readKey(volume, 'metadata')),
    isBootable: readBoolean(volume, 'bootable', 'bootable', false),
  };
}

export const VOLUME_SORT_KEYS: SortKeys<VolumeSortKey> = {
  id: 'id',
  name: 'name',
  display_name: 'name',
  status: 'status',
  size: 'size',
  created_at: 'createdAt',
  updated_at: 'updatedAt',
  bootable: 'bootable',
  availability_zone: 'availabilityZone',
  volume_type: 'volumeType',
};

const LIST_KEYS = Object.keys(VolumeListQuery.properties);

/** @throws REQUEST_FIELD_INVALID */
export function parseVolumeFilter(
  query: QueryValues,
  context: { readonly version: Microversion; readonly isAdmin: boolean },
): VolumeListFilter {
  if (context.version >= 31 && !context.isAdmin) refuseUnknownKeys(query, LIST_KEYS, 'query');
  const filters = {
    name: queryText(query, 'name'),
    status: queryText(query, 'status'),
    availabilityZone: queryText(query, 'availability_zone'),
    sizeGib: parseSizeFilter(queryText(query, 'size')),
    isBootable: parseBootable(queryText(query, 'bootable'), context.version),
    metadata: parseMetadataFilter(queryText(query, 'metadata')),
    createdAt: parseTimeFilter(query, 'created_at', context.version),
    updatedAt: parseTimeFilter(query, 'updated_at', context.version),
    ...(context.version < 31
      ? {}
      : {
          nameLike: queryText(query, 'name~'),
          statusLike: queryText(query, 'status~'),
          descriptionLike: queryText(query, 'description~'),
        }),
  };
  return { ...dropUndefined(filters), ...parseScope(query, context.isAdmin) };
}

function parseSizeFilter(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const size = parseInteger(text);
  if (size === undefined) throw invalidField('size', 'it must be an integer');
  return size;
}

const BOOTABLE_WORDS: Readonly<Record<string, boolean>> = {
  T: true,
  True: true,
  '1': true,
  true: true,
  F: false,
  False: false,
  '0': false,
  false: false,
};

function parseBootable(text: string | undefined, version: Microversion): boolean | undefined {
  if (text === undefined) return undefined;
  const isBootable = Object.hasOwn(BOOTABLE_WORDS, text) ? BOOTABLE_WORDS[text] : undefined;
  if (isBootable === undefined && version >= 2) throw invalidField('bootable', 'it must be true or false');
  return isBootable ?? parseBooleanWord(text, 'bootable');
}

/** JSON, or the Python literal that cinderclient writes: `{'tier': 'gold'}`. */
export function parseMetadataFilter(text: string | undefined): Record<string, string> | undefined {
  if (text === undefined) return undefined;
  const json = parseJson(text) ?? parseJson(text.replaceAll('"', '\\"').replaceAll("'", '"'));
  if (json === undefined) throw invalidField('metadata', 'it must be a map of strings');
  return parseMetadata(json, 'metadata');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const COMPARISONS = [
  'gt',
  'gte',
  'eq',
  'neq',
  'lt',
  'lte',
] as const satisfies readonly TimeFilter[number]['comparison'][];

/** `2026-02-03T09:15:00`, and from 3.60 `gt:<time>,lte:<time>`. */
function parseTimeFilter(query: QueryValues, field: string, version: Microversion): TimeFilter | undefined {
  const text = queryText(query, field);
  if (text === undefined) return undefined;
  const parts = version >= 60 ? text.split(',') : [text];
  return parts.map((part) => {
    const [, word = '', time = ''] = /^(?:([a-z]+):)?(.*)$/s.exec(part.trim()) ?? [];
    const comparison = word === '' ? 'eq' : COMPARISONS.find((each) => each === word);
    if (comparison === undefined || (word !== '' && version < 60)) {
      throw invalidField(field, `comparisons are ${COMPARISONS.join(', ')}, from version 3.60 on`);
    }
    return { comparison, at: parseTime(time, field) };
  });
}

function parseTime(text: string, field: string): number {
  const isPlain = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]00:?00)?)?$/.test(text);
  const [day = '', time] = text.split(/[T ]/);
  const at = isPlain ? Date.parse(time === undefined ? day : `${day}T${time.replace(/(Z|[+-].*)$/, '')}Z`) : Number.NaN;
  if (Number.isNaN(at)) throw invalidField(field, 'it must be a time such as 2026-02-03T09:15:00.000000');
  return at;
}
