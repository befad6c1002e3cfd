// Requests and answers of /v2/{project_id}/cloudbackups (contract 3.1 to 3.5): fields are judged in table order.
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { type BackupId, parseUuid, type SnapshotId, type VolumeId } from '../../core/ids.ts';
import type { CreateBackupInput } from '../../services/backup-service.ts';
import { checkVbsDescription, checkVbsName } from './backup-name.ts';
import { nullable, TagSchema, Uuid } from './common.ts';
import { invalidField, isJsonObject, type JsonObject, type ParsedBody, readKey, requireEnvelope } from './parse.ts';
import { checkBackupTags } from './tags.ts';

export const CreateCloudBackupBody = Type.Object(
  {
    backup: Type.Object({
      volume_id: Uuid,
      snapshot_id: Type.Optional(nullable(Uuid)),
      name: Type.String({ minLength: 1, maxLength: 64, pattern: '^(?!auto)[A-Za-z0-9_-]+$' }),
      description: Type.Optional(nullable(Type.String({ maxLength: 64, pattern: '^[^<>]*$' }))),
      tags: Type.Optional(Type.Array(TagSchema, { maxItems: 10 })),
      extend_param: Type.Optional(
        Type.Object({ FullBackup: Type.Optional(Type.String({ examples: ['true', 'false'] })) }),
      ),
    }),
  },
  {
    $id: 'CreateCloudBackup',
    examples: [
      {
        backup: {
          volume_id: '3b6d0c52-8f0e-4a53-9d57-2f6f0f3a1c11',
          name: 'db_nightly-01',
          description: 'before upgrade',
          tags: [{ key: 'tier', value: 'gold' }],
          extend_param: { FullBackup: 'true' },
        },
      },
    ],
  },
);

export const RestoreCloudBackupBody = Type.Object(
  {
    restore: Type.Object({
      volume_id: Uuid,
      verify: Type.Optional(Type.Boolean({ description: 'Extension: read everything back and compare it' })),
    }),
  },
  { $id: 'RestoreCloudBackup' },
);

export const JobReference = Type.Object({ job_id: Uuid }, { $id: 'JobReference' });

export const CloudBackupQuota = Type.Object(
  {
    quotas: Type.Object({
      resources: Type.Array(
        Type.Object({
          type: Type.Union([Type.Literal('backups'), Type.Literal('backup_gigabytes')]),
          used: Type.Integer(),
          reserved: Type.Integer(),
          quota: Type.Integer({ description: '-1: unlimited' }),
        }),
      ),
    }),
  },
  { $id: 'CloudBackupQuota' },
);

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID and the BACKUP_* codes of the fields */
export function checkCreateCloudBackup(body: ParsedBody): CreateBackupInput {
  const backup = requireEnvelope(body, 'backup');
  const volumeId = checkVolumeId(readKey(backup, 'volume_id'));
  const snapshotId = checkSnapshotId(readKey(backup, 'snapshot_id'));
  const name = checkName(readKey(backup, 'name'));
  const description = checkVbsDescription(readKey(backup, 'description'));
  const tags = checkBackupTags(readKey(backup, 'tags'));
  const isFull = checkFullBackup(readKey(backup, 'extend_param'));
  return {
    volumeId,
    ...(snapshotId === undefined ? {} : { snapshotId }),
    name,
    description,
    tags,
    isIncrementalRequested: !isFull,
    dialect: 'vbs',
  };
}

function checkVolumeId(value: unknown): VolumeId {
  if (value === undefined || value === null || value === '') throw new VbsError('BACKUP_VOLUME_ID_MISSING');
  const volumeId = typeof value === 'string' ? parseUuid<VolumeId>(value) : undefined;
  if (volumeId === undefined) throw new VbsError('BACKUP_VOLUME_ID_INVALID');
  return volumeId;
}

function checkSnapshotId(value: unknown): SnapshotId | undefined {
  if (value === undefined || value === null) return undefined;
  const snapshotId = typeof value === 'string' ? parseUuid<SnapshotId>(value) : undefined;
  if (snapshotId === undefined) throw invalidField('snapshot_id', 'it is not a UUID');
  return snapshotId;
}

function checkName(value: unknown): string {
  if (value === undefined || value === null) throw new VbsError('BACKUP_NAME_MISSING');
  if (typeof value !== 'string') throw invalidField('name', 'it must be a string');
  return checkVbsName(value);
}

/** True when a full backup is demanded. */
function checkFullBackup(extendParam: unknown): boolean {
  if (extendParam === undefined || extendParam === null) return false;
  if (!isJsonObject(extendParam)) throw invalidField('extend_param', 'it must be an object');
  const value = readKey(extendParam, 'FullBackup');
  if (value === undefined || value === null || value === '') return false;
  const word = typeof value === 'boolean' ? String(value) : value;
  if (typeof word === 'string' && word.toLowerCase() === 'true') return true;
  if (typeof word === 'string' && word.toLowerCase() === 'false') return false;
  throw invalidField('extend_param.FullBackup', 'it must be "true" or "false"');
}

/** The id in the path of a deletion. @throws BACKUP_ID_INVALID */
export function checkDeletedBackupId(text: string): BackupId {
  const backupId = parseUuid<BackupId>(text);
  if (backupId === undefined) throw new VbsError('BACKUP_ID_INVALID', { backupId: text.slice(0, 64) });
  return backupId;
}

/** The id in the path of calls about tags: what no backup can have is simply unknown. @throws BACKUP_NOT_FOUND */
export function checkTaggedBackupId(text: string): BackupId {
  const backupId = parseUuid<BackupId>(text);
  if (backupId === undefined) throw new VbsError('BACKUP_NOT_FOUND', { backupId: text.slice(0, 64) });
  return backupId;
}

/** @throws MEDIA_TYPE_UNSUPPORTED, RESTORE_MALFORMED, the RESTORE_* codes of the ids, REQUEST_FIELD_INVALID */
export function checkRestoreCloudBackup(
  body: ParsedBody,
  backupIdText: string,
): { backupId: BackupId; volumeId: VolumeId; verify: boolean } {
  const restore = requireRestore(body);
  if (backupIdText.trim() === '') throw new VbsError('RESTORE_BACKUP_ID_MISSING');
  const backupId = parseUuid<BackupId>(backupIdText);
  if (backupId === undefined) throw new VbsError('RESTORE_BACKUP_ID_INVALID', { backupId: backupIdText.slice(0, 64) });
  const value = readKey(restore, 'volume_id');
  const volumeId = typeof value === 'string' ? parseUuid<VolumeId>(value) : undefined;
  if (volumeId === undefined) throw new VbsError('RESTORE_VOLUME_ID_INVALID');
  const verify = readKey(restore, 'verify') ?? false;
  if (typeof verify !== 'boolean') throw invalidField('restore.verify', 'it must be true or false');
  return { backupId, volumeId, verify };
}

function requireRestore(body: ParsedBody): JsonObject {
  if (body.kind === 'unsupported') throw new VbsError('MEDIA_TYPE_UNSUPPORTED', { contentType: body.contentType });
  const value = body.kind === 'json' ? body.value : undefined;
  const restore = isJsonObject(value) ? readKey(value, 'restore') : undefined;
  if (!isJsonObject(restore)) throw new VbsError('RESTORE_MALFORMED', { reason: 'the body has no object "restore"' });
  return restore;
}
