// The metadata of volumes as a sub-resource (contract 3.25). Each change is one transaction of the service.
import { Type } from 'typebox';
import { VbsError } from '../../../core/errors.ts';
import type { VolumeService } from '../../../services/volume-service.ts';
import { type ApiDeps, nativePaths, type ProjectCall, type ProjectRoute } from '../../route.ts';
import { checkMetaBody, checkMetadataBody, MetaBody, MetadataBody } from '../../schemas/volume-actions.ts';
import { checkVolumeId } from '../../schemas/volumes.ts';

type VolumeMetadata = Readonly<Record<string, string>>;

const TAG = 'volumes';
const METADATA = '/volumes/:volume_id/metadata';

export function volumeMetadataRoutes({ volumes }: Pick<ApiDeps, 'volumes'>): ProjectRoute[] {
  return [...wholeRoutes(volumes), ...keyRoutes(volumes)];
}

async function getMetadata(volumes: VolumeService, { caller, projectId, param }: ProjectCall): Promise<VolumeMetadata> {
  return (await volumes.getVolume(caller, projectId, checkVolumeId(param('volume_id')))).metadata;
}

async function changeMetadata(
  volumes: VolumeService,
  { caller, projectId, param }: ProjectCall,
  plan: (metadata: VolumeMetadata) => VolumeMetadata,
): Promise<VolumeMetadata> {
  return await volumes.changeMetadata(caller, projectId, checkVolumeId(param('volume_id')), plan);
}

function wholeRoutes(volumes: VolumeService): ProjectRoute[] {
  const ok = { status: 200, schema: MetadataBody };
  return [
    {
      method: 'GET',
      paths: nativePaths(METADATA),
      access: { kind: 'project' },
      doc: { summary: 'Show metadata of a volume', tag: TAG, ok },
      handle: async (call) => ({ metadata: await getMetadata(volumes, call) }),
    },
    {
      method: 'POST',
      paths: nativePaths(METADATA),
      access: { kind: 'project' },
      doc: { summary: 'Add to the metadata of a volume', tag: TAG, body: MetadataBody, ok },
      handle: async (call) => {
        const added = checkMetadataBody(call.body);
        return { metadata: await changeMetadata(volumes, call, (metadata) => ({ ...metadata, ...added })) };
      },
    },
    {
      method: 'PUT',
      paths: nativePaths(METADATA),
      access: { kind: 'project' },
      doc: { summary: 'Replace the metadata of a volume', tag: TAG, body: MetadataBody, ok },
      handle: async (call) => {
        const metadata = checkMetadataBody(call.body);
        return { metadata: await changeMetadata(volumes, call, () => metadata) };
      },
    },
  ];
}

function keyRoutes(volumes: VolumeService): ProjectRoute[] {
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
        return { meta: { [key]: requireMetadata(await getMetadata(volumes, call), key) } };
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
        await changeMetadata(volumes, call, (metadata) => ({ ...metadata, [key]: value }));
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
        await changeMetadata(volumes, call, (metadata) => {
          requireMetadata(metadata, key);
          const { [key]: _removed, ...rest } = metadata;
          return rest;
        });
      },
    },
  ];
}

/** @throws METADATA_KEY_NOT_FOUND */
function requireMetadata(metadata: VolumeMetadata, key: string): string {
  const value = Object.hasOwn(metadata, key) ? metadata[key] : undefined;
  if (value === undefined) throw new VbsError('METADATA_KEY_NOT_FOUND', { key: key.slice(0, 255) });
  return value;
}
