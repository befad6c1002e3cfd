// Actions on volumes, and their metadata (contract 3.25).
import { Type } from 'typebox';
import { VbsError } from '../../../core/errors.ts';
import type { Volume } from '../../../core/model.ts';
import type { VolumeService } from '../../../services/volume-service.ts';
import { type ApiDeps, nativePaths, type ProjectCall, type ProjectRoute } from '../../route.ts';
import {
  checkExtend,
  checkMetaBody,
  checkMetadataBody,
  checkResetVolume,
  checkVolumeAction,
  MetaBody,
  MetadataBody,
  VolumeActionBody,
} from '../../schemas/volume-actions.ts';
import { checkVolumeId } from '../../schemas/volumes.ts';

const TAG = 'volumes';
const METADATA = '/volumes/:volume_id/metadata';

export function volumeActionRoutes({ volumes }: ApiDeps): ProjectRoute[] {
  return [
    {
      method: 'POST',
      paths: nativePaths('/volumes/:volume_id/action'),
      access: { kind: 'project' },
      doc: {
        summary: 'Extend a volume, let it go, reset its status, or delete it by force',
        tag: TAG,
        body: VolumeActionBody,
        ok: { status: 202 },
      },
      handle: (call) => runAction(volumes, call),
    },
    ...metadataRoutes(volumes),
    ...metadataKeyRoutes(volumes),
  ];
}

async function runAction(volumes: VolumeService, call: ProjectCall): Promise<void> {
  const { caller, projectId, body } = call;
  const action = checkVolumeAction(body);
  const { volumeId } = await getVolume(volumes, call);
  switch (action.name) {
    case 'os-extend':
      await volumes.extendVolume(caller, projectId, volumeId, checkExtend(action.parameters));
      return;
    case 'os-unmanage':
      await volumes.unmanageVolume(caller, projectId, volumeId);
      return;
    case 'os-reset_status':
      await volumes.resetVolume(caller, projectId, volumeId, checkResetVolume(action.parameters));
      return;
    case 'os-force_delete':
      await volumes.deleteVolume(caller, projectId, volumeId, { cascade: false, force: true });
  }
}

function getVolume(volumes: VolumeService, { caller, projectId, param }: ProjectCall): Promise<Volume> {
  return volumes.getVolume(caller, projectId, checkVolumeId(param('volume_id')));
}

async function setMetadata(
  volumes: VolumeService,
  { caller, projectId }: ProjectCall,
  volume: Volume,
  metadata: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, string>>> {
  return (await volumes.updateVolume(caller, projectId, volume.volumeId, { metadata })).metadata;
}

function metadataRoutes(volumes: VolumeService): ProjectRoute[] {
  const ok = { status: 200, schema: MetadataBody };
  return [
    {
      method: 'GET',
      paths: nativePaths(METADATA),
      access: { kind: 'project' },
      doc: { summary: 'Show metadata of a volume', tag: TAG, ok },
      handle: async (call) => ({ metadata: (await getVolume(volumes, call)).metadata }),
    },
    {
      method: 'POST',
      paths: nativePaths(METADATA),
      access: { kind: 'project' },
      doc: { summary: 'Add to the metadata of a volume', tag: TAG, body: MetadataBody, ok },
      handle: async (call) => {
        const added = checkMetadataBody(call.body);
        const volume = await getVolume(volumes, call);
        return { metadata: await setMetadata(volumes, call, volume, { ...volume.metadata, ...added }) };
      },
    },
    {
      method: 'PUT',
      paths: nativePaths(METADATA),
      access: { kind: 'project' },
      doc: { summary: 'Replace the metadata of a volume', tag: TAG, body: MetadataBody, ok },
      handle: async (call) => {
        const metadata = checkMetadataBody(call.body);
        return { metadata: await setMetadata(volumes, call, await getVolume(volumes, call), metadata) };
      },
    },
  ];
}

function metadataKeyRoutes(volumes: VolumeService): ProjectRoute[] {
  const path = `${METADATA}/:key`;
  const ok = { status: 200, schema: MetaBody };
  return [
    {
      method: 'GET',
      paths: nativePaths(path),
      access: { kind: 'project' },
      doc: { summary: 'Show one key of the metadata', tag: TAG, ok },
      handle: async (call) => {
        const key = call.param('key');
        return { meta: { [key]: readMetadata(await getVolume(volumes, call), key) } };
      },
    },
    {
      method: 'PUT',
      paths: nativePaths(path),
      access: { kind: 'project' },
      doc: { summary: 'Set one key of the metadata', tag: TAG, body: MetaBody, ok },
      handle: async (call) => {
        const key = call.param('key');
        const value = checkMetaBody(call.body, key);
        const volume = await getVolume(volumes, call);
        await setMetadata(volumes, call, volume, { ...volume.metadata, [key]: value });
        return { meta: { [key]: value } };
      },
    },
    {
      method: 'DELETE',
      paths: nativePaths(path),
      access: { kind: 'project' },
      doc: { summary: 'Remove one key of the metadata', tag: TAG, ok: { status: 200, schema: Type.Null() } },
      handle: async (call) => {
        const key = call.param('key');
        const volume = await getVolume(volumes, call);
        readMetadata(volume, key);
        const { [key]: _removed, ...rest } = volume.metadata;
        await setMetadata(volumes, call, volume, rest);
      },
    },
  ];
}

/** @throws ROUTE_NOT_FOUND when the volume has no such key */
function readMetadata(volume: Volume, key: string): string {
  const value = Object.hasOwn(volume.metadata, key) ? volume.metadata[key] : undefined;
  if (value === undefined) throw new VbsError('ROUTE_NOT_FOUND');
  return value;
}
