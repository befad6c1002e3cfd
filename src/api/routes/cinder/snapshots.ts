// The native snapshot API (contract 3.26): create, list, show, update, delete, actions, metadata.
import { Type } from 'typebox';
import { VbsError } from '../../../core/errors.ts';
import type { Snapshot } from '../../../core/model.ts';
import { hasRole } from '../../../services/caller.ts';
import type { MetadataChange, SnapshotService } from '../../../services/snapshot-service.ts';
import { type ApiDeps, nativePaths, type ProjectCall, type ProjectRoute } from '../../route.ts';
import { Links } from '../../schemas/common.ts';
import { parseListPage, queryBoolean } from '../../schemas/list-query.ts';
import {
  CreateSnapshotBody,
  checkCreateSnapshot,
  checkSnapshotAction,
  checkSnapshotId,
  checkUpdateSnapshot,
  parseSnapshotFilter,
  SnapshotActionBody,
  SnapshotBody,
  SnapshotListQuery,
  snapshotSortKeys,
  UpdateSnapshotBody,
} from '../../schemas/snapshots.ts';
import { checkMetaBody, checkMetadataBody, MetaBody, MetadataBody } from '../../schemas/volume-actions.ts';
import { viewPage } from '../../views/page-view.ts';
import { viewSnapshot, viewSnapshotDetail } from '../../views/snapshot-view.ts';

const TAG = 'snapshots';
const One = Type.Object({ snapshot: SnapshotBody });
const ITEM = '/snapshots/:snapshot_id';

export function snapshotRoutes({ snapshots }: ApiDeps): ProjectRoute[] {
  return [
    ...readingRoutes(snapshots),
    ...changingRoutes(snapshots),
    ...metadataRoutes(snapshots),
    ...metadataKeyRoutes(snapshots),
  ];
}

type View = typeof viewSnapshot;

function readingRoutes(snapshots: SnapshotService): ProjectRoute[] {
  const list = (path: string, summary: string, view: View): ProjectRoute => ({
    method: 'GET',
    paths: nativePaths(path),
    access: { kind: 'project' },
    doc: {
      summary,
      tag: TAG,
      query: SnapshotListQuery,
      ok: {
        status: 200,
        schema: Type.Object({
          snapshots: Type.Array(SnapshotBody),
          snapshots_links: Type.Optional(Links),
          count: Type.Optional(Type.Integer()),
        }),
      },
    },
    handle: (call) => listSnapshots(snapshots, call, view),
  });
  return [
    list('/snapshots', 'List snapshots', viewSnapshot),
    list('/snapshots/detail', 'List snapshots with progress and project', viewSnapshotDetail),
    {
      method: 'GET',
      paths: nativePaths(ITEM),
      access: { kind: 'project' },
      doc: { summary: 'Show a snapshot', tag: TAG, ok: { status: 200, schema: One } },
      handle: async (call) => ({ snapshot: viewSnapshotDetail(await getSnapshot(snapshots, call), call.version) }),
    },
  ];
}

async function getSnapshot(snapshots: SnapshotService, { caller, projectId, param }: ProjectCall): Promise<Snapshot> {
  return await snapshots.getSnapshot(caller, projectId, checkSnapshotId(param('snapshot_id')));
}

async function listSnapshots(
  snapshots: SnapshotService,
  call: ProjectCall,
  view: View,
): Promise<Record<string, unknown>> {
  const { caller, projectId, query, version, request, origin, links } = call;
  const page = parseListPage(query, snapshotSortKeys(links.version, version));
  const filter = parseSnapshotFilter(query, { version, isAdmin: hasRole(caller, 'admin') });
  const withCount = version >= 45 && queryBoolean(query, 'with_count') === true;
  const result = await snapshots.listSnapshots(caller, projectId, filter, { ...page, withTotalCount: withCount });
  return viewPage({
    collection: 'snapshots',
    result,
    limit: page.limit,
    withCount,
    origin,
    url: request.url,
    idOf: (snapshot) => snapshot.snapshotId,
    view: (snapshot) => view(snapshot, version),
  });
}

function changingRoutes(snapshots: SnapshotService): ProjectRoute[] {
  return [
    {
      method: 'POST',
      paths: nativePaths('/snapshots'),
      access: { kind: 'project' },
      doc: {
        summary: 'Take a snapshot of a volume',
        description:
          'One point in time where the file system of the disk can share blocks (XFS, btrfs and others); elsewhere a ' +
          'copy, for which the volume must be detached. `force` copies an attached one even so.',
        tag: TAG,
        body: CreateSnapshotBody,
        ok: { status: 202, schema: One },
      },
      handle: async ({ caller, projectId, body, version }) => {
        const input = checkCreateSnapshot(body, version);
        return { snapshot: viewSnapshot(await snapshots.createSnapshot(caller, projectId, input), version) };
      },
    },
    {
      method: 'PUT',
      paths: nativePaths(ITEM),
      access: { kind: 'project' },
      doc: {
        summary: 'Rename or describe a snapshot',
        tag: TAG,
        body: UpdateSnapshotBody,
        ok: { status: 200, schema: One },
      },
      handle: async ({ caller, projectId, body, version, param }) => {
        const changes = checkUpdateSnapshot(body);
        const snapshotId = checkSnapshotId(param('snapshot_id'));
        return {
          snapshot: viewSnapshot(await snapshots.updateSnapshot(caller, projectId, snapshotId, changes), version),
        };
      },
    },
    {
      method: 'DELETE',
      paths: nativePaths(ITEM),
      access: { kind: 'project' },
      doc: { summary: 'Delete a snapshot', tag: TAG, ok: { status: 202 } },
      handle: ({ caller, projectId, param }) =>
        snapshots.deleteSnapshot(caller, projectId, checkSnapshotId(param('snapshot_id')), { force: false }),
    },
    {
      method: 'POST',
      paths: nativePaths(`${ITEM}/action`),
      access: { kind: 'project' },
      doc: {
        summary: 'Report the status of a snapshot; reset it, or delete it by force, as admin',
        tag: TAG,
        body: SnapshotActionBody,
        ok: { status: 202 },
      },
      handle: (call) => runAction(snapshots, call),
    },
  ];
}

async function runAction(snapshots: SnapshotService, call: ProjectCall): Promise<void> {
  const { caller, projectId, body } = call;
  const action = checkSnapshotAction(body);
  const { snapshotId } = await getSnapshot(snapshots, call);
  switch (action.name) {
    case 'os-reset_status':
      return await snapshots.resetSnapshot(caller, projectId, snapshotId, action.status);
    case 'os-update_snapshot_status':
      return await snapshots.reportSnapshot(caller, projectId, snapshotId, action);
    case 'os-force_delete':
      return await snapshots.deleteSnapshot(caller, projectId, snapshotId, { force: true });
  }
}

async function changeMetadata(
  snapshots: SnapshotService,
  { caller, projectId, param }: ProjectCall,
  change: MetadataChange,
): Promise<Readonly<Record<string, string>>> {
  return await snapshots.changeMetadata(caller, projectId, checkSnapshotId(param('snapshot_id')), change);
}

function metadataRoutes(snapshots: SnapshotService): ProjectRoute[] {
  const paths = nativePaths(`${ITEM}/metadata`);
  const ok = { status: 200, schema: MetadataBody };
  const change = (method: 'POST' | 'PUT', kind: 'merge' | 'replace', summary: string): ProjectRoute => ({
    method,
    paths,
    access: { kind: 'project' },
    doc: { summary, tag: TAG, body: MetadataBody, ok },
    handle: async (call) => {
      const metadata = checkMetadataBody(call.body);
      return { metadata: await changeMetadata(snapshots, call, { kind, metadata }) };
    },
  });
  return [
    {
      method: 'GET',
      paths,
      access: { kind: 'project' },
      doc: { summary: 'Show metadata of a snapshot', tag: TAG, ok },
      handle: async (call) => ({ metadata: (await getSnapshot(snapshots, call)).metadata }),
    },
    change('POST', 'merge', 'Add to the metadata of a snapshot'),
    change('PUT', 'replace', 'Replace the metadata of a snapshot'),
  ];
}

function metadataKeyRoutes(snapshots: SnapshotService): ProjectRoute[] {
  const paths = nativePaths(`${ITEM}/metadata/:key`);
  const ok = { status: 200, schema: MetaBody };
  return [
    {
      method: 'GET',
      paths,
      access: { kind: 'project' },
      doc: { summary: 'Show one key of the metadata of a snapshot', tag: TAG, ok },
      handle: async (call) => {
        const key = call.param('key');
        const { metadata } = await getSnapshot(snapshots, call);
        if (!Object.hasOwn(metadata, key)) throw new VbsError('METADATA_KEY_NOT_FOUND', { key });
        return { meta: { [key]: metadata[key] } };
      },
    },
    {
      method: 'PUT',
      paths,
      access: { kind: 'project' },
      doc: { summary: 'Set one key of the metadata of a snapshot', tag: TAG, body: MetaBody, ok },
      handle: async (call) => {
        const key = call.param('key');
        const value = checkMetaBody(call.body, key);
        await changeMetadata(snapshots, call, { kind: 'merge', metadata: { [key]: value } });
        return { meta: { [key]: value } };
      },
    },
    {
      method: 'DELETE',
      paths,
      access: { kind: 'project' },
      doc: {
        summary: 'Remove one key of the metadata of a snapshot',
        tag: TAG,
        ok: { status: 200, schema: Type.Null() },
      },
      handle: async (call) => {
        await changeMetadata(snapshots, call, { kind: 'remove', key: call.param('key') });
      },
    },
  ];
}
