// Snapshots as the native API shows them (contract 3.26): a closed set of keys, some of them by microversion, no links.
import { bytesToGib } from '../../core/bytes.ts';
import type { Snapshot } from '../../core/model.ts';
import type { Microversion } from '../plugins/microversion.ts';
import { formatNativeTime, formatOptional } from './times.ts';

/** What creating, updating and the plain list answer. */
export function viewSnapshot(snapshot: Snapshot, version: Microversion): Record<string, unknown> {
  return {
    id: snapshot.snapshotId,
    name: snapshot.name,
    description: snapshot.description,
    volume_id: snapshot.volumeId,
    status: snapshot.status,
    size: bytesToGib(snapshot.sizeBytes),
    metadata: snapshot.metadata,
    created_at: formatNativeTime(snapshot.createdAt),
    updated_at: formatOptional(snapshot.updatedAt, formatNativeTime),
    ...(version >= 14 ? { group_snapshot_id: null } : {}),
    ...(version >= 41 ? { user_id: snapshot.userId } : {}),
    ...(version >= 65 ? { consumes_quota: true } : {}),
  };
}

/** What show and the detailed list answer. */
export function viewSnapshotDetail(snapshot: Snapshot, version: Microversion): Record<string, unknown> {
  return {
    ...viewSnapshot(snapshot, version),
    'os-extended-snapshot-attributes:progress': `${snapshot.progressPercent}%`,
    'os-extended-snapshot-attributes:project_id': snapshot.projectId,
  };
}
