// Actions on volumes (contract 3.25). Each is one call of one service; what differs is the parameters and the status.
import { Type } from 'typebox';
import type { VolumeId } from '../../../core/ids.ts';
import { type ApiDeps, nativePaths, type ProjectCall, type ProjectRoute } from '../../route.ts';
import { checkRevert } from '../../schemas/snapshots.ts';
import {
  checkAttach,
  checkConnector,
  checkDetach,
  checkExtend,
  checkFlag,
  checkImageKey,
  checkImageMetadata,
  checkResetVolume,
  checkRetype,
  checkVolumeAction,
  VolumeActionBody,
  type VolumeActionName,
} from '../../schemas/volume-actions.ts';
import { checkVolumeId } from '../../schemas/volumes.ts';
import { viewConnectionData } from '../../views/attachment-view.ts';
import { volumeMetadataRoutes } from './volume-metadata.ts';

type ActionDeps = Pick<ApiDeps, 'volumes' | 'volumeActions' | 'attachments' | 'snapshots'>;
type ActionCall = ProjectCall & { readonly volumeId: VolumeId; readonly parameters: unknown };
/** Undefined for an empty answer. */
type Action = (deps: ActionDeps, call: ActionCall) => Promise<unknown>;

export function volumeActionRoutes(deps: ApiDeps): ProjectRoute[] {
  return [
    {
      method: 'POST',
      paths: nativePaths('/volumes/:volume_id/action'),
      access: { kind: 'project' },
      doc: {
        summary:
          'Extend, attach, detach, mark, retype, revert or let go a volume; reset its state or delete it by force',
        description:
          'Answers 200 instead of 202 to os-initialize_connection, os-set_bootable and the actions on image metadata.',
        tag: 'volumes',
        body: VolumeActionBody,
        ok: { status: 202, schema: Type.Optional(Type.Unknown()) },
        alternatives: { 200: 'Done, for the actions named above' },
      },
      handle: (call) => runAction(deps, call),
    },
    ...volumeMetadataRoutes(deps),
  ];
}

async function runAction(deps: ActionDeps, call: ProjectCall): Promise<unknown> {
  const volumeId = checkVolumeId(call.param('volume_id'));
  // An unknown volume is told before what is wrong with the action, as Cinder does.
  await deps.volumes.getVolume(call.caller, call.projectId, volumeId);
  const { name, parameters } = checkVolumeAction(call.body, call.version);
  if (WITH_STATUS_200.has(name)) call.reply.code(200);
  return await ACTIONS[name](deps, { ...call, volumeId, parameters });
}

const WITH_STATUS_200: ReadonlySet<VolumeActionName> = new Set([
  'os-initialize_connection',
  'os-set_bootable',
  'os-show_image_metadata',
  'os-set_image_metadata',
  'os-unset_image_metadata',
]);

const ACTIONS: Readonly<Record<VolumeActionName, Action>> = {
  'os-extend': async ({ volumes }, { caller, projectId, volumeId, parameters, version }) => {
    const input = { sizeGib: checkExtend(parameters), mayBeInUse: version >= 42 };
    await volumes.extendVolume(caller, projectId, volumeId, input);
  },
  'os-unmanage': ({ volumes }, { caller, projectId, volumeId }) => volumes.unmanageVolume(caller, projectId, volumeId),
  'os-reset_status': ({ volumeActions }, { caller, projectId, volumeId, parameters }) =>
    volumeActions.resetVolume(caller, projectId, volumeId, checkResetVolume(parameters)),
  'os-force_delete': ({ volumes }, { caller, projectId, volumeId }) =>
    volumes.deleteVolume(caller, projectId, volumeId, { cascade: false, force: true }),
  'os-attach': ({ attachments }, { caller, projectId, volumeId, parameters }) =>
    attachments.attachVolume(caller, projectId, volumeId, checkAttach(parameters)),
  'os-detach': (deps, call) => detach(deps, call, false),
  'os-force_detach': (deps, call) => detach(deps, call, true),
  'os-reserve': ({ attachments }, { caller, projectId, volumeId }) =>
    attachments.reserveVolume(caller, projectId, volumeId),
  'os-unreserve': ({ attachments }, { caller, projectId, volumeId }) =>
    attachments.unreserveVolume(caller, projectId, volumeId),
  'os-begin_detaching': ({ attachments }, { caller, projectId, volumeId }) =>
    attachments.beginDetaching(caller, projectId, volumeId),
  'os-roll_detaching': ({ attachments }, { caller, projectId, volumeId }) =>
    attachments.rollDetaching(caller, projectId, volumeId),
  'os-initialize_connection': async ({ attachments }, { caller, projectId, volumeId, parameters }) => {
    const connector = checkConnector(parameters);
    const connection = await attachments.initializeConnection(caller, projectId, volumeId, connector);
    const data = viewConnectionData(connection);
    return { connection_info: { driver_volume_type: connection.driverVolumeType, data } };
  },
  // Nothing was opened, so there is nothing to close.
  'os-terminate_connection': async () => undefined,
  'os-set_bootable': ({ volumeActions }, { caller, projectId, volumeId, parameters }) =>
    volumeActions.setBootable(caller, projectId, volumeId, checkFlag(parameters, 'bootable')),
  'os-update_readonly_flag': ({ volumeActions }, { caller, projectId, volumeId, parameters }) =>
    volumeActions.setReadonly(caller, projectId, volumeId, checkFlag(parameters, 'readonly')),
  'os-retype': ({ volumeActions }, { caller, projectId, volumeId, parameters }) =>
    volumeActions.retypeVolume(caller, projectId, volumeId, checkRetype(parameters)),
  'os-show_image_metadata': async ({ volumes }, { caller, projectId, volumeId }) => ({
    metadata: (await volumes.getVolume(caller, projectId, volumeId)).imageMetadata,
  }),
  'os-set_image_metadata': async ({ volumeActions }, { caller, projectId, volumeId, parameters }) => {
    const added = checkImageMetadata(parameters);
    return { metadata: await volumeActions.setImageMetadata(caller, projectId, volumeId, added) };
  },
  'os-unset_image_metadata': ({ volumeActions }, { caller, projectId, volumeId, parameters }) =>
    volumeActions.unsetImageMetadata(caller, projectId, volumeId, checkImageKey(parameters)),
  revert: async ({ snapshots }, { caller, projectId, volumeId, parameters }) => {
    await snapshots.revertVolume(caller, projectId, volumeId, checkRevert(parameters));
  },
};

async function detach({ attachments }: ActionDeps, call: ActionCall, isForced: boolean): Promise<void> {
  const { caller, projectId, volumeId, parameters } = call;
  await attachments.detachVolume(caller, projectId, volumeId, { attachmentId: checkDetach(parameters), isForced });
}
