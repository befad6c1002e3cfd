// Parts of the service that an operator has switched off: they finish what they have and take nothing new.
import { VbsError } from '../core/errors.ts';
import type { ServiceName } from '../core/model.ts';
import type { CatalogRecords } from '../db/catalog.ts';

/**
 * For whoever accepts work: `cinder-volume` makes and changes volumes and snapshots, `cinder-backup` backups and
 * restores, `cinder-scheduler` places new volumes. Off is whatever was switched off on any host: one process has all.
 * @throws SERVICE_DISABLED
 */
export async function requireServiceEnabled(
  { serviceStates }: Pick<CatalogRecords, 'serviceStates'>,
  ...services: readonly ServiceName[]
): Promise<void> {
  for (const state of await serviceStates.list()) {
    if (state.isDisabled && services.includes(state.service)) {
      throw new VbsError('SERVICE_DISABLED', { service: state.service });
    }
  }
}
