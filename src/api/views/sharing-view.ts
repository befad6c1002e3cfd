// Sharings as /v2/{project_id}/os-vendor-backup-sharing shows them (contract 3.18, 3.19).
import type { Sharing } from '../../core/model.ts';
import type { SharedBackup } from '../../services/sharing-service.ts';
import { viewSharedBackup } from './backup-view.ts';
import { formatNativeTime, formatOptional } from './times.ts';

/** As the answer to sharing shows it. */
export function viewNewSharing(sharing: Sharing): Record<string, unknown> {
  return { ...viewKeys(sharing), deleted: null, deleted_at: null };
}

export function viewSharing({ sharing, backup }: SharedBackup): Record<string, unknown> {
  return { ...viewKeys(sharing), backup: viewSharedBackup(backup) };
}

function viewKeys(sharing: Sharing): Record<string, unknown> {
  return {
    id: sharing.sharingId,
    backup_id: sharing.backupId,
    from_project_id: sharing.fromProjectId,
    to_project_id: sharing.toProjectId,
    created_at: formatNativeTime(sharing.createdAt),
    updated_at: formatOptional(sharing.updatedAt, formatNativeTime),
  };
}
