// The service as clients of Cinder see its processes: which there are, switching them off, zones and capacity.
import { GIB } from '../core/bytes.ts';
import { VbsError } from '../core/errors.ts';
import { SERVICE_NAMES, type ServiceName, type ServiceState } from '../core/model.ts';
import type { Clock } from '../core/ports.ts';
import type { Catalog } from '../db/catalog.ts';
import type { VolumeRegistry } from '../volumes/volume-registry.ts';
import { type Caller, requireRole } from './caller.ts';
import { BACKEND_CAPABILITIES } from './volume-types.ts';

/** A line of Cinder's service list. All of them are this process, so they were last seen now. */
export type ServiceView = {
  readonly binary: ServiceName;
  readonly host: string;
  readonly zone: string;
  readonly isDisabled: boolean;
  readonly disabledReason: string | null;
  readonly updatedAt: number;
};

/** Room for volumes, in GiB with fractions. */
export type PoolView = {
  /** `<host>@<backend>#<pool>` */
  readonly name: string;
  readonly totalGib: number;
  readonly freeGib: number;
  /** Sum of the sizes of all volumes; disks are sparse, so it may be more than there is. */
  readonly provisionedGib: number;
  readonly capabilities: Readonly<Record<string, string>>;
  readonly seenAt: number;
};

export type HostServiceDeps = {
  readonly catalog: Catalog;
  readonly drivers: VolumeRegistry;
  readonly clock: Clock;
  readonly hostName: string;
  readonly availabilityZone: string;
};

export class HostService {
  readonly #deps: HostServiceDeps;

  constructor(deps: HostServiceDeps) {
    this.#deps = deps;
  }

  /** For admins. */
  async listServices(caller: Caller): Promise<ServiceView[]> {
    requireRole(caller, 'admin');
    const { availabilityZone: zone, catalog, clock } = this.#deps;
    const states = await catalog.serviceStates.list();
    const updatedAt = clock.now();
    return SERVICE_NAMES.map((binary) => {
      const host = this.#hostOf(binary);
      const state = states.find((each) => each.service === binary && each.host === host);
      const { isDisabled = false, disabledReason = null } = state ?? {};
      return { binary, host, zone, isDisabled, disabledReason, updatedAt };
    });
  }

  /** Switches one off or on, for admins. `host` may leave out the backend. @throws SERVICE_NOT_FOUND */
  async setService(
    caller: Caller,
    wanted: { readonly binary: string; readonly host: string },
    state: Pick<ServiceState, 'isDisabled' | 'disabledReason'>,
  ): Promise<ServiceView> {
    requireRole(caller, 'admin');
    const { catalog, clock, availabilityZone: zone } = this.#deps;
    const binary = SERVICE_NAMES.find((name) => name === wanted.binary);
    const host = binary === undefined ? undefined : this.#hostOf(binary);
    if (binary === undefined || host === undefined || !isSameHost(host, wanted.host)) {
      throw new VbsError('SERVICE_NOT_FOUND', { service: wanted.binary, host: wanted.host });
    }
    const updatedAt = clock.now();
    await catalog.administer(({ serviceStates }) => serviceStates.save({ service: binary, host, ...state, updatedAt }));
    return { binary, host, zone, ...state, updatedAt };
  }

  /** A zone is open while volumes can be made in it. */
  async listZones(caller: Caller): Promise<{ name: string; isAvailable: boolean }[]> {
    requireRole(caller, 'reader');
    const states = await this.#deps.catalog.serviceStates.list();
    const isDisabled = states.some((state) => state.service === 'cinder-volume' && state.isDisabled);
    return [{ name: this.#deps.availabilityZone, isAvailable: !isDisabled }];
  }

  /** For admins. @throws VOLUME_IO when the file system cannot tell */
  async listPools(caller: Caller): Promise<PoolView[]> {
    requireRole(caller, 'admin');
    const { catalog, drivers, clock } = this.#deps;
    const { sizeGib: provisionedGib } = await catalog.volumes.sum({});
    return await Promise.all(
      drivers.drivers().map(async (driver) => {
        const { totalBytes, freeBytes } = await driver.measureRoom();
        return {
          name: poolNameOf(this.#deps.hostName),
          totalGib: totalBytes / GIB,
          freeGib: freeBytes / GIB,
          provisionedGib,
          capabilities: BACKEND_CAPABILITIES,
          seenAt: clock.now(),
        };
      }),
    );
  }

  #hostOf(binary: ServiceName): string {
    const { hostName } = this.#deps;
    return binary === 'cinder-volume' ? poolNameOf(hostName) : hostName;
  }
}

/** What adopting wants as `host`, and the service list shows. */
export function poolNameOf(hostName: string): string {
  return `${hostName}@file#file`;
}

/** Clients cut the pool, or the backend too, from what the list shows. */
export function isSameHost(host: string, wanted: string): boolean {
  return wanted === host || host.startsWith(`${wanted}@`) || host.startsWith(`${wanted}#`);
}
