// Requests and answers of /v2/{project_id}/backuppolicyresources: volumes of policies (contract 3.14 and 3.15).
import { Type } from 'typebox';
import { VbsError } from '../../core/errors.ts';
import type { PolicyId } from '../../core/ids.ts';
import { LIST_LIMIT_MAX } from '../../core/limits.ts';
import type { OffsetPage, PolicyVolumeFilter } from '../../services/policy-requests.ts';
import { nullable, Uuid } from './common.ts';
import { filledCount, filledText, type QueryValues } from './list-query.ts';
import {
  dropUndefined,
  invalidField,
  isJsonObject,
  isStorableText,
  type JsonObject,
  type ParsedBody,
  readKey,
} from './parse.ts';
import { checkPolicyId } from './policies.ts';
import { requireEntries, requirePolicyBody } from './policy-body.ts';

const Place = {
  availability_zone: nullable(Type.String()),
  os_vol_host_attr: nullable(Type.String({ description: 'Where the volume lies, as a label' })),
};
const ResourceType = Type.Literal('volume');
const Failure = { code: Type.String({ examples: ['AutoBackup.1400'] }), message: Type.String() };

export const AssociateBody = Type.Object(
  {
    backup_policy_id: Uuid,
    resources: Type.Array(Type.Object({ resource_id: Uuid, resource_type: ResourceType }), { minItems: 1 }),
  },
  { $id: 'AssociateVolumes' },
);
export const AssociateResult = Type.Object(
  {
    success_resources: Type.Array(Type.Object({ resource_id: Uuid, resource_type: ResourceType, ...Place })),
    fail_resources: Type.Array(
      Type.Object({ resource_id: Type.String(), resource_type: ResourceType, ...Place, ...Failure }),
    ),
  },
  { $id: 'AssociateVolumesResult', description: 'Every volume is in one of the lists' },
);

export const DisassociateBody = Type.Object(
  { resources: Type.Array(Type.Object({ resource_id: Uuid }), { minItems: 1 }) },
  { $id: 'DisassociateVolumes' },
);
export const DisassociateResult = Type.Object(
  {
    success_resources: Type.Array(Type.Object({ resource_id: Uuid })),
    fail_resources: Type.Array(Type.Object({ resource_id: Type.String(), ...Failure })),
  },
  { $id: 'DisassociateVolumesResult' },
);

export const PolicyVolumeQuery = Type.Object({
  name: Type.Optional(Type.String({ description: 'Part of the name' })),
  id: Type.Optional(Type.String()),
  status: Type.Optional(Type.String()),
  limit: Type.Optional(Type.Integer({ minimum: 0, maximum: LIST_LIMIT_MAX })),
  offset: Type.Optional(Type.Integer({ minimum: 0 })),
});
export const PolicyVolumeList = Type.Object(
  {
    resources: Type.Array(
      Type.Object({
        resource_id: Uuid,
        resource_type: ResourceType,
        resource_name: nullable(Type.String()),
        status: Type.String(),
        size: Type.Integer({ description: 'GiB' }),
        ...Place,
        associated_at: Type.String({ examples: ['2026-02-03T22:00:00.015'] }),
      }),
    ),
    count: Type.Integer({ description: 'All volumes that match, whatever the page' }),
  },
  { $id: 'PolicyVolumeList' },
);

/**
 * The ids as they were sent: what no volume can have fails one by one, like what no volume has.
 * @throws POLICY_BODY_EMPTY, MEDIA_TYPE_UNSUPPORTED, REQUEST_MALFORMED, POLICY_ID_MISSING, POLICY_OBJECT_MISSING,
 * POLICY_RESOURCES_EMPTY, POLICY_RESOURCE_ID_MISSING, POLICY_RESOURCE_TYPE_UNKNOWN, POLICY_NOT_FOUND
 */
export function checkAssociate(body: ParsedBody): { policyId: PolicyId; resourceIds: string[] } {
  const request = requirePolicyBody(body);
  const policyText = readKey(request, 'backup_policy_id');
  if (typeof policyText !== 'string' || policyText.trim() === '') throw new VbsError('POLICY_ID_MISSING');
  const entries = requireEntries(request, 'resources').map(requireEntryObject);
  const resourceIds = entries.map(checkResourceId);
  const areVolumes = entries.every((entry) => readKey(entry, 'resource_type') === 'volume');
  if (!areVolumes) throw new VbsError('POLICY_RESOURCE_TYPE_UNKNOWN');
  // Last: whether a policy exists is asked after the form of all fields.
  return { policyId: checkPolicyId(policyText.trim()), resourceIds };
}

/**
 * Whatever else the entries hold is not looked at.
 * @throws as checkAssociate, but for the type of resources
 */
export function checkDisassociate(body: ParsedBody): string[] {
  return requireEntries(requirePolicyBody(body), 'resources').map(requireEntryObject).map(checkResourceId);
}

function requireEntryObject(entry: unknown): JsonObject {
  if (!isJsonObject(entry)) throw invalidField('resources', 'each entry must be an object');
  return entry;
}

function checkResourceId(entry: JsonObject): string {
  const resourceId = readKey(entry, 'resource_id');
  if (typeof resourceId !== 'string' || resourceId.trim() === '') throw new VbsError('POLICY_RESOURCE_ID_MISSING');
  if (!isStorableText(resourceId)) throw invalidField('resource_id', 'it has illegal characters');
  return resourceId;
}

/** @throws REQUEST_FIELD_INVALID */
export function parsePolicyVolumeQuery(query: QueryValues): { filter: PolicyVolumeFilter; page: OffsetPage } {
  const filter = dropUndefined({
    name: filledText(query, 'name'),
    volumeId: filledText(query, 'id')?.toLowerCase(),
    status: filledText(query, 'status'),
  });
  const limit = Math.min(filledCount(query, 'limit') ?? LIST_LIMIT_MAX, LIST_LIMIT_MAX);
  return { filter, page: { limit, offset: filledCount(query, 'offset') ?? 0 } };
}
