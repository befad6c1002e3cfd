// Volumes as the native API shows them (contract 3.25): a closed set of keys, some of them by microversion.
import { bytesToGib } from '../../core/bytes.ts';
import type { Attachment, Volume } from '../../core/model.ts';
import type { VolumeSurroundings } from '../../services/volume-service.ts';
import type { Microversion } from '../plugins/microversion.ts';
import { type LinkBase, resourceLinks } from './links.ts';
import { formatNativeTime, formatOptional } from './times.ts';

export type VolumeViewOptions = {
  readonly version: Microversion;
  readonly isAdmin: boolean;
  readonly links: LinkBase;
  /** `host@backend#pool` */
  readonly hostName: string;
  readonly surroundings: VolumeSurroundings;
};

export function viewVolumeSummary(volume: Volume, links: LinkBase): Record<string, unknown> {
  return { id: volume.volumeId, name: volume.name, links: resourceLinks(links, 'volumes', volume.volumeId) };
}

/** What creating and updating answer. */
export function viewVolume(
  volume: Volume,
  options: Pick<VolumeViewOptions, 'version' | 'links' | 'surroundings'> & { readonly isAdmin?: boolean },
): Record<string, unknown> {
  const attached = listAttached(volume, options.surroundings);
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
    snapshot_id: volume.sourceSnapshotId,
    source_volid: volume.sourceVolumeId,
    metadata: viewMetadata(volume, attached),
    user_id: volume.userId,
    bootable: volume.isBootable ? 'true' : 'false',
    encrypted: false,
    replication_status: null,
    consistencygroup_id: null,
    multiattach: false,
    attachments: attached.map((attachment) => viewVolumeAttachment(attachment, options.isAdmin === true)),
    ...(Object.keys(volume.imageMetadata).length > 0 ? { volume_image_metadata: volume.imageMetadata } : {}),
    ...viewVersionedKeys(volume, options),
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

function listAttached({ volumeId }: Volume, { attachments }: VolumeSurroundings): Attachment[] {
  const all = attachments.get(volumeId) ?? [];
  return all.filter(({ status }) => status === 'attached' || status === 'detaching');
}

/** What the service itself has to say stands among the user's metadata, as in Cinder; the sub-resource has it not. */
function viewMetadata({ metadata, isReadonly }: Volume, attached: readonly Attachment[]): Record<string, string> {
  const mode = attached.find((attachment) => attachment.mode !== null)?.mode;
  return {
    ...metadata,
    ...(isReadonly === null ? {} : { readonly: isReadonly ? 'True' : 'False' }),
    ...(mode === undefined || mode === null ? {} : { attached_mode: mode }),
  };
}

/** Hosts are the operator's business. */
function viewVolumeAttachment(attachment: Attachment, isAdmin: boolean): Record<string, unknown> {
  return {
    id: attachment.volumeId,
    attachment_id: attachment.attachmentId,
    volume_id: attachment.volumeId,
    server_id: attachment.serverId,
    host_name: isAdmin ? attachment.hostName : null,
    device: attachment.device,
    attached_at: formatOptional(attachment.attachedAt, formatNativeTime),
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

function viewVersionedKeys(
  volume: Volume,
  { version, surroundings }: Pick<VolumeViewOptions, 'version' | 'surroundings'>,
): Record<string, unknown> {
  return {
    ...(version >= 13 ? { group_id: null } : {}),
    ...(version >= 48 ? { shared_targets: version >= 69 ? null : false, service_uuid: null } : {}),
    ...(version >= 63 ? { volume_type_id: surroundings.typeIds.get(volume.volumeType) ?? null } : {}),
    ...(version >= 65 ? { consumes_quota: true } : {}),
  };
}
