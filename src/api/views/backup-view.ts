// Backups as the native API shows them (contract 3.22, 5.7, 5.8). The key sets are exact: test schemas of OpenStack
// forbid every key before its microversion.
import { bytesToGib, MIB } from '../../core/bytes.ts';
import type { Backup } from '../../core/model.ts';
import type { Microversion } from '../plugins/microversion.ts';
import { type LinkBase, resourceLinks } from './links.ts';
import { formatNativeTime, formatOptional } from './times.ts';

/** Which of the three native faces shows the backup: /v2, plain /v3, or the seed's /v3/{p}/native. */
export type BackupFace = 'v2' | 'v3' | 'v3 native';

export type BackupViewOptions = {
  readonly face: BackupFace;
  readonly version: Microversion;
  readonly isAdmin: boolean;
  readonly links: LinkBase;
  /** Setting native.tenant_attr_everywhere (contract 6.2). */
  readonly isTenantAttrEverywhere?: boolean;
  /** Percent of a backup in creation, where it is known. */
  readonly percentOf?: (backup: Backup) => number | undefined;
};

export function viewBackupSummary(backup: Backup, links: LinkBase): Record<string, unknown> {
  return { id: backup.backupId, name: backup.name, links: resourceLinks(links, 'backups', backup.backupId) };
}

export function viewBackup(backup: Backup, options: BackupViewOptions): Record<string, unknown> {
  return {
    ...viewCommonKeys(backup),
    ...viewFaceKeys(backup, options),
    links: resourceLinks(options.links, 'backups', backup.backupId),
  };
}

/** Within a sharing: without links and owner. */
export function viewSharedBackup(backup: Backup): Record<string, unknown> {
  return { ...viewCommonKeys(backup), service_metadata: viewServiceMetadata(backup, undefined) };
}

function viewCommonKeys(backup: Backup): Record<string, unknown> {
  return {
    id: backup.backupId,
    status: backup.status,
    size: bytesToGib(backup.sizeBytes),
    object_count: backup.objectCount,
    container: backup.container,
    availability_zone: backup.availabilityZone,
    volume_id: backup.volumeId,
    snapshot_id: backup.snapshotId,
    name: backup.name,
    description: viewDescription(backup),
    created_at: formatNativeTime(backup.createdAt),
    updated_at: formatOptional(backup.updatedAt, formatNativeTime),
    data_timestamp: formatNativeTime(backup.dataTimestampAt ?? backup.createdAt),
    fail_reason: backup.failReason,
    is_incremental: backup.isIncremental,
    has_dependent_backups: backup.hasDependents,
  };
}

/** Backups made through VBS show a JSON text; the Go SDK unwraps `DESC` of it. */
export function viewDescription(backup: Backup): string | null {
  if (backup.dialect === 'native') return backup.description;
  return JSON.stringify({ DESC: backup.description ?? '', INC: backup.isIncrementalRequested ? 1 : 0 });
}

function viewFaceKeys(backup: Backup, options: BackupViewOptions): Record<string, unknown> {
  const { face, version, isAdmin } = options;
  if (face === 'v2') {
    return {
      'os-bak-tenant-attr:tenant_id': backup.projectId,
      service_metadata: viewServiceMetadata(backup, options.percentOf?.(backup)),
    };
  }
  const isNative = face === 'v3 native';
  const hasTenantAttr = isNative || options.isTenantAttrEverywhere === true;
  return {
    ...(isNative || (isAdmin && version >= 18) ? { 'os-backup-project-attr:project_id': backup.projectId } : {}),
    ...(hasTenantAttr ? { 'os-backup-project-attr:tenant_id': backup.projectId } : {}),
    ...(version >= 43 ? { metadata: backup.metadata } : {}),
    ...(version >= 56 && (isNative || isAdmin) ? { user_id: backup.userId } : {}),
  };
}

/** A string of JSON. Other projects may come to see it: nothing secret belongs here. */
function viewServiceMetadata(backup: Backup, percent: number | undefined): string {
  const isStored = backup.attemptId !== null;
  return JSON.stringify({
    // What was done is known when it is done; before that, what was asked for.
    Type: (isStored ? backup.isIncremental : backup.isIncrementalRequested) ? 1 : 0,
    ...(backup.sourceVolume.isBootable ? { bootable: true } : {}),
    ...(isStored ? { progress: 100 } : percent === undefined ? {} : { progress: Math.floor(percent) }),
    ...(isStored ? { BackupSize: Math.ceil(backup.storedBytes / MIB) } : {}),
    ...(backup.snapshotId === null ? {} : { snap_id: backup.snapshotId.replaceAll('-', '') }),
    // Deduplicated and compressed; every backup is a whole map of its volume, so each restores at once (5.11).
    DL: 3,
    IR: 1,
  });
}
