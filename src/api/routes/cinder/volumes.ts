// The native volume API (contract 3.25): create, list, show, update, delete, adopt.
import { Type } from 'typebox';
import type { Volume } from '../../../core/model.ts';
import { hasRole } from '../../../services/caller.ts';
import type { VolumeService } from '../../../services/volume-service.ts';
import { type ApiDeps, nativePaths, type ProjectCall, type ProjectRoute } from '../../route.ts';
import { Links } from '../../schemas/common.ts';
import { parseListPage, queryBoolean } from '../../schemas/list-query.ts';
import {
  AdoptVolumeBody,
  CreateVolumeBody,
  checkAdoptVolume,
  checkCreateVolume,
  checkUpdateVolume,
  checkVolumeId,
  parseVolumeFilter,
  UpdateVolumeBody,
  VOLUME_SORT_KEYS,
  VolumeBody,
  VolumeListQuery,
  VolumeSummary,
} from '../../schemas/volumes.ts';
import { viewPage } from '../../views/page-view.ts';
import { viewVolume, viewVolumeDetail, viewVolumeSummary } from '../../views/volume-view.ts';

const TAG = 'volumes';
const One = Type.Object({ volume: VolumeBody });
const VolumeTotals = Type.Object({
  total_count: Type.Integer(),
  total_size: Type.Integer({ description: 'GiB' }),
  metadata: Type.Optional(
    Type.Record(Type.String(), Type.Array(Type.String()), { description: 'From 3.36: every value that a key has' }),
  ),
});

export function volumeRoutes({ volumes, volumeCreator }: ApiDeps): ProjectRoute[] {
  return [...readingRoutes(volumes), ...makingRoutes(volumes, volumeCreator), ...changingRoutes(volumes)];
}

function readingRoutes(volumes: VolumeService): ProjectRoute[] {
  const list = (View: typeof VolumeBody | typeof VolumeSummary, summary: string) => ({
    summary,
    tag: TAG,
    query: VolumeListQuery,
    ok: {
      status: 200,
      schema: Type.Object({
        volumes: Type.Array(View),
        volumes_links: Type.Optional(Links),
        count: Type.Optional(Type.Integer()),
      }),
    },
  });
  return [
    {
      method: 'GET',
      paths: nativePaths('/volumes'),
      access: { kind: 'project' },
      doc: list(VolumeSummary, 'List volumes'),
      handle: (call) => listVolumes(volumes, call, async () => (volume) => viewVolumeSummary(volume, call.links)),
    },
    {
      method: 'GET',
      paths: nativePaths('/volumes/detail'),
      access: { kind: 'project' },
      doc: list(VolumeBody, 'List volumes with details'),
      handle: (call) => listVolumes(volumes, call, (shown) => detailView(volumes, call, shown)),
    },
    {
      method: 'GET',
      paths: nativePaths('/volumes/summary', 'v3'),
      access: { kind: 'project', minVersion: 12 },
      doc: {
        summary: 'Count and size of volumes',
        tag: TAG,
        query: VolumeListQuery,
        ok: { status: 200, schema: Type.Object({ 'volume-summary': VolumeTotals }) },
      },
      handle: async ({ caller, projectId, query, version }) => {
        const filter = parseVolumeFilter(query, { version, isAdmin: hasRole(caller, 'admin') });
        const { count, sizeGib, metadata } = await volumes.summarizeVolumes(caller, projectId, filter);
        const totals = { total_count: count, total_size: sizeGib };
        return { 'volume-summary': version >= 36 ? { ...totals, metadata } : totals };
      },
    },
    {
      method: 'GET',
      paths: nativePaths('/volumes/:volume_id'),
      access: { kind: 'project' },
      doc: { summary: 'Show a volume', tag: TAG, ok: { status: 200, schema: One } },
      handle: async (call) => {
        const volumeId = checkVolumeId(call.param('volume_id'));
        const volume = await volumes.getVolume(call.caller, call.projectId, volumeId);
        return { volume: (await detailView(volumes, call, [volume]))(volume) };
      },
    },
  ];
}

type View = (volume: Volume) => Record<string, unknown>;

async function detailView(volumes: VolumeService, call: ProjectCall, shown: readonly Volume[]): Promise<View> {
  const { version, links, caller } = call;
  const isAdmin = hasRole(caller, 'admin');
  const surroundings = await volumes.describeVolumes(shown);
  return (volume) => viewVolumeDetail(volume, { version, links, isAdmin, hostName: volumes.hostName, surroundings });
}

/** What making and changing answer. */
async function viewOne(
  volumes: VolumeService,
  { version, links }: Pick<ProjectCall, 'version' | 'links'>,
  volume: Volume,
): Promise<Record<string, unknown>> {
  return { volume: viewVolume(volume, { version, links, surroundings: await volumes.describeVolumes([volume]) }) };
}

async function listVolumes(
  volumes: VolumeService,
  call: ProjectCall,
  viewOf: (shown: readonly Volume[]) => Promise<View>,
): Promise<Record<string, unknown>> {
  const { caller, projectId, query, version, request, origin } = call;
  const page = parseListPage(query, VOLUME_SORT_KEYS);
  const filter = parseVolumeFilter(query, { version, isAdmin: hasRole(caller, 'admin') });
  const withCount = version >= 45 && queryBoolean(query, 'with_count') === true;
  const result = await volumes.listVolumes(caller, projectId, filter, { ...page, withTotalCount: withCount });
  return viewPage({
    collection: 'volumes',
    result,
    limit: page.limit,
    withCount,
    origin,
    url: request.url,
    idOf: (volume) => volume.volumeId,
    view: await viewOf(result.items),
  });
}

function makingRoutes(volumes: VolumeService, volumeCreator: ApiDeps['volumeCreator']): ProjectRoute[] {
  return [
    {
      method: 'POST',
      paths: nativePaths('/volumes'),
      access: { kind: 'project' },
      doc: {
        summary: 'Create a volume: empty, or from a backup',
        tag: TAG,
        body: CreateVolumeBody,
        ok: { status: 202, schema: One },
      },
      handle: async ({ caller, projectId, body, version, links }) => {
        const volume = await volumeCreator.createVolume(caller, projectId, checkCreateVolume(body, version));
        return await viewOne(volumes, { version, links }, volume);
      },
    },
    {
      method: 'POST',
      paths: [...nativePaths('/os-volume-manage'), ...nativePaths('/manageable_volumes', 'v3')],
      access: { kind: 'project', role: 'admin' },
      doc: {
        summary: 'Adopt an existing disk in place',
        description: 'Nothing is copied or changed. `size` is the size of the disk rounded up to GiB.',
        tag: TAG,
        body: AdoptVolumeBody,
        ok: { status: 202, schema: One },
      },
      handle: async ({ caller, projectId, body, version, links }) => {
        const volume = await volumes.adoptVolume(caller, projectId, checkAdoptVolume(body));
        return await viewOne(volumes, { version, links }, volume);
      },
    },
  ];
}

function changingRoutes(volumes: VolumeService): ProjectRoute[] {
  return [
    {
      method: 'PUT',
      paths: nativePaths('/volumes/:volume_id'),
      access: { kind: 'project' },
      doc: {
        summary: 'Rename or describe a volume',
        tag: TAG,
        body: UpdateVolumeBody,
        ok: { status: 200, schema: One },
      },
      handle: async ({ caller, projectId, body, version, links, param }) => {
        const changes = checkUpdateVolume(body, version);
        const volume = await volumes.updateVolume(caller, projectId, checkVolumeId(param('volume_id')), changes);
        return await viewOne(volumes, { version, links }, volume);
      },
    },
    {
      method: 'DELETE',
      paths: nativePaths('/volumes/:volume_id'),
      access: { kind: 'project' },
      doc: {
        summary: 'Delete a volume; its backups stay, an adopted disk is only let go',
        tag: TAG,
        query: Type.Object({
          cascade: Type.Optional(Type.Boolean()),
          force: Type.Optional(Type.Boolean({ description: 'From 3.23; admins' })),
        }),
        ok: { status: 202 },
      },
      handle: async ({ caller, projectId, query, version, param }) => {
        const cascade = queryBoolean(query, 'cascade') === true;
        const force = version >= 23 && queryBoolean(query, 'force') === true;
        await volumes.deleteVolume(caller, projectId, checkVolumeId(param('volume_id')), { cascade, force });
      },
    },
  ];
}
