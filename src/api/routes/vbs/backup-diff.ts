// GET /v1/{project_id}/backups/{backup_id}/diff, an extension: where two backups of a volume differ.
import { CHUNK_SIZE_BYTES } from '../../../core/limits.ts';
import type { ApiDeps, ProjectRoute } from '../../route.ts';
import { BackupDiffQuery, BackupDiffReply, checkBackupDiff } from '../../schemas/backup-diff.ts';
import { checkNativeBackupId } from '../../schemas/native-backups.ts';

export function backupDiffRoutes({ backups }: ApiDeps): ProjectRoute[] {
  return [
    {
      method: 'GET',
      paths: ['/v1/:project_id/backups/:backup_id/diff'],
      access: { kind: 'project' },
      doc: {
        summary: 'Compare two backups of a volume',
        description: 'Ranges in which the backup differs from another one, ascending; found without reading data.',
        tag: 'extensions',
        query: BackupDiffQuery,
        ok: { status: 200, schema: BackupDiffReply },
      },
      handle: async ({ caller, projectId, query, param, reply }) => {
        const ended = new AbortController();
        reply.raw.once('close', () => ended.abort());
        const backupId = checkNativeBackupId(param('backup_id'));
        const options = checkBackupDiff(query);
        const diff = await backups.diffBackup(caller, projectId, backupId, { ...options, signal: ended.signal });
        return {
          diff: {
            from_backup_id: options.fromId,
            backup_id: backupId,
            volume_id: diff.volumeId,
            from_size_bytes: diff.fromSizeBytes,
            size_bytes: diff.toSizeBytes,
            granularity_bytes: CHUNK_SIZE_BYTES,
            ranges: diff.extents.map(({ offsetBytes, lengthBytes }) => ({ offset: offsetBytes, length: lengthBytes })),
            next_offset: diff.nextOffsetBytes ?? null,
          },
        };
      },
    },
  ];
}
