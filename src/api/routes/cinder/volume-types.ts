// Volume types (contract 3.27): everybody reads them, admins change them.
import { Type } from 'typebox';
import type { VolumeType } from '../../../core/model.ts';
import { hasRole } from '../../../services/caller.ts';
import { requireExtraSpec, type VolumeTypeService } from '../../../services/volume-type-service.ts';
import { type ApiDeps, nativePaths, type TokenCall, type TokenRoute } from '../../route.ts';
import { Links } from '../../schemas/common.ts';
import { parseListPage } from '../../schemas/list-query.ts';
import {
  CreateVolumeTypeBody,
  checkCreateVolumeType,
  checkExtraSpec,
  checkExtraSpecs,
  checkUpdateVolumeType,
  checkVolumeTypeAction,
  ExtraSpecBody,
  ExtraSpecsBody,
  parseIsPublic,
  UpdateVolumeTypeBody,
  VOLUME_TYPE_SORT_KEYS,
  VolumeTypeAccess,
  VolumeTypeActionBody,
  VolumeTypeBody,
  VolumeTypeListQuery,
} from '../../schemas/volume-types.ts';
import { viewPage } from '../../views/page-view.ts';

const TAG = 'volume types';
const One = { status: 200, schema: Type.Object({ volume_type: VolumeTypeBody }) };
const ADMIN = { kind: 'token', role: 'admin' } as const;

export function volumeTypeRoutes({ volumeTypes }: ApiDeps): TokenRoute[] {
  return [
    ...readingRoutes(volumeTypes),
    ...changingRoutes(volumeTypes),
    ...extraSpecRoutes(volumeTypes),
    ...accessRoutes(volumeTypes),
  ];
}

/** Extra specs that tell users what they get; the others are the operator's. */
const USER_SPECS: ReadonlySet<string> = new Set(['multiattach', 'replication_enabled', 'RESKEY:availability_zones']);

function viewVolumeType(type: VolumeType, isAdmin: boolean): Record<string, unknown> {
  const specs = Object.entries(type.extraSpecs).filter(([key]) => isAdmin || USER_SPECS.has(key));
  return {
    id: type.typeId,
    name: type.name,
    description: type.description,
    is_public: type.isPublic,
    extra_specs: Object.fromEntries(specs),
    'os-volume-type-access:is_public': type.isPublic,
  };
}

/** What showing and listing answer. */
function viewShown(type: VolumeType, { caller }: Pick<TokenCall, 'caller'>): Record<string, unknown> {
  const isAdmin = hasRole(caller, 'admin');
  return { ...viewVolumeType(type, isAdmin), ...(isAdmin ? { qos_specs_id: null } : {}) };
}

function readingRoutes(types: VolumeTypeService): TokenRoute[] {
  return [
    {
      method: 'GET',
      paths: nativePaths('/types'),
      access: { kind: 'token' },
      doc: {
        summary: 'List volume types',
        tag: TAG,
        query: VolumeTypeListQuery,
        ok: {
          status: 200,
          schema: Type.Object({
            volume_types: Type.Array(VolumeTypeBody),
            volume_types_links: Type.Optional(Links),
          }),
        },
      },
      handle: async (call) => {
        const { caller, query, origin, request } = call;
        const page = parseListPage(query, VOLUME_TYPE_SORT_KEYS);
        return viewPage({
          collection: 'volume_types',
          result: await types.listTypes(caller, parseIsPublic(query), page),
          limit: page.limit,
          withCount: false,
          origin,
          url: request.url,
          idOf: ({ typeId }) => typeId,
          view: (type) => viewShown(type, call),
        });
      },
    },
    {
      method: 'GET',
      paths: nativePaths('/types/default'),
      access: { kind: 'token' },
      doc: { summary: 'Show the default volume type', tag: TAG, ok: One },
      handle: async (call) => ({ volume_type: viewShown(await types.getType(call.caller, null), call) }),
    },
    {
      method: 'GET',
      paths: nativePaths('/types/:type_id'),
      access: { kind: 'token' },
      doc: { summary: 'Show a volume type', tag: TAG, ok: One },
      handle: async (call) => ({
        volume_type: viewShown(await types.getType(call.caller, call.param('type_id')), call),
      }),
    },
  ];
}

function changingRoutes(types: VolumeTypeService): TokenRoute[] {
  return [
    {
      method: 'POST',
      paths: nativePaths('/types'),
      access: ADMIN,
      doc: { summary: 'Create a volume type', tag: TAG, body: CreateVolumeTypeBody, ok: One },
      handle: async ({ caller, body }) => ({
        volume_type: viewVolumeType(await types.createType(caller, checkCreateVolumeType(body)), true),
      }),
    },
    {
      method: 'PUT',
      paths: nativePaths('/types/:type_id'),
      access: ADMIN,
      doc: { summary: 'Rename or describe a volume type', tag: TAG, body: UpdateVolumeTypeBody, ok: One },
      handle: async ({ caller, body, param }) => {
        const changes = checkUpdateVolumeType(body);
        const type = viewVolumeType(await types.updateType(caller, param('type_id'), changes), true);
        // Of all answers Cinder's to an update alone has no second name of `is_public`.
        const { 'os-volume-type-access:is_public': _again, ...volume_type } = type;
        return { volume_type };
      },
    },
    {
      method: 'DELETE',
      paths: nativePaths('/types/:type_id'),
      access: ADMIN,
      doc: { summary: 'Delete a volume type that no volume has', tag: TAG, ok: { status: 202 } },
      handle: ({ caller, param }) => types.deleteType(caller, param('type_id')),
    },
  ];
}

function extraSpecRoutes(types: VolumeTypeService): TokenRoute[] {
  const specs = { status: 200, schema: ExtraSpecsBody };
  const spec = { status: 200, schema: ExtraSpecBody };
  return [
    {
      method: 'GET',
      paths: nativePaths('/types/:type_id/extra_specs'),
      access: ADMIN,
      doc: { summary: 'Show the extra specs of a volume type', tag: TAG, ok: specs },
      handle: async ({ caller, param }) => ({
        extra_specs: (await types.getType(caller, param('type_id'))).extraSpecs,
      }),
    },
    {
      method: 'POST',
      paths: nativePaths('/types/:type_id/extra_specs'),
      access: ADMIN,
      doc: { summary: 'Add extra specs to a volume type', tag: TAG, body: ExtraSpecsBody, ok: specs },
      handle: async ({ caller, body, param }) => {
        const added = checkExtraSpecs(body);
        await types.addExtraSpecs(caller, param('type_id'), added);
        return { extra_specs: added };
      },
    },
    {
      method: 'GET',
      paths: nativePaths('/types/:type_id/extra_specs/:key'),
      access: ADMIN,
      doc: { summary: 'Show one extra spec', tag: TAG, ok: spec },
      handle: async ({ caller, param }) => {
        const key = param('key');
        return { [key]: requireExtraSpec(await types.getType(caller, param('type_id')), key) };
      },
    },
    {
      method: 'PUT',
      paths: nativePaths('/types/:type_id/extra_specs/:key'),
      access: ADMIN,
      doc: { summary: 'Set one extra spec', tag: TAG, body: ExtraSpecBody, ok: spec },
      handle: async ({ caller, body, param }) => {
        const changed = checkExtraSpec(body, param('key'));
        await types.addExtraSpecs(caller, param('type_id'), changed);
        return changed;
      },
    },
    {
      method: 'DELETE',
      paths: nativePaths('/types/:type_id/extra_specs/:key'),
      access: ADMIN,
      doc: { summary: 'Remove one extra spec', tag: TAG, ok: { status: 202 } },
      handle: ({ caller, param }) => types.removeExtraSpec(caller, param('type_id'), param('key')),
    },
  ];
}

function accessRoutes(types: VolumeTypeService): TokenRoute[] {
  return [
    {
      method: 'GET',
      paths: nativePaths('/types/:type_id/os-volume-type-access'),
      access: ADMIN,
      doc: {
        summary: 'List the projects that may use a volume type which is not public',
        tag: TAG,
        ok: { status: 200, schema: Type.Object({ volume_type_access: VolumeTypeAccess }) },
      },
      handle: async ({ caller, param }) => {
        const { typeId, projectIds } = await types.listAccess(caller, param('type_id'));
        return { volume_type_access: projectIds.map((id) => ({ volume_type_id: typeId, project_id: id })) };
      },
    },
    {
      method: 'POST',
      paths: nativePaths('/types/:type_id/action'),
      access: ADMIN,
      doc: {
        summary: 'Let a project use a volume type which is not public, or no longer',
        tag: TAG,
        body: VolumeTypeActionBody,
        ok: { status: 202 },
      },
      handle: async ({ caller, body, param }) => {
        const { name, projectId } = checkVolumeTypeAction(body);
        if (name === 'addProjectAccess') await types.grantAccess(caller, param('type_id'), projectId);
        else await types.revokeAccess(caller, param('type_id'), projectId);
      },
    },
  ];
}
