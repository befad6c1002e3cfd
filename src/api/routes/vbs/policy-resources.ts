// /v2/{project_id}/backuppolicyresources: which volumes a policy backs up (contract 3.14 and 3.15).
import type { ApiDeps, ProjectRoute } from '../../route.ts';
import { checkPolicyId, checkQueriedPolicyId } from '../../schemas/policies.ts';
import {
  AssociateBody,
  AssociateResult,
  checkAssociate,
  checkDisassociate,
  DisassociateBody,
  DisassociateResult,
  PolicyVolumeList,
  PolicyVolumeQuery,
  parsePolicyVolumeQuery,
} from '../../schemas/policy-resources.ts';
import { viewAssociation, viewDisassociation, viewPolicyVolume } from '../../views/policy-view.ts';

const BASE = '/v2/:project_id/backuppolicyresources';
const TAG = 'policies';

export function policyVolumeRoutes({ policies }: ApiDeps): ProjectRoute[] {
  return [
    {
      method: 'POST',
      paths: [BASE],
      access: { kind: 'project' },
      doc: {
        summary: 'Put volumes into a policy',
        description: 'A volume is in one policy at most: one that is in another is moved.',
        tag: TAG,
        body: AssociateBody,
        ok: { status: 200, schema: AssociateResult },
      },
      handle: async ({ caller, projectId, body }) => {
        const { policyId, resourceIds } = checkAssociate(body);
        return viewAssociation(await policies.associate(caller, projectId, policyId, resourceIds));
      },
    },
    {
      method: 'POST',
      paths: [`${BASE}/:policy_id/deleted_resources`],
      access: { kind: 'project' },
      doc: {
        summary: 'Take volumes out of a policy',
        tag: TAG,
        body: DisassociateBody,
        ok: { status: 200, schema: DisassociateResult },
      },
      handle: async ({ caller, projectId, param, body }) => {
        const resourceIds = checkDisassociate(body);
        const policyId = checkPolicyId(param('policy_id'));
        return viewDisassociation(await policies.disassociate(caller, projectId, policyId, resourceIds));
      },
    },
    {
      method: 'GET',
      paths: [`${BASE}/:policy_id`],
      access: { kind: 'project' },
      doc: {
        summary: 'List the volumes of a policy',
        tag: TAG,
        query: PolicyVolumeQuery,
        ok: { status: 200, schema: PolicyVolumeList },
      },
      handle: async ({ caller, projectId, param, query }) => {
        const { filter, page } = parsePolicyVolumeQuery(query);
        const policyId = checkQueriedPolicyId(param('policy_id'));
        const { items, totalCount } = await policies.listVolumes(caller, projectId, policyId, filter, page);
        return { resources: items.map(viewPolicyVolume), count: totalCount };
      },
    },
  ];
}
