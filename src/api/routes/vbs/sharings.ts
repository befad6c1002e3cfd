// /v2/{project_id}/os-vendor-backup-sharing: backups shown to other projects (contract 3.18, 3.19).
import { Type } from 'typebox';
import { type BackupId, parseUuid } from '../../../core/ids.ts';
import type { SharingService } from '../../../services/sharing-service.ts';
import type { ApiDeps, ProjectCall, ProjectRoute } from '../../route.ts';
import { Links } from '../../schemas/common.ts';
import { parseListPage, queryBoolean, withoutEmptyValues } from '../../schemas/list-query.ts';
import {
  CancelSharingQuery,
  checkShareBackup,
  checkSharingId,
  NewSharing,
  parseSharingFilter,
  SHARING_SORT_KEYS,
  ShareBackupBody,
  SharingBody,
  SharingCountQuery,
  SharingListQuery,
} from '../../schemas/sharings.ts';
import { viewPage } from '../../views/page-view.ts';
import { viewNewSharing, viewSharing } from '../../views/sharing-view.ts';

const BASE = '/v2/:project_id/os-vendor-backup-sharing';
const TAG = 'sharing';

export function sharingRoutes({ sharings }: ApiDeps): ProjectRoute[] {
  return [...readingRoutes(sharings), ...changingRoutes(sharings)];
}

function readingRoutes(sharings: SharingService): ProjectRoute[] {
  return [
    {
      method: 'GET',
      paths: [`${BASE}/detail`],
      access: { kind: 'project' },
      doc: {
        summary: 'List sharings with their backups',
        tag: TAG,
        query: SharingListQuery,
        ok: {
          status: 200,
          schema: Type.Object({ shared: Type.Array(SharingBody), shared_links: Type.Optional(Links) }),
        },
      },
      handle: async (call) => {
        const query = withoutEmptyValues(call.query);
        const page = parseListPage(query, SHARING_SORT_KEYS);
        const filter = parseSharingFilter(query);
        const result = await sharings.listSharings(call.caller, call.projectId, filter, page);
        return viewPage({
          collection: 'shared',
          result,
          limit: page.limit,
          withCount: false,
          origin: call.origin,
          url: call.request.url,
          idOf: ({ sharing }) => sharing.sharingId,
          view: viewSharing,
        });
      },
    },
    {
      method: 'GET',
      paths: [`${BASE}/count`],
      access: { kind: 'project' },
      doc: {
        summary: 'Count sharings',
        tag: TAG,
        query: SharingCountQuery,
        ok: { status: 200, schema: Type.Object({ count: Type.Integer() }) },
      },
      handle: async ({ caller, projectId, query }) => {
        const filter = parseSharingFilter(withoutEmptyValues(query));
        return { count: await sharings.countSharings(caller, projectId, filter) };
      },
    },
    {
      method: 'GET',
      paths: [`${BASE}/:sharing_id`],
      access: { kind: 'project' },
      doc: {
        summary: 'Show a sharing',
        description: 'Both projects may see it.',
        tag: TAG,
        ok: { status: 200, schema: Type.Object({ shared: SharingBody }) },
      },
      handle: async ({ caller, projectId, param }) => {
        const sharingId = checkSharingId(param('sharing_id'));
        return { shared: viewSharing(await sharings.getSharing(caller, projectId, sharingId)) };
      },
    },
  ];
}

function changingRoutes(sharings: SharingService): ProjectRoute[] {
  return [
    {
      method: 'POST',
      paths: [BASE],
      access: { kind: 'project' },
      doc: {
        summary: 'Share a backup with projects',
        description: 'They need not exist here. A project that has the backup already keeps its sharing.',
        tag: TAG,
        body: ShareBackupBody,
        ok: { status: 200, schema: Type.Object({ shared: Type.Array(NewSharing) }) },
      },
      handle: async ({ caller, projectId, body }) => {
        const { backupId, toProjectIds } = checkShareBackup(body, projectId);
        const shared = await sharings.share(caller, projectId, backupId, toProjectIds);
        return { shared: shared.map(viewNewSharing) };
      },
    },
    {
      method: 'DELETE',
      paths: [`${BASE}/:sharing_id`],
      access: { kind: 'project' },
      doc: {
        summary: 'Cancel a sharing, or all of a backup',
        description: 'The owner may, and so may the receiving project. Volumes made from the backup stay.',
        tag: TAG,
        query: CancelSharingQuery,
        ok: { status: 200 },
      },
      handle: (call) => cancelSharing(sharings, call),
    },
  ];
}

async function cancelSharing(sharings: SharingService, call: ProjectCall): Promise<void> {
  const { caller, projectId, query, param } = call;
  const id = param('sharing_id');
  if (queryBoolean(withoutEmptyValues(query), 'is_backup_id') !== true) {
    await sharings.cancelSharing(caller, projectId, checkSharingId(id));
    return;
  }
  const backupId = parseUuid<BackupId>(id);
  // What is no id has no sharings, as any unknown backup.
  if (backupId !== undefined) await sharings.cancelSharingsOf(caller, projectId, backupId);
}
