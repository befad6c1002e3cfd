// Requests and answers of /v2/{project_id}/os-vendor-backup-sharing (contract 3.18, 3.19).
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { type BackupId, type ProjectId, parseHexId, parseUuid, type SharingId } from '../../core/ids.ts';
import type { SharingSortKey } from '../../services/list-page.ts';
import type { SharingListFilter } from '../../services/sharing-service.ts';
import { HexId, NativeTime, nullable, PageQuery, Uuid } from './common.ts';
import { type QueryValues, queryBoolean, queryText, type SortKeys } from './list-query.ts';
import { dropUndefined, invalidField, type ParsedBody, readKey, requireEnvelope, showValue } from './parse.ts';

const SharingKeys = {
  id: Uuid,
  backup_id: Uuid,
  from_project_id: HexId,
  to_project_id: HexId,
  created_at: NativeTime,
  updated_at: nullable(NativeTime),
};

export const NewSharing = Type.Object(
  { ...SharingKeys, deleted: Type.Null(), deleted_at: Type.Null() },
  { $id: 'NewSharing' },
);

export const SharingBody = Type.Object(
  {
    ...SharingKeys,
    backup: Type.Object({
      id: Uuid,
      name: nullable(Type.String()),
      status: Type.String(),
      size: Type.Integer(),
      object_count: Type.Integer(),
      availability_zone: nullable(Type.String()),
      container: nullable(Type.String()),
      created_at: NativeTime,
      updated_at: nullable(NativeTime),
      data_timestamp: nullable(NativeTime),
      description: nullable(Type.String()),
      fail_reason: nullable(Type.String()),
      has_dependent_backups: Type.Boolean(),
      is_incremental: Type.Boolean(),
      snapshot_id: nullable(Uuid),
      volume_id: Uuid,
      service_metadata: Type.String({ description: 'JSON text' }),
    }),
  },
  { $id: 'Sharing' },
);

export const ShareBackupBody = Type.Object(
  {
    shared: Type.Object({
      backup_id: Uuid,
      to_project_ids: Type.Array(HexId, { minItems: 1, uniqueItems: true }),
    }),
  },
  { $id: 'ShareBackup' },
);

const Filters = {
  share_to_me: Type.Optional(Type.Boolean({ description: 'true: shared with the project; else shared by it' })),
  backup_id: Type.Optional(Type.String()),
  volume_id: Type.Optional(Type.String()),
  status: Type.Optional(Type.String({ description: 'Of the backup' })),
  name: Type.Optional(Type.String({ description: "Substring of the backup's name" })),
  from_project_id: Type.Optional(Type.String()),
  to_project_id: Type.Optional(Type.String()),
  availability_zone: Type.Optional(Type.String()),
  avalilability_zone: Type.Optional(Type.String({ description: 'The spelling of the VBS reference' })),
};

export const SharingCountQuery = Type.Object(Filters);
export const SharingListQuery = Type.Object({ ...Filters, ...PageQuery });
export const CancelSharingQuery = Type.Object({
  is_backup_id: Type.Optional(Type.Boolean({ description: 'The id is of a backup: all its sharings' })),
});

export type ShareRequest = { readonly backupId: BackupId; readonly toProjectIds: readonly ProjectId[] };

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID, RESTORE_BACKUP_ID_MISSING, RESTORE_BACKUP_ID_INVALID */
export function checkShareBackup(body: ParsedBody, ownProjectId: ProjectId): ShareRequest {
  const shared = requireEnvelope(body, 'shared');
  const id = readKey(shared, 'backup_id');
  if (id === undefined || id === null || id === '') throw new VbsError('RESTORE_BACKUP_ID_MISSING');
  const backupId = typeof id === 'string' ? parseUuid<BackupId>(id) : undefined;
  if (backupId === undefined) {
    throw new VbsError('RESTORE_BACKUP_ID_INVALID', { backupId: showValue(id) });
  }
  return { backupId, toProjectIds: checkTargets(readKey(shared, 'to_project_ids'), ownProjectId) };
}

function checkTargets(value: unknown, ownProjectId: ProjectId): ProjectId[] {
  const field = 'to_project_ids';
  if (!Array.isArray(value) || value.length === 0) throw invalidField(field, 'it must be a list of project ids');
  const targets = value.map((text: unknown) => {
    const projectId = typeof text === 'string' ? parseHexId<ProjectId>(text) : undefined;
    if (projectId === undefined) throw invalidField(field, 'an entry is not a project id');
    if (projectId === ownProjectId) throw invalidField(field, 'a backup cannot be shared with its own project');
    return projectId;
  });
  if (new Set(targets).size < targets.length) throw invalidField(field, 'a project occurs twice');
  return targets;
}

/** What is no UUID is unknown. @throws SHARING_NOT_FOUND */
export function checkSharingId(text: string): SharingId {
  const sharingId = parseUuid<SharingId>(text);
  if (sharingId === undefined) throw new VbsError('SHARING_NOT_FOUND', { sharingId: text.slice(0, 64) });
  return sharingId;
}

/** All but the times are of the backup; the last two have no column behind them (contract 6.3, 16). */
export const SHARING_SORT_KEYS: SortKeys<SharingSortKey> = {
  id: 'id',
  created_at: 'createdAt',
  updated_at: 'updatedAt',
  name: 'name',
  status: 'status',
  size: 'size',
  volume_id: 'volumeId',
  container: 'container',
  container_format: null,
  disk_format: null,
};

/** Takes the query without its empty values. @throws REQUEST_FIELD_INVALID */
export function parseSharingFilter(query: QueryValues): SharingListFilter {
  const projectOf = (key: string): string | undefined => {
    const text = queryText(query, key);
    // What is no project id names no project: nothing matches, and nothing is wrong.
    return text === undefined ? undefined : (parseHexId<ProjectId>(text) ?? text);
  };
  const texts = {
    backupId: queryText(query, 'backup_id')?.toLowerCase(),
    volumeId: queryText(query, 'volume_id')?.toLowerCase(),
    status: queryText(query, 'status'),
    nameLike: queryText(query, 'name'),
    fromProjectId: projectOf('from_project_id'),
    toProjectId: projectOf('to_project_id'),
    availabilityZone: queryText(query, 'avalilability_zone') ?? queryText(query, 'availability_zone'),
  };
  return { isReceived: queryBoolean(query, 'share_to_me') === true, ...dropUndefined(texts) };
}
