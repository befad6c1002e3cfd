// Requests of the snapshot API (contract 3.26).
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { parseUuid, type SnapshotId, type VolumeId } from '../../core/ids.ts';
import { SNAPSHOT_STATUSES, type SnapshotStatus } from '../../core/model.ts';
import type { SnapshotSortKey } from '../../services/list-page.ts';
import type { CreateSnapshotInput, SnapshotListFilter, UpdateSnapshotInput } from '../../services/snapshot-service.ts';
import type { Microversion } from '../plugins/microversion.ts';
import { BooleanWord, Metadata, NativeTime, nullable, PageQuery, Uuid } from './common.ts';
import { type QueryValues, queryText, type SortKeys } from './list-query.ts';
import { parseScope } from './native-backups.ts';
import {
  dropUndefined,
  invalidField,
  isJsonObject,
  type JsonObject,
  type ParsedBody,
  parseBooleanWord,
  parseMetadata,
  readKey,
  readNullableText,
  readWord,
  refuseUnknownKeys,
  requireAction,
  requireEnvelope,
  unknownAction,
} from './parse.ts';
import { parseMetadataFilter } from './volumes.ts';

const TEXT_MAX = 255;

export const SnapshotBody = Type.Object(
  {
    id: Uuid,
    name: nullable(Type.String()),
    description: nullable(Type.String()),
    volume_id: Uuid,
    status: Type.String({ examples: ['creating', 'available', 'deleting', 'error'] }),
    size: Type.Integer({ description: 'GiB of the volume when the snapshot was taken' }),
    metadata: Metadata,
    created_at: NativeTime,
    updated_at: nullable(NativeTime),
    'os-extended-snapshot-attributes:progress': Type.Optional(Type.String({ examples: ['100%'] })),
    'os-extended-snapshot-attributes:project_id': Type.Optional(Type.String()),
    group_snapshot_id: Type.Optional(Type.Null()),
    user_id: Type.Optional(Type.String({ description: 'From 3.41' })),
    consumes_quota: Type.Optional(Type.Boolean({ description: 'From 3.65' })),
  },
  { $id: 'Snapshot' },
);

const Text = nullable(Type.String({ maxLength: TEXT_MAX }));

export const CreateSnapshotBody = Type.Object(
  {
    snapshot: Type.Object({
      volume_id: Uuid,
      name: Type.Optional(Text),
      description: Type.Optional(Text),
      force: Type.Optional(nullable(BooleanWord)),
      metadata: Type.Optional(nullable(Metadata)),
    }),
  },
  { $id: 'CreateSnapshot' },
);

export const UpdateSnapshotBody = Type.Object(
  { snapshot: Type.Object({ name: Type.Optional(Text), description: Type.Optional(Text) }) },
  { $id: 'UpdateSnapshot' },
);

export const SnapshotActionBody = Type.Union(
  [
    Type.Object({ 'os-reset_status': Type.Object({ status: Type.String({ examples: [...SNAPSHOT_STATUSES] }) }) }),
    Type.Object({ 'os-force_delete': Type.Unknown() }),
    Type.Object({
      'os-update_snapshot_status': Type.Object({
        status: Type.String(),
        progress: Type.Optional(Type.String({ examples: ['80%'] })),
      }),
    }),
  ],
  { $id: 'SnapshotAction' },
);

export const SnapshotListQuery = Type.Object({
  ...PageQuery,
  name: Type.Optional(Type.String()),
  status: Type.Optional(Type.String()),
  volume_id: Type.Optional(Type.String()),
  availability_zone: Type.Optional(Type.String()),
  metadata: Type.Optional(Type.String({ examples: ["{'tier': 'gold'}"] })),
  'name~': Type.Optional(Type.String({ description: 'Substring, from 3.31' })),
  'status~': Type.Optional(Type.String({ description: 'Substring, from 3.31' })),
  'volume_id~': Type.Optional(Type.String({ description: 'Substring, from 3.31' })),
  with_count: Type.Optional(Type.Boolean({ description: 'From 3.45' })),
  consumes_quota: Type.Optional(Type.Boolean({ description: 'From 3.65; all snapshots do' })),
  all_tenants: Type.Optional(Type.Boolean({ description: 'Admins; ignored from others' })),
  project_id: Type.Optional(Type.String({ description: 'Admins, with all_tenants' })),
});

/** What is no UUID is unknown, since clients try names as ids first. @throws SNAPSHOT_NOT_FOUND */
export function checkSnapshotId(text: string): SnapshotId {
  const snapshotId = parseUuid<SnapshotId>(text);
  if (snapshotId === undefined) throw new VbsError('SNAPSHOT_NOT_FOUND', { snapshotId: text.slice(0, TEXT_MAX) });
  return snapshotId;
}

const CREATE_KEYS = ['volume_id', 'name', 'display_name', 'description', 'display_description', 'force', 'metadata'];

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID; VOLUME_NOT_FOUND when the volume is null */
export function checkCreateSnapshot(body: ParsedBody, version: Microversion): CreateSnapshotInput {
  const snapshot = requireEnvelope(body, 'snapshot');
  refuseUnknownKeys(snapshot, CREATE_KEYS, 'snapshot');
  const volumeId = checkVolume(readKey(snapshot, 'volume_id'));
  const { name = null, description = null } = readNameAndDescription(snapshot);
  const force = checkForce(readKey(snapshot, 'force'), version);
  const metadata = readKey(snapshot, 'metadata');
  return {
    ...{ volumeId, name, description, force, isAttachedPermitted: version >= 66 },
    metadata: metadata === undefined || metadata === null ? {} : parseMetadata(metadata, 'metadata'),
  };
}

function checkVolume(value: unknown): VolumeId {
  if (value === undefined) throw invalidField('volume_id', 'it is required');
  // As in Cinder, where the key is there and no volume is called like this.
  if (value === null) throw new VbsError('VOLUME_NOT_FOUND', { volumeId: 'null' });
  const volumeId = typeof value === 'string' ? parseUuid<VolumeId>(value) : undefined;
  if (volumeId === undefined) throw invalidField('volume_id', 'it is not a UUID');
  return volumeId;
}

/** From 3.66 on it means nothing, and asking for its opposite is refused (contract 1.9). */
function checkForce(value: unknown, version: Microversion): boolean {
  if (value === undefined || value === null) return false;
  const force = parseBooleanWord(value, 'force');
  if (!force && version >= 66) throw invalidField('force', 'from 3.66 on snapshots of attached volumes need no force');
  return force;
}

const UPDATE_KEYS = ['name', 'display_name', 'description', 'display_description'];

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID */
export function checkUpdateSnapshot(body: ParsedBody): UpdateSnapshotInput {
  const snapshot = requireEnvelope(body, 'snapshot');
  refuseUnknownKeys(snapshot, UPDATE_KEYS, 'snapshot');
  const changes = readNameAndDescription(snapshot);
  if (Object.keys(changes).length > 0) return changes;
  throw invalidField('snapshot', `it needs one of ${UPDATE_KEYS.join(', ')}`);
}

/** `display_name` and `display_description` are older names of the same; undefined when a key is absent. */
function readNameAndDescription(snapshot: JsonObject): UpdateSnapshotInput {
  return dropUndefined({
    name: readTrimmed(snapshot, Object.hasOwn(snapshot, 'name') ? 'name' : 'display_name'),
    description: readTrimmed(snapshot, Object.hasOwn(snapshot, 'description') ? 'description' : 'display_description'),
  });
}

function readTrimmed(snapshot: JsonObject, key: string): string | null | undefined {
  const value = readKey(snapshot, key);
  if (value === undefined) return undefined;
  return readNullableText({ text: typeof value === 'string' ? value.trim() : value }, 'text', key, TEXT_MAX);
}

export type SnapshotAction =
  | { readonly name: 'os-reset_status'; readonly status: SnapshotStatus }
  | { readonly name: 'os-force_delete' }
  | {
      readonly name: 'os-update_snapshot_status';
      readonly status: SnapshotStatus;
      readonly progressPercent: number | null;
    };

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID for actions that are not offered */
export function checkSnapshotAction(body: ParsedBody): SnapshotAction {
  const { name, parameters } = requireAction(body);
  if (name === 'os-force_delete') return { name };
  if (name === 'os-reset_status') return { name, status: checkStatus(parameters) };
  if (name !== 'os-update_snapshot_status') throw unknownAction(name);
  return { name, status: checkStatus(parameters), progressPercent: checkProgress(parameters) };
}

function checkStatus(parameters: unknown): SnapshotStatus {
  const word = readWord(parameters, 'status');
  const status = SNAPSHOT_STATUSES.find((each) => each === word);
  if (status === undefined) throw invalidField('status', `it must be one of ${SNAPSHOT_STATUSES.join(', ')}`);
  return status;
}

function checkProgress(parameters: unknown): number | null {
  const progress = isJsonObject(parameters) ? (readKey(parameters, 'progress') ?? null) : null;
  if (progress === null) return null;
  const percent = typeof progress === 'string' && /^\d{1,3}%$/.test(progress) ? Number.parseInt(progress, 10) : 101;
  if (percent > 100) throw invalidField('progress', 'it must be a percentage such as 80%');
  return percent;
}

/** The snapshot that a volume is to be put back to. @throws REQUEST_FIELD_INVALID */
export function checkRevert(parameters: unknown): SnapshotId {
  const text = isJsonObject(parameters) ? readKey(parameters, 'snapshot_id') : undefined;
  const snapshotId = typeof text === 'string' ? parseUuid<SnapshotId>(text) : undefined;
  if (snapshotId === undefined) throw invalidField('snapshot_id', 'it must be a UUID');
  return snapshotId;
}

const SORT_KEYS: SortKeys<SnapshotSortKey> = {
  id: 'id',
  status: 'status',
  size: 'size',
  volume_size: 'size',
  created_at: 'createdAt',
  updated_at: 'updatedAt',
  volume_id: 'volumeId',
  // The older name of `name`, which was one to sort by from the start.
  display_name: 'name',
};

export function snapshotSortKeys(face: 'v2' | 'v3', version: Microversion): SortKeys<SnapshotSortKey> {
  return face === 'v2' || version >= 30 ? { ...SORT_KEYS, name: 'name' } : SORT_KEYS;
}

const LIKE_KEYS = ['name~', 'status~', 'volume_id~'];

/** @throws REQUEST_FIELD_INVALID */
export function parseSnapshotFilter(
  query: QueryValues,
  context: { readonly version: Microversion; readonly isAdmin: boolean },
): SnapshotListFilter {
  const { version, isAdmin } = context;
  const hasLikeFilters = version >= 31;
  if (hasLikeFilters && !isAdmin) refuseUnknownKeys(query, Object.keys(SnapshotListQuery.properties), 'query');
  const like = (key: string) => (hasLikeFilters && LIKE_KEYS.includes(key) ? queryText(query, key) : undefined);
  const filters = {
    name: queryText(query, 'name'),
    status: queryText(query, 'status'),
    volumeId: queryText(query, 'volume_id')?.toLowerCase(),
    availabilityZone: queryText(query, 'availability_zone'),
    metadata: parseMetadataFilter(queryText(query, 'metadata')),
    nameLike: like('name~'),
    statusLike: like('status~'),
    volumeIdLike: like('volume_id~')?.toLowerCase(),
  };
  const quota = version >= 65 ? queryText(query, 'consumes_quota') : undefined;
  // Every snapshot counts: those that do not are none.
  const none = quota !== undefined && !parseBooleanWord(quota, 'consumes_quota') ? { status: '' } : {};
  return { ...dropUndefined(filters), ...none, ...parseScope(query, isAdmin) };
}
