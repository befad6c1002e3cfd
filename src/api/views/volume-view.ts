// Volumes as the native API shows them (contract 3.25): a closed set of keys, some of them by microversion.
import { bytesToGib } from '../../core/bytes.ts';
import type { Volume } from '../../core/model.ts';
import { findVolumeType } from '../../services/volume-types.ts';
import type { Microversion } from '../plugins/microversion.ts';
import { type LinkBase, resourceLinks } from './links.ts';
import { formatNativeTime, formatOptional } from './times.ts';

export type VolumeViewOptions = {
  readonly version: Microversion;
  readonly isAdmin: boolean;
  readonly links: LinkBase;
  /** `host@backend#pool` */
  readonly hostName: string;
};

export function viewVolumeSummary(volume: Volume, links: LinkBase): Record<string, unknown> {
  return { id: volume.volumeId, name: volume.name, links: resourceLinks(links, 'volumes', volume.volumeId) };
}

/** What creating and updating answer. */
export function viewVolume(
  volume: Volume,
  options: Pick<VolumeViewOptions, 'version' | 'links'>,
): Record<string, unknown> {
  return {
    id: volume.volumeId,
    name: volume.name,
    description: volume.description,
    status: volume.status,
    size: bytesToGib(volume.sizeBytes),
    availability_zone: volume.availabilityZone,
    created_at: formatNativeTime(volume.createdAt),
    updated_at: formatOptional(volume.updatedAt, formatNativeTime),
    volume_type: volume.volumeType,
    snapshot_id: null,
    source_volid: null,
    metadata: volume.metadata,
    user_id: volume.userId,
    bootable: volume.isBootable ? 'true' : 'false',
    encrypted: false,
    replication_status: null,
    consistencygroup_id: null,
    multiattach: false,
    attachments: [],
    ...viewVersionedKeys(volume, options.version),
    links: resourceLinks(options.links, 'volumes', volume.volumeId),
  };
}

/** What show and the detailed list answer. */
export function viewVolumeDetail(volume: Volume, options: VolumeViewOptions): Record<string, unknown> {
  return {
    ...viewVolume(volume, options),
    'os-vol-tenant-attr:tenant_id': volume.projectId,
    ...(options.isAdmin ? viewAdminKeys(options) : {}),
  };
}

function viewAdminKeys({ hostName, version }: VolumeViewOptions): Record<string, unknown> {
  return {
    'os-vol-host-attr:host': hostName,
    'os-vol-mig-status-attr:migstat': null,
    'os-vol-mig-status-attr:name_id': null,
    migration_status: null,
    ...(version >= 61 ? { cluster_name: null } : {}),
  };
}

function viewVersionedKeys(volume: Volume, version: Microversion): Record<string, unknown> {
  return {
    ...(version >= 13 ? { group_id: null } : {}),
    ...(version >= 48 ? { shared_targets: version >= 69 ? null : false, service_uuid: null } : {}),
    ...(version >= 63 ? { volume_type_id: findVolumeType(volume.volumeType).id } : {}),
    ...(version >= 65 ? { consumes_quota: true } : {}),
  };
}
