// Requests of the native backup API (contract 3.20, 3.21, 3.23).
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import {
  type BackupId,
  type ProjectId,
  parseHexId,
  parseUuid,
  type SnapshotId,
  type VolumeId,
} from '../../core/ids.ts';
import { NATIVE_RULES, type NativeRules } from '../../core/native-rules.ts';
import type { BackupListFilter, BackupUpdate, CreateBackupInput } from '../../services/backup-service.ts';
import type { BackupSortKey } from '../../services/list-page.ts';
import type { Microversion } from '../plugins/microversion.ts';
import type { BackupFace } from '../views/backup-view.ts';
import { checkVbsName } from './backup-name.ts';
import { BooleanWord, Links, Metadata, NativeTime, nullable, PageQuery, Uuid } from './common.ts';
import { type QueryValues, queryBoolean, queryText, type SortKeys } from './list-query.ts';
import {
  dropUndefined,
  invalidField,
  isJsonObject,
  type JsonObject,
  type ParsedBody,
  parseMetadata,
  readBoolean,
  readKey,
  readNullableText,
  refuseUnknownKeys,
  requireEnvelope,
  requireJson,
} from './parse.ts';

const TEXT_MAX = 255;

export const NativeBackupSummary = Type.Object(
  { id: Uuid, name: nullable(Type.String()), links: Links },
  { $id: 'BackupSummary' },
);

export const NativeBackup = Type.Object(
  {
    id: Uuid,
    status: Type.String({ examples: ['creating', 'available', 'restoring', 'deleting', 'error'] }),
    size: Type.Integer({ description: 'GiB of the volume at backup time' }),
    object_count: Type.Integer(),
    container: nullable(Type.String()),
    availability_zone: nullable(Type.String()),
    volume_id: Uuid,
    snapshot_id: nullable(Uuid),
    name: nullable(Type.String()),
    description: nullable(Type.String({ description: 'Backups made through VBS: JSON text with DESC and INC' })),
    created_at: NativeTime,
    updated_at: nullable(NativeTime),
    data_timestamp: nullable(NativeTime),
    fail_reason: nullable(Type.String()),
    is_incremental: Type.Boolean(),
    has_dependent_backups: Type.Boolean(),
    links: Links,
    'os-bak-tenant-attr:tenant_id': Type.Optional(Type.String({ description: 'v2 only' })),
    service_metadata: Type.Optional(Type.String({ description: 'v2 only: JSON text' })),
    'os-backup-project-attr:project_id': Type.Optional(Type.String()),
    'os-backup-project-attr:tenant_id': Type.Optional(Type.String({ description: 'below /native only' })),
    metadata: Type.Optional(Metadata),
    user_id: Type.Optional(Type.String()),
  },
  { $id: 'Backup' },
);

export const CreateNativeBackupBody = Type.Object(
  {
    backup: Type.Object({
      volume_id: Uuid,
      snapshot_id: Type.Optional(nullable(Uuid)),
      name: Type.Optional(nullable(Type.String({ maxLength: TEXT_MAX }))),
      description: Type.Optional(nullable(Type.String({ maxLength: TEXT_MAX }))),
      container: Type.Optional(nullable(Type.String({ maxLength: TEXT_MAX }))),
      incremental: Type.Optional(BooleanWord),
      force: Type.Optional(BooleanWord),
      metadata: Type.Optional(nullable(Metadata)),
      availability_zone: Type.Optional(nullable(Type.String({ maxLength: TEXT_MAX }))),
      project_id: Type.Optional(Type.String()),
    }),
  },
  { $id: 'CreateBackup' },
);

export const RestoreNativeBackupBody = Type.Object(
  {
    restore: nullable(
      Type.Object({
        volume_id: Type.Optional(nullable(Uuid)),
        name: Type.Optional(nullable(Type.String({ maxLength: TEXT_MAX }))),
      }),
    ),
  },
  { $id: 'RestoreBackup' },
);

export const BackupListQuery = Type.Object({
  ...PageQuery,
  name: Type.Optional(Type.String()),
  status: Type.Optional(Type.String()),
  volume_id: Type.Optional(Type.String()),
  'name~': Type.Optional(Type.String({ description: 'Substring, from 3.31' })),
  'status~': Type.Optional(Type.String({ description: 'Substring, from 3.31' })),
  'volume_id~': Type.Optional(Type.String({ description: 'Substring, from 3.31' })),
  with_count: Type.Optional(Type.Boolean({ description: 'From 3.45' })),
  all_tenants: Type.Optional(Type.Boolean({ description: 'Admins; ignored from others' })),
  project_id: Type.Optional(Type.String({ description: 'Admins, with all_tenants' })),
});

/** Ids of native paths: what is no UUID is unknown, since clients try names as ids first. @throws BACKUP_NOT_FOUND */
export function checkNativeBackupId(text: string): BackupId {
  const backupId = parseUuid<BackupId>(text);
  if (backupId === undefined) throw new VbsError('BACKUP_NOT_FOUND', { backupId: text.slice(0, TEXT_MAX) });
  return backupId;
}

export type NativeContext = {
  readonly face: BackupFace;
  readonly version: Microversion;
  readonly projectId: ProjectId;
  /** Absent: the documented defaults. */
  readonly rules?: NativeRules | undefined;
};

export type NativeCreate = {
  readonly input: CreateBackupInput;
  /** An increment was demanded and a full backup would not do (contract 5.6, "honour"). */
  readonly isBaseRequired: boolean;
};

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID, BACKUP_NAME_* */
export function checkCreateNativeBackup(body: ParsedBody, context: NativeContext): NativeCreate {
  const backup = requireEnvelope(body, 'backup');
  const known = knownCreateKeys(context);
  if (context.face !== 'v2') refuseUnknownKeys(backup, known, 'backup');
  const volumeId = requireUuid<VolumeId>(backup, 'volume_id');
  const snapshotId = readUuid<SnapshotId>(backup, 'snapshot_id');
  const name = checkNativeName(backup, context);
  const description = checkNativeDescription(backup, context.face);
  const container = readNullableText(backup, 'container', 'container', TEXT_MAX);
  const isIncremental = readBoolean(backup, 'incremental', 'incremental', false);
  const force = readBoolean(backup, 'force', 'force', false);
  const metadata = known.includes('metadata') ? checkBackupMetadata(backup) : undefined;
  const availabilityZone = known.includes('availability_zone')
    ? readNullableText(backup, 'availability_zone', 'availability_zone', TEXT_MAX)
    : null;
  checkProjectId(backup, context.projectId);
  // Only plain /v3 honours the flag as OpenStack does; elsewhere backups are incremental whenever they can be (5.6).
  const isHonoured = context.face === 'v3' && rulesOf(context).incremental === 'honour';
  return {
    isBaseRequired: isHonoured && isIncremental,
    input: {
      volumeId,
      ...(snapshotId === undefined ? {} : { snapshotId }),
      name,
      description,
      tags: [],
      isIncrementalRequested: isHonoured ? isIncremental : true,
      dialect: 'native',
      container,
      availabilityZone,
      force,
      ...(metadata === undefined ? {} : { metadata }),
    },
  };
}

function knownCreateKeys({ face, version }: NativeContext): readonly string[] {
  return [
    'volume_id',
    'snapshot_id',
    'name',
    'description',
    'container',
    'incremental',
    'force',
    'project_id',
    ...(face !== 'v2' && version >= 43 ? ['metadata'] : []),
    ...(face !== 'v2' && version >= 51 ? ['availability_zone'] : []),
  ];
}

function readUuid<Id extends NonNullable<ReturnType<typeof parseUuid>>>(
  object: JsonObject,
  key: string,
): Id | undefined {
  const value = readKey(object, key);
  if (value === undefined || value === null) return undefined;
  const id = typeof value === 'string' ? parseUuid<Id>(value) : undefined;
  if (id === undefined) throw invalidField(key, 'it is not a UUID');
  return id;
}

function requireUuid<Id extends NonNullable<ReturnType<typeof parseUuid>>>(object: JsonObject, key: string): Id {
  const id = readUuid<Id>(object, key);
  if (id === undefined) throw invalidField(key, 'it is required');
  return id;
}

function rulesOf({ rules }: NativeContext): NativeRules {
  return rules ?? NATIVE_RULES;
}

function checkNativeName(backup: JsonObject, context: NativeContext): string | null {
  const value = readKey(backup, 'name');
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string') throw invalidField('name', 'it must be a string');
  const name = value.trim();
  if (context.face !== 'v3' || rulesOf(context).names === 'vbs') return checkVbsName(name);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what is not printable is exactly what is looked for.
  if (/[\u0000-\u001f\u007f]/.test(name)) throw invalidField('name', 'it has characters that cannot be printed');
  return readNullableText({ name }, 'name', 'name', TEXT_MAX);
}

function checkNativeDescription(backup: JsonObject, face: BackupFace): string | null {
  const value = readKey(backup, 'description');
  const description = typeof value === 'string' ? value.trim() : value;
  const text = readNullableText({ description }, 'description', 'description', TEXT_MAX);
  if (face === 'v2' && text !== null && /[<>]/.test(text)) {
    throw invalidField('description', '"<" and ">" are not allowed');
  }
  return text;
}

function checkBackupMetadata(backup: JsonObject): Record<string, string> | undefined {
  const value = readKey(backup, 'metadata');
  return value === undefined || value === null ? undefined : parseMetadata(value, 'metadata', /^[A-Za-z0-9\-_:. /]+$/);
}

function checkProjectId(backup: JsonObject, projectId: ProjectId): void {
  const value = readKey(backup, 'project_id');
  if (value === undefined || value === null) return;
  if (typeof value !== 'string' || parseHexId<ProjectId>(value) !== projectId) {
    throw invalidField('project_id', 'it differs from the project of the path');
  }
}

export const UpdateNativeBackupBody = Type.Object(
  {
    backup: Type.Object({
      name: Type.Optional(nullable(Type.String({ maxLength: TEXT_MAX }))),
      description: Type.Optional(nullable(Type.String({ maxLength: TEXT_MAX }))),
      metadata: Type.Optional(nullable(Metadata)),
    }),
  },
  { $id: 'UpdateBackup' },
);

/** Members that are absent stay as they are; metadata replaces all that there is. @throws as for creating */
export function checkUpdateNativeBackup(body: ParsedBody, context: NativeContext): BackupUpdate {
  const backup = requireEnvelope(body, 'backup');
  const hasMetadata = context.version >= 43;
  refuseUnknownKeys(backup, ['name', 'description', ...(hasMetadata ? ['metadata'] : [])], 'backup');
  const isGiven = (key: string) => readKey(backup, key) !== undefined;
  return dropUndefined({
    name: isGiven('name') ? checkNativeName(backup, context) : undefined,
    description: isGiven('description') ? checkNativeDescription(backup, context.face) : undefined,
    metadata: hasMetadata ? checkBackupMetadata(backup) : undefined,
  });
}

export type NativeRestore = { readonly volumeId: VolumeId | undefined; readonly name: string | null };

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID */
export function checkRestoreNativeBackup(body: ParsedBody, face: BackupFace): NativeRestore {
  const restore = requireNativeRestore(body, face);
  if (face !== 'v2') refuseUnknownKeys(restore, ['volume_id', 'name'], 'restore');
  return {
    volumeId: readUuid<VolumeId>(restore, 'volume_id'),
    name: readNullableText(restore, 'name', 'name', TEXT_MAX),
  };
}

function requireNativeRestore(body: ParsedBody, face: BackupFace): JsonObject {
  const value = requireJson(body);
  const isNullValued = face !== 'v2' && isJsonObject(value) && readKey(value, 'restore') === null;
  return isNullValued ? {} : requireEnvelope(body, 'restore');
}

const SORT_KEYS: SortKeys<BackupSortKey> = {
  id: 'id',
  status: 'status',
  size: 'size',
  created_at: 'createdAt',
  updated_at: 'updatedAt',
  volume_id: 'volumeId',
  container: 'container',
};

export function backupSortKeys(face: BackupFace, version: Microversion): SortKeys<BackupSortKey> {
  const mayUseName = face !== 'v3' || version >= 37;
  return {
    ...SORT_KEYS,
    ...(mayUseName ? { name: 'name' } : {}),
    ...(face === 'v2' ? { container_format: null, disk_format: null } : {}),
  };
}

const PAGE_KEYS = ['limit', 'offset', 'marker', 'sort', 'sort_key', 'sort_dir', 'with_count'];
const SCOPE_KEYS = ['all_tenants', 'project_id'];

/**
 * Unknown filters: refused from 3.31 on; from admins they match nothing on v3, as in Cinder; dropped otherwise.
 * @throws REQUEST_FIELD_INVALID
 */
export function parseBackupFilter(
  query: QueryValues,
  context: { readonly version: Microversion; readonly isAdmin: boolean; readonly face: BackupFace },
): BackupListFilter {
  const hasLikeFilters = context.version >= 31;
  const likeKeys = hasLikeFilters ? ['name~', 'status~', 'volume_id~'] : [];
  const known = [...PAGE_KEYS, ...SCOPE_KEYS, 'name', 'status', 'volume_id', ...likeKeys];
  if (hasLikeFilters && !context.isAdmin) refuseUnknownKeys(query, known, 'query');
  const texts = {
    name: queryText(query, 'name'),
    status: queryText(query, 'status'),
    volumeId: queryText(query, 'volume_id')?.toLowerCase(),
    nameLike: hasLikeFilters ? queryText(query, 'name~') : undefined,
    statusLike: hasLikeFilters ? queryText(query, 'status~') : undefined,
    volumeIdLike: hasLikeFilters ? queryText(query, 'volume_id~')?.toLowerCase() : undefined,
  };
  const isUnknown = Object.keys(query).some((key) => !known.includes(key));
  const matchesNothing = isUnknown && context.isAdmin && context.face !== 'v2';
  const scope = parseScope(query, context.isAdmin);
  return { ...dropUndefined(texts), ...scope, ...(matchesNothing ? { matchesNothing } : {}) };
}

/** `all_tenants` and `project_id` are for admins; from others they mean nothing, since one client always sends them. */
export function parseScope(query: QueryValues, isAdmin: boolean): { allProjects?: boolean; projectId?: ProjectId } {
  if (!isAdmin || queryBoolean(query, 'all_tenants') !== true) return {};
  const text = queryText(query, 'project_id');
  if (text === undefined) return { allProjects: true };
  const projectId = parseHexId<ProjectId>(text);
  if (projectId === undefined) throw invalidField('project_id', 'it is not a project id');
  return { allProjects: true, projectId };
}
