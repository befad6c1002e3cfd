// The services around volumes that exist, made together because they share what they work with.
import type { Clock, Logger } from '../core/ports.ts';
import type { Catalog } from '../db/catalog.ts';
import type { VolumeRegistry } from '../volumes/volume-registry.ts';
import { AttachmentService } from './attachment-service.ts';
import { HostService } from './host-service.ts';
import { ManageableService } from './manageable-service.ts';
import { MessageService } from './message-service.ts';
import type { QuotaLimits } from './quota.ts';
import { QuotaService } from './quota-service.ts';
import { VolumeActionService } from './volume-action-service.ts';
import { VolumeService } from './volume-service.ts';
import { VolumeTypeService } from './volume-type-service.ts';

export type VolumeServices = {
  readonly volumes: VolumeService;
  readonly volumeActions: VolumeActionService;
  readonly attachments: AttachmentService;
  readonly volumeTypes: VolumeTypeService;
  readonly manageable: ManageableService;
  readonly quotas: QuotaService;
  readonly hosts: HostService;
  readonly messages: MessageService;
};

export type VolumeServicesDeps = {
  readonly catalog: Catalog;
  readonly drivers: VolumeRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Tells the job runner that there is work. */
  readonly wakeJobs: () => void;
  readonly hostName: string;
  readonly availabilityZone: string;
  /** Limits of projects that have none of their own. */
  readonly quotas: QuotaLimits;
};

export function makeVolumeServices(deps: VolumeServicesDeps): VolumeServices {
  return {
    volumes: new VolumeService(deps),
    volumeActions: new VolumeActionService(deps),
    attachments: new AttachmentService(deps),
    volumeTypes: new VolumeTypeService(deps),
    manageable: new ManageableService(deps),
    quotas: new QuotaService(deps),
    hosts: new HostService(deps),
    messages: new MessageService(deps),
  };
}
