// What native clients ask about the service itself: services, zones, volume types (contract 3.27).
import { Type } from 'typebox';
import type { VolumeType } from '../../../services/volume-types.ts';
import { DEFAULT_VOLUME_TYPE, findVolumeType } from '../../../services/volume-types.ts';
import { type ApiDeps, nativePaths, type TokenRoute } from '../../route.ts';
import { nullable } from '../../schemas/common.ts';
import { queryText } from '../../schemas/list-query.ts';
import { formatNativeTime } from '../../views/times.ts';

const TAG = 'service';

const ServiceBody = Type.Object({
  binary: Type.String(),
  host: Type.String(),
  zone: Type.String(),
  status: Type.String(),
  state: Type.String(),
  updated_at: Type.String(),
  disabled_reason: nullable(Type.String()),
});
const VolumeTypeBody = Type.Object({
  id: Type.String(),
  name: Type.String(),
  description: nullable(Type.String()),
  is_public: Type.Boolean(),
  extra_specs: Type.Record(Type.String(), Type.String()),
  'os-volume-type-access:is_public': Type.Boolean(),
});

export function serviceRoutes({ volumes, availabilityZone }: ApiDeps): TokenRoute[] {
  return [
    {
      method: 'GET',
      paths: nativePaths('/os-services'),
      access: { kind: 'token', role: 'admin' },
      doc: {
        summary: 'List the services and their hosts',
        tag: TAG,
        query: Type.Object({ host: Type.Optional(Type.String()), binary: Type.Optional(Type.String()) }),
        ok: { status: 200, schema: Type.Object({ services: Type.Array(ServiceBody) }) },
      },
      handle: ({ caller, query }) => {
        const host = queryText(query, 'host');
        const binary = queryText(query, 'binary');
        const services = volumes
          .listServices(caller)
          .filter(
            (service) => (host ?? service.host) === service.host && (binary ?? service.binary) === service.binary,
          );
        return {
          services: services.map((service) => ({
            binary: service.binary,
            host: service.host,
            zone: service.zone,
            status: 'enabled',
            state: 'up',
            updated_at: formatNativeTime(service.updatedAt),
            disabled_reason: null,
          })),
        };
      },
    },
    {
      method: 'GET',
      paths: nativePaths('/os-availability-zone'),
      access: { kind: 'token' },
      doc: {
        summary: 'List availability zones',
        tag: TAG,
        ok: {
          status: 200,
          schema: Type.Object({
            availabilityZoneInfo: Type.Array(
              Type.Object({ zoneName: Type.String(), zoneState: Type.Object({ available: Type.Boolean() }) }),
            ),
          }),
        },
      },
      handle: () => ({ availabilityZoneInfo: [{ zoneName: availabilityZone, zoneState: { available: true } }] }),
    },
    ...volumeTypeRoutes(),
  ];
}

function volumeTypeRoutes(): TokenRoute[] {
  const one = { status: 200, schema: Type.Object({ volume_type: VolumeTypeBody }) };
  return [
    {
      method: 'GET',
      paths: nativePaths('/types'),
      access: { kind: 'token' },
      doc: {
        summary: 'List volume types',
        tag: TAG,
        ok: { status: 200, schema: Type.Object({ volume_types: Type.Array(VolumeTypeBody) }) },
      },
      handle: () => ({ volume_types: [viewVolumeType(DEFAULT_VOLUME_TYPE)] }),
    },
    {
      method: 'GET',
      paths: nativePaths('/types/default'),
      access: { kind: 'token' },
      doc: { summary: 'Show the default volume type', tag: TAG, ok: one },
      handle: () => ({ volume_type: viewVolumeType(DEFAULT_VOLUME_TYPE) }),
    },
    {
      method: 'GET',
      paths: nativePaths('/types/:type_id'),
      access: { kind: 'token' },
      doc: { summary: 'Show a volume type', tag: TAG, ok: one },
      handle: ({ param }) => ({ volume_type: viewVolumeType(findVolumeType(param('type_id'))) }),
    },
  ];
}

function viewVolumeType({ id, name, description }: VolumeType): Record<string, unknown> {
  return { id, name, description, is_public: true, extra_specs: {}, 'os-volume-type-access:is_public': true };
}
