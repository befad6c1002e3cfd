// A backup written down for a later import (contract 3.24): base64 of a flat JSON object with the members that Cinder
// writes. Where the data lies is in `service_metadata`, because whoever imports it may have changed `id`.
import { bytesToGib } from '../../core/bytes.ts';
import type { ExportedRecord } from '../../services/backup-record-service.ts';
import { viewDescription } from './backup-view.ts';
import { formatJobTime, formatOptional } from './times.ts';

/** Clients want it to begin with `cinder.backup.drivers`. */
export const BACKUP_SERVICE = 'cinder.backup.drivers.vbs';

export function viewBackupRecord(exported: ExportedRecord): { backup_service: string; backup_url: string } {
  const text = JSON.stringify(viewRecordMembers(exported));
  return { backup_service: BACKUP_SERVICE, backup_url: Buffer.from(text, 'utf8').toString('base64') };
}

function viewRecordMembers({ backup, repositoryId }: ExportedRecord): Record<string, unknown> {
  return {
    id: backup.backupId,
    user_id: backup.userId,
    project_id: backup.projectId,
    volume_id: backup.volumeId,
    parent_id: backup.parentId,
    snapshot_id: backup.snapshotId,
    status: backup.status,
    fail_reason: backup.failReason,
    size: bytesToGib(backup.sizeBytes),
    object_count: backup.objectCount,
    num_dependent_backups: backup.hasDependents ? 1 : 0,
    display_name: backup.name,
    display_description: viewDescription(backup),
    container: backup.container,
    availability_zone: backup.availabilityZone,
    host: null,
    service: BACKUP_SERVICE,
    service_metadata: JSON.stringify({
      repository_id: repositoryId,
      record_backup_id: backup.recordBackupId,
      // A backup that can be written down is available, and what is available is committed.
      record_attempt_id: backup.attemptId,
    }),
    driver_info: {},
    metadata: backup.metadata,
    encryption_key_id: null,
    temp_volume_id: null,
    temp_snapshot_id: null,
    restore_volume_id: null,
    // With a zone, unlike all else in this API: Go clients decode them so, and write them back.
    data_timestamp: formatJobTime(backup.dataTimestampAt ?? backup.createdAt),
    created_at: formatJobTime(backup.createdAt),
    updated_at: formatOptional(backup.updatedAt, formatJobTime),
    deleted_at: null,
    deleted: false,
  };
}
