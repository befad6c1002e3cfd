// Disks that could be adopted (3.8), and adopting them under the newer of its two paths.
import { Type } from 'typebox';
import { bytesToGib } from '../../../core/bytes.ts';
import type { ManageableDisk } from '../../../services/manageable-service.ts';
import { type ApiDeps, nativePaths, type ProjectCall, type ProjectRoute } from '../../route.ts';
import { queryText } from '../../schemas/list-query.ts';
import { Manageable, ManageableSummary, parseManageablePage } from '../../schemas/manageable-volumes.ts';
import { invalidField } from '../../schemas/parse.ts';

const TAG = 'volumes';
const ACCESS = { kind: 'project', role: 'admin', minVersion: 8 } as const;

const Query = Type.Object({
  host: Type.String({ description: 'Host of the service cinder-volume in GET /os-services' }),
  limit: Type.Optional(Type.Integer({ minimum: 0 })),
  offset: Type.Optional(Type.Integer({ minimum: 0 })),
  marker: Type.Optional(Type.String({ description: 'The reference of the last item seen' })),
  sort: Type.Optional(Type.String({ examples: ['size:desc', 'reference:asc'] })),
});

export function manageableVolumeRoutes({ manageable }: ApiDeps): ProjectRoute[] {
  const list = (summary: string, View: typeof Manageable | typeof ManageableSummary) => ({
    summary,
    tag: TAG,
    query: Query,
    ok: { status: 200, schema: Type.Object({ 'manageable-volumes': Type.Array(View) }) },
  });
  return [
    {
      method: 'GET',
      paths: nativePaths('/manageable_volumes', 'v3'),
      access: ACCESS,
      doc: list('List disks in the permitted folders', ManageableSummary),
      handle: (call) => listDisks(manageable, call, viewSummary),
    },
    {
      method: 'GET',
      paths: nativePaths('/manageable_volumes/detail', 'v3'),
      access: ACCESS,
      doc: list('List disks in the permitted folders with details', Manageable),
      handle: (call) => listDisks(manageable, call, viewDetail),
    },
  ];
}

async function listDisks(
  manageable: ApiDeps['manageable'],
  { caller, query }: ProjectCall,
  view: (disk: ManageableDisk) => Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const host = queryText(query, 'host') ?? '';
  if (host === '') throw invalidField('host', 'it is required');
  const cut = parseManageablePage(query);
  return { 'manageable-volumes': cut(await manageable.listManageable(caller, host)).map(view) };
}

function viewSummary({ reference, sizeBytes, refusal }: ManageableDisk): Record<string, unknown> {
  const size = bytesToGib(sizeBytes);
  return { reference: { 'source-name': reference }, size, safe_to_manage: refusal === null };
}

function viewDetail(disk: ManageableDisk): Record<string, unknown> {
  return { ...viewSummary(disk), reason_not_safe: disk.refusal, cinder_id: disk.volumeId, extra_info: null };
}
