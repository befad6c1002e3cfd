// Requests about services (contract 3.27), and what is told of the service without asking anybody.
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import { nullable } from './common.ts';
import { invalidField, isJsonObject, type ParsedBody, readNullableText, requireJson } from './parse.ts';

const TEXT_MAX = 255;

export const ServiceBody = Type.Object(
  {
    binary: Type.String(),
    host: Type.String(),
    zone: Type.String(),
    status: Type.Union([Type.Literal('enabled'), Type.Literal('disabled')]),
    state: Type.String(),
    updated_at: Type.String(),
    disabled_reason: nullable(Type.String()),
    cluster: Type.Optional(Type.Null({ description: 'From 3.7' })),
    replication_status: Type.Optional(Type.String({ description: 'cinder-volume, from 3.49' })),
    active_backend_id: Type.Optional(Type.Null()),
    frozen: Type.Optional(Type.Boolean()),
    backend_state: Type.Optional(Type.String()),
  },
  { $id: 'Service' },
);
export const ServiceRequestBody = Type.Object(
  {
    host: Type.String({ minLength: 1, maxLength: TEXT_MAX }),
    binary: Type.String({ minLength: 1, maxLength: TEXT_MAX }),
    disabled_reason: Type.Optional(Type.String({ minLength: 1, maxLength: TEXT_MAX })),
  },
  { $id: 'ServiceRequest', examples: [{ host: 'backup-1', binary: 'cinder-backup' }] },
);
export const DisabledServiceBody = Type.Object(
  {
    host: Type.String(),
    service: Type.String(),
    binary: Type.String(),
    status: Type.String(),
    disabled: Type.Boolean(),
    disabled_reason: Type.Optional(nullable(Type.String())),
  },
  { $id: 'DisabledService' },
);
export const ExtensionBody = Type.Object(
  {
    alias: Type.String(),
    name: Type.String(),
    description: Type.String(),
    links: Type.Array(Type.Unknown()),
    updated: Type.String(),
  },
  { $id: 'Extension' },
);

export type ServiceRequest = {
  readonly service: { readonly binary: string; readonly host: string };
  readonly reason: string;
};

/** `reason` is empty unless one is wanted. @throws REQUEST_MALFORMED, REQUEST_FIELD_INVALID */
export function checkServiceRequest(body: ParsedBody, needsReason: boolean): ServiceRequest {
  const value = requireJson(body);
  if (!isJsonObject(value)) throw new VbsError('REQUEST_MALFORMED', { reason: 'the body is not an object' });
  const read = (key: string): string => {
    const text = readNullableText(value, key, key, TEXT_MAX)?.trim() ?? '';
    if (text === '') throw invalidField(key, 'it is required');
    return text;
  };
  // Older clients say `service` for `binary`.
  const binary = Object.hasOwn(value, 'binary') ? read('binary') : read('service');
  return { service: { host: read('host'), binary }, reason: needsReason ? read('disabled_reason') : '' };
}

const UPDATED = '2012-12-12T00:00:00+00:00';

function extension(alias: string, name: string, description: string) {
  return { alias, name, description, links: [], updated: UPDATED };
}

export const EXTENSIONS = [
  extension('backups', 'Backups', 'Backups of volumes'),
  extension('os-admin-actions', 'AdminActions', 'Resetting states and deleting by force'),
  extension('os-availability-zone', 'AvailabilityZones', 'Zones that volumes are in'),
  extension('os-extended-services', 'ExtendedServices', 'Reasons why services are disabled'),
  extension('os-extended-snapshot-attributes', 'ExtendedSnapshotAttributes', 'Progress and project of snapshots'),
  extension('os-quota-class-sets', 'QuotaClasses', 'Default quotas'),
  extension('os-quota-sets', 'Quotas', 'Quotas of projects'),
  extension('os-services', 'Services', 'Parts of the service, and switching them off'),
  extension('os-snapshot-actions', 'SnapshotActions', 'States of snapshots'),
  extension('os-types-extra-specs', 'TypesExtraSpecs', 'Extra specs of volume types'),
  extension('os-types-manage', 'TypesManage', 'Making and changing volume types'),
  extension('os-used-limits', 'UsedLimits', 'What is used of limits'),
  extension('os-vol-host-attr', 'VolumeHostAttribute', 'Host of a volume'),
  extension('os-vol-image-meta', 'VolumeImageMetadata', 'What is known of the image on a volume'),
  extension('os-vol-tenant-attr', 'VolumeTenantAttribute', 'Project of a volume'),
  extension('os-volume-actions', 'VolumeActions', 'Attaching, extending and marking volumes'),
  extension('os-volume-manage', 'VolumeManage', 'Adopting disks'),
  extension('os-volume-type-access', 'VolumeTypeAccess', 'Projects that may use a volume type'),
  extension('os-volume-unmanage', 'VolumeUnmanage', 'Letting disks go'),
  extension('scheduler-stats', 'SchedulerStats', 'Room for volumes'),
] as const;

export const RESOURCE_FILTERS = [
  {
    resource: 'volume',
    filters: ['name', 'status', 'metadata', 'bootable', 'availability_zone', 'size', 'created_at', 'updated_at'],
  },
  { resource: 'snapshot', filters: ['name', 'status', 'volume_id', 'metadata', 'availability_zone'] },
  { resource: 'backup', filters: ['name', 'status', 'volume_id'] },
  { resource: 'attachment', filters: ['volume_id', 'status', 'instance_id', 'attach_status'] },
  { resource: 'message', filters: ['resource_uuid', 'resource_type', 'event_id'] },
  { resource: 'pool', filters: ['name'] },
] as const;
