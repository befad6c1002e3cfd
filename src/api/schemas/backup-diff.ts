// Requests and answers of /v1/{project_id}/backups/{backup_id}/diff, an extension.
import { Type } from 'typebox';
import { type BackupId, parseUuid } from '../../core/ids.ts';
import { LIST_LIMIT_MAX } from '../../core/limits.ts';
import { nullable, Uuid } from './common.ts';
import { filledCount, filledText, type QueryValues } from './list-query.ts';
import { invalidField } from './parse.ts';

export const BackupDiffBody = Type.Object(
  {
    from_backup_id: Uuid,
    backup_id: Uuid,
    volume_id: Uuid,
    from_size_bytes: Type.Integer(),
    size_bytes: Type.Integer(),
    granularity_bytes: Type.Integer({ examples: [65536] }),
    ranges: Type.Array(Type.Object({ offset: Type.Integer(), length: Type.Integer() })),
    next_offset: nullable(Type.Integer({ description: 'Ask again with this offset for what follows' })),
  },
  { description: 'Ranges of a volume in which two of its backups differ' },
);

export const BackupDiffReply = Type.Object({ diff: BackupDiffBody });

export const BackupDiffQuery = Type.Object({
  from: Type.String({ description: 'The backup to compare with, of the same volume' }),
  offset: Type.Optional(Type.Integer({ minimum: 0, description: 'Leave out what lies before this byte' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: LIST_LIMIT_MAX, description: 'Most ranges to answer' })),
});

export type BackupDiffOptions = {
  readonly fromId: BackupId;
  readonly offsetBytes: number;
  readonly limit: number;
};

/** @throws REQUEST_FIELD_INVALID */
export function checkBackupDiff(query: QueryValues): BackupDiffOptions {
  const fromId = parseUuid<BackupId>(filledText(query, 'from') ?? '');
  if (fromId === undefined) throw invalidField('from', 'it must be the id of a backup');
  const limit = filledCount(query, 'limit') ?? LIST_LIMIT_MAX;
  if (limit < 1 || limit > LIST_LIMIT_MAX) throw invalidField('limit', `it must be from 1 to ${LIST_LIMIT_MAX}`);
  return { fromId, limit, offsetBytes: filledCount(query, 'offset') ?? 0 };
}
