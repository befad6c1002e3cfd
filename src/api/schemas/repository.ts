// Requests and answers of /v1/{project_id}/repository, an extension for administrators of a project.
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { type AttemptId, type BackupId, parseUuid } from '../../core/ids.ts';
import type { RecordRef } from '../../core/ledger.ts';
import { nullable, Uuid } from './common.ts';
import { invalidField, isJsonObject, type ParsedBody, readKey, requireJson } from './parse.ts';

export const PruneRequest = Type.Object({
  dry_run: Type.Optional(Type.Boolean({ description: 'Only tell what would be freed; nothing is changed' })),
});

export const CheckRequest = Type.Object({
  read_percent: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 100, description: 'Part of the data that is read, oldest-verified first' }),
  ),
});

export const HealthReply = Type.Object({
  health: Type.Object({
    pack_count: Type.Integer(),
    stored_bytes: Type.Integer(),
    never_verified_count: Type.Integer({ description: 'Packs that an older version wrote and nobody has read since' }),
    oldest_verified_at: nullable(Type.String({ description: 'When the pack that waits longest was read or written' })),
    damaged_pack_count: Type.Integer(),
    damaged_backups: Type.Array(Type.Object({ backup_id: Uuid, volume_id: Uuid, reason: Type.String() })),
  }),
});

export const GiveUpRequest = Type.Object({
  record: Type.String({ examples: ['<backup id>.<attempt id>'], description: 'As a report of prune names it' }),
});

export const RunBody = Type.Object(
  {
    operation: Type.String({ examples: ['prune', 'prune-dry-run', 'adopt', 'check', 'repair', 'scrub'] }),
    status: Type.String({ examples: ['running', 'done', 'failed'] }),
    started_at: Type.String(),
    ended_at: nullable(Type.String()),
    report: nullable(Type.Record(Type.String(), Type.Unknown())),
    error: nullable(Type.Object({ code: Type.String(), message: Type.String() })),
  },
  { description: 'Work on the repository of one project, as it stands' },
);
export const RunReply = Type.Object({ run: nullable(RunBody) });

const usageFields = {
  logical_bytes: Type.Integer({ description: 'Size of the disks as they were' }),
  unique_bytes: Type.Integer({ description: 'Stored bytes that nothing else refers to' }),
  shared_bytes: Type.Integer({ description: 'Stored bytes that others refer to too' }),
};
export const BackupUsageBody = Type.Object({ backup_id: Uuid, volume_id: Uuid, ...usageFields });
export const UsageReply = Type.Object({
  usage: Type.Object({
    logical_bytes: Type.Integer(),
    stored_bytes: Type.Integer({ description: 'Of all packs, as they lie in the store' }),
    dead_bytes: Type.Integer({ description: 'Of them, what no backup refers to any more' }),
    backups: Type.Array(BackupUsageBody),
    volumes: Type.Array(Type.Object({ volume_id: Uuid, backup_count: Type.Integer(), ...usageFields })),
    unreadable: Type.Array(Uuid),
  }),
});

/** An absent body asks for nothing special. @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID, MEDIA_TYPE_UNSUPPORTED */
export function parsePruneRequest(body: ParsedBody): { readonly isDryRun: boolean } {
  if (body.kind === 'absent') return { isDryRun: false };
  const value = requireJson(body);
  if (!isJsonObject(value)) throw new VbsError('REQUEST_MALFORMED', { reason: 'the body is not an object' });
  const dryRun = readKey(value, 'dry_run') ?? false;
  if (typeof dryRun !== 'boolean') throw invalidField('dry_run', 'it must be true or false');
  return { isDryRun: dryRun };
}

/** @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID, MEDIA_TYPE_UNSUPPORTED */
export function parseGiveUpRequest(body: ParsedBody): RecordRef {
  const value = requireJson(body);
  if (!isJsonObject(value)) throw new VbsError('REQUEST_MALFORMED', { reason: 'the body is not an object' });
  const record = readKey(value, 'record');
  const [backupText, attemptText, ...others] = typeof record === 'string' ? record.split('.') : [];
  const backupId = parseUuid<BackupId>(backupText ?? '');
  const attemptId = parseUuid<AttemptId>(attemptText ?? '');
  if (backupId === undefined || attemptId === undefined || others.length > 0) {
    throw invalidField('record', 'it must be a backup id and an attempt id with a dot between them');
  }
  return { backupId, attemptId };
}

/** Part of the data that is to be read, 0 to 1. @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID */
export function parseCheckRequest(body: ParsedBody): number {
  if (body.kind === 'absent') return 0;
  const value = requireJson(body);
  if (!isJsonObject(value)) throw new VbsError('REQUEST_MALFORMED', { reason: 'the body is not an object' });
  const percent = readKey(value, 'read_percent') ?? 0;
  const isPercent = typeof percent === 'number' && Number.isInteger(percent) && percent >= 0 && percent <= 100;
  if (!isPercent) throw invalidField('read_percent', 'it must be a whole number from 0 to 100');
  return percent / 100;
}
