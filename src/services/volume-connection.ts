// How a program that attaches a volume reaches its disk: by path, on the machine that has it.
import { VbsError } from '../core/errors.ts';
import type { Volume } from '../core/model.ts';
import type { VolumeRegistry } from '../volumes/volume-registry.ts';
import { requireStatus } from './attachment-rules.ts';
import { toVolumeRef } from './volume-disk.ts';

/** What a client tells about the host that attaches; absent members are unknown. */
export type Connector = Readonly<Record<string, unknown>>;

/**
 * `local` is the connector of os-brick that opens a path of its own machine.
 * Source: openstack/os-brick, os_brick/initiator/connectors/local.py (`device_path`).
 */
export type ConnectionInfo = {
  readonly driverVolumeType: 'local';
  readonly devicePath: string;
  readonly mode: 'rw' | 'ro';
};

export type ConnectionDeps = { readonly drivers: VolumeRegistry; readonly hostName: string };

/** @throws VOLUME_STATE_FORBIDS, VOLUME_HOST_UNREACHABLE, VOLUME_UNAVAILABLE */
export async function connectVolume(
  { drivers, hostName }: ConnectionDeps,
  volume: Volume,
  connector: Connector,
  mode: 'rw' | 'ro',
): Promise<ConnectionInfo> {
  requireReachable(hostName, connector);
  requireStatus(volume, 'available', 'reserved', 'attaching', 'in-use', 'detaching', 'backing-up');
  const devicePath = await drivers.driver(volume.driver).locate(toVolumeRef(volume));
  return { driverVolumeType: 'local', devicePath, mode };
}

/** A path means nothing on another machine; who does not name theirs is taken at their word. */
export function requireReachable(hostName: string, { host }: Connector): void {
  if (typeof host !== 'string' || host === hostName) return;
  throw new VbsError('VOLUME_HOST_UNREACHABLE', { host: hostName });
}
