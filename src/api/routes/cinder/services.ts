// What native clients ask about the service itself: services, zones, pools, extensions, filters (contract 3.27).
import { Type } from 'typebox';
import { VbsError } from '../../../core/errors.ts';
import { type HostService, isSameHost, type PoolView, type ServiceView } from '../../../services/host-service.ts';
import type { Microversion } from '../../plugins/microversion.ts';
import { type ApiDeps, nativePaths, type TokenCall, type TokenRoute } from '../../route.ts';
import { nullable } from '../../schemas/common.ts';
import { queryBoolean, queryText } from '../../schemas/list-query.ts';
import {
  checkServiceRequest,
  DisabledServiceBody,
  EXTENSIONS,
  ExtensionBody,
  RESOURCE_FILTERS,
  ServiceBody,
  ServiceRequestBody,
} from '../../schemas/services.ts';
import { formatNativeTime } from '../../views/times.ts';

const TAG = 'service';
const ADMIN = { kind: 'token', role: 'admin' } as const;

export function serviceRoutes({ hosts, version }: ApiDeps): TokenRoute[] {
  return [
    listServicesRoute(hosts),
    ...switchRoutes(hosts),
    zoneRoute(hosts),
    ...poolRoutes(hosts, version),
    ...extensionRoutes(),
    filterRoute(),
  ];
}

function listServicesRoute(hosts: HostService): TokenRoute {
  return {
    method: 'GET',
    paths: nativePaths('/os-services'),
    access: ADMIN,
    doc: {
      summary: 'List the services and their hosts',
      tag: TAG,
      query: Type.Object({ host: Type.Optional(Type.String()), binary: Type.Optional(Type.String()) }),
      ok: { status: 200, schema: Type.Object({ services: Type.Array(ServiceBody) }) },
    },
    handle: async ({ caller, query, version }) => {
      const host = queryText(query, 'host');
      const binary = queryText(query, 'binary');
      const services = (await hosts.listServices(caller)).filter(
        (service) =>
          (host === undefined || isSameHost(service.host, host)) && (binary ?? service.binary) === service.binary,
      );
      return { services: services.map((service) => viewService(service, version)) };
    },
  };
}

function viewService(service: ServiceView, version: Microversion): Record<string, unknown> {
  const isBackend = service.binary === 'cinder-volume';
  const replication = { replication_status: 'disabled', active_backend_id: null, frozen: false };
  return {
    binary: service.binary,
    host: service.host,
    zone: service.zone,
    status: service.isDisabled ? 'disabled' : 'enabled',
    state: 'up',
    updated_at: formatNativeTime(service.updatedAt),
    disabled_reason: service.disabledReason,
    ...(version >= 7 ? { cluster: null } : {}),
    ...(version >= 49 && isBackend ? { ...replication, backend_state: 'up' } : {}),
  };
}

function switchRoutes(hosts: HostService): TokenRoute[] {
  const route = (
    action: 'enable' | 'disable' | 'disable-log-reason',
    summary: string,
    handle: (call: TokenCall) => Promise<Record<string, unknown>>,
  ): TokenRoute => ({
    method: 'PUT',
    paths: nativePaths(`/os-services/${action}`),
    access: ADMIN,
    doc: { summary, tag: TAG, body: ServiceRequestBody, ok: { status: 200, schema: DisabledServiceBody } },
    handle,
  });
  return [
    route('enable', 'Let a service take new work again', async ({ caller, body }) => {
      const { service } = checkServiceRequest(body, false);
      const state = { isDisabled: false, disabledReason: null };
      return { ...viewSwitched(await hosts.setService(caller, service, state)), disabled_reason: null };
    }),
    route('disable', 'Let a service take no new work', async ({ caller, body }) => {
      const { service } = checkServiceRequest(body, false);
      return viewSwitched(await hosts.setService(caller, service, { isDisabled: true, disabledReason: null }));
    }),
    route('disable-log-reason', 'Let a service take no new work, and say why', async ({ caller, body }) => {
      const { service, reason } = checkServiceRequest(body, true);
      const state = { isDisabled: true, disabledReason: reason };
      return { ...viewSwitched(await hosts.setService(caller, service, state)), disabled_reason: reason };
    }),
  ];
}

function viewSwitched({ binary, host, isDisabled }: ServiceView): Record<string, unknown> {
  return { host, service: '', binary, status: isDisabled ? 'disabled' : 'enabled', disabled: isDisabled };
}

function zoneRoute(hosts: HostService): TokenRoute {
  const Zone = Type.Object({ zoneName: Type.String(), zoneState: Type.Object({ available: Type.Boolean() }) });
  return {
    method: 'GET',
    paths: nativePaths('/os-availability-zone'),
    access: { kind: 'token' },
    doc: {
      summary: 'List availability zones',
      tag: TAG,
      ok: { status: 200, schema: Type.Object({ availabilityZoneInfo: Type.Array(Zone) }) },
    },
    handle: async ({ caller }) => ({
      availabilityZoneInfo: (await hosts.listZones(caller)).map(({ name, isAvailable }) => ({
        zoneName: name,
        zoneState: { available: isAvailable },
      })),
    }),
  };
}

function poolRoutes(hosts: HostService, version: string): TokenRoute[] {
  const Pool = Type.Object({
    name: Type.String(),
    capabilities: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  });
  const Capabilities = Type.Record(Type.String(), Type.Unknown());
  return [
    {
      method: 'GET',
      paths: nativePaths('/scheduler-stats/get_pools'),
      access: ADMIN,
      doc: {
        summary: 'List where volumes are kept, and how much room there is',
        tag: TAG,
        query: Type.Object({ detail: Type.Optional(Type.Boolean()), name: Type.Optional(Type.String()) }),
        ok: { status: 200, schema: Type.Object({ pools: Type.Array(Pool) }) },
      },
      handle: async ({ caller, query }) => {
        const isDetailed = queryBoolean(query, 'detail') === true;
        const wanted = queryText(query, 'name');
        const pools = (await hosts.listPools(caller)).filter(({ name }) => (wanted ?? name) === name);
        return {
          pools: pools.map((pool) => ({
            name: pool.name,
            ...(isDetailed ? { capabilities: viewCapacity(pool, version) } : {}),
          })),
        };
      },
    },
    {
      method: 'GET',
      paths: nativePaths('/capabilities/:host_name'),
      access: ADMIN,
      doc: { summary: 'Show what a backend offers', tag: TAG, ok: { status: 200, schema: Capabilities } },
      handle: async ({ caller, param }) => {
        const host = param('host_name');
        const pool = (await hosts.listPools(caller)).find(({ name }) => isSameHost(name, host));
        if (pool === undefined) throw new VbsError('SERVICE_NOT_FOUND', { service: 'cinder-volume', host });
        return viewBackend(pool, version);
      },
    },
  ];
}

function viewCapacity(pool: PoolView, version: string): Record<string, unknown> {
  return {
    total_capacity_gb: roundGib(pool.totalGib),
    free_capacity_gb: roundGib(pool.freeGib),
    provisioned_capacity_gb: pool.provisionedGib,
    allocated_capacity_gb: pool.provisionedGib,
    reserved_percentage: 0,
    thin_provisioning_support: true,
    thick_provisioning_support: false,
    multiattach: false,
    QoS_support: false,
    ...pool.capabilities,
    driver_version: version,
    timestamp: formatNativeTime(pool.seenAt),
  };
}

function viewBackend({ name, capabilities }: PoolView, version: string): Record<string, unknown> {
  const [host = '', rest = ''] = name.split('@', 2);
  return {
    namespace: `OS::Storage::Capabilities::${name.split('#', 1)[0]}`,
    vendor_name: capabilities.vendor_name ?? '',
    volume_backend_name: capabilities.volume_backend_name ?? '',
    pool_name: rest.split('#')[1] ?? null,
    driver_version: version,
    storage_protocol: capabilities.storage_protocol ?? '',
    display_name: `Disk images on ${host}`,
    description: 'Raw disk images and block devices of one machine',
    visibility: null,
    replication_targets: [],
    properties: {},
  };
}

function roundGib(gib: number): number {
  return Math.round(gib * 100) / 100;
}

function extensionRoutes(): TokenRoute[] {
  return [
    {
      method: 'GET',
      paths: nativePaths('/extensions'),
      access: { kind: 'token' },
      doc: {
        summary: 'List what is offered beyond the core of the volume API',
        tag: TAG,
        ok: { status: 200, schema: Type.Object({ extensions: Type.Array(ExtensionBody) }) },
      },
      handle: () => ({ extensions: EXTENSIONS }),
    },
    {
      method: 'GET',
      paths: nativePaths('/extensions/:alias'),
      access: { kind: 'token' },
      doc: {
        summary: 'Show an extension',
        tag: TAG,
        ok: { status: 200, schema: Type.Object({ extension: ExtensionBody }) },
      },
      handle: ({ param }) => {
        const extension = EXTENSIONS.find(({ alias }) => alias === param('alias'));
        if (extension === undefined) throw new VbsError('ROUTE_NOT_FOUND');
        return { extension };
      },
    },
  ];
}

function filterRoute(): TokenRoute {
  const Filters = Type.Object({ resource: Type.String(), filters: Type.Array(Type.String()) });
  return {
    method: 'GET',
    paths: nativePaths('/resource_filters', 'v3'),
    access: { kind: 'token', minVersion: 33 },
    doc: {
      summary: 'List what lists can be filtered by',
      tag: TAG,
      query: Type.Object({ resource: Type.Optional(nullable(Type.String())) }),
      ok: { status: 200, schema: Type.Object({ resource_filters: Type.Array(Filters) }) },
    },
    handle: ({ query }) => {
      const wanted = queryText(query, 'resource');
      return { resource_filters: RESOURCE_FILTERS.filter(({ resource }) => (wanted ?? resource) === resource) };
    },
  };
}
